"""The only clock read of the project. Everything else takes `now` as an argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the present instant, aware and in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ShiftedClock:
    """The machine's clock moved by an offset that is asked for at each reading.

    The demo's simulated phone moves it ("+1 day"); the offset lives in the database so that every
    process of the demo sees the same time.
    """

    def __init__(self, offset_seconds: OffsetSource) -> None:
        self._offset_seconds = offset_seconds

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._offset_seconds())


class OffsetSource(Protocol):
    def __call__(self) -> float: ...
