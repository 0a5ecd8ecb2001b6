"""A parent's way through the program: joining and leaving sequences, pausing, resuming, changing versions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from schedules import agenda, beside, gate, localtime, pacing
from schedules.localtime import Minute
from schedules.policy import Policy
from schedules.values import Anchor, Enrollment, Kind, OpenQuestion, Pending, Sequence, Step, Thread

_OF_DANGER = ("crisis", "check", "safety")


def enroll(
    thread: Thread,
    sequence: Sequence,
    *,
    enrollment_id: str,
    now: Minute,
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
        enrollment = replace(enrollment, instants={**enrollment.instants, beside.IN_LINE: in_line_since})
    # Whoever is enrolled has just read how to stop: in the welcome, or when they agreed.
    pace = replace(
        thread.pace,
        planned=(),
        notice_at=thread.pace.notice_at or now,
        leads_to=(),
        wants_rest=False,
        goodbye_at=None,
    )
    return replace(thread, enrollments=(*thread.enrollments, enrollment), pace=pace)


def leave(thread: Thread, sequence_key: str) -> Thread:
    """The thread without that sequence; its open question closes with it."""
    enrollment = thread.in_sequence(sequence_key)
    if enrollment is None:
        return thread
    pace = replace(thread.pace, planned=())
    if pace.question is not None and pace.question.enrollment == enrollment.id:
        pace = replace(pace, question=None)
    return replace(thread.without_enrollment(enrollment.id), pace=pace)


def upgrade(enrollment: Enrollment, sequence: Sequence) -> Enrollment:
    """The enrollment on another version of its sequence, by step id; nothing is sent twice."""
    return agenda.upgrade(enrollment, sequence)


def pause(thread: Thread, until: datetime | None, now: Minute) -> Thread:
    """The thread at rest until `until`, or until somebody resumes. Open talk units are planned anew afterwards."""
    pace = replace(thread.pace, planned=(), paused_at=thread.pace.paused_at or now)
    return _without_talk_units(replace(thread, status="paused", paused_until=until, pace=pace), now)


def resume(thread: Thread, now: datetime, policy: Policy, *, since: datetime | None = None) -> Thread:
    """The thread after a pause or a released hold (`since` its beginning): shifted by the rest, no burst.

    What counts from enrollment or from an answer moves by the length of the rest; dates in the calendar do not.
    An open question is over without being counted as silence: we were the ones who went quiet. A late answer still
    finds it. One that must be settled stays open.
    """
    rested_since = since or thread.pace.paused_at or now
    zone = thread.profile.timezone
    enrollments = tuple(
        _rested(agenda.shift(e, rested_since, now, zone), rested_since, now) for e in thread.enrollments
    )
    question = thread.pace.question
    pace = replace(thread.pace, planned=(), paused_at=None)
    if question is not None and not question.settles:
        pace = replace(pace, question=None, lapsed_question=replace(question, until=now))
    status = "active" if thread.status == "paused" else thread.status
    thread = replace(thread, status=status, paused_until=None, enrollments=enrollments, pace=pace)
    if question is not None and not question.settles:
        thread = _led_on(thread, question, policy, now)
    return thread


class Path(StrEnum):
    """What a person chooses when the last hold of a parent is released."""

    AFTERCARE = "aftercare"  # the caller enrolls the parent in the sequence for the time after a crisis
    RESUME = "resume"  # where it stopped, or at a chosen step
    REST = "rest"  # nothing until a date
    FINISH = "finish"  # the family leaves its sequences; the person has said goodbye


def released(
    thread: Thread,
    path: Path,
    now: Minute,
    policy: Policy,
    *,
    since: datetime,
    at_step: str | None = None,
    until: datetime | None = None,
    talks_may_go_on: bool = False,
) -> Thread:
    """The thread after its last hold was released. A person chooses the path; nothing resumes by itself.

    `at_step`: with RESUME, the step to go on at. `until`: with REST. `talks_may_go_on`: a trained person says so.
    """
    thread = replace(thread, holds=tuple(h for h in thread.holds if h.kind not in _OF_DANGER))
    if talks_may_go_on:
        thread = replace(thread, pace=replace(thread.pace, no_talks_until=None))
    if path is Path.REST:
        rested = resume(thread, now, policy, since=since) if thread.status == "active" else thread
        return pause(rested, until, now)
    if path is Path.FINISH:
        for enrollment in thread.enrollments:
            thread = leave(thread, enrollment.sequence.key)
        return replace(thread, pace=replace(thread.pace, goodbye_at=now, wants_rest=True, question=None))
    if thread.status == "active":  # a pause or an opt-out outlasts the hold
        thread = resume(thread, now, policy, since=since)
    return thread if at_step is None else _at_step(thread, at_step, now)


def _at_step(thread: Thread, step_id: str, now: datetime) -> Thread:
    """The sequence that has this step goes on there: what stands before it in the file is left out."""
    for enrollment in thread.enrollments:
        order = [step.id for step in enrollment.sequence.steps]
        if step_id not in order:
            continue
        left_out = set(order[: order.index(step_id) + 1])
        kept = tuple(p for p in enrollment.agenda if p.step not in left_out)
        step = enrollment.sequence.by_id[step_id]
        enrollment = agenda.add_now(replace(enrollment, agenda=kept), step, now, thread.profile.timezone)
        thread = thread.with_enrollment(enrollment)
    return thread


def at(thread: Thread, policy: Policy, now: datetime) -> Thread:
    """The thread as it stands at `now`: pauses that are over have ended, lapsed questions count as silence, what a
    hold withdraws is withdrawn."""
    if thread.status == "paused" and thread.paused_until is not None and now >= thread.paused_until:
        thread = resume(thread, thread.paused_until, policy)
    thread = _in_turn(_lapsed(_in_danger(_settled(thread), policy, now), policy, now), policy, now)
    enrollments = tuple(_as_of(e, thread, policy, now) for e in thread.enrollments)
    if all(one is was for one, was in zip(enrollments, thread.enrollments, strict=True)):
        return thread
    return replace(thread, enrollments=enrollments)


def _as_of(enrollment: Enrollment, thread: Thread, policy: Policy, now: datetime) -> Enrollment:
    """The enrollment with what sessions bring, and without what its time is up for."""
    end = ends_at(enrollment, thread, policy)
    if end is not None and now >= end:
        kept = without_repeats(enrollment)
        enrollment = enrollment if kept.agenda == enrollment.agenda else kept
    else:
        enrollment = agenda.with_each_session(enrollment, thread, now)
    return agenda.noting_awaited(enrollment, thread, now)


def _settled(thread: Thread) -> Thread:
    """The thread whose question about the phone a person has settled in the profile: nothing is open any more."""
    question, step = thread.pace.question, _step_of(thread, thread.pace.question)
    if question is None or step is None or not question.settles or agenda.is_wished(step, thread):
        return thread
    enrollment = thread.enrollment(question.enrollment)
    if enrollment is not None:
        thread = thread.with_enrollment(agenda.without_second_asking(enrollment, step.id))
    return replace(thread, pace=replace(thread.pace, question=None))


def _in_danger(thread: Thread, policy: Policy, now: datetime) -> Thread:
    """A hold for danger acts on talks as units; after a crisis gates wait for a person, and talks rest for a month."""
    if not any(hold.kind in _OF_DANGER for hold in thread.holds):
        return thread
    thread = _without_talk_units(thread, now)
    crises = [hold.since for hold in thread.holds if hold.kind == "crisis"]
    if not crises:
        return thread
    zone = thread.profile.timezone
    until = localtime.plus_wall(max(crises), zone, days=policy.crisis_free_days)
    known = thread.pace.no_talks_until
    enrollments = tuple(_gate_shut(e, max(crises)) for e in thread.enrollments)
    pace = replace(thread.pace, no_talks_until=until if known is None else max(known, until))
    return replace(thread, pace=pace, enrollments=enrollments)


def _gate_shut(enrollment: Enrollment, since: datetime) -> Enrollment:
    if not any(when.anchor is Anchor.GATE for step in enrollment.sequence.steps for when in step.when):
        return enrollment
    return replace(enrollment, instants={**enrollment.instants, gate.GATE_SHUT: since})


def gate_opened(thread: Thread) -> Thread:
    """The thread after a person has said that its gates may open again when their conditions hold."""
    enrollments = tuple(_gate_reopened(e) for e in thread.enrollments)
    return replace(thread, enrollments=enrollments)


def _gate_reopened(enrollment: Enrollment) -> Enrollment:
    instants = {key: at for key, at in enrollment.instants.items() if key != gate.GATE_SHUT}
    facts = {key: n for key, n in enrollment.facts.items() if key != "gate unanswered"}
    return replace(enrollment, instants=instants, facts=facts)


def _without_talk_units(thread: Thread, now: datetime) -> Thread:
    enrollments = tuple(_unit_anew(e, thread.pace.question, now) for e in thread.enrollments)
    question = thread.pace.question
    step = _step_of(thread, question)
    pace = thread.pace
    if step is not None and (step.closes_talk or step.kind is Kind.TALK):
        pace = replace(pace, question=None, planned=())
    return replace(thread, enrollments=enrollments, pace=pace)


def _unit_anew(enrollment: Enrollment, question: OpenQuestion | None, now: datetime) -> Enrollment:
    """Talks that went out and were not closed are planned anew, also when their closing question was just asked."""
    enrollment = agenda.without_talk_units(enrollment, now)
    if question is None or question.enrollment != enrollment.id:
        return enrollment
    step = enrollment.sequence.step(question.step)
    talk = enrollment.sequence.talk_closed_by(step) if step is not None else None
    if talk is None or any(p.step == talk.id for p in enrollment.agenda):
        return enrollment
    return agenda.add(enrollment, talk.id, None, not_before=now)


def _step_of(thread: Thread, question: OpenQuestion | None) -> Step | None:
    enrollment = thread.enrollment(question.enrollment) if question is not None else None
    return enrollment.sequence.step(question.step) if enrollment is not None and question is not None else None


def _rested(enrollment: Enrollment, since: datetime, now: datetime) -> Enrollment:
    """A rest within the wait for one's turn counts once: it has moved the steps already."""
    waiting = enrollment.instants.get(beside.WAITS_SINCE)
    if waiting is None or now <= since:
        return enrollment
    moved = waiting + (now - since) if waiting <= since else now
    return replace(enrollment, instants={**enrollment.instants, beside.WAITS_SINCE: moved})


