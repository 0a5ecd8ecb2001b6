"""When a pending step may first go: its moment, from a mark until the last useful minute, and why then.

Sources: content.md §2.1, §5.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from schedules import agenda, calendar, gate, localtime, pacing, windows
from schedules.due import Due, due_of, expiry
from schedules.policy import PRIORITY, Policy
from schedules.values import (
    EVENTS,
    Anchor,
    Budget,
    Choice,
    Enrollment,
    Go,
    Kind,
    Never,
    NotYet,
    Pending,
    Proposal,
    Reason,
    Slot,
    Step,
    Thread,
    Verdict,
    When,
)

_DAY = timedelta(days=1)
_HORIZON_DAYS = 120
_FAR = timedelta(days=3650)
_FAR_OFF = datetime(9000, 1, 1, tzinfo=UTC)
_MOST_LOOKS = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A pending step with its first possible moment: from `at` until `until`, end excluded.

    `at` is none while only somebody else can open the way. `obstacles`: what stood in the way before it, in order.
    """

    enrollment: Enrollment
    pending: Pending
    step: Step
    when: When
    due: Due
    expires_at: datetime
    at: datetime | None
    reason: Reason
    until: datetime | None = None
    window: tuple[datetime, datetime] | None = None
    obstacles: tuple[Reason, ...] = ()
    never: Reason | None = None  # the gate lets it go at no time

    @property
    def budget(self) -> Budget:
        return self.enrollment.sequence.budget_of(self.step)

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
            budget=self.budget,
            counted=pacing.is_counted(step),
            closes_talk=step.closes_talk,
            asked_again=self.pending.asked_again,
            school_hours=step.school_hours,
            window=self.window,
            pending=self.pending,
        )

    @property
    def priority(self) -> int:
        """Lower goes first when a cap bites."""
        if self.step.kind is Kind.TALK and self.pending.replans:
            return _STARVED  # lost once to others: now they make room
        if self.step.closes_talk:
            return _STARVED  # one unit with its talk
        first = self.enrollment.sequence.traits.priority
        if first is None:
            first = PRIORITY.get(self.step.kind, 75)
        # Whether the visit took place matters more than the weekly question beside it.
        return first - 1 if self.step.if_silent is not None else first


_STARVED = 15


def overtakes(candidate: Candidate, coming: Sequence[Candidate]) -> bool:
    """Would this text go before one of its own sequence that fell due earlier? Steps slide in order.

    Free are what an answer or word brought (READY: the talk at once), what hangs on a date of its own, the question
    that closes a talk, and a second asking. Nothing waits for a step that only somebody else can open the way for.
    """
    if is_free_of_order(candidate):
        return False
    return any(
        other.enrollment.id == candidate.enrollment.id
        and other.step.id != candidate.step.id
        and not is_free_of_order(other)
        and _comes_before(other, candidate)
        and (other.at is not None or other.reason.code == "unsettled")
        for other in coming
    )


def _comes_before(one: Candidate, other: Candidate) -> bool:
    """By the day that the file gives them, whatever put one of them off; else by the date on which they fall due."""
    if one.when.anchor is Anchor.ENROLLED and other.when.anchor is Anchor.ENROLLED:
        return (one.when.offset_days, _place_in_file(one)) < (other.when.offset_days, _place_in_file(other))
    return (one.due.at, _place_in_file(one)) < (other.due.at, _place_in_file(other))


def is_free_of_order(candidate: Candidate) -> bool:
    """Does this step stand outside its sequence's order?"""
    if candidate.step.kind in (Kind.STAFF, Kind.GATE) or candidate.step.closes_talk or candidate.pending.asked_again:
        return True
    facts = candidate.enrollment.facts
    if candidate.step.kind is Kind.TALK and (facts.get("ready") or facts.get(f"tried {candidate.step.id}")):
        return True  # READY brings the first one forward; a later try holds nothing up
    if candidate.when.every_days is not None or candidate.when.anchor in EVENTS:
        return True
    return candidate.step.id in candidate.enrollment.sequence.led_to and candidate.pending.base is not None


def _place_in_file(candidate: Candidate) -> int:
    return next(n for n, step in enumerate(candidate.enrollment.sequence.steps) if step.id == candidate.step.id)


_DUE = Reason(code="due", words="Due.")
_WAITS = Reason(code="two_at_once", words="Waiting for its turn: enough other sequences run already.")


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
        expires_at=expiry(enrollment.sequence, step, step.when[pending.which], due, policy),
        at=None,
        reason=_DUE,
    )


