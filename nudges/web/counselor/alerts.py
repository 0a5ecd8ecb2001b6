"""Alerts: the banner on every page, the list, one alert with what a person did about it."""

from __future__ import annotations

from flask import flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.alerts import acknowledging, aftercare, figures, judging, raising, thread
from nudges.alerts.acknowledging import OUTCOMES, AlertError
from nudges.families.enrolling import EnrollError
from nudges.models.family import Family, Parent
from nudges.models.messages import Inbound
from nudges.models.program import Staff
from nudges.models.safety import Alert, AlertEvent, Hold
from nudges.web.context import now, program_of_staff, staff, transaction
from nudges.web.forms import Form
from nudges.web.guards import alert_or_404, counselor_area, visible_families
from nudges.web.pages import back_to, page

area = counselor_area("alerts", __name__)
SHOWN = 100
ENDED = "It was resolved already."


@area.get("/alerts")
def index() -> Response:
    with transaction() as db:
        member = db.get_one(Staff, staff().id)
        zone = program_of_staff(db).timezone
        open_ones = raising.open_alerts(db, member, now=now())
        past = db.scalars(
            select(Alert)
            .where(Alert.status == "resolved", Alert.program_id == member.program_id)
            .where(Alert.family_id.in_(select(Family.id).where(*visible_families(staff()))))
            .order_by(Alert.id.desc())
            .limit(SHOWN)
        ).all()
    return page(
        "alerts/index.html",
        fragment="alerts/_open.html",
        open_ones=open_ones,
        past=past,
        zone=zone,
        outcomes=OUTCOMES,
    )


@area.get("/alerts/banner")
def banner() -> Response:
    """The open alerts in one line; every page asks for it every few seconds."""
    with transaction() as db:
        open_ones = raising.open_alerts(db, db.get_one(Staff, staff().id), now=now())
    return page("alerts/_banner.html", open_ones=open_ones)


@area.get("/alerts/<int:alert_id>")
def show(alert_id: int) -> Response:
    return _show(alert_id, Form())


def _show(alert_id: int, form: Form) -> Response:
    with transaction() as db:
        alert = alert_or_404(db, staff(), alert_id)
        return page(
            "alerts/show.html",
            alert=alert,
            form=form,
            family=db.get(Family, alert.family_id) if alert.family_id else None,
            parent=db.get(Parent, alert.parent_id) if alert.parent_id else None,
            country=program_of_staff(db).country,
            texts=_texts(db, alert),
            thread=thread.last_messages(db, alert),
            dangers=judging.DANGERS,
            events=db.scalars(select(AlertEvent).where(AlertEvent.alert_id == alert.id).order_by(AlertEvent.id)).all(),
            holds=db.scalars(select(Hold).where(Hold.alert_id == alert.id, Hold.released_at.is_(None))).all(),
            times=figures.times_of(db, [alert])[0],
            aftercare=aftercare.offer(db, alert, staff().id),
            names={person.id: person.name for person in db.scalars(select(Staff))},
            zone=program_of_staff(db).timezone,
            outcomes=OUTCOMES,
        )


def _texts(db: Session, alert: Alert) -> list[Inbound]:
    """The texts of this episode, oldest first."""
    later = select(AlertEvent.inbound_id).where(AlertEvent.alert_id == alert.id)
    return list(
        db.scalars(select(Inbound).where((Inbound.id == alert.inbound_id) | Inbound.id.in_(later)).order_by(Inbound.id))
    )


@area.post("/alerts/<int:alert_id>/acknowledge")
def acknowledge(alert_id: int) -> Response:
    form = Form(values=request.form)
    at = now()
    with transaction() as db:
        alert = alert_or_404(db, staff(), alert_id)
        mine = acknowledging.acknowledge(db, alert, staff().id, form.get("note"), at)
        holder = alert.acknowledged_by
    if mine or holder == staff().id:
        flash("You have it. Paging has stopped.", "good")
    elif alert.status == "resolved":
        flash("It has ended already; your note was kept.", "warn")
    else:
        flash("Somebody was faster; your note was kept.", "warn")
    return back_to(url_for("alerts.show", alert_id=alert_id))


