"""From "TK-4 + 18 hours" to an instant: when a pending step is due, when it may first go, when it is too late.

Sources: content.md §2.1 (column `when`, ttl), §5.2; simulate readings 3, 9, 12.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from schedules import agenda, calendar, gate, localtime, pacing, windows
from schedules.changing import changed, once_each
from schedules.policy import PRIORITY, Policy
from schedules.values import (
    Anchor,
    Enrollment,
    Go,
    KeyDate,
    Kind,
    Never,
    NotYet,
    Pending,
    Proposal,
    Reason,
    Slot,
    Step,
    Thread,
    When,
)

_DAY = timedelta(days=1)
_HORIZON_DAYS = 120
_FAR = timedelta(days=3650)
_MOST_LOOKS = 120
_EVENTS = (Anchor.SESSION, Anchor.NEXT_REVIEW, Anchor.VISIT, Anchor.CONSULT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """When a pending step falls due, until when that is still its own moment (+20 to 28 h), and the event that it
    must precede, if any."""

    at: datetime
    latest: datetime | None = None
    before_event: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A pending step with its first possible moment. `at` is none while only somebody else can open the way."""

    enrollment: Enrollment
    pending: Pending
    step: Step
    when: When
    due: Due
    expires_at: datetime
    at: datetime | None
    reason: Reason
    window: tuple[datetime, datetime] | None = None

    @property
    def proposal(self) -> Proposal:
        """What the gate is asked about. Made when it is asked: most steps are only looked at for their date."""
        step = self.step
        return Proposal(
            sequence=self.enrollment.sequence.key,
            step=step.id,
            cycle=self.pending.cycle,
            enrollment=self.enrollment.id,
            kind=step.kind,
            topic=step.topic,
            expires_at=self.expires_at,
            closes_talk=step.closes_talk,
            asked_again=self.pending.asked_again,
            school_hours=step.school_hours,
            window=self.window,
            pending=self.pending,
        )

    @property
    def priority(self) -> int:
        """Lower goes first when a cap bites."""
        first = PRIORITY.get(self.enrollment.sequence.key)
        if first is None:
            first = PRIORITY.get(self.step.kind, 75)
        # Within AFTERCRISIS too: whether the visit took place matters more than the weekly question.
        return first - 1 if self.step.if_silent is not None else first


def overtakes(talk: Candidate, ready: Sequence[Candidate]) -> bool:
    """Would a talk go before a text of its own sequence that fell due first? It builds on what was said before it.

    Only READY brings a talk forward, past the tips that lead up to it.
    """
    if talk.step.kind is not Kind.TALK or talk.enrollment.facts.get("ready"):
        return False
    return any(c.enrollment.id == talk.enrollment.id and c.due.at < talk.due.at for c in ready)


_DUE = Reason(code="due", words="Due.")
_WAITS = Reason(code="two_at_once", words="Waiting for its turn: enough other sequences run already.")


# ---------------------------------------------------------------- when a step is due


def key_date(thread: Thread, kind: str, nth: int) -> KeyDate | None:
    """The key date that still stands, none when it is unknown or cancelled."""
    return next((k for k in thread.key_dates if k.kind == kind and k.nth == nth and k.status in ("set", "done")), None)


class _Place(NamedTuple):
    """Where a pending step stands: the step, the moment that counts, the enrollment. Made for each of them at every
    look, thus a tuple."""

    step: Step
    when: When
    enrollment: Enrollment


def due_of(pending: Pending, enrollment: Enrollment, thread: Thread, policy: Policy) -> Due | None:
    """When `pending` is due; none while its anchor is unknown."""
    step = enrollment.sequence.step(pending.step)
    if step is None or pending.which >= len(step.when) or not agenda.is_wished(step, thread):
        return None
    place = _Place(step=step, when=step.when[pending.which], enrollment=enrollment)
    due = _counted(pending, place, thread, policy)
    if due is None or pending.not_before is None:
        return due
    return changed(due, at=max(due.at, pending.not_before))


