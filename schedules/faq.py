"""Which common question a text asks, if it plainly asks one (content.md §1.7). Unclear ones are for a person."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from schedules.values import Texts
from schedules.words import fold

MOST_WORDS = 25  # a longer text tells a story: a person reads it
_ASKING = frozenset(
    "what how can could should do does did is are will why who when where which may am "
    "que como puedo puede podemos debo debe es son por cuando cuanto cuanta cuantos cuantas cual donde quien "
    "hay".split()
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Faq:
    """One common question: trigger phrases by language (folded, whole words) and its answer."""

    id: str
    triggers: Mapping[str, tuple[str, ...]]
    texts: Texts
    is_legal: bool = False  # it speaks of the law: a family lawyer signs it off


def find(text: str, faqs: Sequence[Faq]) -> Faq | None:
    """The question that `text` asks: the longest trigger wins; none when two answers fit equally well.

    One word alone ("when", "order") counts only in a short text that asks something.
    """
    words = re.findall(r"[a-z0-9']+", fold(text))
    if not words or len(words) > MOST_WORDS:
        return None
    asks = "?" in text or words[0] in _ASKING
    line = f" {' '.join(words)} "
    best: dict[str, tuple[int, Faq]] = {}
    for faq in faqs:
        sizes = [
            _size(trigger) for forms in faq.triggers.values() for trigger in forms if _stands_in(trigger, line, asks)
        ]
        if sizes:
            best[faq.id] = (max(sizes), faq)
    longest = max((size for size, _ in best.values()), default=0)
    fitting = [faq for size, faq in best.values() if size == longest]
    return fitting[0] if len(fitting) == 1 else None


def _size(trigger: str) -> int:
    return len(trigger.split())


def _stands_in(trigger: str, line: str, asks: bool) -> bool:
    folded = _folded(trigger)
    return f" {folded} " in line and (asks or " " in folded)


@cache
def _folded(trigger: str) -> str:
    """A trigger's words as those of a text: triggers are the library's, so they are folded once."""
    return " ".join(re.findall(r"[a-z0-9']+", fold(trigger)))
