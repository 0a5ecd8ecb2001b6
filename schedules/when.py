"""The words in which authors say when a step is due, read into values.When.

Source: column `when` of content.md §2.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from schedules.values import Anchor, Slot, When


class WhenError(ValueError):
    """Words that name no moment; the message lists the forms."""


FORMS = (
    "day 3",
    "from day 9, window",
    "from day 4, window, weekend first",
    "TK-4 + 18 hours",
    "TK-6 + 2 days",
    "DR-3 + 2 days, window",
    "session 1 - 48 hours",
    "session 2 + 20 to 28 hours",
    "every session + 20 to 28 hours",
    "every session, same morning",
    "break_start + 14 days, weekend",
    "break_start + 28 days, every 14 days",
    "next_review - 14 days",
    "crisis_report + 24 hours",
    "gate holds + 3 days",
    "weekly, weekend",
    "every 3 weeks",
    "3 days before trying TK-4 again",
    "next morning, at least 8 hours later",
    "at once",
    "by answer",
    "by answer, window",
)

_DATES = "break_start|next_review|crisis_report|visit|consult"
_STEP = r"[A-Z]{2}-[A-Z0-9]+"
_SLOT = r"(?P<slot>, window|, weekend)?"

_SLOTS = {None: Slot.PREFERRED, ", window": Slot.WINDOW, ", weekend": Slot.WEEKEND}


def parse(written: str) -> When:
    """Read one moment. Raises WhenError listing the forms."""
    words = " ".join(written.split())
    for pattern, build in _FORMS:
        if match := pattern.fullmatch(words):
            return build(match)
    raise WhenError(f'"{words}" names no moment; write for example: {" · ".join(FORMS)}')


def _day(match: re.Match[str]) -> When:
    slot = Slot.WINDOW if match["window"] else Slot.PREFERRED
    first = match["weekend"] is not None
    return When(anchor=Anchor.ENROLLED, offset_days=int(match["n"]), slot=slot, weekend_first=first)


def _offset(match: re.Match[str]) -> dict[str, int | Slot | None]:
    """Offset and slot: hours mean that minute, days mean that date at the preferred moment."""
    sign = -1 if match["sign"] == "-" else 1
    first, last = int(match["n"]), match["last"]
    slot = _SLOTS[match["slot"]]
    if match["unit"].startswith("minute"):
        return {"offset_minutes": sign * first, "slot": Slot.EXACT}
    if match["unit"].startswith("hour"):
        slot = Slot.EXACT if slot is Slot.PREFERRED else slot
        return {"offset_hours": sign * first, "latest_hours": int(last) if last else None, "slot": slot}
    return {"offset_days": sign * first, "slot": slot}


_AMOUNT = r"(?P<sign>[+-]) (?P<n>\d+)(?: to (?P<last>\d+))? (?P<unit>minutes?|hours?|days?)"


def _step(match: re.Match[str]) -> When:
    return When(anchor=Anchor.STEP, step=match["step"], **_offset(match))  # type: ignore[arg-type]  # see _offset


def _session(match: re.Match[str]) -> When:
    nth = 0 if match["nth"] is None else int(match["nth"])
    offset = _offset(match)
    # A session has a time of day: "session 1 - 5 days" is that same time, five dates before.
    if offset["slot"] is Slot.PREFERRED:
        offset["slot"] = Slot.EXACT
    return When(anchor=Anchor.SESSION, nth=nth, **offset)  # type: ignore[arg-type]  # see _offset


def _session_morning(match: re.Match[str]) -> When:
    nth = 0 if match["nth"] is None else int(match["nth"])
    return When(anchor=Anchor.SESSION, nth=nth, slot=Slot.MORNING)


def _date(match: re.Match[str]) -> When:
    every = int(match["every"]) if match["every"] else None
    return When(anchor=Anchor(match["date"]), every_days=every, **_offset(match))  # type: ignore[arg-type]


def _weekly(match: re.Match[str]) -> When:
    weeks = int(match["weeks"] or 1)
    slot = Slot.WEEKEND if match["slot"] else Slot.PREFERRED
    return When(anchor=Anchor.ENROLLED, offset_days=7 * weeks, every_days=7 * weeks, slot=slot)


def _try(match: re.Match[str]) -> When:
    return When(anchor=Anchor.TRY, step=match["step"], offset_days=-int(match["n"]), slot=Slot.PREFERRED)


def _gate(match: re.Match[str]) -> When:
    return When(anchor=Anchor.GATE, offset_days=int(match["n"]), slot=Slot.PREFERRED)


def _morning(match: re.Match[str]) -> When:
    return When(anchor=Anchor.ENROLLED, offset_hours=int(match["n"]), slot=Slot.MORNING)


def _answer(match: re.Match[str]) -> When:
    return When(anchor=Anchor.ANSWER, slot=Slot.WINDOW if match["window"] else Slot.PREFERRED)


def _at_once(match: re.Match[str]) -> When:
    return When(anchor=Anchor.ANSWER, slot=Slot.AT_ONCE)


def _at_enrollment(match: re.Match[str]) -> When:
    return When(anchor=Anchor.ENROLLED, slot=Slot.EXACT)


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], When]], ...] = (
    (re.compile(r"(?:from )?day (?P<n>\d+)(?P<window>, window(?P<weekend>, weekend first)?)?"), _day),
    (re.compile(rf"(?P<step>{_STEP}) {_AMOUNT}{_SLOT}"), _step),
    (re.compile(rf"(?:every session|session (?P<nth>\d)) {_AMOUNT}{_SLOT}"), _session),
    (re.compile(r"(?:every session|session (?P<nth>\d)), same morning"), _session_morning),
    (re.compile(rf"(?P<date>{_DATES}) {_AMOUNT}(?:, every (?P<every>\d+) days)?{_SLOT}"), _date),
    (re.compile(r"(?:weekly|every (?P<weeks>\d) weeks)(?P<slot>, weekend)?"), _weekly),
    (re.compile(rf"(?P<n>\d) days? before trying (?P<step>{_STEP}) again"), _try),
    (re.compile(r"gate holds \+ (?P<n>\d+) days?"), _gate),
    (re.compile(r"next morning, at least (?P<n>\d+) hours later"), _morning),
    (re.compile(r"by answer(?P<window>, window)?"), _answer),
    (re.compile(r"at once"), _at_once),
    (re.compile(r"at enrollment"), _at_enrollment),
)
