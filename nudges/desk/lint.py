"""What a phrase must be before it may count: specific, not there yet, and right on its own example lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, Final

from nudges.crisis import edition, phrases, rulebook
from nudges.crisis.edition import Edition
from nudges.crisis.grammar import Pattern
from nudges.crisis.phrases import EMPTY_SLOTS, Part, Phrase, PhraseError
from nudges.crisis.screen import screen
from nudges.crisis.values import Level, Screening
from nudges.desk import content, corpus

LEAST_LINES: Final = 2  # of each kind of example
MOST_LINES: Final = 20
MOST_LINE_CHARACTERS: Final = 400
MOST_OF_ORDINARY: Final = 0.003  # of the ordinary texts of the corpus
ONE_IN: Final = 500  # of the texts that came in lately
_COMMONEST: Final = 2000

# Single words that say enough alone. Anything else needs company, unless no dictionary and no everyday text has it.
STRONG_ALONE: Final = frozenset(
    "suicid suicide suicidal suicidio suicidarse suicida kms kys unalive unaliving unalived sewerslide selfharm "
    "overdose overdosed overdosing sobredosis strangled noose ahorcarse apunalo violo manoseo secuestro".split()
)
_COMPANY: Final = frozenset({"child", "adult", "self", "body", "a lot", "now"})  # with one telling word, enough
# Words of grammar: they say nothing about danger.
_FUNCTION: Final = frozenset(
    "a about after again all am an and any are as at back be because been before being but by can could did do does "
    "down each for from get go going got had has have he her here him his how i if in into is it its just like me "
    "more most much my no not now of off on one only or other our out over said say says she should so some than that "
    "the their them then there these they this those to too two up us very was we were what when where which who why "
    "will with would you your yes ok al algo ante antes asi aun con cual cuando de del desde donde dos el ella ellas "
    "ellos en entre era es esa ese eso esta estan estas este esto fue ha hace hasta hay la las le les lo los mas me "
    "mi mis mucho muy nada ni no nos o otra otro para pero por porque que se ser si sin sobre solo son su sus tan te "
    "tiene todo tu tus un una uno y ya yo".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One example line as tried: what it matched, what the screen would say, and whether that is as wished."""

    text: str
    is_must: bool
    is_match: bool
    level: Level
    is_right: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A phrase with everything wrong about it, its lines as tried, and how often it occurs elsewhere."""

    phrase: Phrase
    faults: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    in_ordinary: tuple[int, int] = (0, 0)  # hits, texts
    in_recent: tuple[int, int] = (0, 0)

    @property
    def is_good(self) -> bool:
        return not self.faults


def check(phrase: Phrase, *, name: str, live: content.Content, recent: Sequence[str]) -> Checked:
    """Everything that is wrong with a phrase, field by field.

    `name` is the phrase's own when it is being changed. `live` is what it would be added to; `recent` are texts of
    the last 90 days that were answered as ordinary: only their number is ever shown. Takes up to a second.
    """
    book = rulebook.load()
    try:
        parts = phrases.parts_of(phrase, book.fold)
        pattern = phrases.compiled(phrase, book.fold, book.classes)
    except PhraseError as error:
        return Checked(phrase=phrase, faults=(*error.faults, *_faults_of_fields(phrase)), lines=())
    ordinary = _hits(phrase, corpus_texts())
    lately = _hits(phrase, recent)
    lines = _tried(phrase, name=name, live=live)
    faults = chain(
        _faults_of_fields(phrase),
        _faults_of_words(phrase, parts),
        _faults_of_reach(phrase, ordinary, lately),
        _duplicates(pattern, name=name, live=live),
        _faults_of_lines(phrase, lines),
    )
    return Checked(phrase=phrase, faults=tuple(faults), lines=lines, in_ordinary=ordinary, in_recent=lately)


@cache
def corpus_texts() -> tuple[str, ...]:
    """Ordinary texts that are shipped."""
    return tuple(row.text for row in corpus.shipped() if row.label is Level.ORDINARY)


def lines_hold(chosen: Edition) -> tuple[str, ...]:
    """Example lines of an edition's phrases that do not come out as they should (any more); empty when all do."""
    return tuple(
        f"“{phrase.words}”: “{line.text}” {line.why}"
        for name, phrase in chosen.phrases.items()
        for line in _tried(phrase, name=name, live=chosen.content)
        if not line.is_right
    )


def _faults_of_fields(phrase: Phrase) -> Iterator[tuple[str, str]]:
    if phrase.kind == "crisis" and phrase.tier is None:
        yield "tier", "Choose what the danger is about: it picks the reply and who is paged."
    if phrase.kind == "crisis" and phrase.severity not in (2, 3, 4):
        yield "severity", "Choose 2, 3 or 4."
    if phrase.language not in phrases.LANGUAGES:
        yield "language", "Choose English, Spanish or both."
    for field, lines in (("must", phrase.must), ("must_not", phrase.must_not)):
        if len(set(lines)) < LEAST_LINES:
            yield field, f"Write at least {LEAST_LINES} different lines, one a line."
        if len(lines) > MOST_LINES or any(len(line) > MOST_LINE_CHARACTERS for line in lines):
            yield field, f"At most {MOST_LINES} lines of {MOST_LINE_CHARACTERS} characters."
    if both := set(phrase.must) & set(phrase.must_not):
        yield "must_not", f"“{min(both)}” stands in both lists."


