"""The simulated carrier behind the phone page: keeps texts in our own table and reports on them like a real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from nudges.channels.base import Found, Outgoing
from nudges.channels.phone import phone_id, receipts_of
from nudges.clock import Clock
from nudges.db import blind_index
from nudges.models.messages import SimulatedText
from nudges.outbound import receipts

_BATCH: Final = 100


def deliver_into(sessions: sessionmaker[Session], clock: Clock) -> Callable[[Outgoing], str]:
    """What the phone channel calls for each text. The same attempt twice is one text, as at a real provider."""

    def deliver(outgoing: Outgoing) -> str:
        provider_id, at = phone_id(outgoing.attempt_id), clock.now()
        with sessions.begin() as session:
            known = select(SimulatedText.id).where(SimulatedText.provider_id == provider_id)
            if session.scalar(known) is None:
                session.add(_text(outgoing, provider_id, at))
        return provider_id

    return deliver


def list_from(sessions: sessionmaker[Session]) -> Callable[[str, datetime], Sequence[Found]]:
    """What the phone channel asks when an outcome is unknown."""

    def list_since(to: str, since: datetime) -> Sequence[Found]:
        with sessions() as session:
            rows = session.scalars(
                select(SimulatedText)
                .where(
                    SimulatedText.phone_index == blind_index(to),
                    SimulatedText.is_from_phone.is_(False),
                    SimulatedText.at >= since,
                )
                .order_by(SimulatedText.at.desc())
            )
            return [
                Found(provider_id=row.provider_id, body=row.body, status=row.status, created_at=row.at) for row in rows
            ]

    return list_since


def report(session: Session, *, now: datetime) -> int:
    """Carry each accepted text one tick further: accepted → sent → delivered. Returns how many moved."""
    rows = session.scalars(
        select(SimulatedText)
        .where(SimulatedText.is_from_phone.is_(False), SimulatedText.status.in_(("accepted", "sent")))
        .where(SimulatedText.attempt_id.is_not(None))
        .order_by(SimulatedText.id)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        sent, delivered = receipts_of(row.attempt_id or "")
        receipt = sent if row.status == "accepted" else delivered
        row.status = receipt.status
        receipts.apply(session, receipt, now=now)
    return len(rows)


def _text(outgoing: Outgoing, provider_id: str, at: datetime) -> SimulatedText:
    return SimulatedText(
        provider_id=provider_id,
        phone_index=blind_index(outgoing.to),
        attempt_id=outgoing.attempt_id,
        body=outgoing.body,
        is_from_phone=False,
        at=at,
    )
