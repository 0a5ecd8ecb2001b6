"""May this queued text still go, right now, and how long may the provider hold it? Asked just before the call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nudges.families import readings, snapshots
from nudges.families.readings import Reading
from nudges.models.messages import Outbox
from nudges.models.program import Program
from nudges.outbound import last_look
from nudges.outbound.outbox import URGENT
from nudges.outbound.status import CANCELLED, EXPIRED
from schedules import gate, pacing, state, windows
from schedules.policy import Policy
from schedules.values import Go, Never, NotYet, Proposal, Thread

LEAST_VALIDITY_SECONDS: Final = 60  # less is a text that arrives after its moment, or not at all
MOST_VALIDITY_SECONDS: Final = 14_400
RECIPIENT_GAP: Final = timedelta(seconds=30)  # two texts at once read like an alarm, and carriers filter them
_AT_ONCE: Final = URGENT | {"reply"}
ASK_AGAIN: Final = timedelta(minutes=5)  # when only a person can open the way


@dataclass(frozen=True, kw_only=True, slots=True)
class Now:
    """It may go; the provider may hold it for so long."""

    validity_seconds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Later:
    """Not before `until`."""

    until: datetime
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Over:
    """It must not go any more; `status` is expired or cancelled. Some a person has to mend."""

    status: str
    reason: str
    is_for_staff: bool = False


Answer: TypeAlias = Now | Later | Over


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What a batch depends on: parents, their threads and rules, when each phone got its last text.

    `objections` say, by a text's id, why it must not go at all.
    """

    parents: Mapping[int, Reading]
    threads: Mapping[int, Thread]
    policies: Mapping[int, Policy]
    last_at: Mapping[int, datetime]
    objections: Mapping[int, str] = field(default_factory=dict)


def look_around(session: Session, rows: Sequence[Outbox], *, now: datetime) -> Surroundings:
    """Read what `may_go` needs, in a few queries for the whole batch."""
    ids = {row.parent_id for row in rows if row.parent_id is not None}
    parents = readings.of(session, ids)
    programs = {parent.program_id for parent in parents.values()}
    policies = {
        program.id: snapshots.policy_of(program)
        for program in session.scalars(select(Program).where(Program.id.in_(programs)))
    }
    return Surroundings(
        parents=parents,
        threads=_threads(parents, {row.parent_id for row in rows if row.gate}),
        policies=policies,
        last_at=_last_texts(session, ids, now=now),
        objections=last_look.objections(session, rows, parents),
    )


def _threads(parents: Mapping[int, Reading], gated: Set[int | None]) -> dict[int, Thread]:
    """Threads of those whose texts have a gate; one for all who stand alike."""
    alike: dict[tuple[object, ...], Thread] = {}
    threads: dict[int, Thread] = {}
    for id_, reading in parents.items():
        if id_ in gated:
            seen = reading.alike()
            if seen not in alike:
                alike[seen] = reading.thread()
            threads[id_] = alike[seen]
    return threads


def _proposal(row: Outbox, parent: Reading) -> Proposal:
    """What the gate is asked about, with the enrollment's name, as the thread has it."""
    proposal = state.proposal_from_json(row.gate)
    names = (enrolled.name for enrolled in parent.enrollments if str(enrolled.id) == proposal.enrollment)
    return replace(proposal, enrollment=next(names, proposal.enrollment))


def may_go(row: Outbox, around: Surroundings, *, now: datetime) -> Answer:
    """The last question before the call. Opt-out and expiry stop every text; the rest only what has a gate."""
    if now >= row.expires_at:
        return Over(status=EXPIRED, reason="its moment passed before it could be handed over")
    parent = around.parents.get(row.parent_id) if row.parent_id is not None else None
    if parent is None:
        return _held_by_provider(row, row.expires_at, now)
    if parent.status == "opted_out":
        return Over(status=CANCELLED, reason="the parent opted out")
    if parent.phone_problem is not None:
        return Over(status=CANCELLED, reason=f"the number cannot be texted: {parent.phone_problem}")
    if row.id in around.objections:
        return Over(status=CANCELLED, reason=around.objections[row.id], is_for_staff=True)
    if not row.gate:
        return _ungated(row, around, now)
    return _gated(row, parent, around, now)


