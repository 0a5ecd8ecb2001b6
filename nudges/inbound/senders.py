"""Who is texting: a parent, somebody on call, or a number that we do not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, exists, func, select
from sqlalchemy.orm import Session

from nudges.families import snapshots
from nudges.models.family import Family, Parent
from nudges.models.on_call import StaffDuty, StoppedNumber
from nudges.models.program import Lane, Program, Staff
from nudges.models.safety import Alert, Hold, Task
from schedules.values import Profile

# Statements are built once: for each text anew, that costs more than the database does.
_TURN: Final = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("from_index"), 0)))
_FAMILIES_TURN: Final = (
    select(Family.id)
    .where(
        Family.id.in_(
            select(Parent.family_id).where(
                Parent.phone_index == bindparam("from_index"),
                Parent.program_id.in_(bindparam("programs", expanding=True)),
            )
        )
    )
    .order_by(Family.id)
    .with_for_update(key_share=True)
)
# Locked in the order that receipts use too.
_ENROLLED: Final = (
    select(Parent)
    .where(Parent.phone_index == bindparam("from_index"), Parent.program_id.in_(bindparam("programs", expanding=True)))
    .order_by(Parent.id)
    .with_for_update()
    .execution_options(populate_existing=True)
)
_STAFF: Final = (
    select(Staff)
    .where(
        Staff.on_call_phone_index == bindparam("from_index"),
        Staff.is_active,
        Staff.program_id.in_(bindparam("programs", expanding=True)),
    )
    .order_by(Staff.on_call_rank, Staff.id)
    .limit(1)
)
_NAMED: Final = select(Program).join(Lane, Lane.program_id == Program.id).where(Lane.sender == bindparam("to_number"))
_ALL: Final = select(Program).order_by(Program.id)


# What most texts find nothing of, asked for at once. A loop with a machine that the carrier has broken leaves a task.
_STANDING: Final = select(
    exists(
        select(Staff.id).where(
            Staff.on_call_phone_index == bindparam("from_index"),
            Staff.is_active,
            Staff.program_id.in_(bindparam("programs", expanding=True)),
        )
    ).label("is_staff"),
    exists(
        select(Alert.id).where(
            Alert.family_id == bindparam("family_id"),
            Alert.parent_id == bindparam("parent_id"),
            Alert.status != "resolved",
        )
    ).label("has_alert"),
    exists(select(Hold.id).where(Hold.family_id == bindparam("family_id"), Hold.released_at.is_(None))).label(
        "has_hold"
    ),
    exists(
        select(Task.id).where(
            Task.family_id == bindparam("family_id"),
            Task.parent_id == bindparam("parent_id"),
            Task.kind == "loop",
            Task.inbound_id.is_(None),
            Task.created_at > bindparam("since"),
        )
    ).label("is_resting"),
)
REST: Final = timedelta(hours=1)  # from automatic replies, after the carrier has broken a loop


@dataclass(frozen=True, kw_only=True, slots=True)
class Sender:
    """The person behind a number. `enrolled` are all parents with it, when programs share our number.

    `has_stopped`: our texts may not reach this number, because a STOP came from it and no START since.
    `has_alert` and `has_hold` say whether the parent's open alert and the family's holds need to be read, `is_resting`
    whether the carrier has broken a loop with this number within the hour.
    """

    program: Program
    parent: Parent | None = None
    enrolled: tuple[Parent, ...] = ()
    staff: Staff | None = None
    has_stopped: bool = False
    has_alert: bool = False
    has_hold: bool = False
    is_resting: bool = False

    @property
    def profile(self) -> Profile | None:
        return snapshots.profile_of(self.parent) if self.parent is not None else None


def take_turn(session: Session, from_index: str) -> None:
    """Handle the texts of one number one after the other, also when its provider delivers them at the same instant.

    On SQLite every transaction already holds the only write lock.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(_TURN, {"from_index": from_index})


def find(session: Session, from_index: str, *, to_number: str, now: datetime) -> Sender | None:
    """The sender of a text to our number. None before any program exists.

    The number that was texted names the program. A Messaging Service hides it behind several numbers: then the
    parent's own program counts, the one they were enrolled in last. Parents come fresh and are nobody else's until
    this transaction ends, and on PostgreSQL so are their families, because what one of the parents asks for touches
    the other's rows too; other rows may still be added to the family meanwhile.
    """
    programs = _programs(session, to_number)
    if not programs:
        return None
    ids = [program.id for program in programs]
    of = {"from_index": from_index, "programs": ids}
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(_FAMILIES_TURN, of)
    found = session.scalars(_ENROLLED, of).all()
    enrolled = sorted(found, key=lambda parent: (parent.status in ("opted_out", "ended"), -parent.id))
    parent = enrolled[0] if enrolled else None
    theirs = {
        "family_id": parent.family_id if parent is not None else None,
        "parent_id": parent.id if parent is not None else None,
        "since": now - REST,
    }
    standing = session.connection().execute(_STANDING, {**of, **theirs}).one()
    staff = session.scalars(_STAFF, of).one_or_none() if standing.is_staff else None
    program_id = parent.program_id if parent is not None else staff.program_id if staff is not None else ids[0]
    return Sender(
        program=session.get_one(Program, program_id),
        parent=parent,
        enrolled=tuple(enrolled),
        staff=staff,
        has_stopped=_has_stopped(session, from_index, parent, staff),
        has_alert=bool(standing.has_alert),
        has_hold=bool(standing.has_hold),
        is_resting=bool(standing.is_resting),
    )


def _has_stopped(session: Session, from_index: str, parent: Parent | None, staff: Staff | None) -> bool:
    if parent is not None:
        return parent.status == "opted_out"
    if staff is not None:
        duty = session.get(StaffDuty, staff.id)
        return duty is not None and duty.phone_stopped_at is not None
    return session.get(StoppedNumber, from_index) is not None


def _programs(session: Session, to_number: str) -> Sequence[Program]:
    named = session.scalars(_NAMED, {"to_number": to_number}).all()
    return named or session.scalars(_ALL).all()
