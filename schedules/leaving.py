"""What becomes of the steps that a sequence still had before it when it ends: each is dropped, with the reason."""

from __future__ import annotations

from datetime import datetime

from schedules import due, gate
from schedules.policy import Policy
from schedules.values import Drop, Enrollment, Pending, Reason, Thread


def left_over(thread: Thread, enrollment: Enrollment, policy: Policy, now: datetime, why: str) -> tuple[Drop, ...]:
    """One drop for each step that was due or had its date, in the order of the sequence.

    A step with several rounds to come is named once, by its first. What only an answer or an unknown date would have
    brought was never on its way.
    """
    first: dict[str, tuple[datetime, Pending]] = {}
    for pending in enrollment.agenda:
        falls_due = None if pending.asked_again else due.due_of(pending, enrollment, thread, policy)
        if falls_due is not None and (pending.step not in first or falls_due.at < first[pending.step][0]):
            first[pending.step] = (falls_due.at, pending)
    found = [first[step.id] for step in enrollment.sequence.steps if step.id in first]
    return tuple(_drop(thread, enrollment, pending, at, now, why) for at, pending in found)


def _drop(thread: Thread, enrollment: Enrollment, pending: Pending, due_at: datetime, now: datetime, why: str) -> Drop:
    was = "was" if due_at <= now else "would have been"
    ended = f"{enrollment.sequence.key} ended first ({why.rstrip('.')})"
    words = f"Not sent: {ended}; it {was} due {gate.say(due_at, thread)}."
    return Drop(
        enrollment=enrollment.id,
        step=pending.step,
        cycle=pending.cycle,
        outcome="dropped",
        reason=Reason(code="sequence_ended", words=words, inputs={"due_at": due_at.isoformat()}),
    )
