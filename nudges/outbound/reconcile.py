"""Texts that nobody has finished: outcomes that nobody knows, receipts that never came, moments that passed.

An unknown outcome is looked up twice at the provider, then adopted or given up; never sent again. A text that the
provider had for its whole moment without a word is looked up too, and ends as what the provider says, or unconfirmed.
So every text comes to an end, with a reason.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, literal, select
from sqlalchemy.orm import Session, sessionmaker

from nudges.channels.base import Channel, ChannelError, Found
from nudges.clock import Clock
from nudges.models.messages import Outbox, ProviderEvent
from nudges.outbound import receipts, undelivered
from nudges.outbox import queue
from nudges.outbox.status import (
    ACCEPTED,
    EXPIRED,
    FAILED,
    QUEUED,
    SENDING,
    SENT,
    TERMINAL,
    UNCONFIRMED,
    UNKNOWN,
)

logger = logging.getLogger(__name__)

STALE: Final = timedelta(seconds=120)  # no call takes so long: whoever made it is gone
BETWEEN_LOOKS: Final = timedelta(seconds=60)
MOST_LOOKS: Final = 2
RECEIPT_LATE: Final = timedelta(minutes=10)  # after a text's moment: the provider can no longer be holding it
GIVE_UP: Final = timedelta(hours=1)  # after a text's moment, when the provider cannot even be asked
RESTORED: Final = "restored"  # who claimed a text that was queued in a backup that was put back
_CLOCKS_DIFFER: Final = timedelta(seconds=5)
_BATCH: Final = 20  # look-ups in one beat: each is a call
_MOST_SECONDS: Final = timedelta(seconds=5)  # spent on them: alerts are looked after in the same beat
_OVERDUE: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """What one beat of reconciliation did, in texts."""

    stale: int = 0
    expired: int = 0
    adopted: int = 0
    given_up: int = 0
    settled: int = 0


def look(sessions: sessionmaker[Session], channel: Channel, *, clock: Clock) -> Looked:
    """One beat: expire what waits beyond its moment, look up what nobody knows. No session is open across a call."""
    with sessions.begin() as session:
        stale = mark_stale(session, clock.now())
    expired = expire_overdue(sessions, now=clock.now())
    counts = {UNKNOWN: 0, FAILED: 0, UNCONFIRMED: 0}
    until = clock.now() + _MOST_SECONDS
    for row in _to_look_up(sessions, clock.now()):
        found = _ask(channel, row)
        with sessions.begin() as session:
            done = _take_in(session, row, found, clock.now())
        if done is not None:
            counts[done] += 1
        if found is None or clock.now() > until:
            break  # a provider that cannot be asked, or is slow, is not asked again in this beat
    return Looked(
        stale=stale,
        expired=expired,
        adopted=counts[UNKNOWN],
        given_up=counts[FAILED],
        settled=counts[UNCONFIRMED],
    )


def mark_stale(session: Session, now: datetime) -> int:
    """Texts that stand in `sending` for longer than any call takes are unknown. Returns how many."""
    rows = queue.unsettled(session, SENDING, before=now - STALE)
    return sum(
        queue.move(
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


def expire_overdue(sessions: sessionmaker[Session], *, now: datetime) -> int:
    """End what still waits although its moment has passed, on lanes that rest too. Returns how many."""
    queued = literal(QUEUED, literal_execute=True)
    with sessions() as session:
        ids = session.scalars(
            select(Outbox.id).where(Outbox.status == queued, Outbox.expires_at <= now).limit(_OVERDUE)
        ).all()
    ended = 0
    for outbox_id in ids:
        with sessions.begin() as session:
            ended += undelivered.end(
                session,
                session.get_one(Outbox, outbox_id),
                from_status=QUEUED,
                to_status=EXPIRED,
                reason="its moment passed before it could be handed over",
                now=now,
            )
    return ended


def _to_look_up(sessions: sessionmaker[Session], now: datetime) -> Sequence[Outbox]:
    """Unknown ones first; then those that the provider has had for their whole moment."""
    late = now - RECEIPT_LATE
    without_word = queue.is_on_its_way(ACCEPTED, SENT) & (Outbox.attempted_at <= late) & (Outbox.expires_at <= late)
    with sessions() as session:
        unknown = session.scalars(_oldest(queue.is_on_its_way(UNKNOWN), now, _BATCH)).all()
        return [*unknown, *session.scalars(_oldest(without_word, now, _BATCH - len(unknown))).all()]


def _oldest(which: ColumnElement[bool], now: datetime, limit: int) -> Select[Outbox]:
    return (
        select(Outbox)
        .where(which, Outbox.not_before <= now)
        .order_by(Outbox.attempted_at)
        .limit(limit)
        .execution_options(populate_existing=True)
    )


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


def _take_in(session: Session, row: Outbox, found: Sequence[Found] | None, now: datetime) -> str | None:
    """What one look led to: UNKNOWN when an unknown text was adopted, FAILED when it was given up, UNCONFIRMED when
    one without a word came to its end; none when it is to be looked at again, or has moved on meanwhile."""
    fresh = session.get_one(Outbox, row.id, populate_existing=True)
    if fresh.status != row.status or fresh.attempt_id != row.attempt_id:
        return None
    if row.status == UNKNOWN:
        if found and _adopt(session, fresh, found, now):
            return UNKNOWN
        return FAILED if _no_more_looks(fresh, found, now) and _give_up(session, fresh, found, now) else None
    return UNCONFIRMED if _settle(session, fresh, found, now) else None


def _adopt(session: Session, row: Outbox, found: Sequence[Found], now: datetime) -> bool:
    """The oldest text with the same words that is no other row's, and not an earlier try of this one."""
    same = [text for text in found if _has_words_of(row, text.body)]
    ids = [text.provider_id for text in same]
    known = set(session.scalars(select(Outbox.provider_id).where(Outbox.provider_id.in_(ids))))
    earlier = select(ProviderEvent.provider_id).where(
        ProviderEvent.provider_id.in_(ids), ProviderEvent.attempt_id != row.attempt_id
    )
    known |= set(session.scalars(earlier))
    free = [text for text in same if text.provider_id not in known]
    if not free:
        return False
    oldest = min(free, key=lambda text: text.created_at)
    return receipts.adopt(
        session,
        row.id,
        oldest.provider_id,
        oldest.status,
        reason="found at the provider",
        now=now,
        error_code=oldest.error_code,
        action=oldest.action,
    )


