"""The on-call page for everybody: who has which turn in the next four weeks, offering one's own, filling a gap."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import abort, flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.alerts import on_call, reach, swaps
from nudges.alerts.on_call import RotaError
from nudges.models.on_call import RotaSwap
from nudges.models.program import Program, Staff
from nudges.web.context import now, program_of_staff, staff, transaction
from nudges.web.guards import counselor_area
from nudges.web.pages import back_to, page

area = counselor_area("on_call", __name__)
ROLE_WORDS = {
    "first": "First on call",
    "backup": "Backup",
    "supervisor": "Supervisor",
    "safeguarding": "Safeguarding lead",
}


def view_of(db: Session, program: Program, at: datetime) -> dict[str, Any]:
    """What both on-call pages show: the rota by role, who is on duty now, offers, and whose phone is shut."""
    everybody = db.scalars(select(Staff).where(Staff.program_id == program.id).order_by(Staff.id)).all()
    ways = reach.ways_of(db, everybody)
    return {
        "rota": {
            role: turns for role, turns in swaps.rota_of(db, program, now=at).items() if any(t.staff_id for t in turns)
        },
        "duty": on_call.on_duty(db, program.id, at=at),
        "gaps": on_call.gaps(db, program, since=at, until=at + on_call.LOOK_AHEAD),
        "offers": {(offer.role, offer.starts_at): offer for offer in swaps.offers(db, program.id, now=at)},
        "names": {person.id: person.name for person in everybody},
        "ways": ways,
        "shut": [way.person for way in ways.values() if way.person.is_active and way.phone_stopped_at is not None],
        "roles": ROLE_WORDS,
        "zone": program.timezone,
    }


@area.get("/on-call")
def index() -> Response:
    at = now()
    with transaction() as db:
        view = view_of(db, program_of_staff(db), at)
        return page("on_call/index.html", me=staff().id, **view)


def _act(act: Callable[[Session, Program, Staff, datetime], str]) -> Response:
    """Do one thing with the rota, and say how it went."""
    at = now()
    try:
        with transaction() as db:
            words = act(db, program_of_staff(db), db.get_one(Staff, staff().id), at)
        flash(words, "good")
    except RotaError as error:
        flash(str(error), "bad")
    return back_to(url_for("on_call.index"))


@area.post("/on-call/offer")
def offer() -> Response:
    def act(db: Session, program: Program, person: Staff, at: datetime) -> str:
        swaps.offer(db, program, person, role=_role(), starts_at=_starts_at(), now=at)
        return "Your turn is on offer. You stay on call until a colleague has taken it."

    return _act(act)


@area.post("/on-call/fill")
def fill() -> Response:
    def act(db: Session, program: Program, person: Staff, at: datetime) -> str:
        swaps.fill_gap(db, program, person, role=_role(), starts_at=_starts_at(), now=at)
        return "It is yours."

    return _act(act)


@area.post("/on-call/offers/<int:swap_id>/take")
def take(swap_id: int) -> Response:
    def act(db: Session, program: Program, person: Staff, at: datetime) -> str:
        swaps.take(db, program, _swap_or_404(db, program, swap_id), person, now=at)
        return "The turn is yours now."

    return _act(act)


@area.post("/on-call/offers/<int:swap_id>/withdraw")
def withdraw(swap_id: int) -> Response:
    def act(db: Session, program: Program, person: Staff, at: datetime) -> str:
        swaps.withdraw(db, _swap_or_404(db, program, swap_id), person, now=at)
        return "The offer is taken back. The turn is still yours."

    return _act(act)


def _role() -> str:
    return request.form.get("role", "")


def _starts_at() -> datetime:
    try:
        found = datetime.fromisoformat(request.form.get("starts_at", ""))
    except ValueError:
        raise RotaError("Choose a turn of the rota.") from None
    if found.tzinfo is None:
        raise RotaError("Choose a turn of the rota.")
    return found


def _swap_or_404(db: Session, program: Program, swap_id: int) -> RotaSwap:
    swap = db.get(RotaSwap, swap_id)
    if swap is None or swap.program_id != program.id:
        abort(404)
    return swap
