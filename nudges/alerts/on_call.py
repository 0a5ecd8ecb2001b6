"""The on-call rota of a program: the pattern, its exceptions, who is on duty at an instant, where it has gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from nudges.alerts import reach, rota
from nudges.alerts.reach import Roster
from nudges.alerts.rota import Turn
from nudges.families import staff as people
from nudges.ledger import record
from nudges.models.on_call import ROLES, RotaOverride, RotaShift, StaffDuty
from nudges.models.program import Program, Staff

FIRST, BACKUP, SUPERVISOR, SAFEGUARDING = ROLES
IN_ORDER: Final = (FIRST, BACKUP, SUPERVISOR)
LOOK_AHEAD: Final = timedelta(days=7)


_PATTERN: Final = select(RotaShift).where(RotaShift.program_id == bindparam("program_id"))
_OVERRIDES: Final = (
    select(RotaOverride)
    .where(RotaOverride.program_id == bindparam("program_id"))
    .where(RotaOverride.ends_at > bindparam("since"), RotaOverride.cancelled_at.is_(None))
)


class RotaError(ValueError):
    """A turn cannot be like this; the message says what is wrong and how to mend it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OnDuty:
    """Who has which role at an instant. None where the rota has a gap."""

    first: Staff | None
    backup: Staff | None
    supervisor: Staff | None
    safeguarding: tuple[Staff, ...]

    @property
    def ids(self) -> frozenset[int]:
        everybody = (self.first, self.backup, self.supervisor, *self.safeguarding)
        return frozenset(person.id for person in everybody if person is not None)


def on_duty(session: Session, program_id: int, *, at: datetime, roster: Roster | None = None) -> OnDuty:
    """Who is on call at an instant.

    A role that is in the weekly pattern has whom the rota names, also when that is nobody. A role without a pattern
    is filled from the standing order (Staff.on_call_rank), so that a small program needs no rota. The safeguarding
    leads are those whom an admin marked so, unless the rota names one. `roster` is for a caller that has read it.
    """
    roster = roster or reach.roster(session, program_id)
    program = session.get_one(Program, program_id)
    book = _book(session, program, frozenset(roster.ways), since=at)
    now_on = {role: _turn(book, role, at) for role in ROLES}
    taken = {turn.staff_id for turn in now_on.values()}
    standing = [person for person in roster.standing if person.id not in taken]
    named: dict[str, Staff | None] = {}
    for role in ROLES:
        turn = now_on[role]
        is_free = turn.staff_id is None and not turn.is_exception and role in IN_ORDER
        if is_free and standing and role not in book.roles:
            named[role] = standing.pop(0)
        else:
            named[role] = roster.person(turn.staff_id)
    lead = named[SAFEGUARDING]
    return OnDuty(
        first=named[FIRST],
        backup=named[BACKUP],
        supervisor=named[SUPERVISOR],
        safeguarding=(lead,) if lead is not None else roster.leads,
    )


def is_in_rota(session: Session, program_id: int, role: str) -> bool:
    """Has the weekly pattern a turn of this role?"""
    row = select(RotaShift.id).where(RotaShift.program_id == program_id, RotaShift.role == role).limit(1)
    return session.scalar(row) is not None


def duty_of(session: Session, staff_id: int) -> StaffDuty:
    """A person's safety duties; a new row when they have none yet."""
    row = session.get(StaffDuty, staff_id)
    if row is None:
        row = StaffDuty(staff_id=staff_id, is_safeguarding_lead=False, is_trained_in_aftercare=False)
        session.add(row)
        session.flush()
    return row


def set_duties(
    session: Session,
    person: Staff,
    *,
    is_safeguarding_lead: bool,
    is_trained_in_aftercare: bool,
    by: str,
    now: datetime,
) -> None:
    """Say what a person may do in safety matters."""
    row = duty_of(session, person.id)
    row.is_safeguarding_lead, row.is_trained_in_aftercare = is_safeguarding_lead, is_trained_in_aftercare
    details = {"safeguarding_lead": is_safeguarding_lead, "trained_in_aftercare": is_trained_in_aftercare}
    record.append(session, at=now, actor=by, action="staff.duties", subject=f"staff:{person.id}", details=details)


def turns_of(session: Session, program: Program, role: str, *, since: datetime, until: datetime) -> tuple[Turn, ...]:
    """The turns and gaps of a role. The turns of a closed account are gaps."""
    active = select(Staff.id).where(Staff.program_id == program.id, Staff.is_active)
    book = _book(session, program, frozenset(session.scalars(active)), since=since)
    return _turns_in(book, role, since=since, until=until)


def gaps(session: Session, program: Program, *, since: datetime, until: datetime) -> tuple[Turn, ...]:
    """When nobody is first on call. A program without a pattern has its standing order."""
    found = turns_of(session, program, FIRST, since=since, until=until)
    is_standing = not is_in_rota(session, program.id, FIRST) and bool(people.on_call(session, program.id))
    return tuple(turn for turn in found if turn.staff_id is None and (turn.is_exception or not is_standing))


