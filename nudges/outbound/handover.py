"""May this queued text still go, right now, and how long may the provider hold it? Asked just before the call."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, TypeAlias

from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from nudges.db import as_given, ids_given
from nudges.families import readings, snapshots
from nudges.families.readings import Reading
from nudges.models.program import Program
from nudges.outbound import filtered, last_look
from nudges.outbound.outbox import LAST_MOMENTS, URGENT, Queued
from nudges.outbound.status import CANCELLED, EXPIRED
from schedules import gate, pacing, state, windows
from schedules.policy import Policy
from schedules.values import Go, Never, NotYet, Proposal, Thread

LEAST_VALIDITY_SECONDS: Final = 60  # less is a text that arrives after its moment, or not at all
MOST_VALIDITY_SECONDS: Final = 14_400
RECIPIENT_GAP: Final = LAST_MOMENTS  # between two texts to one phone
_AT_ONCE: Final = URGENT | {"reply"}
_STAYS_TRUE: Final = timedelta(seconds=0.25)  # a program's rules, and what the gate says of a parent who stands alike
_MOST_KEPT: Final = 2000  # parents, however long a drain lasts
ASK_AGAIN: Final = timedelta(minutes=5)  # when only a person can open the way
_POLICIES: Final = select(Program.id, cast(Program.policy, Text())).where(Program.id.in_(ids_given("programs")))


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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate said; `end` of the hours that were open then."""

    said: Go | NotYet | Never
    end: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What holds for whole programs, as it was read `at` an instant: their policies, and which steps are held back."""

    policies: Mapping[int, Policy]
    held: frozenset[str]
    at: datetime


class Gatekeeper:
    """Asks the gate, once for all who stand exactly alike.

    How a parent stands is read anew for each batch, and a program's rules after a quarter of a second: the gate's
    answers are kept as long as those.
    """

    def __init__(self) -> None:
        self._verdicts: dict[tuple[object, ...], Verdict] = {}
        self._threads: dict[tuple[object, ...], Thread] = {}
        self._rules: Rules | None = None

    def rules(self, session: Session, programs: Collection[int], now: datetime) -> Rules:
        """The rules of at least these programs."""
        kept = self._rules
        if kept is not None and timedelta(0) <= now - kept.at <= _STAYS_TRUE and kept.policies.keys() >= set(programs):
            return kept
        stored = session.connection().execute(_POLICIES, {"programs": as_given(programs)})
        policies = {program_id: snapshots.policy_from(policy) for program_id, policy in stored}
        self._verdicts.clear()
        self._rules = Rules(policies=policies, held=filtered.held_back(session), at=now)
        return self._rules

    def ask(self, proposal: Proposal, parent: Reading, policy: Policy, now: datetime) -> Verdict:
        stands = parent.alike()
        key = (proposal, stands)
        known = self._verdicts.get(key)
        if known is not None:
            return known
        if len(self._threads) >= _MOST_KEPT or len(self._verdicts) >= _MOST_KEPT:
            self._threads.clear()
            self._verdicts.clear()
        thread = self._threads.get(stands)
        if thread is None:
            thread = self._threads[stands] = parent.thread()
        said = gate.may_go(proposal, without(thread, proposal), policy, now)
        end = windows.end_of_open(thread.profile, policy, now) if isinstance(said, Go) else now
        verdict = self._verdicts[key] = Verdict(said, end)
        return verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What a batch depends on: parents, their program's rules, what each text with a gate proposes.

    `objections` say, by a text's id, why it must not go at all.
    """

    parents: Mapping[int, Reading]
    rules: Rules
    proposals: Mapping[int, Proposal]
    gatekeeper: Gatekeeper
    objections: Mapping[int, str] = field(default_factory=dict)


def look_around(session: Session, rows: Sequence[Queued], gatekeeper: Gatekeeper, *, now: datetime) -> Surroundings:
    """Read what `may_go` needs, in a few queries for the whole batch."""
    parents = readings.of(session, {row.parent_id for row in rows if row.parent_id is not None})
    rules = gatekeeper.rules(session, {parent.program_id for parent in parents.values()}, now)
    proposals = {row.id: _proposal_of(row, parents) for row in rows if row.has_gate}
    return Surroundings(
        parents=parents,
        rules=rules,
        proposals=proposals,
        gatekeeper=gatekeeper,
        objections=last_look.objections(session, rows, parents, proposals, held=rules.held),
    )


def _proposal_of(row: Queued, parents: Mapping[int, Reading]) -> Proposal:
    """What the gate is asked about, with the enrollment's name, as the thread has it."""
    parent = parents.get(row.parent_id) if row.parent_id is not None else None
    return _proposal(row.gate if parent is None else readings.with_names(row.gate, parent.enrollments))


@lru_cache(maxsize=1024)
def _proposal(stored: str) -> Proposal:
    return state.proposal_from_json(json.loads(stored))


def may_go(row: Queued, around: Surroundings, *, now: datetime) -> Answer:
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
    if not row.has_gate:
        return _ungated(row, now)
    return _gated(row, parent, around, now)


def stands(row: Queued, around: Surroundings, *, now: datetime) -> bool:
    """May a text that was claimed a moment ago still go? Opt-outs, dead numbers and the gate; not the phone's pause."""
    parent = around.parents.get(row.parent_id) if row.parent_id is not None else None
    if parent is None:
        return True
    if parent.status == "opted_out" or parent.phone_problem is not None:
        return False
    return not row.has_gate or isinstance(_verdict(row, parent, around, now).said, Go)


def _verdict(row: Queued, parent: Reading, around: Surroundings, now: datetime) -> Verdict:
    return around.gatekeeper.ask(around.proposals[row.id], parent, around.rules.policies[parent.program_id], now)


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


def _ungated(row: Queued, now: datetime) -> Answer:
    if row.category not in _AT_ONCE and (crowded := _crowded(row, now)):
        return crowded
    return _held_by_provider(row, row.expires_at, now)


def _gated(row: Queued, parent: Reading, around: Surroundings, now: datetime) -> Answer:
    verdict = _verdict(row, parent, around, now)
    said = verdict.said
    if isinstance(said, Never):
        status = EXPIRED if said.reason.code == "expired" else CANCELLED
        return Over(status=status, reason=said.reason.words)
    if isinstance(said, NotYet):
        return _later(row, said.until or now + ASK_AGAIN, said.reason.words)
    if crowded := _crowded(row, now):
        return crowded
    if (verdict.end - now).total_seconds() < LEAST_VALIDITY_SECONDS:
        return _later(row, verdict.end, "too close to the end of the hours in which this family may be texted")
    return _held_by_provider(row, min(verdict.end, row.expires_at), now)


def _crowded(row: Queued, now: datetime) -> Later | None:
    """Two texts at once read like an alarm, and carriers filter them."""
    if row.last_at is None or row.parent_id is None or now - row.last_at >= RECIPIENT_GAP:
        return None
    return Later(until=row.last_at + RECIPIENT_GAP, reason="this phone has just had a text")


def _later(row: Queued, until: datetime, reason: str) -> Answer:
    if until >= row.expires_at:
        return Over(status=EXPIRED, reason=f"it could not go before its moment passed. {reason}")
    return Later(until=until, reason=reason)


def _held_by_provider(row: Queued, end: datetime, now: datetime) -> Answer:
    seconds = int((end - now).total_seconds())
    if seconds < LEAST_VALIDITY_SECONDS:
        return Over(status=EXPIRED, reason="less than a minute was left of its moment")
    return Now(validity_seconds=min(seconds, MOST_VALIDITY_SECONDS))
