"""Figures of the safety net, and the drill that shows whether it holds."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.alerts.topics import SUBJECTS
from nudges.desk import drafting, drill, picture
from nudges.inbound import handle
from nudges.models.phrases import Drill
from nudges.models.program import Staff
from nudges.web.admin.crisis.areas import desk_area
from nudges.web.context import now, program_of_staff, staff, transaction, wiring
from nudges.web.pages import back_to, page

area = desk_area("desk", __name__)


@area.get("/crisis")
def index() -> Response:
    """What the safety net did in the last 30 days."""
    at = now()
    with transaction() as db:
        return page(
            "desk/index.html",
            picture=picture.picture(db, staff().program_id, now=at),
            waiting=len(drafting.open_changes(db)),
            subjects=SUBJECTS,
            names={person.id: person.name for person in db.scalars(select(Staff))},
            zone=program_of_staff(db).timezone,
            days=picture.WINDOW.days,
            every=drill.EVERY,
        )


@area.get("/crisis/drill")
def drills() -> Response:
    at = now()
    with transaction() as db:
        return page(
            "desk/drill.html", **_drills(db), last=drill.last_at(db, staff().program_id), every=drill.EVERY, at=at
        )


def _drills(db: Session) -> dict[str, Any]:
    rows = drill.history(db, staff().program_id)
    return {"reports": [drill.report(db, row) for row in rows], "zone": program_of_staff(db).timezone}


@area.get("/crisis/drill/<int:drill_id>")
def report(drill_id: int) -> Response:
    """One drill's times, while they come in."""
    with transaction() as db:
        row = db.get(Drill, drill_id)
        if row is None or row.program_id != staff().program_id:
            abort(404)
        return page(
            "desk/drill_report.html",
            fragment="desk/_drill_report.html",
            report=drill.report(db, row),
            zone=program_of_staff(db).timezone,
        )


@area.post("/crisis/drill")
def hold() -> Response:
    deps = handle.deps_for(wiring().library, provider=wiring().settings.provider, screen=wiring().screen)
    try:
        drill_id = drill.hold_one(
            wiring().sessions, deps, program_id=staff().program_id, staff_id=staff().id, clock=wiring().clock
        )
    except drill.DrillError as error:
        flash(str(error), "bad")
        return back_to(url_for("desk.drills"))
    return back_to(url_for("desk.report", drill_id=drill_id))
