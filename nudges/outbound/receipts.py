"""What the provider says, as the answer to the call or later: kept as it came, then one move or none."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from nudges.channels.base import Accepted, Action, ChannelError, Receipt
from nudges.families import snapshots
from nudges.models.messages import Outbox, ProviderEvent
from nudges.outbound import error_policy, lanes, undelivered
from nudges.outbound.error_policy import Refusal
from nudges.outbox import queue
from nudges.outbox.status import (
    ACCEPTED,
    EXPIRED,
    FAILED,
    SENDING,
    UNDELIVERED,
    UNKNOWN,
    may_move,
    of_provider,
)

logger = logging.getLogger(__name__)


def apply(session: Session, receipt: Receipt, *, now: datetime) -> bool:
    """Take one status callback in. True when the text moved.

    Repeats, reversals and callbacks about texts that we do not know are stored and move nothing. The attempt id
    finds the row even if our process died before it learned the provider's id.
    """
    row = _row_of(session, receipt)
    is_new = _keep(session, receipt, row, now=now)
    if row is None or not is_new:
        return False
    if row.provider_id is None:
        queue.set_provider_id(session, row.id, receipt.provider_id)
    return learn(session, row, receipt.status, receipt.error_code, receipt.action, now=now)


def adopt(
    session: Session,
    outbox_id: int,
    provider_id: str,
    status: str,
    *,
    reason: str,
    now: datetime,
    error_code: str | None = None,
    action: Action | None = None,
) -> bool:
    """The provider has this text as `provider_id`: note it, move to `status`, take in what had come early.

    A callback may have been faster and the text be back in the queue by now: then this id is of a try that is over.
    """
    queue.set_provider_id(session, outbox_id, provider_id)
    row = session.get_one(Outbox, outbox_id, populate_existing=True)
    if row.provider_id != provider_id:
        return False
    word = status if of_provider(status) is not None else ACCEPTED  # it is there, whatever it is called
    moved = learn(session, row, word, error_code, action, now=now, reason=reason)
    early = session.scalars(
        select(ProviderEvent)
        .where(ProviderEvent.provider_id == provider_id, ProviderEvent.outbox_id.is_(None))
        .order_by(ProviderEvent.id)
    ).all()
    for event in early:
        event.outbox_id = outbox_id
        row = session.get_one(Outbox, outbox_id, populate_existing=True)
        failure = Action(event.action) if event.action else None
        moved |= learn(session, row, event.status, event.error_code or None, failure, now=now)
    return moved


def _row_of(session: Session, receipt: Receipt) -> Outbox | None:
    """The text that a callback is about. One whose ids contradict each other belongs to none."""
    rows = select(Outbox).execution_options(populate_existing=True)
    if receipt.attempt_id is not None:
        row = session.scalar(rows.where(Outbox.attempt_id == receipt.attempt_id))
        if row is not None and row.provider_id not in (None, receipt.provider_id):
            logger.warning("a callback names two texts", extra={"action": "receipt", "outbox_id": row.id})
            return None
        if row is not None:
            return row
    return session.scalar(rows.where(Outbox.provider_id == receipt.provider_id))


def _keep(session: Session, receipt: Receipt, row: Outbox | None, *, now: datetime) -> bool:
    """Store what came, once. False for a repeat."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    stored = session.scalar(
        insert(ProviderEvent)
        .values(
            provider_id=receipt.provider_id,
            status=receipt.status,
            error_code=receipt.error_code or "",
            action=receipt.action.value if receipt.action is not None else None,
            attempt_id=receipt.attempt_id,
            outbox_id=None if row is None else row.id,
            raw=json.dumps(receipt.raw, sort_keys=True),
            at=now,
        )
        .on_conflict_do_nothing(index_elements=["provider_id", "status", "error_code"])
        .returning(ProviderEvent.id)
    )
    return stored is not None


