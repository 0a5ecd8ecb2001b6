"""Storing what a batch of parents' courses ask for: a few statements for all of them, in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session

from nudges.bulk import ManyInserts, ManyUpdates, Row, Shared
from nudges.db import seal, seal_all
from nudges.families import readings
from nudges.families.readings import Enrolled, Reading
from nudges.families.snapshots import StaleParent
from nudges.ledger import record
from nudges.models import sequences
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.safety import Task
from nudges.models.sequences import StepOutcome
from nudges.outbound import outbox
from nudges.outbound.course import Course, Ended, ForStaff, Outcome, Text
from nudges.outbound.status import QUEUED
from schedules import state
from schedules.values import Enrollment

TASK_DUE: Final = {1: timedelta(hours=1), 2: timedelta(days=1), 3: timedelta(days=7)}
ACTOR: Final = "system:planner"

_PARENTS: Final[Table] = Parent.metadata.tables[Parent.__tablename__]
_ENROLLMENTS: Final[Table] = Parent.metadata.tables[sequences.Enrollment.__tablename__]
_OUTBOX: Final[Table] = Parent.metadata.tables[Outbox.__tablename__]
_STEP_OUTCOMES: Final[Table] = Parent.metadata.tables[StepOutcome.__tablename__]
_TASKS: Final[Table] = Parent.metadata.tables[Task.__tablename__]

_OF_TEXT: Final = ("lane_id", "parent_id", "enrollment_id", "version_id", "to", "body", "gate")
_BODY: Final = _OF_TEXT.index("body")
_TEXTS: Final = ManyInserts(
    _OUTBOX,
    own=_OF_TEXT,
    shared=(
        "step_id",
        "cycle",
        "category",
        "priority",
        "language",
        "segments",
        "status",
        "attempts",
        "looks",
        "not_before",
        "expires_at",
        "created_at",
    ),
)
_OUTCOMES: Final = ManyInserts(
    _STEP_OUTCOMES,
    own=("enrollment_id", "version_id"),
    shared=("step_id", "cycle", "outcome", "code", "reason", "inputs", "at"),
)
_FOR_STAFF: Final = ManyInserts(
    _TASKS,
    own=("program_id", "family_id", "parent_id", "words"),
    shared=("priority", "kind", "due_at", "created_at"),
)
_THREADS: Final = ManyUpdates(
    _PARENTS,
    where=("id", "revision"),
    own=("if_id", "if_revision", "revision", "state"),
    shared=("status", "paused_until", "next_at", "next_reason"),
)
_AGENDAS: Final = ManyUpdates(_ENROLLMENTS, where=("id", "status"), own=("if_id",), shared=("if_status", "state"))
_ENDS: Final = ManyUpdates(
    _ENROLLMENTS, where=("id", "status"), own=("if_id",), shared=("if_status", "status", "ended_at", "end_reason")
)


@dataclass(frozen=True, kw_only=True, slots=True)
class OfText:
    """A text of a form: whose it is by name, its words, what the gate is to be asked about, all other columns."""

    enrollment: str | None
    body: str
    gate: str
    rest: Shared


@dataclass(frozen=True, kw_only=True, slots=True)
class OfEnrollment:
    """How an enrollment of a form stands afterwards, by name: as JSON, and as columns."""

    name: str
    state: str
    agenda: Shared


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What a course comes to in rows, for any parent who has it: worked out once, with names instead of ids."""

    status: str  # of the thread
    texts: tuple[OfText, ...]
    outcomes: tuple[tuple[str, Shared], ...]
    for_staff: tuple[tuple[str, Shared], ...]
    ended: tuple[tuple[Ended, Shared], ...]
    enrollments: tuple[OfEnrollment, ...]
    pace: str
    thread: Shared


def form_of(course: Course, now: datetime, dialect: Dialect) -> Form:
    """Raises ValueError for a text without a word."""
    thread, look = course.thread, course.look
    return Form(
        status=thread.status,
        texts=tuple(_text(text, now, dialect) for text in course.texts),
        outcomes=tuple((one.enrollment, _outcome(one, now, dialect)) for one in course.outcomes),
        for_staff=tuple((one.words, _for_staff(one, now, dialect)) for one in course.for_staff),
        ended=tuple((one, _end(one, now, dialect)) for one in course.ended),
        enrollments=tuple(_enrollment(one, dialect) for one in thread.enrollments),
        pace=json.dumps(state.pace_to_json(thread.pace)),
        thread=_standing(dialect, thread.status, thread.paused_until, look.at, look.words),
    )


def _text(text: Text, now: datetime, dialect: Dialect) -> OfText:
    parts, proposal = text.rendered.segments.parts, text.proposal
    if not parts:
        raise ValueError("an empty text cannot be sent")
    columns = {
        "step_id": proposal.step,
        "cycle": proposal.cycle,
        "category": "nudge",
        "priority": outbox.PRIORITY["nudge"],
        "language": text.rendered.lang,
        "segments": parts,
        "status": QUEUED,
        "attempts": 0,
        "looks": 0,
        "not_before": now,
        "expires_at": proposal.expires_at,
        "created_at": now,
    }
    return OfText(
        enrollment=text.enrollment,
        body=text.rendered.text,
        gate=json.dumps(state.proposal_to_json(proposal)),
        rest=_TEXTS.share(dialect, columns),
    )


def _outcome(one: Outcome, now: datetime, dialect: Dialect) -> Shared:
    columns = {
        "step_id": one.step,
        "cycle": one.cycle,
        "outcome": one.outcome,
        "code": one.reason.code,
        "reason": one.reason.words,
        "inputs": json.dumps(dict(one.reason.inputs)),
        "at": now,
    }
    return _OUTCOMES.share(dialect, columns)


