"""What should happen next for one parent: the same function plans, previews, simulates and is tested.

`decide` looks, `advance` is the thread once that was done. The caller repeats both until Wait or Idle (run.py).
Every due step ends here as sent, dropped or expired, with a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from schedules import agenda, ahead, gate, lifecycle, localtime, moments, pacing, windows
from schedules.due import due_of, life
from schedules.localtime import Minute
from schedules.moments import Candidate
from schedules.outlook import Outlook
from schedules.policy import Policy
from schedules.progress import ONCE_MORE, advance, mark_of, planned_of, unsent, withdrawn
from schedules.values import (
    Ask,
    Decision,
    Drop,
    Enrollment,
    Finish,
    Go,
    Idle,
    Kind,
    Planned,
    Proposal,
    Reason,
    Send,
    Slot,
    StaffTask,
    Step,
    Thread,
    Wait,
)

__all__ = [
    "Look",
    "advance",
    "decide",
    "end_of_moment",
    "look",
    "look_after",
    "next_look",
    "noted",
    "unsent",
    "withdrawn",
]

_MOST_REPLANS = 5  # of a talk; then a person looks
_MOST_PLANNED = 6  # moments that a thread remembers


def decide(thread: Thread, policy: Policy, now: Minute) -> Decision:
    """Exactly one thing to do at `now`."""
    thread = lifecycle.at(thread, policy, now)
    resting = _resting(thread, policy, now)
    if resting is not None:
        return resting
    outlook = Outlook(thread, policy, now)
    for rule in _RULES:
        decision = rule(thread, outlook, policy, now)
        if decision is not None:
            return decision
    return _next_text(thread, outlook, policy, now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """When to ask `decide` again (none: only an event can change the answer), what is being waited for, and the next
    text with its moment, if one is planned. What a page shows of a thread comes from this one value."""

    at: datetime | None
    words: str
    next: Planned | None = None


def look(thread: Thread, policy: Policy, now: Minute) -> Look:
    """What a thread waits for, as its page shows it."""
    return look_after(decide(thread, policy, now), now)


def look_after(decision: Decision, now: datetime) -> Look:
    """The same for a decision that was just taken."""
    if isinstance(decision, Wait):
        following = decision.planned[0] if decision.planned and decision.step == decision.planned[0].step else None
        return Look(at=decision.until, words=decision.reasons[0].words, next=following)
    if isinstance(decision, Idle):
        return Look(at=None, words=decision.reasons[0].words)
    return Look(at=now, words=decision.reason.words)


def next_look(thread: Thread, policy: Policy, now: Minute) -> datetime | None:
    """When to ask `decide` again; none when only an event can change the answer."""
    return look(thread, policy, now).at


def noted(thread: Thread, policy: Policy, now: Minute) -> tuple[Thread, Look]:
    """The thread with its plan written down, and when to look, right after something happened to it.

    A text that may go at once is planned for `now`: what follows counts from there, however late the beat comes.
    """
    decision = decide(thread, policy, now)
    found = look_after(decision, now)
    if isinstance(decision, Wait):
        return advance(thread, decision, policy, now), found
    if not isinstance(decision, Send | Ask):
        return thread, found
    proposal = decision.proposal
    if planned_of(thread.pace, proposal.enrollment, proposal.step, proposal.cycle) is not None:
        return thread, found
    planned = Planned(
        enrollment=proposal.enrollment,
        step=proposal.step,
        cycle=proposal.cycle,
        at=decision.mark,
        until=proposal.expires_at,
    )
    return replace(thread, pace=replace(thread.pace, planned=(planned, *thread.pace.planned))), found


def _resting(thread: Thread, policy: Policy, now: datetime) -> Decision | None:
    """Nobody to plan for: opted out, ended, not confirmed, or paused."""
    words = {
        "opted_out": "The parent has opted out; only START brings texts back.",
        "ended": "The family has left the program.",
    }.get(thread.status)
    if words is not None:
        return Idle(reasons=(Reason(code=thread.status, words=words),))
    if thread.status == "invited":
        return ahead.invited(thread, policy, now)
    if thread.status != "paused":
        return None
    if thread.paused_until is None:
        return Idle(reasons=(Reason(code="paused", words="Paused until somebody resumes."),))
    said = gate.say(thread.paused_until, thread)
    return Wait(until=thread.paused_until, reasons=(Reason(code="paused", words=f"Paused until {said}."),))


# ---------------------------------------------------------------- steps whose moment has passed


def _missed(thread: Thread, outlook: Outlook, policy: Policy, now: datetime) -> Decision | None:
    for candidate in outlook.coming:
        if candidate.due.at <= now and outlook.placed(candidate).never is not None:
            return _never(outlook.placed(candidate))
        expires_at = _expires_at(thread, candidate)
        if candidate.step.kind is Kind.STAFF or expires_at is None or now < expires_at:
            continue
        if agenda.rests(candidate.enrollment, candidate.pending) or agenda.moves_on_with_hold(
            candidate.enrollment, candidate.pending, thread
        ):
            continue  # it moves on with its sequence, whose turn has not come
        if outlook.reaches(candidate):
            return _drop(thread, outlook.placed(candidate), outlook, policy, expires_at)
    return None


def _never(candidate: Candidate) -> Drop:
    """The gate will not let it go at any time (this parent has had the words often enough)."""
    assert candidate.never is not None
    return Drop(
        enrollment=candidate.enrollment.id,
        step=candidate.step.id,
        cycle=candidate.pending.cycle,
        outcome="dropped",
        reason=candidate.never,
    )


def _expires_at(thread: Thread, candidate: Candidate) -> datetime | None:
    """When it will be too late: for a step ahead of a window, the end of the moment that it was planned for."""
    if candidate.when.slot is not Slot.WINDOW:
        return candidate.expires_at
    planned = planned_of(thread.pace, candidate.enrollment.id, candidate.step.id, candidate.pending.cycle)
    if planned is not None:
        return planned.until
    return None if candidate.step.kind is Kind.TALK else candidate.expires_at


def _drop(thread: Thread, candidate: Candidate, outlook: Outlook, policy: Policy, expires_at: datetime) -> Drop:
    """Why it did not go: what stood in the way at its last moment, or, if nothing did, that nobody sent it."""
    said = gate.say(expires_at, thread)
    closes = candidate.step.closes_talk  # "did a chance come up?" makes no sense days later
    is_window = candidate.when.slot is Slot.WINDOW
    most = _MOST_REPLANS if is_window and expires_at < candidate.expires_at else 1
    again = candidate.step.kind in ONCE_MORE and candidate.pending.replans < most and not closes
    again = again and not _comes_soon_anyway(thread, candidate, policy)
    why = _obstacle(thread, candidate, outlook, policy, expires_at)
    if why is None:
        words = f"Its moment passed at {said} without being sent; late is worse than not at all."
        reason = Reason(code="expired", words=words, inputs={"expires_at": expires_at.isoformat()})
        outcome = "expired"
    else:
        words = f"Not sent: {why.words.split(': ', 1)[-1].rstrip('.')}, until its moment passed at {said}."
        reason = Reason(code=why.code, words=words, inputs={**why.inputs, "expires_at": expires_at.isoformat()})
        outcome = "held" if why.code.startswith("hold_") else "dropped"
        # A hold or another sequence in its place is no lost race: nothing is made up for later.
        again = again and not why.code.startswith(("hold_", "off_in_", "gate_", "safety", "not_screened"))
    return Drop(
        enrollment=candidate.enrollment.id,
        step=candidate.step.id,
        cycle=candidate.pending.cycle,
        outcome=outcome,
        reason=reason,
        again=again,
        at=expires_at,
    )


def _comes_soon_anyway(thread: Thread, candidate: Candidate, policy: Policy) -> bool:
    """Is the step's next round so near that a lost one, planned anew, would only pile up before it?"""
    soon = candidate.due.at + timedelta(days=policy.next_round_days)
    enrollment = candidate.enrollment
    rounds = [p for p in enrollment.agenda if p.step == candidate.step.id and p != candidate.pending]
    dues = (due_of(pending, enrollment, thread, policy) for pending in rounds)
    return any(due is not None and candidate.due.at < due.at <= soon for due in dues)


