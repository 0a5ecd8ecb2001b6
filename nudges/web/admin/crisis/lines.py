"""Help lines by country and the words of replies: what is sent, when it was checked, and two people to change it."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

from flask import abort, flash, request, url_for
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from nudges import languages
from nudges.crisis import edition, replies, resources
from nudges.crisis.edition import Edition
from nudges.desk import content, drafting, lines, versions
from nudges.publishing import StaleDraft
from nudges.web.admin.crisis.areas import desk_area, put_by_click, put_in_draft
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
    """The line as its draft has it, or as it is in force."""
    with transaction() as db:
        chosen, revision = _with_draft(db, lines.line_key(country, line))
    known = chosen.countries.get(country)
    raw = resources.line_to_json(known.lines[line]) if known is not None and line in known.lines else {}
    values = {key: value or "" for key, value in raw.items()} | {"revision": str(revision)}
    return _edit(chosen, country, line, Form(values=MultiDict(values)))


def _with_draft(db: Session, key: str) -> tuple[Edition, int]:
    """The desk with the draft of one key, to go on writing from, and that draft's revision."""
    draft = drafting.open_draft(db, key)
    changed = content.applied(versions.live_content(db), [(key, json.loads(draft.text))])
    return edition.trial(changed), draft.revision


def _edit(live: Edition, country: str, name: str, form: Form) -> Response:
    known = live.countries.get(country)
    if known is None or name not in lines.NAMES:
        abort(404)
    line = known.lines.get(name)
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
    key = lines.line_key(country, line)
    return put_in_draft(form, drafting.propose, key, value) or _edit(live, country, line, form)


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
    try:
        with transaction() as db:
            _note_as_called(db, country, at)
    except StaleDraft:
        flash("Somebody else has a change of one of these lines in the draft: decide that first.", "bad")
        return back_to(url_for("desk_lines.index"))
    flash("In the draft: publish it, and the dates are new.", "good")
    return back_to(url_for("desk_drafts.show"))


def _note_as_called(db: Session, country: str, at: datetime) -> None:
    known, today = _live(db).countries.get(country), _today(db)
    if known is None:
        abort(404)
    for name, line in known.lines.items():
        value = resources.line_to_json(line) | {
            "verified_on": today.isoformat(),
            "next_review": (today + lines.REVIEW_EVERY).isoformat(),
        }
        drafting.propose(db, lines.line_key(country, name), value, staff_id=staff().id, now=at)


@area.post("/crisis/lines/<country>/enabled")
def enabled(country: str) -> Response:
    """Turn a country on or off: numbers, or words instead of numbers."""
    is_on = request.form.get("enabled") == "yes"
    return put_by_click(url_for("desk_lines.index"), drafting.propose, f"{edition.COUNTRY}:{country}", is_on)


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
    """The reply as its draft has it, or as it is in force."""
    with transaction() as db:
        chosen, revision = _with_draft(db, f"{edition.REPLY}:{lang}.{text}")
    return _reply(chosen, lang, text, Form(values=MultiDict({"revision": str(revision)})))


def _reply(live: Edition, lang: str, key: str, form: Form) -> Response:
    written_in = languages.as_written(lang)
    texts = live.wording[written_in] if written_in is not None else {}
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
            if done := put_in_draft(form, drafting.propose, name, sentences):
                return done
        return _reply(edition.trial(content_now) if form.faults else tried, lang, text, form)
    except (KeyError, ValueError, IndexError):
        form.fault("sentences", "Use only {emergency}, {suicide} and the other names below, in whole brackets.")
        return _reply(edition.trial(content_now), lang, text, form)
