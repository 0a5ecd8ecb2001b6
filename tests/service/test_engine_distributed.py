"""The distributed engine on a real PostgreSQL: a trigger and a supervisor, and nothing that anybody relies on."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import psycopg
import pytest
from procrastinate import periodic
from procrastinate.periodic import PeriodicDeferrer
from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy import func, select, update

from nudges import config
from nudges.config import ConfigError
from nudges.engine import distributed, tables, ticks
from nudges.engine.distributed import DistributedEngine
from nudges.engine.waking import Waker
from nudges.models.messages import Outbox, OutboxEvent
from nudges.models.program import Heartbeat, Lane, Program
from tests.support.factories import a_parent, a_text

LONG = 3600.0


def alone(coroutine):
    """What `coroutine` returns, run on a thread of its own: a browser test before this one leaves a loop in the main one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


@pytest.fixture
def engine(request):
    """These tests are about PostgreSQL only."""
    from tests.conftest import empty

    engine = request.getfixturevalue("postgres_engine")
    yield engine
    empty(engine)


@pytest.fixture
def url(engine):
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def jobs(url):
    """Reads the engine's tables, which are empty at first."""
    tables.make(url)
    with psycopg.connect(
        tables.conninfo(url), autocommit=True, row_factory=dict_row, options=f"-c search_path={tables.schema()}"
    ) as connection:
        connection.execute("TRUNCATE procrastinate_jobs, procrastinate_workers, procrastinate_periodic_defers CASCADE")
        yield lambda query="SELECT * FROM procrastinate_jobs ORDER BY id": connection.execute(query).fetchall()


@pytest.fixture
def make_engine(url, jobs):
    """Engines of as many processes as a test wants; all are stopped in the end."""
    made = []

    def make():
        made.append(DistributedEngine(url))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def rings(seen):
    def run(turn):
        seen.put(turn.lane_id)

    return run


def test_every_duty_runs_at_once_and_on_a_wake_up_and_leaves_no_job_behind(make_engine, jobs):
    seen, engine = queue.Queue(), make_engine()
    engine.every(LONG, "send", rings(seen))
    engine.start()
    assert seen.get(timeout=20) is None
    engine.wake("send", 7)
    assert seen.get(timeout=20) == 7
    assert engine.health().is_running
    assert engine.health().duties == ("send",)
    engine.stop()
    assert not engine.health().is_running
    assert jobs() == []
    assert jobs("SELECT * FROM procrastinate_workers") == []


def test_what_one_process_wakes_another_one_does(make_engine):
    seen, page, worker = queue.Queue(), make_engine(), make_engine()
    worker.every(LONG, "send", rings(seen))
    worker.start()
    assert seen.get(timeout=20) is None
    page.wake("send", 3)
    assert seen.get(timeout=20) == 3


def test_many_wake_ups_are_one_job_and_none_ever_holds_the_engines_lock(make_engine, jobs):
    engine = make_engine()
    for _ in range(3):
        for lane_id in (None, 1, 2):
            engine.wake("send", lane_id)
    waiting = [(job["queue_name"], job["queueing_lock"], job["args"]) for job in jobs()]
    assert waiting == [
        ("duties", "send", {"duty": "send", "lane_id": None}),
        ("lanes", "send 1", {"duty": "send", "lane_id": 1}),
        ("lanes", "send 2", {"duty": "send", "lane_id": 2}),
    ]
    assert {job["lock"] for job in jobs()} == {None}


def test_a_beat_that_every_machine_rings_is_one_job(make_engine, jobs):
    ringers = [make_engine(), make_engine()]
    for ringer in ringers:
        ringer.every(2.0, "plan", rings(queue.Queue()))
        ringer.every(LONG, "clean", rings(queue.Queue()))

    async def ring(engine):
        app = engine._app()
        async with app.open_async():
            deferrer = PeriodicDeferrer(app.periodic_registry, **app.periodic_defaults)
            await deferrer.defer_jobs(deferrer.get_previous_tasks(at=1_760_000_000.0))

    for ringer in ringers:
        alone(ring(ringer))
    assert sorted(job["queueing_lock"] for job in jobs()) == ["clean", "plan"]
    assert {job["lock"] for job in jobs()} == {None}
    # The queueing lock alone would not do: the first machine may be done before the second one rings.
    jobs("DELETE FROM procrastinate_jobs RETURNING id")
    alone(ring(ringers[1]))
    assert jobs() == []


