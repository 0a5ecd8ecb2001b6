"""What the second layer counts in a text: pairs of words and pieces of words, as plain strings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

_SHORTEST, _LONGEST = 2, 5  # letters in a piece of a word


def grams(words: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
    """Counts of words and word pairs, and of 2 to 5 letter pieces of words with their edges marked."""
    return whole(words), _pieces(words)


def whole(words: Sequence[str]) -> Counter[str]:
    """Counts of words and word pairs alone, which cost a tenth of the pieces."""
    spoken = [w for w in words if w.strip()]
    counted = Counter(spoken)
    counted.update(f"{a} {b}" for a, b in zip(spoken, spoken[1:], strict=False))
    return counted


def _pieces(words: Sequence[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for word, times in Counter(w for w in words if w.strip()).items():
        for piece, n in _pieces_of(word).items():
            found[piece] += n * times
    return found


@lru_cache(maxsize=20_000)
def _pieces_of(word: str) -> Mapping[str, int]:
    return Counter(pieces_in(word))


def pieces_in(word: str) -> list[str]:
    """Every piece of one word, as often as it has it."""
    edged = f"_{word}_"
    sizes = range(_SHORTEST, _LONGEST + 1)
    return [edged[i : i + size] for size in sizes for i in range(len(edged) - size + 1)]
