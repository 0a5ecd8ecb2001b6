"""The thread after a decision was carried out, and after an outbox row could not be.

Pure bookkeeping: what was sent is marked, what hangs on it joins the agenda, a question opens.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from schedules import agenda, lifecycle, localtime, moments, pacing, windows
from schedules.changing import changed
from schedules.policy import Policy
from schedules.values import (
    Anchor,
    Ask,
    Decision,
    Drop,
    Enrollment,
    Finish,
    Kind,
    Mark,
    OpenQuestion,
    Pace,
    Pending,
    Proposal,
    Send,
    Silence,
    StaffTask,
    Step,
    Thread,
    Wait,
)

STAY = "SL-1"  # stay, pause or finish
ONCE_MORE = (Kind.TALK, Kind.TIP, Kind.FACT, Kind.ENCOURAGE, Kind.IDEA, Kind.RESOURCE, Kind.CHECKIN, Kind.GATE)


def advance(thread: Thread, decision: Decision, policy: Policy, now: datetime) -> Thread:
    """The thread once `decision`, taken at `now`, has been carried out."""
    thread = lifecycle.at(thread, policy, now)
    if isinstance(decision, Send):
        return _sent(thread, decision, policy, now)
    if isinstance(decision, Drop):
        return _dropped(thread, decision, policy, now)
    if isinstance(decision, StaffTask):
        return _tasked(thread, decision, policy, now)
    if isinstance(decision, Ask):
        question = _question(decision.proposal, "", thread, policy, now, silence=False)
        pace = changed(
            pacing.remember(thread.pace, mark_of(decision.proposal, policy, now)),
            question=question,
            stay_asked_at=now,
        )
        return changed(thread, pace=pace)
    if isinstance(decision, Finish):
        return _ended(thread, decision, now)
    if isinstance(decision, Wait):
        return _waited(thread, decision, policy, now)
    return thread


def _waited(thread: Thread, decision: Wait, policy: Policy, now: datetime) -> Thread:
    pace = changed(thread.pace, planned=decision.planned)
    if pace.hours_told_at is not None and not windows.is_shut(thread.profile, policy, now):
        pace = changed(pace, hours_told_at=None)  # there is an open moment again
    return changed(thread, pace=pace)


def mark_of(proposal: Proposal, policy: Policy, at: datetime) -> Mark:
    return Mark(
        at=at,
        kind=proposal.kind,
        topic=proposal.topic,
        sequence=proposal.sequence,
        step=proposal.step,
        cycle=proposal.cycle,
        counted=pacing.is_counted(proposal.step, proposal.kind, policy),
        closes_talk=proposal.closes_talk,
        asked_again=proposal.asked_again,
    )


def _pending(enrollment: Enrollment, step: str, cycle: int) -> Pending | None:
    return next((p for p in enrollment.agenda if p.step == step and p.cycle == cycle), None)


def _sent(thread: Thread, decision: Send, policy: Policy, now: datetime) -> Thread:
    enrollment = thread.enrollment(decision.enrollment)
    pending = _pending(enrollment, decision.step.id, decision.cycle) if enrollment else None
    if enrollment is None or pending is None:
        return thread
    enrollment = agenda.remove(enrollment, pending)
    enrollment = agenda.after_sending(enrollment, decision.step.id, now)
    enrollment = agenda.repeat(enrollment, pending, now)
    if decision.step.when[pending.which].anchor is Anchor.SESSION:
        enrollment = changed(enrollment, instants={**enrollment.instants, f"sent {decision.step.id}": now})
    if decision.step.kind is Kind.TALK:
        enrollment = changed(enrollment, facts={k: v for k, v in enrollment.facts.items() if k != "ready"})
    if decision.step.kind is Kind.GATE:
        enrollment = _gate_rests(enrollment, thread, policy, now)
    if decision.step.if_silent is not None:
        enrollment = _if_silent(enrollment, decision.step.if_silent, pending, now, thread.profile.timezone)
    pace = pacing.remember(thread.pace, mark_of(decision.proposal, policy, now))
    question, ideas = pace.question, pace.ideas_sent + (decision.step.kind is Kind.IDEA)
    if decision.step.answers:
        question = _question(
            decision.proposal,
            enrollment.id,
            thread,
            policy,
            now,
            silence=decision.step.kind is Kind.CHECKIN,
            event=_event(decision.step, pending, thread),
        )
        # A question that makes room for another was not answered either.
        pace = _superseded(pace, decision.proposal)
    pace = changed(pace, planned=None, ideas_sent=ideas, question=question)
    return changed(thread.with_enrollment(enrollment), pace=pace)


def _if_silent(enrollment: Enrollment, silence: Silence, asked: Pending, now: datetime, zone: str) -> Enrollment:
    """Plan what an unanswered question leads to: a second asking, and after that a person."""
    at = localtime.plus_wall(now, zone, hours=silence.ask_again_hours)
    if not asked.asked_again:
        return agenda.ask_again(enrollment, asked, at, zone)
    return changed(enrollment, instants={**enrollment.instants, agenda.silent_key(asked.step): at})


def _gate_rests(enrollment: Enrollment, thread: Thread, policy: Policy, now: datetime) -> Enrollment:
    """Asked, or missed: another asking needs an answer or a month (silence is not an answer)."""
    wait = localtime.plus_wall(now, thread.profile.timezone, days=policy.break_least_days)
    return changed(enrollment, instants={**enrollment.instants, "gate_rests_until": wait})


def _superseded(pace: Pace, by: Proposal) -> Pace:
    if pace.question is None:
        return pace
    if by.asked_again and pace.question.step == by.step:
        return pace  # the same question, asked again: one silence at most
    silent = pace.silence_count + 1 if pace.question.counts_as_silence else pace.silence_count
    return changed(pace, lapsed_question=pace.question, silence_count=silent)


def _event(step: Step, pending: Pending, thread: Thread) -> datetime | None:
    """The event that a reminder's question is about: the question closes when the event begins."""
    when = step.when[pending.which] if pending.which < len(step.when) else None
    if step.kind is not Kind.REMINDER or when is None or when.anchor is not Anchor.SESSION:
        return None
    date = moments.key_date(thread, "session", pending.nth or when.nth)
    return date.at if date else None