def _counted(pending: Pending, place: _Place, thread: Thread, policy: Policy) -> Due | None:
    when = place.when
    if when.anchor is Anchor.GATE:
        return _gate_holds(when, place.enrollment, thread, policy)
    if pending.base is not None:
        return Due(at=_from_base(pending.base, place, thread, policy))
    if when.anchor in (Anchor.ENROLLED, Anchor.STEP, Anchor.TRY, Anchor.ANSWER):
        return Due(at=_from_base(place.enrollment.started_at, place, thread, policy))
    return _from_key_date(pending, when, thread, policy)


def _gate_holds(when: When, enrollment: Enrollment, thread: Thread, policy: Policy) -> Due | None:
    """Some days after the last condition came true; none while one is missing that time alone cannot mend."""
    since = enrollment.instants.get("streak_at")
    if since is None:
        return None
    at = _preferred(since, when.offset_days, thread, policy)
    rests_until = enrollment.instants.get("gate_rests_until")
    if rests_until is not None:
        at = max(at, _preferred(rests_until, 0, thread, policy))
    verdict = gate.break_gate(enrollment, thread, policy, at)
    if verdict is None:
        return Due(at=at)
    if verdict.until is None:
        return None
    return Due(at=max(verdict.until, _preferred(verdict.until, 0, thread, policy)))


def _from_key_date(pending: Pending, when: When, thread: Thread, policy: Policy) -> Due | None:
    date = key_date(thread, when.anchor.value, pending.nth or when.nth)
    if date is None:
        return None
    zone = thread.profile.timezone
    if when.slot is Slot.MORNING:
        return Due(at=localtime.at_minute(localtime.local_date(date.at, zone), 0, zone), before_event=date.at)
    if when.slot in (Slot.PREFERRED, Slot.WEEKEND):
        at = _preferred(date.at, when.offset_days, thread, policy)
    else:
        at = _shifted(date.at, when, when.offset_days, thread)
    leads = when.anchor in _EVENTS and (when.offset_days < 0 or when.offset_hours < 0)
    latest = localtime.plus_wall(date.at, zone, hours=when.latest_hours) if when.latest_hours else None
    return Due(at=at, latest=latest, before_event=date.at if leads else None)


def _from_base(base: datetime, place: _Place, thread: Thread, policy: Policy) -> datetime:
    """Days mean a date at its preferred moment, hours and minutes that very minute, both on the wall clock."""
    when = place.when
    if when.slot is Slot.MORNING:
        return _next_morning(base, when.offset_hours, thread, policy)
    days = _days(base, place, thread, policy)
    if when.slot is Slot.WINDOW and when.anchor is Anchor.ENROLLED:
        return _preferred(base, days, thread, policy, from_midnight=True)
    if when.slot in (Slot.PREFERRED, Slot.WEEKEND):
        return _preferred(base, days, thread, policy)
    return _shifted(base, when, days, thread)


def _days(base: datetime, place: _Place, thread: Thread, policy: Policy) -> int:
    """The offset in days, with the interval of a repeating step and what silence makes of both."""
    when, step, enrollment = place.when, place.step, place.enrollment
    days, repeats = when.offset_days, when.every_days is not None and base != enrollment.started_at
    if when.every_days is not None and repeats:
        is_pulse = step.kind is Kind.CHECKIN
        days = enrollment.facts.get("interval_days", when.every_days) if is_pulse else when.every_days
    if enrollment.facts.get("stretch"):
        days = _slowed(base, days, 2, enrollment.instants.get("stretched_at"), repeats=repeats)
    factor = pacing.stretch(thread.pace, policy)
    slows = pacing.slows_in_silence(enrollment.sequence.key, step.kind) and step.kind is not Kind.STAFF
    if factor == 1 or not slows or days <= 0:
        return days
    if repeats and pacing.is_monthly(thread.pace, policy):
        return max(days, policy.silence_monthly_days)
    return _slowed(base, days, factor, thread.pace.silence_since, repeats=repeats)