def stands(row: Outbox, around: Surroundings, *, now: datetime) -> bool:
    """May a text that was claimed a moment ago still go? Opt-outs, dead numbers and the gate; not the phone's pause."""
    parent = around.parents.get(row.parent_id) if row.parent_id is not None else None
    if parent is None:
        return True
    if parent.status == "opted_out" or parent.phone_problem is not None:
        return False
    if not row.gate:
        return True
    thread, proposal = around.threads[parent.id], _proposal(row, parent)
    return isinstance(gate.may_go(proposal, without(thread, proposal), around.policies[parent.program_id], now), Go)


def without(thread: Thread, proposal: Proposal) -> Thread:
    """The thread as if this text had not been planned: its own mark and question must not stand in its way."""
    pace = pacing.forget(thread.pace, proposal)
    question = pace.question
    if question is not None and (question.sequence, question.step, question.cycle) == (
        proposal.sequence,
        proposal.step,
        proposal.cycle,
    ):
        pace = replace(pace, question=None)
    return replace(thread, pace=pace)


def _ungated(row: Outbox, around: Surroundings, now: datetime) -> Answer:
    if row.category not in _AT_ONCE and (crowded := _crowded(row, around, now)):
        return crowded
    return _held_by_provider(row, row.expires_at, now)


def _gated(row: Outbox, parent: Reading, around: Surroundings, now: datetime) -> Answer:
    thread, policy = around.threads[parent.id], around.policies[parent.program_id]
    proposal = _proposal(row, parent)
    verdict = gate.may_go(proposal, without(thread, proposal), policy, now)
    if isinstance(verdict, Never):
        status = EXPIRED if verdict.reason.code == "expired" else CANCELLED
        return Over(status=status, reason=verdict.reason.words)
    if isinstance(verdict, NotYet):
        return _later(row, verdict.until or now + ASK_AGAIN, verdict.reason.words)
    if crowded := _crowded(row, around, now):
        return crowded
    end = windows.end_of_open(thread.profile, policy, now)
    if (end - now).total_seconds() < LEAST_VALIDITY_SECONDS:
        return _later(row, end, "too close to the end of the hours in which this family may be texted")
    return _held_by_provider(row, min(end, row.expires_at), now)


def _crowded(row: Outbox, around: Surroundings, now: datetime) -> Later | None:
    last = around.last_at.get(row.parent_id) if row.parent_id is not None else None
    if last is None or now - last >= RECIPIENT_GAP:
        return None
    return Later(until=last + RECIPIENT_GAP, reason="this phone has just had a text")


def _later(row: Outbox, until: datetime, reason: str) -> Answer:
    if until >= row.expires_at:
        return Over(status=EXPIRED, reason=f"it could not go before its moment passed. {reason}")
    return Later(until=until, reason=reason)


def _held_by_provider(row: Outbox, end: datetime, now: datetime) -> Answer:
    seconds = int((end - now).total_seconds())
    if seconds < LEAST_VALIDITY_SECONDS:
        return Over(status=EXPIRED, reason="less than a minute was left of its moment")
    return Now(validity_seconds=min(seconds, MOST_VALIDITY_SECONDS))


def _last_texts(session: Session, ids: set[int], *, now: datetime) -> dict[int, datetime]:
    rows = session.execute(
        select(Outbox.parent_id, func.max(Outbox.attempted_at))
        .where(Outbox.parent_id.in_(ids), Outbox.attempted_at > now - RECIPIENT_GAP)
        .group_by(Outbox.parent_id)
    )
    return {parent_id: at for parent_id, at in rows if parent_id is not None and at is not None}
