"""The real engine under a clock that runs by itself sends what the simulator shows: its own threads, beats and delays.

The clock is never frozen. It runs twenty times as fast as the machine's, and leaps over the time in which nothing is due
to some seconds before the next moment; then the engine, which runs as fast, has to deal with it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from nudges.channels.fake import FakeChannel
from nudges.engine import ticks
from nudges.engine.embedded import EmbeddedEngine
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.outbox.status import QUEUED, SENDING
from schedules import script
from tests.flows.test_as_simulated import FAMILIES, START, Life, enrolled, nudges_made, simulated

FACTOR = 20  # and even a busy machine, whose threads stand still for seconds, is in time
DAYS = 60
LATEST = timedelta(minutes=5)
BEAT = 0.1  # real seconds at the least
PATIENCE = 60.0  # real seconds: only a busy machine needs them


class RunningClock:
    """Runs by itself, fast, and can leap ahead."""

    def __init__(self, at: datetime) -> None:
        self._at, self._since, self._lock = at, time.monotonic(), threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._at + timedelta(seconds=(time.monotonic() - self._since) * FACTOR)

    def leap(self, to: datetime) -> None:
        ahead = to - self.now()
        with self._lock:
            self._at += max(ahead, timedelta(0))

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / FACTOR)


class FastEngine(EmbeddedEngine):
    """The engine, whose seconds pass as fast as the clock's."""

    def every(self, seconds, duty, run):
        super().every(max(seconds / FACTOR, BEAT), duty, lambda turn: self._real(run(turn)))

    def _real(self, wanted):
        return None if wanted is None else wanted / FACTOR


class OwnLife(Life):
    """A parent whose texts an engine sends while this one only answers, and leaps over empty days."""

    def run(self, until):
        while (at := min(self.moments(), default=until)) < until:
            self.mark = max(self.mark, at)
            self.clock.leap(at - timedelta(seconds=2, milliseconds=at.day))
            give_up = time.monotonic() + PATIENCE
            while not self.is_dealt_with(at):
                assert time.monotonic() < give_up, f"the engine did not deal with {at}"
                time.sleep(0.02)

    def moments(self):
        with self.wiring.sessions() as session:
            planned = session.scalar(select(Parent.next_at).where(Parent.id == self.parent_id))
            queued = session.scalar(select(func.min(Outbox.not_before)).where(Outbox.status == QUEUED))
        return [at for at in (planned, queued, *(at for at, _ in self.due)) if at is not None]

    def is_dealt_with(self, at):
        """Nothing that was due at `at` is still to be done."""
        if self.clock.now() < at:
            return False
        for act in [one for one in self.due if one[0] <= self.clock.now()]:
            self.due.remove(act)
            with self.wiring.sessions() as session:
                parent = session.get(Parent, self.parent_id)
            self.answer(parent, act[1])
        self.note_sent()
        with self.wiring.sessions() as session:  # also what is being handed over at this moment
            if session.scalar(select(func.count()).where(Outbox.status == SENDING)):
                return False
        return min(self.moments(), default=self.clock.now() + LATEST) > self.clock.now()


@pytest.mark.parametrize(("data", "key", "dates", "acts"), FAMILIES[:2])
def test_the_engine_on_a_clock_of_its_own_sends_what_the_simulator_shows(wiring, people, data, key, dates, acts):
    zone = data["timezone"]
    start = script.instant(START, zone)[0]
    clock = RunningClock(start)
    served = replace(wiring, clock=clock, channel=FakeChannel(clock))
    parent = enrolled(served, people, start, data, key, dates)
    life = OwnLife(served, clock, parent.id, acts, zone)
    engine = FastEngine()
    ticks.attach(engine, served)
    engine.start()
    try:
        life.run(start + timedelta(days=DAYS))
    finally:
        engine.stop()
    shown, made = simulated(data, key, dates, acts, DAYS), nudges_made(served)
    assert [row.step_id for row in made] == [step for _, step, _ in shown]
    lags = [row.created_at - datetime.fromisoformat(f"{at}+00:00") for row, (at, _, _) in zip(made, shown, strict=True)]
    assert all(timedelta(0) <= one <= LATEST for one in lags), lags
    assert len(served.channel.sent) == len(made)
