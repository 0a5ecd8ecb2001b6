"""The test bench: paste a text and see what the screen would do with it. Nothing is stored unless somebody keeps it."""

from __future__ import annotations

from flask import abort, flash, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges import languages
from nudges.alerts import corpus as judged
from nudges.alerts.topics import SUBJECTS
from nudges.crisis import edition, replies
from nudges.crisis.edition import Edition
from nudges.desk import bench, content, drafting, versions
from nudges.models.family import Parent
from nudges.models.messages import Inbound
from nudges.web.admin.crisis.areas import desk_area
from nudges.web.context import now, program_of_staff, staff, transaction
from nudges.web.forms import Form
from nudges.web.pages import back_to, page

area = desk_area("desk_bench", __name__)
LANGUAGES = (("", "As written"), *((code, languages.name_of(code)) for code in languages.WRITTEN))
LABELS = (("crisis", "A crisis"), ("check", "Doubtful"), ("ordinary", "Ordinary"))
TIERS = (("", "Says nothing of it"), *SUBJECTS.items())


@area.get("/crisis/bench")
def show() -> Response:
    """The empty bench, or a text that came in (`?inbound=`), which is put on record."""
    inbound_id, at = request.args.get("inbound", type=int), now()
    form = Form()
    with transaction() as db:
        country = program_of_staff(db).country
        if inbound_id is not None:
            row = _inbound_or_404(db, inbound_id)
            bench.note_real_use(db, staff_id=staff().id, inbound=row, texts=1, now=at)
            return _page(form, text=row.body, country=country, inbound=row)
    return _page(form, text="", country=country)


def _inbound_or_404(db: Session, inbound_id: int) -> Inbound:
    row = db.get(Inbound, inbound_id)
    parent = db.get(Parent, row.parent_id) if row is not None and row.parent_id is not None else None
    if row is None or parent is None or parent.program_id != staff().program_id:
        abort(404)
    return row


@area.post("/crisis/bench")
def try_it() -> Response:
    form = Form(values=request.form)
    typed, at = request.form.get("text", ""), now()
    texts = [line for line in typed.splitlines() if line.strip()] if form.get("many") else [typed]
    if not typed.strip():
        form.fault("text", "Paste a text first.")
    if len(texts) > bench.MOST_TEXTS:
        form.fault("text", f"At most {bench.MOST_TEXTS} texts at once; these are {len(texts)}.")
    with transaction() as db:
        draft = _draft(db) if form.get("by") == "draft" else None
        if form.get("real") and not form.faults:
            bench.note_real_use(db, staff_id=staff().id, inbound=None, texts=len(texts), now=at)
    trials = [] if form.faults else [_trial(text, form, draft) for text in texts]
    with transaction() as db:
        calls = bench.who_is_paged(db, staff().program_id, trials[0].screening, now=at) if len(trials) == 1 else ()
    return _page(form, text=typed, country=form.get("country"), trials=trials, calls=calls)


def _draft(db: Session) -> Edition:
    """Everything that is proposed, over what is in force."""
    live = versions.live_content(db)
    alone, second = drafting.lot(db, needs_second=False), drafting.lot(db, needs_second=True)
    changes = [(change.key, change.after) for lot in (alone, second) for change in lot.changes]
    return edition.trial(content.applied(live, changes))


def _trial(text: str, form: Form, draft: Edition | None) -> bench.Trial:
    lang = languages.as_written(form.get("lang"))
    shift, today = form.get("shift") != "no", now().date()
    return bench.try_text(text, lang=lang, country=form.get("country"), alerted=shift, by=draft, today=today)


def _page(
    form: Form,
    *,
    text: str,
    country: str,
    trials: list[bench.Trial] | None = None,
    calls: tuple[bench.Call, ...] = (),
    inbound: Inbound | None = None,
) -> Response:
    return page(
        "desk/bench.html",
        form=form,
        text=text,
        country=country,
        trials=trials or [],
        calls=calls,
        inbound=inbound,
        countries=[*replies.countries(), "XX"],
        reply_languages=LANGUAGES,
        labels=LABELS,
        tiers=TIERS,
        held=bench.what_is_held,
        hits_of=bench.hits_of,
        subjects=SUBJECTS,
    )


@area.post("/crisis/bench/keep")
def keep() -> Response:
    """Put a text into the corpus, with its right label and the reason."""
    form, at = Form(values=request.form), now()
    try:
        with transaction() as db:
            judged.add_text(
                db,
                program_id=staff().program_id,
                text=request.form.get("text", "")[: bench.MOST_CHARACTERS],
                label=form.get("label"),
                tier=form.one_of("tier", dict(TIERS), "") or None,
                origin="import",
                reason=form.get("reason"),
                staff_id=staff().id,
                now=at,
            )
    except judged.CorpusError as error:
        flash(str(error), "bad")
        return back_to(url_for("desk_bench.show"))
    flash("It is in the corpus now: every draft is tried on it.", "good")
    return back_to(url_for("desk_bench.show"))
