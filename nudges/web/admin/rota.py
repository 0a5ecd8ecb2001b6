"""The rota as admins edit it: weekly turns, dated exceptions, duties, and other ways to reach staff."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from flask import abort, flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.alerts import notices, on_call
from nudges.alerts.on_call import RotaError
from nudges.channels.messengers import AddressError
from nudges.models.on_call import ROLES, RotaOverride, RotaShift, StaffAddress, StaffDuty
from nudges.models.program import Program, Staff
from nudges.web.context import now, program_of_staff, staff, transaction
from nudges.web.counselor.on_call import ROLE_WORDS, view_of
from nudges.web.forms import Form
from nudges.web.guards import admin_area
from nudges.web.pages import back_to, page

area = admin_area("rota", __name__)
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def by() -> str:
    return f"staff:{staff().id}"


@area.get("/on-call")
def show() -> Response:
    return _show(Form())


def _show(form: Form) -> Response:
    at = now()
    with transaction() as db:
        program = program_of_staff(db)
        active = db.scalars(
            select(Staff).where(Staff.program_id == program.id, Staff.is_active).order_by(Staff.id)
        ).all()
        duties = {row.staff_id: row for row in db.scalars(select(StaffDuty))}
        return page(
            "admin/rota.html",
            form=form,
            me=staff().id,
            days=DAYS,
            staff_rows=active,
            duties=duties,
            pattern=_pattern(db, program.id),
            exceptions=_exceptions(db, program.id, at),
            addresses=notices.addresses(db, program.id),
            **view_of(db, program, at),
        )


def _pattern(db: Session, program_id: int) -> list[RotaShift]:
    rows = db.scalars(select(RotaShift).where(RotaShift.program_id == program_id))
    return sorted(rows, key=lambda row: (ROLES.index(row.role), row.weekday, row.start_minute))


def _exceptions(db: Session, program_id: int, at: datetime) -> list[RotaOverride]:
    rows = db.scalars(
        select(RotaOverride)
        .where(RotaOverride.program_id == program_id, RotaOverride.ends_at > at, RotaOverride.cancelled_at.is_(None))
        .order_by(RotaOverride.starts_at)
    )
    return list(rows)


def _act(act: Callable[[Session, Program, Form, datetime], str], *, field: str) -> Response:
    """Do one thing; a refusal comes back with the form as it was typed, at `field`."""
    form, at = Form(values=request.form), now()
    try:
        with transaction() as db:
            words = act(db, program_of_staff(db), form, at)
            if form.faults:
                raise RotaError("")
    except (RotaError, AddressError) as error:
        if str(error):
            form.fault(field, str(error))
        return _show(form)
    flash(words, "good")
    return back_to(url_for("rota.show"))


@area.post("/on-call/turns")
def add_turns() -> Response:
    """One turn on each of the days that were ticked."""
    return _act(_add_turns, field="turn_person")


def _add_turns(db: Session, program: Program, form: Form, at: datetime) -> str:
    role = form.one_of("turn_role", ROLES, "Choose a role.")
    start, end = _minute(form, "turn_start"), _minute(form, "turn_end")
    person = form.number("turn_person", least=1, most=2**31 - 1)
    days = [int(day) for day in form.all("turn_days") if day in "0123456" and len(day) == 1]
    if not days:
        form.fault("turn_days", "Choose at least one day.")
    if person is None:
        form.fault("turn_person", "Choose a person.")
    if form.faults or start is None or end is None or person is None:
        return ""
    for day in days:
        on_call.add_shift(
            db,
            program,
            role=role,
            weekday=day,
            start_minute=start,
            end_minute=end,
            staff_id=person,
            by=by(),
            now=at,
        )
    return f"{ROLE_WORDS[role]}: {len(days)} turns a week are set."


def _minute(form: Form, name: str) -> int | None:
    hours, _, minutes = form.get(name).partition(":")
    if hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60:
        return int(hours) * 60 + int(minutes)
    form.fault(name, "Write a time, such as 17:00.")
    return None


@area.post("/on-call/turns/<int:shift_id>/remove")
def remove_turn(shift_id: int) -> Response:
    def act(db: Session, program: Program, form: Form, at: datetime) -> str:
        on_call.remove_shift(db, program, shift_id, by=by(), now=at)
        return "The turn is out of the pattern."

    return _act(act, field="")


@area.post("/on-call/exceptions")
def add_exception() -> Response:
    return _act(_add_exception, field="exception_person")


def _add_exception(db: Session, program: Program, form: Form, at: datetime) -> str:
    role = form.one_of("exception_role", ROLES, "Choose a role.")
    starts_at = form.instant("exception_from", program.timezone)
    ends_at = form.instant("exception_to", program.timezone)
    for name, moment in (("exception_from", starts_at), ("exception_to", ends_at)):
        if moment is None:
            form.fault(name, "Give date and time.")
    person = form.number("exception_person", least=0, most=2**31 - 1)
    if form.faults or starts_at is None or ends_at is None:
        return ""
    on_call.add_override(
        db,
        program,
        role=role,
        starts_at=starts_at,
        ends_at=ends_at,
        staff_id=person or None,
        by_id=staff().id,
        now=at,
    )
    return "The exception counts before the pattern."


@area.post("/on-call/exceptions/<int:override_id>/cancel")
def cancel_exception(override_id: int) -> Response:
    def act(db: Session, program: Program, form: Form, at: datetime) -> str:
        on_call.cancel_override(db, program, override_id, by_id=staff().id, now=at)
        return "The pattern counts again."

    return _act(act, field="")


@area.post("/on-call/duties/<int:staff_id>")
def duties(staff_id: int) -> Response:
    def act(db: Session, program: Program, form: Form, at: datetime) -> str:
        ticked = set(form.all("duties"))
        on_call.set_duties(
            db,
            _person_or_404(db, program, staff_id),
            is_safeguarding_lead="lead" in ticked,
            is_trained_in_aftercare="aftercare" in ticked,
            by=by(),
            now=at,
        )
        return "Saved."

    return _act(act, field="")


@area.post("/on-call/addresses")
def add_address() -> Response:
    return _act(_add_address, field="address_url")


def _add_address(db: Session, program: Program, form: Form, at: datetime) -> str:
    url = form.required("address_url", "Paste the address.")
    staff_id = form.number("address_person", least=0, most=2**31 - 1)
    if form.faults:
        return ""
    person = _person_or_404(db, program, staff_id) if staff_id else None
    row = notices.add_address(db, program, url=url, person=person, by=by(), now=at)
    return f"{row.service} is added. Send it a test page."


@area.post("/on-call/addresses/<int:address_id>/test")
def test_address(address_id: int) -> Response:
    def act(db: Session, program: Program, form: Form, at: datetime) -> str:
        notices.queue_test(db, _address_or_404(db, program, address_id), now=at)
        return "The test page is on its way. How it went stands here in some seconds."

    return _act(act, field="")


@area.post("/on-call/addresses/<int:address_id>/remove")
def remove_address(address_id: int) -> Response:
    def act(db: Session, program: Program, form: Form, at: datetime) -> str:
        notices.remove_address(db, _address_or_404(db, program, address_id), by=by(), now=at)
        return "The address is removed and forgotten."

    return _act(act, field="")


def _person_or_404(db: Session, program: Program, staff_id: int) -> Staff:
    person = db.get(Staff, staff_id)
    if person is None or person.program_id != program.id:
        abort(404)
    return person


def _address_or_404(db: Session, program: Program, address_id: int) -> StaffAddress:
    row = db.get(StaffAddress, address_id)
    if row is None or row.program_id != program.id or row.removed_at is not None:
        abort(404)
    return row