def placed(base: Candidate, thread: Thread, policy: Policy, now: datetime) -> Candidate:
    """The step with its first possible moment that is not over by `now`.

    The moment does not depend on when within it somebody looks: it is looked for from the due date, or from the
    beginning of the open span that `now` lies in.
    """
    if agenda.rests(base.enrollment, base.pending):
        return replace(base, reason=_WAITS)
    if base.step.kind is Kind.STAFF:
        return replace(base, at=max(base.due.at, now), until=_FAR_OFF)
    start = max(base.due.at, windows.open_since(thread.profile, policy, now))
    if base.when.slot is Slot.WINDOW:
        return _ahead_of_window(base, thread, policy, start, now)
    return _first_allowed(base, thread, policy, start, now)


def _first_allowed(base: Candidate, thread: Thread, policy: Policy, start: datetime, now: datetime) -> Candidate:
    """Walk from `start` from objection to objection until the gate has none, or until it is too late anyway."""
    proposal = base.proposal
    at: datetime | None = _slotted(base, thread, policy, start)
    obstacles: list[Reason] = []
    for _ in range(_MOST_LOOKS):
        if at is None or at >= base.expires_at:
            break
        verdict = _asked(base, proposal, thread, policy, at)
        if isinstance(verdict, Go):
            until = min(windows.end_of_open(thread.profile, policy, at), base.expires_at)
            if now < until and until - at >= timedelta(minutes=policy.moment_least_minutes):
                reason = going(base, at, thread, tuple(obstacles))
                return replace(base, at=at, until=until, reason=reason, obstacles=tuple(obstacles))
            at = _slotted(base, thread, policy, max(until, at + localtime.MINUTE))
            continue
        if verdict.reason.code not in [known.code for known in obstacles]:
            obstacles.append(verdict.reason)
        if isinstance(verdict, Never) or verdict.until is None:
            never = verdict.reason if isinstance(verdict, Never) else None
            return replace(base, at=None, reason=verdict.reason, obstacles=tuple(obstacles), never=never)
        at = _slotted(base, thread, policy, max(verdict.until, at + localtime.MINUTE))
    why = obstacles[-1] if obstacles else base.reason
    return replace(base, at=None, reason=why, obstacles=tuple(obstacles))


def _asked(base: Candidate, proposal: Proposal, thread: Thread, policy: Policy, at: datetime) -> Verdict:
    """What the gate says; an idea besides keeps its distance from a check-in."""
    verdict = gate.may_go(proposal, thread, policy, at)
    clash = _clashes_with_pulse(base, thread, policy, at) if isinstance(verdict, Go) else None
    return verdict if clash is None else clash


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
    asked = replace(base.proposal, expires_at=moment + _FAR)
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


def going(base: Candidate, at: datetime, thread: Thread, obstacles: tuple[Reason, ...]) -> Reason:
    """Why this moment: since when it is due, and what stands in the way until then, in order."""
    said = gate.say(at, thread)
    inputs = {"due_at": base.due.at.isoformat(), **(obstacles[-1].inputs if obstacles else {})}
    if base.due.latest is not None:
        inputs["best_until"] = base.due.latest.isoformat()
    if base.due.latest is not None and at > base.due.latest:
        said += f", later than its best moment (until {gate.say(base.due.latest, thread)})"
    moved = base.enrollment.facts.get("moved days", 0) if base.when.anchor is Anchor.ENROLLED else 0
    if not obstacles and moved > 0:
        words = f"Due {said}: its date moved by {moved} days with its sequence, which had to wait."
        return Reason(code="due", words=words, inputs={**inputs, "moved_days": str(moved)})
    if not obstacles and base.due.slowed:
        words = f"Due {said}: texts come more slowly, since questions went unanswered or fewer were wished for."
        return Reason(code="due", words=words, inputs=inputs)
    if not obstacles:
        return Reason(code="due", words=f"Due {said}, and nothing stands in the way.", inputs=inputs)
    causes = " Then: ".join(_cause(reason).capitalize() for reason in obstacles[-3:])
    return Reason(code=obstacles[-1].code, words=f"Waiting until {said}: {_uncapital(causes)}", inputs=inputs)


def _cause(reason: Reason) -> str:
    return reason.words.split(": ", 1)[-1].rstrip(".") + "."


def _uncapital(words: str) -> str:
    return words[:1].lower() + words[1:]


# ---------------------------------------------------------------- ahead of a calm window


def _ahead_of_window(base: Candidate, thread: Thread, policy: Policy, start: datetime, now: datetime) -> Candidate:
    """The first calm window whose moment the gate allows and that is not over; windows in between are skipped."""
    obstacles: list[Reason] = []
    for planned in _windows(base, thread, policy, start, obstacles):
        if planned.until is not None and now < planned.until:
            assert planned.at is not None and planned.window is not None
            reason = _lead(planned.at, planned.window[0], thread, obstacles)
            return replace(planned, reason=reason, obstacles=tuple(obstacles))
    why = obstacles[-1] if obstacles else Reason(code="no_window", words="No calm window is known; TIME sets one.")
    return replace(base, at=None, reason=why, obstacles=tuple(obstacles))


