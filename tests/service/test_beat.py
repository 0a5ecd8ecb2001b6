"""The beat: every duty leaves a heartbeat, one that fails leaves none, and readiness says which."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from apscheduler.schedulers import base as schedulers
from apscheduler.triggers import interval
from flask import Flask
from sqlalchemy import func, select, update

from nudges.engine import embedded as engine_module
from nudges.engine import ticks
from nudges.engine.base import Health, Turn
from nudges.engine.embedded import EmbeddedEngine
from nudges.models.messages import Outbox
from nudges.models.program import Heartbeat, Lane
from nudges.outbound import sender
from nudges.upkeep import versions
from nudges.web import context, health
from tests.support.factories import a_parent, a_text


@pytest.fixture
def client(wiring):
    app = Flask("health")
    app.extensions[context.WIRING] = wiring
    app.register_blueprint(health.health)
    return app.test_client()


def test_readiness_knows_every_duty(wiring):
    assert tuple(duty.name for duty in ticks.duties(wiring)) == versions.DUTIES


def test_a_service_that_has_not_beaten_is_not_ready(client, people):
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert not answer.json["checks"]["beat_plan"]["ok"]


def test_after_a_beat_it_is_ready(client, wiring, people):
    ticks.run_all(wiring)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["ready"]) == (200, True)
    assert client.get("/healthz").status_code == 200


def test_a_beat_that_is_late_shows(client, wiring, people, clock):
    ticks.run_all(wiring)
    clock.move(minutes=5)
    assert client.get("/readyz").status_code == 503


def test_a_beat_from_the_future_shows_too(client, wiring, people, clock):
    """The clock was set back, and nothing has run since."""
    ticks.run_all(wiring)
    clock.move(hours=-1)
    answer = client.get("/readyz")
    assert answer.status_code == 503 and "3600 s ahead" in answer.json["checks"]["beat_plan"]["words"]


def test_a_duty_that_fails_leaves_no_heartbeat_and_no_words_in_the_log(wiring, sessions, people, caplog):
    def fails(_):
        raise RuntimeError("Rosa Invented +13125550142")

    ticks.safely(ticks.Duty(name="plan", seconds=1, run=fails), wiring)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Heartbeat)) == 0
    assert "RuntimeError" in caplog.text
    assert "Rosa" not in caplog.text


def test_a_backlog_and_a_paused_lane_show(client, wiring, sessions, people, clock):
    with sessions.begin() as session:
        a_text(session, a_parent(session, people.family, now=clock.now()), now=clock.now())
        session.execute(update(Lane).values(paused_until=clock.now() + timedelta(hours=1)))
    clock.move(minutes=20)
    ticks.run_all(wiring)
    checks = client.get("/readyz").json["checks"]
    assert (checks["backlog"]["ok"], checks["lanes"]["ok"]) == (False, False)


def test_metrics_count_and_name_nobody(client, wiring, sessions, people, now):
    with sessions.begin() as session:
        parent = a_parent(session, people.family, now=now)
        a_text(session, parent, now=now)
    page = client.get("/metrics").text
    assert 'nudges_outbox_texts{status="queued"} 1.0' in page
    with sessions() as session:
        words = session.scalars(select(Outbox.body)).one()
    for secret in (parent.name, parent.phone, words, people.family.code):
        assert secret not in page


def rings(event):
    """A duty that only says that it ran."""

    def run(turn):
        event.set()

    return run


@pytest.fixture
def embedded():
    engine = EmbeddedEngine()
    yield engine
    engine.stop()


def test_the_embedded_engine_runs_every_duty_at_once_and_on_a_wake_up(embedded):
    often, rarely = threading.Event(), threading.Event()
    embedded.every(0.05, "often", rings(often))
    embedded.every(3600, "rarely", rings(rarely))
    embedded.start()
    assert often.wait(5)
    assert rarely.wait(5)
    often.clear()
    rarely.clear()
    assert often.wait(5)
    assert not rarely.is_set()
    embedded.wake("rarely")
    assert rarely.wait(5)
    assert embedded.health() == Health(is_running=True, duties=("often", "rarely"))
    embedded.stop()
    assert not embedded.health().is_running


def test_beats_go_on_when_the_clock_is_set_back_by_an_hour(embedded, monkeypatch):
    """Alerts are escalated by a beat: it must not wait until the clock has made up for the hour."""
    back = timedelta(0)

    class Wall(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - back

    for module in (schedulers, interval):
        monkeypatch.setattr(module, "datetime", Wall)
    monkeypatch.setattr(engine_module, "ahead", lambda: -back.total_seconds())
    monkeypatch.setattr(engine_module, "_LOOK_AT_CLOCK", 0.05)
    rang = queue.Queue()
    embedded.every(0.2, "watch", lambda turn: rang.put(1))
    embedded.start()
    rang.get(timeout=5)
    back = timedelta(hours=1)
    for _ in range(5):
        rang.get(timeout=5)


def test_a_duty_that_knows_when_it_is_due_does_not_wait_for_its_beat(embedded):
    seen, turns = queue.Queue(), []

    def run(turn):
        turns.append(turn)
        seen.put(turn.lane_id)
        return 0.01 if len(turns) < 3 else None

    embedded.every(3600, "send", run)
    embedded.start()
    assert [seen.get(timeout=5) for _ in range(3)] == [None] * 3


def test_a_turn_that_comes_in_while_the_same_one_runs_is_not_lost_and_not_at_the_same_time(embedded):
    began, go_on, at_work, most = queue.Queue(), threading.Semaphore(0), [], []

    def run(turn):
        at_work.append(turn)
        most.append(len(at_work))
        began.put(turn.lane_id)
        go_on.acquire(timeout=5)
        at_work.pop()

    embedded.every(3600, "send", run)
    embedded.start()
    assert began.get(timeout=5) is None
    for _ in range(10):
        embedded.wake("send")
    go_on.release()
    assert began.get(timeout=5) is None, "ten wake-ups during a turn are one more turn"
    go_on.release(9)
    embedded.stop()
    assert began.empty()
    assert max(most) == 1


def test_a_lane_that_takes_long_keeps_neither_another_lane_nor_a_duty_waiting(embedded):
    seen, let_go = queue.Queue(), threading.Event()

    def send(turn):
        seen.put(turn.lane_id)
        if turn.lane_id == 1:
            let_go.wait(5)

    planned = threading.Event()
    embedded.every(3600, "send", send)
    embedded.every(0.05, "plan", rings(planned))
    embedded.start()
    embedded.wake("send", 1)
    embedded.wake("send", 2)
    assert {seen.get(timeout=5) for _ in range(3)} == {None, 1, 2}
    planned.clear()
    assert planned.wait(5)
    let_go.set()


def test_a_turn_that_fails_says_so_without_words_and_the_next_beat_comes(embedded, caplog):
    ran = queue.Queue()

    def run(turn):
        ran.put(1)
        raise RuntimeError("Rosa Invented +13125550142")

    embedded.every(0.05, "plan", run)
    embedded.start()
    assert [ran.get(timeout=5) for _ in range(2)] == [1, 1]
    assert "RuntimeError" in caplog.text
    assert "Rosa" not in caplog.text


class Bell:
    """An engine that only remembers what it was asked to wake."""

    def __init__(self):
        self.woken = []

    def wake(self, duty, lane_id=None):
        self.woken.append((duty, lane_id))


def duty_of(wiring, name):
    return next(duty for duty in ticks.duties(wiring) if duty.name == name)


def test_planning_wakes_sending_and_says_when_it_is_due_again(wiring, sessions, people, clock):
    with sessions.begin() as session:
        a_parent(session, people.family, now=clock.now())
        later = a_parent(session, people.family, now=clock.now())
        later.next_at = clock.now() + timedelta(seconds=7)
        later_id = later.id
    bell = Bell()
    assert ticks.take_turn(bell, duty_of(wiring, "plan"), wiring, Turn()) == 7.0
    assert bell.woken == [("send", None)]
    clock.move(seconds=7)
    ticks.take_turn(bell, duty_of(wiring, "plan"), wiring, Turn())
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Outbox).where(Outbox.parent_id == later_id)) == 1


def test_sending_wakes_only_lanes_that_have_something_to_send(wiring, sessions, people, clock):
    bell = Bell()
    send = replace(duty_of(wiring, "send"), run=lambda wiring: ticks.call_lanes(bell, wiring))
    assert ticks.take_turn(bell, send, wiring, Turn()) is None
    with sessions.begin() as session:
        a_text(session, a_parent(session, people.family, now=clock.now()), now=clock.now())
        a_text(
            session,
            a_parent(session, people.family, now=clock.now()),
            now=clock.now(),
            not_before=clock.now() + timedelta(seconds=3),
        )
        lane_id = session.scalars(select(Lane.id)).one()
    ticks.take_turn(bell, send, wiring, Turn())
    assert bell.woken == [("send", lane_id)]
    assert ticks.send_lane(wiring, lane_id, Turn()) == 3.0
    assert ticks.take_turn(bell, send, wiring, Turn()) == 3.0
    assert bell.woken == [("send", lane_id)], "the second text's turn has not come"
    clock.move(seconds=3)
    assert ticks.send_lane(wiring, lane_id, Turn()) is None
    assert len(wiring.channel.sent) == 2


def test_a_paused_lane_is_left_alone(wiring, sessions, people, clock):
    with sessions.begin() as session:
        a_text(session, a_parent(session, people.family, now=clock.now()), now=clock.now())
        session.execute(update(Lane).values(paused_until=clock.now() + timedelta(hours=1)))
    bell = Bell()
    assert ticks.call_lanes(bell, wiring) == {"lanes": 0}
    assert bell.woken == []


def test_a_lane_with_an_empty_bucket_is_looked_at_when_it_has_filled(wiring, sessions, people, clock):
    with sessions.begin() as session:
        for _ in range(2):
            a_text(session, a_parent(session, people.family, now=clock.now()), now=clock.now())
        session.execute(update(Lane).values(segments_per_second=0.1, tokens=1.0, tokens_at=clock.now()))
        lane_id = session.scalars(select(Lane.id)).one()
    assert ticks.send_lane(wiring, lane_id, Turn()) == pytest.approx(10.0)
    assert len(wiring.channel.sent) == 1


def test_a_process_that_must_leave_gives_its_lane_back_after_the_batch(wiring, sessions, people, clock):
    with sessions.begin() as session:
        session.execute(update(Lane).values(segments_per_second=225.0, tokens=225.0, tokens_at=clock.now()))
        for _ in range(sender.BATCH + 5):
            a_text(session, a_parent(session, people.family, now=clock.now()), now=clock.now())
        lane_id = session.scalars(select(Lane.id)).one()
    turn, hand_over = Turn(), wiring.channel.send

    def send(outgoing):
        turn.stopping.set()  # the signal comes in the middle of the first batch
        return hand_over(outgoing)

    wiring.channel.send = send
    again = ticks.send_lane(wiring, lane_id, turn)
    assert again is not None and again < 1.0, "what is left is for another process, soon"
    handed_over = len(wiring.channel.sent)
    assert 0 < handed_over <= sender.BATCH
    with sessions() as session:
        accepted = select(func.count()).select_from(Outbox).where(Outbox.status == "accepted")
        assert session.scalar(accepted) == handed_over
        assert session.scalars(select(Lane.owner)).one() is None
        assert session.scalar(select(func.count()).select_from(Outbox).where(Outbox.status == "sending")) == 0
