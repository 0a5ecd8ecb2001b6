"""`python -m nudges book`: every text of the library on printable pages, for sign-off."""

from __future__ import annotations

from pathlib import Path

import click

from nudges.book.printing import print_book
from nudges.clock import SystemClock
from schedules import catalog


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the pages.")
@click.option(
    "--library",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=catalog.LIBRARY,
    help="Folder of sequences; the shipped library without it.",
)
def book(out: Path, library: Path) -> None:
    """Print one page per sequence, with each text as a phone shows it, its cost and room for a signature."""
    try:
        pages = print_book(out, library=library, printed_on=SystemClock().now().date())
    except catalog.CatalogError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{len(pages)} pages; begin with {pages[0]}")
