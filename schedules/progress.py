"""The thread after a decision was carried out, and after an outbox row could not be.

Pure bookkeeping: what was sent is marked, what hangs on it joins the agenda, a question opens.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from schedules import agenda, due, lifecycle, localtime, pacing, windows
from schedules.localtime import Minute
from schedules.policy import Policy
from schedules.values import (
    Anchor,
    Ask,
    Choice,
    Decision,
    Drop,
    Enrollment,
    Finish,
    Kind,
    Mark,
    Onward,
    OpenQuestion,
    Pace,
    Pending,
    Planned,
    Proposal,
    Send,
    Silence,
    StaffTask,
    Step,
    Thread,
    Wait,
    When,
    WithStaff,
)

STAY = "SL-1"  # stay, pause or finish
WELCOME = "welcome"
GOODBYE = "goodbye_for_now"
ONCE_MORE = (Kind.TALK, Kind.TIP, Kind.FACT, Kind.ENCOURAGE, Kind.IDEA, Kind.RESOURCE, Kind.CHECKIN, Kind.GATE)
_MOST_WAITED = 6  # obstacles that are remembered of a text that waits
_TASK_DAYS = {1: 1, 2: 3, 3: 7}  # until when a person is expected to have acted, by priority


def advance(thread: Thread, decision: Decision, policy: Policy, now: Minute) -> Thread:
    """The thread once `decision`, taken at `now`, has been carried out."""
    thread = lifecycle.at(thread, policy, now)
    if isinstance(decision, Send):
        return _sent(thread, decision, policy, now)
    if isinstance(decision, Drop):
        return _dropped(thread, decision, policy, now)
    if isinstance(decision, StaffTask):
        return _tasked(thread, decision, policy, now)
    if isinstance(decision, Ask):
        return _asked(thread, decision, policy, now)
    if isinstance(decision, Finish):
        return _ended(thread, decision, policy, now)
    if isinstance(decision, Wait):
        return _waited(thread, decision, policy, now)
    if isinstance(decision, Onward):  # nothing that it could lead to: a goodbye comes next
        return replace(thread, pace=replace(thread.pace, leads_to=(), wants_rest=True))
    return thread


def _asked(thread: Thread, decision: Ask, policy: Policy, now: datetime) -> Thread:
    """A text of the service's own: stay, pause or finish; the welcome; a goodbye."""
    mark = decision.mark
    pace = replace(pacing.remember(thread.pace, mark_of(decision.proposal, mark)), planned=_begun(thread.pace, now))
    if decision.step == STAY:
        question = _question(decision.proposal, "", policy, mark, silence=False)
        pace = replace(pace, question=question, stay_asked_at=mark)
    elif decision.step == GOODBYE:
        pace = replace(pace, goodbye_at=mark)
    return replace(thread, pace=pace)


def _waited(thread: Thread, decision: Wait, policy: Policy, now: datetime) -> Thread:
    pace = replace(thread.pace, planned=tuple(_remembering(thread.pace, one) for one in decision.planned))
    if pace.hours_told_at is not None and not windows.is_shut(thread.profile, policy, now):
        pace = replace(pace, hours_told_at=None)  # there is an open moment again
    return replace(thread, pace=pace)


def _remembering(pace: Pace, planned: Planned) -> Planned:
    """The plan with what stood in the way while it waited, first things first."""
    before = planned_of(pace, planned.enrollment, planned.step, planned.cycle)
    if before is None:
        return planned
    known = {code for code, _ in before.waited}
    waited = (*before.waited, *(one for one in planned.waited if one[0] not in known))
    return replace(planned, waited=waited[:_MOST_WAITED])


def planned_of(pace: Pace, enrollment: str, step: str, cycle: int) -> Planned | None:
    """How this round of a step was last planned."""
    key = (enrollment, step, cycle)
    return next((p for p in pace.planned if (p.enrollment, p.step, p.cycle) == key), None)


def _begun(pace: Pace, now: datetime) -> tuple[Planned, ...]:
    """The moments that have begun: another text of the same look still counts from its own mark."""
    return tuple(one for one in pace.planned if one.at <= now < one.until)


def mark_of(proposal: Proposal, at: datetime) -> Mark:
    return Mark(
        at=at,
        kind=proposal.kind,
        topic=proposal.topic,
        sequence=proposal.sequence,
        step=proposal.step,
        cycle=proposal.cycle,
        budget=proposal.budget,
        counted=proposal.counted,
        closes_talk=proposal.closes_talk,
        asked_again=proposal.asked_again,
    )


