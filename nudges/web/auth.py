"""Signing in and out, and changing one's password."""

from __future__ import annotations

from flask import Blueprint, flash, g, request, session, url_for
from flask_login import current_user, login_user, logout_user
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.families.staff import LEAST_PASSWORD, StaffError, change_password, verify_password
from nudges.ledger import record
from nudges.models.program import Staff
from nudges.web.context import SignedIn, now, signed_in_as, staff, transaction
from nudges.web.forms import Form
from nudges.web.guards import local_path, require_staff
from nudges.web.pages import back_to, page
from nudges.web.security import account, account_and_address, limiter, sign_in_failed

auth = Blueprint("auth", __name__)
own_account = Blueprint("own_account", __name__, url_prefix="/account")
own_account.before_request(require_staff)


def load_staff(session_id: str) -> SignedIn | None:
    """Who a session belongs to, if the account is active and the session was not ended since."""
    staff_id, _, epoch = session_id.partition(".")
    if not (staff_id.isdigit() and epoch.isdigit()):
        return None
    with transaction() as db:
        row = db.get(Staff, int(staff_id))
    if row is None or not row.is_active or row.session_epoch != int(epoch):
        return None
    return signed_in_as(row)


@auth.get("/")
def home() -> Response:
    return back_to(url_for("families.index"))


@auth.get("/sign-in")
def sign_in() -> Response:
    if current_user.is_authenticated:
        return back_to(url_for("families.index"))
    return page("auth/sign_in.html", form=Form(), next=local_path(request.args.get("next")))


@auth.post("/sign-in")
@limiter.limit("60/5 minutes", deduct_when=sign_in_failed)
@limiter.limit("8/5 minutes", key_func=account_and_address, deduct_when=sign_in_failed)
@limiter.limit("60/hour", key_func=account, deduct_when=sign_in_failed)
def sign_in_now() -> Response:
    form = Form(values=request.form)
    back = local_path(form.get("next"))
    member = _recognise(form.get("email").lower(), form.values.get("password", ""))
    if member is None:
        g.sign_in_failed = True
        form.fault("", "That e-mail and password do not match an active account.")
        return page("auth/sign_in.html", form=form, next=back)
    session.clear()
    session.permanent = True
    login_user(member)
    return back_to(back or url_for("families.index"))


def _recognise(email: str, password: str) -> SignedIn | None:
    at = now()
    with transaction() as db:
        row = verify_password(db, email, password)
        if row is None:
            return None
        record.append(db, at=at, actor=f"staff:{row.id}", action="staff.signed_in")
        return signed_in_as(row)


@auth.post("/sign-out")
def sign_out() -> Response:
    logout_user()
    session.clear()
    return back_to(url_for("auth.sign_in"))


@own_account.get("/password")
def password() -> Response:
    return page("auth/password.html", form=Form(), least=LEAST_PASSWORD)


@own_account.post("/password")
@limiter.limit("10/5 minutes", deduct_when=sign_in_failed)
def change_own_password() -> Response:
    """The new password ends every other session of this person; this one goes on."""
    form = Form(values=request.form)
    if form.values.get("new", "") != form.values.get("again", ""):
        form.fault("again", "The two new passwords differ.")
    with transaction() as db:
        row = db.get_one(Staff, staff().id)
        if verify_password(db, row.email, form.values.get("current", "")) is None:
            g.sign_in_failed = True
            form.fault("current", "That is not your present password.")
        if not form.faults:
            _set_password(db, row, form)
        member = signed_in_as(row)
    if form.faults:
        return page("auth/password.html", form=form, least=LEAST_PASSWORD)
    login_user(member)
    flash("Your password is changed. Other sessions of yours have ended.", "good")
    return back_to(url_for("own_account.password"))


def _set_password(db: Session, row: Staff, form: Form) -> None:
    try:
        change_password(db, row, form.values.get("new", ""), by=f"staff:{row.id}", now=now())
    except StaffError as error:
        form.fault("new", str(error))
