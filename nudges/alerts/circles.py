"""Who a rung of the ladder calls at this moment, and who takes the place of somebody who cannot be reached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from nudges.alerts import ladder, on_call, reach
from nudges.alerts.ladder import Circle
from nudges.alerts.on_call import OnDuty
from nudges.alerts.reach import Ways
from nudges.families import staff as people
from nudges.models.messages import Inbound
from nudges.models.on_call import StaffAddress
from nudges.models.program import Program, Staff
from nudges.models.safety import Alert


@dataclass(frozen=True, kw_only=True, slots=True)
class Called:
    """Whom to page. `is_on_duty` is false when only people who are not on call are left to ask.

    `shut` are those who should have been paged but cannot be: shown, and replaced by the next one. `team` are the
    addresses of nobody in particular.
    """

    ways: tuple[Ways, ...]
    is_on_duty: bool
    shut: tuple[Staff, ...]
    team: tuple[StaffAddress, ...] = ()


def call(session: Session, alert: Alert, calls: Iterable[Circle], *, now: datetime) -> Called:
    """The people of these circles.

    1. whoever wrote the text is not paged about themselves
    2. a circle of whom nobody can be reached is replaced by the next person of first, backup, supervisor, leads
    3. with nobody left everyone who can be reached at all is called, though they are not on duty
    """
    roster = reach.roster(session, alert.program_id)
    duty = on_call.on_duty(session, alert.program_id, at=now, roster=roster)
    author = _author(session, alert)
    everybody = [way.person for way in roster.reachable if not _is(way.person, author)]
    can_come = {person.id for person in everybody}
    chosen: dict[int, Staff] = {}
    shut: dict[int, Staff] = {}
    vacant, on = 0, set(duty.ids)
    for circle in calls:
        members = everybody if circle is Circle.EVERYONE else _members(session, alert, circle, duty, now)
        members = [person for person in members if not _is(person, author)]
        there = [person for person in members if person.id in can_come]
        vacant += not there
        on |= {person.id for person in there} if circle is not Circle.EVERYONE else set()
        chosen |= {person.id: person for person in there}
        shut |= {person.id: person for person in members if person.id not in can_come}
    chosen |= _substitutes(duty, vacant, can_come, chosen)
    return Called(
        ways=tuple(roster.ways[person.id] for person in chosen.values() or everybody),
        is_on_duty=bool(on & set(chosen)),
        shut=tuple(shut.values()),
        team=roster.team,
    )


def _members(session: Session, alert: Alert, circle: Circle, duty: OnDuty, now: datetime) -> Sequence[Staff]:
    if circle is Circle.SAFEGUARDING:
        return duty.safeguarding
    if circle is Circle.COUNSELORS:
        zone = session.get_one(Program, alert.program_id).timezone
        is_theirs = alert.family_id is not None and ladder.is_office_hour(now, zone)
        return people.counselors_of(session, alert.family_id or 0) if is_theirs else ()
    one = {Circle.FIRST: duty.first, Circle.BACKUP: duty.backup, Circle.SUPERVISOR: duty.supervisor}[circle]
    return (one,) if one is not None else ()


def _substitutes(duty: OnDuty, vacant: int, can_come: set[int], chosen: dict[int, Staff]) -> dict[int, Staff]:
    chain = (duty.first, duty.backup, duty.supervisor, *duty.safeguarding)
    free = [p for p in chain if p is not None and p.id in can_come and p.id not in chosen]
    return {person.id: person for person in free[:vacant]}


def _author(session: Session, alert: Alert) -> str | None:
    """The fingerprint of the number that the alert is about."""
    first = session.get(Inbound, alert.inbound_id) if alert.inbound_id is not None else None
    return first.from_index if first is not None else None


def _is(person: Staff, author: str | None) -> bool:
    return author is not None and person.on_call_phone_index == author