def _for_staff(one: ForStaff, now: datetime, dialect: Dialect) -> Shared:
    columns = {
        "priority": one.priority,
        "kind": "step",
        "due_at": now + TASK_DUE[one.priority],
        "created_at": now,
    }
    return _FOR_STAFF.share(dialect, columns)


def _end(one: Ended, now: datetime, dialect: Dialect) -> Shared:
    columns = {"if_status": "active", "status": "done", "ended_at": now, "end_reason": one.reason.words[:200]}
    return _ENDS.share(dialect, columns)


def _enrollment(enrollment: Enrollment, dialect: Dialect) -> OfEnrollment:
    stored = json.dumps(state.enrollment_to_json(enrollment))
    agenda = _AGENDAS.share(dialect, {"if_status": "active", "state": stored})
    return OfEnrollment(name=enrollment.id, state=stored, agenda=agenda)


def _standing(
    dialect: Dialect, status: str, paused_until: datetime | None, next_at: datetime | None, why: str
) -> Shared:
    columns = {"status": status, "paused_until": paused_until, "next_at": next_at, "next_reason": why[:200]}
    return _THREADS.share(dialect, columns)


def _sealed(texts: Sequence[Row]) -> list[Row]:
    """Each body sealed for itself: equal ones must not show."""
    bodies = seal_all([own[_BODY] for own, _ in texts])
    return [((*own[:_BODY], body, *own[_BODY + 1 :]), rest) for (own, rest), body in zip(texts, bodies, strict=True)]


@dataclass(kw_only=True, slots=True)
class Carrier:
    """Collects the rows of many parents, then stores them."""

    now: datetime
    lanes: Mapping[int, int]  # by program
    texts: list[Row] = field(default_factory=list)
    outcomes: list[Row] = field(default_factory=list)
    for_staff: list[Row] = field(default_factory=list)
    threads: list[Row] = field(default_factory=list)
    agendas: list[Row] = field(default_factory=list)
    ended: list[Row] = field(default_factory=list)
    entries: list[record.Entry] = field(default_factory=list)

    def take(self, reading: Reading, form: Form) -> None:
        """Add one parent's rows. Raises NoLane."""
        enrolled = {e.name: e for e in reading.enrollments}
        for text in form.texts:
            self.texts.append((self._of_parent(reading, text, enrolled.get(text.enrollment or "")), text.rest))
        for name, outcome in form.outcomes:
            self.outcomes.append(((enrolled[name].id, enrolled[name].version_id), outcome))
        for words, task in form.for_staff:
            self.for_staff.append(((reading.program_id, reading.family_id, reading.id, seal(words)), task))
        for one, end in form.ended:
            self._end(reading, enrolled[one.enrollment], one, end)
        for after in form.enrollments:
            before = enrolled[after.name]
            if after.state != before.state:
                self.agendas.append(((before.id,), after.agenda))
        self._keep(reading, readings.with_ids(form.pace, reading.enrollments), form.thread)
        if form.status != reading.status:
            self._note_status(reading, form.status)

    def rest(self, reading: Reading, dialect: Dialect, *, until: datetime | None, why: str) -> None:
        """Plan nothing for this parent; look again at `until`, or never."""
        kept = readings.with_ids(reading.state, reading.enrollments)
        self._keep(reading, kept, _standing(dialect, reading.status, reading.paused_until, until, why))

    def store(self, session: Session) -> None:
        """Write everything. Raises StaleParent when somebody else wrote a parent meanwhile, IntegrityError for a
        second text or answer of one step: then the whole transaction must fall."""
        _TEXTS.run(session, _sealed(self.texts))
        _OUTCOMES.run(session, self.outcomes)
        _FOR_STAFF.run(session, self.for_staff)
        _AGENDAS.run(session, self.agendas)
        _ENDS.run(session, self.ended)
        if _THREADS.run(session, self.threads) != len(self.threads):
            raise StaleParent("a parent of this batch was changed by somebody else")
        record.append_all(session, self.entries)

    def _of_parent(self, reading: Reading, text: OfText, enrolled: Enrolled | None) -> tuple[Any, ...]:
        """A text's own columns: whose, to whom, and its words, which `store` seals."""
        lane_id = self.lanes.get(reading.program_id)
        if lane_id is None:
            raise outbox.NoLane(outbox.NO_LANE)
        if enrolled is None:
            return lane_id, reading.id, None, None, reading.phone, text.body, text.gate
        gate = readings.with_ids(text.gate, (enrolled,))
        return lane_id, reading.id, enrolled.id, enrolled.version_id, reading.phone, text.body, gate

    def _end(self, reading: Reading, enrolled: Enrolled, one: Ended, end: Shared) -> None:
        self.ended.append(((enrolled.id,), end))
        self._enter(
            reading, "sequence.finished", subject=f"sequence:{enrolled.sequence.key}", details={"code": one.reason.code}
        )

    def _note_status(self, reading: Reading, status: str) -> None:
        """A pause that ended, or that silence began, is worth finding later."""
        is_back = status == "active"
        why = "the pause is over" if is_back else "nothing was answered for long"
        self._enter(reading, "parent.resumed" if is_back else "parent.paused", details={"because": why})

    def _keep(self, reading: Reading, pace: str, standing: Shared) -> None:
        self.threads.append(((reading.id, reading.revision, reading.revision + 1, pace), standing))

    def _enter(self, reading: Reading, action: str, *, subject: str = "", details: Mapping[str, Any]) -> None:
        self.entries.append(
            record.Entry(
                at=self.now,
                actor=ACTOR,
                action=action,
                family_id=reading.family_id,
                parent_id=reading.id,
                subject=subject,
                details=details,
            )
        )