def learn(
    session: Session,
    row: Outbox,
    word: str,
    code: str | None,
    action: Action | None,
    *,
    now: datetime,
    reason: str = "reported by the carrier",
) -> bool:
    """Move to where a provider's word leads, if the table has that move from here. True when the text moved.

    What a failure says about the phone counts in any case: an opt-out that comes after the text's end is one.
    """
    to_status = of_provider(word)
    if to_status == FAILED and action is Action.EXPIRED:
        to_status = EXPIRED
    if to_status is None or to_status == row.status or not may_move(row.status, to_status):
        _heed_late(session, row, action, now=now)
        return False
    if to_status not in (FAILED, UNDELIVERED, EXPIRED):
        return queue.move(session, row.id, from_status=row.status, to_status=to_status, reason=reason, now=now)
    refusal = Refusal(action=action or Action.ALERT, code=code)
    was = row.status
    error_policy.take(session, row, refusal, from_status=was, to_status=to_status, now=now, words=reason)
    return session.get_one(Outbox, row.id, populate_existing=True).status != was


def _heed_late(session: Session, row: Outbox, action: Action | None, *, now: datetime) -> None:
    if action is not None and row.parent_id is not None:
        undelivered.heed(session, snapshots.locked(session, row.parent_id), action, now=now)


# ---------------------------------------------------------------- the answer to the call


def settle_all(sessions: sessionmaker[Session], made: Mapping[int, Accepted | ChannelError], *, now: datetime) -> bool:
    """Record what calls led to, by outbox id: what was simply accepted in one transaction, all else in one of its own.

    False when the lane must rest now. One that cannot be recorded stays `sending`, and reconciliation finds it.
    """
    accepted = {id_: outcome for id_, outcome in made.items() if isinstance(outcome, Accepted)}
    others: dict[int, Accepted | ChannelError] = {}
    if accepted:
        others |= _accept_alone(sessions, accepted, now)
    others |= {id_: outcome for id_, outcome in made.items() if isinstance(outcome, ChannelError)}
    goes_on = True
    for id_, outcome in others.items():
        with sessions.begin() as session:
            goes_on &= settle(session, session.get_one(Outbox, id_), outcome, now=now)
    return goes_on


def _accept_alone(
    sessions: sessionmaker[Session], accepted: Mapping[int, Accepted], now: datetime
) -> Mapping[int, Accepted]:
    """The ones that are left for a transaction of their own; all of them when the one for all falls."""
    try:
        with sessions.begin() as session:
            return accept(session, accepted, now=now)
    except IntegrityError:
        logger.warning("a batch is settled one by one", extra={"action": "settle"})
        return accepted


def accept(session: Session, accepted: Mapping[int, Accepted], *, now: datetime) -> dict[int, Accepted]:
    """`adopt` for what was simply accepted, by outbox id. The ones that are left need a transaction each: a callback
    was faster, or came before we knew the provider's id, or the provider says more than "accepted".

    IntegrityError when one of them cannot be recorded: nothing of this transaction may stay then.
    """
    plain = {id_: one.provider_id for id_, one in accepted.items() if of_provider(one.status) == ACCEPTED}
    early = set(
        session.scalars(
            select(ProviderEvent.provider_id).where(
                ProviderEvent.provider_id.in_(plain.values()), ProviderEvent.outbox_id.is_(None)
            )
        )
    )
    known = {id_: provider_id for id_, provider_id in plain.items() if provider_id not in early}
    taken = queue.accept_all(session, known, now=now)
    return {id_: one for id_, one in accepted.items() if id_ not in taken}


def settle(session: Session, row: Outbox, outcome: Accepted | ChannelError, *, now: datetime) -> bool:
    """Record what a call led to. False when the lane must rest now.

    A callback may have been faster: then the row has moved on, and only the provider's id is still added.
    """
    if isinstance(outcome, Accepted):
        adopt(session, row.id, outcome.provider_id, outcome.status, reason="accepted", now=now)
        return True
    if outcome.action is Action.RECONCILE:
        return _unknown(session, row, outcome, now)
    refusal = Refusal(action=outcome.action, code=outcome.code, retry_after_seconds=outcome.retry_after_seconds)
    return error_policy.take(session, row, refusal, from_status=SENDING, now=now)


def _unknown(session: Session, row: Outbox, error: ChannelError, now: datetime) -> bool:
    """Nobody knows: looked up later, never sent again by itself. `not_before` says when to look.

    The lane makes no further call in this turn: what cut this one off may cut the next ones off too.
    """
    queue.move(
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
