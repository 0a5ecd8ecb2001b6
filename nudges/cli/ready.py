"""What commands that touch the database begin with: settings read, tables at the newest version, objects built."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import click
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from nudges import config, logs, wiring
from nudges.config import ConfigError, Settings
from nudges.db import make_engine
from nudges.engine import tables
from nudges.models.program import Program
from nudges.upkeep import versions
from nudges.wiring import Wiring

logger = logging.getLogger(__name__)


def settings_or_stop(*, engine: str | None = None) -> Settings:
    """The settings; ends the command with every fault named when there are any. `engine` wins over NUDGES_ENGINE."""
    try:
        return config.load(os.environ if engine is None else {**os.environ, "NUDGES_ENGINE": engine})
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def ready(*, engine: str | None = None) -> Wiring:
    """Settings read, database migrated, objects built."""
    settings = settings_or_stop(engine=engine)
    log()
    migrate_database(settings)
    return wiring.build(settings)


def refuse_invented_families(built: Wiring) -> None:
    """End the command when it would text the demo's invented numbers through a real provider."""
    with built.sessions() as session:
        is_demo = session.scalar(select(Program.id).where(Program.is_demo).limit(1)) is not None
    if is_demo and not built.settings.provider.is_simulated:
        built.engine.dispose()
        raise click.ClickException(
            f"This database holds the demo's invented families: NUDGES_CHANNEL={built.settings.provider.name} would "
            "text their numbers. Point NUDGES_DATABASE_URL at another database, or leave NUDGES_CHANNEL out."
        )


def migrate_database(settings: Settings) -> str | None:
    """Run all migrations, and make the distributed engine's tables. Makes the folder of a SQLite file first.

    Returns the revision that the database is at. One that a later release has migrated is left as it is: both run side
    by side while that release is brought in.
    """
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        found = _revision(settings)
    except OperationalError as error:
        where = url.render_as_string(hide_password=True)
        raise click.ClickException(
            f"The database at {where} cannot be reached: {str(error.orig).splitlines()[0]}. "
            "Check NUDGES_DATABASE_URL, and that the server is up."
        ) from None
    if versions.is_newer(found):
        logger.warning("the database is of a later release; it is left as it is", extra={"action": "migrate"})
    else:
        versions.migrate(settings.database_url)
    if settings.engine == "distributed":
        tables.make(settings.database_url)
    return _revision(settings)


def _revision(settings: Settings) -> str | None:
    engine = make_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            return versions.current(connection)
    finally:
        engine.dispose()


def log() -> None:
    """Log to standard error, in words or as NUDGES_LOG says."""
    logs.set_up(os.environ.get("NUDGES_LOG", "words"))
