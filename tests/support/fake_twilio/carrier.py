"""What becomes of a text that was taken: the sender's queue, its pace, its validity, and what the carrier reports."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from tests.support.fake_twilio.texts import WAITING, Text, Texts
from tests.support.fake_twilio.webhooks import Webhooks

Order = Literal["in order", "reversed", "doubled", "missing"]
QUEUE_HOLDS: Final = timedelta(hours=10)
QUEUE_FULL, QUEUE_OVERFLOWED, TOO_OLD, OPTED_OUT = 21611, 30001, 30036, 21610
_GIVEN_BACK: Final = range(30003, 30009)  # the phone's side gave it back: undelivered; the rest has failed before


class Carrier:
    """Lets texts go at `pace` segments a second for each sender. Without a pace texts wait until a test moves them.

    `order` says how the callbacks of a text come; `pool` are the numbers of the Messaging Service.
    """

    def __init__(self, texts: Texts, webhooks: Webhooks, *, pace: float | None, pool: Sequence[str]) -> None:
        self.pace = pace
        self.order: Order = "in order"
        self._texts, self._webhooks, self._pool = texts, webhooks, pool
        self._free_at: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def is_full(self, sender: str | None, now: datetime) -> bool:
        """Does this sender's queue hold ten hours of segments already?"""
        return self.pace is not None and self._free_at.get(sender or "", now) - now >= QUEUE_HOLDS

    def queue(self, text: Text) -> None:
        """Give a text its place in the sender's queue; one too many for a service's sender fails later."""
        if self.pace is None:
            return
        with self._lock:
            sender = text.from_ or self.number_for(text)
            if self.is_full(sender, text.created_at):
                text.fails_with, text.leaves_at = QUEUE_OVERFLOWED, text.created_at
                return
            begins = max(self._free_at.get(sender, text.created_at), text.created_at)
            text.leaves_at = begins
            self._free_at[sender] = begins + timedelta(seconds=text.segments / self.pace)

    def number_for(self, text: Text) -> str:
        """The number that the Messaging Service picks: the same one for the same phone, always."""
        return self._pool[sum(map(ord, text.to)) % len(self._pool)]

    def carry(self, now: datetime) -> int:
        """Let go what has its turn by `now`, with callbacks. Returns how many texts came to an end."""
        waiting = [text for text in self._texts.all() if text.status in WAITING and text.leaves_at is not None]
        return sum(self._carry_one(text, now) for text in waiting)

    def _carry_one(self, text: Text, now: datetime) -> bool:
        assert text.leaves_at is not None
        too_late = text.created_at + timedelta(seconds=text.validity_seconds or 36_000)
        if text.leaves_at > too_late:
            if now < too_late:
                return False
            self.report(text, ("failed",), TOO_OLD)
        elif now < text.leaves_at:
            return False
        else:
            self.deliver(text)
        return True

    def deliver(self, text: Text) -> None:
        """All the way: to the phone, or back with the code that was scripted."""
        code = OPTED_OUT if text.to in self._texts.opted_out else text.fails_with
        if code is None:
            self.report(text, ("sent", "delivered"), None)
        elif code in _GIVEN_BACK:
            self.report(text, ("sent", "undelivered"), code)
        else:
            self.report(text, ("failed",), code)

    def report(self, text: Text, statuses: Sequence[str], code: int | None) -> None:
        """Move a text along, and call back in the order that was asked for."""
        calls = []
        if text.service is not None and text.from_ is None:
            text.from_ = self.number_for(text)
        for status in statuses:
            failed = code if status in {"failed", "undelivered"} else None
            self._texts.move(text, status, failed)
            calls.append((status, failed))
        for status, failed in _in_order(calls, self.order):
            self._webhooks.status(text, status, error_code=failed)


def _in_order(calls: list[tuple[str, int | None]], order: Order) -> list[tuple[str, int | None]]:
    if order == "missing":
        return []
    if order == "reversed":
        return calls[::-1]
    return [call for call in calls for _ in range(2)] if order == "doubled" else calls
