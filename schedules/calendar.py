"""What kind of day it is for a family: school, custody, hand-overs, quiet and hard days.

Sources: content.md §5.1, §5.2; PR-21; simulate readings 2 and 6.
"""

from __future__ import annotations

from datetime import date, timedelta

from schedules import localtime
from schedules.values import Custody, KeyDate, Profile

DAY = timedelta(days=1)
_SATURDAY, _SUNDAY, _FRIDAY = 5, 6, 4
_TWO_TWO_THREE = (1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0)
_FIVE_TWO_TWO_FIVE = (1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0)


def within(ranges: tuple[tuple[date, date], ...], day: date, *, either_side: int = 0) -> bool:
    """Is `day` inside one of the ranges, or at most `either_side` days away from one?"""
    if not ranges:
        return False
    margin = either_side * DAY
    return any(first - margin <= day <= last + margin for first, last in ranges)


def is_school_day(profile: Profile, day: date) -> bool:
    return profile.school_hours is not None and is_term(profile, day)


def is_term(profile: Profile, day: date) -> bool:
    """Is the school's office staffed: a weekday outside the days without school?"""
    return day.weekday() < _SATURDAY and not within(profile.no_school, day)


def is_school_night(day: date) -> bool:
    """Sunday to Thursday: bedtime is the school one."""
    return day.weekday() not in (_FRIDAY, _SATURDAY)


def is_quiet(profile: Profile, day: date) -> bool:
    return day.weekday() in profile.quiet_weekdays or within(profile.quiet_dates, day)


def child_is_here(profile: Profile, day: date) -> bool:
    """Is the child with this parent on `day` (on hand-over days: for a part of it)?"""
    custody = profile.custody
    if custody.pattern in ("every_day", "supervised"):
        return True
    if custody.pattern == "none" or custody.anchor_date is None:
        return False
    if custody.pattern == "alternate_weekends":
        return _weekend_turn(profile.role, custody.anchor_date, day)
    turn = (day - custody.anchor_date).days
    if custody.pattern == "alternate_weeks":
        return (turn // 7) % 2 == 0
    cycle = _TWO_TWO_THREE if custody.pattern == "2-2-3" else _FIVE_TWO_TWO_FIVE
    return bool(cycle[turn % 14])


def _weekend_turn(role: str, anchor: date, day: date) -> bool:
    """The anchor's weekend is with this parent, the next one is not, and so on.

    On other days the child is with the resident parent and away from the other one.
    """
    lives_here = role != "other_parent"
    if day.weekday() < _SATURDAY:
        return lives_here
    return ((_saturday_of(day) - _saturday_of(anchor)).days // 7) % 2 == 0


def _saturday_of(day: date) -> date:
    """The Saturday of the weekend that `day` is in, or leads to."""
    return day - DAY if day.weekday() == _SUNDAY else day + (_SATURDAY - day.weekday()) * DAY


def is_exchange_day(profile: Profile, day: date) -> bool:
    """Does the child change homes on `day`?"""
    custody = profile.custody
    if custody.pattern in ("none", "supervised"):
        return False
    weekdays = {weekday for weekday, _ in custody.exchange_times}
    if custody.pattern == "every_day":
        return day.weekday() in weekdays
    if weekdays:
        return day.weekday() in weekdays and _changes(profile, custody, day)
    return child_is_here(profile, day) != child_is_here(profile, day - DAY)


def _changes(profile: Profile, custody: Custody, day: date) -> bool:
    return child_is_here(profile, day - DAY) != child_is_here(profile, day + DAY) or child_is_here(
        profile, day
    ) != child_is_here(profile, day - DAY)


def dates_of(key_dates: tuple[KeyDate, ...], kind: str, zone: str) -> tuple[date, ...]:
    """Local dates of the key dates of `kind` that still stand."""
    return tuple(localtime.local_date(k.at, zone) for k in key_dates if k.kind == kind and k.status in ("set", "done"))
