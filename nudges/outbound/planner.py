"""Planning: what is due for each parent, decided by the core, stored in one transaction a batch.

A nudge is queued as what to say; its words are made when it is handed over (see send_check).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, insert, literal, select, update
from sqlalchemy.orm import Session, sessionmaker

from nudges import tasks
from nudges.families import enrolling, snapshots
from nudges.families.snapshots import Moved, StaleParent
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.program import Program
from nudges.models.sequences import Enrollment, StepOutcome
from nudges.outbox import queue
from schedules import localtime, pacing, run, state
from schedules.catalog import Library
from schedules.policy import Policy
from schedules.values import Ask, Drop, Finish, Onward, Proposal, Reason, Send, StaffTask, Thread

logger = logging.getLogger(__name__)

BATCH: Final = 500  # parents in one transaction: a STOP waits no longer than one batch takes
MOST: Final = 5000  # parents in one beat, so that its heartbeat is not late
POISONED: Final = timedelta(hours=1)  # until a parent whose plan failed is looked at again
ACTOR: Final = "system:planner"


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What one beat did: parents looked at, texts queued, parents whose plan failed."""

    parents: int = 0
    queued: int = 0
    failed: int = 0

    def __add__(self, other: Planned) -> Planned:
        return Planned(
            parents=self.parents + other.parents,
            queued=self.queued + other.queued,
            failed=self.failed + other.failed,
        )


def due_ids(session: Session, now: datetime, limit: int = BATCH) -> list[int]:
    """Parents whose moment has come, the longest overdue first."""
    return list(session.scalars(select(Parent.id).where(_is_due(now)).order_by(Parent.next_at).limit(limit)))


def _may_be_planned() -> ColumnElement[bool]:
    # Spelled out, or SQLite does not see that the partial index holds them.
    return Parent.status.in_([literal(status, literal_execute=True) for status in ("active", "paused")])


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(_may_be_planned(), Parent.next_at.is_not(None), Parent.next_at <= now)


def plan_due(
    sessions: sessionmaker[Session], *, now: datetime, library: Library, limit: int = MOST, batch: int = BATCH
) -> Planned:
    """Plan everybody whose moment has come, `batch` parents in one transaction, at most `limit` in all.

    Somebody else planning the same parents is harmless: they are left out, or one of the two is rolled back. A parent
    whose plan fails is looked at again an hour later, and the others go on.
    """
    done = Planned()
    while done.parents < limit:
        size = min(batch, limit - done.parents)
        planned = _plan_batch(sessions, size, now=now, library=library)
        done += planned
        if planned.parents < size:
            break
    return done


def plan_one(session: Session, parent_id: int, *, now: datetime, library: Library) -> int:
    """Carry out all that the core decides for this parent now. Returns how many texts were queued.

    Raises what the core raises, and StaleParent when somebody else wrote the parent meanwhile.
    """
    session.flush()
    one = select(Parent).where(Parent.id == parent_id, _may_be_planned()).with_for_update()
    parents = session.scalars(one.execution_options(populate_existing=True)).all()
    batch = _Batch(session, parents, now=now, library=library)
    for parent in parents:
        batch.plan(parent)
    batch.store()
    session.expire_all()  # what this session holds of the parent was written past it
    return len(batch.texts)


def _plan_batch(sessions: sessionmaker[Session], limit: int, *, now: datetime, library: Library) -> Planned:
    """One transaction for the next `limit` parents; when it falls, each of them in one of their own."""
    ids: list[int] = []
    try:
        with sessions.begin() as session:
            due = session.scalars(
                select(Parent)
                .where(_is_due(now))
                .order_by(Parent.next_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            ).all()
            ids = [parent.id for parent in due]
            batch = _Batch(session, due, now=now, library=library)
            for parent in due:
                batch.plan_or_put_off(parent)
            batch.store()
        return Planned(parents=len(ids), queued=len(batch.texts), failed=batch.failed)
    except Exception as error:
        if not ids:
            raise
        logger.info("a batch is planned one by one: %s", type(error).__name__, extra={"action": "plan"})
    return sum((_alone(sessions, parent_id, now=now, library=library) for parent_id in ids), Planned())


def _alone(sessions: sessionmaker[Session], parent_id: int, *, now: datetime, library: Library) -> Planned:
    try:
        with sessions.begin() as session:
            return Planned(parents=1, queued=plan_one(session, parent_id, now=now, library=library))
    except StaleParent:
        logger.info("somebody else planned this parent", extra={"action": "plan", "parent_id": parent_id})
        return Planned(parents=1)
    except Exception as error:
        _say_failed(parent_id, error)
        with sessions.begin() as session:
            session.execute(
                update(Parent)
                .where(Parent.id == parent_id)
                .values(next_at=now + POISONED, next_reason=_why(error), revision=Parent.revision + 1)
            )
        return Planned(parents=1, failed=1)


@dataclass(kw_only=True, slots=True)
class _Work:
    """The rows that one look at a parent leads to."""

    texts: list[tuple[int, queue.NewText]] = field(default_factory=list)  # with their lane
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)
    entries: list[record.Entry] = field(default_factory=list)


