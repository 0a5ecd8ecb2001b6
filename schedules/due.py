"""From "TK-4 + 18 hours" to an instant: when a pending step falls due, and how long it makes sense.

Sources: content.md §2.1 (column `when`, ttl); simulate readings 3, 9, 12.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from schedules import agenda, gate, localtime, pacing, windows
from schedules.policy import Policy
from schedules.values import EVENTS, Anchor, Enrollment, KeyDate, Kind, Pending, Sequence, Slot, Step, Thread, When

_DAY = timedelta(days=1)
_FAR = timedelta(days=3650)


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """When a pending step falls due, until when that is still its own moment (+20 to 28 h), and the event that it
    must precede, if any."""

    at: datetime
    latest: datetime | None = None
    before_event: datetime | None = None
    slowed: bool = False  # silence or a wish for less has put it off


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
    return replace(due, at=max(due.at, pending.not_before))


def _counted(pending: Pending, place: _Place, thread: Thread, policy: Policy) -> Due | None:
    when = place.when
    if when.anchor is Anchor.GATE:
        return _gate_holds(when, place.enrollment, thread, policy)
    if pending.base is not None:
        return _due_from_base(pending.base, place, thread, policy)
    if when.anchor in (Anchor.ENROLLED, Anchor.STEP, Anchor.TRY, Anchor.ANSWER):
        return _due_from_base(place.enrollment.started_at, place, thread, policy)
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
    leads = when.anchor in EVENTS and (when.offset_days < 0 or when.offset_hours < 0)
    latest = localtime.plus_wall(date.at, zone, hours=when.latest_hours) if when.latest_hours else None
    return Due(at=at, latest=latest, before_event=date.at if leads else None)


def _due_from_base(base: datetime, place: _Place, thread: Thread, policy: Policy) -> Due:
    repeats = place.when.every_days is not None
    slowed = not repeats and _days(base, place, thread, policy) > place.when.offset_days
    return Due(at=_from_base(base, place, thread, policy), slowed=slowed)


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
    slows = pacing.slows_in_silence(enrollment.sequence, step) and step.kind is not Kind.STAFF
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
    return at + timedelta(minutes=when.offset_minutes)


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


def life(kind: Kind, policy: Policy) -> timedelta:
    """How long a step of this kind makes sense; what a talk's window or an event says besides is in `expiry`."""
    if kind in (Kind.REPLY, Kind.ASK):
        return timedelta(hours=policy.ttl_reply_hours)
    if kind is Kind.FOLLOWUP:
        return timedelta(hours=policy.ttl_followup_hours)
    return timedelta(days=policy.ttl_resource_days if kind is Kind.RESOURCE else policy.ttl_default_days)


def expiry(
    sequence: Sequence, step: Step, when: When, due: Due, policy: Policy, *, window_start: datetime | None = None
) -> datetime:
    """The end of the time in which the step makes sense, itself excluded (PR-16)."""
    if step.kind is Kind.TALK:
        if window_start is None:
            return due.at + _FAR
        return window_start + timedelta(minutes=policy.ttl_talk_after_start_minutes)
    if step.kind is Kind.SYSTEM:
        return due.at + _FAR  # the welcome goes first, however long that takes
    if agenda.slides(sequence, step, when):
        return due.at + timedelta(days=policy.slide_days)
    last = due.at + life(step.kind, policy)
    if when.slot is Slot.WEEKEND:
        last = max(last, due.at + timedelta(days=8))  # whatever weekday it falls due on, a weekend is in reach
    if due.before_event is not None:
        before = due.before_event - timedelta(hours=policy.ttl_reminder_before_hours)
        last = before if step.kind is Kind.REMINDER else min(last, before)
    return last