def _windows(
    base: Candidate, thread: Thread, policy: Policy, start: datetime, obstacles: list[Reason]
) -> Iterator[Candidate]:
    """The step ahead of each calm window that the gate allows, in order. What it objects to joins `obstacles`."""
    not_before, zone = start, thread.profile.timezone
    for window in _in_order(base, thread, policy, start):
        moment = windows.send_moment(thread, policy, window, not_before=not_before)
        while moment is not None:
            opens, closes = window.instants(zone)
            at, until = moment
            planned = replace(
                base, at=at, until=until, expires_at=_window_expiry(base, policy, opens), window=(opens, closes)
            )
            verdict = gate.may_go(planned.proposal, thread, policy, at)
            if isinstance(verdict, Go):
                yield planned
                break
            if verdict.reason.code not in [known.code for known in obstacles]:
                obstacles.append(verdict.reason)
            if isinstance(verdict, Never) or verdict.until is None:
                return
            if not base.when.weekend_first:  # windows in order of time: what is refused until then is so in between
                not_before = max(not_before, verdict.until)
            if verdict.until >= until:
                break
            moment = windows.send_moment(thread, policy, window, not_before=verdict.until)


def _in_order(base: Candidate, thread: Thread, policy: Policy, start: datetime) -> Iterator[windows.Window]:
    """Calm windows in order of time; "weekend first" looks through the weekends of the first seven days before."""
    zone, chosen = thread.profile.timezone, base.pending.chosen
    first = localtime.local_date(start, zone)
    if chosen is not None and chosen.day >= first:
        yield windows.Window(day=chosen.day, start=chosen.start, end=chosen.end)
    if base.when.weekend_first:
        end = localtime.local_date(base.due.at, zone) + 7 * _DAY
        days = (first + n * _DAY for n in range(max((end - first).days, 0)))
        yield from (w for day in days if day.weekday() >= 5 for w in windows.calm_windows(thread, policy, day))
    for n in range(_HORIZON_DAYS):
        yield from windows.calm_windows(thread, policy, first + n * _DAY)


def choices(candidate: Candidate, thread: Thread, policy: Policy, now: datetime) -> tuple[Choice, ...]:
    """The calm windows that the words of a step offer: for a talk its own first and then later ones, each on another
    day; else four that span the week."""
    shown = candidate.step.windows_shown
    if not shown:
        return ()
    if candidate.step.kind is not Kind.TALK or candidate.at is None or candidate.window is None:
        offered = windows.offered(thread, policy, now)[:shown]
        return tuple(Choice(day=w.day, start=w.start, end=w.end) for w in offered)
    own = _as_choice(candidate.window, thread)
    base = replace(candidate, when=replace(candidate.when, weekend_first=False))
    found, later = [own], without_talk_gap(thread)
    for other in _windows(base, later, policy, localtime.at_minute(own.day + _DAY, 0, thread.profile.timezone), []):
        assert other.window is not None
        choice = _as_choice(other.window, thread)
        if choice.day != found[-1].day:
            found.append(choice)
        if len(found) == shown:
            break
    return tuple(found)


def without_talk_gap(thread: Thread) -> Thread:
    """The thread as for a talk that the parent puts at another hour: the distance between two talks is not asked."""
    return replace(thread, pace=replace(thread.pace, talk_gap_until=None, last_talk_at=None))


def _as_choice(window: tuple[datetime, datetime], thread: Thread) -> Choice:
    opens, closes = (localtime.local(at, thread.profile.timezone) for at in window)
    start = opens.hour * 60 + opens.minute
    length = int((window[1] - window[0]).total_seconds() // 60)
    return Choice(day=opens.date(), start=start, end=start + length)


def _window_expiry(base: Candidate, policy: Policy, opens: datetime) -> datetime:
    if base.step.kind is Kind.TALK:
        return expiry(base.enrollment.sequence, base.step, base.when, base.due, policy, window_start=opens)
    return base.expires_at


def _lead(moment: datetime, opens: datetime, thread: Thread, skipped: list[Reason]) -> Reason:
    """Such as "Waiting until Fri 18:10: the calm window starts 19:30"."""
    starts = localtime.local(opens, thread.profile.timezone).strftime("%H:%M")
    dinner = thread.profile.dinner_time[localtime.local(opens, thread.profile.timezone).weekday()]
    words = f"Waiting until {gate.say(moment, thread)}: the calm window starts {starts}"
    inputs = {"window_start": opens.isoformat()}
    if dinner is not None:
        words += f" and dinner is {dinner.strftime('%H:%M')}"
    if skipped:
        words += f" (earlier windows: {' '.join(_cause(reason) for reason in skipped[-3:]).rstrip('.')})"
        inputs["skipped_for"] = ", ".join(reason.code for reason in skipped)
    return Reason(code="calm_window", words=words + ".", inputs=inputs)
