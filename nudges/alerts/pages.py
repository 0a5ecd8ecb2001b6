"""Writing pages: a text to an on-call phone, a notice to an address; what waits together goes as one.

A page that has not left yet takes the next alert in, and after a burst a phone gets one page a minute: two hundred
alerts in ten seconds are a handful of texts, and each of them says how many alerts there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import bindparam, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.alerts.reach import Ways
from nudges.ledger import record
from nudges.models.messages import Outbox
from nudges.models.on_call import AlertPage, StaffAddress, StaffNotice
from nudges.models.phrases import DRILL_CODE
from nudges.models.program import Staff
from nudges.models.safety import Alert
from nudges.outbox import queue

PAGE_PRIORITY: Final = queue.PRIORITY["staff_page"]
PAGE_LASTS: Final = timedelta(hours=2)  # a page that could not leave for so long says nothing any more
BURST: Final = 4  # pages to one person within a minute; after that what comes is gathered
GATHER: Final = timedelta(seconds=60)
_EMERGENCY: Final = 4

Row: TypeAlias = Outbox | StaffNotice


# Asked while others wait for their turn, so they are built once, and worded as the outbox's indexes are: by lane
# and priority what is queued, by time what went to nobody's parent.
_TEXT_WAITS: Final = (
    select(Outbox.id, Outbox.not_before)
    .where(Outbox.lane_id == bindparam("lane_id"), Outbox.priority == PAGE_PRIORITY)
    .where(Outbox.status == literal_column("'queued'"))
    .where(Outbox.staff_id == bindparam("staff_id"), Outbox.category == "staff_page")
    .order_by(Outbox.id.desc())
    .limit(1)
)
_TEXTS_LATELY: Final = (
    select(Outbox.not_before)
    .where(Outbox.parent_id.is_(None), Outbox.created_at > bindparam("since"))
    .where(Outbox.staff_id == bindparam("staff_id"), Outbox.category == "staff_page")
    .order_by(Outbox.created_at)
)
_NOTICES: Final = StaffNotice.address_id == bindparam("address_id"), StaffNotice.kind == "page"
_NOTICE_WAITS: Final = (
    select(StaffNotice.id, StaffNotice.not_before)
    .where(*_NOTICES, StaffNotice.status == "queued")
    .order_by(StaffNotice.id.desc())
    .limit(1)
)
_NOTICES_LATELY: Final = (
    select(StaffNotice.not_before)
    .where(*_NOTICES, StaffNotice.created_at > bindparam("since"))
    .order_by(StaffNotice.created_at)
)
_OTHERS: Final = (
    select(Alert, func.count().over())
    .join(AlertPage, AlertPage.alert_id == Alert.id)
    .where(Alert.id != bindparam("but"), Alert.status == "open")
    .order_by(Alert.title.contains(DRILL_CODE, autoescape=True), Alert.severity.desc(), Alert.id.desc())
    .limit(1)
)
_OTHERS_OF_TEXT: Final = _OTHERS.where(AlertPage.outbox_id == bindparam("row_id"))
_OTHERS_OF_NOTICE: Final = _OTHERS.where(AlertPage.notice_id == bindparam("row_id"))


def take_turn(session: Session) -> None:
    """Write pages one transaction after the other: only then does an alert find the page that the one before queued.

    Else each alert of a burst would write its own. It is the ledger's turn, so that nobody has one of two and waits for
    the other. Take it late, and lock the rows of every alert that will be paged before it.
    """
    record.take_turn(session)


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
    try:
        lane_id = queue.lane_of(session, alert.program_id)
    except queue.NoLane:
        return False
    of = {"staff_id": person.id, "lane_id": lane_id, "since": now - GATHER}
    waiting = session.execute(_TEXT_WAITS, of).one_or_none()
    if waiting is not None and _join(session, alert, Outbox, waiting.id, waiting.not_before, person.id, now=now):
        return True
    lately = session.scalars(_TEXTS_LATELY, of).all()
    page = queue.NewText(
        category="staff_page",
        to=phone,
        body=text_of(alert, 1),
        staff_id=person.id,
        alert_id=alert.id,
        not_before=_when(session, alert, person.id, lately, now=now),
        expires_at=now + PAGE_LASTS,
    )
    row = queue.enqueue(session, page, program_id=alert.program_id, now=now)
    _link(session, alert, Outbox, row.id, person.id, now=now)
    return True


def notify(session: Session, alert: Alert, address: StaffAddress, *, now: datetime) -> None:
    """Queue a notice to an address, or add the alert to the one that waits there."""
    of = {"address_id": address.id, "since": now - GATHER}
    waiting = session.execute(_NOTICE_WAITS, of).one_or_none()
    if waiting is not None and _join(
        session, alert, StaffNotice, waiting.id, waiting.not_before, address.staff_id, now=now
    ):
        return
    lately = session.scalars(_NOTICES_LATELY, of).all()
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


def _when(
    session: Session, alert: Alert, staff_id: int | None, lately: Sequence[datetime], *, now: datetime
) -> datetime:
    """At once; after a burst a minute after the page before. An emergency's first page to somebody never waits.

    `lately` is when the pages of the last minute were to leave.
    """
    if len(lately) < BURST:
        return now
    known = select(AlertPage.id).where(AlertPage.alert_id == alert.id, AlertPage.staff_id == staff_id).limit(1)
    if alert.severity == _EMERGENCY and session.scalar(known) is None:
        return now
    return max(now, lately[-1] + GATHER)


def _join(
    session: Session,
    alert: Alert,
    table: type[Row],
    row_id: int,
    not_before: datetime,
    staff_id: int | None,
    *,
    now: datetime,
) -> bool:
    """Add an alert to a page that has not left yet. False when it leaves this very moment."""
    others = _OTHERS_OF_TEXT if table is Outbox else _OTHERS_OF_NOTICE
    other, more = session.execute(others, {"row_id": row_id, "but": alert.id}).first() or (alert, 0)
    gravest = gravest_of([alert, other])
    values: dict[str, Any] = {"expires_at": now + PAGE_LASTS}
    if alert.severity == _EMERGENCY:
        values |= {"not_before": min(not_before, now)}
    if table is Outbox:
        is_joined = queue.reword(session, row_id, text_of(gravest, 1 + more), **values)
    else:
        is_joined = _reword_notice(session, row_id, notice_of(gravest, 1 + more), values)
    if is_joined:
        _link(session, alert, table, row_id, staff_id, now=now)
    return is_joined


def _reword_notice(session: Session, row_id: int, body: str, values: dict[str, Any]) -> bool:
    changed = session.execute(
        update(StaffNotice)
        .where(StaffNotice.id == row_id, StaffNotice.status == "queued")
        .values(body=body, **values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)
    return changed.rowcount == 1


def _link(
    session: Session, alert: Alert, table: type[Row], row_id: int, staff_id: int | None, *, now: datetime
) -> None:
    """Once: a page that already speaks of the alert has its link."""
    page = {"outbox_id": row_id} if table is Outbox else {"notice_id": row_id}
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    session.execute(
        insert(AlertPage).values(alert_id=alert.id, staff_id=staff_id, at=now, **page).on_conflict_do_nothing()
    )
