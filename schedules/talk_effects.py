"""The effects of answers that move talks: waiting, cooling down, trying again, and what comes in a sequence's place.

A talk is a unit: whatever moves it takes the question that closes it along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from schedules import agenda, beside, lifecycle, localtime
from schedules.draft import Draft
from schedules.values import Effect, Enrollment, Kind, Step


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """Where an effect was written: which enrollment, and behind which digit."""

    enrollment: str
    digit: str
    step: str


Run = Callable[[Draft, Context, Effect], None]


def later(first: datetime | None, second: datetime) -> datetime:
    return second if first is None else max(first, second)


def _wait(draft: Draft, context: Context, effect: Effect) -> None:
    until = later(draft.thread.pace.wait_until, draft.in_days(int(effect.args[0])))
    draft.pace(wait_until=until)
    draft.did("wait", f"No talk for {effect.args[0]} days.", until=until)


def _cool(draft: Draft, context: Context, effect: Effect) -> None:
    before = draft.thread.pace.cool_until
    until = later(before, draft.in_hours(draft.policy.cool_hours))
    cooled = until - max(before or draft.now, draft.now)
    draft.thread = replace(
        draft.thread,
        enrollments=tuple(_longer_by(e, int(cooled.total_seconds() // 3600)) for e in draft.thread.enrollments),
    )
    draft.pace(cool_until=until, last_conflict_at=draft.now)
    draft.did("cool", f"Nothing about therapy for {draft.policy.cool_hours} hours.", until=until)


def _longer_by(enrollment: Enrollment, hours: int) -> Enrollment:
    """A cool-down does not use up the length of what it silences."""
    if enrollment.sequence.traits.speaks_in_cool_down:
        return enrollment
    cooled = enrollment.facts.get("cooled hours", 0) + hours
    return replace(enrollment, facts={**enrollment.facts, "cooled hours": cooled})


def _cool_talks(draft: Draft, context: Context, effect: Effect) -> None:
    until = draft.in_hours(int(effect.args[0]))
    draft.pace(cool_talks_until=until)
    draft.did("cool", f"No talk for {effect.args[0]} hours.", until=until)


def _soften(draft: Draft, context: Context, effect: Effect) -> None:
    """The next step is about the relationship only: an idea in place of the next talk (SOFTEN)."""
    draft.pace(soften=True)
    draft.did("soften", "The next step is about time together, not about therapy.")
    source = next((s for s in draft.library.values() if s.traits.offers_ideas), None)
    if source is not None:
        draft.start(source.key, source.steps[0].id, only=True)


def _not_yet(draft: Draft, context: Context, effect: Effect) -> None:
    """The not-yet ladder: 7 days, 14 days, then OPENDOOR (PR-06). It belongs to the phone, not to a sequence."""
    ladder, level = draft.policy.notyet_days, draft.thread.pace.notyet_level
    _count_no_chance(draft)
    if level >= len(ladder):
        draft.pace(notyet_level=0)
        draft.did("not_yet", "Third not yet: the door stays open, without more talks.")
        _thin_line(draft, context, effect)
        return
    until = later(draft.thread.pace.wait_until, draft.in_days(ladder[level]))
    draft.pace(notyet_level=level + 1, wait_until=until)
    draft.did("wait", f"Not yet: the next talk waits {ladder[level]} days.", until=until)
    enrollment = draft.thread.enrollment(context.enrollment)
    target = effect.args[0] if effect.args else None
    if enrollment is not None and target is not None:
        _try_again(draft, enrollment, target, until)


def _thin_line(draft: Draft, context: Context, effect: Effect) -> None:
    """In place of this sequence: the few texts that keep the door open."""
    key = draft.thin_line()
    if key is not None:
        _move_to(draft, context, key, None)
    else:
        draft.end(context.enrollment, "the door stays open")


def _count_no_chance(draft: Draft) -> None:
    """Two "no chance" in a row: the windows may be wrong, so offer to set others (§5.2 rule 6)."""
    count = draft.thread.pace.no_chance_in_row + 1
    draft.pace(no_chance_in_row=count)
    if count == 2:
        draft.task(3, "two talks found no chance: check the calm windows with the parent")


def _try_again(
    draft: Draft, enrollment: Enrollment, target: str, not_before: datetime, *, only_moves: bool = False
) -> None:
    """A talk moves as a unit: the question that would close it is withdrawn and comes with it. One that only moves is
    no new try, and needs no new lead."""
    step = enrollment.sequence.step(target)
    if step is None:
        return
    closers = enrollment.sequence.closers_of(target)
    zone = draft.thread.profile.timezone
    again = lifecycle.moved_talk if only_moves else lifecycle.tried_again
    draft.thread = draft.thread.with_enrollment(again(enrollment, step, not_before, zone))
    question = draft.thread.pace.question
    if question is not None and question.enrollment == enrollment.id and question.step in {target, *closers}:
        draft.pace(question=None)


def _again(draft: Draft, context: Context, effect: Effect) -> None:
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        is_talk = (step := enrollment.sequence.step(effect.args[0])) is not None and step.kind is Kind.TALK
        _try_again(draft, enrollment, effect.args[0], draft.now, only_moves=is_talk)
        draft.did("again", f"{effect.args[0]} is planned once more.")


def _again_after(draft: Draft, context: Context, effect: Effect) -> None:
    """Once more after some further sessions, counted from those that have been."""
    step_id, sessions = effect.args
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is None or enrollment.sequence.step(step_id) is None:
        return
    past = (k for k in draft.thread.key_dates if k.kind == "session" and k.at <= draft.now)
    nth = max((k.nth for k in past if k.status != "cancelled"), default=0) + int(sessions)
    draft.thread = draft.thread.with_enrollment(agenda.add(enrollment, step_id, None, nth=nth))
    draft.did("again", f"{step_id} is planned once more, after {sessions} sessions.")


def _talk_gap(draft: Draft, context: Context, effect: Effect) -> None:
    until = later(draft.thread.pace.talk_gap_until, draft.in_days(int(effect.args[0])))
    draft.pace(talk_gap_until=until)
    draft.did("talk_gap", f"The next talk is at least {effect.args[0]} days away.", until=until)
    enrollment = draft.thread.enrollment(context.enrollment)
    talk = next((s for s in enrollment.sequence.steps if s.kind is Kind.TALK), None) if enrollment else None
    if enrollment is not None and talk is not None:
        _try_again(draft, enrollment, talk.id, until)


def _gate_wait(draft: Draft, context: Context, effect: Effect) -> None:
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is None:
        return
    until = draft.in_days(int(effect.args[0]))
    instants = {**enrollment.instants, "gate_wait_until": until}
    draft.thread = draft.thread.with_enrollment(replace(enrollment, instants=instants))
    wait = later(draft.thread.pace.wait_until, until)
    draft.pace(wait_until=wait)
    draft.did("wait", f"No gate and no talk for {effect.args[0]} days.", until=wait)


def _next_window(draft: Draft, context: Context, effect: Effect) -> None:
    enrollment = draft.thread.enrollment(context.enrollment)
    step = enrollment.sequence.step(effect.args[0]) if enrollment else None
    if enrollment is not None and step is not None:
        ready(draft, enrollment, step)
        draft.did("next_window", f"{step.id} comes ahead of the next calm window that fits.")


def ready(draft: Draft, enrollment: Enrollment, talk: Step) -> None:
    """The talk comes ahead of the next calm window, past the tips that lead up to it."""
    _try_again(draft, enrollment, talk.id, draft.now)
    fresh = draft.thread.enrollment(enrollment.id)
    if fresh is not None:
        draft.thread = draft.thread.with_enrollment(replace(fresh, facts={**fresh.facts, "ready": 1}))


def _to_choice(draft: Draft, context: Context, effect: Effect) -> None:
    """The talk moves, with its closing question, to the calm window that the parent chose."""
    enrollment, index = draft.thread.enrollment(context.enrollment), int(context.digit or 0) - 1
    talk = next((s for s in enrollment.sequence.steps if s.id == context.step), None) if enrollment else None
    if enrollment is None or talk is None or not 0 <= index < len(draft.choices):
        return
    _try_again(draft, enrollment, talk.id, draft.now, only_moves=True)
    fresh = draft.thread.enrollment(context.enrollment)
    if fresh is not None:
        chosen = draft.choices[index]
        moved = agenda.add(fresh, talk.id, None, not_before=draft.now, chosen=chosen)
        draft.thread = draft.thread.with_enrollment(moved)
        draft.did("to_choice", f"{talk.id} moves to the hour that the parent chose.")


def _not_this_week(draft: Draft, context: Context, effect: Effect) -> None:
    """The talk moves to next week, with its closing question."""
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is None:
        return
    zone = draft.thread.profile.timezone
    today = localtime.local_date(draft.now, zone)
    monday = localtime.at_minute(today + timedelta(days=7 - today.weekday()), 0, zone)
    _try_again(draft, enrollment, context.step, monday, only_moves=True)
    draft.did("not_this_week", f"{context.step} waits for next week.", until=monday)


def _move(draft: Draft, context: Context, effect: Effect) -> None:
    _move_to(draft, context, effect.args[0], effect.args[1] if len(effect.args) > 1 else None)


def _move_to(draft: Draft, context: Context, sequence: str, at_step: str | None) -> None:
    before = draft.thread.enrollment(context.enrollment)
    place = before.instants.get(beside.IN_LINE, before.started_at) if before else None
    draft.end(context.enrollment, f"moved to {sequence}")
    draft.start(sequence, at_step, in_line_since=place)


def _move_every(draft: Draft, context: Context, effect: Effect) -> None:
    sequence, days = effect.args
    draft.end(context.enrollment, f"goes on with one text in {days} days")
    draft.start(sequence, spacing_days=int(days))


def _lower_pace(draft: Draft, context: Context, effect: Effect) -> None:
    until = draft.in_days(int(effect.args[0]))
    draft.pace(lower_until=until)
    draft.did("lower_pace", f"One text a week fewer for {effect.args[0]} days.", until=until)


EFFECTS: Mapping[str, Run] = {
    "wait": _wait,
    "cool": _cool,
    "cool_talks": _cool_talks,
    "soften": _soften,
    "not_yet": _not_yet,
    "again": _again,
    "again_after": _again_after,
    "next_window": _next_window,
    "move": _move,
    "move_every": _move_every,
    "talk_gap": _talk_gap,
    "gate_wait": _gate_wait,
    "lower_pace": _lower_pace,
    "to_choice": _to_choice,
    "not_this_week": _not_this_week,
    "thin_line": _thin_line,
}
