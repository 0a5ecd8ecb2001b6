"""The one gate: may this text go at this instant? Asked when planning and again right before sending.

Rules are small functions, asked in order; the first that objects answers, with a stable code, one sentence and
its inputs. Sources: content.md §2.1, PR-01 to PR-17; simulate readings 6 to 12.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from schedules import beside, calendar, localtime, pacing, windows
from schedules.policy import Policy
from schedules.values import (
    Anchor,
    Budget,
    Enrollment,
    Go,
    Kind,
    Never,
    NotYet,
    Proposal,
    Reason,
    Thread,
    Topic,
    Traits,
    Verdict,
)

_DAY = timedelta(days=1)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = tuple("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
_TALKS = (Kind.TALK, Kind.GATE)
_NO_TRAITS = Traits()
GATE_SHUT = "gate_shut"  # the instant since which a gate waits for a person


def may_go(proposal: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict:
    """Go, NotYet(until, reason) or Never(reason) for this text at this instant."""
    for rule in RULES:
        verdict = rule(proposal, thread, policy, at)
        if verdict is not None:
            return verdict
    return Go()


def traits_of(p: Proposal, thread: Thread) -> Traits:
    """The traits of the sequence that a text belongs to; plain ones for the service's own questions."""
    enrollment = thread.enrollment(p.enrollment)
    return _NO_TRAITS if enrollment is None else enrollment.sequence.traits


def say(instant: datetime, thread: Thread) -> str:
    """An instant as people say it, in the family's zone: "Fri 14 Mar, 18:10"."""
    at = localtime.local(instant, thread.profile.timezone)
    return f"{_DAYS[at.weekday()]} {at.day:02d} {_MONTHS[at.month - 1]}, {at.hour:02d}:{at.minute:02d}"


def _reason(code: str, words: str, **inputs: object) -> Reason:
    return Reason(code=code, words=words, inputs={k: str(v) for k, v in inputs.items()})


def _until(thread: Thread, until: datetime | None, code: str, why: str, **inputs: object) -> NotYet:
    words = f"Waiting until {say(until, thread)}: {why}" if until else f"Waiting: {why}"
    return NotYet(until=until, reason=_reason(code, words, **inputs))


# ---------------------------------------------------------------- the person and the phone