class _Batch:
    """Parents who are planned in one transaction: read in a few queries, decided one by one, stored in a few more."""

    def __init__(self, session: Session, parents: Sequence[Parent], *, now: datetime, library: Library) -> None:
        self.session, self.now, self.failed = session, now, 0
        self.ideas = library.ideas
        self.begun_for: int | None = None  # the last parent for whom a row was stored while deciding
        self.minute = localtime.minute(now)
        self.rows = snapshots.Rows(session, parents)
        ids = {parent.program_id for parent in parents}
        self.policies = {
            program.id: snapshots.policy_of(program)
            for program in session.scalars(select(Program).where(Program.id.in_(ids)))
        }
        self.lanes = queue.lanes_of(session, ids)
        self.offered = {program_id: enrolling.Offered(session, program_id) for program_id in ids}
        self.moved: list[Moved] = []
        self.done = _Work()

    @property
    def texts(self) -> Sequence[object]:
        """What was queued."""
        return self.done.texts

    def plan_or_put_off(self, parent: Parent) -> None:
        """Plan a parent, or have somebody whose plan fails wait for an hour."""
        try:
            self.plan(parent)
        except Exception as error:
            if self.begun_for == parent.id:
                raise  # an enrollment of theirs is stored already: it must fall with the transaction
            _say_failed(parent.id, error)
            self.failed += 1
            _rest(parent, until=self.now + POISONED, why=_why(error))

    def plan(self, parent: Parent) -> None:
        """Decide, and note what is to be stored. Raises what the core raises, and NoLane."""
        if parent.phone_problem is not None:
            _rest(parent, until=None, why="this number cannot be texted")
            return
        looked = _Look(self, parent)
        looked.take()
        self.moved.append(looked.moved)
        for mine, of_all in ((getattr(looked.work, name), getattr(self.done, name)) for name in _LISTS):
            of_all.extend(mine)

    def store(self) -> None:
        """Write everything. Raises StaleParent when somebody else wrote a parent meanwhile, IntegrityError for a
        second text or outcome of one step: then the whole transaction must fall."""
        queue.enqueue_all(self.session, self.done.texts, now=self.now)
        if self.done.outcomes:
            self.session.execute(insert(StepOutcome), self.done.outcomes)
        tasks.open_tasks(self.session, self.done.tasks)
        snapshots.save_all(self.session, self.moved)
        if self.done.ended:
            self.session.execute(update(Enrollment), self.done.ended)
        record.append_all(self.session, self.done.entries)


_LISTS: Final = ("texts", "outcomes", "tasks", "ended", "entries")


