"""What happens to machines: the web process dies during a webhook, a disk is full, the database goes away."""

from __future__ import annotations

import signal
import sqlite3

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError

from nudges import wiring as composition
from nudges.factory import create_app
from nudges.models.family import Parent
from nudges.models.messages import Inbound
from tests.support.fake_twilio.webhooks import post_to_flask

SID = "SM" + "7" * 32


@pytest.mark.parametrize(
    ("where", "body"),
    [
        pytest.param("before_reading", "3", id="an answer, before it is read"),
        pytest.param("before_commit", "STOP", id="stop, before the commit"),
    ],
)
def test_a_web_process_that_dies_during_a_webhook_leaves_nothing_half_done_and_the_retry_is_the_first(
    service, where, body
):
    service.queue(1)
    with service.sessions() as session:
        phone = session.scalars(select(Parent)).one().phone
    ended = service.forks.run("tests.support.killed", where, body, phone, SID, environ=service.environ)
    assert ended.returncode == -signal.SIGKILL, ended.output[-2000:]
    with service.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Inbound)) == 0
        assert session.scalars(select(Parent.status)).one() == "active"

    built = composition.build(service.settings)
    app = create_app(built)
    service.fake.webhooks._post = post_to_flask(app.test_client())
    for _ in range(2):  # Twilio's retry, and one more
        status, _ = service.fake.text_in(phone, body, sid=SID)
        assert status == 200
    built.engine.dispose()
    with service.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Inbound)) == 1
        assert session.scalars(select(Parent.status)).one() == ("opted_out" if body == "STOP" else "active")


@pytest.fixture
def sqlite_only(engine):
    if engine.dialect.name != "sqlite":
        pytest.skip("a file on a disk of ours")


def test_a_full_disk_sends_nothing_that_cannot_be_written_down_and_doubles_nothing(service, engine, sqlite_only):
    service.queue(12)
    path = engine.url.database
    used = sqlite3.connect(path).execute("PRAGMA page_count").fetchone()[0]
    room = {"pages": used + 1}

    @event.listens_for(engine, "checkout")
    def keep_small(connection, record, proxy):
        connection.execute(f"PRAGMA max_page_count={room['pages']}")

    failures = 0
    for _ in range(12):
        try:
            service.send()
        except OperationalError as error:
            assert "full" in str(error.orig)
            failures += 1
        service.clock.move(minutes=1)
    assert failures, "the disk was not full at all"
    room["pages"] = 10_000_000
    service.live_on()
    service.must_agree(may_be_lost=12)
    lost = [row for row in service.rows() if row.status == "failed"]
    assert all(service.fake.received(row.to) == [] for row in lost)


def test_two_machines_at_one_lane_and_two_beats_at_once_send_each_text_once(service):
    import threading

    service.queue(20, pace=200.0)
    ready = threading.Barrier(2)

    def work(owner):
        ready.wait()
        for _ in range(4):
            service.send(owner=owner)

    machines = [threading.Thread(target=work, args=(owner,)) for owner in ("one", "two")]
    for machine in machines:
        machine.start()
    for machine in machines:
        machine.join()
    service.live_on()
    service.must_agree()
    assert len(service.fake.texts.all()) == 20
