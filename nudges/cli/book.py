"""`python -m nudges book`: every text of the library on printable pages, for sign-off."""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy import select

from nudges.book.printing import Signed, print_book
from nudges.cli.ready import ready
from nudges.clock import SystemClock
from nudges.library.texts import ROLES
from nudges.models.program import Program
from nudges.studio import sign_offs
from schedules import catalog


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the pages.")
@click.option(
    "--library",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=catalog.LIBRARY,
    help="Folder of sequences; the shipped library without it.",
)
@click.option("--signed", is_flag=True, help="Say beside each text who signed it off, as the database has it.")
def book(out: Path, library: Path, signed: bool) -> None:
    """Print one page per sequence, with each text as a phone shows it, its cost and room for a signature.

    With --signed the configured database is asked (NUDGES_DATABASE_URL); a text that was changed since counts as not
    reviewed.
    """
    try:
        known = _signed() if signed else None
        pages = print_book(out, library=library, printed_on=SystemClock().now().date(), signed=known)
    except catalog.CatalogError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{len(pages)} pages; begin with {pages[0]}")


def _signed() -> Signed:
    """The sign-offs of the installation's program, by fingerprint, in words."""
    built = ready()
    with built.sessions() as session:
        program = session.scalars(select(Program).order_by(Program.id).limit(1)).one_or_none()
        if program is None:
            raise click.ClickException("There is no program yet, so nothing is signed. Make one with create-admin.")
        texts = [text for chapter in sign_offs.chapters(session, program, built.library) for text in chapter.states]
    built.engine.dispose()
    return {
        state.text.digest: tuple(
            f"{'demo, ' if one.is_demo else ''}{ROLES[one.role]}{': ' + one.by if one.by else ''}, {one.at.date()}"
            for one in state.signatures
        )
        for state in texts
        if state.is_signed
    }
