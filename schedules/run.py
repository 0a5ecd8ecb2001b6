"""The one loop around `decide`: carry out what the core decides for one thread at one minute, until it waits.

The planner stores what it returns, the forecast and the simulator show it. There is no other such loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from schedules import entry, fillings, leaving, lifecycle, localtime, plan
from schedules.catalog import Idea
from schedules.localtime import Minute
from schedules.policy import Policy
from schedules.values import (
    Ask,
    Decision,
    Drop,
    Enrollment,
    Finish,
    Idle,
    Onward,
    Proposal,
    Reason,
    Send,
    Sequence,
    StaffTask,
    Step,
    Thread,
    Wait,
)

MOST_DECISIONS: Final = 40  # for one thread at one minute; more is a rule that runs in circles

Act: TypeAlias = Send | Drop | StaffTask | Ask | Finish | Onward
NewId: TypeAlias = Callable[[str], str]


class Circling(RuntimeError):
    """The core kept deciding without coming to a wait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """One decision with the thread before and after it.

    `left`: what a finished sequence still had before it. `begun`: the enrollment that an Onward led to, if any.
    """

    before: Thread
    decision: Act
    after: Thread
    left: tuple[Drop, ...] = ()
    begun: Enrollment | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """All decisions of one look in order, the wait that they ended in, the thread then, and when to look again."""

    taken: tuple[Taken, ...]
    waits: Wait | Idle
    thread: Thread
    look: plan.Look


def until_wait(
    thread: Thread,
    policy: Policy,
    now: Minute,
    *,
    library: Mapping[str, Sequence],
    new_id: NewId,
    ideas: tuple[Idea, ...] = (),
) -> Run:
    """Decide and advance until the core waits. Raises Circling.

    `library`: the sequences that the program offers. `new_id` makes the id of an enrollment that begins by itself,
    given the sequence's key: the service inserts its row there. `ideas`: the bank that texts with an idea draw on.
    """
    taken: list[Taken] = []
    for _ in range(MOST_DECISIONS):
        decision = _with_idea(plan.decide(thread, policy, now), thread, policy, now, ideas)
        after = plan.advance(thread, decision, policy, now)
        if isinstance(decision, Wait | Idle):
            return Run(taken=tuple(taken), waits=decision, thread=after, look=plan.look_after(decision, now))
        taken.append(_taken(thread, decision, after, policy, now, library=library, new_id=new_id))
        thread = taken[-1].after
    raise Circling(f"more than {MOST_DECISIONS} decisions at {now.isoformat()}")


def _with_idea(decision: Decision, thread: Thread, policy: Policy, now: Minute, ideas: tuple[Idea, ...]) -> Decision:
    """A text that holds an idea, with the idea chosen; dropped when the family has had all that fit it lately."""
    if not ideas or not isinstance(decision, Send) or not _holds_idea(decision.step):
        return decision
    idea = fillings.next_idea(thread, ideas, now, days=policy.idea_days)
    if idea is not None:
        return replace(decision, proposal=replace(decision.proposal, idea=idea.id))
    words = f"No idea is left that fits this family and that it has not had in {policy.idea_days} days."
    return Drop(
        enrollment=decision.enrollment,
        step=decision.step.id,
        cycle=decision.cycle,
        outcome="dropped",
        reason=Reason(code="no_idea", words=words),
    )


def _holds_idea(step: Step) -> bool:
    return step.texts is not None and "{idea}" in step.texts.en


def _taken(
    before: Thread,
    decision: Act,
    after: Thread,
    policy: Policy,
    now: Minute,
    *,
    library: Mapping[str, Sequence],
    new_id: NewId,
) -> Taken:
    if isinstance(decision, Onward):
        return _onward(before, decision, after, policy, now, library=library, new_id=new_id)
    enrollment = before.enrollment(decision.enrollment or "") if isinstance(decision, Finish) else None
    if enrollment is None:
        return Taken(before=before, decision=decision, after=after)
    left = leaving.left_over(before, enrollment, policy, now, decision.reason.words)
    return Taken(before=before, decision=decision, after=after, left=left)


def _onward(
    before: Thread,
    decision: Onward,
    after: Thread,
    policy: Policy,
    now: Minute,
    *,
    library: Mapping[str, Sequence],
    new_id: NewId,
) -> Taken:
    """Begin the first sequence that the program has and the parent may enter; `after` is the thread without one."""
    for key in decision.sequences:
        sequence = library.get(key)
        if sequence is None or entry.refusal(sequence, before, policy, now) is not None:
            continue
        begun_id = new_id(key)
        thread = lifecycle.enroll(before, sequence, enrollment_id=begun_id, now=now, policy=policy)
        return Taken(before=before, decision=decision, after=thread, begun=thread.enrollment(begun_id))
    return Taken(before=before, decision=decision, after=after)


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """A text that would go if nothing is answered: when, which step, ahead of which window, and why then."""

    at: datetime
    sequence: str
    step: Step
    window: tuple[datetime, datetime] | None
    reason: Reason
    proposal: Proposal
    thread: Thread  # once it was sent: its question holds the choices that the words offer


def forecast(
    thread: Thread,
    policy: Policy,
    now: Minute,
    *,
    count: int = 5,
    library: Mapping[str, Sequence] | None = None,
    ideas: tuple[Idea, ...] = (),
) -> tuple[Forecast, ...]:
    """The next texts if nothing is answered and nothing moves: the very same decisions, one look after another.

    The first of them is the one that `plan.look` names.
    """
    found: list[Forecast] = []
    at: datetime | None = now
    for _ in range(20 * count):
        if at is None or len(found) >= count:
            break
        run = until_wait(
            thread, policy, localtime.minute(at), library=library or {}, new_id=lambda key: f"next {key}", ideas=ideas
        )
        sent = [(one.decision, one.after) for one in run.taken if isinstance(one.decision, Send)]
        found += [_forecast(decision, after, localtime.minute(at)) for decision, after in sent]
        thread, at = run.thread, run.look.at
    return tuple(found[:count])


def _forecast(decision: Send, after: Thread, at: Minute) -> Forecast:
    return Forecast(
        at=at,
        sequence=decision.proposal.sequence,
        step=decision.step,
        window=decision.proposal.window,
        reason=decision.reason,
        proposal=decision.proposal,
        thread=after,
    )