def _in_turn(thread: Thread, policy: Policy, now: datetime) -> Thread:
    """A third sequence waits, and its steps with it: when its turn comes they move by as long as it has waited."""
    waiting = beside.waiting(thread, policy, now)
    if not waiting and not any(beside.WAITS_SINCE in e.instants for e in thread.enrollments):
        return thread
    zone = thread.profile.timezone
    return replace(thread, enrollments=tuple(_turned(e, e.id in waiting, now, zone) for e in thread.enrollments))


def _turned(enrollment: Enrollment, waits: bool, now: datetime, zone: str) -> Enrollment:
    since = enrollment.instants.get(beside.WAITS_SINCE)
    if waits:
        instants = {**enrollment.instants, beside.WAITS_SINCE: since or now}
        return enrollment if since else replace(enrollment, instants=instants)
    if since is None:
        return enrollment
    instants = {key: at for key, at in enrollment.instants.items() if key != beside.WAITS_SINCE}
    return agenda.shift(replace(enrollment, instants=instants), since, now, zone)


# ---------------------------------------------------------------- questions that nobody answers


def _lapsed(thread: Thread, policy: Policy, now: datetime) -> Thread:
    """A question that nobody answered: silence is counted, and the silence ladder decides what comes."""
    question = thread.pace.question
    thread = pacing.settled(thread, policy, now)
    if question is None or thread.pace.question is not None:
        return thread
    return unanswered(thread, question, policy, question.until)


