"""Storing what a batch of parents' courses ask for: a few statements for all of them, in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.orm import Session

from nudges.db import AsStored, Encoded, ManyInserts, ManyUpdates
from nudges.families import readings
from nudges.families.readings import Enrolled, Reading
from nudges.families.snapshots import StaleParent
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.safety import Task
from nudges.models.sequences import Enrollment, StepOutcome
from nudges.outbound import outbox
from nudges.outbound.course import Course, Ended, Text
from nudges.outbound.status import QUEUED
from schedules import state

TASK_DUE: Final = {1: timedelta(hours=1), 2: timedelta(days=1), 3: timedelta(days=7)}
ACTOR: Final = "system:planner"

_PARENTS: Final[Table] = Parent.metadata.tables[Parent.__tablename__]
_ENROLLMENTS: Final[Table] = Parent.metadata.tables[Enrollment.__tablename__]
_OUTBOX: Final[Table] = Parent.metadata.tables[Outbox.__tablename__]
_OUTCOMES: Final[Table] = Parent.metadata.tables[StepOutcome.__tablename__]
_TASKS: Final[Table] = Parent.metadata.tables[Task.__tablename__]

_OF_TEXT: Final = (
    "lane_id parent_id enrollment_id version_id step_id cycle category priority to body language segments gate status"
    " not_before expires_at created_at"
)
_OF_OUTCOME: Final = "enrollment_id version_id step_id cycle outcome code reason inputs at"
_OF_TASK: Final = "program_id family_id parent_id priority kind words due_at created_at"
_INSERT_TEXTS: Final = ManyInserts(_OUTBOX, _OF_TEXT.split())
_INSERT_OUTCOMES: Final = ManyInserts(_OUTCOMES, _OF_OUTCOME.split())
_INSERT_TASKS: Final = ManyInserts(_TASKS, _OF_TASK.split())
_SAVE_PARENTS: Final = ManyUpdates(
    _PARENTS,
    where=("id", "revision"),
    set_=("state", "status", "paused_until", "next_at", "next_reason", "revision"),
)
_SAVE_ENROLLMENTS: Final = ManyUpdates(_ENROLLMENTS, where=("id", "status"), set_=("state",))
_END_ENROLLMENTS: Final = ManyUpdates(_ENROLLMENTS, where=("id", "status"), set_=("status", "ended_at", "end_reason"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What a course comes to in rows, for any parent who has it: JSON written once, with names instead of ids."""

    course: Course
    texts: tuple[tuple[str | None, str, Mapping[str, Any]], ...]
    outcomes: tuple[tuple[str, Mapping[str, Any]], ...]
    pace: str
    enrollments: Mapping[str, str]


def form_of(course: Course, now: datetime) -> Form:
    """Raises ValueError for a text without a word."""
    thread = course.thread
    return Form(
        course=course,
        texts=tuple(_text(text, now) for text in course.texts),
        outcomes=tuple(
            (
                one.enrollment,
                {
                    "step_id": one.step,
                    "cycle": one.cycle,
                    "outcome": one.outcome,
                    "code": one.reason.code,
                    "reason": one.reason.words,
                    "inputs": Encoded(json.dumps(dict(one.reason.inputs))),
                    "at": now,
                },
            )
            for one in course.outcomes
        ),
        pace=json.dumps(state.pace_to_json(thread.pace)),
        enrollments={e.id: json.dumps(state.enrollment_to_json(e)) for e in thread.enrollments},
    )


def _text(text: Text, now: datetime) -> tuple[str | None, str, Mapping[str, Any]]:
    parts, proposal = text.rendered.segments.parts, text.proposal
    if not parts:
        raise ValueError("an empty text cannot be sent")
    columns = {
        "step_id": proposal.step,
        "cycle": proposal.cycle,
        "category": "nudge",
        "priority": outbox.PRIORITY["nudge"],
        "body": text.rendered.text,
        "language": text.rendered.lang,
        "segments": parts,
        "status": QUEUED,
        "not_before": now,
        "expires_at": proposal.expires_at,
        "created_at": now,
    }
    return text.enrollment, json.dumps(state.proposal_to_json(proposal)), columns


