"""Help lines by country and the words of replies: what is sent, when it was checked, and two people to change it."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import abort, flash, request, url_for
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from nudges.crisis import edition, replies, resources
from nudges.crisis.edition import Edition
from nudges.desk import content, drafting, lines, versions
from nudges.desk.faults import DeskError
from nudges.web.admin.crisis.areas import desk_area
from nudges.web.context import now, program_of_staff, staff, transaction
from nudges.web.forms import Form
from nudges.web.pages import back_to, page
from schedules import localtime

area = desk_area("desk_lines", __name__)


def _live(db: Session) -> Edition:
    return edition.trial(versions.live_content(db))


def _today(db: Session) -> date:
    return localtime.local_date(now(), program_of_staff(db).timezone)


@area.get("/crisis/lines")
def index() -> Response:
    with transaction() as db:
        live, today = _live(db), _today(db)
        waiting = {row.key for row in drafting.open_changes(db)}
    return page(
        "desk/lines.html",
        countries=live.countries,
        names=lines.NAMES,
        today=today,
        state_of=lines.state_of,
        waiting=waiting,
    )


@area.get("/crisis/lines/<country>/<line>")
def edit(country: str, line: str) -> Response:
    with transaction() as db:
        live = _live(db)
    return _edit(live, country, line, Form())


def _edit(live: Edition, country: str, name: str, form: Form) -> Response:
    known = live.countries.get(country)
    if known is None or name not in lines.NAMES:
        abort(404)
    line = known.lines.get(name)
    if not form.values and line is not None:
        raw = resources.line_to_json(line)
        form = Form(values=MultiDict({key: value or "" for key, value in raw.items()}), faults=form.faults)
    return page(
        "desk/line.html",
        country=country,
        name=name,
        line=line,
        form=form,
        label=lines.NAMES[name],
        written=_using(live, country, name),
        every=lines.REVIEW_EVERY.days,
    )


def _using(chosen: Edition, country: str, name: str) -> list[lines.Written]:
    """Replies that name this line, while somebody is on shift."""
    field = "{" + name + "}"
    return [
        written
        for written in lines.written(chosen, country=country)
        if written.is_alerted and any(field in s for s in chosen.wording[written.lang][written.key])
    ]


@area.post("/crisis/lines/<country>/<line>")
def change(country: str, line: str) -> Response:
    """Show the replies as they would be sent, or put the line into the draft."""
    form = Form(values=request.form)
    with transaction() as db:
        content_now, today = versions.live_content(db), _today(db)
    live = edition.trial(content_now)
    if country not in live.countries or line not in lines.NAMES:
        abort(404)
    value = _typed(form, today)
    if form.faults:
        return _edit(live, country, line, form)
    if form.get("do") != "save":
        tried = edition.trial(content.applied(content_now, [(lines.line_key(country, line), value)]))
        return _edit(tried, country, line, form)
    return _propose(lines.line_key(country, line), value, url_for("desk_lines.edit", country=country, line=line))


def _typed(form: Form, today: date) -> dict[str, Any]:
    say = form.required("say", "Write the number as a reply should print it, such as 1-800-222-1222.")
    source = form.required("source", "Write where the number comes from: a page, or who confirmed it.")
    verified, review = form.on_date("verified_on"), form.on_date("next_review")
    if verified is None:
        form.fault("verified_on", "Call the line, and write down the day on which it answered.")
    elif verified > today:
        form.fault("verified_on", "That day has not come yet.")
    if verified is not None and (review is None or review <= verified):
        review = verified + lines.REVIEW_EVERY
    if not form.get("dial") and not form.get("text"):
        form.fault("dial", "Write the number to dial, or the one to text.")
    dial = form.get("dial")
    if dial and not dial.replace("+", "", 1).isdigit():
        form.fault("dial", "Digits only, as a phone dials them: 18002221222.")
    return {
        "say": say,
        "say_es": form.get("say_es") or say,
        "dial": dial or None,
        "text": form.get("text") or None,
        "source": source,
        "verified_on": verified.isoformat() if verified else None,
        "next_review": review.isoformat() if review else None,
    }


@area.post("/crisis/lines/<country>/checked")
def checked(country: str) -> Response:
    """Somebody called every line of the country today and all answered."""
    at = now()
    with transaction() as db:
        live, today = _live(db), _today(db)
        known = live.countries.get(country)
        if known is None:
            abort(404)
        for name, line in known.lines.items():
            value = resources.line_to_json(line) | {
                "verified_on": today.isoformat(),
                "next_review": (today + lines.REVIEW_EVERY).isoformat(),
            }
            drafting.propose(db, lines.line_key(country, name), value, staff_id=staff().id, now=at)
    flash("In the draft: publish it, and the dates are new.", "good")
    return back_to(url_for("desk_drafts.show"))


@area.post("/crisis/lines/<country>/enabled")
def enabled(country: str) -> Response:
    """Turn a country on or off: numbers, or words instead of numbers."""
    is_on = request.form.get("enabled") == "yes"
    return _propose(f"{edition.COUNTRY}:{country}", is_on, url_for("desk_lines.index"))


@area.get("/crisis/replies")
def wording() -> Response:
    with transaction() as db:
        live, country = _live(db), program_of_staff(db).country
    shown = request.args.get("country", country)
    return page(
        "desk/replies.html",
        written=[w for w in lines.written(live, country=shown) if w.is_alerted],
        country=shown,
        countries=[*live.countries, "XX"],
    )


@area.get("/crisis/replies/<lang>/<text>")
def reply(lang: str, text: str) -> Response:
    with transaction() as db:
        live = _live(db)
    return _reply(live, lang, text, Form())


def _reply(live: Edition, lang: str, key: str, form: Form) -> Response:
    texts = {"en": live.wording["en"], "es": live.wording["es"]}.get(lang, {})
    if key not in texts or key in replies.STATES:
        abort(404)
    written = [
        w
        for country in (*(c for c, known in live.countries.items() if known.enabled), "XX")
        for w in lines.written(live, country=country)
        if (w.lang, w.key) == (lang, key)
    ]
    return page(
        "desk/reply.html",
        lang=lang,
        key=key,
        sentences="\n".join(texts[key]),
        form=form,
        written=written,
        names=lines.NAMES,
    )


@area.post("/crisis/replies/<lang>/<text>")
def change_reply(lang: str, text: str) -> Response:
    form = Form(values=request.form)
    sentences = [line.strip() for line in form.values.get("sentences", "").splitlines() if line.strip()]
    with transaction() as db:
        content_now = versions.live_content(db)
    if not sentences:
        form.fault("sentences", "Write at least one sentence.")
    name = f"{edition.REPLY}:{lang}.{text}"
    try:
        tried = edition.trial(content.applied(content_now, [(name, sentences)]))
        if not form.faults and form.get("do") == "save":
            return _propose(name, sentences, url_for("desk_lines.reply", lang=lang, text=text))
        return _reply(edition.trial(content_now) if form.faults else tried, lang, text, form)
    except (KeyError, ValueError, IndexError):
        form.fault("sentences", "Use only {emergency}, {suicide} and the other names below, in whole brackets.")
        return _reply(edition.trial(content_now), lang, text, form)


def _propose(key: str, value: object, back: str) -> Response:
    at = now()
    try:
        with transaction() as db:
            row = drafting.propose(db, key, value, staff_id=staff().id, now=at)
    except DeskError as error:
        for fault in error.faults[:5]:
            flash(fault, "bad")
        return back_to(back)
    flash("It is in the draft." if row is not None else "Nothing has changed.", "good")
    return back_to(url_for("desk_drafts.show"))