def _standing(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    if thread.status == "opted_out":
        return Never(reason=_reason("opted_out", "The parent has opted out; only START brings texts back."))
    if thread.status == "ended":
        return Never(reason=_reason("ended", "The family has left the program."))
    if thread.status == "invited":
        return _until(thread, None, "not_confirmed", "the parent has not yet confirmed with 1.")
    return None


def _expired(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    if at < p.expires_at:
        return None
    words = f"Its moment passed at {say(p.expires_at, thread)}; late is worse than not at all."
    return Never(reason=_reason("expired", words, expires_at=p.expires_at.isoformat()))


def _held(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    for hold in thread.holds:
        if hold.until is not None and at >= hold.until:
            continue
        if hold.kind == "safeguarding":
            continue
        if hold.kind == "conversation":
            return _until(thread, hold.until, "conversation", "a person is in conversation with this parent.")
        return _until(thread, None, f"hold_{hold.kind}", "everything is held until a person releases it.")
    return None


def _safeguarded(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    """After an abuse disclosure nothing firm and nothing about contact, whatever hold is released (PR-12, PR-13)."""
    if not any(hold.kind == "safeguarding" for hold in thread.holds) or traits_of(p, thread).under_safeguarding:
        return None
    words = "nothing firm and nothing about contact goes until the safeguarding lead clears it."
    return _until(thread, None, "hold_safeguarding", words)


def _paused(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    if thread.status != "paused":
        return None
    if thread.paused_until is None:
        return _until(thread, None, "paused", "paused until somebody resumes.")
    if at < thread.paused_until:
        return _until(thread, thread.paused_until, "paused", "paused until then.")
    return None


# ---------------------------------------------------------------- sequences


def _suppressed(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    by = beside.switched_off_by(p.sequence, thread)
    if by is not None:
        return _until(thread, None, f"off_in_{by.lower()}", f"{p.sequence} is off while {by} runs.")
    if p.kind is Kind.GATE:
        shut = next((e for e in thread.enrollments if e.sequence.traits.shuts_gates), None)
        if shut is not None:
            key = shut.sequence.key
            return _until(thread, None, f"off_in_{key.lower()}", f"no gate is asked while {key} runs.")
    if p.budget is Budget.COMFORT and p.enrollment in beside.waiting(thread, policy, at):
        return _until(thread, None, "two_at_once", "other sequences go first.")
    return None


def _unsafe(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    """Fear, abuse or a protective order: reunification content is off (PR-13). Unknown is not safe."""
    traits = traits_of(p, thread)
    if not (traits.needs_screening or (traits.touches_contact and p.kind in _TALKS)):
        return None
    profile = thread.profile
    if any((profile.protective_order, profile.abuse_concern, profile.child_fear)):
        return _until(thread, None, "safety_flag", "a safety flag is set; a person must clear it.")
    if traits.needs_screening and not _is_screened(thread):
        return _until(thread, None, "not_screened", "the safety screen is not complete; unknown is not safe.")
    return None


def _is_screened(thread: Thread) -> bool:
    """Are all safety questions answered? RECONNECT without reunification needs none of them."""
    profile = thread.profile
    flags = (profile.protective_order, profile.abuse_concern, profile.child_fear)
    known = None not in flags and profile.contact_plan is not None
    return known and profile.contact_plan != "none"


def _welcome_first(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    """The first text says who writes, and how to stop: nothing goes before it."""
    if p.kind is Kind.SYSTEM or thread.pace.welcomed_at is not None:
        return None
    return _until(thread, None, "welcome_first", "the welcome, with STOP and HELP, goes first.")


def _after_crisis(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    """No talk for a month after a report of suicide or self-harm, unless a trained person says otherwise."""
    until = thread.pace.no_talks_until
    if p.kind not in _TALKS or until is None or at >= until:
        return None
    return _until(thread, until, "after_crisis", "a crisis was reported; talks rest.", no_talks_until=until)


def _said_enough(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    """The same comfort words reach one parent a few times a year at most."""
    enrollment = thread.enrollment(p.enrollment)
    step = enrollment.sequence.step(p.step) if enrollment is not None else None
    if step is None or p.budget is not Budget.COMFORT or step.kind is Kind.IDEA:
        return None
    if pacing.said_within_a_year(thread.pace, step.id, at) < policy.says_a_year * (1 + len(step.repeats)):
        return None
    words = f"This parent has had these words {policy.says_a_year} times in a year."
    return Never(reason=_reason("said_enough", words))


def _cooling(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    """After a conflict: nothing about therapy, no idea that asks something of the child (PR-04, reading 8)."""
    until = thread.pace.cool_until
    sensitive = p.topic is Topic.THERAPY or (p.topic is Topic.RELATIONSHIP and p.kind is Kind.IDEA)
    if until is not None and at < until and sensitive and not traits_of(p, thread).speaks_in_cool_down:
        return _until(thread, until, "cool_down", "a hard moment was reported; therapy rests.", cool_until=until)
    talks = thread.pace.cool_talks_until
    if talks is not None and at < talks and p.kind in _TALKS:
        return _until(thread, talks, "cool_down", "a hard visit was reported; talks rest.", cool_until=talks)
    return None


# ---------------------------------------------------------------- talks and gates


def _waiting(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    until = thread.pace.wait_until
    if p.kind in _TALKS and until is not None and at < until:
        return _until(thread, until, "wait", "an answer asked for more time.", wait_until=until)
    return None


def _talk_gap(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    if p.kind is not Kind.TALK or (p.pending is not None and p.pending.chosen is not None):
        return None  # the hour that the parent chose needs no distance
    pace, zone = thread.pace, thread.profile.timezone
    until = pace.talk_gap_until
    if pace.last_talk_at is not None:
        after_last = localtime.plus_wall(pace.last_talk_at, zone, days=policy.talk_gap_days)
        until = after_last if until is None else max(until, after_last)
    if until is not None and at < until:
        return _until(thread, until, "talk_gap", "the last talk is too recent.", talk_gap_until=until)
    return None


def _wrong_day(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    """Days on which a talk, a gate or an idea is out of place (excl.days, PR-21)."""
    why = _why_wrong_day(p, thread, policy, at)
    if why is None:
        return None
    code, words = why
    zone = thread.profile.timezone
    tomorrow = localtime.at_minute(localtime.local_date(at, zone) + _DAY, 0, zone)
    return _until(thread, tomorrow, code, words)


def _why_wrong_day(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> tuple[str, str] | None:
    profile = thread.profile
    day = localtime.local_date(at, profile.timezone)
    if calendar.is_quiet(profile, day):
        return "quiet_day", "this is a quiet day of the family."
    needs_child = p.kind in (Kind.TALK, Kind.IDEA) or p.window is not None
    if needs_child and profile.custody.pattern == "none":
        return "no_contact", "the child is not with this parent."
    if p.kind is Kind.TALK and profile.custody.pattern == "supervised":
        return "supervised", "contact is supervised: no talk is suggested."
    if needs_child and not calendar.child_is_here(profile, day):
        return "child_away", "the child is at the other home."
    return _why_hard_day(p, thread, policy, at) if p.kind in _TALKS else None


def _why_hard_day(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> tuple[str, str] | None:
    profile, zone = thread.profile, thread.profile.timezone
    day = localtime.local_date(at, zone)
    if calendar.is_exchange_day(profile, day):
        return "exchange_day", "the child changes homes on this day."
    court = calendar.dates_of(thread.key_dates, "court", zone)
    if any(abs((day - date).days) <= policy.court_clear_days for date in court):
        return "court_day", "a court date is too near."
    margin = policy.hard_date_gate_days if p.kind is Kind.GATE else policy.hard_date_days
    if calendar.within(profile.hard_dates, day, either_side=margin):
        return "hard_date", "a hard date of the family is too near."
    if p.kind is Kind.TALK and day in calendar.dates_of(thread.key_dates, "session", zone):
        return "session_day", "a session is on this day."
    return None


def _gate_shut(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    """The conditions of a gate (PR-10). A shut gate is never announced: the caller just waits."""
    if p.kind is not Kind.GATE:
        return None
    enrollment = thread.enrollment(p.enrollment)
    if enrollment is None:
        return Never(reason=_reason("not_enrolled", "Its sequence has ended."))
    hangs_on_gate = any(s.id == p.step and w.anchor is Anchor.GATE for s in enrollment.sequence.steps for w in s.when)
    return break_gate(enrollment, thread, policy, at) if hangs_on_gate else None


def break_gate(enrollment: Enrollment, thread: Thread, policy: Policy, at: datetime) -> NotYet | None:
    """None when every condition holds, else what is missing and until when (if time alone can mend it)."""
    return _gate_waits_for_people(enrollment, thread, policy) or _gate_waits(enrollment, thread, policy, at)


def _gate_waits_for_people(enrollment: Enrollment, thread: Thread, policy: Policy) -> NotYet | None:
    """What only a person or the parent can mend."""
    profile = thread.profile
    if GATE_SHUT in enrollment.instants:
        return _until(thread, None, "gate_after_crisis", "after a crisis only a person opens the gate again.")
    if enrollment.facts.get("gate unanswered", 0) >= policy.gate_asks:
        return _until(thread, None, "gate_unanswered", "it was asked and not answered; a person asks now.")
    if enrollment.facts.get("streak", 0) < policy.break_streak:
        return _until(thread, None, "gate_streak", "the last two pulses were not both closer.")
    if profile.court_ordered != "no" and profile.break_ok_by not in ("court", "lawyer"):
        return _until(thread, None, "gate_court", "an order may apply and no OK is noted.")
    if None in (profile.protective_order, profile.abuse_concern, profile.child_fear):
        return _until(thread, None, "gate_unknown_safety", "the safety screen is not complete.")
    if profile.contact_plan is None or not profile.therapist_told:
        return _until(thread, None, "gate_unknown_plan", "the contact plan or the therapist's word is missing.")
    return None


def _gate_waits(enrollment: Enrollment, thread: Thread, policy: Policy, at: datetime) -> NotYet | None:
    """What time alone can mend."""
    pace, zone = thread.pace, thread.profile.timezone
    earliest = [enrollment.instants.get("gate_wait_until")]
    if not enrollment.facts.get("child_led"):
        kind = enrollment.sequence.traits.counts_from
        start = next((k.at for k in thread.key_dates if k.kind == kind), enrollment.started_at)
        earliest.append(localtime.plus_wall(start, zone, days=policy.break_least_days))
    if pace.last_conflict_at is not None:
        earliest.append(localtime.plus_wall(pace.last_conflict_at, zone, days=policy.break_calm_days))
    until = max((instant for instant in earliest if instant is not None), default=None)
    if until is not None and at < until:
        return _until(thread, until, "gate_time", "the break needs more time.", gate_until=until)
    return None


# ---------------------------------------------------------------- hours, caps, questions


def _hours(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    if windows.is_open(thread.profile, policy, at):
        return None
    until = windows.next_open(thread.profile, policy, at)
    if until is None:
        return _until(thread, None, "no_open_hours", "the family's hours leave no moment to text.")
    return _until(thread, until, "contact_hours", "outside contact hours, work, dinner or bedtime.")


def _school(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    """A text that sends to school: in term, on weekdays, while the office is open (PR-24)."""
    if not p.school_hours or windows.is_school_office_open(thread.profile, policy, at):
        return None
    if not windows.meets_school_office(thread.profile, policy, at):
        # A parent who is at work whenever the office is open reads it on a school day's evening.
        if calendar.is_term(thread.profile, localtime.local_date(at, thread.profile.timezone)):
            return None
    until = windows.next_school_office(thread.profile, policy, at)
    return _until(thread, until, "school_closed", "the school's office is closed.")


def _caps(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    """Caps and gaps of the text's own budget. Safety has none."""
    if not p.counted or p.budget is Budget.SAFETY or not pacing.counted(thread.pace):
        return None
    traits = traits_of(p, thread)
    limits = (
        ("cap_day", "a text has already gone out on this day.", pacing.day_allows(thread, policy, at)),
        ("cap_gap", "the last text is too recent.", pacing.gap_allows(thread, policy, p, at, traits)),
        ("cap_week", "this week is full.", pacing.week_allows(thread, policy, p, at, traits)),
    )
    for code, words, until in limits:
        if until is not None:
            return _until(thread, until, code, words)
    return None


def _sequence_cap(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    enrollment = thread.enrollment(p.enrollment)
    if enrollment is None or not p.counted or p.budget is Budget.SAFETY:
        return None
    if enrollment.sequence.at_most.count == 1 and enrollment.facts.get(f"asked for {p.step}"):
        return None  # "CA-3 now" is an answer's wish: it does not wait for the next slot
    if p.pending is not None and p.pending.chosen is not None:
        return None  # the hour that the parent chose is the same talk, moved
    until = pacing.sequence_allows(thread, policy, p, enrollment, at)
    if until is None:
        return None
    return _until(thread, until, "cap_sequence", f"{p.sequence} has had its share for now.")


def _one_question(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    """One open check-in at a time. What is tied to an event replaces the open question instead of waiting, unless a
    person or an answer must settle that one first."""
    question = thread.pace.question
    if question is None or at >= question.until or (p.asked_again and question.step == p.step):
        return None
    if question.settles and question.step != p.step and _asks(p, thread):
        return _until(thread, None, "unsettled", f"{question.step} must be answered or settled first.")
    if p.kind is not Kind.CHECKIN or p.closes_talk:
        return None
    return _until(thread, question.until, "question_open", "another question is still open.")


def _asks(p: Proposal, thread: Thread) -> bool:
    enrollment = thread.enrollment(p.enrollment)
    step = enrollment.sequence.step(p.step) if enrollment is not None else None
    if step is None:
        return True
    return p.budget is not Budget.SAFETY and bool(step.answers) and step.plain is None


def _near_report(p: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict | None:
    """Nothing within two hours of a report but its acknowledgement (REPAIR)."""
    reported = thread.pace.last_conflict_at
    if reported is None:
        return None
    until = reported + timedelta(hours=policy.repair_quiet_hours)
    return _until(thread, until, "just_reported", "a hard moment was just reported.") if at < until else None


Rule = Callable[[Proposal, Thread, Policy, datetime], Verdict | None]

RULES: tuple[Rule, ...] = (
    _standing,
    _expired,
    _held,
    _safeguarded,
    _paused,
    _welcome_first,
    _suppressed,
    _unsafe,
    _cooling,
    _near_report,
    _after_crisis,
    _waiting,
    _talk_gap,
    _gate_shut,
    _wrong_day,
    _hours,
    _school,
    _sequence_cap,
    _caps,
    _one_question,
    _said_enough,
)
