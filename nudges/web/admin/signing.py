"""Sign-off: every text with who vouches for it, for the people who may say yes; admins say who those are."""

from __future__ import annotations

from flask import Blueprint, abort, flash, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.library import signing as sign_offs
from nudges.library.signing import CannotSign
from nudges.library.texts import ROLES
from nudges.models.program import Staff
from nudges.studio import sign_offs as studio
from nudges.studio.sign_offs import Chapter
from nudges.web.admin.staff_accounts import person_or_404
from nudges.web.context import now, program_of_staff, staff, transaction, wiring
from nudges.web.forms import Form
from nudges.web.guards import to_sign_in
from nudges.web.pages import back_to, page

area = Blueprint("signing", __name__, url_prefix="/sign-off")


@area.before_request
def require_reviewer() -> Response | None:
    """Admins, and whoever may sign as something."""
    if not current_user.is_authenticated:
        return to_sign_in()
    with transaction() as db:
        may_sign = bool(sign_offs.roles_of(db, staff().id))
    if not (may_sign or staff().is_admin):
        abort(403)
    return None


@area.get("/")
def index() -> Response:
    with transaction() as db:
        program = program_of_staff(db)
        people = db.scalars(
            select(Staff).where(Staff.program_id == program.id, Staff.is_active).order_by(Staff.id)
        ).all()
        return page(
            "signing/index.html",
            program=program,
            chapters=studio.chapters(db, program, wiring().library),
            people=people,
            reviewers=sign_offs.reviewers(db, program.id),
            roles=ROLES,
        )


@area.post("/people/<int:staff_id>")
def set_roles(staff_id: int) -> Response:
    if not staff().is_admin:
        abort(403)
    form, at = Form(values=request.form), now()
    wanted = [role for role in form.all("role") if role in ROLES]
    with transaction() as db:
        sign_offs.set_roles(db, person_or_404(db, staff_id), wanted, by=f"staff:{staff().id}", now=at)
    flash("Saved.", "good")
    return back_to(url_for("signing.index"))


@area.get("/<key>")
def show(key: str) -> Response:
    live = request.args.get("of") == "live"
    with transaction() as db:
        return page(
            "signing/show.html",
            program=program_of_staff(db),
            chapter=chapter_or_404(db, key, live=live),
            mine=sorted(sign_offs.roles_of(db, staff().id), key=list(ROLES).index),
            roles=ROLES,
            sequences=key not in studio.OTHERS,
        )


def chapter_or_404(db: Session, key: str, *, live: bool) -> Chapter:
    found = studio.chapter(db, program_of_staff(db), wiring().library, key, live=live)
    if found is None:
        abort(404)
    return found


@area.post("/<key>")
def sign(key: str) -> Response:
    """Sign what was ticked, or with `all` everything that was in view."""
    form, at = Form(values=request.form), now()
    role = form.one_of("role", ROLES, "Choose as what you sign.")
    live = form.get("of") == "live"
    seen = {_place_and_digest(value) for value in form.all("seen" if form.get("all") else "text")}
    if form.faults or not seen:
        flash("Tick the texts that you sign, and say as what.", "bad")
        return back_to(url_for("signing.show", key=key))
    try:
        with transaction() as db:
            program = program_of_staff(db)
            of = chapter_or_404(db, key, live=live)
            note = form.get("note")[:500]
            signed = studio.sign(db, program, of, role, seen=seen, staff_id=staff().id, note=note, now=at)
        flash(f"Signed: {signed} {'text' if signed == 1 else 'texts'}, as {ROLES[role]}.", "good" if signed else "warn")
    except CannotSign as error:
        flash(str(error), "bad")
    return back_to(url_for("signing.show", key=key, of="live" if live else None))


def _place_and_digest(value: str) -> tuple[str, str]:
    digest, _, place = value.partition(" ")
    return place, digest


@area.post("/<key>/take-back")
def take_back(key: str) -> Response:
    form, at = Form(values=request.form), now()
    sign_off_id = form.number("sign_off", least=1, most=2**31)
    try:
        with transaction() as db:
            gone = sign_off_id and sign_offs.take_back(db, staff().program_id, sign_off_id, staff_id=staff().id, now=at)
        flash("Taken back: the text waits for a sign-off again." if gone else "It was taken back already.", "warn")
    except CannotSign as error:
        flash(str(error), "bad")
    return back_to(url_for("signing.show", key=key))
