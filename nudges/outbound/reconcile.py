"""Outcomes that nobody knows: looked up twice at the provider, then adopted or given up; never sent again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from nudges.channels.base import Channel, ChannelError, Found
from nudges.clock import Clock
from nudges.models.messages import Outbox
from nudges.outbound import endings, outbox, receipts
from nudges.outbound.status import FAILED, SENDING, UNKNOWN

logger = logging.getLogger(__name__)

STALE: Final = timedelta(seconds=120)  # no call takes so long: whoever made it is gone
BETWEEN_LOOKS: Final = timedelta(seconds=60)
MOST_LOOKS: Final = 2
_CLOCKS_DIFFER: Final = timedelta(seconds=5)
_BATCH: Final = 20  # look-ups in one beat: each is a call


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """What one beat of reconciliation did."""

    stale: int = 0
    adopted: int = 0
    given_up: int = 0


def look(sessions: sessionmaker[Session], channel: Channel, *, clock: Clock) -> Looked:
    """Mark texts whose sender died as unknown, and look up those whose time has come. No session across a call."""
    with sessions.begin() as session:
        stale = mark_stale(session, clock.now())
    with sessions.begin() as session:
        rows = _to_look_up(session, clock.now())
    adopted = given_up = 0
    for row in rows:
        found = _ask(channel, row)
        with sessions.begin() as session:
            if found is not None and _adopt(session, row, found, clock.now()):
                adopted += 1
            elif found is not None:
                given_up += _not_found(session, row, clock.now())
    return Looked(stale=stale, adopted=adopted, given_up=given_up)


def mark_stale(session: Session, now: datetime) -> int:
    """Texts that stand in `sending` for longer than any call takes are unknown. Returns how many."""
    rows = outbox.unsettled(session, SENDING, before=now - STALE)
    return sum(
        outbox.move(
            session,
            row.id,
            from_status=SENDING,
            to_status=UNKNOWN,
            reason="the process that sent it has not come back",
            now=now,
            not_before=now,
        )
        for row in rows
    )


def _to_look_up(session: Session, now: datetime) -> Sequence[Outbox]:
    return session.scalars(
        select(Outbox)
        .where(Outbox.status == UNKNOWN, Outbox.not_before <= now)
        .order_by(Outbox.attempted_at)
        .limit(_BATCH)
        .execution_options(populate_existing=True)
    ).all()


def _ask(channel: Channel, row: Outbox) -> Sequence[Found] | None:
    """What the provider remembers of this number since the attempt; none when it cannot be asked now."""
    assert row.attempted_at is not None  # unknown follows sending, and sending has an attempt
    try:
        return channel.find_sent(row.to, since=row.attempted_at - _CLOCKS_DIFFER)
    except ChannelError as error:
        logger.warning(
            "an outcome could not be looked up",
            extra={"action": "reconcile", "outbox_id": row.id, "code": error.code},
        )
        return None


def _adopt(session: Session, row: Outbox, found: Sequence[Found], now: datetime) -> bool:
    """The oldest text with the same words that no other row of ours is known to be."""
    same = [text for text in found if text.body == row.body]
    known = set(
        session.scalars(select(Outbox.provider_id).where(Outbox.provider_id.in_([text.provider_id for text in same])))
    )
    free = [text for text in same if text.provider_id not in known]
    if not free:
        return False
    oldest = min(free, key=lambda text: text.created_at)
    return receipts.adopt(session, row.id, oldest.provider_id, oldest.status, reason="found at the provider", now=now)


def _not_found(session: Session, row: Outbox, now: datetime) -> bool:
    """Count the look; after the second give it up. A crisis reply or a page is handed to a human then."""
    fresh = session.get_one(Outbox, row.id, populate_existing=True)
    if fresh.status != UNKNOWN:
        return False
    fresh.looks += 1
    fresh.not_before = now + BETWEEN_LOOKS
    session.flush()
    if fresh.looks < MOST_LOOKS:
        return False
    return endings.end(
        session,
        fresh,
        from_status=UNKNOWN,
        to_status=FAILED,
        reason="nobody knows whether it arrived: the provider does not list it; it is not sent again",
        now=now,
        has_gone=True,
    )
