"""`backup`, `restore-check`, `restored`: keeping copies, trying them, and what to do after one was put back."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click
from sqlalchemy.exc import SQLAlchemyError

from nudges.cli.ready import log, ready, settings_or_stop
from nudges.clock import SystemClock
from nudges.db import Cipher, use_cipher
from nudges.upkeep import backups, restoring
from nudges.upkeep.checks import Check
from nudges.upkeep.copying import CopyError
from nudges.upkeep.restoring import NotRestored

FOLDER = Path("var/backups")
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option(
    "--to",
    help="File, or folder: one that is there, or a name with / behind. Else var/backups/nudges-DATE-TIME.sqlite3.",
)
@click.option("--keep", type=click.IntRange(min=1), help="Afterwards remove all but the newest so many in that folder.")
def backup(to: str | None, keep: int | None) -> None:
    """Write the whole program into one file, while the service goes on.

    The file is an SQLite database, whatever the program runs on. Names, numbers and texts in it stay sealed: keep
    NUDGES_ENCRYPTION_KEYS and NUDGES_INDEX_KEY elsewhere, for without them it is worth nothing.
    """
    settings = settings_or_stop()
    log()
    use_cipher(Cipher(settings.encryption_keys, settings.index_key))
    now = SystemClock().now()
    path = _file(to, now)
    try:
        made = backups.make(settings.database_url, path, now=now)
    except (CopyError, OSError, SQLAlchemyError, sqlite3.Error) as error:
        words = type(error).__name__ if isinstance(error, SQLAlchemyError) else str(error)
        raise click.ClickException(f"No backup was made: {words}") from None
    click.echo(f"{made.path} ({made.size:,} bytes). The ledger's newest hash is {made.ledger_head}.")
    if keep:
        for old in backups.remove_old(path.parent, keep):
            click.echo(f"Removed {old}.")


def _file(to: str | None, now: datetime) -> Path:
    """The file to write; in a folder it is named by its time."""
    if to is None:
        return FOLDER / now.strftime(backups.NAME)
    path = Path(to)
    return path / now.strftime(backups.NAME) if to.endswith(("/", os.sep)) or path.is_dir() else path


@click.command("restore-check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore_check(file: Path) -> None:
    """Restore FILE into a temporary database and say of each thing whether it is well. Exits 1 when one is not."""
    settings = settings_or_stop()
    log()
    use_cipher(Cipher(settings.encryption_keys, settings.index_key))
    sys.exit(1 if say(backups.check(file)) else 0)


@click.command()
@click.option("--since", help="When the backup was made, such as 2025-03-03T15:00Z; without it the database knows.")
def restored(since: str | None) -> None:
    """After an older backup was put back: make sure that nothing which went out since is sent again.

    Run it before serve and worker are started. Until it has run, a restored backup sends nothing.
    """
    at = _instant(since)
    built = ready()
    try:
        with built.sessions() as session:
            gap = restoring.gap_of(session, built.clock.now(), since=at)
        done = restoring.settle(built.sessions, gap, library=built.library, by="system:restored")
    except NotRestored as error:
        raise click.ClickException(str(error)) from None
    finally:
        built.engine.dispose()
    click.echo(f"The database is from {done.since:%Y-%m-%d %H:%M} UTC.")
    click.echo(
        f"{done.parents} parents were looked at; {done.texts} texts may have gone out since. The service looks each up "
        "at the provider: found ones count as sent, the others are given up, none is sent again."
    )
    click.echo("What parents wrote meanwhile is not here: a task in the inbox says where to look. Start the service.")


def say(lines: Iterable[Check]) -> bool:
    """Print lines as they come; True when one failed."""
    failed = False
    for line in lines:
        click.echo(f"{click.style(line.status.ljust(4), fg=COLOURS[line.status])}  {line.name:<20} {line.words}")
        failed = failed or line.status == "fail"
    return failed


def _instant(written: str | None) -> datetime | None:
    if written is None:
        return None
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        raise click.ClickException("--since should look like 2025-03-03T15:00Z.") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
