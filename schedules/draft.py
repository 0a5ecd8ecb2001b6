"""What follows from one inbound text, gathered while its effects run: thread, replies, starts, ends, tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from schedules import agenda, leaving, lifecycle, localtime, progress, render
from schedules.localtime import Minute
from schedules.policy import Policy
from schedules.values import Choice, Drop, Kind, Reason, Sequence, StaffTask, Step, Texts, Thread


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """One effect that took hold: its verb, in words, and until when."""

    verb: str
    words: str
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A text back at once: a step's words, an answer's own (`texts`), or one of the service's (`system` id)."""

    texts: Texts | None = None
    system: str | None = None
    step: str | None = None
    sequence: str | None = None
    kind: Kind = Kind.SYSTEM
    until: datetime | None = None  # fills {day} and {time}
    lang: str | None = None  # in place of the family's language, which this very text has changed


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """A sequence that begins now: whole, from a step on, or only that step."""

    sequence: str
    at_step: str | None = None
    only: bool = False
    spacing_days: int | None = None
    in_line_since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """An enrollment that ends now, and the steps that it still had before it."""

    enrollment: str
    reason: str
    left: tuple[Drop, ...] = ()


@dataclass(kw_only=True, slots=True)
class Draft:
    """What follows so far from one inbound text."""

    thread: Thread
    policy: Policy
    now: Minute
    library: Mapping[str, Sequence]
    effects: list[Applied] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    tasks: list[StaffTask] = field(default_factory=list)
    asks_date: str | None = None
    pause_until: datetime | None = None
    profile_changes: dict[str, Any] = field(default_factory=dict)
    crisis_tier: str | None = None
    safety_hold: bool = False
    choices: tuple[Choice, ...] = ()  # the windows that were shown with the question

    def did(self, verb: str, words: str, *, until: datetime | None = None) -> None:
        self.effects.append(Applied(verb=verb, words=words, until=until))

    def pace(self, **changes: Any) -> None:
        self.thread = replace(self.thread, pace=replace(self.thread.pace, **changes))

    def task(self, priority: int, words: str, enrollment: str | None = None) -> None:
        reason = Reason(code="asked", words="An answer asked for a person.")
        task = StaffTask(enrollment=enrollment, step=None, cycle=None, priority=priority, words=words, reason=reason)
        self.tasks.append(task)
        self.thread = progress.with_staff(self.thread, task, self.now)

    def in_days(self, days: int) -> datetime:
        return localtime.plus_wall(self.now, self.thread.profile.timezone, days=days)

    def in_hours(self, hours: int) -> datetime:
        return localtime.plus_wall(self.now, self.thread.profile.timezone, hours=hours)

    def end(self, enrollment_id: str, reason: str) -> None:
        enrollment = self.thread.enrollment(enrollment_id)
        if enrollment is not None:
            left = leaving.left_over(self.thread, enrollment, self.policy, self.now, reason)
            self.thread = lifecycle.leave(self.thread, enrollment.sequence.key)
            self.ends.append(End(enrollment=enrollment_id, reason=reason, left=left))
            self.did("exit", f"{enrollment.sequence.key} ends: {reason}.")

    def start(
        self,
        sequence: str,
        at_step: str | None = None,
        *,
        only: bool = False,
        spacing_days: int | None = None,
        in_line_since: datetime | None = None,
    ) -> None:
        """Begin a sequence, unless it already runs. One that the program lacks becomes a person's task."""
        if self.thread.in_sequence(sequence) or any(s.sequence == sequence for s in self.starts):
            return
        if sequence not in self.library:
            self.task(3, f"asked for {sequence}, which this program does not offer")
            return
        begins = Start(
            sequence=sequence, at_step=at_step, only=only, spacing_days=spacing_days, in_line_since=in_line_since
        )
        self.starts.append(begins)
        self.did("start", f"{sequence} begins." if not only else f"{at_step} is planned.")
        if at_step is None:
            for step in agenda.at_once(self.library[sequence]):
                self.say(sequence, step)

    def start_begun_by(self, word: str) -> bool:
        """Begin what the program begins at this service word. False when there is nothing."""
        found = [key for key, sequence in self.library.items() if word in sequence.traits.begun_by]
        for key in found:
            self.start(key)
        return bool(found)

    def thin_line(self) -> str | None:
        """The sequence that keeps a door open after a no, if the program has one."""
        return next((key for key, sequence in self.library.items() if sequence.traits.thin_line), None)

    def say(self, sequence: str, step: Step) -> None:
        texts = render.choose(step, self.thread.profile)
        self.replies.append(Reply(texts=texts, step=step.id, sequence=sequence, kind=step.kind))
