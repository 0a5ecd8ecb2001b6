"""Turns that change hands: whoever offers theirs keeps it until a colleague has taken it; gaps are free to take."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.alerts import on_call
from nudges.alerts.on_call import RotaError
from nudges.alerts.rota import Turn
from nudges.models.on_call import ROLES, RotaSwap
from nudges.models.program import Program, Staff

WEEKS_SHOWN: Final = 4


def rota_of(session: Session, program: Program, *, now: datetime) -> dict[str, tuple[Turn, ...]]:
    """The turns and gaps of each role in the next four weeks."""
    until = now + timedelta(weeks=WEEKS_SHOWN)
    return {role: on_call.turns_of(session, program, role, since=now, until=until) for role in ROLES}


def offer(
    session: Session, program: Program, person: Staff, *, role: str, starts_at: datetime, now: datetime
) -> RotaSwap:
    """Ask colleagues to take a turn of one's own. Raises RotaError when it is not theirs or is on offer already."""
    turn = _turn(session, program, role, starts_at, now=now)
    if turn.staff_id != person.id:
        raise RotaError("This turn is not yours to give away.")
    if _offered(session, program.id, role, starts_at) is not None:
        raise RotaError("This turn is on offer already.")
    row = RotaSwap(
        program_id=program.id,
        role=role,
        starts_at=turn.starts_at,
        ends_at=turn.ends_at,
        offered_by=person.id,
        offered_at=now,
        status="offered",
    )
    session.add(row)
    session.flush()
    return row


def withdraw(session: Session, swap: RotaSwap, person: Staff, *, now: datetime) -> None:
    """Take an offer back. Raises RotaError when somebody was faster, or when it is another person's."""
    if swap.offered_by != person.id:
        raise RotaError("Only whoever offered a turn can take the offer back.")
    if not _claim(session, swap, status="withdrawn", answered_at=now):
        raise RotaError("Somebody has taken this turn already.")


def take(session: Session, program: Program, swap: RotaSwap, person: Staff, *, now: datetime) -> None:
    """Take a colleague's turn: from here on it is this person's. One of two who ask at once gets it.

    Raises RotaError when it is gone, over, or this person cannot have it.
    """
    if swap.offered_by == person.id:
        raise RotaError("This is your own turn. Take the offer back instead.")
    if not _claim(session, swap, status="taken", taken_by=person.id, answered_at=now):
        raise RotaError("Somebody was faster, or the offer was taken back.")
    on_call.add_override(
        session,
        program,
        role=swap.role,
        starts_at=max(swap.starts_at, now),
        ends_at=swap.ends_at,
        staff_id=person.id,
        by_id=person.id,
        now=now,
    )


def fill_gap(
    session: Session, program: Program, person: Staff, *, role: str, starts_at: datetime, now: datetime
) -> None:
    """Take a stretch that nobody has. Raises RotaError when somebody has it by now."""
    turn = _turn(session, program, role, starts_at, now=now)
    if turn.staff_id is not None:
        raise RotaError("Somebody has this turn by now.")
    on_call.add_override(
        session,
        program,
        role=role,
        starts_at=max(turn.starts_at, now),
        ends_at=turn.ends_at,
        staff_id=person.id,
        by_id=person.id,
        now=now,
    )


def offers(session: Session, program_id: int, *, now: datetime) -> Sequence[RotaSwap]:
    """What is on offer and not over, the next first."""
    return session.scalars(
        select(RotaSwap)
        .where(RotaSwap.program_id == program_id, RotaSwap.status == "offered", RotaSwap.ends_at > now)
        .order_by(RotaSwap.starts_at, RotaSwap.id)
    ).all()


def _turn(session: Session, program: Program, role: str, starts_at: datetime, *, now: datetime) -> Turn:
    """The turn that starts then; a gap that has begun starts now, whenever that is."""
    if role not in ROLES:
        raise RotaError(f"The role should be one of: {', '.join(ROLES)}.")
    found = rota_of(session, program, now=now)[role]
    turn = next((turn for turn in found if turn.starts_at == starts_at or turn.covers(starts_at)), None)
    if turn is None:
        raise RotaError("There is no such turn any more. Look at the rota again.")
    return turn


def _offered(session: Session, program_id: int, role: str, starts_at: datetime) -> RotaSwap | None:
    return session.scalar(
        select(RotaSwap).where(
            RotaSwap.program_id == program_id,
            RotaSwap.role == role,
            RotaSwap.starts_at == starts_at,
            RotaSwap.status == "offered",
        )
    )


def _claim(session: Session, swap: RotaSwap, **values: Any) -> bool:
    changed = session.execute(
        update(RotaSwap)
        .where(RotaSwap.id == swap.id, RotaSwap.status == "offered")
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)
    session.refresh(swap)
    return changed.rowcount == 1
