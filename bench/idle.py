"""What it costs when nothing is due, with a thousand enrolled parents and with many more; and memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import psutil
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from bench import places, town
from bench.figures import say
from bench.sending import clock_of
from nudges.models.family import Parent
from nudges.outbound import lanes, planner

ROUNDS, RUNS = 200, 4
SMALL = 1_000


def measure(kind: str, postgres: str, *, parents: int) -> None:
    """A tick with nothing due against one look-up of one row by an index, and how both grow."""
    found: dict[int, tuple[float, float]] = {}
    grown: dict[int, float] = {}
    for count in (SMALL, parents):
        with places.migrated(kind, postgres) as engine:
            place = town.build(engine, parents=count, due=0)
            before = _resident()
            tick = _milliseconds(partial(_tick, place, clock_of(place).now()))
            grown[count] = _resident() - before
            found[count] = tick, _milliseconds(partial(_look_up, place.sessions, place.now + timedelta(days=400)))
    tick, look_up = found[SMALL]
    say(f"tick with nothing due ({kind})", tick, "ms", peer="one ORM look-up", peer_value=look_up, most=4.0)
    name = f"tick with nothing due, {parents} enrolled ({kind})"
    say(name, found[parents][0], "ms", peer=f"with {SMALL}", peer_value=tick, most=1.5)
    say(f"memory of {parents} enrolled ({kind})", grown[parents] - grown[SMALL], "MB more", most=20.0)


def _tick(place: town.Town, now: object) -> None:
    """What plan and send ask of the database at each beat."""
    planner.plan_due(place.sessions, now=place.now, library=town.LIBRARY)
    with place.sessions() as session:
        lanes.turns(session, place.now)


def _look_up(sessions: sessionmaker[Session], at: object) -> None:
    with sessions() as session:
        session.scalars(select(Parent).where(Parent.next_at == at).limit(1)).all()


def _milliseconds(ask: Callable[[], None]) -> float:
    """The least of some medians: right after an import the server still tidies up, which is not the tick's work."""
    return min(_median(ask) for _ in range(RUNS))


def _median(ask: Callable[[], None]) -> float:
    samples = []
    for _ in range(ROUNDS // RUNS):
        began = time.perf_counter()
        ask()
        samples.append((time.perf_counter() - began) * 1000)
    return statistics.median(samples)


def _resident() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6