@dataclass(kw_only=True, slots=True)
class Carrier:
    """Collects the rows of many parents, then stores them."""

    now: datetime
    lanes: Mapping[int, int]  # by program
    texts: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    parents: list[dict[str, Any]] = field(default_factory=list)
    enrollments: list[dict[str, Any]] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)
    entries: list[record.Entry] = field(default_factory=list)

    def take(self, reading: Reading, form: Form) -> None:
        """Add one parent's rows. Raises NoLane."""
        enrolled = {e.name: e for e in reading.enrollments}
        for name, gate, columns in form.texts:
            self.texts.append(self._to_parent(reading, enrolled.get(name or ""), gate, columns))
        for name, columns in form.outcomes:
            at = enrolled[name]
            self.outcomes.append({**columns, "enrollment_id": at.id, "version_id": at.version_id})
        self._for_staff(reading, form.course)
        self._ends(reading, enrolled, form.course.ended)
        self._thread(reading, enrolled, form)

    def rest(self, reading: Reading, *, until: datetime | None, why: str) -> None:
        """Plan nothing for this parent; look again at `until`, or never."""
        kept = {"state": Encoded(readings.with_ids(reading.state, reading.enrollments))}
        self._save(reading, kept, reading.status, reading.paused_until, until, why)

    def store(self, session: Session) -> None:
        """Write everything. Raises StaleParent when somebody else wrote a parent meanwhile, IntegrityError for a
        second text or answer of one step: then the whole transaction must fall."""
        _INSERT_TEXTS.run(session, self.texts)
        _INSERT_OUTCOMES.run(session, self.outcomes)
        _INSERT_TASKS.run(session, self.tasks)
        _SAVE_ENROLLMENTS.run(session, self.enrollments)
        _END_ENROLLMENTS.run(session, self.ended)
        if _SAVE_PARENTS.run(session, self.parents) != len(self.parents):
            raise StaleParent("a parent of this batch was changed by somebody else")
        record.append_all(session, self.entries)

    def _to_parent(
        self, reading: Reading, enrolled: Enrolled | None, gate: str, columns: Mapping[str, Any]
    ) -> dict[str, Any]:
        if reading.program_id not in self.lanes:
            raise outbox.NoLane(outbox.NO_LANE)
        return {
            **columns,
            "lane_id": self.lanes[reading.program_id],
            "parent_id": reading.id,
            "enrollment_id": None if enrolled is None else enrolled.id,
            "version_id": None if enrolled is None else enrolled.version_id,
            "to": AsStored(reading.phone),
            "gate": Encoded(gate if enrolled is None else gate.replace(f'"{enrolled.name}"', f'"{enrolled.id}"')),
        }

    def _for_staff(self, reading: Reading, course: Course) -> None:
        self.tasks += [
            {
                "program_id": reading.program_id,
                "family_id": reading.family_id,
                "parent_id": reading.id,
                "priority": one.priority,
                "kind": "step",
                "words": one.words,
                "due_at": self.now + TASK_DUE[one.priority],
                "created_at": self.now,
            }
            for one in course.for_staff
        ]

    def _ends(self, reading: Reading, enrolled: Mapping[str, Enrolled], ended: Iterable[Ended]) -> None:
        for one in ended:
            at = enrolled[one.enrollment]
            end = {"status": "done", "ended_at": self.now, "end_reason": one.reason.words[:200]}
            self.ended.append({"if_id": at.id, "if_status": "active", **end})
            self._enter(
                reading, "sequence.finished", subject=f"sequence:{at.sequence.key}", details={"code": one.reason.code}
            )

    def _thread(self, reading: Reading, enrolled: Mapping[str, Enrolled], form: Form) -> None:
        """The thread, and what changed of it. A pause that ended, or that silence began, is worth finding later."""
        thread, look = form.course.thread, form.course.look
        for name, stored in form.enrollments.items():
            if stored != enrolled[name].state:
                self.enrollments.append({"if_id": enrolled[name].id, "if_status": "active", "state": Encoded(stored)})
        pace = Encoded(readings.with_ids(form.pace, reading.enrollments))
        self._save(reading, {"state": pace}, thread.status, thread.paused_until, look.at, look.words[:200])
        if thread.status != reading.status:
            is_back = thread.status == "active"
            why = "the pause is over" if is_back else "nothing was answered for long"
            self._enter(reading, "parent.resumed" if is_back else "parent.paused", details={"because": why})

    def _save(
        self,
        reading: Reading,
        kept: Mapping[str, Any],
        status: str,
        paused_until: datetime | None,
        next_at: datetime | None,
        next_reason: str,
    ) -> None:
        self.parents.append(
            {
                "if_id": reading.id,
                "if_revision": reading.revision,
                "state": kept["state"],
                "status": status,
                "paused_until": paused_until,
                "next_at": next_at,
                "next_reason": next_reason,
                "revision": reading.revision + 1,
            }
        )

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
