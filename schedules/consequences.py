"""The effects that authors write behind answers, and what service words do: one function each.

A Draft gathers what follows from one inbound text; functions here change it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from schedules import agenda, beside, gate, lifecycle, localtime, windows
from schedules.draft import Draft, Reply
from schedules.values import Effect, Enrollment, Kind, NotYet, Sequence, Step


@dataclass(frozen=True, kw_only=True, slots=True)
class _Context:
    """Where an effect was written: which enrollment, and behind which digit."""

    enrollment: str
    digit: str
    step: str


_Run = Callable[[Draft, _Context, Effect], None]


def run(draft: Draft, enrollment_id: str, effect: Effect, *, digit: str = "", step: str = "") -> None:
    """Carry out one effect of an answer to `step` of `enrollment_id`."""
    _EFFECTS[effect.verb](draft, _Context(enrollment=enrollment_id, digit=digit, step=step), effect)


def _next(draft: Draft, context: _Context, effect: Effect) -> None:
    draft.did("next", "Noted; the plan goes on.")


def _wait(draft: Draft, context: _Context, effect: Effect) -> None:
    until = _later(draft.thread.pace.wait_until, draft.in_days(int(effect.args[0])))
    draft.pace(wait_until=until)
    draft.did("wait", f"No talk for {effect.args[0]} days.", until=until)


def _later(first: datetime | None, second: datetime) -> datetime:
    return second if first is None else max(first, second)


def _cool(draft: Draft, context: _Context, effect: Effect) -> None:
    before = draft.thread.pace.cool_until
    until = _later(before, draft.in_hours(draft.policy.cool_hours))
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


def _cool_talks(draft: Draft, context: _Context, effect: Effect) -> None:
    until = draft.in_hours(int(effect.args[0]))
    draft.pace(cool_talks_until=until)
    draft.did("cool", f"No talk for {effect.args[0]} hours.", until=until)


def _soften(draft: Draft, context: _Context, effect: Effect) -> None:
    """The next step is about the relationship only: an idea in place of the next talk (SOFTEN)."""
    draft.pace(soften=True)
    draft.did("soften", "The next step is about time together, not about therapy.")
    source = next((s for s in draft.library.values() if s.traits.offers_ideas), None)
    if source is not None:
        draft.start(source.key, source.steps[0].id, only=True)


def _stretch(draft: Draft, context: _Context, effect: Effect) -> None:
    """The intervals that are still to come in this sequence double (STRETCH)."""
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is None or enrollment.facts.get("stretch"):
        return
    facts, instants = {**enrollment.facts, "stretch": 1}, {**enrollment.instants, "stretched_at": draft.now}
    draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts, instants=instants))
    draft.did("stretch", f"{enrollment.sequence.key}: texts come half as often from now on.")


def _not_yet(draft: Draft, context: _Context, effect: Effect) -> None:
    """The not-yet ladder: 7 days, 14 days, then OPENDOOR (PR-06). It belongs to the phone, not to a sequence."""
    ladder, level = draft.policy.notyet_days, draft.thread.pace.notyet_level
    _count_no_chance(draft)
    if level >= len(ladder):
        draft.pace(notyet_level=0)
        draft.did("not_yet", "Third not yet: the door stays open, without more talks.")
        _thin_line(draft, context, effect)
        return
    until = _later(draft.thread.pace.wait_until, draft.in_days(ladder[level]))
    draft.pace(notyet_level=level + 1, wait_until=until)
    draft.did("wait", f"Not yet: the next talk waits {ladder[level]} days.", until=until)
    enrollment = draft.thread.enrollment(context.enrollment)
    target = effect.args[0] if effect.args else None
    if enrollment is not None and target is not None:
        _try_again(draft, enrollment, target, until)


def _thin_line(draft: Draft, context: _Context, effect: Effect) -> None:
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


def _again(draft: Draft, context: _Context, effect: Effect) -> None:
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        is_talk = (step := enrollment.sequence.step(effect.args[0])) is not None and step.kind is Kind.TALK
        _try_again(draft, enrollment, effect.args[0], draft.now, only_moves=is_talk)
        draft.did("again", f"{effect.args[0]} is planned once more.")


def _again_after(draft: Draft, context: _Context, effect: Effect) -> None:
    """Once more after some further sessions, counted from those that have been."""
    step_id, sessions = effect.args
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is None or enrollment.sequence.step(step_id) is None:
        return
    past = (k for k in draft.thread.key_dates if k.kind == "session" and k.at <= draft.now)
    nth = max((k.nth for k in past if k.status != "cancelled"), default=0) + int(sessions)
    draft.thread = draft.thread.with_enrollment(agenda.add(enrollment, step_id, None, nth=nth))
    draft.did("again", f"{step_id} is planned once more, after {sessions} sessions.")


def _ask_again(draft: Draft, context: _Context, effect: Effect) -> None:
    """One re-ask and no more, however often the answer repeats."""
    step_id, *amounts = effect.args
    amount = int(amounts[0]) if amounts else draft.policy.reask_hours
    until = draft.in_days(amount) if effect.verb == "ask_again_days" else draft.in_hours(amount)
    enrollment = draft.thread.enrollment(context.enrollment)
    step = enrollment.sequence.step(step_id) if enrollment else None
    if enrollment is None or step is None or enrollment.facts.get(f"re-asked {step_id}"):
        draft.did("next", "Already asked once more; no third time.")
        return
    enrollment = agenda.add_now(enrollment, step, until, draft.thread.profile.timezone)
    enrollment = replace(enrollment, facts={**enrollment.facts, f"re-asked {step_id}": 1})
    draft.thread = draft.thread.with_enrollment(enrollment)
    draft.did("ask_again", f"{step_id} is asked once more.", until=until)


def _go(draft: Draft, context: _Context, effect: Effect) -> None:
    """Plan a step from this answer on; one of another sequence comes alone, beside this one."""
    target = effect.args[0]
    enrollment = draft.thread.enrollment(context.enrollment)
    step = enrollment.sequence.step(target) if enrollment else None
    if enrollment is None or step is None:
        _go_elsewhere(draft, target)
        return
    if agenda.counts_from_answer(step):
        enrollment = agenda.add(enrollment, target, draft.now)
    else:
        enrollment = agenda.add_now(enrollment, step, draft.now, draft.thread.profile.timezone)
        enrollment = replace(enrollment, facts={**enrollment.facts, f"asked for {target}": 1})
    draft.thread = draft.thread.with_enrollment(enrollment)
    draft.did("go", f"{target} is planned.")
    for consequence in step.then:
        run(draft, context.enrollment, consequence)
    for consequence in step.refusals.get(str(draft.thread.pace.refusals), ()):
        run(draft, context.enrollment, consequence)


def _go_elsewhere(draft: Draft, step_id: str) -> None:
    for sequence in draft.library.values():
        if sequence.step(step_id) is None:
            continue
        running = draft.thread.in_sequence(sequence.key)
        if running is None:
            draft.start(sequence.key, step_id, only=True)
        else:
            draft.thread = draft.thread.with_enrollment(agenda.add(running, step_id, draft.now))
            draft.did("go", f"{step_id} is planned.")
        return
    draft.task(3, f"{step_id} was asked for, which this program does not offer")


def _say(draft: Draft, context: _Context, effect: Effect) -> None:
    """A step that is sent at once. If it asks something, its question opens."""
    target = effect.args[0]
    for sequence in (*(e.sequence for e in draft.thread.enrollments), *draft.library.values()):
        step = sequence.step(target)
        if step is not None:
            draft.say(sequence.key, step)
            _open_question(draft, context, sequence, step)
            return
    draft.task(3, f"{target} was asked for, which this program does not offer")


def _open_question(draft: Draft, context: _Context, sequence: Sequence, step: Step) -> None:
    enrollment = draft.thread.in_sequence(sequence.key)
    if enrollment is None or not step.answers:
        return
    cycle = agenda.next_cycle(enrollment, step.id)
    cycles = {**enrollment.cycles, step.id: cycle}
    draft.thread = draft.thread.with_enrollment(replace(enrollment, cycles=cycles))
    draft.pace(
        question=lifecycle.question_at_once(enrollment, step, cycle, draft.now, draft.policy),
    )


def _withdraw(draft: Draft, context: _Context, effect: Effect) -> None:
    """A step that no longer applies leaves the agenda."""
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        kept = tuple(p for p in enrollment.agenda if p.step != effect.args[0])
        draft.thread = draft.thread.with_enrollment(replace(enrollment, agenda=kept))
        draft.did("withdraw", f"{effect.args[0]} no longer applies.")


def _next_window(draft: Draft, context: _Context, effect: Effect) -> None:
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


def _move(draft: Draft, context: _Context, effect: Effect) -> None:
    _move_to(draft, context, effect.args[0], effect.args[1] if len(effect.args) > 1 else None)


def _move_to(draft: Draft, context: _Context, sequence: str, at_step: str | None) -> None:
    before = draft.thread.enrollment(context.enrollment)
    place = before.instants.get(beside.IN_LINE, before.started_at) if before else None
    draft.end(context.enrollment, f"moved to {sequence}")
    draft.start(sequence, at_step, in_line_since=place)


def _move_every(draft: Draft, context: _Context, effect: Effect) -> None:
    sequence, days = effect.args
    draft.end(context.enrollment, f"goes on with one text in {days} days")
    draft.start(sequence, spacing_days=int(days))


def _start(draft: Draft, context: _Context, effect: Effect) -> None:
    draft.start(effect.args[0], effect.args[1] if len(effect.args) > 1 else None)


def _offer(draft: Draft, context: _Context, effect: Effect) -> None:
    draft.did("offer", f"{effect.args[0]} is offered.")
    draft.task(3, f"offer {effect.args[0]} at the next contact", context.enrollment)


def _talk_gap(draft: Draft, context: _Context, effect: Effect) -> None:
    until = _later(draft.thread.pace.talk_gap_until, draft.in_days(int(effect.args[0])))
    draft.pace(talk_gap_until=until)
    draft.did("talk_gap", f"The next talk is at least {effect.args[0]} days away.", until=until)
    enrollment = draft.thread.enrollment(context.enrollment)
    talk = next((s for s in enrollment.sequence.steps if s.kind is Kind.TALK), None) if enrollment else None
    if enrollment is not None and talk is not None:
        _try_again(draft, enrollment, talk.id, until)


def _pulse(draft: Draft, context: _Context, effect: Effect) -> None:
    """A pulse's answer: two "closer" in a row open the gate; "harder" starts the count anew."""
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is None:
        return
    streak = enrollment.facts.get("streak", 0) + 1 if effect.args[0] == "closer" else 0
    facts = {**enrollment.facts, "streak": streak}
    instants = {k: v for k, v in enrollment.instants.items() if k != "streak_at" or streak}
    if streak >= draft.policy.break_streak:
        instants.setdefault("streak_at", draft.now)
    if effect.args[0] != "harder":
        facts.pop("interval_once", None)
    draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts, instants=instants))
    draft.did("pulse", f"Pulse: {effect.args[0]}; {streak} closer in a row.")


