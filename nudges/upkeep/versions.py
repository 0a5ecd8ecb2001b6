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

ROOT: Final = Path(__file__).resolve().parents[2]
DUTIES: Final = ("plan", "send", "watch", "notify", "clean")  # of engine.ticks; each says how often it should run


@cache
def head() -> str:
    """The newest migration that this code knows."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return ScriptDirectory.from_config(config).get_current_head() or ""


def current(connection: Connection) -> str | None:
    """The migration that a database stands at."""
    return MigrationContext.configure(connection).get_current_revision()


def is_newer(revision: str | None) -> bool:
    """Whether a later release has migrated the database: while one is brought in, both run side by side."""
    return revision is not None and revision not in known()


@cache
def known() -> frozenset[str]:
    """Every migration of this code."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return frozenset(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())


def migrate(url: str) -> None:
    """Bring the database at `url` to the newest tables."""
    config = Config(str(ROOT / "alembic.ini"))
    config.attributes["url"] = url
    command.upgrade(config, "head")