def _faults_of_words(phrase: Phrase, parts: Sequence[Part]) -> Iterator[tuple[str, str]]:
    own = [word for part in parts for words in part.words for word in words]
    telling = sum(_telling(part) for part in parts)
    company = sum(part.slot in _COMPANY for part in parts)
    if telling and telling + company >= 2:
        return
    if len(own) == 1 and len(parts) == 1:
        yield from _fault_of_one(phrase, own[0])
    elif not telling:
        yield "words", "Only words such as “my” and “is”: add words that say what happens."
    elif not any(word in STRONG_ALONE for word in own):
        yield "words", "One telling word and the rest grammar: add a second word or slot, such as [child] or [act]."


def _fault_of_one(phrase: Phrase, word: str) -> Iterator[tuple[str, str]]:
    book = rulebook.load()
    if phrase.kind == "never_alone":
        yield "words", f"“{word}” alone would cover too much: write the whole saying, such as “kill time”."
    elif word in STRONG_ALONE:
        return
    elif word in _commonest():
        yield "words", f"“{word}” is an everyday word: it needs company, such as [child] or [act]."
    elif word in book.speller.known or len(word) < 3:
        yield "words", f"“{word}” alone says too little: add a second word or a slot such as [child] or [act]."


def _telling(part: Part) -> int:
    """How many of its words say something about danger; the fewest of its alternatives."""
    if part.slot:
        return int(part.slot not in EMPTY_SLOTS)
    return min((sum(word not in _FUNCTION for word in words) for words in part.words), default=0)


@cache
def _commonest() -> frozenset[str]:
    counts = Counter(word for text in corpus_texts() for word in corpus.folded(text).words if word.isalpha())
    return frozenset(word for word, _ in counts.most_common(_COMMONEST))


def _hits(phrase: Phrase, texts: Sequence[str]) -> tuple[int, int]:
    """In how many of the texts it matches, typos and all."""
    if phrase.kind == "never_alone":
        return 0, len(texts)
    alone = edition.trial({content.phrase_key("trial"): phrases.to_json(phrase)})
    return sum(1 for text in texts if alone.find(corpus.folded(text)).found), len(texts)


def _faults_of_reach(phrase: Phrase, ordinary: tuple[int, int], recent: tuple[int, int]) -> Iterator[tuple[str, str]]:
    hits, texts = ordinary
    if texts and hits / texts > MOST_OF_ORDINARY:
        yield (
            "words",
            (
                f"Too wide: it matches {hits} of {texts} everyday texts of the corpus, and at most "
                f"{int(texts * MOST_OF_ORDINARY)} are allowed. Add a word or a slot."
            ),
        )
    hits, texts = recent
    if hits > max(1, texts / ONE_IN):
        yield (
            "words",
            (
                f"Too wide: it matches {hits} of the last {texts} everyday texts that came in here, and at most one in "
                f"{ONE_IN} is allowed. Add a word or a slot."
            ),
        )


def _duplicates(pattern: Pattern, *, name: str, live: content.Content) -> Iterator[tuple[str, str]]:
    book = rulebook.load()
    if pattern.source in book.rule_matcher.sources:
        yield "words", "A built-in rule says exactly this already."
    for other, phrase in content.phrases_in(live).items():
        if other != name and phrases.compiled(phrase, book.fold, book.classes).source == pattern.source:
            yield "words", f"The phrase “{phrase.words}” says exactly this already: change that one."


def _tried(phrase: Phrase, *, name: str, live: content.Content) -> tuple[Line, ...]:
    """Each line, read as it would be with this phrase in force, and as it is without."""
    raw: dict[str, Any] = phrases.to_json(phrase) | {"shadow": False}
    trial = edition.trial(content.applied(live, [(content.phrase_key(name), raw)]))
    without = edition.trial(content.applied(live, [(content.phrase_key(name), None)]))
    return tuple(
        _try(phrase, name, line, is_must, trial, without)
        for lines, is_must in ((phrase.must, True), (phrase.must_not, False))
        for line in lines
    )


def _try(phrase: Phrase, name: str, text: str, is_must: bool, trial: Edition, without: Edition) -> Line:
    found, bare = screen(text, by=trial), screen(text, by=without)
    if phrase.kind == "never_alone":
        is_match, why = _of_cover(trial, text, found, bare, is_must)
        is_right = not why
    else:
        is_match = any(hit.rule == name and hit.level is phrase.level for hit in found.hits)
        is_right = is_match is is_must
        why = "" if is_right else ("does not match" if is_must else "matches")
    return Line(text=text, is_must=is_must, is_match=is_match, level=found.level, is_right=is_right, why=why)


def _of_cover(trial: Edition, text: str, found: Screening, bare: Screening, is_must: bool) -> tuple[bool, str]:
    """A line that must be covered is no alarm with the phrase; a line that must not is answered as without it."""
    is_match = bool(trial.find(corpus.folded(text)).covers)
    if not is_must:
        return is_match, "" if found.level is bare.level else f"would go from {bare.level} to {found.level}"
    if not is_match:
        return is_match, "does not match"
    return is_match, "" if found.level is Level.ORDINARY else f"would still be answered as {found.level}"


def _faults_of_lines(phrase: Phrase, lines: Sequence[Line]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if not line.is_right:
            field = "must" if line.is_must else "must_not"
            yield field, f"“{line.text}” {line.why}: mend the phrase or the line."