def _pulse_every(draft: Draft, context: _Context, effect: Effect) -> None:
    """The next pulse comes later, once; the interval itself stays."""
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is None:
        return
    days = int(effect.args[0])
    moved = tuple(
        replace(p, not_before=_midnight(draft, p.base, days)) if _is_pulse(enrollment, p.step, p.which) else p
        for p in enrollment.agenda
    )
    draft.thread = draft.thread.with_enrollment(replace(enrollment, agenda=moved))
    draft.did("pulse_every", f"The next pulse comes {days} days after the last one.")


def _midnight(draft: Draft, base: datetime | None, days: int) -> datetime:
    zone = draft.thread.profile.timezone
    day = localtime.local_date(base or draft.now, zone) + timedelta(days=days)
    return localtime.at_minute(day, 0, zone)


def _is_pulse(enrollment: Enrollment, step_id: str, which: int) -> bool:
    step = enrollment.sequence.step(step_id)
    return step is not None and step.kind is Kind.CHECKIN and step.when[which].every_days is not None


def _widen_pulse(draft: Draft, context: _Context, effect: Effect) -> None:
    """14, then 21, then 28 days between pulses."""
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        days = min(enrollment.facts.get("interval_days", draft.policy.break_pulse_days) + 7, 28)
        facts = {**enrollment.facts, "interval_days": days}
        draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts))
        draft.did("widen_pulse", f"Pulses now come every {days} days.")


