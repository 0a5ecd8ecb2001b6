"""Settings of the program: its name, zone, contact hours and caps."""

from __future__ import annotations

from typing import Any

from flask import flash, request, url_for
from sqlalchemy import update
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from nudges.families import zones
from nudges.families.hours import hours_text, week
from nudges.families.profile_texts import sentence
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.program import Program
from nudges.web.context import now, program_of_staff, staff, transaction
from nudges.web.forms import Form
from nudges.web.guards import admin_area
from nudges.web.pages import back_to, page
from schedules import policy
from schedules.profile import Fault

area = admin_area("programs", __name__)
NUMBERS = (
    # policy key, label, least, most, hint
    ("cap_week", "Texts a week", 1, 7, "To one phone, over all sequences. Replies do not count."),
    ("cap_day", "Texts a day", 1, 3, "Replies do not count."),
    ("gap_hours", "Hours between texts", 12, 168, "At least this long between two that we start."),
    ("cool_hours", "Quiet after a conflict, hours", 24, 336, "After a parent reports that a talk went badly."),
    ("talk_gap_days", "Days between talks", 3, 60, "Between two suggestions to talk."),
    ("conversation_hours", "Rest while a person writes, hours", 1, 72, "After the last text of a conversation."),
)


@area.get("/settings")
def show() -> Response:
    with transaction() as db:
        program = program_of_staff(db)
    return _page(program, Form(values=_stored(program)))


def _stored(program: Program) -> MultiDict[str, str]:
    values: MultiDict[str, str] = MultiDict({"name": program.name, "timezone": program.timezone})
    values["contact_hours"] = hours_text(program.policy.get("contact_hours", {"default": ["09:00-20:00"]}))
    for key, *_ in NUMBERS:
        values[key] = str(program.policy.get(key, getattr(policy.DEFAULT, key)))
    return values


def _page(program: Program, form: Form) -> Response:
    return page(
        "admin/settings.html", program=program, form=form, numbers=NUMBERS, zones=zones.offered(program.country)
    )


@area.post("/settings")
def change() -> Response:
    form = Form(values=request.form)
    at = now()
    name = form.required("name", "The program needs a name; parents read it in texts.")
    if len(name) > 30:
        form.fault("name", "At most 30 characters: it stands in texts.")
    zone = _zone(form)
    overrides = _overrides(form)
    with transaction() as db:
        program = program_of_staff(db)
        if not form.faults:
            program.name, program.timezone = name, zone
            # What this page does not show stays as it was.
            program.policy = {**program.policy, **overrides}
            _plan_anew(db, program)
            record.append(
                db,
                at=at,
                actor=f"staff:{staff().id}",
                action="program.changed",
                subject=f"program:{program.id}",
                details=overrides,
            )
    if form.faults:
        return _page(program, form)
    flash("Saved. Everything still to come is planned anew.", "good")
    return back_to(url_for("programs.show"))


def _zone(form: Form) -> str:
    try:
        return zones.find(form.get("timezone"))
    except Fault as fault:
        form.fault("timezone", sentence(str(fault)))
        return ""


def _overrides(form: Form) -> dict[str, Any]:
    overrides: dict[str, Any] = {"contact_hours": week(form.get("contact_hours"))}
    for key, _, least, most, _ in NUMBERS:
        number = form.number(key, least=least, most=most)
        if number is not None:
            overrides[key] = number
    try:
        policy.parse(overrides, where="policy")
    except policy.PolicyError as error:
        form.take(error.faults, overrides, prefix="policy")
    return overrides


def _plan_anew(db: Session, program: Program) -> None:
    """Look again at everybody at the next beat, in one statement: a program may have very many."""
    which = (Parent.program_id == program.id, Parent.status == "active")
    db.execute(
        update(Parent)
        .where(*which)
        .values(next_at=now(), revision=Parent.revision + 1)
        .execution_options(synchronize_session=False)
    )