@area.post("/alerts/<int:alert_id>/note")
def note(alert_id: int) -> Response:
    form = Form(values=request.form)
    words = form.required("note", "Write what was done.")
    if not form.faults:
        at = now()
        with transaction() as db:
            alert = alert_or_404(db, staff(), alert_id)
            if not judging.is_repeated(db, alert, staff().id, "note", words, now=at):
                acknowledging.add_note(db, alert, staff().id, words, at)
        return back_to(url_for("alerts.show", alert_id=alert_id))
    return _show(alert_id, form)


@area.post("/alerts/<int:alert_id>/resolve")
def resolve(alert_id: int) -> Response:
    form = Form(values=request.form)
    at = now()
    try:
        with transaction() as db:
            alert = alert_or_404(db, staff(), alert_id)
            ended = acknowledging.resolve(db, alert, staff().id, form.get("outcome"), form.get("resolve_note"), at)
    except AlertError as error:
        form.fault("resolve_note" if "note" in str(error) else "outcome", str(error))
        return _show(alert_id, form)
    flash("Resolved. Texts stay held until you release them." if ended else ENDED, "good")
    return back_to(url_for("alerts.show", alert_id=alert_id))


@area.post("/alerts/<int:alert_id>/act")
def act(alert_id: int) -> Response:
    """A call that was made, by one of the buttons."""
    form = Form(values=request.form)
    at = now()
    try:
        with transaction() as db:
            alert = alert_or_404(db, staff(), alert_id)
            judging.note_act(db, alert, staff().id, form.get("act"), form.get("act_note"), at)
    except AlertError as error:
        form.fault("act_note", str(error))
        return _show(alert_id, form)
    flash("Written down, with the time.", "good")
    return back_to(url_for("alerts.show", alert_id=alert_id))


@area.post("/alerts/<int:alert_id>/false-alarm")
def false_alarm(alert_id: int) -> Response:
    """It was no danger: the reason goes with the texts into the corpus."""
    form = Form(values=request.form)
    reason = form.required("false_reason", "Say why it was a false alarm; the screen learns from it.")
    if form.faults:
        return _show(alert_id, form)
    at = now()
    with transaction() as db:
        alert = alert_or_404(db, staff(), alert_id)
        ended = acknowledging.resolve(db, alert, staff().id, "false_alarm", reason, at)
    flash("Ended as a false alarm. Texts stay held until you release them." if ended else ENDED, "good")
    return back_to(url_for("alerts.show", alert_id=alert_id))


@area.post("/alerts/<int:alert_id>/danger")
def danger(alert_id: int) -> Response:
    """Another danger than the screen named: its own people are paged."""
    form = Form(values=request.form)
    reason = form.required("danger_reason", "Say why it is another danger; the reason stays on record.")
    chosen = form.one_of("danger", judging.DANGERS, "Choose the danger.")
    if form.faults:
        return _show(alert_id, form)
    at = now()
    with transaction() as db:
        alert = alert_or_404(db, staff(), alert_id)
        is_changed = judging.change_danger(db, alert, staff().id, chosen, reason, at)
    flash("Changed. Whoever answers for this danger is paged now." if is_changed else "Nothing to change.", "good")
    return back_to(url_for("alerts.show", alert_id=alert_id))


@area.post("/alerts/<int:alert_id>/aftercare")
def start_aftercare(alert_id: int) -> Response:
    """A trained person starts it, when the family is ready. Nothing else ever does."""
    at = now()
    try:
        with transaction() as db:
            aftercare.start(db, alert_or_404(db, staff(), alert_id), staff().id, now=at)
        flash("Aftercare has begun for this parent.", "good")
    except (AlertError, EnrollError) as error:
        flash(str(error), "bad")
    return back_to(url_for("alerts.show", alert_id=alert_id))