@pytest.mark.parametrize("hours", [-1, 1])
def test_beats_go_on_when_the_clock_of_the_only_worker_is_set(make_engine, jobs, monkeypatch, hours):
    """Not silent for an hour, and no hour's beats made up for: escalation is a beat."""
    step, seen, engine = 0.0, queue.Queue(), make_engine()
    monkeypatch.setattr(periodic, "time", SimpleNamespace(time=lambda: time.time() + step))
    monkeypatch.setattr(distributed, "ahead", lambda: step)
    monkeypatch.setattr(distributed, "_LOOK_AT_CLOCK", 0.05)
    engine.every(1.0, "watch", rings(seen))
    engine.start()
    for _ in range(2):
        seen.get(timeout=20)
    step = hours * 3600.0
    for _ in range(4):
        seen.get(timeout=20)
    assert seen.qsize() < 4


def test_a_wake_up_beside_an_open_transaction_leaves_the_transaction_whole(make_engine, sessions, people, now):
    engine = make_engine()
    with sessions.begin() as session:
        a_text(session, a_parent(session, people.family, now=now), now=now)
        engine.wake("send", 1)
        engine.wake("send", 1)  # refused by the database, in a transaction of its own
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Outbox)) == 1


def test_more_long_turns_than_the_default_threads_run_at_once_and_planning_still_does(make_engine):
    at_work, let_go, planned = threading.Barrier(9), threading.Event(), queue.Queue()

    def send(turn):
        if turn.lane_id is not None:
            at_work.wait(timeout=20)
            let_go.wait(timeout=20)

    engine = make_engine()
    engine.every(LONG, "send", send)
    engine.every(LONG, "plan", rings(planned))
    engine.start()
    for lane_id in range(1, 9):
        engine.wake("send", lane_id)
    at_work.wait(timeout=20)  # eight lanes are being drained now
    while not planned.empty():
        planned.get()
    engine.wake("plan")
    assert planned.get(timeout=20) is None
    let_go.set()


def test_a_turn_that_knows_when_it_is_due_is_woken_then_and_no_job_has_a_date(make_engine, jobs):
    seen, turns, engine = queue.Queue(), [], make_engine()

    def run(turn):
        turns.append(turn)
        seen.put([job["scheduled_at"] for job in jobs()])
        return 0.01 if len(turns) < 3 else None

    engine.every(LONG, "plan", run)
    engine.start()
    for _ in range(3):
        assert set(seen.get(timeout=20)) <= {None}, "a job with a date"


def test_a_slice_that_left_something_is_taken_up_again(make_engine):
    slices, turns, engine = queue.Queue(), [], make_engine()

    def run(turn):
        if turn.lane_id is None:
            return None
        slices.put(turn.lane_id)
        turns.append(turn)
        return 0.0 if len(turns) < 3 else None

    engine.every(LONG, "send", run)
    engine.start()
    engine.wake("send", 4)
    assert [slices.get(timeout=20) for _ in range(3)] == [4, 4, 4]


def test_a_job_of_another_release_is_left_alone(make_engine, jobs):
    seen, engine = queue.Queue(), make_engine()
    engine.every(LONG, "plan", rings(seen))
    make_engine().wake("a duty that only the next release knows")
    engine.start()
    assert seen.get(timeout=20) is None
    engine.stop()
    assert jobs() == []


def test_jobs_of_a_killed_worker_are_swept_also_when_a_twin_waits(make_engine, jobs):
    engine = make_engine()
    engine.every(LONG, "send", rings(queue.Queue()))
    engine.wake("send", 1)
    jobs("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute') RETURNING id")
    jobs(
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM procrastinate_workers)"
        " RETURNING id"
    )
    engine.wake("send", 1)  # the dead one's job keeps nobody out
    assert [job["status"] for job in jobs()] == ["doing", "todo"]

    async def sweep():
        app = engine._app()
        async with app.open_async():
            return await distributed.sweep(app)

    assert alone(sweep()) == 1
    assert [job["status"] for job in jobs()] == ["todo"]
    assert alone(sweep()) == 0


def test_a_wake_up_without_a_database_costs_a_line_in_the_log_and_no_error(caplog):
    engine = DistributedEngine("postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    engine._bell.connector._pool_args["timeout"] = 0.1
    engine.wake("send", 1)
    engine.stop()
    assert "a wake-up was lost" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "cron"),
    [
        (0.05, "* * * * * */1"),
        (2.0, "* * * * * */2"),
        (2.5, "* * * * * */3"),
        (10, "* * * * * */10"),
        (60, "*/1 * * * *"),
        (90, "*/2 * * * *"),
        (3600, "0 * * * *"),
    ],
)
def test_a_beat_as_a_cron_line(seconds, cron):
    assert distributed.cron_of(seconds) == cron


