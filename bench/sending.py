"""Planner and lanes against the raw limit and against a job for each message; the pace against a slow provider."""

from __future__ import annotations

import gc
import itertools
import time
from datetime import timedelta

from sqlalchemy import func, select, update

from bench import apscheduler_peer, places, raw, town
from bench.figures import say
from nudges.channels.base import Accepted, Found, Outgoing
from nudges.clock import Clock, SystemClock
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.outbound import lanes, planner, sender

HELD, DUE = 20_000, 5_000
APSCHEDULER_DUE = 1_500
PLANNER = {"sqlite": (0.15, 12.0), "postgres": (0.20, 6.0)}  # of the raw planner; times APScheduler
LANE = {"sqlite": 0.20, "postgres": 0.40}
LEAST_LANE = 2_250
FULL_PACE, CALL_SECONDS, WATCHED = 225.0, 0.1, 900


class NoSender:
    """A channel that takes everything, after `seconds`, and keeps the moment of each call."""

    name = "none"

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.calls: list[float] = []
        self._ids = itertools.count()

    def send(self, outgoing: Outgoing) -> Accepted:
        self.calls.append(time.perf_counter())
        if self.seconds:
            time.sleep(self.seconds)
        return Accepted(provider_id=f"none {outgoing.attempt_id}", status="accepted")

    def find_sent(self, to: str, *, since: object) -> list[Found]:
        return []


class Shifted:
    """A real clock that shows the town's moment."""

    def __init__(self, shift: timedelta) -> None:
        self.shift, self.clock = shift, SystemClock()

    def now(self):  # type: ignore[no-untyped-def]
        return self.clock.now() + self.shift


def clock_of(place: town.Town) -> Clock:
    return Shifted(place.now + timedelta(seconds=1) - SystemClock().now())


def measure(kind: str, postgres: str) -> None:
    """All figures of one kind of database, each beside a bound of its own: a machine's speed changes within minutes."""
    with places.empty_url(kind, postgres) as url:
        _, running = apscheduler_peer.rates(kind, url, due=APSCHEDULER_DUE)
    for shape, options in SHAPES.items():
        with places.empty_url(kind, postgres) as url:
            raw_planner, raw_lane = raw.rates(kind, url, held=HELD, due=DUE)
        with places.migrated(kind, postgres) as engine:
            place = town.build(engine, parents=HELD, due=DUE, **options)
            planned = _planner(place)
            of_raw, times = PLANNER[kind]
            name = f"planner, {shape} ({kind})"
            say(name, planned, "parents/s", peer="raw SQL planner", peer_value=raw_planner, least=of_raw)
            say(name, planned, "parents/s", peer="APScheduler, job a message", peer_value=running, least=times)
            if options:
                continue
            lane = _lane(place)
            name = f"lane, no-op sender ({kind})"
            say(name, lane, "texts/s", peer="raw SQL lane", peer_value=raw_lane, least=LANE[kind])
            say(name, lane, "texts/s", least=LEAST_LANE)


# An intake or a monthly text finds many parents standing alike; the worst case is that no two do.
SHAPES: dict[str, dict[str, object]] = {
    "an intake": {},
    "a week later, no two alike": {"days": 5, "each_different": True},
}


def _planner(place: town.Town) -> float:
    gc.collect()
    gc.freeze()  # as a process does before its first beat: factory.keep_what_is_here
    began = time.perf_counter()
    planned = planner.plan_due(place.sessions, now=place.now, library=town.LIBRARY)
    seconds = time.perf_counter() - began
    if (planned.parents, planned.queued, planned.failed) != (place.due, place.due, 0):
        raise RuntimeError(f"the planner did something else: {planned}")
    return place.due / seconds


def _lane(place: town.Town) -> float:
    """Texts a second through a lane whose bucket never empties. What is queued was planned by `_planner`."""
    kept = lanes.BURST_SECONDS
    lanes.BURST_SECONDS = 1e6  # type: ignore[misc]
    with place.sessions.begin() as session:
        session.execute(update(Lane).values(segments_per_second=FULL_PACE, tokens=1e8, tokens_at=place.now))
    channel = NoSender()
    began = time.perf_counter()
    drained = sender.drain(
        place.sessions, channel, place.lane_id, clock=clock_of(place), owner="bench", library=town.LIBRARY
    )
    seconds = time.perf_counter() - began
    lanes.BURST_SECONDS = kept  # type: ignore[misc]
    if len(channel.calls) != place.due:
        raise RuntimeError(f"the lane did something else: {drained}, {len(channel.calls)} calls")
    return place.due / seconds


def measure_pace(kind: str, postgres: str) -> None:
    """A lane at the fastest pace there is, a provider that takes 100 ms, and a restart every second."""
    with places.migrated(kind, postgres) as engine:
        place = town.build(engine, parents=WATCHED, due=WATCHED)
        _planner(place)
        with place.sessions.begin() as session:
            segments = session.scalar(select(func.sum(Outbox.segments))) or 0
            session.execute(update(Lane).values(segments_per_second=FULL_PACE, tokens=0.0, tokens_at=place.now))
        channel, clock = NoSender(CALL_SECONDS), clock_of(place)
        began = time.perf_counter()
        while len(channel.calls) < place.due and time.perf_counter() - began < 60:
            sender.drain(
                place.sessions,
                channel,
                place.lane_id,
                clock=clock,
                owner="bench",
                stay_seconds=1.0,
                library=town.LIBRARY,
            )
        seconds = max(channel.calls) - min(channel.calls)
        rate = segments / seconds
        say(
            f"lane against a {CALL_SECONDS * 1000:.0f} ms provider ({kind})", rate, "segments/s", least=0.95 * FULL_PACE
        )
        share = segments / place.due
        most = _busiest(channel.calls, 1.0) * share
        say(f"the busiest second of it ({kind})", most, "segments", most=FULL_PACE)


def _busiest(calls: list[float], window: float) -> int:
    moments, first, most = sorted(calls), 0, 0
    for last, at in enumerate(moments):
        while at - moments[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most
