"""The engine of many machines: Procrastinate on the same PostgreSQL, as trigger and supervisor and nothing else.

Each beat is a periodic job that all workers together put into the queue once; each lane that has something to send is
a job too. A job says "look now": what there is to do, and who may do it, our own tables say. So a job that is lost,
doubled, late, or left behind by a killed worker costs a beat at most, and no job ever waits for another: `lock` is
never used, and `queueing_lock` only keeps equal jobs from piling up. docs/decisions/0006-two-engines.md.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import Any, Final

import psycopg
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, AppNotOpen, ConnectorException
from procrastinate.jobs import Status

from nudges.clock import ahead
from nudges.db import REACH
from nudges.engine import tables
from nudges.engine.base import Health, Run, Turn
from nudges.engine.turns import Key, Turns

logger = logging.getLogger(__name__)

# Names that two releases running side by side must share.
TASK: Final = "turn"
DUTIES: Final = "duties"
LANES: Final = "lanes"

_DUTY_THREADS: Final = 4
_LANE_THREADS: Final = 8  # in a queue of their own: planning and alerts never wait for sending
_SPARE_THREADS: Final = 4  # for turns that knew when they would be due
_LOOK_AT_CLOCK: Final = 1.0  # seconds
_CLOCK_STEP: Final = 2.0
_POLL_SECONDS: Final = 1.0  # when a notification was missed
_SWEEP_SECONDS: Final = 30.0
_SWEEPS_AN_HOUR: Final = 120
_STALE_SECONDS: Final = 30.0  # a worker that has not beaten for so long is gone
_AGAIN_SECONDS: Final = 1.0  # after the database was away
_KEEP_FAILED_HOURS: Final = 24
_LOST: Final = (ConnectorException, psycopg.Error, AppNotOpen, OSError)


class DistributedEngine:
    """An `Engine` that any number of processes share. Needs PostgreSQL and the schema of `tables.make`."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._runs: dict[str, Run] = {}
        self._beats: dict[str, float] = {}
        self._turns = Turns()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # A second app: inside a worker the first one is asynchronous, and turns run in threads.
        pool = {**self._pool(), "min_size": 0, "max_size": 2, "timeout": 2.0}
        self._bell = App(connector=SyncPsycopgConnector(**pool))
        self._bell_lock = threading.Lock()

    # ------------------------------------------------------------ the seam

    def every(self, seconds: float, duty: str, run: Run) -> None:
        self._runs[duty], self._beats[duty] = run, seconds

    def wake(self, duty: str, lane_id: int | None = None) -> None:
        try:
            self._open_bell()
            job = self._bell.configure_task(
                TASK, queue=DUTIES if lane_id is None else LANES, queueing_lock=waiting_as((duty, lane_id))
            )
            job.defer(duty=duty, lane_id=lane_id)
        except AlreadyEnqueued:
            pass  # one that waits is enough: it will look after this moment
        except _LOST as error:
            logger.warning("a wake-up was lost: %s", type(error).__name__, extra={"action": "wake"})

    def run_forever(self) -> None:
        self.start()
        self._stopping.wait()
        self.stop()

    def health(self) -> Health:
        is_running = self._thread is not None and self._thread.is_alive() and not self._stopping.is_set()
        return Health(is_running=is_running, duties=tuple(self._runs))

    # ------------------------------------------------------------ starting and stopping

    def start(self) -> None:
        """Begin to work, in threads of its own. A duty whose last beat nobody has had is run right away."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="engine")
        self._thread.start()

    def leave(self) -> None:
        """Ask it to stop, from anywhere, a signal's handler too."""
        self._stopping.set()

    def stop(self) -> None:
        """Let what runs come to its end, and take nothing more."""
        self.leave()
        if self._thread is not None:
            self._thread.join()
        with suppress(*_LOST):
            self._bell.close()

    def _pool(self) -> dict[str, Any]:
        return {
            "conninfo": tables.conninfo(self._url),
            "kwargs": {**REACH, "options": f"-c search_path={tables.schema()}"},
        }

    def _open_bell(self) -> None:
        with self._bell_lock:
            self._bell.open()

    # ------------------------------------------------------------ the worker

    async def _work(self) -> None:
        """Work until told to stop. A database that goes away ends a worker; the next one starts when it is back."""
        self._loop = asyncio.get_running_loop()
        # The default would be as many threads as processors and four: a few long turns would starve the rest.
        threads = ThreadPoolExecutor(_DUTY_THREADS + _LANE_THREADS + _SPARE_THREADS, thread_name_prefix="turn")
        self._loop.set_default_executor(threads)
        while not self._stopping.is_set():
            try:
                await self._work_while_connected()
            except _LOST as error:
                logger.warning("the engine starts anew: %s", type(error).__name__, extra={"action": "engine"})
            await self._sleep(_AGAIN_SECONDS)

    async def _work_while_connected(self) -> None:
        app = self._app()
        async with app.open_async():
            jobs = (*self._workers(app), self._sweeps(app), self._told_to_stop(), _clock_was_set())
            tasks = [asyncio.create_task(job) for job in jobs]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()  # a worker that is cancelled lets its turns come to their end
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def _app(self) -> App:
        """The tasks and their beats, on a pool of connections of their own."""
        app = App(
            connector=PsycopgConnector(**self._pool(), min_size=1, max_size=8, timeout=5.0),
            periodic_defaults={"max_delay": 2 * max(self._beats.values())},  # how far back it looks for a missed beat
        )

        @app.task(name=TASK, queue=DUTIES)
        def turn(timestamp: int = 0, *, duty: str, lane_id: int | None = None) -> None:
            self._take((duty, lane_id))

        for duty, seconds in self._beats.items():
            app.periodic(
                cron=cron_of(seconds),
                periodic_id=duty,
                queueing_lock=waiting_as((duty, None)),
                task_kwargs={"duty": duty},
            )(turn)
        return app

    def _workers(self, app: App) -> list[Any]:
        """One worker for duties and one for lanes: however much there is to send, planning goes on."""
        return [
            app.run_worker_async(
                queues=[queue],
                name=queue,
                concurrency=concurrency,
                fetch_job_polling_interval=_POLL_SECONDS,
                delete_jobs="successful",
                install_signal_handlers=False,
                stalled_worker_timeout=_STALE_SECONDS,
            )
            for queue, concurrency in ((DUTIES, _DUTY_THREADS), (LANES, _LANE_THREADS))
        ]

    def _take(self, key: Key) -> None:
        """A turn, in a thread. Asked for while the same one runs here, it is left to that one."""
        duty, lane_id = key
        run = self._runs.get(duty)
        if run is None or not self._turns.ask(key):
            return  # a duty of another release, or one that is at work
        wanted = self._turns.take(key, run, Turn(lane_id=lane_id, stopping=self._stopping))
        if wanted is None or wanted >= self._beats[duty]:
            return
        if wanted <= 0 or self._stopping.is_set():
            self.wake(*key)  # for whoever is free: a slice at a time, so that all get their turn
        else:
            self._take_in(wanted, key)

    def _take_in(self, seconds: float, key: Key) -> None:
        """Sleep until it is due, here: a job with a date would be found by polling, and slows every other one down.

        The timer is as good as any trigger. If this process dies with it, the beat comes all the same.
        """
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # closed
                loop.call_soon_threadsafe(loop.call_later, seconds, self._take_soon, key)

    def _take_soon(self, key: Key) -> None:
        if self._loop is not None and not self._stopping.is_set():
            self._loop.run_in_executor(None, self._take, key)

    async def _told_to_stop(self) -> None:
        while not self._stopping.is_set():
            await asyncio.sleep(0.05)

    async def _sleep(self, seconds: float) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._told_to_stop(), seconds)

    async def _sweeps(self, app: App) -> None:
        for number in count():
            await sweep(app)
            if number % _SWEEPS_AN_HOUR == 0:
                await asyncio.to_thread(tables.drop_unused, self._url)
            await asyncio.sleep(_SWEEP_SECONDS)


