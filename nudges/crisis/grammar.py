"""Phrase rules as data, matched in linear time: no regular expressions, nothing that can run away.

A pattern is a line of elements. `die` is a word, `die|be_gone` alternatives (`_` joins the words of one),
`suicid*` a beginning, `@child` a word class,
`..` a gap of up to three words (`..5` up to five), a trailing `?` makes an element optional, `<` the start of
a sentence and `>` its
end. A gap never crosses the end of a sentence, and a negation inside a gap counts as negation of the match.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nudges.crisis.normalise import SENTENCE_END, Folded

Words = frozenset[tuple[str, ...]]
_DEFAULT_GAP = 3


class RuleError(ValueError):
    """A rule file says something that cannot be matched; the message names the rule and the element."""


@dataclass(frozen=True, slots=True)
class Element:
    """One place in a pattern. `gap` is set for gaps only; `words` holds literal phrases, `stems` beginnings."""

    words: Words = frozenset()
    stems: tuple[str, ...] = ()
    gap: int = 0
    optional: bool = False
    edge: str = ""
    longest: int = 1
    heads: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled line: its elements, and the words of which at least one must occur for each element."""

    source: str
    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Half-open token span, and which tokens the pattern's own words took (gaps excluded)."""

    start: int
    end: int
    taken: frozenset[int]


def compile_pattern(source: str, classes: Mapping[str, Words]) -> Pattern:
    """Raises RuleError for an unknown class, an empty line or a pattern of gaps only."""
    elements = tuple(_element(part, source, classes) for part in source.split())
    if not any(e.words or e.stems for e in elements if not e.optional):
        raise RuleError(f"{source!r}: a pattern needs at least one word that must be there")
    return Pattern(source, elements)


def _element(part: str, source: str, classes: Mapping[str, Words]) -> Element:
    if part in ("<", ">"):
        return Element(edge=part)
    if part.startswith(".."):
        return Element(gap=int(part[2:] or _DEFAULT_GAP))
    optional = part.endswith("?")
    words: set[tuple[str, ...]] = set()
    stems: list[str] = []
    for item in part.rstrip("?").split("|"):
        if item.startswith("@"):
            if item[1:] not in classes:
                raise RuleError(f"{source!r}: no word class named {item[1:]!r}")
            words |= classes[item[1:]]
        elif item.endswith("*"):
            stems.append(item[:-1])
        elif item:
            words.add(tuple(item.split("_")))
        else:
            raise RuleError(f"{source!r}: an empty alternative in {part!r}")
    longest = max((len(w) for w in words), default=1)
    return Element(
        words=frozenset(words),
        stems=tuple(stems),
        optional=optional,
        longest=longest,
        heads=frozenset(w[0] for w in words),
    )


def expand_classes(raw: Mapping[str, str]) -> dict[str, Words]:
    """Class lines (`word, two words, @other`) into sets of phrases. A class may use only classes above it."""
    classes: dict[str, Words] = {}
    for name, line in raw.items():
        words: set[tuple[str, ...]] = set()
        for item in (piece.strip() for piece in line.split(",")):
            if item.startswith("@"):
                if item[1:] not in classes:
                    raise RuleError(f"class {name!r} uses {item!r}, which must be defined above it")
                words |= classes[item[1:]]
            elif item:
                words.add(tuple(item.split()))
        classes[name] = frozenset(words)
    return classes


def words_of(patterns: Sequence[Pattern]) -> frozenset[str]:
    """Every plain word in the patterns: what the speller may correct towards."""
    return frozenset(w for p in patterns for e in p.elements for phrase in e.words for w in phrase)


