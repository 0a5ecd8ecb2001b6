"""May this queued text go, right now; with which words, and how long may the provider hold it? Asked before the call.

A nudge was planned on the family's dates and settings. When those have changed it is planned anew instead of sent; else
the gate is asked again, and its words are made. How long it may be held is the core's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final, TypeAlias

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.families import snapshots, wording
from nudges.families.snapshots import Moved
from nudges.library import naming
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Program
from nudges.outbound import last_look, words
from nudges.outbox import queue
from nudges.outbox.status import CANCELLED, EXPIRED, FAILED
from schedules import gate, localtime, pacing, plan, render, state
from schedules.catalog import Library
from schedules.localtime import Minute
from schedules.policy import Policy
from schedules.render import Rendered
from schedules.values import Go, Never, NotYet, Proposal, Thread

MOST_VALIDITY_SECONDS: Final = 14_400  # what every provider takes
PLANNED_ANEW: Final = "planned anew: the family's dates or settings changed"
CLOCK_WAS_AHEAD: Final = "planned anew: it was planned by a clock that stood ahead"
ASK_AGAIN: Final = timedelta(minutes=5)  # when only a person can open the way
_AT_ONCE: Final = queue.URGENT | {"reply"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Now:
    """It may go; the provider may hold it for so long. `words` of a nudge, to the number that the parent has now."""

    validity_seconds: int
    to: str
    words: Rendered | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Later:
    """Not before `until`."""

    until: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Over:
    """It must not go any more; `status` is expired, cancelled or failed. Some a person has to mend; a text that is
    planned `anew` comes back with another plan."""

    status: str
    reason: str
    is_for_staff: bool = False
    anew: bool = False


Answer: TypeAlias = Now | Later | Over


class SendCheck:
    """All that a batch of queued texts depends on, read afresh in a few queries, in the caller's transaction."""

    def __init__(self, session: Session, rows: Sequence[Outbox], *, library: Library, now: datetime) -> None:
        self._session, self._library, self._now = session, library, now
        self._minute = localtime.minute(now)
        fresh = select(Parent).where(Parent.id.in_({row.parent_id for row in rows if row.parent_id is not None}))
        parents = session.scalars(fresh.execution_options(populate_existing=True)).all()
        self._parents = {parent.id: parent for parent in parents}
        self._threads = {
            parent_id: replace(thread, pace=pacing.without_future(thread.pace, self._minute))
            for parent_id, thread in snapshots.threads_of(session, parents).items()
        }
        programs = select(Program).where(Program.id.in_({parent.program_id for parent in parents}))
        self._policies = {
            program.id: snapshots.policy_of(program)
            for program in session.scalars(programs.execution_options(populate_existing=True))
        }
        self._names = naming.names_by_family(session, {parent.family_id for parent in parents})
        self._people = wording.PeopleOf(session, parents, now=now)
        self._lately = queue.last_attempts(session, self._parents.keys(), since=now - queue.RECIPIENT_GAP, until=now)
        self._objections = last_look.objections(session, rows)
        self._welcome_in_doubt = last_look.welcome_in_doubt(session, self._parents)

    def ask(self, row: Outbox) -> Answer:
        """May it go now? Opt-out and expiry stop every text; the rest only what has a gate."""
        over = self._over(row)
        if over is not None:
            return over
        parent = self._parent(row)
        if parent is None:
            return Now(validity_seconds=self._seconds_until(row.expires_at), to=row.to)
        if not row.gate:
            return self._ungated(row, parent)
        return self._gated(row, parent, state.proposal_from_json(row.gate))

    def stands(self, row: Outbox) -> bool:
        """May a text that was claimed a moment ago still go, with the words that were made for it?"""
        parent = self._parent(row)
        if self._over(row) is not None:
            return False
        if parent is None or not row.gate:
            return True
        return isinstance(self._verdict(parent, state.proposal_from_json(row.gate)), Go)

    def _parent(self, row: Outbox) -> Parent | None:
        return self._parents.get(row.parent_id) if row.parent_id is not None else None

    def _over(self, row: Outbox) -> Over | None:
        if self._now >= row.expires_at:
            return Over(status=EXPIRED, reason="its moment passed before it could be handed over")
        parent = self._parent(row)
        if parent is None:
            return None
        if parent.status == "opted_out":
            return Over(status=CANCELLED, reason="the parent opted out")
        if parent.phone_problem is not None:
            return Over(status=CANCELLED, reason=f"the number cannot be texted: {parent.phone_problem}")
        if row.id in self._objections:
            return Over(status=CANCELLED, reason=self._objections[row.id], is_for_staff=True)
        if self._has_changed(row, parent):
            return Over(status=CANCELLED, reason=PLANNED_ANEW, anew=True)
        return None

    def _has_changed(self, row: Outbox, parent: Parent) -> bool:
        """Was it planned on something else? A question of the service itself hangs on no date and no window."""
        if row.basis is None or row.enrollment_id is None:
            return False
        return row.basis != state.basis(self._threads[parent.id])

    def _verdict(self, parent: Parent, proposal: Proposal) -> Go | NotYet | Never:
        thread = words.as_it_was(self._threads[parent.id], proposal)
        return gate.may_go(proposal, thread, self._policies[parent.program_id], self._minute)

    def _ungated(self, row: Outbox, parent: Parent) -> Answer:
        if row.category not in _AT_ONCE and (later := self._crowded(row, row.expires_at)):
            return later
        if row.category in last_look.AUTOMATED and self._names_somebody(parent, row.body or ""):
            return Over(status=CANCELLED, reason=naming.NAMED, is_for_staff=True)
        return Now(validity_seconds=self._seconds_until(row.expires_at), to=row.to)

    def _gated(self, row: Outbox, parent: Parent, proposal: Proposal) -> Answer:
        if parent.id in self._welcome_in_doubt:
            return Later(until=self._soon(row))
        verdict = self._verdict(parent, proposal)
        if isinstance(verdict, Never):
            status = EXPIRED if verdict.reason.code == "expired" else CANCELLED
            return Over(status=status, reason=verdict.reason.words)
        if isinstance(verdict, NotYet):
            return self._later(row, verdict)
        policy = self._policies[parent.program_id]
        end = min(row.expires_at, plan.end_of_moment(self._threads[parent.id], proposal, policy, self._minute))
        return self._crowded(row, end) or self._in_words(row, parent, proposal, end)

    def _later(self, row: Outbox, verdict: NotYet) -> Answer:
        """When the gate says so; when it cannot say, soon."""
        if verdict.until is None:
            return Later(until=self._soon(row))
        if verdict.until >= row.expires_at:
            reason = f"it could not go before its moment passed. {verdict.reason.words}"
            return Over(status=EXPIRED, reason=reason)
        return Later(until=verdict.until)

    def _soon(self, row: Outbox) -> datetime:
        """Within minutes, and in the last minute too."""
        last = row.expires_at - localtime.MINUTE
        return min(self._now + ASK_AGAIN, last if last > self._now else row.expires_at)

    def _crowded(self, row: Outbox, end: datetime) -> Later | None:
        """Two texts at once read like an alarm, and carriers filter them; but no text misses its moment for that."""
        at = self._lately.get(row.parent_id) if row.parent_id is not None else None
        if at is None or at + queue.RECIPIENT_GAP >= end:
            return None
        return Later(until=at + queue.RECIPIENT_GAP)

    def _in_words(self, row: Outbox, parent: Parent, proposal: Proposal, end: datetime) -> Answer:
        seconds = self._seconds_until(end)
        if row.basis is None:  # queued with its words
            if self._names_somebody(parent, row.body or ""):
                return Over(status=CANCELLED, reason=naming.NAMED, is_for_staff=True)
            return Now(validity_seconds=seconds, to=row.to)
        thread, policy = self._threads[parent.id], self._policies[parent.program_id]
        try:
            rendered = self._words(row, proposal, self._minute)
        except render.MissingValue as missing:
            return Over(status=FAILED, reason=f"Not sent: {missing}.", is_for_staff=True)
        if self._names_somebody(parent, rendered.text):
            return Over(status=CANCELLED, reason=naming.NAMED, is_for_staff=True)
        rendered, after = self._with_notice(row, rendered, thread, policy)
        if after is not thread and not self._keep(parent, thread, after):
            return Later(until=self._now)  # somebody writes this parent at this very moment
        return Now(validity_seconds=seconds, to=parent.phone, words=rendered)

    def words_then(self, row: Outbox) -> Rendered | None:
        """The words of a nudge as they were when its turn came; none when it has words, or none can be made."""
        if row.body is not None or self._parent(row) is None:
            return None
        try:
            return self._words(row, state.proposal_from_json(row.gate), localtime.minute(row.not_before))
        except render.MissingValue:
            return None

    def _words(self, row: Outbox, proposal: Proposal, at: Minute) -> Rendered:
        """The words of a nudge as they are read at that minute. Raises MissingValue."""
        parent = self._parent(row)
        assert parent is not None  # a nudge has one
        sequence = None if row.version_id is None else snapshots.sequence_of(self._session, row.version_id)
        return words.made(
            proposal,
            self._threads[parent.id],
            sequence=sequence,
            people=self._people.of(parent),
            policy=self._policies[parent.program_id],
            library=self._library,
            now=at,
        )

    def _with_notice(self, row: Outbox, rendered: Rendered, thread: Thread, policy: Policy) -> tuple[Rendered, Thread]:
        said_at = thread.pace.notice_at
        again = said_at is not None and said_at >= localtime.minute(row.created_at)
        return words.with_notice(rendered, thread, self._library, policy, self._minute, again=again)

    def _keep(self, parent: Parent, was: Thread, thread: Thread) -> bool:
        """Store that this text says how to stop. Never waits for a parent: whoever holds one may wait for our text."""
        unchanged = (Parent.id == parent.id, Parent.revision == parent.revision)
        mine = select(Parent.id).where(*unchanged).with_for_update(skip_locked=True)
        if self._session.scalar(mine) is None:
            return False
        look = plan.Look(at=parent.next_at, words=parent.next_reason or "")
        snapshots.save_all(self._session, [Moved(parent=parent, was=was, thread=thread, look=look)])
        self._session.refresh(parent)
        return True

    def _names_somebody(self, parent: Parent, text: str) -> bool:
        names = self._names.get(parent.family_id, ())
        return naming.names_somebody(self._session, text, family_id=parent.family_id, names=names)

    def _seconds_until(self, end: datetime) -> int:
        """At least one: in its last moment a text still goes."""
        return max(1, min(MOST_VALIDITY_SECONDS, ceil((end - self._now).total_seconds())))
