"""What should happen next for one parent: the same function plans, previews, simulates and is tested.

`decide` looks, `advance` is the thread once that was done. The caller repeats both until Wait or Idle.
Every due step ends here as sent, dropped or expired, with a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from schedules import agenda, gate, lifecycle, localtime, moments, pacing, windows
from schedules.changing import changed
from schedules.moments import Candidate
from schedules.outlook import Outlook
from schedules.policy import Policy
from schedules.progress import ONCE_MORE, STAY, advance, mark_of, unsent, withdrawn
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
    StaffTask,
    Step,
    Thread,
    Topic,
    Wait,
)

__all__ = [
    "Forecast",
    "Look",
    "advance",
    "decide",
    "end_of_moment",
    "forecast",
    "look",
    "look_after",
    "next_look",
    "unsent",
    "withdrawn",
]

_FOR_EVER = timedelta(days=365)


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """A text that would go if nothing is answered: when, which step, ahead of which window, and why then."""

    at: datetime
    sequence: str
    step: Step
    window: tuple[datetime, datetime] | None
    reason: Reason


def decide(thread: Thread, policy: Policy, now: datetime) -> Decision:
    """Exactly one thing to do at `now`."""
    thread = lifecycle.at(thread, policy, now)
    resting = _resting(thread, now)
    if resting is not None:
        return resting
    outlook = Outlook(thread, policy, now)
    for rule in (_missed, _finished, _pause_after_silence, _staff, _unanswered, _closed, _stay_question):
        decision = rule(thread, outlook, policy, now)
        if decision is not None:
            return decision
    return _next_text(thread, outlook, policy, now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """When to ask `decide` again (none: only an event can change the answer), and what is being waited for."""

    at: datetime | None
    words: str


def look(thread: Thread, policy: Policy, now: datetime) -> Look:
    """What a thread waits for, as its page shows it."""
    return look_after(decide(thread, policy, now), now)


def look_after(decision: Decision, now: datetime) -> Look:
    """The same for a decision that was just taken."""
    if isinstance(decision, Wait):
        return Look(at=decision.until, words=decision.reasons[0].words)
    if isinstance(decision, Idle):
        return Look(at=None, words=decision.reasons[0].words)
    return Look(at=now, words=decision.reason.words)


def next_look(thread: Thread, policy: Policy, now: datetime) -> datetime | None:
    """When to ask `decide` again; none when only an event can change the answer."""
    return look(thread, policy, now).at


def _resting(thread: Thread, now: datetime) -> Decision | None:
    """Nobody to plan for: opted out, ended, not confirmed, or paused."""
    words = {
        "opted_out": "The parent has opted out; only START brings texts back.",
        "ended": "The family has left the program.",
        "invited": "Waiting for the parent to confirm with 1.",
    }.get(thread.status)
    if words is not None:
        return Idle(reasons=(Reason(code=thread.status, words=words),))
    if thread.status != "paused":
        return None
    if thread.paused_until is None:
        return Idle(reasons=(Reason(code="paused", words="Paused until somebody resumes."),))
    said = gate.say(thread.paused_until, thread)
    return Wait(until=thread.paused_until, reasons=(Reason(code="paused", words=f"Paused until {said}."),))


# ---------------------------------------------------------------- steps whose moment has passed


def _missed(thread: Thread, outlook: Outlook, policy: Policy, now: datetime) -> Decision | None:
    for candidate in outlook.coming:
        expires_at = _expires_at(thread, candidate)
        if candidate.step.kind is Kind.STAFF or expires_at is None or now <= expires_at:
            continue
        if agenda.rests(candidate.enrollment, candidate.pending):
            continue  # it moves on with its sequence, whose turn has not come
        if outlook.reaches(candidate):
            return _drop(thread, outlook.placed(candidate), outlook, policy, expires_at)
    return None


def _expires_at(thread: Thread, candidate: Candidate) -> datetime | None:
    """When it will be too late: for a talk the window that it was planned for decides."""
    if candidate.step.kind is not Kind.TALK:
        return candidate.expires_at
    planned = thread.pace.planned
    if planned is None or (planned.enrollment, planned.step, planned.cycle) != (
        candidate.enrollment.id,
        candidate.step.id,
        candidate.pending.cycle,
    ):
        return None
    return planned.expires_at


def _drop(thread: Thread, candidate: Candidate, outlook: Outlook, policy: Policy, expires_at: datetime) -> Drop:
    """Why it did not go: what stood in the way at its last moment, or, if nothing did, that nobody sent it."""
    said = gate.say(expires_at, thread)
    closes = candidate.step.closes_talk  # "did a chance come up?" makes no sense days later
    again = candidate.step.kind in ONCE_MORE and candidate.pending.replans < 1 and not closes
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
    )


def _comes_soon_anyway(thread: Thread, candidate: Candidate, policy: Policy) -> bool:
    """Is the step's next round so near that a lost one, planned anew, would only pile up before it?"""
    soon = candidate.due.at + timedelta(days=policy.next_round_days)
    enrollment = candidate.enrollment
    rounds = [p for p in enrollment.agenda if p.step == candidate.step.id and p != candidate.pending]
    dues = (moments.due_of(pending, enrollment, thread, policy) for pending in rounds)
    return any(due is not None and candidate.due.at < due.at <= soon for due in dues)


