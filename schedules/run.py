"""The one loop around `decide`: carry out what the core decides for one thread at one minute, until it waits.

The planner stores what it returns, the forecast and the simulator show it. There is no other such loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from schedules import entry, leaving, lifecycle, plan
from schedules.localtime import Minute
from schedules.policy import Policy
from schedules.values import (
    Ask,
    Drop,
    Enrollment,
    Finish,
    Idle,
    Onward,
    Send,
    Sequence,
    StaffTask,
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


def until_wait(thread: Thread, policy: Policy, now: Minute, *, library: Mapping[str, Sequence], new_id: NewId) -> Run:
    """Decide and advance until the core waits. Raises Circling.

    `library`: the sequences that the program offers. `new_id` makes the id of an enrollment that begins by itself,
    given the sequence's key: the service inserts its row there.
    """
    taken: list[Taken] = []
    for _ in range(MOST_DECISIONS):
        decision = plan.decide(thread, policy, now)
        after = plan.advance(thread, decision, policy, now)
        if isinstance(decision, Wait | Idle):
            return Run(taken=tuple(taken), waits=decision, thread=after, look=plan.look_after(decision, now))
        taken.append(_taken(thread, decision, after, policy, now, library=library, new_id=new_id))
        thread = taken[-1].after
    raise Circling(f"more than {MOST_DECISIONS} decisions at {now.isoformat()}")


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
        if sequence is None or entry.refusal(key, before, policy, now) is not None:
            continue
        begun_id = new_id(key)
        thread = lifecycle.enroll(before, sequence, enrollment_id=begun_id, now=now, policy=policy)
        return Taken(before=before, decision=decision, after=thread, begun=thread.enrollment(begun_id))
    return Taken(before=before, decision=decision, after=after)
