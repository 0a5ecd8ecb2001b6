"""The fake's memory: every text in either direction, and who has opted out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from nudges.clock import Clock
from schedules.segments import count

API = "2010-04-01"
LOST = frozenset({"failed", "undelivered", "canceled"})
ENDED = LOST | {"delivered", "received", "read"}
WAITING = frozenset({"accepted", "queued", "scheduled"})


@dataclass(kw_only=True, slots=True)
class Text:
    """A message resource."""

    sid: str
    account_sid: str
    direction: str
    to: str
    from_: str | None
    service: str | None
    body: str
    status: str
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None = None
    error_code: int | None = None
    status_callback: str | None = None
    validity_seconds: int | None = None
    fails_with: int | None = None
    leaves_at: datetime | None = None  # when the sender's queue lets it go; none without a pace

    @property
    def segments(self) -> int:
        return count(self.body).parts

    def resource(self) -> dict[str, object]:
        """As Twilio writes it."""
        uri = f"/{API}/Accounts/{self.account_sid}/Messages/{self.sid}"
        undecided = self.from_ is None
        return {
            "account_sid": self.account_sid,
            "api_version": API,
            "body": self.body,
            "date_created": format_datetime(self.created_at),
            "date_sent": None if self.sent_at is None else format_datetime(self.sent_at),
            "date_updated": format_datetime(self.updated_at),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": None,
            "from": self.from_,
            "messaging_service_sid": self.service,
            "num_media": "0",
            "num_segments": "0" if undecided else str(count(self.body).parts),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": self.to,
            "uri": f"{uri}.json",
        }


class Texts:
    """All texts of one account, oldest first. Safe for several threads."""

    def __init__(self, account_sid: str, clock: Clock) -> None:
        self._account_sid = account_sid
        self._clock = clock
        self._lock = threading.Lock()
        self._texts: list[Text] = []
        self._made = 0
        self.opted_out: set[str] = set()

    def add(
        self,
        *,
        direction: str,
        to: str,
        body: str,
        status: str,
        from_: str | None = None,
        service: str | None = None,
        sid: str | None = None,
        status_callback: str | None = None,
        validity_seconds: int | None = None,
        fails_with: int | None = None,
    ) -> Text:
        with self._lock:
            now = self._clock.now()
            text = Text(
                sid=sid or f"SM{self._made + 1:032x}",
                account_sid=self._account_sid,
                direction=direction,
                to=to,
                from_=from_,
                service=service,
                body=body,
                status=status,
                created_at=now,
                updated_at=now,
                status_callback=status_callback,
                validity_seconds=validity_seconds,
                fails_with=fails_with,
            )
            self._made += 1
            self._texts.append(text)
            return text

    def all(self) -> Sequence[Text]:
        with self._lock:
            return list(self._texts)

    def find(self, sid: str) -> Text | None:
        return next((text for text in self.all() if text.sid == sid), None)

    def listed(self, to: str | None) -> list[Text]:
        """Newest first, as the API lists them."""
        return [text for text in reversed(self.all()) if to is None or text.to == to]

    def move(self, text: Text, status: str, error_code: int | None = None) -> None:
        with self._lock:
            now = self._clock.now()
            text.status, text.error_code, text.updated_at = status, error_code, now
            if status in {"sent", "delivered"} and text.sent_at is None:
                text.sent_at = now

    def remove(self, text: Text) -> None:
        with self._lock:
            self._texts.remove(text)

    def redact(self, text: Text) -> None:
        with self._lock:
            text.body, text.updated_at = "", self._clock.now()

    def received_by(self, number: str) -> list[str]:
        """The words that the phone `number` gets, oldest first: everything taken and not lost."""
        outbound = (text for text in self.all() if text.direction != "inbound")
        return [text.body for text in outbound if text.to == number and text.status not in LOST]
