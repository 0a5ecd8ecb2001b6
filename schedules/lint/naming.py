"""Whether a text names somebody whose name is known: asked of every automated text right before it goes.

The rule NAME of content.md §4.4. Some names are ordinary words (Joy, Paz, Young): those count where they are written
as names are, and two of them in a row count however they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Final

from schedules import catalog
from schedules.lint.rulebook import rulebook
from schedules.lint.words import normalise

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_PARTICLES: Final = frozenset("de del la las los y da do dos van von der di al el san santa".split())
_SHORTEST: Final = 2  # letters; initials say nothing


def is_named(text: str, names: Iterable[str]) -> bool:
    """Does one of `names` (a whole name, or a part of it) stand in `text`? Accents and case of the names are folded."""
    known = [_parts(name) for name in names]
    single = frozenset(part for parts in known for part in parts)
    if single.isdisjoint(_folded(text)):
        return False
    words = _words(text)
    pairs = {pair for parts in known for pair in zip(parts, parts[1:], strict=False)}
    folded = [word for word, _ in words]
    if pairs and not pairs.isdisjoint(zip(folded, folded[1:], strict=False)):
        return True
    return not single.isdisjoint(folded) and any(
        word in single and _is_written_as_a_name(match.group(), word, text[: match.start()]) for word, match in words
    )


def with_a_word_of(texts: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """Those of `names` that may stand in one of `texts`: all others cannot make `is_named` true."""
    said = frozenset(word for text in texts for word in _folded(text))
    return (name for name in names if not said.isdisjoint(_parts(name)))


@lru_cache(maxsize=256)
def _words(text: str) -> tuple[tuple[str, re.Match[str]], ...]:
    """Each word, folded, and where it stands: a text that goes to many families is read once."""
    return tuple((normalise(match.group()), match) for match in _WORD.finditer(text))


@lru_cache(maxsize=256)
def _folded(text: str) -> frozenset[str]:
    return frozenset(word for word, _ in _words(text))


def _parts(name: str) -> list[str]:
    words = (normalise(word) for word in _WORD.findall(name))
    return [word for word in words if len(word) >= _SHORTEST and word not in _PARTICLES]


def _is_written_as_a_name(word: str, folded: str, before: str) -> bool:
    if word in rulebook().words["capitals_ok"]:
        return False  # April is a month first
    if word[0].islower():
        return folded in _first_names()
    begins_a_sentence = re.search(r"(?:^|[.!?:¿¡\n\"“(]|\n\d)\s*$", before) is not None
    return not (begins_a_sentence and folded in _ordinary())


@cache
def _first_names() -> frozenset[str]:
    return frozenset(normalise(name) for name in rulebook().words["first_names"])


@cache
def _ordinary() -> frozenset[str]:
    """Words that the shipped texts write in small letters."""
    library = catalog.load_library()
    texts = [*library.system.values(), *(idea.texts for idea in library.ideas)]
    for sequence in library.sequences.values():
        for step in sequence.steps:
            texts += [each for each in (step.texts, *(v.texts for v in step.variants)) if each is not None]
    words = (word for each in texts for form in (each.en, each.es) for word in _WORD.findall(form))
    return frozenset(normalise(word) for word in words if word[0].islower())