def _obstacle(
    thread: Thread, candidate: Candidate, outlook: Outlook, policy: Policy, expires_at: datetime
) -> Reason | None:
    """What kept a step from going until it was too late; none when it could have gone."""
    # At its last open minute: that it is night by now is no reason.
    last = windows.last_open(thread.profile, policy, expires_at) or expires_at
    verdict = gate.may_go(changed(candidate, expires_at=expires_at).proposal, thread, policy, last)
    if not isinstance(verdict, Go):
        return verdict.reason
    first = _yields_to(changed(candidate, at=last), outlook, thread, policy)
    if first is not None:
        return Reason(code="yields", words=f"Waiting: {first.step.id} goes first.", inputs={"step": first.step.id})
    return None if candidate.reason.code in ("due", "calm_window", "expired") else candidate.reason


# ---------------------------------------------------------------- ends


def _finished(thread: Thread, outlook: Outlook, policy: Policy, now: datetime) -> Decision | None:
    """A sequence ends when its time is up or nothing is left, once its open question is over."""
    for enrollment in thread.enrollments:
        question = thread.pace.question
        if (question is not None and question.enrollment == enrollment.id) or agenda.waits(enrollment):
            continue
        if not enrollment.agenda and not agenda.awaits_sessions(enrollment):
            words = f"{enrollment.sequence.key} has come to its end."
            return Finish(enrollment=enrollment.id, reason=Reason(code="complete", words=words))
        ends_at = lifecycle.ends_at(enrollment, thread, policy)
        if ends_at is not None and now >= ends_at:
            words = f"{enrollment.sequence.key} has run its {enrollment.sequence.lasts_days} days."
            return Finish(enrollment=enrollment.id, reason=Reason(code="time_up", words=words))
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


def _closed(thread: Thread, outlook: Outlook, policy: Policy, now: datetime) -> Decision | None:
    """The family's hours leave no open moment for long: a person mends them. Said once, until there is one again."""
    if thread.pace.hours_told_at is not None or not outlook.coming:
        return None
    if not windows.is_shut(thread.profile, policy, now):
        return None
    return StaffTask(
        enrollment=None,
        step=None,
        cycle=None,
        priority=2,
        words=f"the family's hours leave no moment to text for {policy.closed_days} days: set them with the parent",
        reason=Reason(code="no_open_hours", words=f"No open moment in {policy.closed_days} days."),
    )


def _preferred(at: datetime, thread: Thread, policy: Policy) -> datetime:
    """`at`, or that day's preferred moment if it is still to come."""
    day = localtime.local_date(at, thread.profile.timezone)
    preferred = windows.preferred_moment(thread.profile, policy, day)
    return at if preferred is None else max(at, preferred)


def _stay_question(thread: Thread, outlook: Outlook, policy: Policy, now: datetime) -> Decision | None:
    """After three monthly texts without an answer: stay, pause or finish? Asked once, instead of the next text."""
    pace = thread.pace
    if pace.silence_count < policy.silence_ask_after or pace.stay_asked_at is not None or not thread.enrollments:
        return None
    proposal = Proposal(
        sequence="SYSTEM",
        step=STAY,
        cycle=1,
        enrollment="",
        kind=Kind.CHECKIN,
        topic=Topic.SYSTEM,
        expires_at=now + _FOR_EVER,
    )
    at: datetime | None = now
    reason = Reason(code="silence_ask", words="Three monthly texts went unanswered: asking whether to go on.")
    for _ in range(60):
        if at is None:
            break
        verdict = gate.may_go(proposal, thread, policy, at)
        if isinstance(verdict, Go):
            asks = Ask(step=STAY, proposal=changed(proposal, expires_at=at + timedelta(days=5)), reason=reason)
            return asks if at <= now else Wait(until=at, reasons=(reason,), step=STAY)
        until = getattr(verdict, "until", None)
        at = None if until is None else _preferred(until, thread, policy)
    return None


# ---------------------------------------------------------------- the next text


def _next_text(thread: Thread, outlook: Outlook, policy: Policy, now: datetime) -> Decision:
    ready = outlook.ready()
    for candidate in sorted(ready, key=lambda c: (c.priority, c.due.at, c.step.id)):
        if _yields_to(candidate, outlook, thread, policy) is None and not moments.overtakes(candidate, ready):
            return _send(candidate, now)
    return _wait(thread, outlook, policy, now)


def _send(candidate: Candidate, now: datetime) -> Send:
    if candidate.step.kind is not Kind.TALK and candidate.expires_at <= now:
        candidate = changed(candidate, expires_at=now + timedelta(hours=1))
    return Send(
        enrollment=candidate.enrollment.id,
        step=candidate.step,
        cycle=candidate.pending.cycle,
        which=candidate.pending.which,
        due_at=candidate.due.at,
        proposal=candidate.proposal,
        reason=candidate.reason,
    )


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
        if other.at is None or not candidate.at < other.at < week:
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
    return changed(thread, pace=pacing.remember(thread.pace, mark_of(proposal, policy, at)))


