"""What the core decides for one thread at one instant, until it waits: pure, so that it can be worked out once.

A batch of parents who stand alike (an intake of a hundred families, a monthly text) gets one course; only the ids
differ in what is stored for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from nudges.families import wording
from schedules import leaving, localtime, notice, plan, render
from schedules.catalog import Library
from schedules.policy import Policy
from schedules.values import Ask, Drop, Finish, Idle, Onward, Proposal, Reason, Send, StaffTask, Texts, Thread, Wait

MOST_DECISIONS: Final = 20  # for one parent at one instant; more is a rule that runs in circles


class Circling(RuntimeError):
    """The core kept deciding without coming to a wait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text to queue; `enrollment` is none for a question of the service itself."""

    rendered: render.Rendered
    proposal: Proposal
    enrollment: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a due step ended."""

    enrollment: str
    step: str
    cycle: int
    outcome: str
    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """An enrollment that has come to its end."""

    enrollment: str
    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class ForStaff:
    """Something for a person to do: 1 this hour, 2 next working day, 3 weekly."""

    priority: int
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """Everything that follows from one look at a thread: what to store, the thread then, when to look again."""

    texts: tuple[Text, ...]
    outcomes: tuple[Outcome, ...]
    ended: tuple[Ended, ...]
    for_staff: tuple[ForStaff, ...]
    thread: Thread
    look: plan.Look


def work_out(thread: Thread, policy: Policy, now: datetime, *, people: wording.People, library: Library) -> Course:
    """Decide and advance until the core waits, at most 20 times. Raises Circling."""
    return _Working(policy, now, people, library).run(thread)


class _Working:
    """A course in the making."""

    def __init__(self, policy: Policy, now: datetime, people: wording.People, library: Library) -> None:
        self.policy, self.now, self.people, self.library = policy, now, people, library
        self.texts: list[Text] = []
        self.outcomes: list[Outcome] = []
        self.ended: list[Ended] = []
        self.for_staff: list[ForStaff] = []

    def run(self, thread: Thread) -> Course:
        now = localtime.minute(self.now)
        for _ in range(MOST_DECISIONS):
            decision = plan.decide(thread, self.policy, now)
            after = plan.advance(thread, decision, self.policy, now)
            if isinstance(decision, Wait | Idle):
                return self.course(after, self.look(thread, after, decision))
            thread = self.carry_out(thread, after, decision)
        raise Circling(f"more than {MOST_DECISIONS} decisions at one instant")

    def look(self, before: Thread, after: Thread, decision: Wait | Idle) -> plan.Look:
        """When to look next. Only a talk that was planned for another window than now makes a second look differ."""
        return plan.look_after(decision, self.now)

    def course(self, thread: Thread, look: plan.Look) -> Course:
        return Course(
            texts=tuple(self.texts),
            outcomes=tuple(self.outcomes),
            ended=tuple(self.ended),
            for_staff=tuple(self.for_staff),
            thread=thread,
            look=look,
        )

    def carry_out(
        self, before: Thread, after: Thread, decision: Send | Drop | StaffTask | Ask | Finish | Onward
    ) -> Thread:
        """Note one decision; the thread that the next one is asked about."""
        match decision:
            case Send():
                return self.send(before, after, decision)
            case Ask():
                self.ask(before, decision)
            case Drop():
                self.note(decision.enrollment, decision.step, decision.cycle, decision.outcome, decision.reason)
            case StaffTask():
                self.task(decision)
            case Finish():
                self.finish(before, decision)
            case Onward():
                pass
            case _:
                assert_never(decision)
        return after

    def send(self, before: Thread, after: Thread, decision: Send) -> Thread:
        """Queue the words of a step; when one has no value, tell staff instead of sending half a sentence."""
        step = decision.step
        try:
            texts = render.choose(step, before.profile)
            values = self.values(before, texts, wording.session_of(before, decision))
            rendered = render.for_step(step, before.profile, values)
        except render.MissingValue as missing:
            reason = Reason(code="missing_value", words=f"Not sent: {missing}.")
            self.note(decision.enrollment, step.id, decision.cycle, "failed", reason)
            self.for_staff.append(ForStaff(priority=2, words=f"{step.id} could not be sent: {missing}."))
            return plan.unsent(after, decision.proposal, self.policy, self.now, expired=False, reason=reason.words)
        rendered, after = notice.added(rendered, after, self.library.system, self.policy, self.now)
        self.texts.append(Text(rendered=rendered, proposal=decision.proposal, enrollment=decision.enrollment))
        self.note(decision.enrollment, step.id, decision.cycle, "sent", decision.reason)
        return after

    def ask(self, before: Thread, decision: Ask) -> None:
        """Queue a question of the service itself. It belongs to no enrollment, so the revision alone guards it."""
        texts = self.library.system.get(decision.step)
        if texts is None:
            words = f"Ask this parent how they want to go on ({decision.step} has no text)."
            self.for_staff.append(ForStaff(priority=3, words=words))
            return
        profile = before.profile
        rendered = render.fill(
            texts, lang=profile.pref_lang, discreet=profile.discreet, values=self.values(before, texts)
        )
        self.texts.append(Text(rendered=rendered, proposal=decision.proposal, enrollment=None))

    def values(self, thread: Thread, texts: Texts, session_at: datetime | None = None) -> dict[str, str]:
        """What stands for the placeholders of the text that this family reads."""
        profile = thread.profile
        return wording.values_of(
            self.people,
            thread,
            self.policy,
            self.now,
            ideas=self.library.ideas,
            session_at=session_at,
            wanted=render.asked_for(texts, lang=profile.pref_lang, discreet=profile.discreet),
        )

    def finish(self, before: Thread, decision: Finish) -> None:
        """An enrollment's end, and what becomes of the steps that it still had. A pause is in the thread itself."""
        enrollment = before.enrollment(decision.enrollment or "")
        if enrollment is None:
            return
        for drop in leaving.left_over(before, enrollment, self.policy, self.now, decision.reason.words):
            self.note(enrollment.id, drop.step, drop.cycle, drop.outcome, drop.reason)
        self.ended.append(Ended(enrollment=enrollment.id, reason=decision.reason))

    def note(self, enrollment: str, step: str, cycle: int, outcome: str, reason: Reason) -> None:
        self.outcomes.append(Outcome(enrollment=enrollment, step=step, cycle=cycle, outcome=outcome, reason=reason))

    def task(self, decision: StaffTask) -> None:
        self.for_staff.append(ForStaff(priority=decision.priority, words=decision.words))
        if decision.enrollment is not None and decision.step is not None:
            self.note(decision.enrollment, decision.step, decision.cycle or 1, "staff", decision.reason)
