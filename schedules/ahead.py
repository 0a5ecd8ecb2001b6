"""No thread without a next thing: what the service itself says or asks a person when no sequence does.

The welcome before everything else, a date that nobody has entered, stay-pause-or-finish after a long silence, a
sequence that leads on, a goodbye, and a person where nothing else is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from schedules import agenda, gate, localtime, windows
from schedules.localtime import Minute
from schedules.moments import Candidate
from schedules.outlook import Outlook
from schedules.policy import Policy
from schedules.progress import GOODBYE, STAY, WELCOME, planned_of
from schedules.values import (
    Ask,
    Budget,
    Decision,
    Enrollment,
    Finish,
    Go,
    Idle,
    Kind,
    Onward,
    Planned,
    Proposal,
    Reason,
    StaffTask,
    Thread,
    Topic,
    Wait,
)

_FOR_EVER = timedelta(days=365)
_DATES = {
    "session": "the next session",
    "break_start": "the beginning of the break",
    "crisis_report": "the crisis report",
    "visit": "the follow-up visit",
    "consult": "the first call",
    "next_review": "the next review",
}
_PARKED_BY_ITSELF = ("two_at_once", "unsettled", "check_in_first", "question_open")


def task(code: str, words: str, why: str, *, priority: int = 2) -> StaffTask:
    """Something for a person that belongs to no step."""
    return StaffTask(
        enrollment=None, step=None, cycle=None, priority=priority, words=words, reason=Reason(code=code, words=why)
    )


def _told(thread: Thread, code: str, policy: Policy, now: datetime) -> bool:
    """Do people know already? They are told again after some weeks."""
    at = thread.pace.told.get(code)
    return at is not None and now < at + timedelta(days=policy.tell_again_days)


# ---------------------------------------------------------------- a text of the service's own


def _system(step: str, kind: Kind, cycle: int) -> Proposal:
    return Proposal(
        sequence="SYSTEM",
        step=step,
        cycle=cycle,
        enrollment="",
        kind=kind,
        topic=Topic.SYSTEM,
        expires_at=datetime.max.replace(tzinfo=localtime.zone("UTC")),
        budget=Budget.SAFETY if kind is Kind.SYSTEM else Budget.COMFORT,
        counted=kind is not Kind.SYSTEM,
    )


def _said_at_first_moment(
    proposal: Proposal, reason: Reason, thread: Thread, policy: Policy, now: Minute
) -> Ask | Wait | None:
    """Say it now, or wait for the first moment that the gate allows; none when nothing but a person can open one."""
    planned = planned_of(thread.pace, "", proposal.step, proposal.cycle)
    at: datetime | None = now
    for _ in range(60):
        if at is None:
            return None
        verdict = gate.may_go(proposal, thread, policy, at)
        if isinstance(verdict, Go):
            if at > now:
                return _waits_for(proposal, reason, at, windows.end_of_open(thread.profile, policy, at))
            mark = planned.at if planned is not None and planned.at <= now < planned.until else now
            expires_at = mark + timedelta(days=policy.ttl_default_days)
            return Ask(step=proposal.step, proposal=replace(proposal, expires_at=expires_at), reason=reason, mark=mark)
        until = getattr(verdict, "until", None)
        at = None if until is None else _preferred(until, thread, policy)
    return None


def _waits_for(proposal: Proposal, reason: Reason, at: datetime, until: datetime) -> Wait:
    planned = Planned(enrollment="", step=proposal.step, cycle=proposal.cycle, at=at, until=until)
    return Wait(until=at, reasons=(reason,), planned=(planned,), step=proposal.step)


def _preferred(at: datetime, thread: Thread, policy: Policy) -> datetime:
    """`at`, or that day's preferred moment if it is still to come."""
    day = localtime.local_date(at, thread.profile.timezone)
    preferred = windows.preferred_moment(thread.profile, policy, day)
    return at if preferred is None else max(at, preferred)


def welcome(thread: Thread, outlook: Outlook, policy: Policy, now: Minute) -> Decision | None:
    """The first text says who writes and how to stop. A sequence may have words of its own for it; else the service's
    go, and again a day later where they failed."""
    if thread.pace.welcomed_at is not None or not thread.enrollments or _is_held(thread, now):
        return None
    if any(p.step in e.sequence.welcomes for e in thread.enrollments for p in e.agenda):
        return None
    reason = Reason(code="welcome", words="The first text says who writes and how to stop.")
    return _said_at_first_moment(_system(WELCOME, Kind.SYSTEM, 1), reason, thread, policy, now)


def closed(thread: Thread, outlook: Outlook, policy: Policy, now: datetime) -> Decision | None:
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


