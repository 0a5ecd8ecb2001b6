"""One timeline for each parent: texts both ways, steps that did not go and why, what staff did, what comes next.

For staff only: a parent is never shown, and no text ever quotes, what another parent of the family wrote or got.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.families import snapshots, wording
from nudges.models.family import Parent
from nudges.models.messages import Inbound, Outbox
from nudges.models.program import Program
from nudges.models.safety import LedgerEntry
from nudges.models.sequences import Enrollment, StepOutcome
from schedules import localtime, render, run
from schedules.catalog import Idea
from schedules.policy import Policy

PLANNED: Final = 5  # how many texts to come are shown
_LIMIT: Final = 500  # of each kind and parent; older ones are in the export


class EntryKind(StrEnum):
    """What an entry is."""

    TEXT = "text"  # from us
    ANSWER = "answer"  # from the parent
    REPLY = "reply"  # from us, in the same moment as their text
    OUTCOME = "outcome"  # a step that became due and did not go, or became a task
    ACT = "act"  # something that staff or the system did
    PLANNED = "planned"  # would go next if nothing is answered


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of a parent's timeline.

    `status` is the outbox's, an outcome's, or how a text from the parent was handled; `reason` says why in words;
    `window` is the calm time that a planned talk is ahead of. A text whose words are not made yet has no `body`, and
    tells what it is `about`.
    """

    at: datetime
    parent_id: int
    kind: EntryKind
    body: str | None = None
    status: str = ""
    reason: str = ""
    sequence: str | None = None
    step: str | None = None
    about: str = ""
    category: str | None = None
    segments: int = 0
    actor: str | None = None
    action: str | None = None
    window: tuple[datetime, datetime] | None = None
    outbox_id: int | None = None
    inbound_id: int | None = None
    details: dict[str, Any] = field(default_factory=dict)


def for_parent(session: Session, parent: Parent, *, now: datetime, ideas: Sequence[Idea] = ()) -> list[Entry]:
    """One parent's entries, oldest first, with what comes next at the end."""
    past = sorted(_past(session, parent), key=lambda entry: entry.at)
    return [*past, *coming(session, parent, now=now, ideas=ideas)]


def coming(session: Session, parent: Parent, *, now: datetime, ideas: Sequence[Idea] = ()) -> list[Entry]:
    """The next planned texts: when, why then, and the words as they would be sent."""
    if parent.status != "active" or parent.phone_problem is not None:
        return []
    policy = snapshots.policy_of(session.get_one(Program, parent.program_id))
    thread = snapshots.thread_of(session, parent)
    people = wording.PeopleOf(session, [parent], now=now).of(parent)
    forecasts = run.forecast(thread, policy, localtime.minute(now), count=PLANNED, ideas=tuple(ideas))
    return [
        Entry(
            at=forecast.at,
            parent_id=parent.id,
            kind=EntryKind.PLANNED,
            body=_words(forecast, people, policy, ideas),
            status="planned",
            reason=forecast.reason.words,
            sequence=forecast.sequence,
            step=forecast.step.id,
            window=forecast.window,
        )
        for forecast in forecasts
    ]


def _words(forecast: run.Forecast, people: wording.People, policy: Policy, ideas: Sequence[Idea]) -> str | None:
    if forecast.step.texts is None:
        return None
    try:
        return wording.of_forecast(people, forecast, policy, ideas=ideas).text
    except render.MissingValue as missing:
        return f"({missing})"


def _past(session: Session, parent: Parent) -> Iterable[Entry]:
    yield from _texts(session, parent)
    yield from _answers(session, parent)
    yield from _outcomes(session, parent)
    yield from _acts(session, parent)


def _texts(session: Session, parent: Parent) -> Iterable[Entry]:
    rows = session.execute(
        select(Outbox, Enrollment.sequence_key)
        .outerjoin(Enrollment, Enrollment.id == Outbox.enrollment_id)
        .where(Outbox.parent_id == parent.id)
        .order_by(Outbox.id.desc())
        .limit(_LIMIT)
    )
    for row, sequence in rows:
        yield Entry(
            at=row.attempted_at or row.created_at,
            parent_id=parent.id,
            kind=EntryKind.TEXT,
            body=row.body,
            status=row.status,
            reason=row.status_reason or "",
            about=_about(session, row) if row.body is None else "",
            sequence=sequence,
            step=row.step_id,
            category=row.category,
            segments=row.segments or 0,
            outbox_id=row.id,
        )


def _about(session: Session, row: Outbox) -> str:
    """What a text is about whose words are not made yet."""
    sequence = snapshots.sequence_of(session, row.version_id) if row.version_id is not None else None
    step = sequence.step(row.step_id or "") if sequence is not None else None
    return step.intent if step is not None else "A question about going on"


def _answers(session: Session, parent: Parent) -> Iterable[Entry]:
    rows = session.scalars(
        select(Inbound).where(Inbound.parent_id == parent.id).order_by(Inbound.id.desc()).limit(_LIMIT)
    )
    for row in rows:
        yield Entry(
            at=row.at,
            parent_id=parent.id,
            kind=EntryKind.ANSWER,
            body=row.body,
            status=row.handled_as,
            inbound_id=row.id,
            details=row.screening,
        )
        if row.reply:
            yield Entry(at=row.at, parent_id=parent.id, kind=EntryKind.REPLY, body=row.reply, inbound_id=row.id)


def _outcomes(session: Session, parent: Parent) -> Iterable[Entry]:
    """Why each due step went when it did, or why it did not."""
    rows = session.execute(
        select(StepOutcome, Enrollment.sequence_key)
        .join(Enrollment, Enrollment.id == StepOutcome.enrollment_id)
        .where(Enrollment.parent_id == parent.id)
        .order_by(StepOutcome.id.desc())
        .limit(_LIMIT)
    )
    for row, sequence in rows:
        yield Entry(
            at=row.at,
            parent_id=parent.id,
            kind=EntryKind.OUTCOME,
            status=row.outcome,
            reason=row.reason,
            sequence=sequence,
            step=row.step_id,
            details=row.inputs,
        )


def _acts(session: Session, parent: Parent) -> Iterable[Entry]:
    rows = session.scalars(
        select(LedgerEntry).where(LedgerEntry.parent_id == parent.id).order_by(LedgerEntry.id.desc()).limit(_LIMIT)
    )
    for row in rows:
        yield Entry(
            at=row.at,
            parent_id=parent.id,
            kind=EntryKind.ACT,
            actor=row.actor,
            action=row.action,
            details={"subject": row.subject, **row.details},
        )