def test_distributed_on_sqlite_is_refused_with_the_way_out():
    with pytest.raises(ConfigError, match="NUDGES_ENGINE=distributed needs PostgreSQL.*postgresql://user@host/nudges"):
        config.load({"NUDGES_ENGINE": "distributed", "NUDGES_DATABASE_URL": "sqlite:///x"})


# ---------------------------------------------------------------- its tables


def test_processes_that_start_together_make_the_tables_once(url):
    with psycopg.connect(tables.conninfo(url), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(tables.schema())))
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: tables.make(url), range(4)))
    assert sorted(made) == [False, False, False, True]


def test_tables_of_a_release_that_nobody_has_used_for_a_day_are_dropped_and_others_are_not(url, jobs):
    with psycopg.connect(tables.conninfo(url), autocommit=True) as connection:
        for name, made, beaten in [
            ("unused", "3 days", "2 days"),
            ("running", "3 days", "1 minute"),
            ("new", "1 minute", "2 days"),
        ]:
            connection.execute(f"CREATE SCHEMA nudges_engine_{name}")
            connection.execute(f"CREATE TABLE nudges_engine_{name}.made AS SELECT now() - interval '{made}' AS at")
            connection.execute(
                f"CREATE TABLE nudges_engine_{name}.procrastinate_workers AS"
                f" SELECT now() - interval '{beaten}' AS last_heartbeat"
            )
        try:
            assert tables.drop_unused(url) == ["nudges_engine_unused"]
            assert tables.make(url) is False, "its own are there"
        finally:
            connection.execute("DROP SCHEMA nudges_engine_running CASCADE")
            connection.execute("DROP SCHEMA nudges_engine_new CASCADE")


# ---------------------------------------------------------------- woken after commit


@pytest.fixture
def woken(sessions):
    seen = queue.Queue()
    waker = Waker(sessions, seen.put)
    yield seen
    waker.stop()


def test_what_is_queued_wakes_its_lane_after_the_commit_and_not_before(sessions, people, now, woken):
    with sessions.begin() as session:
        with session.begin_nested():
            row = a_text(session, a_parent(session, people.family, now=now), now=now)
        assert woken.empty()
    assert woken.get(timeout=5) == row.lane_id
    assert woken.empty()


def test_what_is_rolled_back_wakes_nobody(sessions, people, now, woken):
    with sessions() as session:
        a_text(session, a_parent(session, people.family, now=now), now=now)
        session.rollback()
        session.commit()
    with sessions.begin() as session:
        session.get(Program, people.program.id).name = "Nothing to send"
    assert woken.empty()


# ---------------------------------------------------------------- the whole service on it


def test_two_workers_send_each_text_once_and_never_drain_a_lane_together(wiring, sessions, people, make_engine, now):
    with sessions.begin() as session:
        session.execute(update(Lane).values(segments_per_second=225.0, tokens=225.0, tokens_at=now))
        for _ in range(40):
            a_text(session, a_parent(session, people.family, now=now), now=now)
        lane_id = session.scalars(select(Lane.id)).one()
    at_work, most, hand_over, sent = [], [], wiring.channel.send, threading.Event()

    def send(outgoing):
        at_work.append(1)
        most.append(len(at_work))
        try:
            return hand_over(outgoing)
        finally:
            at_work.pop()
            if len(wiring.channel.sent) >= 40:
                sent.set()

    wiring.channel.send = send
    workers = [make_engine(), make_engine()]
    for worker in workers:
        ticks.attach(worker, wiring)
        worker.start()
    for _ in range(20):
        for worker in workers:
            worker.wake("send", lane_id)
            worker.wake("plan")
    assert sent.wait(timeout=30)
    for worker in workers:
        worker.stop()
    texts = [(text.to, text.body) for text in wiring.channel.sent]
    assert len(texts) == len(set(texts))
    with sessions() as session:
        assert set(session.scalars(select(Outbox.status).where(Outbox.category == "person"))) == {"accepted"}
        claims = session.scalars(select(OutboxEvent.outbox_id).where(OutboxEvent.to_status == "sending")).all()
        assert len(claims) == len(set(claims)) >= 40
        assert {"plan", "send"} <= set(session.scalars(select(Heartbeat.duty)))