def _slowed(base: datetime, days: int, factor: int, since: datetime | None, *, repeats: bool) -> int:
    """Intervals double; a date counted from the start doubles only what lies after `since` (the silence began)."""
    if repeats or since is None or since <= base:
        return days * factor
    heard = (since - base).days
    return days if days <= heard else heard + (days - heard) * factor


def _shifted(base: datetime, when: When, days: int, thread: Thread) -> datetime:
    at = localtime.plus_wall(base, thread.profile.timezone, days=days, hours=when.offset_hours)
    return localtime.ceil_minute(at) + timedelta(minutes=when.offset_minutes)


def _preferred(base: datetime, days: int, thread: Thread, policy: Policy, *, from_midnight: bool = False) -> datetime:
    """`days` dates after `base`, at the family's preferred moment (its midnight for what looks for a window)."""
    zone = thread.profile.timezone
    day = localtime.local_date(base, zone) + days * _DAY
    if from_midnight:
        return localtime.at_minute(day, 0, zone)
    moment = windows.preferred_moment(thread.profile, policy, day)
    return moment if moment is not None else localtime.to_utc(day, thread.profile.slot_pref, zone)


def _next_morning(base: datetime, hours: int, thread: Thread, policy: Policy) -> datetime:
    """The preferred moment of the first following day that is at least `hours` away."""
    least = base + timedelta(hours=hours)
    for days in range(1, 8):
        moment = _preferred(base, days, thread, policy)
        if moment >= least:
            return moment
    return least


# ---------------------------------------------------------------- how long a step may wait


@once_each(1024)
def _lives(policy: Policy) -> Mapping[Kind, timedelta]:
    """How long a step of each kind makes sense; what a talk's window or an event says besides is in `expiry`."""
    reply = timedelta(hours=policy.ttl_reply_hours)
    return dict.fromkeys(Kind, timedelta(days=policy.ttl_default_days)) | {
        Kind.FOLLOWUP: timedelta(hours=policy.ttl_followup_hours),
        Kind.RESOURCE: timedelta(days=policy.ttl_resource_days),
        Kind.REPLY: reply,
        Kind.ASK: reply,
    }


def expiry(step: Step, due: Due, policy: Policy, *, window_start: datetime | None = None) -> datetime:
    """The last instant at which the step still makes sense (PR-16)."""
    if step.kind is Kind.TALK:
        if window_start is None:
            return due.at + _FAR
        return window_start + timedelta(minutes=policy.ttl_talk_after_start_minutes)
    last = due.at + _lives(policy)[step.kind]
    if due.before_event is not None:
        before = due.before_event - timedelta(hours=policy.ttl_reminder_before_hours)
        last = before if step.kind is Kind.REMINDER else min(last, before)
    return last


# ---------------------------------------------------------------- the first moment that everything allows


def coming(pending: Pending, enrollment: Enrollment, thread: Thread, policy: Policy) -> Candidate | None:
    """`pending` with the date on which it falls due, its moment not looked for; none while its anchor is unknown."""
    due = due_of(pending, enrollment, thread, policy)
    step = enrollment.sequence.step(pending.step)
    if due is None or step is None:
        return None
    return Candidate(
        enrollment=enrollment,
        pending=pending,
        step=step,
        when=step.when[pending.which],
        due=due,
        expires_at=expiry(step, due, policy),
        at=None,
        reason=_DUE,
    )


def placed(base: Candidate, thread: Thread, policy: Policy, now: datetime) -> Candidate:
    """The step with its first possible moment at or after `now`."""
    if agenda.rests(base.enrollment, base.pending):
        return changed(base, reason=_WAITS)
    start = max(base.due.at, now)
    if base.step.kind is Kind.STAFF:
        return changed(base, at=start)
    if base.when.slot is Slot.WINDOW:
        return _ahead_of_window(base, thread, policy, start)
    return _first_allowed(base, thread, policy, start)