def _obstacle(
    thread: Thread, candidate: Candidate, outlook: Outlook, policy: Policy, expires_at: datetime
) -> Reason | None:
    """What kept a step from going until it was too late; none when it could have gone."""
    # At its last open minute: that it is night by now is no reason.
    last = windows.last_open(thread.profile, policy, expires_at) or expires_at
    last = min(last, expires_at - localtime.MINUTE)
    verdict = gate.may_go(replace(candidate, expires_at=expires_at).proposal, thread, policy, last)
    if not isinstance(verdict, Go):
        return verdict.reason
    first = _yields_to(replace(candidate, at=last), outlook, thread, policy)
    if first is not None:
        return Reason(code="yields", words=f"Waiting: {first.step.id} goes first.", inputs={"step": first.step.id})
    return None if candidate.reason.code in ("due", "calm_window", "expired") else candidate.reason


# ---------------------------------------------------------------- ends


def _finished(thread: Thread, outlook: Outlook, policy: Policy, now: datetime) -> Decision | None:
    """A sequence has run its course when all its steps are sent or dropped and no question of it is open."""
    for enrollment in thread.enrollments:
        question = thread.pace.question
        if (question is not None and question.enrollment == enrollment.id) or agenda.waits(enrollment):
            continue
        if agenda.has_ahead(enrollment, thread) or agenda.awaits_sessions(enrollment):
            continue
        at_end = ahead.at_end(thread, enrollment)
        if at_end is not None:
            return at_end
        words = f"{enrollment.sequence.key} has come to its end."
        return Finish(enrollment=enrollment.id, reason=Reason(code="complete", words=words))
    return None