async def _clock_was_set() -> None:
    """Ends when somebody sets this machine's clock. Procrastinate rings by it: set back by an hour, it would be silent
    for that hour; set forward, it would make up for each beat of it first. A worker that begins anew does neither.
    """
    was_ahead = ahead()
    while abs(ahead() - was_ahead) < _CLOCK_STEP:
        was_ahead = ahead()  # what drifts is no step
        await asyncio.sleep(_LOOK_AT_CLOCK)
    logger.warning("the machine's clock was set", extra={"action": "clock"})


async def sweep(app: App) -> int:
    """Remove jobs that dead workers left behind, and failed ones after a day. How many were left behind.

    They are not tried again: the next beat has asked for the same long since, and putting one back beside it would
    fail on the queueing lock.
    """
    manager = app.job_manager
    await manager.prune_stalled_workers(_STALE_SECONDS)
    left = list(await manager.get_stalled_jobs(seconds_since_heartbeat=_STALE_SECONDS))
    for job in left:
        with suppress(ConnectorException):  # another worker swept it
            await manager.finish_job(job, status=Status.FAILED, delete_job=True)
    await manager.delete_old_jobs(nb_hours=_KEEP_FAILED_HOURS, include_failed=True, include_aborted=True)
    return len(left)


def waiting_as(key: Key) -> str:
    """The queueing lock under which a job waits."""
    duty, lane_id = key
    return duty if lane_id is None else f"{duty} {lane_id}"


def cron_of(seconds: float) -> str:
    """A beat as a cron line (the sixth field is seconds). Rounded up: the shortest beat is a second."""
    whole = max(1, math.ceil(seconds))
    if whole < 60:
        return f"* * * * * */{whole}"
    minutes = min(60, math.ceil(whole / 60))
    return f"*/{minutes} * * * *" if minutes < 60 else "0 * * * *"