def _gate_wait(draft: Draft, context: _Context, effect: Effect) -> None:
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is None:
        return
    until = draft.in_days(int(effect.args[0]))
    instants = {**enrollment.instants, "gate_wait_until": until}
    draft.thread = draft.thread.with_enrollment(replace(enrollment, instants=instants))
    wait = _later(draft.thread.pace.wait_until, until)
    draft.pace(wait_until=wait)
    draft.did("wait", f"No gate and no talk for {effect.args[0]} days.", until=wait)


def _staff(draft: Draft, context: _Context, effect: Effect) -> None:
    draft.task(int(effect.args[0]), effect.args[1], context.enrollment)
    draft.did("staff", f"A person is asked (p{effect.args[0]}): {effect.args[1]}.")


def _safety_hold(draft: Draft, context: _Context, effect: Effect) -> None:
    draft.safety_hold = True
    draft.did("safety_hold", "Everything is held until a person clears it.")


def _crisis(draft: Draft, context: _Context, effect: Effect) -> None:
    """An answer that says somebody may get hurt is a tier 1 report (reading 10)."""
    draft.crisis_tier = "harm_others"
    draft.did("crisis", "Read as a report of danger.")


def _faq(draft: Draft, context: _Context, effect: Effect) -> None:
    draft.replies.append(Reply(system=effect.args[0], kind=Kind.FAQ))


