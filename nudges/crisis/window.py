"""Joins a text with the ones just before it: danger is often split over two texts, sometimes inside a word."""

from __future__ import annotations

from collections.abc import Sequence

MOST_RECENT = 4  # texts looked back; the caller keeps to the last three minutes
_LONGEST = 800  # characters of earlier text; what is older than that was screened when it came


def joins(text: str, recent: Sequence[str]) -> tuple[str, ...]:
    """Ways to read `text` with `recent` (oldest first): last text with and without a space, swapped, and all
    together.
    """
    earlier = [r for r in recent[-MOST_RECENT:] if r.strip()]
    if not earlier or not text.strip():
        return ()
    last = earlier[-1][-_LONGEST:]
    ways = [f"{last} {text}", f"{last}{text}", f"{text} {last}", f"{text}{last}"]
    if len(earlier) > 1:
        ways.append(" ".join([*earlier, text])[-_LONGEST - len(text) :])
    return tuple(dict.fromkeys(ways))


def before(recent: Sequence[str]) -> tuple[str, ...]:
    """The earlier texts as they could already be read without the new one."""
    earlier = [r for r in recent[-MOST_RECENT:] if r.strip()]
    together = " ".join(earlier)[-_LONGEST:]
    return tuple(dict.fromkeys([*earlier[-1:], together])) if earlier else ()
