"""What a parent's answer does: digits of the open question and service words, as effects on the thread.

Everything is a value: the thread afterwards, the replies, what begins and ends, tasks for people. The caller
stores them in the transaction of the inbound text. Sources: content.md §2.1 (effects), §2.2 to §2.16 (answers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from schedules import agenda, consequences, lifecycle, pacing, service_words, words
from schedules.draft import Applied, Draft, End, Reply, Start
from schedules.localtime import Minute
from schedules.policy import Policy
from schedules.values import Answer, Effect, Enrollment, Kind, OpenQuestion, Sequence, StaffTask, Step, Thread
from schedules.words import Digits, Word

__all__ = ["Applied", "End", "Outcome", "Reply", "Start", "apply", "reads"]

reads = words.read

_BADLY = frozenset(("cool",))
_WELL = frozenset(("go", "move", "child_led"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What an answer did. `understood` is false when a person should read the text."""

    understood: bool
    thread: Thread
    effects: tuple[Applied, ...] = ()
    replies: tuple[Reply, ...] = ()
    starts: tuple[Start, ...] = ()
    ends: tuple[End, ...] = ()
    tasks: tuple[StaffTask, ...] = ()
    asks_date: str | None = None
    pause_until: datetime | None = None
    profile_changes: Mapping[str, Any] = field(default_factory=dict)
    crisis_tier: str | None = None
    safety_hold: bool = False


def apply(thread: Thread, text: str, policy: Policy, now: Minute, *, library: Mapping[str, Sequence]) -> Outcome:
    """Read `text` as an answer or a service word and say everything that follows from it."""
    thread = lifecycle.at(thread, policy, now)
    read = words.read(text)
    if read is None:
        return Outcome(understood=False, thread=replace(thread, pace=pacing.heard(thread.pace)))
    draft = Draft(thread=replace(thread, pace=pacing.heard(thread.pace)), policy=policy, now=now, library=library)
    if isinstance(read, Word):
        service_words.say(draft, read)
    else:
        understood = _digits(draft, read, thread.pace.lapsed_question)
        if not understood:
            return Outcome(understood=False, thread=draft.thread)
    return _outcome(draft)


def _outcome(draft: Draft) -> Outcome:
    pace = replace(draft.thread.pace, planned=())
    return Outcome(
        understood=True,
        thread=replace(draft.thread, pace=pace),
        effects=tuple(draft.effects),
        replies=tuple(draft.replies),
        starts=tuple(draft.starts),
        ends=tuple(draft.ends),
        tasks=tuple(draft.tasks),
        asks_date=draft.asks_date,
        pause_until=draft.pause_until,
        profile_changes=draft.profile_changes,
        crisis_tier=draft.crisis_tier,
        safety_hold=draft.safety_hold,
    )


def _digits(draft: Draft, read: Digits, lapsed: OpenQuestion | None) -> bool:
    question = draft.thread.pace.question
    if question is None:
        question = _late(draft, lapsed)
        if question is None:
            return _late_digit(draft, lapsed)
    if question.enrollment == "":
        return _stay(draft, read)
    step = _asked_step(draft, question)
    if step is None:
        return False
    chosen = [step.answers[d] for d in read.digits if d in step.answers]
    if not chosen or len(chosen) < len(read.digits) or (len(chosen) > 1 and not step.combines):
        return _unclear(draft, question)
    draft.thread = replace(draft.thread, pace=replace(draft.thread.pace, question=None, lapsed_question=None))
    draft.choices = question.choices
    for answer in chosen:
        _answer(draft, question.enrollment, step, answer)
    if read.rest:
        draft.task(3, "added words to an answer", question.enrollment)
    _acknowledge(draft, chosen)
    return True


def _asked_step(draft: Draft, question: OpenQuestion) -> Step | None:
    """The step that asked, also when its sequence has ended since."""
    enrollment = draft.thread.enrollment(question.enrollment)
    sequence = enrollment.sequence if enrollment is not None else draft.library.get(question.sequence)
    return sequence.step(question.step) if sequence is not None else None


def _unclear(draft: Draft, question: OpenQuestion) -> bool:
    """Two digits, or one that was not offered: the same question stays open for as long as after its asking."""
    until = max(question.until, draft.now + timedelta(hours=draft.policy.reply_window_hours))
    pace = replace(draft.thread.pace, question=replace(question, until=until), lapsed_question=None)
    draft.thread = replace(draft.thread, pace=pace)
    draft.replies.append(Reply(system="not_understood_digit"))
    return True


def _late(draft: Draft, lapsed: OpenQuestion | None) -> OpenQuestion | None:
    """The lapsed question that a late digit belongs to: the newest one, if it is not too long ago."""
    newest = timedelta(days=draft.policy.late_digit_days)
    return None if lapsed is None or lapsed.until + newest < draft.now else lapsed


