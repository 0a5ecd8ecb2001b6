"""`import-families`: check a file of families, and import what is well in it."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.cli.ready import ready
from nudges.families import field_docs, intake, intake_file
from nudges.families.intake import Checked
from nudges.families.intake_file import IntakeError, Reading
from nudges.models.program import Program, Staff
from nudges.wiring import Wiring

LARGE = 1000  # rows after which the database is asked to look at its tables again


@click.command("import-families")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--template", is_flag=True, help="Print a file to fill in, with two invented parents.")
@click.option(
    "--fields", "says_fields", is_flag=True, help="Print what each column means, as docs/family-fields.md does."
)
@click.option("--apply", "applies", is_flag=True, help="Import what is well; without it nothing is changed.")
@click.option(
    "--by", "email", help="E-mail of the member of staff who imports; the consents are recorded in their name."
)
def import_families(file: Path | None, template: bool, says_fields: bool, applies: bool, email: str | None) -> None:
    """Check FILE (CSV, a row for each parent), and with --apply import every row that is well.

    Rows with faults are written to FILE.rejected.csv: mend them there and import that file. A row that was imported
    before is left alone, so the same file may be imported again. Exits 1 when a row has a fault.
    """
    if template or says_fields:
        click.echo(intake_file.template() if template else field_docs.document(), nl=False)
        return
    if file is None:
        raise click.UsageError("name a file, or ask for --template")
    built = ready()
    try:
        faulty = _import(built, file, applies=applies, email=email)
    except IntakeError as error:
        raise click.ClickException(str(error)) from None
    finally:
        built.engine.dispose()
    sys.exit(1 if faulty else 0)


def _import(built: Wiring, file: Path, *, applies: bool, email: str | None) -> bool:
    """True when there are faults."""
    now = built.clock.now()
    with built.sessions() as session:
        program = session.scalar(select(Program).order_by(Program.id).limit(1))
        if program is None:
            raise IntakeError("There is no program yet. Make one: python -m nudges create-admin")
        if built.settings.production:
            intake.refuse_unsigned_crisis(session, program.id)
        by = _staff_id(session, email)
        reading = intake_file.read(
            file.read_bytes(), country=program.country, timezone=program.timezone, today=now.date()
        )
        checked = intake.check(session, program, reading.rows, now=now)
    faults = sorted((*reading.faults, *checked.faults), key=lambda fault: fault.line)
    for fault in faults:
        click.echo(fault.in_words())
    bad_lines = {fault.line for fault in faults}
    stored = _store(built, program, reading, checked, by=by) if applies else 0
    _say(reading, checked, stored, len(bad_lines), applies=applies)
    if faults and applies:
        path = file.with_name(f"{file.name.removesuffix('.csv')}.rejected.csv")
        path.write_text(intake_file.rejected(reading, faults), encoding="utf-8")
        click.echo(f"Rows with faults are in {path}.")
    return bool(faults)


def _staff_id(session: Session, email: str | None) -> int | None:
    if email is None:
        return None
    found = session.scalar(select(Staff.id).where(Staff.email == email.lower(), Staff.is_active))
    if found is None:
        raise IntakeError(f"Nobody signs in as {email}.")
    return found


def _store(built: Wiring, program: Program, reading: Reading, checked: Checked, *, by: int | None) -> int:
    above = intake_file.highest_code(reading)
    stored = 0
    for rows in intake.batches(checked.ready):
        with built.sessions.begin() as session:
            stored += intake.store(session, program, rows, by=by, now=built.clock.now(), above=above)
    if stored >= LARGE:
        with built.sessions.begin() as session:
            intake.tidy(session)
    return stored


def _say(reading: Reading, checked: Checked, stored: int, bad: int, *, applies: bool) -> None:
    known = f"{len(checked.ready)} ready, {checked.already} imported before"
    click.echo(f"{len(reading.records)} rows: {known}, {bad} with faults.")
    if applies:
        click.echo(f"{stored} parents imported. Their welcome goes out at the next allowed moment.")
    elif checked.ready:
        click.echo("Nothing was changed. Import the rows that are ready with --apply.")