def _has_words_of(row: Outbox, body: str) -> bool:
    """Is this what the row said? Words made again after a restore do not know the line on how to stop that was added
    at the hand-over."""
    return body == row.body or (row.claimed_by == RESTORED and body.startswith(f"{row.body}\n"))


def _no_more_looks(row: Outbox, found: Sequence[Found] | None, now: datetime) -> bool:
    """Count the look and set the next one. True after the second, or when nobody could be asked for too long."""
    row.not_before = now + BETWEEN_LOOKS
    if found is None:
        return now >= row.expires_at + GIVE_UP
    row.looks += 1
    return row.looks >= MOST_LOOKS


def _give_up(session: Session, row: Outbox, found: Sequence[Found] | None, now: datetime) -> bool:
    """Nobody knows whether it arrived. A crisis reply or a page is handed to a human then."""
    session.flush()
    why = "the provider could not be asked" if found is None else "the provider does not list it"
    return undelivered.end(
        session,
        row,
        from_status=UNKNOWN,
        to_status=FAILED,
        reason=f"nobody knows whether it arrived: {why}; it is not sent again",
        now=now,
        has_gone=True,
    )


def _settle(session: Session, row: Outbox, found: Sequence[Found] | None, now: datetime) -> bool:
    """End a text of which no word came for its whole moment: as the provider says, or unconfirmed after two looks."""
    for text in found or ():
        if text.provider_id == row.provider_id:
            receipts.learn(
                session, row, text.status, text.error_code, text.action, now=now, reason="found at the provider"
            )
    session.flush()
    session.refresh(row)
    if row.status in TERMINAL:
        return True
    if not _no_more_looks(row, found, now):
        return False
    session.flush()
    return queue.move(
        session,
        row.id,
        from_status=row.status,
        to_status=UNCONFIRMED,
        reason="the provider took it; no receipt came before its moment passed",
        now=now,
    )
