"""When a text may arrive at all, and when a talk has a calm hour ahead of it.

Sources: content.md §2.1 (contact hours, exclusions), §5.2 (calm windows, the five-minute rule); twilio.md §2.6.
All arithmetic is on wall-clock minutes of a local date, converted once at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from schedules import calendar, localtime
from schedules.policy import Policy
from schedules.values import Profile, Span, Thread, Week

_DAY = timedelta(days=1)
_MIDNIGHT = 1440
_OFFERED = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A calm window on a local date, in minutes after midnight, end excluded."""

    day: date
    start: int
    end: int

    def instants(self, zone: str) -> tuple[datetime, datetime]:
        return localtime.at_minute(self.day, self.start, zone), localtime.at_minute(self.day, self.end, zone)


# ---------------------------------------------------------------- spans of one day


def subtract(spans: tuple[Span, ...], hole: Span) -> tuple[Span, ...]:
    """What is left of `spans` outside `hole`."""
    left: list[Span] = []
    for span in spans:
        if hole.end <= span.start or span.end <= hole.start:
            left.append(span)
            continue
        if span.start < hole.start:
            left.append(Span(start=span.start, end=hole.start))
        if hole.end < span.end:
            left.append(Span(start=hole.end, end=span.end))
    return tuple(left)


def intersect(spans: tuple[Span, ...], others: tuple[Span, ...]) -> tuple[Span, ...]:
    """What `spans` and `others` share, in order."""
    shared = (
        Span(start=max(a.start, b.start), end=min(a.end, b.end))
        for a in spans
        for b in others
        if max(a.start, b.start) < min(a.end, b.end)
    )
    return tuple(sorted(shared, key=lambda s: s.start))


def on_day(week: Week, day: date) -> tuple[Span, ...]:
    """The spans of `day`, with what runs over from the night before."""
    today = tuple(Span(start=s.start, end=min(s.end, _MIDNIGHT)) for s in week[day.weekday()])
    spill = tuple(Span(start=0, end=s.end - _MIDNIGHT) for s in week[(day - _DAY).weekday()] if s.end > _MIDNIGHT)
    return tuple(sorted((*spill, *today), key=lambda s: s.start))


def _minute(wall: time) -> int:
    return wall.hour * 60 + wall.minute


def bedtime(profile: Profile, day: date) -> int:
    """Minutes after midnight; a bedtime after midnight counts as 24:00 or later."""
    minute = _minute(profile.bedtime_school if calendar.is_school_night(day) else profile.bedtime_free)
    return minute + _MIDNIGHT if minute < 12 * 60 else minute


class _Days:
    """What one family's calendar says of each day under one policy, worked out once: kept with the profile itself."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.spans: dict[date, tuple[Span, ...]] = {}
        self.instants: dict[date, tuple[tuple[datetime, datetime], ...]] = {}
        self.preferred: dict[date, datetime | None] = {}
        self.has_calm: bool | None = None
        self.calm: dict[date, tuple[Window, ...]] = {}
        self.marks: dict[Window, tuple[tuple[datetime, datetime], ...]] = {}


def _days_of(profile: Profile, policy: Policy) -> _Days:
    days: _Days | None = profile.days.get("windows")
    if days is None or days.policy is not policy:
        days = profile.days["windows"] = _Days(policy)
    return days


def contact_spans(profile: Profile, policy: Policy, day: date) -> tuple[Span, ...]:
    """Contact hours of `day`: the family's, else the program's, inside the state's and the outer wall."""
    hours = profile.contact_hours if profile.contact_hours is not None else policy.contact_hours
    spans = intersect(on_day(hours, day), (policy.outer_wall,))
    state = policy.state_hours.get(profile.state) if profile.state else None
    return spans if state is None else intersect(spans, on_day(state, day))


def open_spans(profile: Profile, policy: Policy, day: date) -> tuple[Span, ...]:
    """When a proactive text may arrive on `day`: contact hours less work, dinner, bedtime and quiet days."""
    days = _days_of(profile, policy)
    found = days.spans.get(day)
    if found is None:
        found = days.spans[day] = _open_spans(profile, policy, day)
    return found


