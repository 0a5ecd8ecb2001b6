"""Paging staff: texts without names or words of the parent, to whoever the ladder says, until somebody answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.alerts import ladder
from nudges.families import staff as people
from nudges.models.messages import Outbox
from nudges.models.program import Lane, Staff
from nudges.models.safety import Alert, AlertEvent
from schedules import segments

PAGE_PRIORITY: Final = 1  # after a crisis reply, before everything else
PAGE_LASTS: Final = timedelta(hours=2)  # a page that could not leave for so long says nothing any more
NOBODY: Final = "Nobody is on call: alerts cannot be paged"
NOBODY_MARK: Final = " (nobody is on call)"
NO_SENDER_MARK: Final = " (no sender to page with)"
REPLY_LOST_MARK: Final = " - reply NOT delivered, phone them now"
OPTED_OUT_MARK: Final = " - opted out: phone, texts cannot reach them"
LASTING_MARKS: Final = (REPLY_LOST_MARK, OPTED_OUT_MARK)
_TITLE_LIMIT: Final = 200


def page_due(session: Session, alert: Alert, *, now: datetime) -> tuple[int, ...]:
    """Climb every rung that is due and page its people. Returns their staff ids.

    An alert that nobody can be paged about says so in its title, and opens an alert of its own.
    """
    reach = _climb(alert, now=now)
    if not reach:
        return ()
    to_page = _people(session, alert.program_id, reach)
    if not to_page:
        _say_nobody(session, alert, now=now)
        return ()
    unmark(alert, NOBODY_MARK)
    return tuple(person.id for person in to_page if _page(session, alert, person, now=now))


def _climb(alert: Alert, *, now: datetime) -> int:
    """Move `rung` and `escalate_at` past everything due. The widest reach among it; 0 when nothing was due."""
    reach = 0
    while alert.escalate_at is not None and alert.escalate_at <= now:
        step = ladder.rung(alert.severity, alert.rung)
        reach = max(reach, step.reach if step is not None else 0)
        start = alert.escalate_at - timedelta(minutes=step.after_minutes if step is not None else 0)
        alert.rung += 1
        alert.escalate_at = ladder.due_at(alert.severity, alert.rung, start)
    return reach


def _people(session: Session, program_id: int, reach: int) -> Sequence[Staff]:
    if reach < ladder.EVERYONE:
        return people.on_call(session, program_id)[:reach]
    return session.scalars(
        select(Staff)
        .where(Staff.program_id == program_id, Staff.is_active, Staff.on_call_phone.is_not(None))
        .order_by(Staff.on_call_rank, Staff.id)
    ).all()


def _page(session: Session, alert: Alert, person: Staff, *, now: datetime) -> bool:
    lane_id = session.scalar(select(Lane.id).where(Lane.program_id == alert.program_id).order_by(Lane.id).limit(1))
    if lane_id is None or person.on_call_phone is None:
        mark(alert, NO_SENDER_MARK)
        return False
    body = page_text(alert)
    session.add(
        Outbox(
            lane_id=lane_id,
            staff_id=person.id,
            alert_id=alert.id,
            category="staff_page",
            priority=PAGE_PRIORITY,
            to=person.on_call_phone,
            body=body,
            segments=segments.count(body).parts,
            status="queued",
            not_before=now,
            expires_at=now + PAGE_LASTS,
            created_at=now,
        )
    )
    session.add(AlertEvent(alert_id=alert.id, event="paged", staff_id=person.id, at=now))
    session.flush()
    return True


def page_text(alert: Alert) -> str:
    """What a pager shows. It names nobody and quotes nothing."""
    return f"Nudges alert {alert.id}. {alert.title}. Reply 1 to say you have it, then open the alerts page."


def _say_nobody(session: Session, alert: Alert, *, now: datetime) -> None:
    mark(alert, NOBODY_MARK)
    session.add(AlertEvent(alert_id=alert.id, event="nobody_on_call", at=now))
    raise_system_alert(session, alert.program_id, title=NOBODY, why="Set an on-call phone under Staff.", now=now)


def raise_system_alert(session: Session, program_id: int, *, title: str, why: str, now: datetime) -> Alert:
    """Tell staff on the dashboard that the service itself needs them; one open alert for each title."""
    alert = session.scalar(
        select(Alert).where(
            Alert.program_id == program_id,
            Alert.level == "system",
            Alert.title == title,
            Alert.status != "resolved",
        )
    )
    if alert is None:
        alert = Alert(program_id=program_id, level="system", severity=0, why=why, title=title, raised_at=now)
        session.add(alert)
        session.flush()
        session.add(AlertEvent(alert_id=alert.id, event="raised", at=now))
        session.flush()
    return alert


def report_undelivered(session: Session, outbox_row: Outbox, now: datetime) -> Alert | None:
    """A crisis reply or a page did not arrive: the alert says so and the next people are paged at once.

    Called when a text has ended failed, undelivered or given up. None for texts that belong to no alert.
    """
    if outbox_row.alert_id is None or outbox_row.category not in ("crisis_reply", "staff_page"):
        return None
    alert = session.get_one(Alert, outbox_row.alert_id, with_for_update=True, populate_existing=True)
    is_reply = outbox_row.category == "crisis_reply"
    event = "reply_undelivered" if is_reply else "page_undelivered"
    is_news = is_reply or not _failed_before(session, alert, outbox_row.staff_id)
    session.add(AlertEvent(alert_id=alert.id, event=event, staff_id=outbox_row.staff_id, at=now))
    if alert.status == "resolved":
        return alert
    if is_reply:
        mark(alert, REPLY_LOST_MARK)
        alert.status = "open"  # whoever had it believed that the parent has the instructions
    if alert.status == "open" and is_news:
        _climb_now(session, alert, now=now)
    return alert


def _failed_before(session: Session, alert: Alert, staff_id: int | None) -> bool:
    """Has a page to this phone failed before? A dead phone calls the next people once; the ladder goes on by itself."""
    known = select(AlertEvent.id).where(
        AlertEvent.alert_id == alert.id, AlertEvent.event == "page_undelivered", AlertEvent.staff_id == staff_id
    )
    return session.scalar(known.limit(1)) is not None


def _climb_now(session: Session, alert: Alert, *, now: datetime) -> None:
    step = ladder.rung(alert.severity, alert.rung)
    if step is None:
        return
    alert.escalate_at = now
    page_due(session, alert, now=now)


def mark(alert: Alert, words: str) -> None:
    """Add a warning to the title, once."""
    if words not in alert.title:
        alert.title = alert.title[: _TITLE_LIMIT - len(words)] + words


def unmark(alert: Alert, words: str) -> None:
    """Take a warning off the title again."""
    alert.title = alert.title.replace(words, "")
