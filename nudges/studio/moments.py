"""When a step comes, in words that an author and a counselor both use."""

from __future__ import annotations

from schedules.values import Anchor, Slot, When

_ANCHORS = {
    Anchor.ENROLLED: "enrollment",
    Anchor.TRY: "the next try",
    Anchor.BREAK_START: "the start of the break",
    Anchor.NEXT_REVIEW: "the next review",
    Anchor.CRISIS_REPORT: "the crisis report",
    Anchor.VISIT: "the follow-up visit",
    Anchor.CONSULT: "the consultation",
    Anchor.GATE: "the gate of the break",
}
_SLOTS = {
    Slot.EXACT: "at that minute, or the next allowed one",
    Slot.PREFERRED: "at the family's preferred time",
    Slot.WINDOW: "ahead of a calm window",
    Slot.WEEKEND: "on the next weekend morning",
    Slot.MORNING: "the next morning",
    Slot.AT_ONCE: "at once",
}


def in_words(when: When) -> str:
    """For example: `9 days after enrollment, ahead of a calm window`."""
    if when.anchor is Anchor.ANSWER:
        return f"When an answer leads here, {_SLOTS[when.slot]}"
    words = f"{_distance(when)}{_anchor(when)}, {_SLOTS[when.slot]}"
    if when.every_days:
        words += f", then every {_count(when.every_days, 'day')}"
    return words[:1].upper() + words[1:]


def _anchor(when: When) -> str:
    if when.anchor is Anchor.STEP:
        return when.step or "another step"
    if when.anchor is Anchor.SESSION:
        return "every session" if when.nth == 0 else f"session {when.nth}"
    return _ANCHORS[when.anchor]


def _distance(when: When) -> str:
    days, hours = when.offset_days, when.offset_hours
    parts = [_count(abs(n), unit) for n, unit in ((days, "day"), (hours, "hour")) if n]
    if not parts:
        return "at "
    if when.latest_hours is not None and hours:
        parts[-1] = f"{abs(hours)} to {abs(when.latest_hours)} hours"
    side = "before" if days < 0 or hours < 0 else "after"
    return f"{' and '.join(parts)} {side} "


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
