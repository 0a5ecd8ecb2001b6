"""The engine of one machine: APScheduler as a heartbeat in the web process. Interval jobs only, no calendar."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from nudges.engine.base import Health

# A beat that could not start in time starts late (the default would drop it); several missed ones are one.
_DEFAULTS = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
_THREADS = 4


class EmbeddedEngine:
    """An `Engine` for one process. Two processes that both have one are harmless: claims decide."""

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(_THREADS)},
            job_defaults=_DEFAULTS,
            timezone=UTC,
        )
        self._duties: dict[str, Callable[[], None]] = {}
        self._stopped = threading.Event()

    def every(self, seconds: float, duty: str, fn: Callable[[], None]) -> None:
        self._duties[duty] = fn
        self._scheduler.add_job(
            fn, IntervalTrigger(seconds=seconds, timezone=UTC), id=duty, name=duty, replace_existing=True
        )

    def wake(self, duty: str) -> None:
        # Its own job: moving the interval's next run would shift the beat. One waiting wake-up is enough.
        self._scheduler.add_job(self._duties[duty], id=f"wake {duty}", replace_existing=True)

    def start(self) -> None:
        """Begin to trigger, in threads of its own; every duty runs once right away."""
        self._scheduler.start()
        for duty in self._duties:
            self.wake(duty)

    def stop(self) -> None:
        """Let what runs come to its end, and trigger nothing more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        self._stopped.set()

    def run_forever(self) -> None:
        self.start()
        self._stopped.wait()

    def health(self) -> Health:
        return Health(is_running=bool(self._scheduler.running), duties=tuple(self._duties))