class Matcher:
    """Finds all patterns in a text. A pattern is tried only when each of its elements has a word in the text."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = tuple(patterns)
        self._need: list[int] = []
        self._by_word: dict[str, int] = {}
        self._by_stem: dict[str, int] = {}
        bit = 0
        for pattern in self._patterns:
            need = 0
            for element in pattern.elements:
                if element.optional or not (element.words or element.stems):
                    continue
                flag = 1 << bit
                bit += 1
                need |= flag
                for phrase in element.words:
                    self._by_word[phrase[0]] = self._by_word.get(phrase[0], 0) | flag
                for stem in element.stems:
                    self._by_stem[stem] = self._by_stem.get(stem, 0) | flag
            self._need.append(need)
        self._stem_heads = frozenset(stem[:2] for stem in self._by_stem)

    @property
    def sources(self) -> tuple[str, ...]:
        """The lines of the patterns, by index."""
        return tuple(p.source for p in self._patterns)

    def source(self, index: int) -> str:
        return self._patterns[index].source

    def find(self, folded: Folded) -> Iterator[tuple[int, Match]]:
        """(index of the pattern, match), in order of patterns, then of place."""
        words = folded.words
        places: dict[str, list[int]] = {}
        for place, word in enumerate(words):
            places.setdefault(word, []).append(place)
        present = self._present(places)
        for index, need in enumerate(self._need):
            if need & present == need:
                for match in _find_one(self._patterns[index], words, folded.sentence, places):
                    yield index, match

    def _present(self, places: Mapping[str, list[int]]) -> int:
        """One bit for each element that has at least one of its words in the text."""
        present = 0
        for word in places:
            present |= self._by_word.get(word, 0)
            if word[:2] in self._stem_heads:
                for stem, flags in self._by_stem.items():
                    if word.startswith(stem):
                        present |= flags
        return present


def _find_one(
    pattern: Pattern, words: tuple[str, ...], sentence: tuple[int, ...], places: Mapping[str, list[int]]
) -> Iterator[Match]:
    end_of_last = 0
    for start in _starts(pattern.elements[0], len(words), places):
        if start < end_of_last:
            continue
        reached = _run(pattern, words, sentence, start)
        if reached is not None:
            end, taken = reached
            if taken:
                yield Match(min(taken), end, taken)
                end_of_last = end


def _starts(first: Element, length: int, places: Mapping[str, list[int]]) -> Sequence[int]:
    """Where a match can begin: the places of the first element's words, or anywhere when it does not say."""
    if first.optional or first.stems or not first.heads:
        return range(length)
    return sorted(place for word in first.heads & places.keys() for place in places[word])


def _run(
    pattern: Pattern, words: tuple[str, ...], sentence: tuple[int, ...], start: int
) -> tuple[int, frozenset[int]] | None:
    """All ways through the elements at once: positions with the tokens taken so far, the fewest gaps first."""
    reached: dict[int, frozenset[int]] = {start: frozenset()}
    for element in pattern.elements:
        following: dict[int, frozenset[int]] = dict(reached) if element.optional else {}
        for position, taken in reached.items():
            for end, own in _step(element, words, sentence, position, start):
                following.setdefault(end, taken | own)
        if not following:
            return None
        reached = following
    end = min(reached)
    return end, reached[end]


def _step(
    element: Element, words: tuple[str, ...], sentence: tuple[int, ...], at: int, start: int
) -> Iterator[tuple[int, frozenset[int]]]:
    if element.edge:
        if _at_edge(element.edge, words, sentence, at):
            yield at, frozenset()
    elif element.gap:
        yield from _gap(element.gap, words, sentence, at)
    elif at < len(words) and (at == start or sentence[at] == sentence[start]):
        if element.stems and words[at].startswith(element.stems):
            yield at + 1, frozenset((at,))
        for length in range(1, element.longest + 1):
            if words[at : at + length] in element.words:
                yield at + length, frozenset(range(at, at + length))


def _gap(most: int, words: tuple[str, ...], sentence: tuple[int, ...], at: int) -> Iterator[tuple[int, frozenset[int]]]:
    yield at, frozenset()
    for end in range(at + 1, min(at + most, len(words)) + 1):
        if words[end - 1] in SENTENCE_END or sentence[end - 1] != sentence[at]:
            return
        yield end, frozenset()


def _at_edge(edge: str, words: tuple[str, ...], sentence: tuple[int, ...], at: int) -> bool:
    if edge == "<":
        return at == 0 or sentence[at - 1] != sentence[min(at, len(words) - 1)]
    return at == len(words) or words[at] in SENTENCE_END