def _question(
    proposal: Proposal,
    enrollment_id: str,
    thread: Thread,
    policy: Policy,
    now: datetime,
    *,
    silence: bool,
    event: datetime | None = None,
) -> OpenQuestion:
    until = now + timedelta(hours=policy.reply_window_hours)
    if proposal.step == STAY:
        until = now + timedelta(days=policy.silence_answer_days)
    return OpenQuestion(
        enrollment=enrollment_id,
        sequence=proposal.sequence,
        step=proposal.step,
        cycle=proposal.cycle,
        asked_at=now,
        until=until if event is None else min(until, event),
        counts_as_silence=silence,
    )


def _dropped(thread: Thread, decision: Drop, policy: Policy, now: datetime) -> Thread:
    enrollment = thread.enrollment(decision.enrollment)
    pending = _pending(enrollment, decision.step, decision.cycle) if enrollment else None
    if enrollment is None or pending is None:
        return thread
    due = moments.due_of(pending, enrollment, thread, policy)
    enrollment = agenda.remove(enrollment, pending)
    if decision.again:
        again = changed(
            pending,
            cycle=agenda.next_cycle(enrollment, pending.step),
            not_before=now,
            replans=pending.replans + 1,
        )
        enrollment = changed(enrollment, agenda=(*enrollment.agenda, again))
    else:
        enrollment = agenda.repeat(enrollment, pending, due.at if due else now)
        enrollment = _given_up(enrollment, enrollment.sequence.by_id[decision.step], thread, policy, now)
    return changed(thread.with_enrollment(enrollment), pace=changed(thread.pace, planned=None))


def _given_up(enrollment: Enrollment, step: Step, thread: Thread, policy: Policy, now: datetime) -> Enrollment:
    """What follows when a step will not be sent at all."""
    if step.kind is Kind.GATE:
        return _gate_rests(enrollment, thread, policy, now)
    if step.if_silent is not None:  # a question that matters and could not be asked: a person must know
        return changed(enrollment, instants={**enrollment.instants, agenda.silent_key(step.id): now})
    return enrollment