def open_instants(profile: Profile, policy: Policy, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """The same as instants, end excluded."""
    days = _days_of(profile, policy)
    found = days.instants.get(day)
    if found is None:
        zone = profile.timezone
        found = days.instants[day] = tuple(
            (localtime.at_minute(day, s.start, zone), localtime.at_minute(day, s.end, zone))
            for s in open_spans(profile, policy, day)
        )
    return found


def _open_spans(profile: Profile, policy: Policy, day: date) -> tuple[Span, ...]:
    if calendar.is_quiet(profile, day):
        return ()
    spans = contact_spans(profile, policy, day)
    for busy in on_day(profile.busy_hours, day):
        spans = subtract(spans, busy)
    dinner = profile.dinner_time[day.weekday()]
    if dinner is not None:
        start = _minute(dinner)
        quiet = Span(start=start - policy.dinner_quiet_before_minutes, end=start + policy.dinner_quiet_after_minutes)
        spans = subtract(spans, quiet)
    quiet_from = bedtime(profile, day) - policy.bed_quiet_before_minutes
    spans = subtract(spans, Span(start=quiet_from, end=2 * _MIDNIGHT))
    # A shorter one is no moment: a beat that comes a little late would already be past it.
    return tuple(span for span in spans if span.end - span.start >= policy.moment_least_minutes)


def is_open(profile: Profile, policy: Policy, at: datetime) -> bool:
    day = localtime.local_date(at, profile.timezone)
    for start, end in open_instants(profile, policy, day):
        if start <= at < end:
            return True
    return False


def open_since(profile: Profile, policy: Policy, at: datetime) -> datetime:
    """The beginning of the open span that `at` lies in, or `at` itself outside of all."""
    day = localtime.local_date(at, profile.timezone)
    return next((start for start, end in open_instants(profile, policy, day) if start <= at < end), at)


def next_open(profile: Profile, policy: Policy, at: datetime, *, days: int = 60) -> datetime | None:
    """The first instant at or after `at` when a text may arrive; none within `days`."""
    first = localtime.local_date(at, profile.timezone)
    for offset in range(days):
        for start, end in open_instants(profile, policy, first + offset * _DAY):
            if at < end:
                return max(at, start)
    return None


def is_shut(profile: Profile, policy: Policy, at: datetime) -> bool:
    """Do the family's hours leave no open moment for long? Quiet dates (a holiday) are no fault of the hours."""
    first = localtime.local_date(at, profile.timezone)
    for offset in range(policy.closed_days):
        day = first + offset * _DAY
        if open_spans(profile, policy, day) or calendar.within(profile.quiet_dates, day):
            return False
    return True


def last_open(profile: Profile, policy: Policy, at: datetime, *, days: int = 8) -> datetime | None:
    """The last open minute at or before `at`; none within `days`."""
    today = localtime.local_date(at, profile.timezone)
    for offset in range(days):
        day = today - offset * _DAY
        for start, end in reversed(open_instants(profile, policy, day)):
            if start <= at:
                return min(at, end - localtime.MINUTE)
    return None


def end_of_open(profile: Profile, policy: Policy, at: datetime) -> datetime:
    """The end of the open span that `at` lies in, or `at` itself outside of all."""
    day = localtime.local_date(at, profile.timezone)
    return next((end for start, end in open_instants(profile, policy, day) if start <= at < end), at)


def preferred_moment(profile: Profile, policy: Policy, day: date) -> datetime | None:
    """The first open moment of `day` from the preferred time on, else the day's first one."""
    known = _days_of(profile, policy).preferred
    if day not in known:
        known[day] = _preferred(profile, policy, day)
    return known[day]


def _preferred(profile: Profile, policy: Policy, day: date) -> datetime | None:
    wanted = _minute(profile.slot_pref)
    spans = open_spans(profile, policy, day)
    minute = next((max(s.start, wanted) for s in spans if s.end > wanted), None)
    if minute is None and spans:
        minute = spans[0].start
    return None if minute is None else localtime.at_minute(day, minute, profile.timezone)


def is_school_office_open(profile: Profile, policy: Policy, at: datetime) -> bool:
    shown = localtime.local(at, profile.timezone)
    office = policy.school_office
    return calendar.is_term(profile, shown.date()) and office.start <= shown.hour * 60 + shown.minute < office.end


def meets_school_office(profile: Profile, policy: Policy, at: datetime, *, days: int = 14) -> bool:
    """Is there, within `days`, a school day with a moment that is open for the family and for the school's office?
    True also when there is no school day at all: that is no fault of the family's hours."""
    today, office = localtime.local_date(at, profile.timezone), policy.school_office
    term = [day for n in range(days) if calendar.is_term(profile, day := today + n * _DAY)]
    least = policy.moment_least_minutes
    return not term or any(
        min(span.end, office.end) - max(span.start, office.start) >= least
        for day in term
        for span in open_spans(profile, policy, day)
    )


def next_school_office(profile: Profile, policy: Policy, at: datetime, *, days: int = 120) -> datetime | None:
    """When the school's office opens next after `at`; none within `days` (a long summer has 90)."""
    today = localtime.local_date(at, profile.timezone)
    for offset in range(days):
        opens = localtime.at_minute(today + offset * _DAY, policy.school_office.start, profile.timezone)
        if opens > at and calendar.is_term(profile, today + offset * _DAY):
            return opens
    return None


# ---------------------------------------------------------------- calm windows


def _derived(profile: Profile, policy: Policy, day: date) -> tuple[Span, ...]:
    """Calm pieces of an ordinary day, by §5.2 rule 1, less activities and work."""
    pieces = _family_rhythm(profile, policy, day)
    for hole in (*on_day(profile.activities, day), *on_day(profile.busy_hours, day)):
        pieces = subtract(pieces, hole)
    return tuple(p for p in pieces if p.end - p.start >= policy.window_least_minutes)


def _family_rhythm(profile: Profile, policy: Policy, day: date) -> tuple[Span, ...]:
    night = bedtime(profile, day) - policy.bed_window_before_minutes
    dinner = profile.dinner_time[day.weekday()]
    if calendar.is_school_day(profile, day) and profile.school_hours is not None:
        mornings: list[tuple[int, int]] = []
        afternoon = profile.school_hours.end + policy.after_school_minutes
    else:
        mornings = [(policy.free_morning.start, policy.free_morning.end)]
        afternoon = _minute(policy.free_afternoon_start)
    if dinner is None:
        edges = [*mornings, (afternoon, night)]
    else:
        before = _minute(dinner) - policy.dinner_window_before_minutes
        after = _minute(dinner) + policy.dinner_window_after_minutes
        edges = [*mornings, (afternoon, before), (max(after, afternoon), night)]
    return tuple(Span(start=start, end=end) for start, end in edges if start < end)


def _has_any(profile: Profile, policy: Policy) -> bool:
    """Does an ordinary week have any calm piece at all?"""
    days = _days_of(profile, policy)
    if days.has_calm is None:
        monday = date(2024, 1, 1)
        days.has_calm = any(_derived(profile, policy, monday + n * _DAY) for n in range(7))
    return days.has_calm


def calm_windows(thread: Thread, policy: Policy, day: date) -> tuple[Window, ...]:
    """The calm windows of `day`, in order. Days that are wrong for a talk are the gate's business."""
    known = _days_of(thread.profile, policy).calm
    found = known.get(day)
    if found is None:
        found = known[day] = _as_windows(_calm_pieces(thread.profile, policy, day), policy, day)
    holes = tuple(_session_holes(thread, policy, day)) if thread.key_dates and found else ()
    if not holes:
        return found
    pieces = _calm_pieces(thread.profile, policy, day)
    for hole in holes:
        pieces = subtract(pieces, hole)
    return _as_windows(pieces, policy, day)


def _calm_pieces(profile: Profile, policy: Policy, day: date) -> tuple[Span, ...]:
    if calendar.is_quiet(profile, day):
        return ()
    if profile.calm_windows is not None:
        return on_day(profile.calm_windows, day)
    if _has_any(profile, policy):
        return _derived(profile, policy, day)
    return on_day(policy.weekend_default, day)


def _as_windows(pieces: tuple[Span, ...], policy: Policy, day: date) -> tuple[Window, ...]:
    long = (piece for piece in pieces if piece.end - piece.start >= policy.window_least_minutes)
    return tuple(Window(day=day, start=piece.start, end=piece.end) for piece in long)


def _session_holes(thread: Thread, policy: Policy, day: date) -> Iterator[Span]:
    zone, clear = thread.profile.timezone, policy.session_clear_hours * 60
    for key in thread.key_dates:
        if key.kind == "session" and key.status in ("set", "done"):
            shown = localtime.local(key.at, zone)
            if shown.date() == day:
                minute = shown.hour * 60 + shown.minute
                yield Span(start=minute - clear, end=minute + clear)


def send_moment(
    thread: Thread, policy: Policy, window: Window, *, not_before: datetime
) -> tuple[datetime, datetime] | None:
    """When to text ahead of `window` (§5.2 rule 4): from the open five-minute mark nearest to start − lead, until the
    last useful minute, end excluded.

    The mark lies between start − 120 minutes and start − 20, not before `not_before`; ties go to the earlier one.
    The moment ends at start − 20 or with the open span, and lasts `moment_least_minutes` or more. None when there is
    no such mark: the window is skipped.
    """
    days = _days_of(thread.profile, policy)
    found = days.marks.get(window)
    if found is None:
        found = days.marks[window] = _marks(thread.profile, policy, window)
    return next((moment for moment in found if moment[0] >= not_before), None)


def _marks(profile: Profile, policy: Policy, window: Window) -> tuple[tuple[datetime, datetime], ...]:
    """All moments ahead of `window`, the best first."""
    target = window.start - policy.lead_minutes
    first = -(-(window.start - policy.lead_most_minutes) // policy.step_minutes) * policy.step_minutes
    last = window.start - policy.lead_least_minutes
    marks = [m for m in range(first, last, policy.step_minutes) if m >= 0]
    spans = open_spans(profile, policy, window.day)
    ends = {m: min(s.end, last) for m in marks for s in spans if s.start <= m < s.end}
    return tuple(
        (
            localtime.at_minute(window.day, mark, profile.timezone),
            localtime.at_minute(window.day, ends[mark], profile.timezone),
        )
        for mark in sorted(ends, key=lambda m: (abs(m - target), m))
        if ends[mark] - mark >= policy.moment_least_minutes
    )


# ---------------------------------------------------------------- windows to choose from


def offered(thread: Thread, policy: Policy, now: datetime) -> tuple[Window, ...]:
    """Four calm windows to choose from (ON-3): of each coming day the last one that a text can precede.

    Evenings differ between families, and four choices should span the week. A family with fewer is offered its
    other windows too, then the weekend hours of the policy.
    """
    first = localtime.local_date(now, thread.profile.timezone) + _DAY
    days = [first + n * _DAY for n in range(7)]
    reachable = [
        [w for w in calm_windows(thread, policy, day) if send_moment(thread, policy, w, not_before=now) is not None]
        for day in days
    ]
    found = [windows[-1] for windows in reachable if windows]
    found += [window for windows in reachable for window in windows[:-1]]
    found += [
        Window(day=day, start=span.start, end=span.end) for day in days for span in on_day(policy.offered_default, day)
    ]
    distinct = {(window.day.weekday(), window.start): window for window in reversed(found)}
    chosen = [window for window in found if distinct[window.day.weekday(), window.start] == window][:_OFFERED]
    return tuple(sorted(chosen, key=lambda window: (window.day, window.start)))


def as_profile(chosen: tuple[Window, ...]) -> dict[str, list[str]]:
    """Windows as the profile's `calm_windows`, such as {"sat": ["10:30-12:00"]}."""
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    week: dict[str, list[str]] = {}
    for w in chosen:
        written = f"{w.start // 60:02}:{w.start % 60:02}-{w.end // 60:02}:{w.end % 60:02}"
        week.setdefault(days[w.day.weekday()], []).append(written)
    return week
