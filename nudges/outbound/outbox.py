"""The outbox: what is to be sent, claimed by one sender at a time, moved along the status table."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, bindparam, func, insert, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.families.withdrawing import withdraw_queued
from nudges.models.messages import Outbox, OutboxEvent
from nudges.models.program import Lane
from nudges.outbound.status import ALLOWED, QUEUED, SENDING, TERMINAL
from schedules import segments

PRIORITY: Final[Mapping[str, int]] = {
    "crisis_reply": 0,
    "staff_page": 1,
    "reply": 2,
    "person": 2,
    "system": 3,
    "nudge": 5,
}
URGENT: Final = frozenset({"crisis_reply", "staff_page"})
PURGED: Final = "the parent asked us to stop"
NO_LANE: Final = "This program has no sender. Add a lane before enrolling anyone."


_OUTBOX: Final[Table] = Outbox.metadata.tables[Outbox.__tablename__]
_EVENTS: Final[Table] = Outbox.metadata.tables[OutboxEvent.__tablename__]
_CLAIM: Final = (
    update(_OUTBOX)
    .where(_OUTBOX.c.id == bindparam("text"), _OUTBOX.c.status == QUEUED)
    .values(
        status=SENDING,
        status_reason="handing over",
        attempt_id=bindparam("attempt"),
        attempts=_OUTBOX.c.attempts + 1,
        attempted_at=bindparam("now"),
        claimed_by=bindparam("by"),
    )
)


class LostRace(RuntimeError):
    """Somebody else has claimed a text that we had locked: the database does not keep its word."""


class NoLane(LookupError):
    """The program has no sender yet, so nothing can be queued."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewText:
    """A text to queue: `to` in E.164, `body` as it will be read, `expires_at` the last moment that makes sense.

    `gate` is schedules.state.proposal_to_json for what the gate must be asked about again, empty for texts that no
    gate may stop. A nudge names its enrollment, step, cycle and version: the database refuses a second one.
    """

    category: str
    to: str
    body: str
    expires_at: datetime
    language: str = "en"
    not_before: datetime | None = None
    parent_id: int | None = None
    staff_id: int | None = None
    enrollment_id: int | None = None
    step_id: str | None = None
    cycle: int | None = None
    version_id: int | None = None
    reply_to_id: int | None = None
    alert_id: int | None = None
    gate: Mapping[str, Any] = field(default_factory=dict)


