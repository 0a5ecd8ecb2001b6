"""A counselor writes to a parent as a person; the automation rests while they talk."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from flask import flash, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.alerts import holds
from nudges.ledger import record
from nudges.models.family import Family, Parent
from nudges.outbox import queue
from nudges.web.context import now, staff, transaction
from nudges.web.counselor.families import family_page
from nudges.web.forms import Form
from nudges.web.guards import counselor_area, parent_or_404
from nudges.web.pages import back_to, page
from schedules import segments

area = counselor_area("conversation", __name__)
LASTS: Final = timedelta(hours=12)  # a personal text that could not leave for so long needs a new look
MOST_PARTS: Final = 6


@area.post("/families/<int:family_id>/parents/<int:parent_id>/texts")
def write(family_id: int, parent_id: int) -> Response:
    form = Form(values=request.form)
    at = now()
    with transaction() as db:
        parent = parent_or_404(db, staff(), family_id, parent_id)
        words = _words(form, parent)
        if not form.faults:
            _send(db, parent, words, at)
        else:
            values = family_page(db, db.get_one(Family, family_id), at=at)
    if form.faults:
        return page("families/show.html", **{**values, "form": form, "writing_to": parent_id})
    flash("On its way. The automatic texts rest while you talk.", "good")
    return back_to(url_for("families.show", family_id=family_id))


def _words(form: Form, parent: Parent) -> str:
    words = form.required("words", "Write something first.").replace("\r\n", "\n")
    if parent.status == "opted_out":
        form.fault("words", "They asked us to stop: no text may go to this phone. Call them instead.")
    if parent.status == "invited":
        form.fault("words", "They have not said yes yet: no text may go to this phone.")
    parts = segments.count(words).parts if words else 0
    if parts > MOST_PARTS:
        form.fault("words", f"Too long for texts: {parts} parts, at most {MOST_PARTS}. Shorten it, or call.")
    return words


def _send(db: Session, parent: Parent, words: str, at: datetime) -> None:
    """Queue the text, let the automation rest, and write down that (not what) a person wrote."""
    text = queue.NewText(
        category="person",
        to=parent.phone,
        body=words,
        language=parent.language,
        parent_id=parent.id,
        staff_id=staff().id,
        expires_at=at + LASTS,
    )
    row = queue.enqueue(db, text, program_id=parent.program_id, now=at)
    holds.open_conversation(db, parent, staff_id=staff().id, now=at)
    record.append(
        db,
        at=at,
        actor=f"staff:{staff().id}",
        action="person.wrote",
        family_id=parent.family_id,
        parent_id=parent.id,
        subject=f"outbox:{row.id}",
    )
