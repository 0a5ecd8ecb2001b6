"""Families: the page of the list, and one family's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from flask import request
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.alerts.holds import open_holds
from nudges.families import care, consent, snapshots, standings, timeline
from nudges.families.staff import counselors_of
from nudges.inbound import settling
from nudges.models.family import Consent, Family, KeyDate, Parent
from nudges.models.program import Program, Staff
from nudges.models.safety import Alert, Hold, Task
from nudges.models.sequences import Enrollment, SequenceRow, SequenceVersion
from nudges.web.context import now, program_of_staff, staff, transaction, wiring
from nudges.web.counselor import family_list, timeline_view
from nudges.web.counselor.timeline_view import TimelineView
from nudges.web.forms import Form
from nudges.web.guards import counselor_area, family_or_404, parent_or_404
from nudges.web.pages import page
from schedules import catalog, gate
from schedules.standing import Standing
from schedules.values import Step

area = counselor_area("families", __name__)
Row = TypeVar("Row", Alert, Task)


@dataclass(frozen=True, kw_only=True, slots=True)
class ParentView:
    """A parent as the family page shows them."""

    parent: Parent
    zone: str
    timeline: TimelineView
    is_held: bool
    enrollments: Sequence[Enrollment]
    dates: Sequence[KeyDate]
    consents: Sequence[Consent]
    startable: Sequence[tuple[str, str]]
    next_session: int
    standing: Standing
    quiet_since: datetime | None  # when the last text went
    settles: Step | None  # the question that must be settled before anything else is asked
    gate_waits: bool  # only a person opens the gate again
    quiet_week: str | None  # see care.quiet_this_week


@area.get("/families")
def index() -> Response:
    return _list("")


@area.post("/families/search")
def search() -> Response:
    """A POST, so that a name or number never stands in a URL or a log."""
    return _list(Form(values=request.form).get("q"))


def _list(query: str) -> Response:
    with transaction() as db:
        found = family_list.listing(db, staff(), query)
        zone = program_of_staff(db).timezone
    return page("families/index.html", fragment="families/_rows.html", found=found, query=query, zone=zone)


@area.get("/families/<int:family_id>")
def show(family_id: int) -> Response:
    at = now()
    with transaction() as db:
        values = family_page(db, family_or_404(db, staff(), family_id), at=at)
    return page("families/show.html", **values)


@area.get("/families/<int:family_id>/notices")
def notices(family_id: int) -> Response:
    """Alerts, holds and tasks of the family, for the page to ask again."""
    at = now()
    with transaction() as db:
        values = family_notices(db, family_or_404(db, staff(), family_id), at=at)
    return page("families/_notices.html", **values)


@area.get("/families/<int:family_id>/parents/<int:parent_id>/timeline")
def timeline_of(family_id: int, parent_id: int) -> Response:
    """One parent's timeline, for the page to ask again."""
    at = now()
    with transaction() as db:
        parent = parent_or_404(db, staff(), family_id, parent_id)
        holds = open_holds(db, family_id=family_id, now=at)
        view = _parent_view(db, parent, holds, _live_titles(db, program_of_staff(db)), at=at)
    return page("families/_timeline.html", view=view)


def family_page(db: Session, family: Family, *, at: datetime) -> dict[str, Any]:
    """Everything the family page shows."""
    parents = db.scalars(select(Parent).where(Parent.family_id == family.id).order_by(Parent.id)).all()
    titles = _live_titles(db, db.get_one(Program, family.program_id))
    holds = open_holds(db, family_id=family.id, now=at)
    return {
        **family_notices(db, family, at=at),
        "views": [_parent_view(db, parent, holds, titles, at=at) for parent in parents],
        "counselors": counselors_of(db, family.id),
        "names": _names(db),
        "titles": titles,
        "kinds": care.KINDS,
        "form": Form(),
        "blank": Form(),
        "writing_to": None,
    }


def family_notices(db: Session, family: Family, *, at: datetime) -> dict[str, Any]:
    """What asks for a person, above the timelines."""
    return {
        "family": family,
        "zone": db.get_one(Program, family.program_id).timezone,
        "alerts": _open(db, Alert, Alert.family_id == family.id, Alert.status != "resolved"),
        "holds": open_holds(db, family_id=family.id, now=at),
        "tasks": _open(db, Task, Task.family_id == family.id, Task.done_at.is_(None)),
    }


def _names(db: Session) -> dict[int, str]:
    return {person.id: person.name for person in db.scalars(select(Staff))}


def _open(db: Session, table: type[Row], *conditions: ColumnElement[bool]) -> Sequence[Row]:
    return db.scalars(select(table).where(*conditions).order_by(table.id)).all()


def _parent_view(
    db: Session, parent: Parent, holds: Sequence[Hold], titles: dict[str, str], *, at: datetime
) -> ParentView:
    enrollments = db.scalars(select(Enrollment).where(Enrollment.parent_id == parent.id).order_by(Enrollment.id)).all()
    running = {row.sequence_key for row in enrollments if row.status == "active"}
    dates = db.scalars(select(KeyDate).where(KeyDate.parent_id == parent.id).order_by(KeyDate.at, KeyDate.id)).all()
    entries = timeline.for_parent(db, parent, now=at, ideas=wiring().library.ideas)
    thread = snapshots.thread_of(db, parent)
    facts = [(e.instants, e.facts) for e in thread.enrollments]
    return ParentView(
        standing=standings.of_parent(db, parent, now=at),
        quiet_since=thread.pace.marks[-1].at if thread.pace.marks else None,
        settles=settling.open_question(thread),
        gate_waits=any(gate.GATE_SHUT in instants or "gate unanswered" in noted for instants, noted in facts),
        parent=parent,
        zone=str(parent.profile["timezone"]),
        timeline=timeline_view.view(entries, _names(db)),
        is_held=any(hold.scope == "family" or hold.parent_id == parent.id for hold in holds),
        enrollments=enrollments,
        dates=dates,
        consents=consent.history(db, parent),
        startable=[(key, title) for key, title in titles.items() if key not in running],
        next_session=1 + max((date.nth for date in dates if date.kind == "session"), default=0),
        quiet_week=care.quiet_this_week(parent, now=at),
    )


def _live_titles(db: Session, program: Program) -> dict[str, str]:
    """Titles of the live sequences by key."""
    rows = db.execute(
        select(SequenceRow.key, SequenceVersion.yaml)
        .join(SequenceVersion, SequenceVersion.sequence_id == SequenceRow.id)
        .where(SequenceRow.program_id == program.id, SequenceVersion.number == SequenceRow.live_number)
        .order_by(SequenceRow.key)
    )
    return {key: catalog.parse(text, name=key).title for key, text in rows}
