"""Enrolling a family, a further parent of it, and changing what we know of a parent."""

from __future__ import annotations

from datetime import datetime

from flask import flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges import languages
from nudges.families import care, enrolling, fields, snapshots
from nudges.families.consent import WORDING_VERSION, ConsentGiven
from nudges.families.enrolling import WELCOME, EnrollError
from nudges.models.family import Family, Parent
from nudges.models.program import Program
from nudges.models.sequences import SequenceRow, SequenceVersion
from nudges.web.context import now, program_of_staff, staff, transaction, wiring
from nudges.web.counselor import enroll_form
from nudges.web.counselor.enroll_form import ParentGiven
from nudges.web.forms import Form
from nudges.web.guards import counselor_area, family_or_404, parent_or_404
from nudges.web.pages import back_to, page
from schedules import catalog, render
from schedules.values import Sequence

area = counselor_area("enroll", __name__)
STAFF = frozenset({"staff", "therapist", "clinician"})  # of `enrolled_by`; the rest start by themselves


@area.get("/families/new")
def new_family() -> Response:
    with transaction() as db:
        program = program_of_staff(db)
        return _page(db, program, Form(values=enroll_form.fresh(program)), family=None)


@area.post("/families/new")
def create_family() -> Response:
    return _enroll(family_id=None)


@area.get("/families/<int:family_id>/parents/new")
def new_parent(family_id: int) -> Response:
    with transaction() as db:
        family = family_or_404(db, staff(), family_id)
        program = program_of_staff(db)
        return _page(db, program, Form(values=enroll_form.fresh(program)), family=family)


@area.post("/families/<int:family_id>/parents/new")
def create_parent(family_id: int) -> Response:
    return _enroll(family_id=family_id)


def _enroll(family_id: int | None) -> Response:
    """Read everything first; then one transaction for family, parent, dates and sequences, or the form again."""
    form = Form(values=request.form)
    at = now()
    with transaction() as db:
        family = family_or_404(db, staff(), family_id) if family_id is not None else None
        program = program_of_staff(db)
        given = enroll_form.read_parent(form, country=program.country, keys=tuple(_choices(db, program)))
    if given is not None:
        try:
            with transaction() as db:
                enrolled = _store(db, family_id, given, code=form.get("code"), at=at)
            flash("Enrolled. The first text is on its way at the next allowed moment.", "good")
            return back_to(url_for("families.show", family_id=enrolled.id))
        except EnrollError as error:
            form.fault(_field_of(str(error)), str(error))
    with transaction() as db:
        return _page(db, program, form, family=family)


def _field_of(message: str) -> str:
    if "phone" in message:
        return "phone"
    return "code" if "code" in message else ""


def _store(db: Session, family_id: int | None, given: ParentGiven, *, code: str, at: datetime) -> Family:
    member = staff()
    program = program_of_staff(db)
    if wiring().settings.production:
        enrolling.refuse_unsigned_crisis(db, program.id)
    if family_id is None:
        family = enrolling.create_family(db, program=program, staff_id=member.id, code=code or None, now=at)
    else:
        family = family_or_404(db, member, family_id)
    consent = ConsentGiven(
        medium=given.medium, wording_version=WORDING_VERSION, language=given.language, staff_id=member.id
    )
    parent = enrolling.add_parent(
        db,
        family=family,
        name=given.name,
        phone=given.phone,
        language=given.language,
        profile=dict(given.profile),
        consent=consent,
        now=at,
    )
    for key_date in given.dates:
        care.set_key_date(
            db,
            parent,
            key_date.kind,
            key_date.nth,
            key_date.at,
            on_date=key_date.on_date,
            staff_id=member.id,
            now=at,
        )
    for key in given.sequences:
        enrolling.start_sequence(db, parent, key, now=at, staff_id=member.id)
    return family


@area.get("/families/<int:family_id>/parents/<int:parent_id>/profile")
def profile(family_id: int, parent_id: int) -> Response:
    with transaction() as db:
        parent = parent_or_404(db, staff(), family_id, parent_id)
        family = db.get_one(Family, family_id)
        country = program_of_staff(db).country
    form = Form(values=enroll_form.of_profile(parent.profile, parent.language))
    return _profile_page(family, parent, form, country)


@area.post("/families/<int:family_id>/parents/<int:parent_id>/profile")
def change_profile(family_id: int, parent_id: int) -> Response:
    form = Form(values=request.form)
    at = now()
    with transaction() as db:
        parent = parent_or_404(db, staff(), family_id, parent_id)
        family = db.get_one(Family, family_id)
        country = program_of_staff(db).country
        parent = snapshots.locked(db, parent.id)
        language = enroll_form.language_wanted(form, parent.language)
        changes = enroll_form.read_profile(form, parent.profile, country=country)
        if not form.faults and changes:
            care.change_profile(db, parent, changes, staff_id=staff().id, now=at)
        if not form.faults and language != parent.language:
            care.set_language(db, parent, language, staff_id=staff().id, now=at)
    if form.faults:
        return _profile_page(family, parent, form, country)
    flash("Saved. What comes next is planned anew.", "good")
    return back_to(url_for("families.show", family_id=family_id))


def _profile_page(family: Family, parent: Parent, form: Form, country: str) -> Response:
    return page(
        "families/profile.html",
        family=family,
        parent=parent,
        form=form,
        ids={"family_id": family.id, "parent_id": parent.id},
        quiet_week=care.quiet_this_week(parent, now=now()),
        **enroll_form.words(fields.PROFILE, country),
    )


def _page(db: Session, program: Program, form: Form, *, family: Family | None) -> Response:
    wording = {
        language: render.fill(
            wiring().library.system["consent_ask"],
            lang=language,
            discreet=False,
            values={"org": program.name},
        ).text
        for language in languages.WRITTEN
    }
    return page(
        "families/enroll.html",
        form=form,
        family=family,
        wording=wording,
        wording_version=WORDING_VERSION,
        choices=_choices(db, program),
        **enroll_form.words(fields.ENROLLMENT, program.country),
    )


def _choices(db: Session, program: Program) -> dict[str, Sequence]:
    """The live sequences that staff may start at once; the welcome starts by itself."""
    rows = db.execute(
        select(SequenceRow.key, SequenceVersion.yaml)
        .join(SequenceVersion, SequenceVersion.sequence_id == SequenceRow.id)
        .where(SequenceRow.program_id == program.id, SequenceVersion.number == SequenceRow.live_number)
        .order_by(SequenceRow.key)
    )
    found = {key: catalog.parse(text, name=key) for key, text in rows if key != WELCOME}
    return {key: sequence for key, sequence in found.items() if STAFF & {*sequence.enrolled_by}}