def _exit(draft: Draft, context: _Context, effect: Effect) -> None:
    draft.end(context.enrollment, effect.args[0] if effect.args else "the parent has had enough")
    # Where nothing else runs, the reply that says so is the goodbye.
    draft.pace(wants_rest=True, goodbye_at=draft.thread.pace.goodbye_at if draft.thread.enrollments else draft.now)


def _discreet(draft: Draft, context: _Context, effect: Effect) -> None:
    draft.profile_changes["discreet"] = "true"
    draft.did("discreet_on", "Texts are discreet from now on.")


def _stage(draft: Draft, context: _Context, effect: Effect) -> None:
    draft.profile_changes["stage"] = effect.args[0]
    draft.did("stage", f"Stage: {effect.args[0]}.")


def _windows(draft: Draft, context: _Context, effect: Effect) -> None:
    """The parent chose one of the offered calm windows, or none of them (the weekend default)."""
    index = int(context.digit or 0) - 1
    if 0 <= index < len(draft.choices):
        chosen = draft.choices[index]
        window = windows.Window(day=chosen.day, start=chosen.start, end=chosen.end)
        draft.profile_changes["calm_windows"] = windows.as_profile((window,))
        draft.did("windows", "The parent chose a calm window.")
    else:
        draft.profile_changes["calm_windows"] = {"sat": ["10:30-12:00"], "sun": ["10:30-12:00"]}
        draft.did("windows", "No window fits: weekend mornings for now.")


def _reason(draft: Draft, context: _Context, effect: Effect) -> None:
    reasons = [*draft.profile_changes.get("reasons", []), context.digit]
    draft.profile_changes["reasons"] = reasons
    draft.did("reason", "The worry is noted and chooses the next words.")


def _ask_date(draft: Draft, context: _Context, effect: Effect) -> None:
    draft.asks_date = effect.args[0]
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        facts = {**enrollment.facts, f"awaits {effect.args[0]}": 1}
        draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts))
    draft.task(2, f"set the date: {effect.args[0]}", context.enrollment)
    draft.replies.append(Reply(system="date_ask"))
    draft.did("ask_date", f"Asked for the date: {effect.args[0]}.")


def _refusal(draft: Draft, context: _Context, effect: Effect) -> None:
    draft.pace(refusals=draft.thread.pace.refusals + 1)
    draft.did("refusal", f"Refusals so far: {draft.thread.pace.refusals}.")
    if any(e.sequence.traits.firm for e in draft.thread.enrollments):
        draft.task(1, "the child says no to care after a crisis: call the parent within the hour", context.enrollment)


def _child_led(draft: Draft, context: _Context, effect: Effect) -> None:
    """The child raised it: the waiting ladder is over (PR-18)."""
    draft.pace(notyet_level=0, wait_until=None, no_chance_in_row=0)
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        facts = {**enrollment.facts, "child_led": 1}
        draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts))
    draft.did("child_led", "The child raised it: no more waiting.")


def _ask_for_gate(draft: Draft, context: _Context, effect: Effect) -> None:
    """READY in a break. Never "not ready yet": if a condition is missing, the reply says what might help."""
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is None:
        return
    verdict = gate.break_gate(enrollment, draft.thread, draft.policy, draft.now)
    target = next((s for s in enrollment.sequence.steps if s.kind is Kind.GATE), None)
    if verdict is None and target is not None:
        instants = {**enrollment.instants, "streak_at": draft.now - timedelta(days=3)}
        draft.thread = draft.thread.with_enrollment(replace(enrollment, instants=instants))
        draft.did("ready", "The gate is open: the question comes next.")
    elif isinstance(verdict, NotYet):
        draft.did("ready", "The parent asked for the gate.", until=verdict.until)
        draft.task(3, "asks whether it is time to talk about going back", enrollment.id)
    draft.replies.append(Reply(system="ready_ok" if verdict is None else "ready_later"))


