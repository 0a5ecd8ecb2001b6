"""A person settles a question that must not stay open, such as who sees this phone, as the parent told them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from nudges import tasks
from nudges.alerts import holds
from nudges.families import snapshots
from nudges.families.enrolling import EnrollError
from nudges.inbound import keeping
from nudges.inbound.answering import LiveSequences
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.program import Program
from schedules import answers, localtime, progress
from schedules.values import Step, Thread


def open_question(thread: Thread) -> Step | None:
    """The step whose question must be settled; none when no such question is open."""
    question = thread.pace.question
    enrollment = thread.enrollment(question.enrollment) if question is not None and question.settles else None
    return enrollment.sequence.step(question.step) if enrollment is not None and question is not None else None


def settle(session: Session, parent: Parent, digit: str, *, staff_id: int, now: datetime) -> None:
    """Apply the answer that a parent gave to a person. No reply is texted. Raises EnrollError.

    1. the answer's effects, profile, tasks and hold; 2. the ledger says who settled it
    """
    parent = snapshots.locked(session, parent.id)
    thread = snapshots.thread_of(session, parent)
    step = open_question(thread)
    if step is None or digit not in step.answers:
        raise EnrollError("This question is not open any more, or has no such answer.")
    policy = snapshots.policy_of(session.get_one(Program, parent.program_id))
    library = LiveSequences(session, parent.program_id)
    outcome = answers.apply(progress.staff_done(thread), digit, policy, localtime.minute(now), library=library)

    def add_task(priority: int, words: str) -> None:
        tasks.ask_about(session, parent, kind="answer", words=words, now=now, priority=priority)

    keeping.Keeper(session=session, parent=parent, now=now, add_task=add_task, staff_id=staff_id).keep(outcome)
    if outcome.safety_hold:
        by = f"staff:{staff_id}"
        holds.place_hold(session, family_id=parent.family_id, parent_id=parent.id, kind="safety", now=now, by=by)
    record.append(
        session,
        at=now,
        actor=f"staff:{staff_id}",
        action="question.settled",
        family_id=parent.family_id,
        parent_id=parent.id,
        subject=f"step:{step.id}",
        details={"means": step.answers[digit].means},
    )