def enqueue(session: Session, text: NewText, *, program_id: int, now: datetime) -> Outbox:
    """Queue a text on the program's lane. Raises NoLane, ValueError (empty), IntegrityError (a second one)."""
    parts = segments.count(text.body).parts
    if not parts:
        raise ValueError("an empty text cannot be sent")
    row = Outbox(
        lane_id=lane_of(session, program_id),
        parent_id=text.parent_id,
        staff_id=text.staff_id,
        enrollment_id=text.enrollment_id,
        step_id=text.step_id,
        cycle=text.cycle,
        version_id=text.version_id,
        reply_to_id=text.reply_to_id,
        alert_id=text.alert_id,
        category=text.category,
        priority=PRIORITY[text.category],
        to=text.to,
        body=text.body,
        language=text.language,
        segments=parts,
        gate=dict(text.gate),
        status=QUEUED,
        not_before=text.not_before or now,
        expires_at=text.expires_at,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def lane_of(session: Session, program_id: int) -> int:
    """The program's lane. Parents stay with one sender: a change of number looks like a stranger. Raises NoLane."""
    lane_id = session.scalar(select(Lane.id).where(Lane.program_id == program_id).order_by(Lane.id).limit(1))
    if lane_id is None:
        raise NoLane(NO_LANE)
    return lane_id


def lanes_of(session: Session, program_ids: set[int]) -> dict[int, int]:
    """The lane of each program that has one."""
    rows = session.execute(
        select(Lane.program_id, func.min(Lane.id).label("lane_id"))
        .where(Lane.program_id.in_(program_ids))
        .group_by(Lane.program_id)
    )
    return {row.program_id: row.lane_id for row in rows}


def ready(session: Session, lane_id: int, *, now: datetime, limit: int) -> list[Outbox]:
    """Texts whose turn has come, most urgent first. On PostgreSQL rows that another sender looks at are skipped."""
    rows = (
        select(Outbox)
        .where(Outbox.lane_id == lane_id, Outbox.status == QUEUED, Outbox.not_before <= now)
        .order_by(Outbox.priority, Outbox.not_before, Outbox.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(rows))


def claim(session: Session, row: Outbox, *, claimed_by: str, now: datetime) -> str | None:
    """Take a queued text for one attempt. Returns the attempt's id, or none when somebody else was faster."""
    attempt_id = new_attempt()
    taken = move(
        session,
        row.id,
        from_status=QUEUED,
        to_status=SENDING,
        reason="handing over",
        now=now,
        attempt_id=attempt_id,
        attempts=Outbox.attempts + 1,
        attempted_at=now,
        claimed_by=claimed_by,
    )
    return attempt_id if taken else None


def new_attempt() -> str:
    """An id for one attempt, which the provider brings back with each callback."""
    return uuid.uuid4().hex


def claim_all(session: Session, attempts: Mapping[int, str], *, claimed_by: str, now: datetime) -> None:
    """Take queued texts, by id, for one attempt each. They were locked by `ready`, so nobody can have been faster.

    Raises LostRace all the same if somebody was: nothing of this transaction may stay then.
    """
    if not attempts:
        return
    rows = [{"text": id_, "attempt": attempt, "by": claimed_by, "now": now} for id_, attempt in attempts.items()]
    taken = session.connection().execute(_CLAIM, rows)
    if taken.rowcount != len(rows):
        raise LostRace("a text of this batch was claimed by somebody else")
    note_moves(session, attempts, from_status=QUEUED, to_status=SENDING, reason="handing over", now=now)


def note_moves(
    session: Session, ids: Iterable[int], *, from_status: str, to_status: str, reason: str, now: datetime
) -> None:
    """One event for each text that was moved."""
    moves = [
        {"outbox_id": id_, "from_status": from_status, "to_status": to_status, "reason": reason, "at": now}
        for id_ in ids
    ]
    if moves:
        session.connection().execute(insert(_EVENTS), moves)


def move(
    session: Session,
    outbox_id: int,
    *,
    from_status: str,
    to_status: str,
    reason: str,
    now: datetime,
    **values: Any,
) -> bool:
    """Move a text along the table and record it. False when it no longer has `from_status`: nothing was changed.

    `values` are further columns. Raises ValueError for a move that the table does not have.
    """
    if to_status not in ALLOWED[from_status]:
        raise ValueError(f"a text may not go from {from_status} to {to_status}")
    if to_status in TERMINAL:
        values.setdefault("settled_at", now)
    changed = session.execute(
        update(Outbox)
        .where(Outbox.id == outbox_id, Outbox.status == from_status)
        .values(status=to_status, status_reason=reason[:200], **values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)
    if changed.rowcount != 1:
        return False
    session.add(OutboxEvent(outbox_id=outbox_id, from_status=from_status, to_status=to_status, reason=reason, at=now))
    return True


def postpone(session: Session, row: Outbox, *, until: datetime) -> None:
    """Leave a queued text for later."""
    session.execute(
        update(Outbox)
        .where(Outbox.id == row.id, Outbox.status == QUEUED)
        .values(not_before=until)
        .execution_options(synchronize_session=False)
    )


def purge(session: Session, parent_id: int, *, now: datetime, reason: str = PURGED) -> int:
    """Take back everything queued for a parent; how many texts that were."""
    return withdraw_queued(session, parent_id, reason=reason, now=now)


def unsettled(session: Session, status: str, *, before: datetime, limit: int = 100) -> Sequence[Outbox]:
    """Texts that stand in `status` since before an instant, oldest first."""
    return session.scalars(
        select(Outbox)
        .where(Outbox.status == status, Outbox.attempted_at <= before)
        .order_by(Outbox.attempted_at)
        .limit(limit)
        .execution_options(populate_existing=True)
    ).all()
