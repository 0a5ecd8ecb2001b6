"""Importing families from a file: check it, look at what is wrong, then import the rows that are well."""

from __future__ import annotations

from dataclasses import dataclass

from flask import flash, make_response, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.families import intake, intake_file
from nudges.families.intake import Checked
from nudges.families.intake_file import Fault, IntakeError, Reading
from nudges.web.context import now, program_of_staff, staff, transaction, wiring
from nudges.web.forms import Form
from nudges.web.guards import counselor_area
from nudges.web.pages import back_to, page

area = counselor_area("importing", __name__)
MOST_BYTES = 300_000  # a few thousand rows; larger files go through the command line
SHOWN = 100  # faults on the page; the file of rejected rows has all


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What a file would do."""

    reading: Reading
    checked: Checked
    faults: tuple[Fault, ...]
    text: str

    @property
    def bad_rows(self) -> int:
        return len({fault.line for fault in self.faults})


@area.get("/families/import")
def show() -> Response:
    return _page(Form(), None)


@area.get("/families/import/template.csv")
def template() -> Response:
    return _download(intake_file.template(), "families.csv")


@area.post("/families/import")
def check() -> Response:
    """Read and check the chosen file; nothing is changed."""
    form = Form(values=request.form)
    try:
        content = _chosen()
        with transaction() as db:
            return _page(form, _preview(db, content))
    except IntakeError as error:
        form.fault("file", str(error))
        return _page(form, None)


@area.post("/families/import/apply")
def apply() -> Response:
    """Import the rows that are well, of the text that was just looked at."""
    content = request.form.get("content", "").encode()
    try:
        with transaction() as db:
            preview = _preview(db, content)
            above = intake_file.highest_code(preview.reading)
        stored = 0
        for rows in intake.batches(preview.checked.ready):
            with transaction() as db:
                stored += intake.store(db, program_of_staff(db), rows, by=staff().id, now=now(), above=above)
    except IntakeError as error:
        form = Form()
        form.fault("file", str(error))
        return _page(form, None)
    left = f" {preview.bad_rows} rows with faults were left out." if preview.bad_rows else ""
    flash(f"{stored} parents imported. Their welcome goes out at the next allowed moment.{left}", "good")
    return back_to(url_for("families.index"))


@area.post("/families/import/rejected.csv")
def rejected() -> Response:
    """The rows with faults, and what is wrong with each, to mend and import again."""
    try:
        with transaction() as db:
            preview = _preview(db, request.form.get("content", "").encode())
    except IntakeError as error:
        form = Form()
        form.fault("file", str(error))
        return _page(form, None)
    return _download(intake_file.rejected(preview.reading, preview.faults), "families.rejected.csv")


def _chosen() -> bytes:
    upload = request.files.get("file")
    content = b"" if upload is None else upload.read()
    if not content:
        raise IntakeError("Choose a file first.")
    if len(content) > MOST_BYTES:
        raise IntakeError(
            f"The file is larger than {MOST_BYTES // 1000} kB. Split it, or ask whoever runs the server "
            "for python -m nudges import-families."
        )
    return content


def _preview(db: Session, content: bytes) -> Preview:
    program = program_of_staff(db)
    if wiring().settings.production:
        intake.refuse_unsigned_crisis(db, program.id)
    reading = intake_file.read(content, country=program.country, timezone=program.timezone, today=now().date())
    checked = intake.check(db, program, reading.rows, now=now())
    own = tuple(known for known in checked.ready if staff().is_admin or known.counselor_id == staff().id)
    others = [
        Fault(
            line=known.row.line,
            column="counselor",
            wrong="This is a colleague's e-mail.",
            mend="Import your own families, or ask an admin.",
        )
        for known in checked.ready
        if known not in own
    ]
    faults = sorted((*reading.faults, *checked.faults, *others), key=lambda fault: fault.line)
    checked = Checked(ready=own, already=checked.already, faults=checked.faults)
    return Preview(reading=reading, checked=checked, faults=tuple(faults), text=content.decode("utf-8-sig"))


def _page(form: Form, preview: Preview | None) -> Response:
    columns = intake_file.COLUMNS
    return page(
        "families/import.html", form=form, preview=preview, shown=SHOWN, columns=columns, needed=intake_file.NEEDED
    )


def _download(text: str, name: str) -> Response:
    response = make_response(text)
    response.headers["Content-Type"] = "text/csv; charset=utf-8"
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    return response