def _pending(enrollment: Enrollment, step: str, cycle: int) -> Pending | None:
    return next((p for p in enrollment.agenda if p.step == step and p.cycle == cycle), None)


def _sent(thread: Thread, decision: Send, policy: Policy, now: datetime) -> Thread:
    """What follows is counted from the mark, not from the beat: it does not creep."""
    enrollment, step = thread.enrollment(decision.enrollment), decision.step
    pending = _pending(enrollment, step.id, decision.cycle) if enrollment else None
    if enrollment is None or pending is None:
        return thread
    mark, zone = decision.mark, thread.profile.timezone
    enrollment = agenda.remove(enrollment, pending)
    enrollment = agenda.after_sending(enrollment, step.id, mark)
    enrollment = agenda.repeat(enrollment, pending, mark)
    enrollment = _kept_apart(enrollment, decision, step.when[pending.which], zone)
    enrollment = _noted(enrollment, decision, pending, thread, policy, mark)
    pace = pacing.remember(thread.pace, mark_of(decision.proposal, mark))
    if decision.proposal.idea is not None:
        pace = replace(pace, ideas={**pace.ideas, decision.proposal.idea: mark})
    ideas = pace.ideas_sent + (step.kind is Kind.IDEA)
    thread = replace(
        thread.with_enrollment(enrollment), pace=replace(pace, planned=_begun(pace, now), ideas_sent=ideas)
    )
    asks = bool(step.answers) and not decision.proposal.is_plain
    return _opened(thread, decision, pending, policy, mark) if asks else thread


def _noted(
    enrollment: Enrollment, decision: Send, pending: Pending, thread: Thread, policy: Policy, mark: datetime
) -> Enrollment:
    """What the enrollment remembers of a sending."""
    step, facts, instants = decision.step, dict(enrollment.facts), dict(enrollment.instants)
    if step.when[pending.which].anchor is Anchor.SESSION:
        instants[f"sent {step.id}"] = mark
    if step.kind is Kind.TALK:
        facts.pop("ready", None)
        facts.pop("chosen", None)
        facts[f"tried {step.id}"] = facts.get(f"tried {step.id}", 0) + 1
    enrollment = replace(enrollment, facts=facts, instants=instants)
    if step.kind is Kind.GATE:
        enrollment = _gate_rests(enrollment, thread, policy, mark)
    if step.if_silent is not None:
        enrollment = _if_silent(enrollment, step.if_silent, pending, mark, thread.profile.timezone)
    return enrollment


def _kept_apart(enrollment: Enrollment, decision: Send, when: When, zone: str) -> Enrollment:
    """A step that went some days late takes the later ones with it: they keep their order and their distance."""
    if not agenda.slides(enrollment.sequence, decision.step, when) or when.anchor is not Anchor.ENROLLED:
        return enrollment
    days = (localtime.local_date(decision.mark, zone) - localtime.local_date(decision.due_at, zone)).days
    return agenda.slid(enrollment, days, zone) if days > 0 else enrollment


def _opened(thread: Thread, decision: Send, pending: Pending, policy: Policy, now: datetime) -> Thread:
    """The thread with the step's question open. One that makes room for it was not answered either."""
    step, before = decision.step, thread.pace.question
    question = _question(
        decision.proposal,
        decision.enrollment,
        policy,
        now,
        silence=step.kind is Kind.CHECKIN and step.id != (before.step if before and before.settles else None),
        event=_event(step, pending, thread),
        settles=step.until_settled,
        choices=decision.choices,
    )
    again = before is not None and decision.proposal.asked_again and before.step == step.id
    if before is None or again:
        return replace(thread, pace=replace(thread.pace, question=question))
    if before.settles:  # it stays open: digits belong to it until it is settled
        return thread
    silent = thread.pace.silence_count + 1 if before.counts_as_silence else thread.pace.silence_count
    pace = replace(thread.pace, lapsed_question=before, silence_count=silent, question=None)
    thread = lifecycle.unanswered(replace(thread, pace=pace), before, policy, now)
    return replace(thread, pace=replace(thread.pace, question=question))


