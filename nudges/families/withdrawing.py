"""Taking back what is queued for a parent: after STOP, at the end, or when a person says so."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from nudges.models.messages import Outbox, OutboxEvent
from nudges.models.sequences import StepOutcome


def withdraw_queued(
    session: Session, parent_id: int, *, reason: str, now: datetime, enrollment_id: int | None = None
) -> int:
    """Cancel every queued text to this parent, or only those of one enrollment. Returns how many.

    What is already being handed over cannot be taken back. Each step that was on its way becomes a dropped one
    with this reason, so that the family page says why nothing came.
    """
    queued = select(Outbox.id).where(Outbox.parent_id == parent_id, Outbox.status == "queued")
    if enrollment_id is not None:
        queued = queued.where(Outbox.enrollment_id == enrollment_id)
    withdrawn = session.execute(
        update(Outbox)
        .where(Outbox.id.in_(queued), Outbox.status == "queued")
        .values(status="cancelled", status_reason=reason, settled_at=now)
        .returning(Outbox.id, Outbox.enrollment_id, Outbox.step_id, Outbox.cycle)
        .execution_options(synchronize_session=False)
    ).all()
    if withdrawn:
        moves = [
            {"outbox_id": row.id, "from_status": "queued", "to_status": "cancelled", "reason": reason, "at": now}
            for row in withdrawn
        ]
        session.execute(insert(OutboxEvent), moves)
    for row in withdrawn:
        if row.enrollment_id is not None:
            _drop_step(session, row.enrollment_id, row.step_id, row.cycle, reason)
    return len(withdrawn)


def _drop_step(session: Session, enrollment_id: int, step_id: str, cycle: int, reason: str) -> None:
    session.execute(
        update(StepOutcome)
        .where(
            StepOutcome.enrollment_id == enrollment_id,
            StepOutcome.step_id == step_id,
            StepOutcome.cycle == cycle,
        )
        .values(outcome="dropped", code="WITHDRAWN", reason=reason)
        .execution_options(synchronize_session=False)
    )
