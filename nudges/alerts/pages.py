"""Writing pages: a text to an on-call phone, a notice to an address; what waits together goes as one.

A page that has not left yet takes the next alert in, and after a burst a phone gets one page a minute: two hundred
alerts in ten seconds are a handful of texts, and each of them says how many alerts there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.alerts.reach import Ways
from nudges.models.messages import Outbox
from nudges.models.on_call import AlertPage, StaffAddress, StaffNotice
from nudges.models.phrases import DRILL_CODE
from nudges.models.program import Lane, Staff
from nudges.models.safety import Alert
from schedules import segments

PAGE_PRIORITY: Final = 1  # after a crisis reply, before everything else
PAGE_LASTS: Final = timedelta(hours=2)  # a page that could not leave for so long says nothing any more
BURST: Final = 4  # pages to one person within a minute; after that what comes is gathered
GATHER: Final = timedelta(seconds=60)
_EMERGENCY: Final = 4

Row: TypeAlias = Outbox | StaffNotice


def text_of(gravest: Alert, count: int) -> str:
    """What a pager shows about `count` open alerts. It names nobody and quotes nothing."""
    if count == 1:
        return f"Nudges alert {gravest.id}. {gravest.title}. Reply 1 to say you have it, then open the alerts page."
    return (
        f"Nudges: {count} alerts wait for somebody. The gravest is alert {gravest.id}. {gravest.title}. "
        "Reply 1 to take it, then open the alerts page."
    )


def notice_of(gravest: Alert, count: int) -> str:
    """The same for a messenger, which takes no answer."""
    more = "" if count == 1 else f" {count} alerts wait in all."
    return f"Nudges alert {gravest.id}. {gravest.title}.{more} Open the alerts page to take it."


def gravest_of(alerts: Sequence[Alert]) -> Alert:
    """A drill is never graver than the real thing."""
    return max(alerts, key=lambda alert: (DRILL_CODE not in alert.title, alert.severity, alert.id))


def page_person(session: Session, alert: Alert, ways: Ways, *, now: datetime) -> bool:
    """Page somebody every way there is to them. False when there is none, or no sender for texts."""
    is_paged = ways.phone is not None and _text(session, alert, ways.person, ways.phone, now=now)
    for address in ways.addresses:
        notify(session, alert, address, now=now)
        is_paged = True
    return is_paged


def _text(session: Session, alert: Alert, person: Staff, phone: str, *, now: datetime) -> bool:
    theirs = select(Outbox).where(Outbox.staff_id == person.id, Outbox.category == "staff_page")
    waiting = session.scalar(theirs.where(Outbox.status == "queued").order_by(Outbox.id.desc()).limit(1))
    if waiting is not None and _join(session, alert, waiting, person.id, now=now):
        return True
    lane_id = session.scalar(select(Lane.id).where(Lane.program_id == alert.program_id).order_by(Lane.id).limit(1))
    if lane_id is None:
        return False
    lately = session.scalars(theirs.where(Outbox.created_at > now - GATHER).order_by(Outbox.created_at)).all()
    body = text_of(alert, 1)
    row = Outbox(
        lane_id=lane_id,
        staff_id=person.id,
        alert_id=alert.id,
        category="staff_page",
        priority=PAGE_PRIORITY,
        to=phone,
        body=body,
        segments=segments.count(body).parts,
        status="queued",
        not_before=_when(session, alert, person.id, lately, now=now),
        expires_at=now + PAGE_LASTS,
        created_at=now,
    )
    session.add(row)
    session.flush()
    _link(session, alert, Outbox, row.id, person.id, now=now)
    return True


def notify(session: Session, alert: Alert, address: StaffAddress, *, now: datetime) -> None:
    """Queue a notice to an address, or add the alert to the one that waits there."""
    theirs = select(StaffNotice).where(StaffNotice.address_id == address.id, StaffNotice.kind == "page")
    waiting = session.scalar(theirs.where(StaffNotice.status == "queued").order_by(StaffNotice.id.desc()).limit(1))
    if waiting is not None and _join(session, alert, waiting, address.staff_id, now=now):
        return
    lately = session.scalars(theirs.where(StaffNotice.created_at > now - GATHER).order_by(StaffNotice.created_at)).all()
    row = StaffNotice(
        program_id=alert.program_id,
        address_id=address.id,
        kind="page",
        body=notice_of(alert, 1),
        status="queued",
        not_before=_when(session, alert, address.staff_id, lately, now=now),
        expires_at=now + PAGE_LASTS,
        created_at=now,
    )
    session.add(row)
    session.flush()
    _link(session, alert, StaffNotice, row.id, address.staff_id, now=now)


def _when(session: Session, alert: Alert, staff_id: int | None, lately: Sequence[Row], *, now: datetime) -> datetime:
    """At once; after a burst a minute after the page before. An emergency's first page to somebody never waits."""
    if len(lately) < BURST:
        return now
    known = select(AlertPage.id).where(AlertPage.alert_id == alert.id, AlertPage.staff_id == staff_id).limit(1)
    if alert.severity == _EMERGENCY and session.scalar(known) is None:
        return now
    return max(now, lately[-1].not_before + GATHER)


def _join(session: Session, alert: Alert, row: Row, staff_id: int | None, *, now: datetime) -> bool:
    """Add an alert to a page that has not left yet. False when it leaves this very moment."""
    others = (
        select(Alert, func.count().over())
        .join(AlertPage, AlertPage.alert_id == Alert.id)
        .where(_is_about(row), Alert.id != alert.id, Alert.status == "open")
        .order_by(Alert.title.contains(DRILL_CODE, autoescape=True), Alert.severity.desc(), Alert.id.desc())
        .limit(1)
    )
    other, more = session.execute(others).first() or (alert, 0)
    gravest = gravest_of([alert, other])
    values: dict[str, Any] = {"expires_at": now + PAGE_LASTS}
    if isinstance(row, Outbox):
        body = text_of(gravest, 1 + more)
        values |= {"segments": segments.count(body).parts}
    else:
        body = notice_of(gravest, 1 + more)
    if alert.severity == _EMERGENCY:
        values |= {"not_before": min(row.not_before, now)}
    table, row_id = type(row), row.id
    changed = session.execute(
        update(table)
        .where(table.id == row_id, table.status == "queued")
        .values(body=body, **values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)
    session.expire(row)
    if changed.rowcount != 1:
        return False
    _link(session, alert, table, row_id, staff_id, now=now)
    return True


def _link(
    session: Session, alert: Alert, table: type[Row], row_id: int, staff_id: int | None, *, now: datetime
) -> None:
    """Once: a page that already speaks of the alert has its link."""
    page = {"outbox_id": row_id} if table is Outbox else {"notice_id": row_id}
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    session.execute(
        insert(AlertPage).values(alert_id=alert.id, staff_id=staff_id, at=now, **page).on_conflict_do_nothing()
    )


def _is_about(row: Row) -> ColumnElement[bool]:
    return (AlertPage.outbox_id if isinstance(row, Outbox) else AlertPage.notice_id) == row.id
