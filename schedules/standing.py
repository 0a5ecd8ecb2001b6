"""How a thread stands: what comes next for this parent, who has to bring it, and until when.

One of: a planned step, an awaited date or answer, an open task for a person, a hold or pause, a goodbye that was
said, or texts that were stopped. Nothing else is right: a daily duty checks it for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schedules import ahead, gate, plan
from schedules.localtime import Minute
from schedules.policy import Policy
from schedules.values import Ask, Decision, Drop, Finish, Hold, Idle, Onward, Send, StaffTask, Thread, Wait

STATES = ("planned", "awaiting", "staff", "held", "paused", "stopped", "said_goodbye")
_OWNERS = {"crisis": "on call", "check": "on call", "safety": "counselor", "conversation": "counselor"}
_MOST_STEPS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class NextText:
    """A planned text: its step, and the mark of its moment."""

    sequence: str
    step: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """`state` is one of STATES. `owner` (parent, counselor, on call ...) and `by` say who brings what is waited for.

    `is_right` is false where nothing stands: a person must look, and the duty makes a task.
    """

    state: str
    reason: str
    next: NextText | None = None
    owner: str | None = None
    by: datetime | None = None
    is_right: bool = True


def standing(thread: Thread, policy: Policy, now: Minute) -> Standing:
    """How the thread stands at `now`, as if what is due were carried out."""
    for _ in range(_MOST_STEPS):
        decision = plan.decide(thread, policy, now)
        found = _of_decision(thread, decision, policy, now)
        if found is not None:
            return found
        thread = plan.advance(thread, decision, policy, now)
    return Standing(state="staff", reason="It cannot be worked out what comes next.", owner="counselor", is_right=False)


def _of_decision(thread: Thread, decision: Decision, policy: Policy, now: Minute) -> Standing | None:
    resting = _resting(thread, now)
    if resting is not None:
        return resting
    if isinstance(decision, Drop | Finish):
        return None
    if isinstance(decision, StaffTask):
        return Standing(state="staff", reason=decision.reason.words, owner="counselor", by=now)
    if isinstance(decision, Send | Ask):
        step = decision.step if isinstance(decision, Ask) else decision.step.id
        following = NextText(sequence=decision.proposal.sequence, step=step, at=now)
        return Standing(state="planned", reason=decision.reason.words, next=following)
    if isinstance(decision, Onward):
        following = NextText(sequence=decision.sequences[0], step="", at=now)
        return Standing(state="planned", reason=decision.reason.words, next=following)
    return _waiting(thread, decision, policy, now)


def _resting(thread: Thread, now: Minute) -> Standing | None:
    if thread.status == "opted_out" or (thread.status == "ended" and thread.pace.goodbye_at is None):
        words = "Opted out; only START brings texts back." if thread.status == "opted_out" else "Left the program."
        return Standing(state="stopped", reason=words, owner="parent")
    if thread.status == "ended":
        return Standing(state="said_goodbye", reason="Left the program; a goodbye was said.", owner="parent")
    hold = _hold(thread, now)
    if hold is not None:
        owner = _OWNERS.get(hold.kind, "counselor")
        return Standing(state="held", reason=f"Held ({hold.kind}).", owner=owner, by=hold.until)
    if thread.status == "paused":
        until = thread.paused_until
        words = "Paused until somebody resumes." if until is None else f"Paused until {gate.say(until, thread)}."
        return Standing(state="paused", reason=words, owner="counselor" if until is None else "parent", by=until)
    return None


def _hold(thread: Thread, now: Minute) -> Hold | None:
    standing_holds = (h for h in thread.holds if h.kind != "safeguarding" and (h.until is None or now < h.until))
    return next(standing_holds, None)


def _waiting(thread: Thread, decision: Wait | Idle, policy: Policy, now: Minute) -> Standing:
    words = decision.reasons[0].words
    if isinstance(decision, Wait) and decision.step is not None:
        return _planned(thread, decision, words)
    return _asked(thread, decision, policy, words) or _left(thread, decision, policy, words)


def _asked(thread: Thread, decision: Wait | Idle, policy: Policy, words: str) -> Standing | None:
    """Somebody has been asked: a person of the program, or the parent."""
    pace, question = thread.pace, thread.pace.question
    if pace.with_staff is not None:
        reason = f"A person has been asked: {pace.with_staff.words}."
        return Standing(state="staff", reason=reason, owner="counselor", by=pace.with_staff.by)
    if pace.stay_asked_at is not None:
        return Standing(state="awaiting", reason=words, owner="parent", by=_until(decision))
    if question is not None:
        by = ahead.unsettled_by(thread, policy) if question.settles else question.until
        return Standing(state="awaiting", reason=f"Asked {question.step}.", owner="parent", by=by)
    return None


def _left(thread: Thread, decision: Wait | Idle, policy: Policy, words: str) -> Standing:
    """What is left to wait for."""
    pace = thread.pace
    for enrollment, kind, by in ahead.awaits(thread, policy):
        reason = f"{enrollment.sequence.key} waits for a date: {kind.replace('_', ' ')}."
        return Standing(state="awaiting", reason=reason, owner="counselor", by=by)
    if thread.status == "invited":
        return Standing(state="awaiting", reason=words, owner="parent", by=_until(decision))
    if pace.goodbye_at is not None:
        return Standing(state="said_goodbye", reason="A goodbye was said; it tells how to come back.", owner="parent")
    if any(hold.kind == "safeguarding" for hold in thread.holds):
        reason = "What is left waits for the safeguarding lead."
        return Standing(state="held", reason=reason, owner="safeguarding lead")
    is_told = any(code.startswith(("parked", "nothing", "no_")) for code in pace.told)
    return Standing(state="staff", reason=words, owner="counselor", is_right=is_told)


def _until(decision: Wait | Idle) -> datetime | None:
    return decision.until if isinstance(decision, Wait) else None


def _planned(thread: Thread, decision: Wait, words: str) -> Standing:
    first = decision.planned[0] if decision.planned else None
    if first is None or first.step != decision.step:  # a text of the service's own, or a step for staff
        following = NextText(sequence="SYSTEM", step=decision.step or "", at=decision.until)
        return Standing(state="planned", reason=words, next=following)
    enrollment = thread.enrollment(first.enrollment)
    key = enrollment.sequence.key if enrollment is not None else "SYSTEM"
    return Standing(state="planned", reason=words, next=NextText(sequence=key, step=first.step, at=first.at))
