"""The distributed engine's own tables: a PostgreSQL schema of their own, named for the tables in it.

They hold nothing that matters: no calendar, no text, no lease. So a release whose engine needs other tables gets a
schema of its own beside the old one, workers of both releases run side by side, and an old schema is dropped once
nobody has used it for a day.
"""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import Final, LiteralString

import psycopg
from procrastinate.schema import SchemaManager
from psycopg import sql
from sqlalchemy.engine import make_url

logger = logging.getLogger(__name__)

PREFIX: Final = "nudges_engine_"
_LOCK: Final = 668_343_701  # any number of our own: one process at a time makes or drops schemas
UNUSED_DAYS: Final = 1


def schema() -> str:
    """The schema that this release's engine uses."""
    return PREFIX + sha256(SchemaManager.get_schema().encode()).hexdigest()[:8]


def conninfo(database_url: str) -> str:
    """A SQLAlchemy URL as libpq reads it."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


def make(database_url: str) -> bool:
    """Make this release's schema if it is missing. True when it was. Safe to call from several processes at once."""
    name = schema()
    with psycopg.connect(conninfo(database_url)) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,)).fetchone():
            return False
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(name)))
        connection.execute("CREATE TABLE made (at timestamptz NOT NULL DEFAULT now())")
        connection.execute("INSERT INTO made DEFAULT VALUES")
        connection.execute(_as_shipped(SchemaManager.get_schema()))
    logger.info("made the engine's tables", extra={"action": "engine_tables", "schema": name})
    return True


def drop_unused(database_url: str) -> list[str]:
    """Drop other releases' schemas that no worker has used for a day. Their names."""
    with psycopg.connect(conninfo(database_url)) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        others = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s) AND nspname <> %s", (PREFIX, schema())
        ).fetchall()
        unused = [name for (name,) in others if not _is_used(connection, name)]
        for name in unused:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
    return unused


def _is_used(connection: psycopg.Connection, name: str) -> bool:
    """Made, or beaten in, within a day."""
    query = sql.SQL(
        "SELECT greatest((SELECT max(at) FROM {made}), (SELECT max(last_heartbeat) FROM {workers}))"
        " > now() - make_interval(days => %s)"
    ).format(made=sql.Identifier(name, "made"), workers=sql.Identifier(name, "procrastinate_workers"))
    row = connection.execute(query, (UNUSED_DAYS,)).fetchone()
    return row is not None and bool(row[0])


def _as_shipped(text: LiteralString) -> LiteralString:
    return text
