"""`worker`: the scheduler without the pages, on as many machines as you like."""

from __future__ import annotations

import logging
import os

import click

from nudges import factory
from nudges.cli.ready import ready, refuse_invented_families, settings_or_stop
from nudges.config import ENGINES

logger = logging.getLogger(__name__)


@click.command()
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    help="What triggers the beat. Without it NUDGES_ENGINE, else distributed on PostgreSQL and embedded on SQLite.",
)
def worker(engine: str | None) -> None:
    """Plan and send, without serving pages. Any number of them may share one PostgreSQL.

    SIGTERM ends it in order: what is being sent is finished, and its lanes are free for the others at once.
    """
    built = ready(engine=engine or _usual())
    refuse_invented_families(built)
    logger.info("working", extra={"action": "worker", "engine": built.settings.engine})
    click.echo(f"The {built.settings.engine} engine is at work. Stop with Ctrl-C.")
    try:
        factory.work(built)
    finally:
        built.engine.dispose()


def _usual() -> str | None:
    if "NUDGES_ENGINE" in os.environ:
        return None
    is_postgres = settings_or_stop().database_url.startswith("postgresql")
    return "distributed" if is_postgres else "embedded"