def _if_silent(enrollment: Enrollment, silence: Silence, asked: Pending, now: datetime, zone: str) -> Enrollment:
    """Plan what an unanswered question leads to: a second asking, and after that a person."""
    at = localtime.plus_wall(now, zone, hours=silence.ask_again_hours)
    if not asked.asked_again:
        return agenda.ask_again(enrollment, asked, at, zone)
    return replace(enrollment, instants={**enrollment.instants, agenda.silent_key(asked.step): at})


def _gate_rests(enrollment: Enrollment, thread: Thread, policy: Policy, now: datetime) -> Enrollment:
    """Asked, or missed: another asking needs an answer or a month (silence is not an answer)."""
    wait = localtime.plus_wall(now, thread.profile.timezone, days=policy.break_least_days)
    return replace(enrollment, instants={**enrollment.instants, "gate_rests_until": wait})


def _event(step: Step, pending: Pending, thread: Thread) -> datetime | None:
    """The event that a reminder's question is about: the question closes when the event begins."""
    when = step.when[pending.which] if pending.which < len(step.when) else None
    if step.kind is not Kind.REMINDER or when is None or when.anchor is not Anchor.SESSION:
        return None
    date = due.key_date(thread, "session", pending.nth or when.nth)
    return date.at if date else None


def _question(
    proposal: Proposal,
    enrollment_id: str,
    policy: Policy,
    now: datetime,
    *,
    silence: bool,
    event: datetime | None = None,
    settles: bool = False,
    choices: tuple[Choice, ...] = (),
) -> OpenQuestion:
    until = now + timedelta(hours=policy.reply_window_hours)
    if proposal.step == STAY:
        until = now + timedelta(days=policy.silence_answer_days)
    if event is not None:
        until = min(until, event)
    return OpenQuestion(
        enrollment=enrollment_id,
        sequence=proposal.sequence,
        step=proposal.step,
        cycle=proposal.cycle,
        asked_at=now,
        until=now + _FOR_EVER if settles else until,
        counts_as_silence=silence and not settles,
        settles=settles,
        choices=choices,
    )


_FOR_EVER = timedelta(days=3650)


def _dropped(thread: Thread, decision: Drop, policy: Policy, now: datetime) -> Thread:
    enrollment = thread.enrollment(decision.enrollment)
    pending = _pending(enrollment, decision.step, decision.cycle) if enrollment else None
    if enrollment is None or pending is None:
        return thread
    due_then = due.due_of(pending, enrollment, thread, policy)
    enrollment = agenda.remove(enrollment, pending)
    if decision.again:
        again = replace(
            pending,
            cycle=agenda.next_cycle(enrollment, pending.step),
            not_before=decision.at or now,
            replans=pending.replans + 1,
        )
        enrollment = replace(enrollment, agenda=(*enrollment.agenda, again))
    else:
        base = due_then.at if due_then else now
        enrollment = agenda.repeat(enrollment, pending, _latest_round(enrollment, pending, base, thread, now))
        enrollment = _given_up(enrollment, enrollment.sequence.by_id[decision.step], thread, policy, now)
    pace = replace(thread.pace, planned=_begun(thread.pace, now))
    return replace(thread.with_enrollment(enrollment), pace=pace)


def _latest_round(enrollment: Enrollment, pending: Pending, base: datetime, thread: Thread, now: datetime) -> datetime:
    """The round from which the next one counts: of rounds that are long over only the last one matters.

    A family may come to a sequence whose date lies months back.
    """
    every = enrollment.sequence.by_id[pending.step].when[pending.which].every_days
    over = (now - base).days // every - 1 if every else 0
    return base if over <= 0 else localtime.plus_wall(base, thread.profile.timezone, days=over * (every or 0))


def _given_up(enrollment: Enrollment, step: Step, thread: Thread, policy: Policy, now: datetime) -> Enrollment:
    """What follows when a step will not be sent at all."""
    if step.kind is Kind.GATE:
        return _gate_rests(enrollment, thread, policy, now)
    if step.if_silent is not None:  # a question that matters and could not be asked: a person must know
        return replace(enrollment, instants={**enrollment.instants, agenda.silent_key(step.id): now})
    return enrollment


