"""Settings of the program: its name, zone, contact hours, caps and holidays."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from flask import flash, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from nudges.families import notation, program_holidays, programs, zones
from nudges.families.hours import hours_text, week
from nudges.families.profile_texts import sentence
from nudges.families.program_holidays import HolidayError
from nudges.ledger import record
from nudges.models.program import Program
from nudges.web.context import now, program_of_staff, staff, transaction
from nudges.web.forms import Form
from nudges.web.guards import admin_area
from nudges.web.pages import back_to, page
from schedules import policy, policy_file
from schedules.localtime import local_date
from schedules.profile import Fault

area = admin_area("programs", __name__)
_A_YEAR: Final = timedelta(days=365)
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


def _page(program: Program, form: Form, day_form: Form | None = None) -> Response:
    days = day_form or Form()
    today = local_date(now(), program.timezone)
    regions = program_holidays.regions(program.country)
    region = request.values.get("region", "")
    region = region if region in regions else ""
    proposed = program_holidays.proposed(program.country, region, today, today + _A_YEAR)
    return page(
        "admin/settings.html",
        program=program,
        form=form,
        day_form=days,
        numbers=NUMBERS,
        zones=zones.offered(program.country),
        regions=regions,
        region=region,
        holidays=program_holidays.upcoming(program, today),
        proposed=[(day, name) for day, name in proposed if day.isoformat() not in program.holidays],
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
            programs.plan_anew(db, program, now=at)
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
        policy_file.parse(overrides, where="policy")
    except policy_file.PolicyError as error:
        form.take(error.faults, overrides, prefix="policy")
    return overrides


@area.post("/settings/holidays")
def add_holidays() -> Response:
    """Let the ticked days count, and one of the program's own."""
    form = Form(values=request.form)
    at = now()
    with transaction() as db:
        program = program_of_staff(db)
        named = _picked(form, program, local_date(at, program.timezone)) | _own_day(form, program.country)
        if not named and not form.faults:
            form.fault("own_days", "Tick a day, or write one of your own.")
        try:
            if not form.faults:
                program_holidays.add(db, program, named, staff_id=staff().id, now=at)
        except HolidayError as error:
            form.fault("own_days", str(error))
        if form.faults:
            return _page(program, Form(values=_stored(program)), form)
    flash("Kept. Everything still to come is planned anew.", "good")
    return back_to(url_for("programs.show", region=form.get("region") or None, _anchor="holidays"))


def _picked(form: Form, program: Program, today: date) -> dict[str, str]:
    """The ticked days with their names from the calendar."""
    regions = program_holidays.regions(program.country)
    region = form.get("region") if form.get("region") in regions else ""
    names = {
        day.isoformat(): name
        for day, name in program_holidays.proposed(program.country, region, today, today + _A_YEAR)
    }
    return {day: names[day] for day in form.all("pick") if day in names}


def _own_day(form: Form, country: str) -> dict[str, str]:
    """A day or days that no calendar knows, such as a winter break."""
    text, name = form.get("own_days"), form.get("own_name")
    if not text and not name:
        return {}
    if not name:
        form.fault("own_name", "Give the day a name; staff read it here.")
    try:
        days = notation.RANGES.read(notation.us_dates(text) if country == "US" else text)
    except Fault as fault:
        form.fault("own_days", sentence(str(fault)))
        return {}
    if not days:
        form.fault("own_days", "Write a date, such as 2025-12-24, or 2025-12-24..2026-01-02.")
    return dict.fromkeys(days, name)


@area.post("/settings/holidays/remove")
def remove_holiday() -> Response:
    at = now()
    with transaction() as db:
        program_holidays.remove(db, program_of_staff(db), request.form.get("days", ""), staff_id=staff().id, now=at)
    flash("Taken out. Everything still to come is planned anew.", "good")
    return back_to(url_for("programs.show", _anchor="holidays"))
