"""What providers report after the call: kept as it came, then one move along the status table, or none."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Integer, Table, bindparam, cast, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from nudges.channels.base import Accepted, Action, Receipt
from nudges.db import as_given, pairs_given, unindexed
from nudges.families import snapshots
from nudges.models.messages import Outbox, ProviderEvent
from nudges.outbound import endings, outbox, refusals
from nudges.outbound.refusals import Refusal
from nudges.outbound.status import (
    ACCEPTED,
    EXPIRED,
    FAILED,
    QUEUED,
    SENDING,
    UNDELIVERED,
    may_move,
    of_provider,
)

logger = logging.getLogger(__name__)

_OUTBOX: Final[Table] = Outbox.metadata.tables[Outbox.__tablename__]
_PROVIDER_EVENTS: Final[Table] = Outbox.metadata.tables[ProviderEvent.__tablename__]
_ACCEPTED: Final = pairs_given("accepted")  # provider id by outbox id
_ADOPT: Final = (
    update(_OUTBOX)
    .where(
        _OUTBOX.c.id == cast(_ACCEPTED.c.key, Integer()),
        unindexed(_OUTBOX.c.status) == SENDING,
        unindexed(_OUTBOX.c.provider_id).is_(None),
        ~exists().where(_PROVIDER_EVENTS.c.provider_id == _ACCEPTED.c.value, _PROVIDER_EVENTS.c.outbox_id.is_(None)),
    )
    .values(status=ACCEPTED, status_reason=bindparam("why"), provider_id=_ACCEPTED.c.value)
    .returning(_OUTBOX.c.id)
)


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
        _set_provider_id(session, row.id, receipt.provider_id)
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
    _set_provider_id(session, outbox_id, provider_id)
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


def adopt_all(session: Session, accepted: Mapping[int, Accepted], *, reason: str, now: datetime) -> dict[int, Accepted]:
    """`adopt` for a batch, by outbox id. Returns what is not plain: a callback was faster, or came before we knew
    the provider's id, or the provider says more than "accepted". Those are for `adopt`, each in its own transaction.
    """
    plain = {id_: one.provider_id for id_, one in accepted.items() if of_provider(one.status) == ACCEPTED}
    given = {"accepted": as_given(plain), "why": reason}
    moved = set(session.connection().scalars(_ADOPT, given).all()) if plain else set()
    outbox.note_moves(session, sorted(moved), from_status=SENDING, to_status=ACCEPTED, reason=reason, now=now)
    return {id_: one for id_, one in accepted.items() if id_ not in moved}


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


def _set_provider_id(session: Session, outbox_id: int, provider_id: str) -> None:
    session.execute(
        update(Outbox)
        .where(Outbox.id == outbox_id, Outbox.provider_id.is_(None), Outbox.status != QUEUED)
        .values(provider_id=provider_id, looks=0)
        .execution_options(synchronize_session=False)
    )


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
        return outbox.move(session, row.id, from_status=row.status, to_status=to_status, reason=reason, now=now)
    refusal = Refusal(action=action or Action.ALERT, code=code)
    was = row.status
    refusals.take(session, row, refusal, from_status=was, to_status=to_status, now=now, words=reason)
    return session.get_one(Outbox, row.id, populate_existing=True).status != was


def _heed_late(session: Session, row: Outbox, action: Action | None, *, now: datetime) -> None:
    if action is not None and row.parent_id is not None:
        endings.heed(session, snapshots.locked(session, row.parent_id), action, now=now)
