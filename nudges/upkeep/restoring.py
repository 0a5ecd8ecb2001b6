"""After an older backup was restored: nothing that may have gone out since is sent again.

What the lost database sent between the backup and now is not in the restored one, and a text to a parent may not go
out twice. The core decides the same from the same, so the gap is lived through once more, moment by moment, with
nothing leaving: whatever would have been queued then is handed to reconciliation as a text whose end nobody knows. If
the provider lists it, it counts as sent; if not, it is given up with a reason, and never sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from nudges import tasks
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.messages import Inbound, Outbox
from nudges.models.program import Heartbeat, Lane, Program
from nudges.models.safety import LedgerEntry
from nudges.outbound import planner, reconcile
from nudges.outbound.send_check import SendCheck
from nudges.outbox import queue
from nudges.outbox.status import QUEUED, SENDING, UNKNOWN
from nudges.upkeep import backups, versions
from schedules.catalog import Library
from schedules.render import Rendered

MOST_MOMENTS: Final = 500  # looks at one parent in the gap; more is a rule that runs in circles
_BATCH: Final = 200
REASON: Final = "the database was restored: it may have gone out since the backup"


class NotRestored(Exception):
    """There is nothing to do, or it must not be done now; the message says which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """What was done about the time between the backup and now."""

    since: datetime
    until: datetime
    parents: int = 0
    texts: int = 0  # handed to reconciliation


def gap_of(session: Session, now: datetime, *, since: datetime | None = None) -> Gap:
    """From when the restored database is. Raises NotRestored when it holds nothing to tell."""
    mark = session.get(Heartbeat, backups.MARK)
    found = since or (mark.at if mark is not None else newest(session))
    if found is None:
        raise NotRestored("This database is empty: there is nothing to look after.")
    if found > now:
        raise NotRestored("The backup is from the future of this machine's clock. Set the clock first.")
    return Gap(since=found, until=now)


def newest(session: Session) -> datetime | None:
    """The newest trace of work in a database."""
    traces = (
        select(func.max(LedgerEntry.at)),
        select(func.max(Outbox.created_at)),
        select(func.max(Inbound.at)),
        select(func.max(Heartbeat.at)).where(Heartbeat.duty.in_(versions.DUTIES)),
    )
    return max((at for at in (session.scalar(trace) for trace in traces) if at is not None), default=None)


def settle(sessions: sessionmaker[Session], gap: Gap, *, library: Library, by: str) -> Gap:
    """Live through the gap, then let the lanes go. May be run again after a crash: what is done stays done.

    1. lanes stay paused
    2. each parent whose moment came in the gap is planned at those moments, one after another
    3. everything queued by then becomes `unknown`, looked up at the provider from the time of the backup on
    4. one task for people: what parents wrote in the gap is not here
    5. the mark goes, and the lanes are free
    """
    with sessions.begin() as session:
        session.execute(update(Lane).values(paused_until=gap.until + backups.FENCED_FOR, paused_reason=backups.FENCED))
    parents = _live_through(sessions, gap, library)
    texts = _doubt(sessions, gap, library)
    with sessions.begin() as session:
        _tell_staff(session, gap)
        session.execute(
            update(Lane)
            .where(Lane.paused_reason == backups.FENCED)
            .values(paused_until=None, paused_reason=None, owner=None, lease_until=None)
        )
        mark = session.get(Heartbeat, backups.MARK)
        if mark is not None:
            session.delete(mark)
        details = {"since": gap.since.isoformat(), "parents": parents, "texts": texts}
        record.append(session, at=gap.until, actor=by, action="database.restored", details=details)
    return Gap(since=gap.since, until=gap.until, parents=parents, texts=texts)


def _live_through(sessions: sessionmaker[Session], gap: Gap, library: Library) -> int:
    """Plan every parent at each of their moments up to now; nothing can leave. How many had one."""
    with sessions() as session:
        ids = planner.due_ids(session, gap.until, limit=10_000_000)
    for parent_id in ids:
        for _ in range(MOST_MOMENTS):
            with sessions.begin() as session:
                at = session.scalar(select(Parent.next_at).where(Parent.id == parent_id))
                if at is None or at > gap.until:
                    break
                planner.plan_one(session, parent_id, now=max(at, gap.since), library=library)
                moved = session.scalar(select(Parent.next_at).where(Parent.id == parent_id))
                if moved is not None and moved <= at:  # a look that changes nothing is not asked twice
                    session.execute(
                        update(Parent).where(Parent.id == parent_id).values(next_at=at + timedelta(minutes=1))
                    )
    return len(ids)


def _doubt(sessions: sessionmaker[Session], gap: Gap, library: Library) -> int:
    """Hand what is queued, or was being handed over, to reconciliation. How many texts."""
    total = 0
    while True:
        with sessions.begin() as session:
            rows = session.scalars(
                select(Outbox).where(Outbox.status.in_((QUEUED, SENDING))).order_by(Outbox.id).limit(_BATCH)
            ).all()
            check = SendCheck(session, rows, library=library, now=gap.until)
            for row in rows:
                _make_unknown(session, row, check.words_then(row), gap)
        total += len(rows)
        if len(rows) < _BATCH:
            return total


def _make_unknown(session: Session, row: Outbox, words: Rendered | None, gap: Gap) -> None:
    """As after a call that nobody saw the end of. It is looked up by its words: a nudge gets those that it had."""
    made = {} if words is None else {"body": words.text, "segments": words.segments.parts, "language": words.lang}
    if row.status == QUEUED:
        queue.move(
            session,
            row.id,
            from_status=QUEUED,
            to_status=SENDING,
            reason=REASON,
            now=gap.until,
            attempted_at=gap.since,
            claimed_by=reconcile.RESTORED,
            **made,
        )
    queue.move(
        session,
        row.id,
        from_status=SENDING,
        to_status=UNKNOWN,
        reason=REASON,
        now=gap.until,
        attempted_at=gap.since,
        not_before=gap.until,
    )


def _tell_staff(session: Session, gap: Gap) -> None:
    words = (
        f"The database was restored from {gap.since:%Y-%m-%d %H:%M} UTC. What parents wrote from then until "
        f"{gap.until:%Y-%m-%d %H:%M} UTC is not here: read it in the provider's log, above all anybody who asked to "
        "stop in their own words or was in danger, and enter families, dates and answers of that time again."
    )
    for program in session.scalars(select(Program)):
        tasks.open_task(session, program_id=program.id, kind="restored", words=words, now=gap.until, priority=tasks.NOW)