def _to_choice(draft: Draft, context: _Context, effect: Effect) -> None:
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


def _not_this_week(draft: Draft, context: _Context, effect: Effect) -> None:
    """The talk moves to next week, with its closing question."""
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is None:
        return
    zone = draft.thread.profile.timezone
    today = localtime.local_date(draft.now, zone)
    monday = localtime.at_minute(today + timedelta(days=7 - today.weekday()), 0, zone)
    _try_again(draft, enrollment, context.step, monday, only_moves=True)
    draft.did("not_this_week", f"{context.step} waits for next week.", until=monday)


def _streak_0(draft: Draft, context: _Context, effect: Effect) -> None:
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        instants = {k: v for k, v in enrollment.instants.items() if k != "streak_at"}
        facts = {**enrollment.facts, "streak": 0}
        draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts, instants=instants))


def _score(draft: Draft, context: _Context, effect: Effect) -> None:
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        score, scored = enrollment.facts.get("score", 0) + int(effect.args[0]), enrollment.facts.get("scored", 0) + 1
        facts = {**enrollment.facts, "score": score, "scored": scored}
        draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts))
        draft.did("score", f"Score so far: {score}.")


def _judge(draft: Draft, context: _Context, effect: Effect) -> None:
    """Say the step that fits the score, and do what it says. Of questions without an answer nothing is concluded."""
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is None:
        return
    good, good_step, mixed, mixed_step, weak_step = effect.args
    scored = max(enrollment.facts.get("scored", 0), 1)
    score = enrollment.facts.get("score", 0) * max(agenda.scored_questions(enrollment.sequence), scored) // scored
    target = good_step if score >= int(good) else mixed_step if score >= int(mixed) else weak_step
    step = enrollment.sequence.step(target)
    if step is None:
        return
    draft.thread = draft.thread.with_enrollment(
        replace(enrollment, facts={**enrollment.facts, "score": 0, "scored": 0})
    )
    draft.did("judge", f"Score {score}: {step.intent.split(': ', 1)[-1]}.")
    draft.say(enrollment.sequence.key, step)
    for consequence in step.then:
        run(draft, context.enrollment, consequence)


def _rung(draft: Draft, context: _Context, effect: Effect) -> None:
    """Where the next idea comes from on the ladder of ideas (PR-22)."""
    step = {"up": 1, "down": -1}.get(effect.args[0], 0)
    rung = min(max(draft.thread.pace.rung + step, 1), draft.policy.idea_rungs)
    short = effect.args[0] == "shorter"
    draft.pace(rung=rung, short_ideas=short)
    draft.did("rung", f"Ideas come from rung {rung}{', short ones' if short else ''}.")


def _lower_pace(draft: Draft, context: _Context, effect: Effect) -> None:
    until = draft.in_days(int(effect.args[0]))
    draft.pace(lower_until=until)
    draft.did("lower_pace", f"One text a week fewer for {effect.args[0]} days.", until=until)


_EFFECTS: Mapping[str, _Run] = {
    "next": _next,
    "wait": _wait,
    "cool": _cool,
    "cool_talks": _cool_talks,
    "soften": _soften,
    "stretch": _stretch,
    "not_yet": _not_yet,
    "again": _again,
    "again_after": _again_after,
    "ask_again": _ask_again,
    "ask_again_days": _ask_again,
    "go": _go,
    "ask": _say,
    "reply": _say,
    "withdraw": _withdraw,
    "next_window": _next_window,
    "move": _move,
    "move_every": _move_every,
    "start": _start,
    "offer": _offer,
    "talk_gap": _talk_gap,
    "pulse": _pulse,
    "pulse_every": _pulse_every,
    "widen_pulse": _widen_pulse,
    "gate_wait": _gate_wait,
    "staff": _staff,
    "hold": _safety_hold,
    "safety_hold": _safety_hold,
    "crisis": _crisis,
    "faq": _faq,
    "exit": _exit,
    "discreet_on": _discreet,
    "stage": _stage,
    "windows": _windows,
    "reason": _reason,
    "ask_date": _ask_date,
    "refusal": _refusal,
    "child_led": _child_led,
    "streak_0": _streak_0,
    "score": _score,
    "judge": _judge,
    "rung": _rung,
    "lower_pace": _lower_pace,
    "ask_for_gate": _ask_for_gate,
    "to_choice": _to_choice,
    "not_this_week": _not_this_week,
    "thin_line": _thin_line,
}