def unanswered(thread: Thread, question: OpenQuestion, policy: Policy, now: datetime) -> Thread:
    """What an unanswered question leads to: slower, and on. It never ends its sequence."""
    enrollment = thread.enrollment(question.enrollment)
    step = enrollment.sequence.step(question.step) if enrollment else None
    if enrollment is None or step is None:
        return thread
    if step.kind is Kind.GATE:  # asked and not answered: it takes another "closer" to ask again
        facts = {**enrollment.facts, "gate unanswered": enrollment.facts.get("gate unanswered", 0) + 1}
        enrollment = replace(enrollment, facts=facts, instants=_without(enrollment, "streak_at"))
    if thread.pace.silence_count >= policy.silence_monthly_after and "streak" in enrollment.facts:
        facts = {**enrollment.facts, "streak": 0}
        enrollment = replace(enrollment, facts=facts, instants=_without(enrollment, "streak_at"))
    return _led_on(thread.with_enrollment(enrollment), question, policy, now)


def _without(enrollment: Enrollment, key: str) -> dict[str, datetime]:
    return {k: v for k, v in enrollment.instants.items() if k != key}


def _led_on(thread: Thread, question: OpenQuestion, policy: Policy, now: datetime) -> Thread:
    """A talk that nobody reported on is tried again, a few times and more slowly; another question that all else
    hangs on is asked once more. After that the sequence has run its course."""
    enrollment, step = thread.enrollment(question.enrollment), _step_of(thread, question)
    if enrollment is None or step is None or step.if_silent is not None:
        return thread
    talk = enrollment.sequence.talk_closed_by(step)
    if talk is None and step.kind is Kind.TALK and not enrollment.sequence.closers_of(step.id):
        talk = step  # a talk that asks about itself
    factor = pacing.stretch(thread.pace, policy)
    if talk is not None:
        tried = enrollment.facts.get(f"tried {talk.id}", 0)
        if tried < policy.talk_tries and not any(p.step == talk.id for p in enrollment.agenda):
            gap = localtime.plus_wall(now, thread.profile.timezone, days=policy.talk_gap_days * factor)
            return thread.with_enrollment(tried_again(enrollment, talk, gap, thread.profile.timezone))
        return thread
    asked = f"asked once more {step.id}"
    if enrollment.facts.get(asked) or has_texts_ahead(enrollment) or step.kind not in (Kind.CHECKIN, Kind.FOLLOWUP):
        return thread
    days = policy.silence_ask_again_days * factor
    at = localtime.plus_wall(now, thread.profile.timezone, days=days)
    enrollment = agenda.add_now(enrollment, step, at, thread.profile.timezone)
    return thread.with_enrollment(replace(enrollment, facts={**enrollment.facts, asked: 1}))


