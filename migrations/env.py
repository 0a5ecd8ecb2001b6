"""Runs migrations on SQLite and PostgreSQL. The URL comes from the caller or from the settings."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.runtime.migration import MigrationContext

from nudges import config
from nudges.db import Base, Sealed, UTCDateTime, make_engine
from nudges.models import family, library, messages, on_call, phrases, program, safety, sequences

# Importing the tables registers them on Base.metadata.
TABLES = (family, library, messages, on_call, phrases, program, safety, sequences)


def run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _migrate(connection)
        return
    url = context.config.attributes.get("url") or config.load().database_url
    engine = make_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _let_tables_be_replaced)
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Several processes may start at once; on SQLite the transaction itself keeps the second one waiting.
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(668343702)"))
        before = _heads(connection)
        _migrate(connection)
        # Each command comes by here, and the check reads every row: only when something was changed.
        is_to_check = connection.dialect.name == "sqlite" and _heads(connection) != before
        if is_to_check and connection.execute(sa.text("PRAGMA foreign_key_check")).first():
            raise RuntimeError("the migration would leave rows that point at nothing; nothing was changed")
    engine.dispose()


def _heads(connection: sa.Connection) -> tuple[str, ...]:
    return MigrationContext.configure(connection).get_current_heads()


def _let_tables_be_replaced(connection: Any, record: object) -> None:
    # SQLite changes a constraint by copying the table and dropping the old one, which other tables' rows point at.
    # The pragma counts only outside a transaction; that all still point somewhere is checked before the commit.
    connection.execute("PRAGMA foreign_keys=OFF")


def _migrate(connection: object) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        render_item=_plain_type,
    )
    with context.begin_transaction():
        context.run_migrations()


def _plain_type(kind: str, item: object, autogen_context: object) -> str | bool:
    """Migrations name database types only: they must run long after our classes have changed."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Sealed):
        return "sa.Text()"
    return False


run()