def _tasked(thread: Thread, decision: StaffTask, policy: Policy, now: datetime) -> Thread:
    thread = with_staff(thread, decision, now)
    if decision.reason.code == "no_open_hours":
        return replace(thread, pace=replace(thread.pace, hours_told_at=now))
    enrollment = thread.enrollment(decision.enrollment or "")
    if decision.step is None:  # about what keeps everything waiting: said again after a while
        today = localtime.midnight(now, thread.profile.timezone)
        return replace(thread, pace=replace(thread.pace, told={**thread.pace.told, decision.reason.code: today}))
    if enrollment is None or decision.cycle is None:
        return thread
    pending = _pending(enrollment, decision.step, decision.cycle)
    if pending is None:
        return thread.with_enrollment(_told(enrollment, decision.step, decision.cycle))
    due_then = due.due_of(pending, enrollment, thread, policy)
    enrollment = agenda.remove(enrollment, pending)
    base = due_then.at if due_then else enrollment.started_at
    return thread.with_enrollment(agenda.repeat(enrollment, pending, base))


def with_staff(thread: Thread, task: StaffTask, now: datetime) -> Thread:
    """The thread that waits for a person, if the task is more than a remark (priority 3)."""
    if task.priority > 2:
        return thread
    today = localtime.midnight(now, thread.profile.timezone)
    waits = WithStaff(since=today, by=today + timedelta(days=_TASK_DAYS[task.priority]), words=task.words)
    return replace(thread, pace=replace(thread.pace, with_staff=waits))


def staff_done(thread: Thread) -> Thread:
    """The thread after the last open task about this parent was closed: it may go on by itself."""
    return replace(thread, pace=replace(thread.pace, with_staff=None))


def _told(enrollment: Enrollment, step_id: str, cycle: int) -> Enrollment:
    """People know that a question has no answer; the round is used up, so that its outcome is the only one."""
    cycles = {**enrollment.cycles, step_id: max(cycle, enrollment.cycles.get(step_id, 0))}
    return replace(agenda.without_second_asking(enrollment, step_id), cycles=cycles)


def _ended(thread: Thread, decision: Finish, policy: Policy, now: datetime) -> Thread:
    if decision.enrollment is not None:
        enrollment = thread.enrollment(decision.enrollment)
        leads_to = enrollment.sequence.leads_to if enrollment is not None else ()
        pace = replace(thread.pace, leads_to=tuple(dict.fromkeys((*leads_to, *thread.pace.leads_to))))
        pace = replace(pace, planned=_begun(pace, now))
        return replace(thread, pace=pace).without_enrollment(decision.enrollment)
    if not decision.pause:
        return thread
    pace = replace(thread.pace, stay_asked_at=None, paused_at=now)
    return replace(thread, status="paused", paused_until=None, pace=pace)


def unsent(thread: Thread, proposal: Proposal, policy: Policy, now: datetime, *, expired: bool, reason: str) -> Thread:
    """The thread after an outbox row could not be handed over: its mark is taken back, its question closed.

    A step that may be tried once more comes back in a new round; what hung on its sending leaves the agenda.
    """
    pace = pacing.forget(thread.pace, proposal)
    question = pace.question
    if question is not None and (question.step, question.cycle) == (proposal.step, proposal.cycle):
        pace = replace(pace, question=None)
    thread = replace(thread, pace=pace)
    enrollment = thread.enrollment(proposal.enrollment)
    step = enrollment.sequence.step(proposal.step) if enrollment else None
    if enrollment is None or step is None:
        return thread
    followers = {s.id for s in enrollment.sequence.steps for w in s.when if w.step == step.id}
    kept = tuple(p for p in enrollment.agenda if p.step not in followers)
    enrollment = agenda.without_second_asking(replace(enrollment, agenda=kept), step.id)
    kept = enrollment.agenda
    tried = enrollment.facts.get(f"unsent {step.id}", 0)
    once_more = step.kind is Kind.SYSTEM or (step.kind in ONCE_MORE and tried < 1)
    if once_more and not any(p.step == step.id for p in kept):
        enrollment = agenda.add_now(enrollment, step, now, thread.profile.timezone)
        enrollment = replace(enrollment, facts={**enrollment.facts, f"unsent {step.id}": tried + 1})
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
        pace = replace(pace, question=None)
    thread = replace(thread, pace=replace(pace, planned=()))
    enrollment, pending = thread.enrollment(proposal.enrollment), proposal.pending
    if enrollment is None or pending is None:
        return thread
    followers = {s.id for s in enrollment.sequence.steps for w in s.when if w.step == proposal.step}
    again = replace(pending, cycle=agenda.next_cycle(enrollment, pending.step))
    kept = (
        p
        for p in enrollment.agenda
        if p.step not in followers and not (p.step == pending.step and p.which == pending.which)
    )
    return thread.with_enrollment(replace(enrollment, agenda=(*kept, again)))
