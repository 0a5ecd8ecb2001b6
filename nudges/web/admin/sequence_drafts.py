"""Writing a sequence: the editor, checks while typing, the preview for a family, the impact sheet, publishing."""

from __future__ import annotations

from flask import flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.families.snapshots import StaleParent
from nudges.models.family import Family, Parent
from nudges.models.program import Staff
from nudges.models.sequences import SequenceRow
from nudges.publishing import Draft, Looked, Refused, StaleDraft
from nudges.studio import drafts, impact, preview, versions
from nudges.studio.drafts import Checked
from nudges.web.admin.sequences import BUSY, row_or_404
from nudges.web.context import now, program_of_staff, staff, transaction, wiring
from nudges.web.forms import Form
from nudges.web.guards import admin_area
from nudges.web.pages import back_to, page

area = admin_area("sequence_drafts", __name__)
EDIT = "/sequences/<key>/draft"


@area.get(EDIT)
def edit(key: str) -> Response:
    with transaction() as db:
        row = row_or_404(db, key)
        draft = drafts.open_draft(db, row)
        return _editor(db, row, draft, text=draft.text)


def _editor(db: Session, row: SequenceRow, draft: Draft, *, text: str, theirs: Draft | None = None) -> Response:
    """The editor holding `text`; with `theirs` it also says who saved meanwhile and shows the difference."""
    return page(
        "sequences/edit.html",
        row=row,
        draft=draft,
        text=text,
        checked=drafts.check_for(db, row, text, today=now().date()),
        lines=text.splitlines(),
        theirs=theirs,
        difference=versions.diff(theirs.text, text) if theirs else [],
        families=_families(db),
        names={person.id: person.name for person in db.scalars(select(Staff))},
        zone=program_of_staff(db).timezone,
    )


def _families(db: Session) -> list[tuple[int, str]]:
    """Parents to preview for, by family code: the editor shows no names."""
    rows = db.execute(
        select(Parent.id, Family.code)
        .join(Family, Family.id == Parent.family_id)
        .where(Family.program_id == staff().program_id)
        .order_by(Family.code, Parent.id)
    ).all()
    seen: dict[str, int] = {}
    choices = []
    for parent_id, code in rows:
        seen[code] = seen.get(code, 0) + 1
        choices.append((parent_id, f"{code}, parent {seen[code]}"))
    return choices


@area.post(EDIT)
def save(key: str) -> Response:
    form = Form(values=request.form)
    text, at = _typed(), now()
    try:
        with transaction() as db:
            row = row_or_404(db, key)
            drafts.save_draft(db, row, text, expected_revision=_revision(form), staff_id=staff().id, now=at)
    except StaleDraft as stale:
        with transaction() as db:
            return _editor(db, row_or_404(db, key), stale.theirs, text=text, theirs=stale.theirs)
    except Refused as error:
        flash(str(error), "bad")
        with transaction() as db:
            row = row_or_404(db, key)
            return _editor(db, row, drafts.open_draft(db, row), text=text)
    errors = drafts.check_draft(text, key=key, today=now().date()).errors
    flash(f"Saved, with {errors} to mend before publishing." if errors else "Saved.", "warn" if errors else "good")
    return back_to(url_for("sequence_drafts.edit", key=key))


def _revision(form: Form) -> int:
    """The revision that the editor was opened on; one that there is not when the field is missing."""
    given = form.revision()
    return -1 if given is None else given


def _typed() -> str:
    return request.form.get("text", "").replace("\r\n", "\n")


@area.post(f"{EDIT}/check")
def check(key: str) -> Response:
    """Findings of what is typed right now, line by line. Nothing is saved."""
    text = _typed()
    with transaction() as db:
        checked = drafts.check_for(db, row_or_404(db, key), text, today=now().date())
    return page("sequences/_findings.html", checked=checked, lines=text.splitlines())


@area.post(f"{EDIT}/preview")
def show_preview(key: str) -> Response:
    """The texts and moments that a chosen family would get from what is typed right now."""
    form = Form(values=request.form)
    checked = drafts.check_draft(_typed(), key=key, today=now().date())
    at = now()
    coming: list[preview.PreviewText] = []
    with transaction() as db:
        row_or_404(db, key)
        parent = _chosen_parent(db, form)
        if parent is not None and checked.sequence is not None:
            coming = preview.for_parent(db, checked.sequence, parent, ideas=wiring().library.ideas, now=at)
    return page("sequences/_preview.html", checked=checked, parent=parent, coming=coming)


def _chosen_parent(db: Session, form: Form) -> Parent | None:
    parent_id = form.number("parent", least=1, most=2**31)
    parent = db.get(Parent, parent_id) if parent_id else None
    return parent if parent is not None and parent.program_id == staff().program_id else None


@area.post(f"{EDIT}/discard")
def discard(key: str) -> Response:
    form, at = Form(values=request.form), now()
    try:
        with transaction() as db:
            row = row_or_404(db, key)
            drafts.discard_draft(db, row, expected_revision=_revision(form), staff_id=staff().id, now=at)
        flash("The draft is gone; this is the live text again.", "good")
    except StaleDraft:
        flash("Somebody else saved this draft meanwhile. Look at it before you discard it.", "warn")
    return back_to(url_for("sequence_drafts.edit", key=key))


@area.get(f"{EDIT}/publish")
def review(key: str) -> Response:
    """The impact sheet: what changes in the text, and in whose next texts."""
    with transaction() as db:
        return _review(db, row_or_404(db, key), Form())


def _review(db: Session, row: SequenceRow, form: Form) -> Response:
    draft = drafts.open_draft(db, row)
    checked: Checked = drafts.check_for(db, row, draft.text, today=now().date())
    touched: list[impact.FamilyImpact] = []
    if checked.sequence is not None:
        touched = impact.on_running(db, row, checked.sequence, now=now())
    return page(
        "sequences/publish.html",
        row=row,
        looked=versions.looked_at(db, row),
        checked=checked,
        lines=draft.text.splitlines(),
        difference=versions.diff(drafts.live_text(db, row), draft.text),
        touched=touched,
        is_cut=len(touched) == impact.MOST,
        form=form,
    )


@area.post(f"{EDIT}/publish")
def publish(key: str) -> Response:
    form = Form(values=request.form)
    note = form.required("note", "Write what changed and why; the history shows it.")
    move = form.one_of("move", versions.MOVES, "Choose who gets the new version.")
    looked, at = Looked(before=form.get("before"), after=form.get("after")), now()
    if form.faults:
        with transaction() as db:
            return _review(db, row_or_404(db, key), form)
    try:
        with transaction() as db:
            row = row_or_404(db, key)
            version = versions.publish(
                db,
                row,
                note=note,
                move=move,
                looked=looked,
                staff_id=staff().id,
                now=at,
            )
        flash(f"Published as version {version.number}.", "good")
        return back_to(url_for("sequences.show", key=key))
    except Refused as error:
        flash(str(error), "bad")
    except StaleParent:
        flash(BUSY, "warn")
    return back_to(url_for("sequence_drafts.review", key=key))