def _first_allowed(base: Candidate, thread: Thread, policy: Policy, start: datetime) -> Candidate:
    """Walk from `start` from objection to objection until the gate has none, or until it is too late anyway."""
    proposal = base.proposal
    at: datetime | None = _slotted(base, thread, policy, start)
    why = base.reason
    for _ in range(_MOST_LOOKS):
        if at is None or at > base.expires_at:
            break
        verdict = gate.may_go(proposal, thread, policy, at)
        if isinstance(verdict, Go):
            clash = _clashes_with_pulse(base, thread, policy, at)
            if clash is None:
                return changed(base, at=at, reason=_going(base, at, thread, why))
            verdict = clash
        why = verdict.reason
        if isinstance(verdict, Never) or verdict.until is None:
            return changed(base, at=None, reason=why)
        at = _slotted(base, thread, policy, max(verdict.until, at + localtime.MINUTE))
    return changed(base, at=None, reason=why)


def _slotted(base: Candidate, thread: Thread, policy: Policy, at: datetime) -> datetime | None:
    """The first moment from `at` on that suits the step's slot."""
    if base.when.slot is Slot.WEEKEND:
        return _weekend(base, thread, policy, at)
    if base.when.slot is not Slot.PREFERRED:
        return at
    zone = thread.profile.timezone
    day = localtime.local_date(at, zone)
    preferred = windows.preferred_moment(thread.profile, policy, day)
    return at if preferred is None else max(at, preferred)


def _weekend(base: Candidate, thread: Thread, policy: Policy, at: datetime) -> datetime | None:
    """Weekend mornings of the week that follows the due date first; after them any day, as a fallback."""
    zone = thread.profile.timezone
    first = localtime.local_date(base.due.at, zone)
    today = localtime.local_date(at, zone)
    for days in range(7):
        day = first + days * _DAY
        if day < today or day.weekday() < 5 or not calendar.child_is_here(thread.profile, day):
            continue
        moment = windows.preferred_moment(thread.profile, policy, day)
        if moment is not None and moment >= at and _is_free(base, thread, policy, moment):
            return moment
    preferred = windows.preferred_moment(thread.profile, policy, today)
    return at if preferred is None else max(at, preferred)


def _is_free(base: Candidate, thread: Thread, policy: Policy, moment: datetime) -> bool:
    asked = changed(base.proposal, expires_at=moment + _FAR)
    return isinstance(gate.may_go(asked, thread, policy, moment), Go) and not _clashes_with_pulse(
        base, thread, policy, moment
    )


def _clashes_with_pulse(base: Candidate, thread: Thread, policy: Policy, at: datetime) -> NotYet | None:
    """An idea keeps its distance from the next check-in of its own sequence, which goes first (priorities)."""
    if base.step.kind is not Kind.IDEA or base.enrollment.sequence.at_most.count != 1:
        return None
    zone, day = thread.profile.timezone, localtime.local_date(at, thread.profile.timezone)
    for other in base.enrollment.agenda:
        step = base.enrollment.sequence.step(other.step)
        due = due_of(other, base.enrollment, thread, policy)
        if step is None or due is None or step.kind is not Kind.CHECKIN:
            continue
        until_check = (localtime.local_date(due.at, zone) - day).days
        if until_check < policy.weekly_slot_days:
            words = f"Waiting: the check-in of {gate.say(due.at, thread)} goes first."
            # No later day would be better: only the check-in's own going clears the way.
            return NotYet(until=None, reason=Reason(code="check_in_first", words=words))
    return None


def _going(base: Candidate, at: datetime, thread: Thread, held_by: Reason) -> Reason:
    """Why this moment: what held it back last, or that it is simply due."""
    said = gate.say(at, thread)
    inputs = {"due_at": base.due.at.isoformat(), **held_by.inputs}
    if base.due.latest is not None:
        inputs["best_until"] = base.due.latest.isoformat()
    if base.due.latest is not None and at > base.due.latest:
        said += f", later than its best moment (until {gate.say(base.due.latest, thread)})"
    if held_by.code == "due":
        return Reason(code="due", words=f"Due {said}, and nothing stands in the way.", inputs=inputs)
    cause = held_by.words.split(": ", 1)[-1].rstrip(".")
    return Reason(code=held_by.code, words=f"Waiting until {said}: {cause}.", inputs=inputs)


