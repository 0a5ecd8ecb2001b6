"""Phrases that an installation adds to the rules, written as words and slots; no regular expression, no code.

`my [child] [says] [any 3] off the pier` is a word, two slots, a gap of up to three words, and words. `pier/bridge`
is either of two words. A phrase becomes one pattern of the grammar, so it is matched in linear time like any rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

from nudges import languages
from nudges.crisis.grammar import Pattern, RuleError, Words, compile_pattern
from nudges.crisis.normalise import Folded
from nudges.crisis.values import Level, Tier

Kind = Literal["crisis", "check", "never_alone"]
Fold = Callable[[str], Folded]  # Rulebook.fold
KINDS: Final[Mapping[str, str]] = {
    "crisis": "Always a crisis",
    "check": "Always a safety check",
    "never_alone": "Never an alarm on its own",
}
LANGUAGES: Final[Mapping[str, str]] = {**{code: languages.name_of(code) for code in languages.WRITTEN}, "both": "Both"}
MOST_CHARACTERS: Final = 200
MOST_PARTS: Final = 14
MOST_ANY: Final = 6  # words that one gap may skip
LEAST_TYPO: Final = 5  # letters; one letter off turns "kill" into "will"
LEAST_BEGINNING: Final = 4  # letters of a beginning that stands for longer words

# What an admin sees → classes of rules/classes.yaml. Both languages always: parents mix them.
SLOTS: Final[Mapping[str, tuple[str, ...]]] = {
    "child": ("child",),
    "someone": ("they",),
    "them": ("them",),
    "adult": ("partner",),
    "self": ("self",),
    "says": ("says",),
    "intends": ("intend", "quiere"),
    "act": ("die", "morir", "kill", "matar", "cut", "attack", "apunalar"),
    "die": ("die", "morir"),
    "kill": ("kill", "matar"),
    "injure": ("cut", "attack", "apunalar"),
    "hurt by": ("hurtby", "pega"),
    "takes": ("take",),
    "pills": ("pill",),
    "poison": ("poison",),
    "drug": ("drug",),
    "a lot": ("lots",),
    "body": ("body",),
    "weapon": ("weapon",),
    "bruise": ("bruise",),
    "ran away": ("ran",),
    "not found": ("notfound",),
    "now": ("now", "night"),
}
# Slots that say who, when or how much, but not what: alone they mean nothing.
EMPTY_SLOTS: Final = frozenset({"child", "someone", "them", "adult", "self", "says", "now", "a lot", "body"})


class PhraseError(ValueError):
    """A phrase that cannot be read. `faults` names each field and says how to mend it: `(field, message)`."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """One phrase as it is stored. `must` and `must_not` are lines that it is tried on before it counts.

    A `never_alone` phrase covers its own words: the rest of a text still counts. While it is `shadow`, what it would
    have silenced is only noted. `severity` is 2 to 4 for a crisis.
    """

    kind: Kind
    words: str
    tier: Tier | None = None
    severity: int = 3
    whole_words: bool = True
    typos: bool = True
    language: str = "both"
    shadow: bool = False
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        return Level.CRISIS if self.kind == "crisis" else Level.CHECK


@dataclass(frozen=True, slots=True)
class Part:
    """One place in a phrase: a slot, a gap of up to `any` words, or alternatives of folded words."""

    slot: str = ""
    any: int = 0
    words: tuple[tuple[str, ...], ...] = ()


def to_json(phrase: Phrase) -> dict[str, Any]:
    return {**asdict(phrase), "must": list(phrase.must), "must_not": list(phrase.must_not)}


def from_json(raw: Mapping[str, Any]) -> Phrase:
    """Raises PhraseError for a kind or tier that does not exist, and for anything that is not of its type."""
    if raw.get("kind") not in get_args(Kind):
        raise PhraseError([("kind", f"should be one of {', '.join(KINDS)}")])
    try:
        tier = Tier(raw["tier"]) if raw.get("tier") else None
        return Phrase(
            kind=raw["kind"],
            words=str(raw["words"]),
            tier=tier,
            severity=int(raw.get("severity", 3)),
            whole_words=bool(raw.get("whole_words", True)),
            typos=bool(raw.get("typos", True)),
            language=str(raw.get("language", "both")),
            shadow=bool(raw.get("shadow", False)),
            must=tuple(str(line) for line in raw.get("must", ())),
            must_not=tuple(str(line) for line in raw.get("must_not", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PhraseError([("words", f"cannot be read ({type(error).__name__}: {error})")]) from None


def parts_of(phrase: Phrase, fold: Fold) -> tuple[Part, ...]:
    """The phrase read place by place. Raises PhraseError naming the word or slot that cannot be read."""
    if len(phrase.words) > MOST_CHARACTERS:
        raise PhraseError([("words", f"Too long: {len(phrase.words)} characters, at most {MOST_CHARACTERS}.")])
    parts = tuple(_part(piece, phrase, fold) for piece in _pieces(phrase.words))
    if len(parts) > MOST_PARTS:
        raise PhraseError([("words", f"Too many words and slots: {len(parts)}, at most {MOST_PARTS}.")])
    if not any(part.words or part.slot for part in parts):
        raise PhraseError([("words", "Write at least one word or slot; [any 3] alone matches everything.")])
    if parts[0].any or parts[-1].any:
        raise PhraseError([("words", "Begin and end with a word or a slot: [any …] only stands between two.")])
    return parts


def compiled(phrase: Phrase, fold: Fold, classes: Mapping[str, Words]) -> Pattern:
    """The phrase as a pattern of the grammar. Raises PhraseError."""
    source = " ".join(_element(part, phrase) for part in parts_of(phrase, fold))
    try:
        return compile_pattern(source, classes)
    except RuleError as error:
        raise PhraseError([("words", str(error))]) from None


def _pieces(words: str) -> list[str]:
    """Split at spaces, but not inside brackets."""
    pieces: list[str] = []
    for index, chunk in enumerate(words.replace("]", "[").split("[")):
        pieces += [f"[{chunk.strip().lower()}]"] if index % 2 else chunk.split()
    if words.count("[") != words.count("]"):
        raise PhraseError([("words", "A bracket is not closed: write slots as [child].")])
    return pieces


def _part(piece: str, phrase: Phrase, fold: Fold) -> Part:
    if piece.startswith("["):
        return _slot(piece[1:-1])
    alternatives = [word for word in piece.split("/") if word]
    return Part(words=tuple(_folded(word, phrase, fold) for word in alternatives))


def _slot(name: str) -> Part:
    if name.startswith("any"):
        count = name.removeprefix("any").strip() or "3"
        if not (count.isascii() and count.isdigit() and 1 <= int(count) <= MOST_ANY):
            raise PhraseError([("words", f"[{name}]: write [any 1] to [any {MOST_ANY}].")])
        return Part(any=int(count))
    if name not in SLOTS:
        raise PhraseError([("words", f"There is no slot [{name}]. Slots: {', '.join(f'[{s}]' for s in SLOTS)}.")])
    return Part(slot=name)


def _folded(word: str, phrase: Phrase, fold: Fold) -> tuple[str, ...]:
    """The word in the spelling of a folded text: `can't` becomes `can not`, `Übel` becomes `ubel`."""
    if not phrase.whole_words and word.isascii() and word.isalpha():
        return (word.lower(),)  # a beginning is no word yet: mending its spelling would lengthen it
    found = tuple(w for w in fold(word).words if any(c.isalnum() for c in w) or len(w) > 2)
    if not found:
        raise PhraseError([("words", f"“{word}” has no letter, number or known emoji in it.")])
    if any(mark in w for w in found for mark in "@*|?<>_"):
        raise PhraseError([("words", f"“{word}”: write plain words; signs such as * and @ mean nothing here.")])
    return found


def _element(part: Part, phrase: Phrase) -> str:
    if part.any:
        return f"..{part.any}"
    if part.slot:
        return "|".join(f"@{name}" for name in SLOTS[part.slot])
    return "|".join(_literal(words, phrase) for words in part.words)


def _literal(words: tuple[str, ...], phrase: Phrase) -> str:
    is_beginning = not phrase.whole_words and len(words) == 1 and len(words[0]) >= LEAST_BEGINNING
    return f"{words[0]}*" if is_beginning else "_".join(words)


def typo_words(phrase: Phrase, fold: Fold) -> frozenset[str]:
    """Its own words that may be one letter off in a text."""
    if not phrase.typos:
        return frozenset()
    own = (word for part in parts_of(phrase, fold) for words in part.words for word in words)
    return frozenset(word for word in own if len(word) >= LEAST_TYPO and word.isalpha())