def _competes(candidate: Candidate, other: Candidate) -> bool:
    """Within one sequence the written order decides, unless the parent said READY (then the talk goes first), or the
    other one is a question that must not go unanswered."""
    if candidate.enrollment.id != other.enrollment.id or other.step.if_silent is not None:
        return True
    return other.step.kind is Kind.TALK and bool(candidate.enrollment.facts.get("ready"))


def _wait(thread: Thread, outlook: Outlook, policy: Policy, now: datetime) -> Decision:
    """Until the first moment at which anything could change."""
    candidates = outlook.waited_for()
    looks = [one for c in candidates for one in _looks(thread, c, outlook, policy, now)]
    looks += _other_looks(thread, policy)
    later = sorted((one for one in looks if one[0] > now), key=lambda one: one[0])
    parked = tuple(c.reason for c in candidates if c.at is None)
    if not later:
        nothing = Reason(code="nothing_pending", words="Nothing is planned until something happens.")
        return Idle(reasons=parked or (nothing,))
    first = min((c for c in candidates if c.at is not None), key=lambda c: (c.at, c.priority), default=None)
    return Wait(
        until=later[0][0],
        reasons=(first.reason,) if first is not None else (*parked, later[0][1]),
        planned=_planned(candidates, now),
        step=first.step.id if first is not None else None,
    )


def _other_looks(thread: Thread, policy: Policy) -> Iterator[tuple[datetime, Reason]]:
    """When to look again for what is no step: questions that lapse, sequences that end, conversations."""
    question, asked_at = thread.pace.question, thread.pace.stay_asked_at
    if question is not None:
        yield question.until, Reason(code="question_open", words="A question is still open.")
    if asked_at is not None:
        until = asked_at + timedelta(days=policy.silence_answer_days)
        yield until, Reason(code="stay_asked", words="Waiting for stay, pause or finish.")
    for enrollment in thread.enrollments:
        ends_at = lifecycle.ends_at(enrollment, thread, policy)
        if ends_at is not None:
            yield ends_at, Reason(code="time_up", words=f"{enrollment.sequence.key} ends then.")
    for _, step, at in _silences(thread):
        yield at, Reason(code="unanswered", words=f"Waiting for an answer to {step.id}.")
    for hold in thread.holds:
        if hold.until is not None:
            yield hold.until, Reason(code="conversation", words="A conversation is going on.")


def _looks(
    thread: Thread, candidate: Candidate, outlook: Outlook, policy: Policy, now: datetime
) -> Iterator[tuple[datetime, Reason]]:
    """When to look again because of one pending step: at its moment, or when it becomes too late."""
    if candidate.at is not None:
        at = candidate.at
        if at <= now:
            other = _yields_to(candidate, outlook, thread, policy)
            at = other.at + localtime.MINUTE if other is not None and other.at is not None else now
        yield at, candidate.reason
    expires_at = _expires_at(thread, candidate)
    rests = agenda.rests(candidate.enrollment, candidate.pending)
    if expires_at is not None and candidate.step.kind is not Kind.STAFF and not rests:
        yield expires_at + localtime.MINUTE, candidate.reason


def _planned(candidates: list[Candidate], now: datetime) -> Planned | None:
    """The next talk with the window that it is planned for, so that a missed window shows."""
    talks = [c for c in candidates if c.step.kind is Kind.TALK and c.at is not None]
    if not talks:
        return None
    talk = min(talks, key=lambda c: c.at or now)
    return Planned(
        enrollment=talk.enrollment.id,
        step=talk.step.id,
        cycle=talk.pending.cycle,
        at=talk.at or now,
        expires_at=talk.expires_at,
    )


# ---------------------------------------------------------------- what would come


def forecast(thread: Thread, policy: Policy, now: datetime, *, count: int = 5) -> tuple[Forecast, ...]:
    """The next texts if nothing is answered and nothing moves: the very same decisions, one after another."""
    found: list[Forecast] = []
    at = now
    for _ in range(40 * count):
        decision = decide(thread, policy, at)
        if isinstance(decision, Send):
            found.append(
                Forecast(
                    at=at,
                    sequence=decision.proposal.sequence,
                    step=decision.step,
                    window=decision.proposal.window,
                    reason=decision.reason,
                )
            )
        thread = advance(thread, decision, policy, at)
        if isinstance(decision, Idle) or len(found) == count:
            break
        if isinstance(decision, Wait):
            at = decision.until
    return tuple(found)


def end_of_moment(thread: Thread, proposal: Proposal, policy: Policy, at: datetime) -> datetime:
    """The last instant at which a provider may still hand the text over: its expiry or the end of open hours."""
    return min(proposal.expires_at, windows.end_of_open(thread.profile, policy, at))
