"""The effects that authors write behind answers, and what service words do: one function each.

A Draft gathers what follows from one inbound text; functions here change it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from schedules import agenda, gate, lifecycle, localtime, talk_effects, windows
from schedules.draft import Draft, Reply
from schedules.talk_effects import Context, Run
from schedules.values import Effect, Enrollment, Kind, NotYet, Sequence, Step


def run(draft: Draft, enrollment_id: str, effect: Effect, *, digit: str = "", step: str = "") -> None:
    """Carry out one effect of an answer to `step` of `enrollment_id`."""
    _EFFECTS[effect.verb](draft, Context(enrollment=enrollment_id, digit=digit, step=step), effect)


def _next(draft: Draft, context: Context, effect: Effect) -> None:
    draft.did("next", "Noted; the plan goes on.")


def _stretch(draft: Draft, context: Context, effect: Effect) -> None:
    """The intervals that are still to come in this sequence double (STRETCH)."""
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is None or enrollment.facts.get("stretch"):
        return
    facts, instants = {**enrollment.facts, "stretch": 1}, {**enrollment.instants, "stretched_at": draft.now}
    draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts, instants=instants))
    draft.did("stretch", f"{enrollment.sequence.key}: texts come half as often from now on.")


def _ask_again(draft: Draft, context: Context, effect: Effect) -> None:
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


def _go(draft: Draft, context: Context, effect: Effect) -> None:
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


def _say(draft: Draft, context: Context, effect: Effect) -> None:
    """A step that is sent at once. If it asks something, its question opens."""
    target = effect.args[0]
    for sequence in (*(e.sequence for e in draft.thread.enrollments), *draft.library.values()):
        step = sequence.step(target)
        if step is not None:
            draft.say(sequence.key, step)
            _open_question(draft, context, sequence, step)
            return
    draft.task(3, f"{target} was asked for, which this program does not offer")


def _open_question(draft: Draft, context: Context, sequence: Sequence, step: Step) -> None:
    enrollment = draft.thread.in_sequence(sequence.key)
    if enrollment is None or not step.answers:
        return
    cycle = agenda.next_cycle(enrollment, step.id)
    cycles = {**enrollment.cycles, step.id: cycle}
    draft.thread = draft.thread.with_enrollment(replace(enrollment, cycles=cycles))
    draft.pace(
        question=lifecycle.question_at_once(enrollment, step, cycle, draft.now, draft.policy),
    )


def _withdraw(draft: Draft, context: Context, effect: Effect) -> None:
    """A step that no longer applies leaves the agenda."""
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        kept = tuple(p for p in enrollment.agenda if p.step != effect.args[0])
        draft.thread = draft.thread.with_enrollment(replace(enrollment, agenda=kept))
        draft.did("withdraw", f"{effect.args[0]} no longer applies.")


def _start(draft: Draft, context: Context, effect: Effect) -> None:
    draft.start(effect.args[0], effect.args[1] if len(effect.args) > 1 else None)


def _offer(draft: Draft, context: Context, effect: Effect) -> None:
    draft.did("offer", f"{effect.args[0]} is offered.")
    draft.task(3, f"offer {effect.args[0]} at the next contact", context.enrollment)


def _pulse(draft: Draft, context: Context, effect: Effect) -> None:
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


def _pulse_every(draft: Draft, context: Context, effect: Effect) -> None:
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


def _widen_pulse(draft: Draft, context: Context, effect: Effect) -> None:
    """14, then 21, then 28 days between pulses."""
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        days = min(enrollment.facts.get("interval_days", draft.policy.break_pulse_days) + 7, 28)
        facts = {**enrollment.facts, "interval_days": days}
        draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts))
        draft.did("widen_pulse", f"Pulses now come every {days} days.")


def _staff(draft: Draft, context: Context, effect: Effect) -> None:
    draft.task(int(effect.args[0]), effect.args[1], context.enrollment)
    draft.did("staff", f"A person is asked (p{effect.args[0]}): {effect.args[1]}.")


def _safety_hold(draft: Draft, context: Context, effect: Effect) -> None:
    draft.safety_hold = True
    draft.did("safety_hold", "Everything is held until a person clears it.")


def _crisis(draft: Draft, context: Context, effect: Effect) -> None:
    """An answer that says somebody may get hurt is a tier 1 report (reading 10)."""
    draft.crisis_tier = "harm_others"
    draft.did("crisis", "Read as a report of danger.")


def _faq(draft: Draft, context: Context, effect: Effect) -> None:
    draft.replies.append(Reply(system=effect.args[0], kind=Kind.FAQ))


def _exit(draft: Draft, context: Context, effect: Effect) -> None:
    draft.end(context.enrollment, effect.args[0] if effect.args else "the parent has had enough")
    # Where nothing else runs, the reply that says so is the goodbye.
    draft.pace(wants_rest=True, goodbye_at=draft.thread.pace.goodbye_at if draft.thread.enrollments else draft.now)


def _discreet(draft: Draft, context: Context, effect: Effect) -> None:
    draft.profile_changes["discreet"] = "true"
    draft.did("discreet_on", "Texts are discreet from now on.")


def _stage(draft: Draft, context: Context, effect: Effect) -> None:
    draft.profile_changes["stage"] = effect.args[0]
    draft.did("stage", f"Stage: {effect.args[0]}.")


def _windows(draft: Draft, context: Context, effect: Effect) -> None:
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


def _reason(draft: Draft, context: Context, effect: Effect) -> None:
    reasons = [*draft.profile_changes.get("reasons", []), context.digit]
    draft.profile_changes["reasons"] = reasons
    draft.did("reason", "The worry is noted and chooses the next words.")


def _ask_date(draft: Draft, context: Context, effect: Effect) -> None:
    draft.asks_date = effect.args[0]
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        facts = {**enrollment.facts, f"awaits {effect.args[0]}": 1}
        draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts))
    draft.task(2, f"set the date: {effect.args[0]}", context.enrollment)
    draft.replies.append(Reply(system="date_ask"))
    draft.did("ask_date", f"Asked for the date: {effect.args[0]}.")


def _refusal(draft: Draft, context: Context, effect: Effect) -> None:
    draft.pace(refusals=draft.thread.pace.refusals + 1)
    draft.did("refusal", f"Refusals so far: {draft.thread.pace.refusals}.")
    if any(e.sequence.traits.firm for e in draft.thread.enrollments):
        draft.task(1, "the child says no to care after a crisis: call the parent within the hour", context.enrollment)


def _child_led(draft: Draft, context: Context, effect: Effect) -> None:
    """The child raised it: the waiting ladder is over (PR-18)."""
    draft.pace(notyet_level=0, wait_until=None, no_chance_in_row=0)
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        facts = {**enrollment.facts, "child_led": 1}
        draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts))
    draft.did("child_led", "The child raised it: no more waiting.")


def _ask_for_gate(draft: Draft, context: Context, effect: Effect) -> None:
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


def _streak_0(draft: Draft, context: Context, effect: Effect) -> None:
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        instants = {k: v for k, v in enrollment.instants.items() if k != "streak_at"}
        facts = {**enrollment.facts, "streak": 0}
        draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts, instants=instants))


def _score(draft: Draft, context: Context, effect: Effect) -> None:
    enrollment = draft.thread.enrollment(context.enrollment)
    if enrollment is not None:
        score, scored = enrollment.facts.get("score", 0) + int(effect.args[0]), enrollment.facts.get("scored", 0) + 1
        facts = {**enrollment.facts, "score": score, "scored": scored}
        draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts))
        draft.did("score", f"Score so far: {score}.")


def _judge(draft: Draft, context: Context, effect: Effect) -> None:
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


def _rung(draft: Draft, context: Context, effect: Effect) -> None:
    """Where the next idea comes from on the ladder of ideas (PR-22)."""
    step = {"up": 1, "down": -1}.get(effect.args[0], 0)
    rung = min(max(draft.thread.pace.rung + step, 1), draft.policy.idea_rungs)
    short = effect.args[0] == "shorter"
    draft.pace(rung=rung, short_ideas=short)
    draft.did("rung", f"Ideas come from rung {rung}{', short ones' if short else ''}.")


_EFFECTS: Mapping[str, Run] = {
    **talk_effects.EFFECTS,
    "next": _next,
    "stretch": _stretch,
    "ask_again": _ask_again,
    "ask_again_days": _ask_again,
    "go": _go,
    "ask": _say,
    "reply": _say,
    "withdraw": _withdraw,
    "start": _start,
    "offer": _offer,
    "pulse": _pulse,
    "pulse_every": _pulse_every,
    "widen_pulse": _widen_pulse,
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
    "ask_for_gate": _ask_for_gate,
}
