"""Notices to messengers: addresses of staff, and the outbox that hands notices over. No session is open at a call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session, sessionmaker

from nudges.alerts import paging
from nudges.channels import messengers
from nudges.channels.messengers import Messenger, MessengerError
from nudges.clock import Clock
from nudges.ledger import record
from nudges.models.on_call import AlertPage, StaffAddress, StaffNotice
from nudges.models.program import Program, Staff

logger = logging.getLogger(__name__)

BATCH: Final = 20
AT_ONCE: Final = 5  # calls side by side: one dead messenger does not hold the others up
STALE: Final = timedelta(seconds=60)  # no call takes so long: whoever made it is gone
MOST_ATTEMPTS: Final = 2
AGAIN: Final = timedelta(seconds=20)
TEST_LASTS: Final = timedelta(minutes=10)
TEST_BODY: Final = "Test page from Nudges. If this were real, it would name an alert. Nothing needs to be done."


@dataclass(frozen=True, kw_only=True, slots=True)
class Notified:
    """What one beat did."""

    delivered: int = 0
    failed: int = 0


def add_address(
    session: Session, program: Program, *, url: str, person: Staff | None, by: str, now: datetime
) -> StaffAddress:
    """Another way to reach `person`, or the whole team. Raises AddressError for what Apprise does not know."""
    row = StaffAddress(
        program_id=program.id,
        staff_id=person.id if person is not None else None,
        url=url.strip(),
        service=messengers.service_of(url),
        created_at=now,
    )
    session.add(row)
    session.flush()
    _record(session, row, "address.added", by=by, now=now)
    return row


def remove_address(session: Session, address: StaffAddress, *, by: str, now: datetime) -> None:
    """Use an address no more, and forget what it was."""
    address.removed_at, address.url = now, ""
    session.flush()
    _record(session, address, "address.removed", by=by, now=now)


def addresses(session: Session, program_id: int) -> Sequence[StaffAddress]:
    """Every address that is in use, the team's own first."""
    return session.scalars(
        select(StaffAddress)
        .where(StaffAddress.program_id == program_id, StaffAddress.removed_at.is_(None))
        .order_by(StaffAddress.staff_id.is_not(None), StaffAddress.staff_id, StaffAddress.id)
    ).all()


def queue_test(session: Session, address: StaffAddress, *, now: datetime) -> StaffNotice:
    """A test page. How it went stands at the address."""
    row = StaffNotice(
        program_id=address.program_id,
        address_id=address.id,
        kind="test",
        body=TEST_BODY,
        status="queued",
        not_before=now,
        expires_at=now + TEST_LASTS,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def drain(sessions: sessionmaker[Session], messenger: Messenger, *, clock: Clock) -> Notified:
    """Hand over every notice whose turn has come. Owns its transactions.

    1. notices whose call never came back have failed: nobody knows whether they arrived, so the next person is paged
    2. claim a batch by conditional UPDATE and commit
    3. call with nothing open, several at once; settle each in a transaction of its own
    """
    _give_up_stale(sessions, clock.now())
    claimed = _claim(sessions, clock.now())
    failed = 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="notices") as pool:
        calls = [(row.id, pool.submit(_call, messenger, url, row.body)) for row, url in claimed]
        for notice_id, call in calls:
            fault = call.result()
            failed += fault is not None
            with sessions.begin() as session:
                settle(session, notice_id, fault, now=clock.now())
    return Notified(delivered=len(claimed) - failed, failed=failed)


def settle(session: Session, notice_id: int, fault: str | None, *, now: datetime) -> None:
    """Record how a call ended. A fault is tried once more; then the alert shows it and the next people are paged."""
    row = session.get_one(StaffNotice, notice_id, populate_existing=True)
    address = session.get_one(StaffAddress, row.address_id)
    address.fault = fault
    address.tested_at = now
    if fault is None:
        _move(session, row, "delivered", reason="taken", settled_at=now)
    elif row.attempts < MOST_ATTEMPTS and row.expires_at > now + AGAIN and row.kind == "page":
        _move(session, row, "queued", reason=fault, not_before=now + AGAIN)
        _say_lost(session, row, fault, now=now)  # the next person does not wait for the second try
    else:
        _fail(session, row, "failed", fault, now=now)


def _claim(sessions: sessionmaker[Session], now: datetime) -> list[tuple[StaffNotice, str]]:
    with sessions.begin() as session:
        rows = session.execute(
            select(StaffNotice, StaffAddress.url, StaffAddress.removed_at)
            .join(StaffAddress, StaffAddress.id == StaffNotice.address_id)
            .where(StaffNotice.status == "queued", StaffNotice.not_before <= now)
            .order_by(StaffNotice.not_before, StaffNotice.id)
            .limit(BATCH)
            .with_for_update(of=StaffNotice, skip_locked=True)
            .execution_options(populate_existing=True)
        ).all()
        claimed = []
        for row, url, removed_at in rows:
            if row.expires_at <= now or removed_at is not None:
                _fail(session, row, "expired", "its moment passed, or the address was removed", now=now)
            elif _move(session, row, "sending", reason="handing over", attempts=row.attempts + 1, attempted_at=now):
                claimed.append((row, url))
    return claimed


def _call(messenger: Messenger, url: str, body: str) -> str | None:
    """None when the notice was taken, else the fault in words that name no address."""
    try:
        messenger.send(url, body)
    except MessengerError as error:
        return str(error)[:200]
    except Exception as error:  # whatever it is, this page did not arrive, and the others must go on
        return f"broke: {type(error).__name__}"
    return None


def _give_up_stale(sessions: sessionmaker[Session], now: datetime) -> None:
    with sessions.begin() as session:
        stale = session.scalars(
            select(StaffNotice).where(StaffNotice.status == "sending", StaffNotice.attempted_at <= now - STALE)
        ).all()
        for row in stale:
            _fail(session, row, "unknown", "the process that sent it has not come back", now=now)


def _fail(session: Session, row: StaffNotice, status: str, fault: str, *, now: datetime) -> None:
    if _move(session, row, status, reason=fault, settled_at=now) and row.kind == "page":
        _say_lost(session, row, fault, now=now)


def _say_lost(session: Session, row: StaffNotice, fault: str, *, now: datetime) -> None:
    logger.error("a notice to staff failed", extra={"action": "notice", "notice_id": row.id})
    links = session.execute(
        select(AlertPage.alert_id, AlertPage.staff_id).where(AlertPage.notice_id == row.id).order_by(AlertPage.alert_id)
    ).all()
    paging.lock(session, (alert_id for alert_id, _ in links))
    for alert_id, staff_id in links:
        paging.page_lost(session, alert_id, staff_id, now=now, note=fault)


def _move(session: Session, row: StaffNotice, status: str, *, reason: str, **values: Any) -> bool:
    changed = session.execute(
        update(StaffNotice)
        .where(StaffNotice.id == row.id, StaffNotice.status == row.status)
        .values(status=status, status_reason=reason[:200], **values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)
    session.refresh(row)
    return changed.rowcount == 1


def _record(session: Session, row: StaffAddress, action: str, *, by: str, now: datetime) -> None:
    details = {"service": row.service, "staff": row.staff_id}
    record.append(session, at=now, actor=by, action=action, subject=f"address:{row.id}", details=details)
