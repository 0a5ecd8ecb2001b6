"""What a monitor sees: readiness, figures, the outward ping, the days ahead, and logs that name nobody."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, select, update

from nudges import logs
from nudges.engine import ticks
from nudges.inbound import handle
from nudges.inbound.texts import IncomingText
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Heartbeat, Lane, Program
from nudges.models.safety import Task
from nudges.upkeep import outlook, pings
from nudges.upkeep.figures import Figures, Tally
from nudges.web import context, health
from tests.support import factories

NAME, WORDS, NUMBER = "Rosalinda Invented", "my blue bicycle and my name is Rosalinda", "+13125550181"


@pytest.fixture
def client(wiring):
    app = Flask(__name__)
    app.extensions[context.WIRING] = wiring
    app.register_blueprint(health.health)
    return app.test_client()


@pytest.fixture
def parent_id(sessions, people, now):
    with sessions.begin() as session:
        family = session.merge(people.family)
        return factories.a_parent(session, family, now=now, name=NAME, phone=NUMBER, sequences=("TALK",)).id


def write(wiring, sid, words):
    incoming = IncomingText(
        provider_id=sid, from_number=NUMBER, to_number=factories.SENDER, body=words, media_count=0, opt_out_type=None
    )
    with wiring.sessions.begin() as session:
        handle.receive(session, incoming, now=wiring.clock.now(), deps=ticks.deps_of(wiring))


def scraped(client):
    families = list(text_string_to_metric_families(client.get("/metrics").text))
    values = {}
    for family in families:
        for sample in family.samples:
            values[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return families, values


# ---------------------------------------------------------------- figures


def test_figures_have_conventional_names_and_words(client, wiring, parent_id):
    ticks.run_all(wiring)
    families, _ = scraped(client)
    for family in families:
        assert re.fullmatch(r"nudges_[a-z][a-z0-9_]*", family.name), family.name
        assert family.documentation.endswith("."), family.name
        assert family.type in ("counter", "gauge", "histogram", "summary"), family.name
        names = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert all(name.endswith("_total") for name in names), family.name
        elif family.type == "gauge":
            assert not any(name.endswith(("_total", "_count", "_sum", "_bucket")) for name in names), family.name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|days|kb|mb)$", family.name), "base units only"
        for sample in family.samples:
            assert len(sample.labels) <= 2 and "parent" not in sample.labels


def test_counters_grow_and_gauges_tell_the_state(client, wiring, parent_id, clock):
    _, before = scraped(client)
    ticks.run_all(wiring)
    _, after = scraped(client)
    key = ("nudges_texts_planned_total", (("category", "nudge"),))
    assert before.get(key, 0) == 0 and after[key] == 1
    assert before["nudges_texts_total", (("status", "accepted"),)] == 0
    assert after["nudges_texts_total", (("status", "accepted"),)] == 1
    assert after["nudges_backlog_texts", ()] == 0 and after["nudges_lane_paused", (("lane", "1"),)] == 0
    clock.move(minutes=10)
    assert scraped(client)[1][key] == 1, "counted once, also when it has settled"


def test_a_tally_counts_each_row_once(sessions, people, clock):
    tally = Tally(Outbox.id, Outbox.category, Outbox.created_at)
    with sessions.begin() as session:
        parent = factories.a_parent(session, session.merge(people.family), now=clock.now())
        for _ in range(3):
            factories.a_text(session, parent, now=clock.now())
    for minutes in (0, 1, 5, 60):
        clock.move(minutes=minutes)
        with sessions() as session:
            assert tally.read(session, clock.now())["person"] == 3


def test_a_tally_of_a_new_process_leaves_the_years_before_alone(sessions, people, clock):
    with sessions.begin() as session:
        parent = factories.a_parent(session, session.merge(people.family), now=clock.now())
        factories.a_text(session, parent, now=clock.now())
    clock.move(days=2)
    with sessions.begin() as session:
        factories.a_text(session, session.merge(parent), now=clock.now())
    tally = Tally(Outbox.id, Outbox.category, Outbox.created_at)
    for _ in range(2):
        with sessions() as session:
            assert tally.read(session, clock.now())["person"] == 1
        clock.move(days=2)


def test_a_scrape_reads_neither_all_parents_nor_all_texts(sessions, people, now):
    """With a million of them a monitor that asks twice a minute would be the heaviest user of the database."""
    if sessions.kw["bind"].dialect.name != "sqlite":
        pytest.skip("how statements are carried out is asked of SQLite")
    asked = []

    def note(connection, cursor, statement, parameters, context, is_many):
        asked.append((statement, parameters))

    event.listen(sessions.kw["bind"], "before_cursor_execute", note)
    with sessions() as session:
        list(Figures().read(session, now))
        connection = session.connection()
        event.remove(sessions.kw["bind"], "before_cursor_execute", note)
        plans = [
            row[-1]
            for statement, parameters in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            if "ORDER BY" not in statement  # the newest row that is old enough: a look from the end
        ]
    assert [plan for plan in plans if plan in ("SCAN parents", "SCAN outbox", "SCAN outbox_events")] == []


def test_figures_name_nobody(client, wiring, parent_id):
    ticks.run_all(wiring)
    write(wiring, "SM1", WORDS)
    text = client.get("/metrics").text + client.get("/readyz").text + client.get("/healthz").text
    assert "Rosalinda" not in text and NUMBER not in text and "bicycle" not in text and factories.SENDER not in text


def test_readiness_names_the_lane_and_why(client, wiring, sessions, people, clock):
    ticks.run_all(wiring)
    assert client.get("/readyz").status_code == 200
    with sessions.begin() as session:
        session.execute(update(Lane).values(paused_until=clock.now() + timedelta(hours=1), paused_reason="daily cap"))
    answer = client.get("/readyz")
    assert answer.status_code == 503 and "daily cap" in answer.json["checks"]["lanes"]["words"]
    assert client.get("/healthz").status_code == 200, "a restart would not mend that"


# ---------------------------------------------------------------- the ping


@pytest.fixture
def monitor():
    """A monitor's address, and what it heard."""
    heard, status = [], [200]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append(self.path)
            self.send_response(status[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/check-4711", heard, status
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_monitor_hears_once_a_minute_that_all_is_well(wiring, people, clock, monitor):
    url, heard, _ = monitor
    told = []
    for _ in range(4):
        ticks.run_all(wiring)
        told.append(pings.ping(wiring.sessions, url, now=clock.now()))
        clock.move(seconds=20)
    assert told == [True, False, False, True] and heard == ["/check-4711"] * 2


def test_a_late_duty_is_not_well(wiring, people, clock, monitor):
    url, heard, _ = monitor
    ticks.run_all(wiring)
    with wiring.sessions.begin() as session:
        session.get(Heartbeat, "send").at = clock.now() - timedelta(minutes=5)
    assert not pings.ping(wiring.sessions, url, now=clock.now()) and heard == []


def test_a_ping_that_fails_is_logged_by_its_class_alone(wiring, people, clock, monitor, caplog):
    url, _, status = monitor
    ticks.run_all(wiring)
    status[0] = 500
    assert not pings.ping(wiring.sessions, url, now=clock.now())
    assert "HTTPError" in caplog.text and "check-4711" not in caplog.text


def test_without_an_address_nobody_is_told(wiring, people, clock):
    assert not pings.ping(wiring.sessions, None, now=clock.now())


# ---------------------------------------------------------------- the days ahead


def test_the_forecast_is_what_the_plan_will_do(wiring, sessions, parent_id, clock):
    with sessions.begin() as session:
        ahead = outlook.forecast(session, session.scalars(select(Program)).one(), clock.now())
    assert len(ahead.days) == outlook.DAYS and not ahead.is_estimate
    expected = sum(day.texts for day in ahead.days)
    end = clock.now() + timedelta(days=outlook.DAYS - 1)
    while clock.now() < end:
        ticks.plan(wiring)
        ticks.send(wiring)
        clock.move(hours=1)
    nudges = [text for text in wiring.channel.sent if text.to == NUMBER]
    assert expected >= 1 and abs(len(nudges) - expected) <= 1


def test_a_large_program_is_estimated_from_a_sample(sessions, people, clock, monkeypatch):
    monkeypatch.setattr(outlook, "SAMPLE", 2)
    with sessions.begin() as session:
        for _ in range(5):
            factories.a_parent(session, session.merge(people.family), now=clock.now())
    with sessions() as session:
        ahead = outlook.forecast(session, session.scalars(select(Program)).one(), clock.now())
    assert ahead.is_estimate and ahead.sampled == 2 and ahead.parents == 5


def test_staff_are_told_once_when_sending_is_behind(wiring, sessions, parent_id, clock):
    with sessions.begin() as session:
        parent = session.get_one(Parent, parent_id)
        factories.a_text(session, parent, now=clock.now(), expires_at=clock.now() + timedelta(days=1))
    clock.move(minutes=20)
    for _ in range(2):
        with sessions.begin() as session:
            assert outlook.watch(session, clock.now()) == 1
    with sessions() as session:
        task = session.scalars(select(Task).where(Task.kind == outlook.BEHIND)).one()
        assert "20 minutes" in task.words


def test_staff_are_told_when_a_lane_is_too_slow_for_what_is_ahead(sessions, people, clock):
    with sessions.begin() as session:
        for _ in range(4):
            factories.a_parent(session, session.merge(people.family), now=clock.now())
        session.execute(update(Lane).values(segments_per_second=0.00005))
    with sessions.begin() as session:
        assert outlook.watch(session, clock.now()) == 1
        assert "raise its pace" in session.scalars(select(Task).where(Task.kind == outlook.BEHIND)).one().words


# ---------------------------------------------------------------- logs


def test_the_log_of_a_whole_story_names_nobody(wiring, parent_id, clock):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.json_lines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        ticks.run_all(wiring)
        write(wiring, "SM1", WORDS)
        write(wiring, "SM2", "I want to kill myself")
        wiring.channel.lose_next()
        ticks.run_all(wiring)
        clock.move(days=2)
        ticks.run_all(wiring)
        try:
            raise ValueError(f"{NAME} wrote {WORDS} from {NUMBER}")
        except ValueError:
            logging.getLogger("nudges.test").exception("a page broke", extra={"action": "test", "name_of_parent": NAME})
        logging.getLogger("nudges.test").warning("called %s", "(312) 555-0181")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    text = stream.getvalue()
    for line in text.splitlines():
        assert {"event", "level", "logger", "timestamp"} <= set(json.loads(line))
    assert "ValueError at test_watching.py" in text and '"action": "test"' in text
    for told in ("Rosalinda", "bicycle", "kill myself", NUMBER, NUMBER[2:], "555-0181"):
        assert told not in text, told


def test_words_for_people_hold_no_number_either(capsys):
    root, before = logging.getLogger(), list(logging.getLogger().handlers)
    try:
        logs.set_up("words")
        logs.set_up("words")
        logging.getLogger("nudges.test").warning("to %s", NUMBER)
        assert capsys.readouterr().err.count("[number]") == 1
    finally:
        root.handlers[:] = before


BIG = ("parents", "outbox", "outbox_events", "enrollments", "families", "inbound", "step_outcomes")
QUEUE = ("ix_outbox_due", "ix_outbox_ready")


def test_a_beat_reads_no_table_from_end_to_end(wiring, parent_id):
    """Neither the tables nor their indexes: a program with a million families beats as calmly as one with fifty."""
    engine = wiring.engine
    if engine.dialect.name != "sqlite":
        pytest.skip("how statements are carried out is asked of SQLite")
    ticks.run_all(wiring)
    asked = {}

    def note(connection, cursor, statement, parameters, context, is_many):
        if not is_many:
            asked[statement] = parameters

    event.listen(engine, "before_cursor_execute", note)
    ticks.run_all(wiring)
    event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        plans = {
            statement: [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for statement, parameters in asked.items()
            if statement.startswith(("SELECT", "UPDATE", "DELETE"))
        }
    found = {statement: step for statement, plan in plans.items() for step in plan if _reads_all(step)}
    assert len(plans) > 20 and found == {}


def _reads_all(step):
    # What is queued is read by one of the two indexes of what is queued alone; SQLite takes either.
    return any(step.startswith(f"SCAN {table}") for table in BIG) and not step.endswith(QUEUE)
