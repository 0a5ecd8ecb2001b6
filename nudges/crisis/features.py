"""What the second layer counts in a text: pairs of words and pieces of words, as plain strings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_SHORTEST, _LONGEST = 2, 5  # letters in a piece of a word


def grams(words: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
    """Counts of words and word pairs, and of 2 to 5 letter pieces of words with their edges marked."""
    spoken = [w for w in words if w.strip()]
    whole = Counter(spoken)
    whole.update(f"{a} {b}" for a, b in zip(spoken, spoken[1:], strict=False))
    pieces: Counter[str] = Counter()
    for word in spoken:
        edged = f"_{word}_"
        for size in range(_SHORTEST, _LONGEST + 1):
            pieces.update(edged[i : i + size] for i in range(len(edged) - size + 1))
    return whole, pieces
