"""Planning: what is due for one parent, decided by the core, stored in one transaction."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from nudges.families import enrolling, snapshots, wording
from nudges.families.snapshots import StaleParent
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.program import Program
from nudges.models.safety import Task
from nudges.models.sequences import Enrollment, StepOutcome
from nudges.outbound import outbox
from schedules import plan, render, state
from schedules.catalog import Library
from schedules.policy import Policy
from schedules.values import (
    Ask,
    Drop,
    Finish,
    Idle,
    Proposal,
    Reason,
    Send,
    StaffTask,
    Thread,
    Wait,
)

logger = logging.getLogger(__name__)

MOST_DECISIONS: Final = 20  # for one parent at one instant; more is a rule that runs in circles
POISONED: Final = timedelta(hours=1)  # until a parent whose plan failed is looked at again
_TASK_DUE: Final = {1: timedelta(hours=1), 2: timedelta(days=1), 3: timedelta(days=7)}


class Circling(RuntimeError):
    """The core kept deciding without coming to a wait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What one beat did: parents looked at, texts queued, parents whose plan failed."""

    parents: int = 0
    queued: int = 0
    failed: int = 0


def due_ids(session: Session, now: datetime, limit: int = 500) -> list[int]:
    """Parents whose moment has come, the longest overdue first."""
    return list(
        session.scalars(
            select(Parent.id)
            .where(Parent.status.in_(("active", "paused")), Parent.next_at.is_not(None), Parent.next_at <= now)
            .order_by(Parent.next_at)
            .limit(limit)
        )
    )


def plan_due(sessions: sessionmaker[Session], *, now: datetime, library: Library, limit: int = 500) -> Planned:
    """Plan everybody whose moment has come, each in a transaction of their own.

    Somebody else planning the same parent is harmless: one of the two is rolled back. A parent whose plan fails is
    looked at again an hour later, and the others go on.
    """
    with sessions.begin() as session:
        ids = due_ids(session, now, limit)
    queued = failed = 0
    for parent_id in ids:
        try:
            with sessions.begin() as session:
                queued += plan_one(session, parent_id, now=now, library=library)
        except (StaleParent, IntegrityError):
            logger.info("somebody else planned this parent", extra={"action": "plan", "parent_id": parent_id})
        except Exception as error:
            failed += 1
            # Not the traceback: an exception of the core may quote a family's profile.
            logger.error(
                "a parent could not be planned: %s",
                type(error).__name__,
                extra={"action": "plan", "parent_id": parent_id},
            )
            _push_ahead(sessions, parent_id, type(error).__name__, now=now)
    return Planned(parents=len(ids), queued=queued, failed=failed)


def plan_one(session: Session, parent_id: int, *, now: datetime, library: Library) -> int:
    """Carry out all that the core decides for this parent now. Returns how many texts were queued.

    1. the thread as it stands
    2. decide, store, advance, until the core waits: at most 20 times (Circling)
    3. the thread, and when to look next, stored only if nobody else wrote the parent meanwhile (StaleParent)
    """
    parent = session.get(Parent, parent_id, populate_existing=True)
    if parent is None or parent.status not in ("active", "paused"):
        return 0
    if parent.phone_problem is not None:
        parent.next_at, parent.next_reason = None, "this number cannot be texted"
        parent.revision += 1
        return 0
    policy = snapshots.policy_of(session.get_one(Program, parent.program_id))
    carrier = _Carrier(session, parent, policy=policy, now=now, library=library)
    thread = carrier.run(snapshots.thread_of(session, parent))
    _record_change(session, parent, thread, now=now)
    snapshots.save_or_raise(session, parent, thread, now=now)
    return carrier.queued


class _Carrier:
    """Carries out the decisions for one parent at one instant."""

    def __init__(self, session: Session, parent: Parent, *, policy: Policy, now: datetime, library: Library) -> None:
        self.session, self.parent = session, parent
        self.policy, self.now, self.library = policy, now, library
        self.queued = 0

    def run(self, thread: Thread) -> Thread:
        """Decide and carry out until the core waits; the thread then."""
        for _ in range(MOST_DECISIONS):
            decision = plan.decide(thread, self.policy, self.now)
            after = plan.advance(thread, decision, self.policy, self.now)
            if isinstance(decision, Wait | Idle):
                return after
            thread = self.carry_out(thread, after, decision)
        raise Circling(f"parent {self.parent.id}: more than {MOST_DECISIONS} decisions at one instant")

    def carry_out(self, before: Thread, after: Thread, decision: Send | Drop | StaffTask | Ask | Finish) -> Thread:
        """Store one decision; the thread that the next one is asked about."""
        match decision:
            case Send():
                return self.send(before, after, decision)
            case Ask():
                self.ask(before, decision)
            case Drop():
                self.outcome(decision.enrollment, decision.step, decision.cycle, decision.outcome, decision.reason)
            case StaffTask():
                self.task(decision)
            case Finish():
                self.finish(decision)
            case _:
                assert_never(decision)
        return after

    def send(self, before: Thread, after: Thread, decision: Send) -> Thread:
        """Queue the words of a step; when one has no value, tell staff instead of sending half a sentence."""
        step = decision.step
        try:
            rendered = render.for_step(step, before.profile, self.values(before, cycle=decision.cycle))
        except render.MissingValue as missing:
            reason = Reason(code="missing_value", words=f"Not sent: {missing}.")
            self.outcome(decision.enrollment, step.id, decision.cycle, "failed", reason)
            self.add_task(2, "step", f"{step.id} could not be sent: {missing}.")
            return plan.unsent(after, decision.proposal, self.policy, self.now, expired=False, reason=reason.words)
        enrollment = self.session.get_one(Enrollment, int(decision.enrollment))
        self.enqueue(rendered, decision.proposal, enrollment=enrollment)
        self.outcome(decision.enrollment, step.id, decision.cycle, "sent", decision.reason)
        return after

    def ask(self, before: Thread, decision: Ask) -> None:
        """Queue a question of the service itself. It belongs to no enrollment, so the revision alone guards it."""
        texts = self.library.system.get(decision.step)
        if texts is None:
            self.add_task(3, "step", f"Ask this parent how they want to go on ({decision.step} has no text).")
            return
        profile = before.profile
        rendered = render.fill(
            texts, lang=profile.pref_lang, discreet=profile.discreet, values=self.values(before, cycle=1)
        )
        self.enqueue(rendered, decision.proposal, enrollment=None)

    def enqueue(self, rendered: render.Rendered, proposal: Proposal, *, enrollment: Enrollment | None) -> None:
        text = outbox.NewText(
            category="nudge",
            to=self.parent.phone,
            body=rendered.text,
            language=rendered.lang,
            expires_at=proposal.expires_at,
            parent_id=self.parent.id,
            enrollment_id=None if enrollment is None else enrollment.id,
            version_id=None if enrollment is None else enrollment.version_id,
            step_id=proposal.step,
            cycle=proposal.cycle,
            gate=state.proposal_to_json(proposal),
        )
        outbox.enqueue(self.session, text, program_id=self.parent.program_id, now=self.now)
        self.queued += 1

    def values(self, thread: Thread, *, cycle: int) -> dict[str, str]:
        ideas = self.library.ideas
        return wording.values_for(self.session, self.parent, thread, now=self.now, ideas=ideas, cycle=cycle)

    def outcome(self, enrollment_id: str, step: str, cycle: int, outcome: str, reason: Reason) -> None:
        """How a due step ended, with the rule and its inputs. UNIQUE refuses a second answer."""
        enrollment = self.session.get_one(Enrollment, int(enrollment_id))
        self.session.add(
            StepOutcome(
                enrollment_id=enrollment.id,
                version_id=enrollment.version_id,
                step_id=step,
                cycle=cycle,
                outcome=outcome,
                code=reason.code,
                reason=reason.words,
                inputs=dict(reason.inputs),
                at=self.now,
            )
        )
        self.session.flush()

    def task(self, decision: StaffTask) -> None:
        self.add_task(decision.priority, "step", decision.words)
        if decision.enrollment is not None and decision.step is not None:
            self.outcome(decision.enrollment, decision.step, decision.cycle or 1, "staff", decision.reason)

    def add_task(self, priority: int, kind: str, words: str) -> None:
        self.session.add(
            Task(
                program_id=self.parent.program_id,
                family_id=self.parent.family_id,
                parent_id=self.parent.id,
                priority=priority,
                kind=kind,
                words=words,
                due_at=self.now + _TASK_DUE[priority],
                created_at=self.now,
            )
        )

    def finish(self, decision: Finish) -> None:
        """An enrollment has come to its end. A pause after unbroken silence is in the thread itself."""
        if decision.enrollment is None:
            return
        row = self.session.get_one(Enrollment, int(decision.enrollment))
        enrolling.end_enrollment(self.session, row.id, status="done", reason=decision.reason.words, now=self.now)
        record.append(
            self.session,
            at=self.now,
            actor="system:planner",
            action="sequence.finished",
            family_id=self.parent.family_id,
            parent_id=self.parent.id,
            subject=f"sequence:{row.sequence_key}",
            details={"code": decision.reason.code},
        )


def _record_change(session: Session, parent: Parent, after: Thread, *, now: datetime) -> None:
    """A pause that has ended, or one that unbroken silence began, is an act worth finding later."""
    if after.status == parent.status:
        return
    record.append(
        session,
        at=now,
        actor="system:planner",
        action="parent.resumed" if after.status == "active" else "parent.paused",
        family_id=parent.family_id,
        parent_id=parent.id,
        details={"because": "the pause is over" if after.status == "active" else "nothing was answered for long"},
    )


def _push_ahead(sessions: sessionmaker[Session], parent_id: int, fault: str, *, now: datetime) -> None:
    with sessions.begin() as session:
        session.execute(
            update(Parent)
            .where(Parent.id == parent_id)
            .values(
                next_at=now + POISONED,
                next_reason=f"could not be planned ({fault}); the next try is in an hour",
                revision=Parent.revision + 1,
            )
        )
