"""Who is paged, and when: one ladder for each kind of danger, as data. Nothing climbs it but the clock.

Severity 4 is an emergency in progress, 3 any other danger to life or safety, 2 unsafe behavior or an exhausted
parent, 1 an uncertain text. A ladder is climbed until somebody acknowledges; its last rungs repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from schedules import localtime


class Circle(StrEnum):
    """Whom a rung calls. Who that is at the moment, nudges.alerts.circles finds out."""

    FIRST = "first"
    BACKUP = "backup"
    SUPERVISOR = "supervisor"
    SAFEGUARDING = "safeguarding"  # the safeguarding leads
    COUNSELORS = "counselors"  # who looks after the family; outside office hours whoever is first on call
    EVERYONE = "everyone"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung:
    """`after_minutes` counts from the alert."""

    after_minutes: int
    calls: tuple[Circle, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ladder:
    """Rungs in order of time. The last `again` of them repeat, each time `again_minutes` later."""

    rungs: tuple[Rung, ...]
    again: int
    again_minutes: int


_ONE: Final = (Circle.FIRST,)
_TWO: Final = (Circle.FIRST, Circle.BACKUP)
_THREE: Final = (*_TWO, Circle.SUPERVISOR)
_ALL: Final = (Circle.EVERYONE,)
_COUNSELORS: Final = (Circle.COUNSELORS,)
_LEAD: Final = (Circle.SAFEGUARDING,)


def _ladder(*rungs: tuple[int, tuple[Circle, ...]], again: int = 1, again_minutes: int) -> Ladder:
    built = tuple(Rung(after_minutes=minutes, calls=calls) for minutes, calls in rungs)
    return Ladder(rungs=built, again=again, again_minutes=again_minutes)


# Three people at once, again every two minutes for as long as nobody answers; everyone each quarter of an hour.
EMERGENCY: Final = _ladder(*((m, _THREE) for m in range(0, 14, 2)), (15, _ALL), again=8, again_minutes=16)
DANGER: Final = _ladder((0, _ONE), (5, _TWO), (10, _THREE), (15, _ALL), again_minutes=15)
# An abuse disclosure goes to the safeguarding lead, not only to the counselor who knows the family.
ABUSE: Final = _ladder((0, _LEAD), (5, (*_LEAD, *_ONE)), (10, (*_LEAD, *_THREE)), (15, _ALL), again_minutes=15)
UNSAFE: Final = _ladder((0, _COUNSELORS), (30, _ONE), (60, _THREE), (240, _ALL), again_minutes=240)
DISTRESS: Final = _ladder((0, _COUNSELORS), (240, _ONE), (480, _TWO), again_minutes=240)
# A doubtful text waits half an hour in the review list before it wakes anybody.
DOUBT: Final = _ladder((30, _ONE), (60, _TWO), (240, _THREE), again_minutes=240)
NOT_PAGED: Final = Ladder(rungs=(), again=0, again_minutes=0)

_BY_SEVERITY: Final[Mapping[int, Ladder]] = {4: EMERGENCY, 3: DANGER, 2: UNSAFE, 1: DOUBT, 0: NOT_PAGED}


def ladder_of(severity: int, tier: str | None) -> Ladder:
    """The ladder of an alert. Severity decides first: an emergency is one whatever it is about."""
    if tier == "abuse_dv" and severity in (2, 3):
        return ABUSE
    if tier == "abuse_dv" and severity == 4:
        return _with_lead(EMERGENCY)
    if tier == "parent_distress" and severity == 2:
        return DISTRESS
    return _BY_SEVERITY[severity]


def _with_lead(ladder: Ladder) -> Ladder:
    return replace(ladder, rungs=tuple(replace(rung, calls=(*rung.calls, *_LEAD)) for rung in ladder.rungs))


def rung(ladder: Ladder, number: int) -> Rung | None:
    """The rung with this number, from 0; past the end the last ones repeat. None where nobody is paged."""
    if not ladder.rungs:
        return None
    over = number - len(ladder.rungs)
    if over < 0:
        return ladder.rungs[number]
    rounds, position = divmod(over, ladder.again)
    repeated = ladder.rungs[len(ladder.rungs) - ladder.again + position]
    return replace(repeated, after_minutes=repeated.after_minutes + (rounds + 1) * ladder.again_minutes)


def due_at(ladder: Ladder, number: int, since: datetime) -> datetime | None:
    """When rung `number` is due in an episode that began at `since`."""
    step = rung(ladder, number)
    return None if step is None else since + timedelta(minutes=step.after_minutes)


OFFICE_DAYS: Final = range(5)  # Monday to Friday
OFFICE_MINUTES: Final = range(9 * 60, 17 * 60)


def is_office_hour(at: datetime, zone: str) -> bool:
    """Are counselors at work, by the program's wall clock? Outside these hours whoever is on call answers for them."""
    is_workday = localtime.local_date(at, zone).weekday() in OFFICE_DAYS
    return is_workday and localtime.minute_of_day(at, zone) in OFFICE_MINUTES
