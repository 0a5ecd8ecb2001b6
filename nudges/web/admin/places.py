"""Places near the program's families: the list, adding, changing, marking as checked, taking off."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from nudges.library import places
from nudges.library.places import AGES, Details, PlaceError
from nudges.models.library import LocalResource
from nudges.models.program import Staff
from nudges.web.context import now, program_of_staff, staff, transaction
from nudges.web.forms import Form
from nudges.web.guards import admin_area
from nudges.web.pages import back_to, page
from schedules.values import PLACES

area = admin_area("places", __name__)
ONE = "/places/<int:place_id>"
TEXTS = ("name", "kind", "about", "phone", "url", "area")


def place_or_404(db: Session, place_id: int) -> LocalResource:
    place = db.get(LocalResource, place_id)
    if place is None or place.program_id != staff().program_id or place.retired_at is not None:
        abort(404)
    return place


def by() -> str:
    return f"staff:{staff().id}"


@area.get("/places")
def index() -> Response:
    return _index(Form())


def _index(form: Form) -> Response:
    at = now()
    with transaction() as db:
        program = program_of_staff(db)
        rows = places.listed(db, program.id)
        day = places.today(program, at)
        fresh = {place.id for place in rows if places.is_fresh(place, day)}
        names = {person.id: person.name for person in db.scalars(select(Staff).where(Staff.program_id == program.id))}
    return page("places/index.html", rows=rows, fresh=fresh, names=names, **_choices(form))


def _choices(form: Form) -> dict[str, Any]:
    return {"form": form, "kinds": PLACES, "ages": AGES, "most": places.MOST_CHARACTERS, "days": places.GOOD_FOR.days}


@area.post("/places")
def add() -> Response:
    form, at = Form(values=request.form), now()
    details = _details(form)
    with transaction() as db:
        try:
            if not form.faults:
                places.add(db, program_of_staff(db), details, staff_id=staff().id, now=at, by=by())
        except PlaceError as error:
            _take(form, error)
    if form.faults:
        return _index(form)
    flash("Added, and checked today by you.", "good")
    return back_to(url_for("places.index"))


@area.get(ONE)
def edit(place_id: int) -> Response:
    with transaction() as db:
        place = place_or_404(db, place_id)
    return page("places/edit.html", place=place, **_choices(Form(values=_stored(place))))


@area.post(ONE)
def change(place_id: int) -> Response:
    form, at = Form(values=request.form), now()
    details = _details(form)
    with transaction() as db:
        place = place_or_404(db, place_id)
        try:
            if not form.faults:
                places.change(db, program_of_staff(db), place, details, now=at, by=by())
        except PlaceError as error:
            _take(form, error)
    if form.faults:
        return page("places/edit.html", place=place, **_choices(form))
    flash("Saved. When it was checked stays as it was.", "good")
    return back_to(url_for("places.index"))


@area.post(f"{ONE}/checked")
def mark_checked(place_id: int) -> Response:
    at = now()
    with transaction() as db:
        place = place_or_404(db, place_id)
        places.mark_checked(db, program_of_staff(db), place, staff_id=staff().id, now=at)
    flash(f"Checked today: texts may name {place.name} for another {places.GOOD_FOR.days} days.", "good")
    return back_to(url_for("places.index"))


@area.post(f"{ONE}/retire")
def retire(place_id: int) -> Response:
    at = now()
    with transaction() as db:
        place = place_or_404(db, place_id)
        places.retire(db, program_of_staff(db), place, by=by(), now=at)
    flash(f"{place.name} is off the list; no text names it any more.", "warn")
    return back_to(url_for("places.index"))


def _details(form: Form) -> Details:
    return Details(
        **{name: form.get(name) for name in TEXTS},
        in_english=form.get("in_english") == "yes",
        in_spanish=form.get("in_spanish") == "yes",
        ages=tuple(form.all("ages")),
        next_review=form.on_date("next_review"),
    )


def _take(form: Form, error: PlaceError) -> None:
    for name, message in error.faults.items():
        form.fault(name, message)


def _stored(place: LocalResource) -> MultiDict[str, str]:
    values: MultiDict[str, str] = MultiDict({name: str(getattr(place, name)) for name in TEXTS})
    values["next_review"] = place.next_review.isoformat()
    values.update({name: "yes" for name in ("in_english", "in_spanish") if getattr(place, name)})
    values.setlist("ages", place.ages.split())
    return values
