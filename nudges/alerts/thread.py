"""The last messages between us and whoever an alert is about: what a person reads before they call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from nudges.models.messages import Inbound, Outbox
from nudges.models.safety import Alert

LAST: Final = 10
_LEFT: Final = ("accepted", "sent", "delivered", "undelivered", "unconfirmed", "unknown", "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One text of either side. `status` is the outbox's, where its delivery is followed."""

    at: datetime
    body: str
    is_theirs: bool
    status: str = ""


def last_messages(session: Session, alert: Alert, *, limit: int = LAST) -> list[Message]:
    """The newest `limit` texts, oldest first. Empty for alerts of the service itself."""
    first = session.get(Inbound, alert.inbound_id) if alert.inbound_id is not None else None
    if alert.parent_id is None and first is None:
        return []
    theirs = Inbound.parent_id == alert.parent_id
    if alert.parent_id is None and first is not None:
        theirs = Inbound.from_index == first.from_index
    texts = session.scalars(select(Inbound).where(theirs).order_by(Inbound.id.desc()).limit(limit)).all()
    found = [*_from_them(texts), *_from_us(session, _ours(alert, texts), limit)]
    return sorted(found, key=lambda message: (message.at, not message.is_theirs))[-limit:]


def _from_them(texts: Sequence[Inbound]) -> list[Message]:
    """What they wrote, and the answer in the same breath (its row in the outbox is left out)."""
    found = [Message(at=text.at, body=text.body, is_theirs=True) for text in texts]
    return found + [Message(at=text.at, body=text.reply, is_theirs=False) for text in texts if text.reply]


def _ours(alert: Alert, texts: Sequence[Inbound]) -> ColumnElement[bool]:
    if alert.parent_id is not None:
        return Outbox.parent_id == alert.parent_id
    return Outbox.reply_to_id.in_([text.id for text in texts])


def _from_us(session: Session, ours: ColumnElement[bool], limit: int) -> list[Message]:
    rows = session.scalars(
        select(Outbox)
        .where(ours, Outbox.reply_to_id.is_(None), Outbox.status.in_(_LEFT), Outbox.body.is_not(None))
        .order_by(Outbox.id.desc())
        .limit(limit)
    )
    return [
        Message(at=row.attempted_at or row.created_at, body=row.body or "", is_theirs=False, status=row.status)
        for row in rows
    ]
