"""The beat: every duty leaves a heartbeat, one that fails leaves none, and readiness says which."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from nudges.engine import ticks
from nudges.engine.embedded import EmbeddedEngine
from nudges.models.messages import Outbox
from nudges.models.program import Heartbeat, Lane
from nudges.web import context, health
from tests.support.factories import a_parent, a_text


@pytest.fixture
def client(wiring):
    app = Flask("health")
    app.extensions[context.WIRING] = wiring
    app.register_blueprint(health.health)
    return app.test_client()


def test_readiness_knows_every_duty(wiring):
    assert tuple(duty.name for duty in ticks.duties(wiring)) == health.DUTIES


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


def test_the_embedded_engine_runs_every_duty_at_once_and_on_a_wake_up():
    engine, often, rarely = EmbeddedEngine(), threading.Event(), threading.Event()
    engine.every(0.05, "often", often.set)
    engine.every(3600, "rarely", rarely.set)
    engine.start()
    try:
        assert often.wait(5)
        assert rarely.wait(5)
        often.clear()
        rarely.clear()
        assert often.wait(5)
        assert not rarely.is_set()
        engine.wake("rarely")
        assert rarely.wait(5)
        assert engine.health().is_running
        assert engine.health().duties == ("often", "rarely")
    finally:
        engine.stop()
    assert not engine.health().is_running
