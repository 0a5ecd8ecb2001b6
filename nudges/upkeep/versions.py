"""Which tables a database has, and which this code needs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import nudges

DUTIES: Final = ("plan", "send", "watch", "notify", "clean", "check")  # of engine.ticks; each with its beat


def migrations_folder() -> Path:
    """The migrations: inside the package where it is installed, beside it in a checkout (see pyproject.toml)."""
    package = Path(nudges.__file__).resolve().parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def alembic(url: str) -> Config:
    """What Alembic needs to work on the database at `url`."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config


@cache
def head() -> str:
    """The newest migration that this code knows."""
    return ScriptDirectory(str(migrations_folder())).get_current_head() or ""


def current(connection: Connection) -> str | None:
    """The migration that a database stands at."""
    return MigrationContext.configure(connection).get_current_revision()


def is_newer(revision: str | None) -> bool:
    """Whether a later release has migrated the database: while one is brought in, both run side by side."""
    return revision is not None and revision not in known()


@cache
def known() -> frozenset[str]:
    """Every migration of this code."""
    return frozenset(script.revision for script in ScriptDirectory(str(migrations_folder())).walk_revisions())


def migrate(url: str) -> None:
    """Bring the database at `url` to the newest tables."""
    command.upgrade(alembic(url), "head")
