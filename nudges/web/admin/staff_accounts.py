"""Staff accounts: who may sign in, which families they look after, who is paged and in which order."""

from __future__ import annotations

from datetime import datetime

from flask import abort, flash, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.families import staff as people
from nudges.families.phones import PhoneError
from nudges.families.staff import StaffError
from nudges.models.family import Family, FamilyStaff
from nudges.models.program import Staff
from nudges.web.context import now, program_of_staff, staff, transaction
from nudges.web.forms import Form
from nudges.web.guards import admin_area
from nudges.web.pages import back_to, page

area = admin_area("staff_accounts", __name__)
PERSON = "/staff/<int:staff_id>"
SHOWN = 200  # families that one page offers


def person_or_404(db: Session, staff_id: int) -> Staff:
    person = db.get(Staff, staff_id)
    if person is None or person.program_id != staff().program_id:
        abort(404)
    return person


def by() -> str:
    return f"staff:{staff().id}"


@area.get("/staff")
def index() -> Response:
    return _index(Form())


def _index(form: Form) -> Response:
    with transaction() as db:
        rows = db.scalars(
            select(Staff).where(Staff.program_id == staff().program_id).order_by(Staff.is_active.desc(), Staff.id)
        ).all()
        links = select(FamilyStaff.staff_id, func.count().label("families")).group_by(FamilyStaff.staff_id)
        counts = {row.staff_id: row.families for row in db.execute(links)}
        on_call = people.on_call(db, staff().program_id)
    return page("admin/staff.html", rows=rows, counts=counts, on_call=on_call, form=form, least=people.LEAST_PASSWORD)


@area.post("/staff")
def create() -> Response:
    form = Form(values=request.form)
    at = now()
    try:
        with transaction() as db:
            people.create_staff(
                db,
                program=program_of_staff(db),
                email=form.get("email"),
                name=form.get("name"),
                role=form.get("role"),
                password=form.values.get("password", ""),
                now=at,
                by=by(),
            )
    except StaffError as error:
        form.fault(_field_of(str(error)), str(error))
        return _index(form)
    flash("The account is ready. Tell them the password in person; they can change it after signing in.", "good")
    return back_to(url_for("staff_accounts.index"))


def _field_of(message: str) -> str:
    words = message.lower()
    return next((field for field in ("e-mail", "role", "name", "password") if field in words), "").replace("-", "")


@area.get(PERSON)
def show(staff_id: int) -> Response:
    return _show(staff_id, Form())


def _show(staff_id: int, form: Form) -> Response:
    with transaction() as db:
        person = person_or_404(db, staff_id)
        shown = _shown(db, person, _code())
    return page(
        "admin/person.html",
        person=person,
        families=[family for family, _ in shown],
        assigned={family.id for family, is_theirs in shown if is_theirs},
        code=_code(),
        is_cut=len(shown) == SHOWN,
        form=form,
        least=people.LEAST_PASSWORD,
    )


@area.post(f"{PERSON}/families")
def assign(staff_id: int) -> Response:
    form = Form(values=request.form)
    wanted = {int(value) for value in form.all("families") if value.isdigit()}
    at = now()
    with transaction() as db:
        person = person_or_404(db, staff_id)
        _assign(db, person, wanted, at)
    flash("Saved.", "good")
    return back_to(url_for("staff_accounts.show", staff_id=staff_id, code=_code() or None))


def _code() -> str:
    return request.args.get("code", "").strip().upper()


def _shown(db: Session, person: Staff, code: str) -> list[tuple[Family, bool]]:
    """The families that the page offers, those that this person has first, and whether they have it."""
    theirs = (FamilyStaff.family_id == Family.id) & (FamilyStaff.staff_id == person.id)
    rows = (
        select(Family, FamilyStaff.staff_id.is_not(None))
        .where(Family.program_id == person.program_id, Family.code.startswith(code, autoescape=True))
        .order_by(Family.code)
        .limit(SHOWN)
    )
    own = db.execute(rows.join(FamilyStaff, theirs))
    others = db.execute(rows.outerjoin(FamilyStaff, theirs).where(FamilyStaff.staff_id.is_(None)))
    shown = [(row[0], bool(row[1])) for row in (*own, *others)][:SHOWN]
    return sorted(shown, key=lambda family: family[0].code)


def _assign(db: Session, person: Staff, wanted: set[int], at: datetime) -> None:
    """What was ticked is theirs; of the others only those that the page offered are taken away."""
    had = {family.id: family for family, is_theirs in _shown(db, person, _code()) if is_theirs}
    for family_id in sorted(wanted - had.keys()):
        family = db.get(Family, family_id)
        if family is not None and family.program_id == person.program_id:
            people.assign(db, family, person, by=by(), now=at)
    for family_id in sorted(had.keys() - wanted):
        people.unassign(db, had[family_id], person, by=by(), now=at)


@area.post(f"{PERSON}/on-call")
def on_call(staff_id: int) -> Response:
    form = Form(values=request.form)
    rank = form.number("rank", least=1, most=50)
    at = now()
    if not form.faults:
        try:
            with transaction() as db:
                person = person_or_404(db, staff_id)
                people.set_on_call(db, person, phone=form.get("phone") or None, rank=rank, by=by(), now=at)
            flash("Saved.", "good")
            return back_to(url_for("staff_accounts.show", staff_id=staff_id))
        except PhoneError as error:
            form.fault("phone", str(error))
        except StaffError as error:
            form.fault("rank", str(error))
    return _show(staff_id, form)


@area.post(f"{PERSON}/password")
def password(staff_id: int) -> Response:
    """A new password for somebody who lost theirs; their sessions end."""
    form = Form(values=request.form)
    at = now()
    try:
        with transaction() as db:
            people.change_password(db, person_or_404(db, staff_id), form.values.get("password", ""), by=by(), now=at)
    except StaffError as error:
        form.fault("password", str(error))
        return _show(staff_id, form)
    flash("The password is changed, and their sessions have ended.", "good")
    return back_to(url_for("staff_accounts.show", staff_id=staff_id))


@area.post(f"{PERSON}/active")
def active(staff_id: int) -> Response:
    """Close an account, or open it again. Nobody closes their own."""
    wanted = request.form.get("active") == "yes"
    at = now()
    if staff_id == staff().id:
        flash("You cannot close your own account; another admin can.", "bad")
        return back_to(url_for("staff_accounts.show", staff_id=staff_id))
    with transaction() as db:
        people.set_active(db, person_or_404(db, staff_id), wanted, by=by(), now=at)
    flash("The account is open again." if wanted else "The account is closed and signed out everywhere.", "good")
    return back_to(url_for("staff_accounts.show", staff_id=staff_id))
