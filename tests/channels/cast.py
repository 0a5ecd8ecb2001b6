"""Who appears in these tests, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from nudges.channels.base import Outgoing

PARENT = "+13125550142"
OTHER_PARENT = "+13125550143"
SENDER = "+13125550100"
SERVICE = "MG" + "0" * 31 + "1"
START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.instant = START

    def now(self) -> datetime:
        return self.instant

    def move(self, **parts: float) -> None:
        self.instant += timedelta(**parts)


def a_text(**changes: object) -> Outgoing:
    fields: dict[str, object] = {
        "to": PARENT,
        "body": "Tonight, try one short walk together.",
        "attempt_id": "a1",
        "sender": SERVICE,
    }
    return Outgoing(**(fields | changes))
