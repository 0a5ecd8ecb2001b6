"""Taking back what is queued for a parent: after STOP, at the end, or when a person says so."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nudges.models.messages import Outbox
from nudges.models.sequences import StepOutcome
from nudges.outbox import queue
from nudges.outbox.status import CANCELLED, QUEUED


def withdraw_queued(
    session: Session, parent_id: int, *, reason: str, now: datetime, enrollment_id: int | None = None
) -> int:
    """Cancel every queued text to this parent, or only those of one enrollment. Returns how many.

    What is already being handed over cannot be taken back. Each step that was on its way becomes a dropped one
    with this reason, so that the family page says why nothing came.
    """
    which = [Outbox.parent_id == parent_id]
    if enrollment_id is not None:
        which.append(Outbox.enrollment_id == enrollment_id)
    withdrawn = queue.move_all(session, which, from_status=QUEUED, to_status=CANCELLED, reason=reason, now=now)
    drop_steps(session, withdrawn, code="WITHDRAWN", reason=reason)
    return len(withdrawn)


def drop_steps(
    session: Session, outbox_ids: Collection[int], *, code: str, reason: str, outcome: str = "dropped"
) -> None:
    """The steps of texts that did not go after all: what was planned as sent becomes `outcome`."""
    if not outbox_ids:
        return
    steps = select(Outbox.enrollment_id, Outbox.step_id, Outbox.cycle).where(
        Outbox.id.in_(outbox_ids), Outbox.enrollment_id.is_not(None)
    )
    for enrollment_id, step_id, cycle in session.execute(steps):
        session.execute(
            update(StepOutcome)
            .where(
                StepOutcome.enrollment_id == enrollment_id,
                StepOutcome.step_id == step_id,
                StepOutcome.cycle == cycle,
            )
            .values(outcome=outcome, code=code, reason=reason)
            .execution_options(synchronize_session=False)
        )
