"""What a counselor does for a parent: pause, resume, stop, sequences, dates, release a hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import flash, request, url_for
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from nudges.alerts import holds
from nudges.families import care, enrolling
from nudges.families.enrolling import EnrollError
from nudges.inbound import settling
from nudges.models.family import KeyDate, Parent
from nudges.models.program import Program
from nudges.models.safety import Hold
from nudges.web.context import now, staff, transaction
from nudges.web.forms import TEXT_LIMIT, Form
from nudges.web.guards import counselor_area, family_or_404, parent_or_404
from nudges.web.pages import back_to

area = counselor_area("care", __name__)
PARENT = "/families/<int:family_id>/parents/<int:parent_id>"

Act = Callable[[Session, Parent, Form, datetime], str]


def _act(family_id: int, parent_id: int, act: Act) -> Response:
    """Run `act` in one transaction and say what it did; what is wrong is said instead, and nothing is changed."""
    form = Form(values=request.form)
    try:
        with transaction() as db:
            parent = parent_or_404(db, staff(), family_id, parent_id)
            message = act(db, parent, form, now())
            if form.faults:
                raise EnrollError(" ".join(words for messages in form.faults.values() for words in messages))
        flash(message, "good")
    except EnrollError as error:
        flash(str(error), "bad")
    return back_to(url_for("families.show", family_id=family_id))


def _zone(parent: Parent) -> str:
    return str(parent.profile["timezone"])


@area.post(f"{PARENT}/emergency-plan")
def emergency_plan(family_id: int, parent_id: int) -> Response:
    return _act(family_id, parent_id, _emergency_plan)


def _emergency_plan(db: Session, parent: Parent, form: Form, at: datetime) -> str:
    plan, notes = form.get("plan"), form.get("notes")
    if max(len(plan), len(notes)) > TEXT_LIMIT:
        form.fault("plan", f"Too long: at most {TEXT_LIMIT} characters each.")
    else:
        care.set_emergency_plan(db, parent, plan=plan, notes=notes, staff_id=staff().id, now=at)
    return "Kept. It stands on every alert of this parent."


@area.post(f"{PARENT}/pause")
def pause(family_id: int, parent_id: int) -> Response:
    return _act(family_id, parent_id, _pause)


def _pause(db: Session, parent: Parent, form: Form, at: datetime) -> str:
    until = form.midnight("until", _zone(parent))
    if not form.faults:
        care.pause(db, parent, until=until, staff_id=staff().id, now=at)
    return "Paused. Nothing is sent until then." if until else "Paused until somebody resumes."


@area.post(f"{PARENT}/resume")
def resume(family_id: int, parent_id: int) -> Response:
    return _act(family_id, parent_id, _resume)


def _resume(db: Session, parent: Parent, form: Form, at: datetime) -> str:
    care.resume(db, parent, staff_id=staff().id, now=at)
    return "Resumed. What was missed is not caught up on; the rest moves."


@area.post(f"{PARENT}/not-this-week")
def not_this_week(family_id: int, parent_id: int) -> Response:
    return _act(family_id, parent_id, _not_this_week)


def _not_this_week(db: Session, parent: Parent, form: Form, at: datetime) -> str:
    care.not_this_week(db, parent, staff_id=staff().id, now=at)
    return "Quiet until Sunday. What was to come moves; their own texts are still answered."


@area.post(f"{PARENT}/not-this-week/undo")
def undo_not_this_week(family_id: int, parent_id: int) -> Response:
    return _act(family_id, parent_id, _undo_not_this_week)


def _undo_not_this_week(db: Session, parent: Parent, form: Form, at: datetime) -> str:
    care.undo_not_this_week(db, parent, form.get("days"), staff_id=staff().id, now=at)
    return "Taken back. What comes next is planned anew."


@area.post(f"{PARENT}/opt-out")
def opt_out(family_id: int, parent_id: int) -> Response:
    return _act(family_id, parent_id, _opt_out)


def _opt_out(db: Session, parent: Parent, form: Form, at: datetime) -> str:
    how = form.one_of("how", ("phone", "in_person", "email", "letter"), "Choose how they asked.")
    if not form.faults:
        care.opt_out(db, parent, how=f"told staff: {how}", staff_id=staff().id, now=at)
    return "Stopped at once. Only their own START brings texts back."


@area.post(f"{PARENT}/sequences")
def start_sequence(family_id: int, parent_id: int) -> Response:
    return _act(family_id, parent_id, _start)


def _start(db: Session, parent: Parent, form: Form, at: datetime) -> str:
    key = form.required("key", "Choose a sequence.")
    if key:
        enrolling.start_sequence(db, parent, key, staff_id=staff().id, now=at)
    return f"{key} has started."


@area.post(f"{PARENT}/sequences/stop")
def stop_sequence(family_id: int, parent_id: int) -> Response:
    return _act(family_id, parent_id, _stop)


def _stop(db: Session, parent: Parent, form: Form, at: datetime) -> str:
    key = form.required("key", "Choose a sequence.")
    reason = form.get("reason") or "a counselor stopped it"
    if not enrolling.stop_sequence(db, parent, key, reason=reason, staff_id=staff().id, now=at):
        raise EnrollError("They are not in this sequence any more.")
    return f"{key} has stopped; what it had queued was taken back."


@area.post(f"{PARENT}/dates")
def set_date(family_id: int, parent_id: int) -> Response:
    return _act(family_id, parent_id, _set_date)


def _set_date(db: Session, parent: Parent, form: Form, at: datetime) -> str:
    kind = form.one_of("kind", care.KINDS, "Choose what kind of date it is.")
    nth = form.number("nth", least=1, most=500) or 1
    moment = form.instant("at", _zone(parent))
    if moment is None and not form.faults:
        form.fault("at", "Give date and time.")
    if moment is not None and not form.faults:
        care.set_key_date(db, parent, kind, nth, moment, staff_id=staff().id, now=at)
    return "Recorded. What hangs on it is planned anew."


@area.post(f"{PARENT}/dates/<int:date_id>/move")
def move_date(family_id: int, parent_id: int, date_id: int) -> Response:
    def act(db: Session, parent: Parent, form: Form, at: datetime) -> str:
        row = _date(db, parent, date_id)
        moment = form.instant("at", _zone(parent))
        if moment is None:
            form.fault("at", "Give the new date and time.")
        else:
            care.move_key_date(db, parent, row.kind, row.nth, moment, staff_id=staff().id, now=at)
        return "Moved. What hangs on it is planned anew."

    return _act(family_id, parent_id, act)


@area.post(f"{PARENT}/dates/<int:date_id>/mark")
def mark_date(family_id: int, parent_id: int, date_id: int) -> Response:
    def act(db: Session, parent: Parent, form: Form, at: datetime) -> str:
        row = _date(db, parent, date_id)
        status = form.one_of("status", ("done", "missed", "cancelled"), "Choose how it went.")
        if not form.faults:
            care.mark_key_date(db, parent, row.kind, row.nth, status, staff_id=staff().id, now=at)
        return f"Marked as {status}."

    return _act(family_id, parent_id, act)


def _date(db: Session, parent: Parent, date_id: int) -> KeyDate:
    row = db.get(KeyDate, date_id)
    if row is None or row.parent_id != parent.id:
        raise NotFound
    return row


@area.post("/families/<int:family_id>/holds/<int:hold_id>/release")
def release_hold(family_id: int, hold_id: int) -> Response:
    """Texts start again only through here: with a reason, and a choice of how."""
    form = Form(values=request.form)
    at = now()
    try:
        with transaction() as db:
            family = family_or_404(db, staff(), family_id)
            hold = db.get(Hold, hold_id)
            if hold is None or hold.family_id != family_id:
                raise NotFound
            release = _release(form, db.get_one(Program, family.program_id).timezone)
            if form.faults:
                raise holds.HoldError(" ".join(words for messages in form.faults.values() for words in messages))
            holds.release_hold(db, hold, staff().id, form.get("reason"), release, at)
        flash(_RELEASED[release.path], "good")
    except (holds.HoldError, EnrollError) as error:
        flash(str(error), "bad")
    return back_to(url_for("families.show", family_id=family_id))


_RELEASED = {
    "aftercare": "Released. The texts for the time after a crisis begin; talks rest.",
    "resume": "Released. Nothing is caught up on in a burst.",
    "rest": "Released. Nothing is sent until then.",
    "finish": "Released, and finished: nothing more is sent.",
}


def _release(form: Form, zone: str) -> holds.Release:
    """How the family goes on, as the form says it."""
    path = form.one_of("path", tuple(_RELEASED), "Choose how to go on.")
    return holds.Release(
        path=path,
        at_step=form.get("at_step").strip().upper() or None if path == "resume" else None,
        until=form.midnight("until", zone) if path == "rest" else None,
        talks_may_go_on=form.get("talks") == "yes",
    )


@area.post(f"{PARENT}/settle")
def settle(family_id: int, parent_id: int) -> Response:
    """A person settles the question that must not stay open, with what the parent told them."""
    return _act(family_id, parent_id, _settle)


def _settle(db: Session, parent: Parent, form: Form, at: datetime) -> str:
    settling.settle(db, parent, form.required("digit", "Choose the answer."), staff_id=staff().id, now=at)
    return "Noted, as if they had answered by text."


@area.post(f"{PARENT}/gate")
def open_gate(family_id: int, parent_id: int) -> Response:
    """A person says that the gate may be asked again when its conditions hold."""
    return _act(family_id, parent_id, _open_gate)


def _open_gate(db: Session, parent: Parent, form: Form, at: datetime) -> str:
    care.open_gate(db, parent, staff_id=staff().id, now=at)
    return "The question may come again when its conditions hold."