def add_shift(
    session: Session,
    program: Program,
    *,
    role: str,
    weekday: int,
    start_minute: int,
    end_minute: int,
    staff_id: int,
    by: str,
    now: datetime,
) -> RotaShift:
    """Give somebody a turn of the weekly pattern, in place of whoever had the one that starts then.

    Raises RotaError for a role or time that does not exist, and for somebody who cannot have it.
    """
    if not (0 <= weekday <= 6 and 0 <= start_minute < 1440 and 0 <= end_minute < 1440):
        raise RotaError("A turn needs a day of the week, and a start and an end between 00:00 and 23:59.")
    _check_person(session, program.id, role, staff_id)
    session.execute(
        delete(RotaShift).where(
            RotaShift.program_id == program.id,
            RotaShift.role == role,
            RotaShift.weekday == weekday,
            RotaShift.start_minute == start_minute,
        )
    )
    row = RotaShift(
        program_id=program.id,
        role=role,
        weekday=weekday,
        start_minute=start_minute,
        end_minute=end_minute,
        staff_id=staff_id,
    )
    session.add(row)
    session.flush()
    details = {"role": role, "weekday": weekday, "start": start_minute, "end": end_minute, "staff": staff_id}
    record.append(session, at=now, actor=by, action="rota.turn_set", subject=f"program:{program.id}", details=details)
    return row


def remove_shift(session: Session, program: Program, shift_id: int, *, by: str, now: datetime) -> bool:
    """Take a turn out of the weekly pattern. False when there is no such turn."""
    row = session.get(RotaShift, shift_id)
    if row is None or row.program_id != program.id:
        return False
    session.delete(row)
    session.flush()
    details = {"role": row.role, "weekday": row.weekday, "start": row.start_minute, "staff": row.staff_id}
    subject = f"program:{program.id}"
    record.append(session, at=now, actor=by, action="rota.turn_removed", subject=subject, details=details)
    return True


def add_override(
    session: Session,
    program: Program,
    *,
    role: str,
    starts_at: datetime,
    ends_at: datetime,
    staff_id: int | None,
    by_id: int | None,
    now: datetime,
) -> RotaOverride:
    """A dated exception: this person, or nobody, has the role from `starts_at` to `ends_at`. Raises RotaError."""
    if ends_at <= starts_at:
        raise RotaError("The exception should end after it starts.")
    if ends_at <= now:
        raise RotaError("The exception lies in the past.")
    if role not in ROLES:
        raise RotaError(f"The role should be one of: {', '.join(ROLES)}.")
    if staff_id is not None:
        _check_person(session, program.id, role, staff_id)
    row = RotaOverride(
        program_id=program.id,
        role=role,
        starts_at=starts_at,
        ends_at=ends_at,
        staff_id=staff_id,
        made_by=by_id,
        made_at=now,
    )
    session.add(row)
    session.flush()
    details = {"role": role, "from": starts_at.isoformat(), "to": ends_at.isoformat(), "staff": staff_id}
    _record_exception(session, row, "rota.exception_set", by_id, now, details)
    return row


def cancel_override(session: Session, program: Program, override_id: int, *, by_id: int, now: datetime) -> bool:
    """Take an exception back: the pattern counts again. False when there is no such exception."""
    row = session.get(RotaOverride, override_id)
    if row is None or row.program_id != program.id or row.cancelled_at is not None:
        return False
    row.cancelled_at = now
    session.flush()
    _record_exception(session, row, "rota.exception_cancelled", by_id, now, {"role": row.role})
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class _Book:
    """The rota as it is stored, read once for all roles."""

    pattern: Sequence[RotaShift]
    overrides: Sequence[RotaOverride]
    active: frozenset[int]
    zone: str

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(shift.role for shift in self.pattern)


def _book(session: Session, program: Program, active: frozenset[int], *, since: datetime) -> _Book:
    """What counts from `since` on. `active` are the ids of those whose account is open."""
    of = {"program_id": program.id, "since": since}
    return _Book(
        pattern=session.scalars(_PATTERN, of).all(),
        overrides=session.scalars(_OVERRIDES, of).all(),
        active=active,
        zone=program.timezone,
    )


def _turns_in(book: _Book, role: str, *, since: datetime, until: datetime) -> tuple[Turn, ...]:
    found = rota.turns(role, book.pattern, book.overrides, zone=book.zone, since=since, until=until)
    return tuple(turn if turn.staff_id in book.active else replace(turn, staff_id=None) for turn in found)


def _turn(book: _Book, role: str, at: datetime) -> Turn:
    found = _turns_in(book, role, since=at, until=at + timedelta(minutes=1))
    return next(turn for turn in found if turn.covers(at))


def _check_person(session: Session, program_id: int, role: str, staff_id: int) -> None:
    if role not in ROLES:
        raise RotaError(f"The role should be one of: {', '.join(ROLES)}.")
    person = session.get(Staff, staff_id)
    if person is None or person.program_id != program_id or not person.is_active:
        raise RotaError("Choose somebody of this program whose account is open.")
    if role == SAFEGUARDING and not duty_of(session, staff_id).is_safeguarding_lead:
        raise RotaError("Only a safeguarding lead can have this turn. Mark the person as one first.")
    if not reach.ways_of(session, [person])[person.id].is_open:
        raise RotaError("This person has no phone and no address for pages. Give them one first.")


def _record_exception(
    session: Session, row: RotaOverride, action: str, by_id: int | None, now: datetime, details: Mapping[str, Any]
) -> None:
    actor = f"staff:{by_id}" if by_id is not None else "system:cli"
    record.append(session, at=now, actor=actor, action=action, subject=f"exception:{row.id}", details=details)
