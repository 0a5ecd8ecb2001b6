"""A program's holidays: days on which nobody gets a text that we start. A calendar proposes, what is stored counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache
from typing import Final, TypeAlias

import holidays
from sqlalchemy.orm import Session

from nudges.families import programs
from nudges.ledger import record
from nudges.models.program import Program
from schedules.profile import Fault, day_range
from schedules.values import Profile

Range: TypeAlias = tuple[date, date]
LONGEST_NAME: Final = 60
LONGEST_DAYS: Final = 31  # a slip such as 2025..2035 would silence a program for years


class HolidayError(ValueError):
    """A day cannot be a holiday so; the message says what to mend."""


def with_holidays(profile: Profile, stored: tuple[Range, ...]) -> Profile:
    """A family's profile with its program's holidays: quiet days for everybody, and days without school."""
    return _merged(profile, stored) if stored else profile


@lru_cache(maxsize=4096)  # the core keeps what it worked out for a profile by its identity
def _merged(profile: Profile, stored: tuple[Range, ...]) -> Profile:
    return replace(profile, quiet_dates=(*profile.quiet_dates, *stored), no_school=(*profile.no_school, *stored))


def of(program: Program) -> tuple[Range, ...]:
    """First and last day of each holiday of a program, in order."""
    return tuple(sorted(day_range(days) for days in program.holidays))


def upcoming(program: Program, today: date) -> list[tuple[str, date, date, str]]:
    """What is stored and not over yet: the days as they are stored, the first, the last, and the name."""
    found = [(days, *day_range(days), name) for days, name in program.holidays.items()]
    return sorted((row for row in found if row[2] >= today), key=lambda row: row[1])


def regions(country: str) -> tuple[str, ...]:
    """States or provinces with holidays of their own; none for a country that the calendar does not know."""
    return tuple(holidays.list_supported_countries().get(country, ()))


def proposed(country: str, region: str, first: date, last: date) -> list[tuple[date, str]]:
    """Public holidays from `first` to `last`, of a whole country or of one region too."""
    if country not in holidays.list_supported_countries():
        return []
    years = range(first.year, last.year + 1)
    calendar = holidays.country_holidays(country, subdiv=region or None, years=years)
    return sorted((day, name) for day, name in calendar.items() if first <= day <= last)


def add(session: Session, program: Program, named: Mapping[str, str], *, staff_id: int, now: datetime) -> None:
    """Let days count, such as {"2025-12-24..2026-01-02": "Winter break"}. Raises HolidayError and adds none then."""
    for days, name in named.items():
        _check(days, name)
    program.holidays = {**program.holidays, **named}
    _changed(session, program, "holidays.added", sorted(named), staff_id=staff_id, now=now)


def _check(days: str, name: str) -> None:
    try:
        first, last = day_range(days)
    except Fault as fault:
        raise HolidayError(f"{fault}.") from None
    if (last - first).days >= LONGEST_DAYS:
        raise HolidayError(f"At most {LONGEST_DAYS} days at once: {days} has {(last - first).days + 1}.")
    if not name.strip() or len(name) > LONGEST_NAME:
        raise HolidayError(f"Give the day a name of at most {LONGEST_NAME} characters.")


def remove(session: Session, program: Program, days: str, *, staff_id: int, now: datetime) -> None:
    """Let days not count any more. What is not there is no fault: somebody else was faster."""
    if days in program.holidays:
        program.holidays = {kept: name for kept, name in program.holidays.items() if kept != days}
        _changed(session, program, "holidays.removed", [days], staff_id=staff_id, now=now)


def _changed(session: Session, program: Program, action: str, days: list[str], *, staff_id: int, now: datetime) -> None:
    programs.plan_anew(session, program, now=now)
    record.append(
        session,
        at=now,
        actor=f"staff:{staff_id}",
        action=action,
        subject=f"program:{program.id}",
        details={"days": days},
    )