class _Look:
    """One parent: what the core decides until it waits, as rows."""

    def __init__(self, batch: _Batch, parent: Parent) -> None:
        self.batch, self.parent, self.now = batch, parent, batch.now
        self.policy: Policy = batch.policies[parent.program_id]
        self.was = batch.rows.thread(parent)
        self.basis = state.basis(self.was)
        self.versions = {str(row.id): row.version_id for row, _ in batch.rows.enrollments(parent)}
        self.work = _Work()

    def take(self) -> None:
        """Decide, and make rows of it. Raises run.Circling, NoLane, and what the core raises."""
        offered = self.batch.offered[self.parent.program_id]
        thread = replace(self.was, pace=pacing.without_future(self.was.pace, self.batch.minute))
        done = run.until_wait(
            thread,
            self.policy,
            self.batch.minute,
            library=offered,
            new_id=self.begin,
            ideas=self.batch.ideas,
        )
        for taken in done.taken:
            self.carry_out(taken)
        if done.thread.status != self.parent.status:
            self.enter_status(done.thread.status)
        self.moved = Moved(parent=self.parent, was=self.was, thread=done.thread, look=done.look)

    def begin(self, key: str) -> str:
        """The row of an enrollment that begins by itself."""
        version = self.batch.offered[self.parent.program_id].version(key)
        row = Enrollment(
            parent_id=self.parent.id, sequence_key=key, version_id=version.id, started_at=self.now, state={}
        )
        self.batch.begun_for = self.parent.id
        self.batch.session.add(row)
        self.batch.session.flush()
        self.versions[str(row.id)] = version.id
        self.enter("sequence.started", subject=f"sequence:{key}", details={"version": version.number})
        return str(row.id)

    def carry_out(self, taken: run.Taken) -> None:
        decision = taken.decision
        match decision:
            case Send():
                self.send(taken.before, decision.proposal, decision.enrollment)
                self.note(decision.enrollment, decision.step.id, decision.cycle, "sent", decision.reason)
            case Ask():
                self.send(taken.before, decision.proposal, None)
            case Drop():
                self.note(decision.enrollment, decision.step, decision.cycle, decision.outcome, decision.reason)
            case StaffTask():
                self.task(decision)
            case Finish():
                self.finish(decision, taken.left)
            case Onward():
                pass  # the row of what began is there since `begin`

    def send(self, before: Thread, proposal: Proposal, enrollment: str | None) -> None:
        """Queue what to say. A question of the service itself belongs to no enrollment."""
        lane_id = self.batch.lanes.get(self.parent.program_id)
        if lane_id is None:
            raise queue.NoLane(queue.NO_LANE)
        text = queue.NewText(
            category="nudge",
            to=self.parent.phone,
            basis=self.basis,
            language=before.profile.pref_lang,
            parent_id=self.parent.id,
            enrollment_id=int(enrollment) if enrollment else None,
            step_id=proposal.step,
            cycle=proposal.cycle,
            version_id=self.versions[enrollment] if enrollment else None,
            expires_at=proposal.expires_at,
            gate=state.proposal_to_json(proposal),
        )
        self.work.texts.append((lane_id, text))

    def task(self, decision: StaffTask) -> None:
        self.work.tasks.append(
            tasks.row(
                program_id=self.parent.program_id,
                family_id=self.parent.family_id,
                parent_id=self.parent.id,
                kind="step",
                words=decision.words,
                priority=decision.priority,
                now=self.now,
            )
        )
        if decision.enrollment is not None and decision.step is not None:
            self.note(decision.enrollment, decision.step, decision.cycle or 1, "staff", decision.reason)

    def finish(self, decision: Finish, left: Sequence[Drop]) -> None:
        """An enrollment's end, and what becomes of the steps that it still had. A pause is in the thread itself."""
        if decision.enrollment is None:
            return
        for drop in left:
            self.note(drop.enrollment, drop.step, drop.cycle, drop.outcome, drop.reason)
        self.work.ended.append(
            {
                "id": int(decision.enrollment),
                "status": "done",
                "ended_at": self.now,
                "end_reason": decision.reason.words[:200],
            }
        )
        ended = self.was.enrollment(decision.enrollment)
        subject = f"sequence:{ended.sequence.key}" if ended is not None else ""
        self.enter("sequence.finished", subject=subject, details={"code": decision.reason.code})

    def note(self, enrollment: str, step: str, cycle: int, outcome: str, reason: Reason) -> None:
        self.work.outcomes.append(
            {
                "enrollment_id": int(enrollment),
                "version_id": self.versions[enrollment],
                "step_id": step,
                "cycle": cycle,
                "outcome": outcome,
                "code": reason.code,
                "reason": reason.words,
                "inputs": dict(reason.inputs),
                "at": self.now,
            }
        )

    def enter_status(self, status: str) -> None:
        """A pause that ended, or that silence began, is worth finding later."""
        is_back = status == "active"
        why = "the pause is over" if is_back else "nothing was answered for long"
        self.enter("parent.resumed" if is_back else "parent.paused", details={"because": why})

    def enter(self, action: str, *, subject: str = "", details: Mapping[str, Any]) -> None:
        self.work.entries.append(
            record.Entry(
                at=self.now,
                actor=ACTOR,
                action=action,
                family_id=self.parent.family_id,
                parent_id=self.parent.id,
                subject=subject,
                details=details,
            )
        )


def _rest(parent: Parent, *, until: datetime | None, why: str) -> None:
    """Plan nothing for this parent; look again at `until`, or never."""
    parent.next_at, parent.next_reason = until, why
    parent.revision += 1


def _say_failed(parent_id: int, error: Exception) -> None:
    # Not the traceback: an exception of the core may quote a family's profile.
    logger.error(
        "a parent could not be planned: %s",
        type(error).__name__,
        extra={"action": "plan", "parent_id": parent_id},
    )


def _why(error: Exception) -> str:
    return f"could not be planned ({type(error).__name__}); the next try is in an hour"
