"""`move`: a whole program to another database."""

from __future__ import annotations

import click
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from nudges.cli.ready import log, settings_or_stop
from nudges.clock import SystemClock
from nudges.upkeep import copying
from nudges.upkeep.copying import CopyError


@click.command()
@click.option("--to", "target", required=True, help="Where to: postgresql://user@host/name, or sqlite:///file.")
@click.option("--from", "source", help="Where from; without it NUDGES_DATABASE_URL. A backup: sqlite:///FILE.")
@click.option("--force", is_flag=True, help="Copy although a service is at work on the source.")
def move(target: str, source: str | None, force: bool) -> None:
    """Copy everything to another database, compare it, and change nothing in the source.

    Stop serve and every worker first. A copy that was interrupted goes on where it stopped: run the same command again.
    """
    source_url = _url(source or settings_or_stop().database_url)
    target_url = _url(target)
    log()
    try:
        copied = copying.copy(source_url, target_url, now=SystemClock().now(), force=force, say=click.echo)
    except CopyError as error:
        raise click.ClickException(str(error)) from None
    except SQLAlchemyError as error:
        # The class only: the error itself may quote a password or a row.
        raise click.ClickException(
            f"The copy stopped ({type(error).__name__}). Check that both databases can be reached and that the target "
            "may be written, then run the same command again: it goes on where it stopped."
        ) from None
    click.echo(f"{copied.total} rows in {len(copied.rows)} tables, the same on both sides.")
    click.echo(f"The ledger holds; its newest hash is {copied.ledger_head}.")
    shown = make_url(target_url).set(drivername=make_url(target_url).get_backend_name())
    click.echo(f"The source is as it was. Start with NUDGES_DATABASE_URL={shown.render_as_string(hide_password=True)}")


def _url(written: str) -> str:
    """As our engine takes it; ends the command for what is no database of ours."""
    if not written.startswith(("sqlite:", "postgresql:", "postgresql+psycopg:")):
        raise click.ClickException(
            "A database should look like sqlite:///var/nudges.sqlite3 or postgresql://user@host/name."
        )
    return written.replace("postgresql://", "postgresql+psycopg://", 1)
