"""How sending is doing: lanes, what waits, what became of the last day's texts, the two weeks ahead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from flask import abort, flash, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.ledger import record
from nudges.models.program import Lane
from nudges.upkeep import outlook
from nudges.upkeep.readiness import backlog_age
from nudges.web.context import now, program_of_staff, staff, transaction
from nudges.web.guards import admin_area
from nudges.web.pages import back_to, page

area = admin_area("sending", __name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneView:
    """A lane as the page shows it. The last four characters tell senders apart."""

    lane: Lane
    ending: str
    is_paused: bool
    backlog: timedelta


@area.get("/sending")
def show() -> Response:
    at = now()
    with transaction() as db:
        program = program_of_staff(db)
        lanes = db.scalars(select(Lane).where(Lane.program_id == program.id).order_by(Lane.id)).all()
        ahead = outlook.kept(db, program, at)
        return page(
            "admin/sending.html",
            views=[_view(db, lane) for lane in lanes],
            outlook=ahead,
            tallest=max((max(day.texts, 1) for day in ahead.days), default=1),
            outcomes=outlook.outcomes(db, program, at),
            reasons=outlook.reasons(db, program, at),
            zone=program.timezone,
        )


def _view(db: Session, lane: Lane) -> LaneView:
    at = now()
    return LaneView(
        lane=lane,
        ending=lane.sender[-4:],
        is_paused=lane.paused_until is not None and lane.paused_until > at,
        backlog=backlog_age(db, at, lane_id=lane.id),
    )


@area.post("/sending/lanes/<int:lane_id>/resume")
def resume(lane_id: int) -> Response:
    """Let a paused lane send again. What expired meanwhile stays unsent."""
    with transaction() as db:
        lane = db.get(Lane, lane_id)
        if lane is None or lane.program_id != staff().program_id:
            abort(404)
        reason = lane.paused_reason or ""
        if "nudges restored" in reason:
            flash("This database was restored from a backup: run python -m nudges restored on the server first.", "bad")
            return back_to(url_for("sending.show"))
        lane.paused_until = lane.paused_reason = None
        record.append(db, at=now(), actor=f"staff:{staff().id}", action="lane.resumed", subject=f"lane:{lane.id}")
    flash("The lane sends again.", "good")
    return back_to(url_for("sending.show"))
