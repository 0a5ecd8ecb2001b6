"""A clock that stood ahead and was put right: noticed by a heartbeat from the future, and its instants undone.

What happened cannot lie ahead of us. So a heartbeat of ours that does is the trace of a wrong clock, and whatever was
planned by it would wait for that day: it is planned again, and people are told.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from nudges import tasks
from nudges.families import snapshots
from nudges.ledger import record
from nudges.models.messages import Outbox
from nudges.models.on_call import StaffNotice
from nudges.models.program import Heartbeat, Lane, Program
from nudges.models.safety import Alert
from nudges.models.sequences import Enrollment, StepOutcome
from nudges.outbound import error_policy, send_check, undelivered
from nudges.outbox import queue
from nudges.outbox.status import CANCELLED, QUEUED

logger = logging.getLogger(__name__)

WATCH: Final = "watch"  # the duty that looks: its own heartbeat is the trace, since every other beat writes a new one
TOLERANCE: Final = timedelta(minutes=1)  # clocks of several machines, and small corrections
KIND: Final = "clock"


def mend(sessions: sessionmaker[Session], *, now: datetime) -> int:
    """Notice a clock that was set back, and undo what it wrote while it stood ahead. Parents that are planned again.

    1. texts that it queued are planned anew, or may go now
    2. whoever it planned for is looked at again; the core leaves out what lies ahead of now (pacing.without_future)
    3. lanes that rest, alerts that escalate and notices that wait do so from now on
    4. one task for each program, and the heartbeat is put right, so that this happens once
    """
    with sessions.begin() as session:
        beat = session.get(Heartbeat, WATCH)
        if beat is None or beat.at <= now + TOLERANCE:
            return 0
        ahead = beat.at - now
    logger.error("the clock was set back", extra={"action": "clock", "seconds": round(ahead.total_seconds())})
    parents = _texts(sessions, now)
    with sessions.begin() as session:
        parents |= _parents_of_steps(session, now)
        _look_again(session, parents, now)
        _lanes(session, now)
        _alerts(session, now)
        _tell_staff(session, ahead, len(parents), now)
        session.execute(update(Heartbeat).where(Heartbeat.at > now).values(at=now))
    return len(parents)


def _texts(sessions: sessionmaker[Session], now: datetime) -> set[int]:
    """Undo what the wrong clock queued; each in a transaction of its own, since its parent is locked first."""
    with sessions() as session:
        rows = queue.written_ahead(session, after=now + TOLERANCE)
        written = [(row.id, row.parent_id, row.status, bool(row.gate)) for row in rows]
    for outbox_id, _, status, is_planned in written:
        if status == QUEUED:
            with sessions.begin() as session:
                _undo(session, session.get_one(Outbox, outbox_id), is_planned=is_planned, now=now)
    return {parent_id for _, parent_id, _, is_planned in written if parent_id is not None and is_planned}


def _undo(session: Session, row: Outbox, *, is_planned: bool, now: datetime) -> None:
    if not is_planned:
        queue.postpone(session, row, until=now)
        return
    undelivered.end(
        session,
        row,
        from_status=QUEUED,
        to_status=CANCELLED,
        reason=send_check.CLOCK_WAS_AHEAD,
        now=now,
        anew=True,
    )


def _parents_of_steps(session: Session, now: datetime) -> set[int]:
    """Of whom a step became due, or did not go, by that clock."""
    newest = (session.scalar(select(func.max(StepOutcome.id))) or 0) - queue.NEWEST
    return set(
        session.scalars(
            select(Enrollment.parent_id)
            .join(StepOutcome, StepOutcome.enrollment_id == Enrollment.id)
            .where(StepOutcome.id > newest, StepOutcome.at > now + TOLERANCE)
        )
    )


def _look_again(session: Session, parents: set[int], now: datetime) -> None:
    for parent_id in sorted(parents):
        snapshots.look_again(snapshots.locked(session, parent_id), now=now)


def _lanes(session: Session, now: datetime) -> None:
    """Whoever was told to wait asks again: the provider says so once more if it must be."""
    session.execute(
        update(Lane)
        .where(Lane.paused_until > now, Lane.paused_reason.startswith(error_policy.TOLD_TO_WAIT))
        .values(paused_until=now)
    )
    session.execute(update(Lane).where(Lane.tokens_at > now).values(tokens_at=now))
    ahead = (StaffNotice.status == "queued", StaffNotice.created_at > now + TOLERANCE)
    session.execute(update(StaffNotice).where(*ahead).values(not_before=now))


def _alerts(session: Session, now: datetime) -> None:
    """Somebody waits for an answer: what was raised by that clock escalates as long after now as it was to."""
    rows = session.scalars(select(Alert).where(Alert.status == "open", Alert.raised_at > now + TOLERANCE))
    for alert in rows:
        if alert.escalate_at is not None:
            alert.escalate_at = now + max(timedelta(), alert.escalate_at - alert.raised_at)


def _tell_staff(session: Session, ahead: timedelta, parents: int, now: datetime) -> None:
    hours, minutes = divmod(round(ahead.total_seconds() / 60), 60)
    span = " and ".join(
        f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in ((hours, "hour"), (minutes, "minute")) if count
    )
    words = (
        f"The clock of this machine was {span} ahead, and is right again. Texts that it planned for {parents} "
        f"parent{'' if parents == 1 else 's'} were planned anew; what went out then went too early. Look through the "
        "texts out in Records, and ask your operator what set the clock."
    )
    for program in session.scalars(select(Program)):
        if tasks.waiting(session, KIND, program_id=program.id) is None:
            tasks.open_task(session, program_id=program.id, kind=KIND, words=words, priority=tasks.NOW, now=now)
    details = {"seconds": round(ahead.total_seconds()), "parents": parents}
    record.append(session, at=now, actor="system:watch", action="clock.set_back", details=details)
