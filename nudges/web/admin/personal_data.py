"""One parent's data: handed over as a file, or erased. For admins, from the family page."""

from __future__ import annotations

from flask import flash, make_response, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.families import erasing, handing_over
from nudges.families.enrolling import actor
from nudges.families.erasing import CannotErase
from nudges.models.family import Family, Parent
from nudges.web.context import now, staff, transaction
from nudges.web.forms import Form
from nudges.web.guards import admin_area, parent_or_404
from nudges.web.pages import back_to, page

area = admin_area("personal_data", __name__)
BASE = "/families/<int:family_id>/parents/<int:parent_id>/data"


@area.get(BASE)
def show(family_id: int, parent_id: int) -> Response:
    with transaction() as db:
        parent = parent_or_404(db, staff(), family_id, parent_id)
        return _page(db, parent, Form())


@area.post(f"{BASE}/<any(json, html):kind>")
def hand_over(family_id: int, parent_id: int, kind: str) -> Response:
    """A POST, so that neither a preview nor a crawler in the browser fetches it. The ledger keeps that it was done."""
    at = now()
    with transaction() as db:
        parent = parent_or_404(db, staff(), family_id, parent_id)
        found = erasing.everything_about(db, parent)
        erasing.note_export(db, parent, actor=actor(staff().id), now=at)
    text = handing_over.as_json(found) if kind == "json" else handing_over.as_page(found, made_at=at)
    response = make_response(text)
    # Also the page is a download: opened from here it would be under this site's address.
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers["Content-Disposition"] = f"attachment; filename={found['family']['code']}-{parent_id}.{kind}"
    response.headers["Cache-Control"] = "no-store"
    return response


@area.post(f"{BASE}/erase")
def erase(family_id: int, parent_id: int) -> Response:
    form = Form(values=request.form)
    with transaction() as db:
        parent = parent_or_404(db, staff(), family_id, parent_id)
        code = db.get_one(Family, parent.family_id).code
        if form.get("code").upper() != code:
            form.fault("code", f"Write {code} to say that you mean this family.")
        if not form.faults:
            try:
                erasing.erase(db, parent, actor=actor(staff().id), now=now(), reason=form.get("reason") or None)
            except CannotErase as error:
                form.fault("reason", str(error))
        if form.faults:
            return _page(db, parent, form)
    flash("Erased. The number is never texted again. Remember that older backups still hold the data.", "good")
    return back_to(url_for("families.show", family_id=family_id))


def _page(db: Session, parent: Parent, form: Form) -> Response:
    family = db.get_one(Family, parent.family_id)
    return page("admin/personal_data.html", family=family, parent=parent, form=form)