def _tasked(thread: Thread, decision: StaffTask, policy: Policy, now: datetime) -> Thread:
    enrollment = thread.enrollment(decision.enrollment or "")
    if decision.reason.code == "no_open_hours":
        return changed(thread, pace=changed(thread.pace, hours_told_at=now))
    if enrollment is None or decision.step is None or decision.cycle is None:
        return thread
    pending = _pending(enrollment, decision.step, decision.cycle)
    if pending is None:
        return thread.with_enrollment(_told(enrollment, decision.step, decision.cycle))
    due = moments.due_of(pending, enrollment, thread, policy)
    enrollment = agenda.remove(enrollment, pending)
    return thread.with_enrollment(agenda.repeat(enrollment, pending, due.at if due else enrollment.started_at))


def _told(enrollment: Enrollment, step_id: str, cycle: int) -> Enrollment:
    """People know that a question has no answer; the round is used up, so that its outcome is the only one."""
    cycles = {**enrollment.cycles, step_id: max(cycle, enrollment.cycles.get(step_id, 0))}
    return changed(agenda.without_second_asking(enrollment, step_id), cycles=cycles)


def _ended(thread: Thread, decision: Finish, now: datetime) -> Thread:
    if decision.enrollment is not None:
        return thread.without_enrollment(decision.enrollment)
    if not decision.pause:
        return thread
    pace = changed(thread.pace, stay_asked_at=None, paused_at=now)
    return changed(thread, status="paused", paused_until=None, pace=pace)


def unsent(thread: Thread, proposal: Proposal, policy: Policy, now: datetime, *, expired: bool, reason: str) -> Thread:
    """The thread after an outbox row could not be handed over: its mark is taken back, its question closed.

    A step that may be tried once more comes back in a new round; what hung on its sending leaves the agenda.
    """
    pace = pacing.forget(thread.pace, proposal)
    question = pace.question
    if question is not None and (question.step, question.cycle) == (proposal.step, proposal.cycle):
        pace = changed(pace, question=None)
    thread = changed(thread, pace=pace)
    enrollment = thread.enrollment(proposal.enrollment)
    step = enrollment.sequence.step(proposal.step) if enrollment else None
    if enrollment is None or step is None:
        return thread
    followers = {s.id for s in enrollment.sequence.steps for w in s.when if w.step == step.id}
    kept = tuple(p for p in enrollment.agenda if p.step not in followers)
    enrollment = agenda.without_second_asking(changed(enrollment, agenda=kept), step.id)
    kept = enrollment.agenda
    tried = enrollment.facts.get(f"unsent {step.id}", 0)
    if step.kind in ONCE_MORE and tried < 1 and not any(p.step == step.id for p in kept):
        enrollment = agenda.add_now(enrollment, step, now, thread.profile.timezone)
        enrollment = changed(enrollment, facts={**enrollment.facts, f"unsent {step.id}": tried + 1})
    else:
        enrollment = _given_up(enrollment, step, thread, policy, now)
    return thread.with_enrollment(enrollment)


def withdrawn(thread: Thread, proposal: Proposal, policy: Policy, now: datetime) -> Thread:
    """The thread as if a queued text had never been planned: what it hung on has changed, so it is planned anew.

    The step comes back in a new round with everything that it counted from; this is no lost try.
    """
    pace = pacing.forget(thread.pace, proposal)
    question = pace.question
    if question is not None and (question.step, question.cycle) == (proposal.step, proposal.cycle):
        pace = changed(pace, question=None)
    thread = changed(thread, pace=changed(pace, planned=None))
    enrollment, pending = thread.enrollment(proposal.enrollment), proposal.pending
    if enrollment is None or pending is None:
        return thread
    followers = {s.id for s in enrollment.sequence.steps for w in s.when if w.step == proposal.step}
    again = changed(pending, cycle=agenda.next_cycle(enrollment, pending.step))
    kept = (
        p
        for p in enrollment.agenda
        if p.step not in followers and not (p.step == pending.step and p.which == pending.which)
    )
    return thread.with_enrollment(changed(enrollment, agenda=(*kept, again)))
