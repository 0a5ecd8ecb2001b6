"""Who may see what. Areas guard every route in them; families are looked up only through here."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, abort, make_response, redirect, request, url_for
from flask_login import current_user
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.alerts import raising
from nudges.models.family import Family, FamilyStaff, Parent
from nudges.models.program import Staff
from nudges.models.safety import Alert
from nudges.web.context import SignedIn, now


def counselor_area(name: str, import_name: str) -> Blueprint:
    """A blueprint whose every route needs a signed-in member of staff."""
    area = Blueprint(name, import_name)
    area.before_request(require_staff)
    return area


def admin_area(name: str, import_name: str) -> Blueprint:
    """A blueprint whose every route needs a signed-in admin."""
    area = Blueprint(name, import_name, url_prefix="/admin")
    area.before_request(require_admin)
    return area


def require_staff() -> Response | None:
    return None if current_user.is_authenticated else to_sign_in()


def require_admin() -> Response | None:
    if not current_user.is_authenticated:
        return to_sign_in()
    if not current_user.is_admin:
        abort(403)
    return None


def to_sign_in() -> Response:
    """To the sign-in page, and back afterwards if the request only looked at something."""
    back = request.full_path.rstrip("?") if request.method == "GET" and not is_fragment() else None
    target = url_for("auth.sign_in", next=back)
    if not is_fragment():
        return redirect(target)
    response = make_response("", 200)
    response.headers["HX-Redirect"] = target
    return response


def is_fragment() -> bool:
    """True when htmx asks for a piece of a page."""
    return request.headers.get("HX-Request") == "true"


def local_path(target: str | None) -> str | None:
    """`target` if it is a path on this site, else none: a sign-in never leads away."""
    if not target or not target.startswith("/") or target.startswith("//") or "\\" in target:
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target


def visible_families(member: SignedIn) -> tuple[ColumnElement[bool], ...]:
    """Conditions for a SELECT on families: admins see their program's, counselors the assigned ones."""
    own_program = Family.program_id == member.program_id
    if member.is_admin:
        return (own_program,)
    assigned = select(FamilyStaff.family_id).where(FamilyStaff.staff_id == member.id)
    return (own_program, Family.id.in_(assigned))


def family_or_404(session: Session, member: SignedIn, family_id: int) -> Family:
    """The family, or 404: a stranger cannot tell a hidden family from one that does not exist."""
    family = session.scalars(select(Family).where(Family.id == family_id, *visible_families(member))).one_or_none()
    if family is None:
        abort(404)
    return family


def parent_or_404(session: Session, member: SignedIn, family_id: int, parent_id: int) -> Parent:
    family = family_or_404(session, member, family_id)
    parent = session.get(Parent, parent_id)
    if parent is None or parent.family_id != family.id:
        abort(404)
    return parent


def alert_or_404(session: Session, member: SignedIn, alert_id: int) -> Alert:
    """The alert, or 404; by the rule of raising.answers_for, as the banner and the list."""
    alert = session.get(Alert, alert_id)
    if alert is None or alert.program_id != member.program_id:
        abort(404)
    mine = raising.answers_for(session, session.get_one(Staff, member.id), now=now())
    if session.scalar(select(Alert.id).where(Alert.id == alert_id, *mine)) is None:
        abort(404)
    return alert
