"""After the call: accepted, refused, or nobody knows. What each answer of a channel asks of us, in one table."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from nudges.alerts import paging
from nudges.channels.base import Accepted, Action, ChannelError
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.outbound import endings, lanes, outbox, receipts
from nudges.outbound.status import EXPIRED, FAILED, QUEUED, SENDING, UNKNOWN

logger = logging.getLogger(__name__)

BACKOFF: Final = timedelta(seconds=5)  # doubled at each try
MOST_BACKOFF: Final = timedelta(minutes=10)
LATER: Final = timedelta(hours=2)
MOST_LATER_TRIES: Final = 3  # the first and two more
LANE_RESTS: Final = timedelta(hours=1)
ALL_REST: Final = timedelta(minutes=15)


def settle_all(
    sessions: sessionmaker[Session], made: Sequence[tuple[Outbox, Accepted | ChannelError]], *, now: datetime
) -> bool:
    """Record what calls led to: what was simply accepted in one transaction, all else in one of its own.

    False when the lane must rest now. One that cannot be recorded stays `sending`, and reconciliation finds it.
    """
    rows = {row.id: row for row, _ in made}
    accepted = {row.id: outcome for row, outcome in made if isinstance(outcome, Accepted)}
    others: list[tuple[Outbox, Accepted | ChannelError]] = [(r, o) for r, o in made if isinstance(o, ChannelError)]
    if accepted:
        others = [(rows[id_], one) for id_, one in _accept(sessions, accepted, now).items()] + others
    goes_on = True
    for row, outcome in others:
        with sessions.begin() as session:
            goes_on &= settle(session, row, outcome, now=now)
    return goes_on


def _accept(sessions: sessionmaker[Session], accepted: Mapping[int, Accepted], now: datetime) -> Mapping[int, Accepted]:
    """The ones that are left for a transaction of their own; all of them when the one for all falls."""
    try:
        with sessions.begin() as session:
            return receipts.adopt_all(session, accepted, reason="accepted", now=now)
    except IntegrityError:
        logger.warning("a batch is settled one by one", extra={"action": "settle"})
        return accepted


def settle(session: Session, row: Outbox, outcome: Accepted | ChannelError, *, now: datetime) -> bool:
    """Record what a call led to. False when the lane must rest now.

    A callback may have been faster: then the row has moved on, and only the provider's id is still added.
    """
    if isinstance(outcome, Accepted):
        receipts.adopt(session, row.id, outcome.provider_id, outcome.status, reason="accepted", now=now)
        return True
    return _SETTLERS[outcome.action](session, row, outcome, now)


def _retry(session: Session, row: Outbox, error: ChannelError, now: datetime) -> bool:
    """Never processed: safe to send again. The lane slows down with it."""
    wait = _backoff(row.attempts, error)
    _queue_again(session, row, error, now + wait, now)
    lanes.pause(
        session, row.lane_id, until=now + min(wait, timedelta(minutes=1)), reason=f"told to wait ({error.code})"
    )
    return False


def _retry_later(session: Session, row: Outbox, error: ChannelError, now: datetime) -> bool:
    """A passing fault: hours apart, three tries in all, and only while its moment lasts."""
    if row.attempts + 1 >= MOST_LATER_TRIES:
        return _fail(session, row, error, now)
    _queue_again(session, row, error, now + LATER, now)
    return True


def _pause_lane(session: Session, row: Outbox, error: ChannelError, now: datetime) -> bool:
    """This sender is full or capped: it keeps its queue and rests."""
    until = now + max(LANE_RESTS, timedelta(seconds=error.retry_after_seconds or 0))
    _queue_again(session, row, error, until, now)
    lanes.pause(session, row.lane_id, until=until, reason=f"capped ({error.code})")
    _alert(session, row, f"A sender is paused: the carrier's limit ({error.code})", now)
    return False


def _stop_all(session: Session, row: Outbox, error: ChannelError, now: datetime) -> bool:
    """Account or configuration: nothing can leave on any lane until a person has mended it."""
    until = now + ALL_REST
    _queue_again(session, row, error, until, now)
    for lane_id in session.scalars(select(Lane.id).order_by(Lane.id)):
        lanes.pause(session, lane_id, until=until, reason=f"stopped ({error.code})")
    _alert(session, row, f"No text can be sent: account or configuration ({error.code})", now)
    return False


def _fail(session: Session, row: Outbox, error: ChannelError, now: datetime) -> bool:
    _end(session, row, error, FAILED, now)
    return True


def _fail_and_alert(session: Session, row: Outbox, error: ChannelError, now: datetime) -> bool:
    _alert(session, row, f"A text was refused ({error.code})", now)
    return _fail(session, row, error, now)


def _expire(session: Session, row: Outbox, error: ChannelError, now: datetime) -> bool:
    _end(session, row, error, EXPIRED, now)
    return True


def _unknown(session: Session, row: Outbox, error: ChannelError, now: datetime) -> bool:
    """Nobody knows: looked up later, never sent again by itself. `not_before` says when to look.

    The lane makes no further call in this turn: what cut this one off may cut the next ones off too.
    """
    outbox.move(
        session,
        row.id,
        from_status=SENDING,
        to_status=UNKNOWN,
        reason=f"no certain answer ({error.code})",
        now=now,
        not_before=now + lanes.FIRST_LOOK,
        error_code=error.code,
    )
    return False


_SETTLERS: Final[Mapping[Action, Callable[[Session, Outbox, ChannelError, datetime], bool]]] = {
    Action.SUPPRESS: _fail,
    Action.NUMBER_INVALID: _fail,
    Action.NUMBER_LANDLINE: _fail,
    Action.RETRY_BACKOFF: _retry,
    Action.RETRY_LATER: _retry_later,
    Action.PAUSE_LANE: _pause_lane,
    Action.STOP_ALL: _stop_all,
    Action.ALERT: _fail_and_alert,
    Action.BUG: _fail_and_alert,
    Action.EXPIRED: _expire,
    Action.RECONCILE: _unknown,
}


def _backoff(attempts: int, error: ChannelError) -> timedelta:
    if error.retry_after_seconds is not None:
        return timedelta(seconds=error.retry_after_seconds)
    return min(BACKOFF * (1 << min(attempts, 10)), MOST_BACKOFF)


def _queue_again(session: Session, row: Outbox, error: ChannelError, until: datetime, now: datetime) -> None:
    if until >= row.expires_at:
        _end(session, row, error, EXPIRED, now)
        return
    outbox.move(
        session,
        row.id,
        from_status=SENDING,
        to_status=QUEUED,
        reason=f"refused for now ({error.code})",
        now=now,
        not_before=until,
        error_code=error.code,
        attempt_id=None,
        attempted_at=None,
        claimed_by=None,
    )


def _end(session: Session, row: Outbox, error: ChannelError, to_status: str, now: datetime) -> None:
    endings.end(
        session,
        row,
        from_status=SENDING,
        to_status=to_status,
        reason=f"refused ({error.code})",
        now=now,
        action=error.action,
        error_code=error.code,
    )


def _alert(session: Session, row: Outbox, title: str, now: datetime) -> None:
    logger.error("sending needs a person", extra={"action": "settle", "outbox_id": row.id, "lane_id": row.lane_id})
    program_id = session.scalars(select(Lane.program_id).where(Lane.id == row.lane_id)).one()
    paging.raise_system_alert(session, program_id, title=title, why="See Records, texts out.", now=now)
