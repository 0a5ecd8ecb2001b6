"""The draft beside what is in force, publishing, every version there was, and the way back."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.crisis import edition
from nudges.desk import compare, content, corpus, drafting, lint, versions
from nudges.desk.compare import Comparison
from nudges.models.program import Staff
from nudges.publishing import DRAFT_CHANGED, PUBLISHED_MEANWHILE, Refused
from nudges.web.admin.crisis.areas import desk_area
from nudges.web.context import now, program_of_staff, staff, transaction
from nudges.web.forms import Form
from nudges.web.pages import back_to, page

area = desk_area("desk_drafts", __name__)
READ_AT_ONCE = 120  # texts: about a second
MOST_SHOWN = 60


@area.get("/crisis/draft")
def show() -> Response:
    return _show(Form())


def _show(form: Form) -> Response:
    """Two lots: what one person may publish at once, and what waits for a second one."""
    with transaction() as db:
        rows = corpus.rows(db)
        known = corpus.readings(db, rows)
        live = versions.live_content(db)
        lots = [drafting.lot(db, needs_second=False), drafting.lot(db, needs_second=True)]
        shown: dict[str, Any] = {
            "names": {person.id: person.name for person in db.scalars(select(Staff))},
            "is_clinical": versions.is_clinical(db, staff().id),
            "zone": program_of_staff(db).timezone,
        }
    left = len(corpus.unread(rows, known))
    compared: list[Comparison | None] = [None, None]
    try:
        if not left:
            compared = [_compared(rows, known, live, lot) if lot.rows else None for lot in lots]
    except corpus.ScreenFailsError as error:
        flash(str(error), "bad")
    return page(
        "desk/draft.html",
        lots=list(zip(("alone", "second"), lots, compared, strict=True)),
        left=left,
        total=len({row.text for row in rows}),
        words_of=content.words_of,
        most=MOST_SHOWN,
        form=form,
        **shown,
    )


def _compared(
    rows: tuple[corpus.Row, ...], known: dict[str, corpus.Reading], live: content.Content, lot: drafting.Lot
) -> Comparison:
    return compare.compare(rows, known, edition.trial(live), edition.trial(lot.content))


@area.post("/crisis/draft/read")
def read() -> Response:
    """Read the next texts of the corpus with the screen as shipped: once for each version of rules and model."""
    with transaction() as db:
        rows = corpus.rows(db)
        waiting = corpus.unread(rows, corpus.readings(db, rows))
    try:
        found = corpus.read(waiting[:READ_AT_ONCE])
    except corpus.ScreenFailsError as error:
        flash(str(error), "bad")
        return back_to(url_for("desk_drafts.show"))
    with transaction() as db:
        corpus.keep(db, found)
    left, total = len(waiting) - len(found), len({row.text for row in rows})
    if left <= 0:
        return back_to(url_for("desk_drafts.show"))
    return (
        page("desk/_reading.html", left=left, total=total) if _is_piecewise() else back_to(url_for("desk_drafts.show"))
    )


def _is_piecewise() -> bool:
    return request.headers.get("HX-Request") == "true"


@area.post("/crisis/draft/publish")
def publish() -> Response:
    form, at = Form(values=request.form), now()
    decision = versions.Decision(
        staff_id=staff().id, reason=form.get("reason"), takes_on_alarms=bool(form.get("override"))
    )
    with transaction() as db:
        rows = corpus.rows(db)
        known = corpus.readings(db, rows)
        live = versions.live_content(db)
        lot = drafting.lot(db, needs_second=form.get("lot") == "second")
    if corpus.unread(rows, known):
        form.fault("", "The corpus has to be read first.")
        return _show(form)
    try:
        compared = _compared(rows, known, live, lot)
        _refuse_unseen(form, compared)
        _try_lines(lot)
        with transaction() as db:
            made = versions.publish(
                db, drafting.lot(db, needs_second=form.get("lot") == "second").rows, compared, decision, now=at
            )
    except (Refused, corpus.ScreenFailsError) as error:
        for fault in getattr(error, "faults", (str(error),)):
            form.fault("", fault)
        return _show(form)
    flash(f"Version {made.number} is in force from the next text on.", "good")
    return back_to(url_for("desk_drafts.history"))


def _refuse_unseen(form: Form, compared: Comparison) -> None:
    """What is published is what the page showed."""
    if form.get("before") != compared.before_digest:
        raise Refused(PUBLISHED_MEANWHILE)
    if form.get("after") != compared.after_digest:
        raise Refused(DRAFT_CHANGED)


def _try_lines(lot: drafting.Lot) -> None:
    """Every phrase's own example lines once more, on all that would be in force together."""
    if wrong := lint.lines_hold(edition.trial(lot.content)):
        raise Refused(*wrong)


@area.post("/crisis/draft/<int:change_id>/withdraw")
def withdraw(change_id: int) -> Response:
    at, refused = now(), request.form.get("do") == "refuse"
    with transaction() as db:
        done = drafting.withdraw(db, change_id, staff_id=staff().id, now=at, refused=refused)
    flash("Taken out of the draft." if done else "That was decided already.", "good" if done else "warn")
    return back_to(url_for("desk_drafts.show"))


@area.get("/crisis/versions")
def history() -> Response:
    with transaction() as db:
        return page(
            "desk/versions.html",
            rows=versions.history(db),
            changes_of=versions.changes_of,
            words_of=content.words_of,
            in_force=edition.in_force(),
            **_people(db),
        )


def _people(db: Session) -> dict[str, Any]:
    return {
        "names": {person.id: person.name for person in db.scalars(select(Staff))},
        "zone": program_of_staff(db).timezone,
    }


@area.get("/crisis/versions/<int:number>")
def version(number: int) -> Response:
    with transaction() as db:
        row = versions.version(db, number)
        if row is None:
            abort(404)
        return page(
            "desk/version.html",
            row=row,
            changes=versions.changes_of(row),
            words_of=content.words_of,
            newest=versions.newest(db),
            own=content.phrases_in(versions.content_of(row)),
            **_people(db),
        )


@area.post("/crisis/versions/<int:number>/roll-back")
def roll_back(number: int) -> Response:
    form, at = Form(values=request.form), now()
    try:
        with transaction() as db:
            made = versions.roll_back(db, number, staff_id=staff().id, reason=form.get("reason"), now=at)
    except Refused as error:
        flash(str(error), "bad")
        return back_to(url_for("desk_drafts.history"))
    flash(f"Version {made.number} is in force from the next text on.", "good")
    return back_to(url_for("desk_drafts.history"))