def stay_question(thread: Thread, outlook: Outlook, policy: Policy, now: Minute) -> Decision | None:
    """After three monthly texts without an answer: stay, pause or finish? Asked once, instead of the next text."""
    pace = thread.pace
    if pace.silence_count < policy.silence_ask_after or pace.stay_asked_at is not None or not thread.enrollments:
        return None
    reason = Reason(code="silence_ask", words="Three monthly texts went unanswered: asking whether to go on.")
    return _said_at_first_moment(_system(STAY, Kind.CHECKIN, 1), reason, thread, policy, now)


# ---------------------------------------------------------------- what a person has to bring


def invited(thread: Thread, policy: Policy, now: datetime) -> Decision:
    """Awaiting the confirming digit; after some days a person hears of it."""
    idle = Idle(reasons=(Reason(code="invited", words="Waiting for the parent to confirm with 1."),))
    if thread.since is None or "invited" in thread.pace.told:
        return idle
    by = thread.since + timedelta(days=policy.date_days)
    if now < by:
        return Wait(until=by, reasons=idle.reasons)
    return task("invited", "has not confirmed the invitation: ask, or end it", "No confirmation came.", priority=3)


def awaits(thread: Thread, policy: Policy) -> Iterator[tuple[Enrollment, str, datetime]]:
    """Enrollments whose rest hangs on a date that nobody has entered: which kind, and by when a person is asked."""
    for enrollment in thread.enrollments:
        since = enrollment.instants.get(agenda.AWAITS)
        is_beside = enrollment.sequence.traits.helper and not _is_peoples(enrollment)
        if since is None or (is_beside and len(thread.enrollments) > 1):
            continue
        kind = agenda.awaited_kind(enrollment, thread)
        if kind is not None:
            yield enrollment, kind, since + timedelta(days=policy.date_days)


def awaited(thread: Thread, outlook: Outlook, policy: Policy, now: Minute) -> Decision | None:
    """A date that did not come in time, or a question that must be settled: a person asks."""
    unsettled = _unsettled_by(thread, policy)
    if unsettled is not None and now >= unsettled and not _told(thread, "unsettled", policy, now):
        asked = thread.pace.question.step if thread.pace.question is not None else ""
        return task(
            "unsettled", f"{asked} has no answer, and nothing else is asked before: ask the parent", "Unsettled."
        )
    for enrollment, kind, by in awaits(thread, policy):
        code = f"awaits {kind} {enrollment.sequence.key}"
        if now < by or _told(thread, code, policy, now):
            continue
        if code in thread.pace.told and not _is_peoples(enrollment):
            why = f"No date came for {_DATES.get(kind, kind)}, though people were told: what else there is goes on."
            return Finish(enrollment=enrollment.id, reason=Reason(code="no_date", words=why))
        words = f"{enrollment.sequence.title} waits for a date: {_DATES.get(kind, kind)}. Enter it, or end the sequence"
        return task(code, words, f"No date for {_DATES.get(kind, kind)} since {gate.say(by, thread)}.")
    return None


def _is_peoples(enrollment: Enrollment) -> bool:
    """Only a person ends what is there for safety, or what only a person begins."""
    traits = enrollment.sequence.traits
    return traits.staff_only or traits.budget is Budget.SAFETY


def _unsettled_by(thread: Thread, policy: Policy) -> datetime | None:
    """By when a question that must be settled is a person's to ask."""
    question = thread.pace.question
    if question is None or not question.settles:
        return None
    return question.asked_at + timedelta(days=policy.date_days)


def unsettled_by(thread: Thread, policy: Policy) -> datetime | None:
    """The latest day of an open question that must be settled: then a person is told, and again after some weeks."""
    by, told = _unsettled_by(thread, policy), thread.pace.told.get("unsettled")
    return by if by is None or told is None else max(by, told + timedelta(days=policy.tell_again_days))


def looks(thread: Thread, policy: Policy, now: datetime) -> Iterator[tuple[datetime, Reason]]:
    """When to look again because of what a person has to bring."""
    if thread.pace.with_staff is not None:
        patience = thread.pace.with_staff.by + timedelta(days=policy.tell_again_days)
        yield patience, Reason(code="with_staff", words=f"A person has been asked: {thread.pace.with_staff.words}.")
    for code, said_at in thread.pace.told.items():
        if code.startswith("parked"):
            words = "People have been told what keeps everything waiting."
            yield said_at + timedelta(days=policy.tell_again_days), Reason(code="told", words=words)
    unsettled = unsettled_by(thread, policy)
    if unsettled is not None:
        yield unsettled, Reason(code="unsettled", words="A question must be answered or settled first.")
    for enrollment, kind, by in awaits(thread, policy):
        told = thread.pace.told.get(f"awaits {kind} {enrollment.sequence.key}")
        at = by if told is None else max(by, told + timedelta(days=policy.tell_again_days))
        words = f"{enrollment.sequence.key} waits for a date: {_DATES.get(kind, kind)}."
        yield at, Reason(code="awaits_date", words=words)


