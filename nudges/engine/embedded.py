"""The engine of one machine: APScheduler as a heartbeat in the same process. It only rings; our threads do the work."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, timedelta
from typing import Final

from apscheduler.executors.pool import ThreadPoolExecutor as Ringers
from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from nudges.clock import SystemClock, ahead
from nudges.engine.base import Health, Run, Turn
from nudges.engine.turns import Key, Turns

logger = logging.getLogger(__name__)

# A beat that could not start in time starts late (the default would drop it); several missed ones are one.
_DEFAULTS: Final = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
_DUTY_THREADS: Final = 4
_LOOK_AT_CLOCK: Final = 1.0  # seconds
_LANE_THREADS: Final = 8  # of their own: however much there is to send, planning and alerts never wait for it


class EmbeddedEngine:
    """An `Engine` for one process. Two processes that both have one are harmless: claims decide."""

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": Ringers(1)},
            job_defaults=_DEFAULTS,
            timezone=UTC,
        )
        self._runs: dict[str, Run] = {}
        self._beats: dict[str, float] = {}
        self._turns = Turns()
        self._duties = ThreadPoolExecutor(_DUTY_THREADS, thread_name_prefix="duty")
        self._lanes = ThreadPoolExecutor(_LANE_THREADS, thread_name_prefix="lane")
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._watch_the_clock, name="clock", daemon=True)

    def every(self, seconds: float, duty: str, run: Run) -> None:
        self._runs[duty], self._beats[duty] = run, seconds
        beat = IntervalTrigger(seconds=seconds, timezone=UTC)
        self._scheduler.add_job(self.wake, beat, (duty,), id=duty, name=duty, replace_existing=True)

    def wake(self, duty: str, lane_id: int | None = None) -> None:
        key = (duty, lane_id)
        if self.health().is_running and self._turns.ask(key):
            threads = self._duties if lane_id is None else self._lanes
            with suppress(RuntimeError):  # it is being stopped this very moment
                threads.submit(self._take, key)

    def _take(self, key: Key) -> None:
        duty, lane_id = key
        wanted = self._turns.take(key, self._runs[duty], Turn(lane_id=lane_id, stopping=self._stopping))
        if wanted is not None and wanted < self._beats[duty] and self.health().is_running:
            self._wake_in(wanted, key)

    def _wake_in(self, seconds: float, key: Key) -> None:
        if seconds <= 0:
            self.wake(*key)
            return
        # Real seconds, also when a demo has moved the service's own clock.
        at = DateTrigger(SystemClock().now() + timedelta(seconds=seconds), timezone=UTC)
        self._scheduler.add_job(self.wake, at, key, id=f"later {key}", replace_existing=True)

    def start(self) -> None:
        """Begin to trigger, in threads of its own; every duty runs once right away."""
        self._scheduler.start()
        self._watch.start()
        for duty in self._runs:
            self.wake(duty)

    def _watch_the_clock(self) -> None:
        """APScheduler waits for an instant of the machine's clock: set back by an hour, it would ring in an hour."""
        was_ahead = ahead()
        while not self._stopping.wait(_LOOK_AT_CLOCK):
            before, was_ahead = was_ahead, ahead()
            if was_ahead < before - _LOOK_AT_CLOCK and self._scheduler.running:
                self._ring_anew()

    def _ring_anew(self) -> None:
        logger.warning("the machine's clock was set back", extra={"action": "clock"})
        for duty, seconds in self._beats.items():
            with suppress(JobLookupError):  # it is being stopped this very moment
                self._scheduler.reschedule_job(duty, trigger=IntervalTrigger(seconds=seconds, timezone=UTC))
            self.wake(duty)

    def leave(self) -> None:
        """Ask it to stop, from anywhere, a signal's handler too."""
        self._stopping.set()

    def stop(self) -> None:
        """Let what runs come to its end, and trigger nothing more."""
        self.leave()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for threads in (self._duties, self._lanes):
            threads.shutdown(wait=True, cancel_futures=True)

    def run_forever(self) -> None:
        self.start()
        self._stopping.wait()
        self.stop()

    def health(self) -> Health:
        is_running = bool(self._scheduler.running) and not self._stopping.is_set()
        return Health(is_running=is_running, duties=tuple(self._runs))
