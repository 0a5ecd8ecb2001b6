"""What follows when a text does not arrive: the step's outcome, the thread, the phone, the people who must know."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from nudges.alerts import paging
from nudges.channels.base import Action
from nudges.families import care, snapshots
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Program
from nudges.models.safety import Task
from nudges.models.sequences import StepOutcome
from nudges.outbound import outbox
from nudges.outbound.status import CANCELLED, EXPIRED
from schedules import plan, state

_PHONE_PROBLEMS: Final = {Action.NUMBER_INVALID: "invalid", Action.NUMBER_LANDLINE: "landline"}
_TASK_DUE: Final = timedelta(days=1)


def end(
    session: Session,
    row: Outbox,
    *,
    from_status: str,
    to_status: str,
    reason: str,
    now: datetime,
    action: Action | None = None,
    has_gone: bool = False,
    **values: Any,
) -> bool:
    """Move a text to an end at which the parent does not have it, and do what follows. False: it had moved on.

    1. the parent is locked before the row, as everywhere, so that a STOP at this moment cannot deadlock
    2. an opt-out or a dead number that the carrier tells us of stops everything for this phone
    3. a nudge's step gets its outcome, and the thread forgets it; `has_gone` (nobody knows) keeps it as sent
    4. a crisis reply or page that was lost goes to a human
    """
    parent = snapshots.locked(session, row.parent_id) if row.parent_id is not None else None
    moved = outbox.move(session, row.id, from_status=from_status, to_status=to_status, reason=reason, now=now, **values)
    if not moved:
        return False
    if parent is not None:
        _tell_phone(session, parent, action, now=now)
        if row.gate:
            _forget(session, row, parent, to_status, reason, has_gone=has_gone, now=now)
    if row.category in outbox.URGENT:
        paging.report_undelivered(session, row, now, has_opted_out=action is Action.SUPPRESS)
    return True


def _tell_phone(session: Session, parent: Parent, action: Action | None, *, now: datetime) -> None:
    if action is Action.SUPPRESS and parent.status != "opted_out":
        care.opt_out(session, parent, how="the carrier says so", now=now, by="system:carrier")
    problem = _PHONE_PROBLEMS.get(action) if action is not None else None
    if problem is not None and parent.phone_problem is None:
        care.mark_phone_problem(session, parent, problem, now=now)
        session.add(
            Task(
                program_id=parent.program_id,
                family_id=parent.family_id,
                parent_id=parent.id,
                priority=2,
                kind="phone_problem",
                words=f"Texts cannot reach this parent: the number is {problem}. Ask for another one.",
                due_at=now + _TASK_DUE,
                created_at=now,
            )
        )


def _forget(
    session: Session,
    row: Outbox,
    parent: Parent,
    to_status: str,
    reason: str,
    *,
    has_gone: bool,
    now: datetime,
) -> None:
    outcome = {EXPIRED: "expired", CANCELLED: "dropped"}.get(to_status, "failed")
    if row.enrollment_id is not None:
        _correct_outcome(session, row, outcome, reason)
    if has_gone or parent.status not in ("active", "paused"):
        return
    policy = snapshots.policy_of(session.get_one(Program, parent.program_id))
    proposal = state.proposal_from_json(row.gate)
    thread = snapshots.thread_of(session, parent)
    thread = plan.unsent(thread, proposal, policy, now, expired=to_status == EXPIRED, reason=reason)
    snapshots.save_or_raise(session, parent, thread, now=now)


def _correct_outcome(session: Session, row: Outbox, outcome: str, reason: str) -> None:
    session.execute(
        update(StepOutcome)
        .where(
            StepOutcome.enrollment_id == row.enrollment_id,
            StepOutcome.step_id == row.step_id,
            StepOutcome.cycle == row.cycle,
        )
        .values(outcome=outcome, code=f"not_{'delivered' if outcome == 'failed' else 'sent'}", reason=reason)
        .execution_options(synchronize_session=False)
    )