# ---------------------------------------------------------------- ahead of a calm window


def _ahead_of_window(base: Candidate, thread: Thread, policy: Policy, start: datetime) -> Candidate:
    """The first calm window whose send moment the gate allows; windows in between are skipped, never late."""
    why = Reason(code="no_window", words="No calm window is known; TIME sets one.")
    found = _Windows(thread, policy, start)
    for window, moment in found.in_order(base):
        opens, closes = window.instants(thread.profile.timezone)
        planned = changed(base, at=moment, expires_at=_window_expiry(base, policy, opens), window=(opens, closes))
        verdict = gate.may_go(planned.proposal, thread, policy, moment)
        if isinstance(verdict, Go):
            return changed(planned, reason=_lead(moment, opens, thread, why))
        why = verdict.reason
        if isinstance(verdict, Never) or verdict.until is None:
            break
        if not base.when.weekend_first:  # windows in order of time: what is refused until then is refused in between
            found.not_before = verdict.until
    return changed(base, at=None, reason=why)


def _window_expiry(base: Candidate, policy: Policy, opens: datetime) -> datetime:
    if base.step.kind is Kind.TALK:
        return expiry(base.step, base.due, policy, window_start=opens)
    return base.expires_at


class _Windows:
    """Calm windows from `start` on, each with the moment to text ahead of it, none of them before `not_before`, which
    may be set later while they are gone through."""

    def __init__(self, thread: Thread, policy: Policy, start: datetime) -> None:
        self.thread, self.policy, self.start, self.not_before = thread, policy, start, start

    def in_order(self, base: Candidate) -> Iterator[tuple[windows.Window, datetime]]:
        """In order of time; "weekend first" looks through the weekends of the first seven days before."""
        if base.when.weekend_first:
            end = localtime.local_date(base.due.at, self.thread.profile.timezone) + 7 * _DAY
            yield from (found for found in self._ahead(end) if found[0].day.weekday() >= 5)
        yield from self._ahead()

    def _ahead(self, until: date | None = None) -> Iterator[tuple[windows.Window, datetime]]:
        zone = self.thread.profile.timezone
        first = localtime.local_date(self.start, zone)
        for days in range(_HORIZON_DAYS):
            day = first + days * _DAY
            if until is not None and day >= until:
                return
            # A window's moment lies on its day, or past the midnight after it.
            if day + _DAY < localtime.local_date(self.not_before, zone):
                continue
            yield from self._of(day)

    def _of(self, day: date) -> Iterator[tuple[windows.Window, datetime]]:
        for window in windows.calm_windows(self.thread, self.policy, day):
            moment = windows.send_moment(self.thread, self.policy, window, not_before=self.start)
            if moment is not None and moment >= self.not_before:
                yield window, moment


def _lead(moment: datetime, opens: datetime, thread: Thread, skipped: Reason) -> Reason:
    """Such as "Waiting until Fri 18:10: the calm window starts 19:30"."""
    starts = localtime.local(opens, thread.profile.timezone).strftime("%H:%M")
    dinner = thread.profile.dinner_time[localtime.local(opens, thread.profile.timezone).weekday()]
    words = f"Waiting until {gate.say(moment, thread)}: the calm window starts {starts}"
    inputs = {"window_start": opens.isoformat()}
    if dinner is not None:
        words += f" and dinner is {dinner.strftime('%H:%M')}"
    if skipped.code != "no_window":
        words += f" (earlier windows: {skipped.words.split(': ', 1)[-1].rstrip('.')})"
        inputs["skipped_for"] = skipped.code
    return Reason(code="calm_window", words=words + ".", inputs=inputs)
