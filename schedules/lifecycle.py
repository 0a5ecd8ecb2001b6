"""A parent's way through the program: joining and leaving sequences, pausing, resuming, changing versions."""

from __future__ import annotations

from datetime import datetime, timedelta

from schedules import agenda, beside, localtime, pacing
from schedules.changing import changed
from schedules.policy import Policy
from schedules.values import Enrollment, Kind, OpenQuestion, Pending, Sequence, Step, Thread

# Key dates that a sequence's length is counted from; the others count from enrollment.
_LENGTH_FROM = {"DRIVE": "session", "BREAK": "break_start"}


def enroll(
    thread: Thread,
    sequence: Sequence,
    *,
    enrollment_id: str,
    now: datetime,
    policy: Policy,
    at_step: str | None = None,
    only: bool = False,
    spacing_days: int | None = None,
    in_line_since: datetime | None = None,
) -> Thread:
    """The thread with one more enrollment: from the first step, from `at_step` on, or `only` that step.

    `spacing_days`: its steps come that far apart instead of on their own days. `in_line_since`: it takes the place of
    one that began then, among those that wait for their turn.
    """
    enrollment = agenda.start(
        sequence,
        enrollment_id=enrollment_id,
        now=now,
        policy=policy,
        zone=thread.profile.timezone,
        at_step=at_step,
        only=only,
        spacing_days=spacing_days,
    )
    if in_line_since is not None:
        enrollment = changed(enrollment, instants={**enrollment.instants, beside.IN_LINE: in_line_since})
    # Whoever is enrolled has just read how to stop: in the welcome, or when they agreed.
    pace = changed(thread.pace, planned=None, notice_at=thread.pace.notice_at or now)
    return changed(thread, enrollments=(*thread.enrollments, enrollment), pace=pace)


def leave(thread: Thread, sequence_key: str) -> Thread:
    """The thread without that sequence; its open question closes with it."""
    enrollment = thread.in_sequence(sequence_key)
    if enrollment is None:
        return thread
    pace = changed(thread.pace, planned=None)
    if pace.question is not None and pace.question.enrollment == enrollment.id:
        pace = changed(pace, question=None)
    return changed(thread.without_enrollment(enrollment.id), pace=pace)


def upgrade(enrollment: Enrollment, sequence: Sequence, *, zone: str = "UTC") -> Enrollment:
    """The enrollment on another version of its sequence, by step id; nothing is sent twice."""
    return agenda.upgrade(enrollment, sequence, zone)


def pause(thread: Thread, until: datetime | None, now: datetime) -> Thread:
    """The thread at rest until `until`, or until somebody resumes."""
    pace = changed(thread.pace, planned=None, paused_at=thread.pace.paused_at or now)
    return changed(thread, status="paused", paused_until=until, pace=pace)


def resume(thread: Thread, now: datetime, policy: Policy, *, since: datetime | None = None) -> Thread:
    """The thread after a pause or a released hold (`since` its beginning): shifted by the rest, no burst.

    What counts from enrollment or from an answer moves by the length of the rest; dates in the calendar do not.
    An open question is over without being counted as silence: we were the ones who went quiet.
    """
    rested_since = since or thread.pace.paused_at or now
    enrollments = tuple(_rested(agenda.shift(e, rested_since, now), rested_since, now) for e in thread.enrollments)
    pace = changed(thread.pace, planned=None, paused_at=None, question=None)
    status = "active" if thread.status == "paused" else thread.status
    return changed(thread, status=status, paused_until=None, enrollments=enrollments, pace=pace)


def at(thread: Thread, policy: Policy, now: datetime) -> Thread:
    """The thread as it stands at `now`: pauses that are over have ended, lapsed questions count as silence."""
    if thread.status == "paused" and thread.paused_until is not None and now >= thread.paused_until:
        thread = resume(thread, thread.paused_until, policy)
    thread = _in_turn(_lapsed(thread, policy, now), policy, now)
    if not thread.key_dates:
        return thread
    enrollments = tuple(agenda.with_each_session(e, thread, now) for e in thread.enrollments)
    if all(one is was for one, was in zip(enrollments, thread.enrollments, strict=True)):
        return thread
    return changed(thread, enrollments=enrollments)


