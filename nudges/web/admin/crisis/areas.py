"""The desk's blueprints: for admins, and always over what is in force. How their pages put a change into the draft."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from flask import Blueprint, flash, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from nudges.desk.live import follow
from nudges.models.phrases import PhraseChange
from nudges.models.program import Staff
from nudges.publishing import Refused, StaleDraft
from nudges.web.context import now, staff, transaction, wiring
from nudges.web.forms import Form
from nudges.web.guards import admin_area
from nudges.web.pages import back_to

MOST_FAULTS = 5
Propose: TypeAlias = Callable[..., PhraseChange | None]  # of desk.drafting


def desk_area(name: str, import_name: str) -> Blueprint:
    """An admin area whose pages show the newest version, also where no text has come in since."""
    area = admin_area(name, import_name)
    area.before_request(_follow)
    return area


def _follow() -> None:
    follow(wiring().screen)


def put_in_draft(
    form: Form, propose: Callable[..., PhraseChange | None], *what: object, **how: object
) -> Response | None:
    """Let `propose` put `what` into the draft, and go there. None, with the faults in `form`, where
    that cannot be.
    """
    at = now()
    try:
        with transaction() as db:
            row = propose(db, *what, **how, staff_id=staff().id, now=at, over=form.revision())
    except (Refused, StaleDraft) as error:
        _note(form, error)
        return None
    words = "It is in the draft. Compare it with what is in force, then publish." if row else "Nothing has changed."
    flash(words, "good")
    return back_to(url_for("desk_drafts.show"))


def put_by_click(back: str, propose: Propose, *what: object) -> Response:
    """The same where nobody typed anything: where it cannot be, go `back` and say why."""
    form = Form()
    if done := put_in_draft(form, propose, *what):
        return done
    for fault in form.faults[""]:
        flash(fault, "bad")
    return back_to(back)


def _note(form: Form, error: Refused | StaleDraft) -> None:
    """After StaleDraft the form stands on what the other wrote, so that saving again, knowingly, goes through."""
    if isinstance(error, Refused):
        for fault in error.faults[:MOST_FAULTS]:
            form.fault("", fault)
        return
    with transaction() as db:
        other = db.get(Staff, error.theirs.by) if error.theirs.by is not None else None
        name = other.name if other is not None else "Somebody"
    form.values = MultiDict(form.values)
    form.values["revision"] = str(error.theirs.revision)
    form.fault(
        "", f"{name} has changed the draft of this meanwhile: look at it first. Saving again puts yours in its place."
    )
