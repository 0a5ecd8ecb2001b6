"""Answers and service words: what the core makes of them, carried out and stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from nudges.alerts import holds, raising
from nudges.families import programs, snapshots, wording
from nudges.inbound import danger, inbox, keeping, saying
from nudges.inbound.texts import Handled, Received
from nudges.ledger import record
from nudges.library import signing
from nudges.library import texts as library_texts
from nudges.models.family import Parent
from nudges.models.sequences import Enrollment, SequenceRow, SequenceVersion, StepOutcome
from schedules import answers, localtime, pacing, render
from schedules.answers import Outcome, Reply
from schedules.values import Sequence, Texts, Thread
from schedules.words import Word

PAUSE: Final = "PAUSE"
_LIVE: Final = (
    select(SequenceVersion.id, SequenceRow.key, SequenceVersion.number, SequenceVersion.sha256)
    .join(SequenceRow, SequenceRow.id == SequenceVersion.sequence_id)
    .where(SequenceRow.program_id == bindparam("program_id"), SequenceVersion.number == SequenceRow.live_number)
    .order_by(SequenceRow.id)
)


def service_word(received: Received) -> Handled | None:
    """PAUSE, LESS, TIME, PERSON and the others: they work at any time, in the middle of a question too."""
    if not isinstance(answers.reads(received.text), Word):
        return None
    return _apply(received, how="word")


def answer(received: Received) -> Handled | None:
    """A digit for the open question. A picture beside it changes nothing."""
    return _apply(received, how="answer")


def pause_only(received: Received) -> Handled | None:
    """PAUSE counts in a dangerous text too; any other word or digit is stored and moves nothing."""
    word = answers.reads(received.text)
    if not isinstance(word, Word) or word.name != PAUSE:
        return None
    return _apply(received, how="word")


def _apply(received: Received, *, how: str) -> Handled | None:
    parent = received.sender.parent
    if parent is None or parent.status not in ("active", "paused"):
        return None
    session, now = received.session, received.now
    thread = snapshots.thread_of(session, parent, may_be_held=received.may_be_held)
    outcome = answers.apply(
        thread,
        received.text,
        snapshots.policy_of(received.sender.program),
        localtime.minute(now),
        library=LiveSequences(session, parent.program_id),
    )
    if not outcome.understood:
        # Still a sign of life: whoever writes is not silent.
        snapshots.save_or_raise(session, parent, outcome.thread, now=now, was=thread)
        return None
    return _Keeper(received=received, parent=parent, how=how).keep(outcome)


class LiveSequences(Mapping[str, Sequence]):
    """The published sequences that an answer may lead to, as the core reads them. Read when first asked for."""

    def __init__(self, session: Session, program_id: int) -> None:
        self._session, self._program_id = session, program_id

    def __getitem__(self, key: str) -> Sequence:
        return self._sequences[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sequences)

    def __len__(self) -> int:
        return len(self._sequences)

    @cached_property
    def _sequences(self) -> Mapping[str, Sequence]:
        rows = self._session.execute(_LIVE, {"program_id": self._program_id})
        return {row.key: snapshots.parsed(self._session, row.id, row.key, row.number, row.sha256) for row in rows.all()}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Keeper:
    """Stores what the core made of one answer, and finds the words that go back."""

    received: Received
    parent: Parent
    how: str

    @property
    def session(self) -> Session:
        return self.received.session

    @property
    def now(self) -> datetime:
        return self.received.now

    def keep(self, outcome: Outcome) -> Handled:
        """1. what the answer does; 2. danger, or the words that go back."""
        keeping.Keeper(session=self.session, parent=self.parent, now=self.now, add_task=self.add_task).keep(outcome)
        self.record(outcome)
        if outcome.crisis_tier is not None:
            return danger.respond_to_answer(self.received, outcome.crisis_tier)
        if outcome.safety_hold:
            self.hold_for_safety()
        said = (self.words(reply) for reply in outcome.replies)
        return Handled(how=self.how, texts=tuple(text for text in said if text is not None))

    def add_task(self, priority: int, words: str) -> None:
        inbox.add_task(self.received, kind="answer", words=words, priority=priority, is_own=True)

    def hold_for_safety(self) -> None:
        """Fear and contact come before every plan: the family's texts rest until a person has looked."""
        concern = raising.Concern(
            program_id=self.parent.program_id,
            family_id=self.parent.family_id,
            parent_id=self.parent.id,
            level="check",
            severity=1,
            why="An answer to a check-in asks for the safety screen.",
            inbound=self.received.row,
        )
        raised = raising.raise_alert(self.session, concern, now=self.now)
        holds.place_hold(
            self.session,
            family_id=self.parent.family_id,
            kind="safety",
            alert_id=raised.alert.id,
            now=self.now,
        )

    def words(self, reply: Reply) -> str | None:
        """A reply in the parent's words. One with a missing value is a task, never half a sentence."""
        thread = snapshots.thread_of(self.session, self.parent)
        if (unsigned := self.unsigned(reply)) is not None:
            self.add_task(2, f"A reply could not be sent: {unsigned} is not signed off. Answer in person.")
            return saying.system(self.received, "person_soon")
        try:
            text = saying.rendered(self.received, self.texts(reply, thread), self.values(reply, thread), thread=thread)
        except render.MissingValue as missing:
            self.add_task(2, f"A reply could not be sent: {missing}.")
            return None
        if reply.step is not None and reply.sequence is not None:
            self.said(reply.sequence, reply.step, thread)
        return text

    def unsigned(self, reply: Reply) -> str | None:
        """The name of a text that may not be used before its sign-off, if this is one."""
        if reply.sequence in library_texts.GATED:
            version = programs.live_version(self.session, self.parent.program_id, reply.sequence)
            texts = library_texts.of_sequence(reply.sequence, version.yaml) if version is not None else ()
            wanted = [text for text in texts if text.step == reply.step]
        else:
            faqs = (faq for faq in self.received.deps.library.faqs if faq.id == reply.system)
            wanted = [library_texts.answer(faq.id, faq.texts, is_legal=faq.is_legal) for faq in faqs]
        waiting = signing.waiting(self.session, self.parent.program_id, wanted)
        return waiting[0].text.name if waiting else None

    def texts(self, reply: Reply, thread: Thread) -> Texts:
        if reply.texts is not None:
            return reply.texts
        system = self.received.deps.library.system
        if reply.system == "idea":
            return self.idea(thread) or system["person_soon"]
        return system.get(reply.system or "", system["thanks"])

    def idea(self, thread: Thread) -> Texts | None:
        """The family's next idea, remembered so that it does not come again soon."""
        idea = wording.next_idea(thread, self.received.deps.library.ideas, self.now)
        if idea is None:
            return None
        pace = pacing.had_idea(thread.pace, idea.id, localtime.minute(self.now))
        snapshots.save_or_raise(self.session, self.parent, replace(thread, pace=pace), now=self.now)
        return idea.texts

    def values(self, reply: Reply, thread: Thread) -> dict[str, str]:
        if reply.until is None:
            return {}
        until = localtime.local(reply.until, thread.profile.timezone)
        return {
            "day": wording.date_words(until.date(), self.parent.language),
            "time": wording.clock_words(until.time()),
        }

    def said(self, sequence: str, step: str, thread: Thread) -> None:
        """A step that went back at once is a step that was sent: its outcome says so, once."""
        enrollment = thread.in_sequence(sequence)
        if enrollment is None:
            return
        row = self.session.get_one(Enrollment, int(enrollment.id))
        cycle = enrollment.cycles.get(step, 0) or 1
        known = select(StepOutcome.id).where(
            StepOutcome.enrollment_id == row.id, StepOutcome.step_id == step, StepOutcome.cycle == cycle
        )
        if self.session.scalar(known) is not None:
            return
        self.session.add(
            StepOutcome(
                enrollment_id=row.id,
                version_id=row.version_id,
                step_id=step,
                cycle=cycle,
                outcome="sent",
                code="reply",
                reason="Sent at once, in reply to the parent's own text.",
                inputs={},
                at=self.now,
            )
        )
        self.session.flush()

    def record(self, outcome: Outcome) -> None:
        """What the answer did, in words: the family page shows why the pace changed."""
        record.append(
            self.session,
            at=self.now,
            actor=f"parent:{self.parent.id}",
            action="answer.applied",
            family_id=self.parent.family_id,
            parent_id=self.parent.id,
            subject=f"inbound:{self.received.row.id}",
            details={"effects": [effect.words for effect in outcome.effects]},
        )