def at_end(thread: Thread, enrollment: Enrollment) -> StaffTask | None:
    """Whom a sequence that has run its course tells; none when it tells nobody, or has."""
    code = f"end of {enrollment.sequence.key} {enrollment.id}"
    if not enrollment.sequence.at_end or code in thread.pace.told:
        return None
    priority, words = enrollment.sequence.at_end[0].args
    return task(code, words, f"{enrollment.sequence.title} has run its course.", priority=int(priority))


# ---------------------------------------------------------------- when nothing is to come


def nothing_planned(thread: Thread, parked: Sequence[Candidate], policy: Policy, now: Minute) -> Decision | None:
    """What leads on when no step has a moment: the next sequence, a goodbye, or a person. None while something else
    is awaited."""
    pace = thread.pace
    question = pace.question
    if _is_held(thread, now) or pace.stay_asked_at is not None or any(awaits(thread, policy)):
        return None
    if question is not None:
        return None
    if thread.enrollments:
        return _stuck(thread, parked, policy, now)
    if pace.goodbye_at is not None or _waits_for_people(thread, policy, now):
        return None
    if not (pace.marks or pace.said or pace.leads_to or pace.wants_rest):
        return _told_once(
            thread, "nothing_planned", "nothing is planned for this parent: choose a sequence", policy, now
        )
    if pace.leads_to and not pace.wants_rest:
        words = f"{pace.leads_to[0]} comes next: nothing else is planned."
        return Onward(sequences=pace.leads_to, reason=Reason(code="leads_on", words=words))
    reason = Reason(code="goodbye", words="Nothing else is planned: a goodbye that says how to come back.")
    said = _said_at_first_moment(_system(GOODBYE, Kind.ENCOURAGE, len(pace.marks) + 1), reason, thread, policy, now)
    return said or _told_once(thread, "no_goodbye", "no text can reach this parent: look at their hours", policy, now)


def _waits_for_people(thread: Thread, policy: Policy, now: datetime) -> bool:
    """People have their time, and some weeks more; then what leads on does not wait for them any longer."""
    asked = thread.pace.with_staff
    return asked is not None and now < asked.by + timedelta(days=policy.tell_again_days)


def _stuck(thread: Thread, parked: Sequence[Candidate], policy: Policy, now: datetime) -> Decision | None:
    """Steps that only a person can open the way for."""
    why = next((c.reason for c in parked if c.at is None and c.reason.code not in _PARKED_BY_ITSELF), None)
    if why is None:
        return None
    cause = why.words.split(": ", 1)[-1].rstrip(".")
    if f"parked {why.code}" in thread.pace.told and not _told(thread, f"parked {why.code}", policy, now):
        ends = next((e for e in thread.enrollments if not _is_peoples(e)), None)
        if ends is not None:
            words = f"Nothing could go for weeks, though people were told: {cause}."
            return Finish(enrollment=ends.id, reason=Reason(code="stuck", words=words))
    return _told_once(thread, f"parked {why.code}", f"nothing can go to this parent: {cause}", policy, now)


def _told_once(thread: Thread, code: str, words: str, policy: Policy, now: datetime) -> StaffTask | None:
    if _told(thread, code, policy, now):
        return None
    return task(code, words, words[:1].upper() + words[1:] + ".")


def _is_held(thread: Thread, now: datetime) -> bool:
    return any(h.kind != "safeguarding" and (h.until is None or now < h.until) for h in thread.holds)


def why_idle(thread: Thread) -> tuple[Reason, ...]:
    """What a thread without a plan waits for, in words."""
    pace, found = thread.pace, []
    if pace.with_staff is not None:
        found.append(Reason(code="with_staff", words=f"A person has been asked: {pace.with_staff.words}."))
    if pace.question is not None and pace.question.settles:
        found.append(Reason(code="unsettled", words=f"Waiting for an answer to {pace.question.step}."))
    if pace.goodbye_at is not None:
        found.append(Reason(code="goodbye", words="A goodbye was said; READY or START brings texts back."))
    found.append(Reason(code="nothing_pending", words="Nothing is planned until something happens."))
    return tuple(found)