def _late_digit(draft: Draft, lapsed: OpenQuestion | None) -> bool:
    """A digit long after its question closed: ask which one, and open that question once more."""
    newest = timedelta(days=draft.policy.found_again_days)
    if lapsed is None or lapsed.until + newest < draft.now:
        return False
    until = draft.now + timedelta(hours=draft.policy.reply_window_hours)
    pace = replace(draft.thread.pace, question=replace(lapsed, until=until, counts_as_silence=False))
    draft.thread = replace(draft.thread, pace=replace(pace, lapsed_question=None))
    draft.replies.append(Reply(system="which_one"))
    draft.did("ask", "A digit came after its question had closed: asking which one.", until=until)
    return True


def _stay(draft: Draft, read: Digits) -> bool:
    """The answer to SL-1: 1 stay, 2 pause, 3 finish."""
    digit = read.digits[0]
    if digit not in ("1", "2", "3") or len(read.digits) > 1:
        draft.replies.append(Reply(system="not_understood_digit"))
        return True
    draft.thread = replace(draft.thread, pace=replace(draft.thread.pace, question=None, stay_asked_at=None))
    if digit == "1":
        draft.did("stay", "The parent wants to go on.")
        draft.replies.append(Reply(system="thanks"))
    elif digit == "2":
        draft.thread = lifecycle.pause(draft.thread, None, draft.now)
        draft.did("pause", "Paused until the parent or a person resumes.")
        draft.replies.append(Reply(system="paused_open"))
    else:
        for enrollment in draft.thread.enrollments:
            draft.end(enrollment.id, "the parent chose to finish")
        draft.pace(wants_rest=True, goodbye_at=draft.now)
        draft.replies.append(Reply(system="goodbye"))
    return True


def _answer(draft: Draft, enrollment_id: str, step: Step, answer: Answer) -> None:
    """One digit: its effects, besides those of giving the same answer twice running, or of a worse one twice."""
    enrollment = draft.thread.enrollment(enrollment_id)
    bound = answer.if_ordered and _is_bound(draft.thread)
    effects = [*(answer.if_ordered if bound else answer.then)]
    if enrollment is not None:
        effects += _remembered(draft, enrollment, step, answer)
    for effect in effects:
        consequences.run(draft, enrollment_id, effect, digit=answer.digit, step=step.id)
    if any(effect.verb == "refusal" for effect in effects):
        for effect in step.refusals.get(str(draft.thread.pace.refusals), ()):
            consequences.run(draft, enrollment_id, effect, digit=answer.digit, step=step.id)


def _remembered(draft: Draft, enrollment: Enrollment, step: Step, answer: Answer) -> tuple[Effect, ...]:
    """Note the answer; what it leads to besides when it is the same, or a bad one, twice running."""
    key = f"answer {step.id}"
    again = enrollment.facts.get(key) == int(answer.digit)
    enrollment = agenda.without_second_asking(enrollment, step.id)
    facts = {**enrollment.facts, key: int(answer.digit)}
    if step.kind is Kind.GATE:
        facts.pop("gate unanswered", None)
    instants = {**enrollment.instants, key: draft.now}
    draft.thread = draft.thread.with_enrollment(replace(enrollment, facts=facts, instants=instants))
    worse = _if_worse(draft, enrollment, answer) if step.closes_talk else ()
    return (*(answer.twice if again else ()), *worse)


def _is_bound(thread: Thread) -> bool:
    """An order, or care after a crisis: to stop is no choice that a text may leave to the family (PR-11, PR-14)."""
    profile = thread.profile
    under_order = profile.profile in ("firm", "ordered") or profile.court_ordered == "yes"
    return under_order or any(e.sequence.traits.firm for e in thread.enrollments)


def _if_worse(draft: Draft, enrollment: Enrollment, answer: Answer) -> tuple[Effect, ...]:
    """After two bad talks running: the sequence's `if_worse_twice`."""
    verbs = {effect.verb for effect in answer.then}
    bad = bool(verbs & _BADLY) or any(e.verb == "wait" and int(e.args[0]) >= 14 for e in answer.then)
    count = draft.thread.pace.bad_in_row
    if bad:
        count += 1
    elif verbs & _WELL:
        count = 0
    draft.thread = replace(draft.thread, pace=replace(draft.thread.pace, bad_in_row=0 if count == 2 else count))
    return enrollment.sequence.if_worse_twice if bad and count == 2 else ()


def _acknowledge(draft: Draft, chosen: list[Answer]) -> None:
    """One short text back: what a step says at once, else the answer's own words, else thanks."""
    if draft.replies:
        return
    own = next((a.reply for a in chosen if a.reply is not None), None)
    if own is not None:
        draft.replies.append(Reply(texts=own))
        return
    badly = any(effect.verb == "cool" for answer in chosen for effect in answer.then)
    draft.replies.append(Reply(system="thanks_badly" if badly else "thanks"))
