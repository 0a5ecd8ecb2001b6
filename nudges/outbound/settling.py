"""After the call: accepted, refused, or nobody knows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from nudges.channels.base import Accepted, Action, ChannelError
from nudges.models.messages import Outbox
from nudges.outbound import lanes, outbox, receipts, refusals
from nudges.outbound.refusals import Refusal
from nudges.outbound.status import SENDING, UNKNOWN

logger = logging.getLogger(__name__)


def settle_all(sessions: sessionmaker[Session], made: Mapping[int, Accepted | ChannelError], *, now: datetime) -> bool:
    """Record what calls led to, by outbox id: what was simply accepted in one transaction, all else in one of its own.

    False when the lane must rest now. One that cannot be recorded stays `sending`, and reconciliation finds it.
    """
    accepted = {id_: outcome for id_, outcome in made.items() if isinstance(outcome, Accepted)}
    others: dict[int, Accepted | ChannelError] = {}
    if accepted:
        others |= _accept(sessions, accepted, now)
    others |= {id_: outcome for id_, outcome in made.items() if isinstance(outcome, ChannelError)}
    goes_on = True
    for id_, outcome in others.items():
        with sessions.begin() as session:
            goes_on &= settle(session, session.get_one(Outbox, id_), outcome, now=now)
    return goes_on


def _accept(sessions: sessionmaker[Session], accepted: Mapping[int, Accepted], now: datetime) -> Mapping[int, Accepted]:
    """The ones that are left for a transaction of their own; all of them when the one for all falls."""
    try:
        with sessions.begin() as session:
            return accept(session, accepted, now=now)
    except IntegrityError:
        logger.warning("a batch is settled one by one", extra={"action": "settle"})
        return accepted


def accept(session: Session, accepted: Mapping[int, Accepted], *, now: datetime) -> Mapping[int, Accepted]:
    """Record what was simply accepted, by outbox id; the ones that are left need a transaction each (`settle_all`).

    IntegrityError when one of them cannot be recorded: nothing of this transaction may stay then.
    """
    return receipts.adopt_all(session, accepted, reason="accepted", now=now)


def settle(session: Session, row: Outbox, outcome: Accepted | ChannelError, *, now: datetime) -> bool:
    """Record what a call led to. False when the lane must rest now.

    A callback may have been faster: then the row has moved on, and only the provider's id is still added.
    """
    if isinstance(outcome, Accepted):
        receipts.adopt(session, row.id, outcome.provider_id, outcome.status, reason="accepted", now=now)
        return True
    if outcome.action is Action.RECONCILE:
        return _unknown(session, row, outcome, now)
    refusal = Refusal(action=outcome.action, code=outcome.code, retry_after_seconds=outcome.retry_after_seconds)
    return refusals.take(session, row, refusal, from_status=SENDING, now=now)


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