def _pause_after_silence(thread: Thread, outlook: Outlook, policy: Policy, now: datetime) -> Decision | None:
    asked_at = thread.pace.stay_asked_at
    if asked_at is None or now < asked_at + timedelta(days=policy.silence_answer_days):
        return None
    words = "No answer to stay, pause or finish: paused. This is not an opt-out."
    return Finish(enrollment=None, reason=Reason(code="silence_pause", words=words), pause=True)


# ---------------------------------------------------------------- people's steps and the service's own question


def _staff(thread: Thread, outlook: Outlook, policy: Policy, now: datetime) -> Decision | None:
    for candidate in outlook.coming:
        if candidate.step.kind is not Kind.STAFF or candidate.due.at > now:
            continue
        effect = next((e for e in candidate.step.then if e.verb == "staff"), None)
        priority, words = (int(effect.args[0]), effect.args[1]) if effect else (2, candidate.step.intent)
        return StaffTask(
            enrollment=candidate.enrollment.id,
            step=candidate.step.id,
            cycle=candidate.pending.cycle,
            priority=priority,
            words=words,
            reason=Reason(code="due", words=f"Due {gate.say(candidate.due.at, thread)}."),
        )
    return None


def _unanswered(thread: Thread, outlook: Outlook, policy: Policy, now: datetime) -> Decision | None:
    """A question that matters was not answered, or could not be asked: people are told, the parent is not."""
    for enrollment, step, at in _silences(thread):
        if at <= now and step.if_silent is not None:
            priority, words = step.if_silent.then[0].args
            return StaffTask(
                enrollment=enrollment.id,
                step=step.id,
                cycle=agenda.next_cycle(enrollment, step.id),
                priority=int(priority),
                words=words,
                reason=Reason(code="unanswered", words=f"{step.id} has no answer."),
            )
    return None


def _silences(thread: Thread) -> Iterator[tuple[Enrollment, Step, datetime]]:
    """Questions that people will be told about, and when."""
    for enrollment in thread.enrollments:
        for step in enrollment.sequence.steps:
            at = enrollment.instants.get(agenda.silent_key(step.id)) if step.if_silent is not None else None
            if at is not None:
                yield enrollment, step, at


# ---------------------------------------------------------------- the next text


def _next_text(thread: Thread, outlook: Outlook, policy: Policy, now: Minute) -> Decision:
    ready = outlook.ready()
    for candidate in sorted(ready, key=lambda c: (c.priority, c.due.at, c.step.id)):
        if _yields_to(candidate, outlook, thread, policy) is None and not _overtakes(candidate, outlook):
            return _send(candidate, thread, policy, now)
    return _wait(thread, outlook, policy, now)


