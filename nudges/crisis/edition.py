"""What an installation has changed: phrases, rules lowered to a safety check, help lines, words of replies.

An edition is built whole from plain JSON and never changes. One is in force in each process; until somebody publishes
one it is the empty edition, and everything is as shipped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from nudges.crisis import phrases, resources, rulebook
from nudges.crisis.grammar import Match, Matcher, Pattern
from nudges.crisis.normalise import Folded, Speller, Token
from nudges.crisis.phrases import Phrase
from nudges.crisis.resources import Country, Line
from nudges.crisis.rulebook import Found, Rule, Rulebook
from nudges.crisis.values import Hit, Level, Suppression
from nudges.languages import Written

Lang = Written
Content = Mapping[str, Any]
Wording = Mapping[Lang, Mapping[str, Any]]

# A key of the content is such a word, a colon and a name: phrase:p3, rule:su.wants, country:GB, line:GB.poison,
# reply:en.check.
PHRASE: Final = "phrase"
RULE: Final = "rule"
COUNTRY: Final = "country"
LINE: Final = "line"
REPLY: Final = "reply"
_REPLIES: Final = Path(__file__).parent / "replies.yaml"
# These take nothing from a phrase that is always a crisis but its certainty.
_SOFTENING: Final = frozenset({Suppression.NEGATION, Suppression.EDUCATION, Suppression.PAST})


class EditionError(ValueError):
    """A content that cannot be built; the message names its key."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the phrases of an edition find in a text. `shadow` has the ids of those on trial."""

    found: tuple[Found, ...] = ()
    covers: tuple[Match, ...] = ()
    shadow: tuple[tuple[str, Match], ...] = ()

    @property
    def is_anything(self) -> bool:
        return bool(self.found or self.covers or self.shadow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """Everything that an installation says, compiled. `digest` is the SHA-256 of the canonical content."""

    number: int
    digest: str
    content: Content
    phrases: Mapping[str, Phrase]
    countries: Mapping[str, Country]
    wording: Wording
    lowered: frozenset[str]
    matcher: Matcher
    ids: tuple[str, ...]
    speller: Speller | None

    @property
    def name(self) -> str:
        """How a stored decision names it; nothing for the shipped one."""
        return f"+desk-{self.number}-{self.digest[:8]}" if self.number else ""

    def find(self, folded: Folded) -> Said:
        """Every place where one of the phrases matches."""
        if not self.ids:
            return Said()
        matches = [(self.ids[i], match, self.matcher.source(i)) for i, match in self.matcher.find(self._mended(folded))]
        alone = [(name, match) for name, match, _ in matches if self.phrases[name].kind == "never_alone"]
        return Said(
            found=tuple(
                Found(_rule_of(name, self.phrases[name]), match, source)
                for name, match, source in matches
                if self.phrases[name].kind != "never_alone"
            ),
            covers=tuple(match for name, match in alone if not self.phrases[name].shadow),
            shadow=tuple((name, match) for name, match in alone if self.phrases[name].shadow),
        )

    def adjusted(self, hits: Sequence[Hit]) -> list[Hit]:
        """Hits with what this edition lowers. Nothing is ever lowered below a safety check."""
        return [self._adjusted(hit) for hit in hits]

    def _adjusted(self, hit: Hit) -> Hit:
        if hit.rule in self.lowered:
            return replace(hit, level=Level.CHECK, severity=1, sure=False, decisive=True, pattern="")
        if hit.decisive and hit.level is Level.CRISIS and hit.suppressed_by in _SOFTENING:
            return replace(hit, level=Level.CHECK, severity=1, suppressed_by=None)
        return hit

    def _mended(self, folded: Folded) -> Folded:
        """The text with words that are one letter off a phrase's word. Common words stay as they are."""
        if self.speller is None:
            return folded
        tokens = tuple(_mended(token, self.speller) for token in folded.tokens)
        return replace(folded, tokens=tokens) if tokens != folded.tokens else folded


def _mended(token: Token, speller: Speller) -> Token:
    if speller.is_word(token.word) or not token.word.isalpha():
        return token
    spelled = speller.spell(token.word)
    return Token(spelled[0], token.start, token.end) if len(spelled) == 1 else token


def _rule_of(name: str, phrase: Phrase) -> Rule:
    is_crisis = phrase.kind == "crisis"
    return Rule(
        id=name,
        level=phrase.level,
        tier=phrase.tier,
        severity=phrase.severity if is_crisis else 1,
        sure=is_crisis,
        patterns=(),
        decisive=True,
    )


def canonical(content: Content) -> str:
    """The one spelling of a content that its hash is taken of."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest_of(content: Content) -> str:
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def build(number: int, content: Content) -> Edition:
    """Raises EditionError for a key or value that means nothing."""
    book = rulebook.load()
    own = {name: _phrase(name, value) for name, value in _of(PHRASE, content).items()}
    patterns = [_compiled(name, phrase, book) for name, phrase in own.items()]
    typos = frozenset[str]().union(*(phrases.typo_words(phrase, book.fold) for phrase in own.values()))
    known = {rule.id for rule in book.rules}
    lowered = frozenset(_of(RULE, content))
    if lowered - known:
        raise EditionError(f"rule:{min(lowered - known)} names no rule")
    return Edition(
        number=number,
        digest=digest_of(content),
        content=dict(content),
        phrases=own,
        countries=_countries(content),
        wording=_wording(content),
        lowered=lowered,
        matcher=Matcher(patterns),
        ids=tuple(own),
        speller=Speller(vocabulary=typos, known=book.speller.known | book.speller.vocabulary) if typos else None,
    )


def build_what_can(number: int, content: Content) -> tuple[Edition, tuple[str, ...]]:
    """The edition, and the keys that mean nothing any more: a new release may lack a rule that was lowered.

    For what is in force already. Leaving one key out is safer than running without all the others.
    """
    try:
        return build(number, content), ()
    except EditionError:
        skipped = tuple(key for key, value in content.items() if not _builds(key, value, content))
        kept = {key: value for key, value in content.items() if key not in skipped}
        return replace(build(number, kept), digest=digest_of(content), content=dict(content)), skipped


def trial(content: Content) -> Edition:
    """An edition to try things with, without what this release cannot read."""
    return build_what_can(0, content)[0]


def check_key(key: str, value: Any, content: Content) -> None:
    """Raises EditionError for a value that means nothing. A country may need its lines of `content` beside it."""
    lines = {k: v for k, v in content.items() if k.startswith(f"{LINE}:") and key.startswith(f"{COUNTRY}:")}
    build(0, {**lines, key: value})


def _builds(key: str, value: Any, content: Content) -> bool:
    try:
        check_key(key, value, content)
    except EditionError:
        return False
    return True


def _of(kind: str, content: Content) -> dict[str, Any]:
    known = (PHRASE, RULE, COUNTRY, LINE, REPLY)
    for key in content:
        if key.partition(":")[0] not in known:
            raise EditionError(f"{key} begins with none of {', '.join(known)}")
    return {key.partition(":")[2]: value for key, value in sorted(content.items()) if key.startswith(f"{kind}:")}


def _phrase(name: str, value: Any) -> Phrase:
    try:
        return phrases.from_json(value)
    except phrases.PhraseError as error:
        raise EditionError(f"phrase:{name}: {error}") from None


def _compiled(name: str, phrase: Phrase, book: Rulebook) -> Pattern:
    try:
        return phrases.compiled(phrase, book.fold, book.classes)
    except phrases.PhraseError as error:
        raise EditionError(f"phrase:{name}: {error}") from None


def _countries(content: Content) -> Mapping[str, Country]:
    """As shipped, with the changed lines; a country is enabled when it is said to be."""
    countries = dict(resources.shipped())
    for key, value in _of(LINE, content).items():
        code, _, name = key.partition(".")
        country = countries.get(code, Country(enabled=False, lines={}))
        countries[code] = replace(country, lines={**country.lines, name: _line(key, value)})
    for code, enabled in _of(COUNTRY, content).items():
        if code not in countries:
            raise EditionError(f"country:{code} has no lines")
        countries[code] = replace(countries[code], enabled=bool(enabled))
    return countries


def _line(key: str, value: Any) -> Line:
    try:
        return resources.line_from(value)
    except (KeyError, TypeError, ValueError) as error:
        raise EditionError(f"line:{key} cannot be read ({type(error).__name__})") from None


def _wording(content: Content) -> Wording:
    wording: dict[Lang, dict[str, Any]] = {lang: dict(texts) for lang, texts in _shipped_wording().items()}
    for key, value in _of(REPLY, content).items():
        lang, _, name = key.partition(".")
        if lang not in wording or name not in wording[lang]:
            raise EditionError(f"reply:{key} is no text of ours")
        wording[lang][name] = value
    return wording


@cache
def _shipped_wording() -> Wording:
    loaded: Wording = yaml.safe_load(_REPLIES.read_text(encoding="utf-8"))
    return loaded


@cache
def shipped() -> Edition:
    """Nothing changed."""
    return build(0, {})


class _Force:
    """The edition in force: one reference, exchanged whole, so that a text is read by one edition throughout."""

    edition: Edition | None = None


def in_force() -> Edition:
    return _Force.edition or shipped()


def put_in_force(edition: Edition | None) -> None:
    """Let this process screen and answer by `edition` from now on; None is everything as shipped."""
    _Force.edition = edition