def moved_talk(enrollment: Enrollment, talk: Step, not_before: datetime, zone: str) -> Enrollment:
    """The talk from an instant on, in place of the one that was sent or planned, with the question that closes it."""
    return agenda.add_now(agenda.without_unit(enrollment, talk.id), talk, not_before, zone)


def tried_again(enrollment: Enrollment, talk: Step, not_before: datetime, zone: str) -> Enrollment:
    """The talk once more from an instant on, with what comes some days before another try. Its unit begins anew."""
    enrollment = moved_talk(enrollment, talk, not_before, zone)
    for other in enrollment.sequence.steps:
        for which, when in enumerate(other.when):
            if when.anchor is Anchor.TRY and when.step == talk.id:
                enrollment = agenda.add(enrollment, other.id, not_before, which=which)
    return enrollment


def has_texts_ahead(enrollment: Enrollment) -> bool:
    """Is there still a text to come that no answer has to bring?"""
    for pending in enrollment.agenda:
        step = enrollment.sequence.step(pending.step)
        if step is not None and step.kind is not Kind.STAFF:
            return True
    return False


# ---------------------------------------------------------------- how long a sequence runs


def ends_at(enrollment: Enrollment, thread: Thread, policy: Policy) -> datetime | None:
    """Until when its repeating steps go on; none for open-ended ones and while the date they count from is unknown.

    Only days on which it could run count: holds, pauses and waiting for its turn have moved its start, cool-downs are
    added, and a slower pace makes it longer. What it has yet to say or to ask is not cut off.
    """
    days = enrollment.sequence.lasts_days
    if days is None:
        return None
    kind = enrollment.sequence.traits.counts_from
    start = enrollment.started_at
    if kind is not None:
        dates = [k.at for k in thread.key_dates if k.kind == kind and k.status in ("set", "done")]
        if not dates:
            return None
        start = max(start, *dates)
    zone = thread.profile.timezone
    days = pacing.stretched_length(enrollment, thread, policy, days)
    # The last day counts whole: a question of day 28 belongs to the four weeks that end on it.
    end = localtime.at_minute(localtime.local_date(start, zone) + timedelta(days=days + 1), 0, zone)
    return end + timedelta(hours=enrollment.facts.get("cooled hours", 0))


def without_repeats(enrollment: Enrollment) -> Enrollment:
    """The enrollment whose time is up: what repeats leaves the agenda, what it has yet to say stays."""
    kept = tuple(p for p in enrollment.agenda if not _repeats(enrollment, p))
    return replace(enrollment, agenda=kept)


def _repeats(enrollment: Enrollment, pending: Pending) -> bool:
    step = enrollment.sequence.step(pending.step)
    if step is None or pending.which >= len(step.when):
        return True
    when = step.when[pending.which]
    return when.every_days is not None or (when.anchor is Anchor.SESSION and when.nth == 0)


def question_at_once(enrollment: Enrollment, step: Step, cycle: int, now: Minute, policy: Policy) -> OpenQuestion:
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