def _overtakes(candidate: Candidate, outlook: Outlook) -> bool:
    if moments.is_free_of_order(candidate):
        return False
    siblings = (c for c in outlook.coming if c.enrollment.id == candidate.enrollment.id)
    return any(moments.overtakes(candidate, [outlook.placed(one)]) for one in siblings)


def _send(candidate: Candidate, thread: Thread, policy: Policy, now: Minute) -> Send:
    """The text goes now. Its mark is the beginning of the moment that it was planned for; else it is now."""
    pending = candidate.pending
    planned = planned_of(thread.pace, candidate.enrollment.id, candidate.step.id, pending.cycle)
    mark: datetime = now
    if planned is not None and planned.at <= now < planned.until:
        mark = planned.at
    reason = candidate.reason
    waited = planned.waited if planned is not None else ()
    if waited and candidate.when.slot is not Slot.WINDOW:
        known = {obstacle.code for obstacle in candidate.obstacles}
        before = tuple(Reason(code=code, words=words) for code, words in waited if code not in known)
        reason = moments.going(candidate, mark, thread, (*before, *candidate.obstacles))
    expires_at = candidate.expires_at
    if agenda.slides(candidate.enrollment.sequence, candidate.step, candidate.when):
        expires_at = min(expires_at, mark + life(candidate.step.kind, policy))
    turn = pacing.said_within_a_year(thread.pace, candidate.step.id, now)
    return Send(
        enrollment=candidate.enrollment.id,
        step=candidate.step,
        cycle=pending.cycle,
        which=pending.which,
        due_at=candidate.due.at,
        mark=mark,
        choices=moments.choices(candidate, thread, policy, now),
        proposal=replace(
            candidate.proposal, expires_at=expires_at, turn=turn, is_plain=_asks_nothing(candidate, thread)
        ),
        reason=reason,
    )


def _asks_nothing(candidate: Candidate, thread: Thread) -> bool:
    """While another question must be settled, a text that has plain words goes with those, and asks nothing."""
    question = thread.pace.question
    is_other = question is not None and question.settles and question.step != candidate.step.id
    return is_other and candidate.step.plain is not None


def _yields_to(candidate: Candidate, outlook: Outlook, thread: Thread, policy: Policy) -> Candidate | None:
    """A text of higher priority that this one would push out of its moment."""
    if candidate.at is None:
        return None
    week = candidate.at + timedelta(days=policy.cap_week_days)
    sent: Thread | None = None
    for other in outlook.coming:
        if other.due.at >= week or other.priority >= candidate.priority or not _competes(candidate, other):
            continue
        other = outlook.placed(other)
        if other.at is None or not candidate.at < other.at < week or _overtakes(other, outlook):
            continue
        # One that cannot go anyway (expired by then) is not pushed out by anybody.
        if not isinstance(gate.may_go(other.proposal, thread, policy, other.at), Go):
            continue
        sent = sent or _with(candidate.proposal, thread, policy, candidate.at)
        if not isinstance(gate.may_go(other.proposal, sent, policy, other.at), Go):
            return other
    return None


def _with(proposal: Proposal, thread: Thread, policy: Policy, at: datetime) -> Thread:
    """The thread as if this text had gone at `at`."""
    return replace(thread, pace=pacing.remember(thread.pace, mark_of(proposal, at)))


def _competes(candidate: Candidate, other: Candidate) -> bool:
    """Within one sequence the written order decides, unless the parent said READY or a question must be answered."""
    if candidate.enrollment.id != other.enrollment.id or other.step.if_silent is not None:
        return True
    return other.step.kind is Kind.TALK and bool(candidate.enrollment.facts.get("ready"))


