"""Sequences as an admin reads them: the list, one as a timeline, its history, going back."""

from __future__ import annotations

from flask import abort, flash, request, url_for
from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.families.snapshots import StaleParent
from nudges.library import signing, texts
from nudges.models.family import Parent
from nudges.models.program import Program, Staff
from nudges.models.sequences import Enrollment, SequenceRow, SequenceVersion
from nudges.publishing import Refused
from nudges.studio import drafts, sign_offs, versions
from nudges.studio.moments import in_words
from nudges.web.context import now, program_of_staff, staff, transaction, wiring
from nudges.web.forms import Form
from nudges.web.guards import admin_area
from nudges.web.pages import back_to, page
from schedules import catalog

area = admin_area("sequences", __name__)
BUSY = "Families were being planned at that moment. Nothing was changed; please try again."


def row_or_404(db: Session, key: str) -> SequenceRow:
    row = db.scalars(
        select(SequenceRow).where(SequenceRow.key == key, SequenceRow.program_id == staff().program_id)
    ).one_or_none()
    if row is None:
        abort(404)
    return row


def version_or_404(db: Session, row: SequenceRow, number: int) -> SequenceVersion:
    version = db.scalars(
        select(SequenceVersion).where(SequenceVersion.sequence_id == row.id, SequenceVersion.number == number)
    ).one_or_none()
    if version is None:
        abort(404)
    return version


@area.get("/")
def home() -> Response:
    return back_to(url_for("sequences.index"))


@area.get("/sequences")
def index() -> Response:
    with transaction() as db:
        rows = db.scalars(
            select(SequenceRow).where(SequenceRow.program_id == staff().program_id).order_by(SequenceRow.key)
        ).all()
        live = {row.key: catalog.parse(drafts.live_text(db, row), name=row.key) for row in rows}
        running = _running(db)
        found = sign_offs.chapters(db, program_of_staff(db), wiring().library)
    chapters = {chapter.key: chapter for chapter in found}
    return page("sequences/index.html", rows=rows, live=live, running=running, chapters=chapters)


def _running(db: Session) -> dict[str, int]:
    # The status spelled out, the index of who is in what answers alone; parents are asked only if there are programs.
    active = Enrollment.status == literal("active", literal_execute=True)
    counts = select(Enrollment.sequence_key, func.count().label("parents")).where(active)
    if (db.scalar(select(func.count()).select_from(Program)) or 0) > 1:
        counts = counts.join(Parent, Parent.id == Enrollment.parent_id).where(Parent.program_id == staff().program_id)
    return {row.sequence_key: row.parents for row in db.execute(counts.group_by(Enrollment.sequence_key))}


@area.get("/sequences/<key>")
def show(key: str) -> Response:
    with transaction() as db:
        row = row_or_404(db, key)
        number = row.live_number or 0
        return _timeline(db, row, version_or_404(db, row, number))


@area.get("/sequences/<key>/versions/<int:number>")
def version(key: str, number: int) -> Response:
    with transaction() as db:
        row = row_or_404(db, key)
        return _timeline(db, row, version_or_404(db, row, number))


def _timeline(db: Session, row: SequenceRow, version: SequenceVersion) -> Response:
    sequence = catalog.parse(version.yaml, name=row.key)
    states = signing.states(db, row.program_id, texts.of_sequence(row.key, version.yaml))
    return page(
        "sequences/show.html",
        row=row,
        states=states,
        waiting=signing.waiting(db, row.program_id, texts.of_sequence(row.key, version.yaml)),
        in_roles=signing.in_words,
        version=version,
        sequence=sequence,
        in_words=in_words,
        running=_running(db).get(row.key, 0),
        zone=program_of_staff(db).timezone,
    )


@area.get("/sequences/<key>/history")
def history(key: str) -> Response:
    with transaction() as db:
        row = row_or_404(db, key)
        names = {person.id: person.name for person in db.scalars(select(Staff))}
        zone = program_of_staff(db).timezone
        return page("sequences/history.html", row=row, versions=versions.history(db, row), names=names, zone=zone)


@area.get("/sequences/<key>/versions/<int:number>/changes")
def changes(key: str, number: int) -> Response:
    """What this version changed, against the one before it."""
    with transaction() as db:
        row = row_or_404(db, key)
        new = version_or_404(db, row, number)
        before = version_or_404(db, row, number - 1).yaml if number > 1 else ""
    return page("sequences/changes.html", row=row, version=new, lines=versions.diff(before, new.yaml))


@area.post("/sequences/<key>/versions/<int:number>/again")
def go_back(key: str, number: int) -> Response:
    """Publish an earlier text again, as a new version."""
    form = Form(values=request.form)
    move = form.one_of("move", versions.MOVES, "Choose who gets it.")
    at = now()
    try:
        with transaction() as db:
            row = row_or_404(db, key)
            version_or_404(db, row, number)
            if form.faults:
                abort(400)
            new = versions.go_back(
                db, row, number=number, note=form.get("note"), move=move, staff_id=staff().id, now=at
            )
        flash(f"Version {number} is live again, as version {new.number}.", "good")
    except Refused as error:
        flash(str(error), "bad")
    except StaleParent:
        flash(BUSY, "warn")
    return back_to(url_for("sequences.history", key=key))
