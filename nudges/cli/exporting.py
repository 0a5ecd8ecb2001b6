"""`export-parent`, `erase-parent`: what is stored about somebody, handed over or removed."""

from __future__ import annotations

import os
from pathlib import Path

import click
from sqlalchemy.orm import Session

from nudges.cli.ready import ready
from nudges.families import erasing, handing_over
from nudges.families.erasing import CannotErase
from nudges.models.family import Parent


@click.command("export-parent")
@click.argument("code")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Folder for the two files."
)
def export_parent(code: str, out: Path) -> None:
    """Write all that is stored about one parent of family CODE, as JSON and as a page to read.

    CODE is such as F-1042, or F-1042.2 for the second parent of the family. The files hold a name, a number and
    texts; only you can read them.
    """
    built = ready()
    try:
        with built.sessions.begin() as session:
            parent = _one(session, code)
            found = erasing.everything_about(session, parent)
            erasing.note_export(session, parent, actor="system:export-parent", now=built.clock.now())
    finally:
        built.engine.dispose()
    out.mkdir(parents=True, exist_ok=True)
    name = code.strip().upper()
    page = handing_over.as_page(found, made_at=built.clock.now())
    for ending, content in (("json", handing_over.as_json(found)), ("html", page)):
        click.echo(_write(out / f"{name}.{ending}", content))


@click.command("erase-parent")
@click.argument("code")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", "reason", metavar="REASON", help="Erase although an alert about them is open, because REASON.")
def erase_parent(code: str, yes: bool, reason: str | None) -> None:
    """Remove what is personal about one parent of family CODE, for good. This cannot be undone.

    The fingerprint of the number stays, so that it is never texted again. Backups still hold the data until they are
    removed: see docs/privacy.md.
    """
    built = ready()
    try:
        with built.sessions.begin() as session:
            parent = _one(session, code)
            if not yes:
                click.confirm(f"Erase the data of parent {parent.id} of family {code.upper()}, for good?", abort=True)
            counts = erasing.erase(session, parent, actor="system:erase-parent", now=built.clock.now(), reason=reason)
    except CannotErase as error:
        raise click.ClickException(f"{error} (--force REASON)" if "reason" in str(error) else str(error)) from None
    finally:
        built.engine.dispose()
    texts = counts["texts_out"] + counts["texts_in"]
    click.echo(f"Erased: name, number, profile, dates and the words of {texts} texts. Remember the backups.")


def _one(session: Session, code: str) -> Parent:
    """The parent meant; ends the command when it is nobody, or more than one."""
    found = erasing.parents_of(session, code)
    if not found:
        raise click.ClickException(f"There is no parent {code}. Give a family's code such as F-1042, or F-1042.2.")
    if len(found) > 1:
        ways = ", ".join(
            f"{code.upper()}.{nth} (parent {parent.id}, since {parent.created_at:%Y-%m-%d})"
            for nth, parent in enumerate(found, start=1)
        )
        raise click.ClickException(f"This family has {len(found)} parents, and one never sees the other's: {ways}.")
    return found[0]


def _write(path: Path, content: str) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
    return path
