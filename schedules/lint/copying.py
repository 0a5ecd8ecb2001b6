"""Whether a text copies the articles that the library's ideas come from.

The articles are not here: only hashes of their runs of seven words (scripts/hash_articles.py), enough to recognise a
copied run and too little to read one. Accents and case are folded; punctuation does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

from schedules.lint.findings import Fault
from schedules.lint.words import normalise

RUN: Final = 7  # words in a row
SHINGLES: Final = Path(__file__).parent / "shingles.txt"
_BYTES: Final = 8  # 64 bits: among 10,000 runs and as many texts, a false alarm once in 10**11


@cache
def known() -> frozenset[str]:
    """The hashes of shingles.txt."""
    lines = SHINGLES.read_text(encoding="ascii").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def hashes(text: str) -> frozenset[str]:
    """The hashes of all runs of seven words of `text`."""
    return frozenset(_hash(run) for run in _runs(text))


def faults(text: str, *, among: frozenset[str] | None = None) -> list[Fault]:
    """The first copied run of each copied stretch; `among` are hashes other than those of shingles.txt."""
    sources = known() if among is None else among
    found: list[Fault] = []
    was_copied = False
    for run in _runs(text):
        copied = _hash(run) in sources
        if copied and not was_copied:
            found.append(Fault(rule="COPY", words=f"copies seven words from a source article: '{run}'", tripped=run))
        was_copied = copied
    return found


def _runs(text: str) -> Iterator[str]:
    words = re.findall(r"[a-z0-9]+", normalise(text))
    return (" ".join(words[n : n + RUN]) for n in range(len(words) - RUN + 1))


def _hash(run: str) -> str:
    return blake2b(run.encode(), digest_size=_BYTES).hexdigest()