def _rested(enrollment: Enrollment, since: datetime, now: datetime) -> Enrollment:
    """A rest within the wait for one's turn counts once: it has moved the steps already."""
    waiting = enrollment.instants.get(beside.WAITS_SINCE)
    if waiting is None or now <= since:
        return enrollment
    moved = waiting + (now - since) if waiting <= since else now
    return changed(enrollment, instants={**enrollment.instants, beside.WAITS_SINCE: moved})


def _in_turn(thread: Thread, policy: Policy, now: datetime) -> Thread:
    """A third sequence waits, and its steps with it: when its turn comes they move by as long as it has waited."""
    waiting = beside.waiting(thread, policy)
    if not waiting and not any(beside.WAITS_SINCE in e.instants for e in thread.enrollments):
        return thread
    return changed(thread, enrollments=tuple(_turned(e, e.id in waiting, now) for e in thread.enrollments))


def _turned(enrollment: Enrollment, waits: bool, now: datetime) -> Enrollment:
    since = enrollment.instants.get(beside.WAITS_SINCE)
    if waits:
        instants = {**enrollment.instants, beside.WAITS_SINCE: since or now}
        return enrollment if since else changed(enrollment, instants=instants)
    if since is None:
        return enrollment
    instants = {key: at for key, at in enrollment.instants.items() if key != beside.WAITS_SINCE}
    return agenda.shift(changed(enrollment, instants=instants), since, now)


def _lapsed(thread: Thread, policy: Policy, now: datetime) -> Thread:
    """A question that nobody answered: silence is counted, and never brings another text."""
    question = thread.pace.question
    thread = pacing.settled(thread, policy, now)
    if question is None or thread.pace.question is not None:
        return thread
    enrollment = thread.enrollment(question.enrollment)
    step = enrollment.sequence.step(question.step) if enrollment else None
    if enrollment is None or step is None:
        return thread
    if step.kind is Kind.GATE:  # asked and not answered: it takes another "closer" to ask again
        instants = {k: v for k, v in enrollment.instants.items() if k != "streak_at"}
        enrollment = changed(enrollment, instants=instants)
    if thread.pace.silence_count >= policy.silence_monthly_after and "streak" in enrollment.facts:
        facts = {**enrollment.facts, "streak": 0}
        instants = {k: v for k, v in enrollment.instants.items() if k != "streak_at"}
        enrollment = changed(enrollment, facts=facts, instants=instants)
    return thread.with_enrollment(enrollment)


def ends_at(enrollment: Enrollment, thread: Thread, policy: Policy) -> datetime | None:
    """When the sequence's time is up; none for open-ended ones and while the date they count from is unknown."""
    days = enrollment.sequence.lasts_days
    if days is None:
        return None
    kind = _LENGTH_FROM.get(enrollment.sequence.key)
    start = enrollment.started_at
    if kind is not None:
        dates = [k.at for k in thread.key_dates if k.kind == kind and k.status in ("set", "done")]
        if not dates:
            return None
        start = max(start, *dates)
    zone = thread.profile.timezone
    # The last day counts whole: a question of day 28 belongs to the four weeks that end on it.
    end = localtime.at_minute(localtime.local_date(start, zone) + timedelta(days=days + 1), 0, zone)
    asked_for = [at for pending in enrollment.agenda if (at := _asked_for(pending, end)) is not None]
    # The week's limit may make such a step wait for as long as it looks back.
    return max([end, *(localtime.plus_wall(at, zone, days=policy.cap_week_days) for at in asked_for)])


def _asked_for(pending: Pending, end: datetime) -> datetime | None:
    """From when on a step may come that an answer asked for, or that hangs on one sent after the end for that reason.

    A length bounds what comes by the calendar. "Not yet: again in 14 days" is a promise, and outlasts it.
    """
    if pending.not_before is not None:
        return pending.not_before
    return pending.base if pending.base is not None and pending.base >= end else None


def question_at_once(enrollment: Enrollment, step: Step, cycle: int, now: datetime, policy: Policy) -> OpenQuestion:
    """The question that a step opens when it is said in reply."""
    return OpenQuestion(
        enrollment=enrollment.id,
        sequence=enrollment.sequence.key,
        step=step.id,
        cycle=cycle,
        asked_at=now,
        until=now + timedelta(hours=policy.reply_window_hours),
        counts_as_silence=False,
    )