def _wait(thread: Thread, outlook: Outlook, policy: Policy, now: Minute) -> Decision:
    """Until the first moment at which anything could change; or what leads on when nothing is to come."""
    candidates = outlook.waited_for()
    # What would overtake an earlier step of its sequence is not next.
    placed = (c for c in candidates if c.at is not None and not _overtakes(c, outlook))
    first = min(placed, key=lambda c: (c.at, c.priority), default=None)
    if first is None:
        decision = ahead.nothing_planned(thread, candidates, policy, now)
        if decision is not None:
            return decision
    looks = [one for c in candidates for one in _looks(thread, c, outlook, policy, now)]
    looks += _other_looks(thread, policy, now)
    later = sorted((one for one in looks if one[0] > now), key=lambda one: one[0])
    parked = tuple(c.reason for c in candidates if c.at is None)
    if not later:
        return Idle(reasons=(*parked, *ahead.why_idle(thread)))
    return Wait(
        until=later[0][0],
        reasons=(first.reason,) if first is not None else (*parked, *ahead.why_idle(thread), later[0][1]),
        planned=_planned(candidates, first),
        step=first.step.id if first is not None else None,
    )


def _other_looks(thread: Thread, policy: Policy, now: datetime) -> Iterator[tuple[datetime, Reason]]:
    """When to look again for what is no step: questions that lapse, ends, conversations, people who were asked."""
    question, asked_at = thread.pace.question, thread.pace.stay_asked_at
    if question is not None and not question.settles:
        yield question.until, Reason(code="question_open", words="A question is still open.")
    if asked_at is not None:
        until = asked_at + timedelta(days=policy.silence_answer_days)
        yield until, Reason(code="stay_asked", words="Waiting for stay, pause or finish.")
    for enrollment in thread.enrollments:
        ends_at = lifecycle.ends_at(enrollment, thread, policy)
        if ends_at is not None and ends_at > now:
            yield ends_at, Reason(code="time_up", words=f"{enrollment.sequence.key} ends then.")
    for _, step, at in _silences(thread):
        yield at, Reason(code="unanswered", words=f"Waiting for an answer to {step.id}.")
    for hold in thread.holds:
        if hold.until is not None:
            yield hold.until, Reason(code="conversation", words="A conversation is going on.")
    yield from ahead.looks(thread, policy, now)


def _looks(
    thread: Thread, candidate: Candidate, outlook: Outlook, policy: Policy, now: datetime
) -> Iterator[tuple[datetime, Reason]]:
    """When to look again because of one pending step: at its moment, or when it becomes too late."""
    if candidate.at is not None:
        at = candidate.at
        if at <= now:
            other = _yields_to(candidate, outlook, thread, policy)
            at = other.at if other is not None and other.at is not None else now
        yield at, candidate.reason
        if candidate.until is not None and candidate.step.kind is not Kind.STAFF:
            yield candidate.until, candidate.reason
    expires_at = _expires_at(thread, candidate)
    rests = agenda.rests(candidate.enrollment, candidate.pending)
    if expires_at is not None and candidate.step.kind is not Kind.STAFF and not rests:
        yield expires_at, candidate.reason


def _planned(candidates: list[Candidate], first: Candidate | None) -> tuple[Planned, ...]:
    """The moments that are planned, the next text's first: each counts from its own mark, also when another one that
    was to go before it does not."""
    placed = [c for c in candidates if c.at is not None and c.step.kind is not Kind.STAFF and c is not first]
    placed.sort(key=lambda c: (c.at or c.due.at, c.priority))
    wanted = placed if first is None or first.step.kind is Kind.STAFF else [first, *placed]
    return tuple(_as_planned(c) for c in wanted[:_MOST_PLANNED])


def _as_planned(candidate: Candidate) -> Planned:
    assert candidate.at is not None and candidate.until is not None
    return Planned(
        enrollment=candidate.enrollment.id,
        step=candidate.step.id,
        cycle=candidate.pending.cycle,
        at=candidate.at,
        until=candidate.until,
        waited=tuple((reason.code, reason.words) for reason in candidate.obstacles),
    )


def end_of_moment(thread: Thread, proposal: Proposal, policy: Policy, at: datetime) -> datetime:
    """The end of the time in which a provider may still hand the text over, itself excluded: its expiry or the end of
    open hours."""
    return min(proposal.expires_at, windows.end_of_open(thread.profile, policy, at))


_RULES = (
    ahead.welcome,
    _missed,
    _finished,
    _pause_after_silence,
    _staff,
    _unanswered,
    ahead.closed,
    ahead.awaited,
    ahead.stay_question,
)
