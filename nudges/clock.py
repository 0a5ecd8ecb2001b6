"""The only clock read of the project. Everything else takes `now` as an argument."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

READ_AGAIN: Final = 10.0  # seconds after which a reading of the database's clock is worth renewing


class Clock(Protocol):
    """Tells the present instant, aware and in UTC."""

    def now(self) -> datetime: ...


def ticking() -> float:
    """Seconds since some moment in the past: for durations. Nobody can set it, and on Linux it counts sleep too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def ahead() -> float:
    """How far the machine's clock is ahead of `ticking`, in seconds: it changes when somebody sets that clock."""
    return time.time() - ticking()


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SharedClock:
    """The database's clock, the one that all machines of an installation have in common.

    It is told what the database says now and then (`is_due`, `read`), and counts seconds by itself in between, so a
    machine whose own clock is an hour off, or is set while we run, neither believes that another one's lease is over
    nor texts a family at the wrong hour. Until the first reading the machine's clock stands in.
    """

    def __init__(self, counted: Callable[[], float] = ticking) -> None:
        self._counted = counted
        self._reading: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        reading = self._reading  # one look: another thread may renew it
        if reading is None:
            return datetime.now(UTC)
        at, counted = reading
        return at + timedelta(seconds=self._counted() - counted)

    def is_due(self) -> bool:
        """Whether it is time to ask the database again."""
        return self._reading is None or self._counted() - self._reading[1] >= READ_AGAIN

    def read(self, at: datetime) -> None:
        """The database says that it is `at` now."""
        self._reading = (at.astimezone(UTC), self._counted())


class ShiftedClock:
    """Another clock moved by an offset that is asked for at each reading.

    The demo's simulated phone moves it ("+1 day"); the offset lives in the database so that every
    process of the demo sees the same time.
    """

    def __init__(self, offset_seconds: OffsetSource, clock: Clock | None = None) -> None:
        self._offset_seconds = offset_seconds
        self._clock = clock or SystemClock()

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._offset_seconds())


class OffsetSource(Protocol):
    def __call__(self) -> float: ...
