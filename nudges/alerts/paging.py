"""Paging staff: texts and notices without names or words of the parent, to whoever the ladder says, until somebody
answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.alerts import circles, ladder, on_call, pages, reach, topics
from nudges.alerts.ladder import Circle
from nudges.models.messages import Outbox
from nudges.models.on_call import AlertPage
from nudges.models.safety import Alert, AlertEvent

NOBODY: Final = "Nobody is on call: alerts cannot be paged"
NOBODY_MARK: Final = " (nobody is on call)"
NO_SENDER_MARK: Final = " (no sender to page with)"
SHUT_MARK: Final = " (an on-call person cannot be reached)"
REPLY_LOST_MARK: Final = " - reply NOT delivered, phone them now"
OPTED_OUT_MARK: Final = " - opted out: phone, texts cannot reach them"
LASTING_MARKS: Final = (REPLY_LOST_MARK, OPTED_OUT_MARK)
_TITLE_LIMIT: Final = 200
_ABUSE: Final = "abuse_dv"


def page_due(session: Session, alert: Alert, *, now: datetime, about: Collection[str] | None = None) -> tuple[int, ...]:
    """Climb every rung that is due and page its people. Returns the ids of those on duty who have a page coming.

    Somebody who should be paged but cannot be stands on the alert, and the next person is paged in their place. An
    alert that nobody on duty can be paged about says so in its title, opens an alert of its own, and goes to
    everyone who can be reached at all: that is no promise, so it is not counted as paged. `about` are the topics of
    the episode, for a caller that knows them.
    """
    calls = _climb(session, alert, about, now=now)
    if not calls:
        return ()
    called = circles.call(session, alert, calls, now=now)
    for person in called.shut:
        _say_shut(session, alert, person.id, now=now)
    if called.is_on_duty:
        unmark(alert, NOBODY_MARK)
    else:
        _say_nobody(session, alert, now=now)
    session.flush()
    pages.take_turn(session)
    ways = sorted(called.ways, key=lambda ways: ways.person.id)
    paged = tuple(way.person.id for way in ways if _page(session, alert, way, called.is_on_duty, now=now))
    if alert.rung == 1 or Circle.EVERYONE in calls:
        for address in called.team:
            pages.notify(session, alert, address, now=now)
    return paged if called.is_on_duty else ()


def ladder_of(alert: Alert) -> ladder.Ladder:
    """The ladder that an alert climbs."""
    return ladder.ladder_of(alert.severity, alert.tier)


def _climb(session: Session, alert: Alert, about: Collection[str] | None, *, now: datetime) -> tuple[Circle, ...]:
    """Move `rung` and `escalate_at` past everything due. Whom that calls; nobody when nothing was due."""
    rungs, calls = ladder_of(alert), dict[Circle, None]()
    while alert.escalate_at is not None and alert.escalate_at <= now:
        step = ladder.rung(rungs, alert.rung)
        calls |= dict.fromkeys(step.calls if step is not None else ())
        start = alert.escalate_at - timedelta(minutes=step.after_minutes if step is not None else 0)
        alert.rung += 1
        alert.escalate_at = ladder.due_at(rungs, alert.rung, start)
    if calls and alert.tier != _ABUSE:
        known = topics.topics_of(session, alert) if about is None else about
        calls |= {Circle.SAFEGUARDING: None} if _ABUSE in known else {}
    return tuple(calls)


def _page(session: Session, alert: Alert, ways: reach.Ways, is_on_duty: bool, *, now: datetime) -> bool:
    is_paged = pages.page_person(session, alert, ways, now=now)
    if not is_paged:
        mark(alert, NO_SENDER_MARK)
        return False
    event = "paged" if is_on_duty else "paged_off_duty"
    session.add(AlertEvent(alert_id=alert.id, event=event, staff_id=ways.person.id, at=now))
    return True


def _say_shut(session: Session, alert: Alert, staff_id: int, *, now: datetime) -> None:
    """Said once for each person: the ladder asks for them again and again."""
    mark(alert, SHUT_MARK)
    if not _has_event(session, alert, "unreachable", staff_id):
        note = "No way to page them: no phone or address, or their phone has texted STOP. The next person was paged."
        session.add(AlertEvent(alert_id=alert.id, event="unreachable", staff_id=staff_id, note=note, at=now))
        session.flush()


def _say_nobody(session: Session, alert: Alert, *, now: datetime) -> None:
    mark(alert, NOBODY_MARK)
    session.add(AlertEvent(alert_id=alert.id, event="nobody_on_call", at=now))
    why = "Fill the on-call rota, or give somebody a phone and a place in the standing order under Staff."
    raise_system_alert(session, alert.program_id, title=NOBODY, why=why, now=now)


def raise_system_alert(session: Session, program_id: int, *, title: str, why: str, now: datetime) -> Alert:
    """Tell staff on the dashboard that the service itself needs them; one open alert for each title."""
    alert = open_system_alert(session, program_id, title)
    if alert is None:
        alert = Alert(program_id=program_id, level="system", severity=0, why=why, title=title, raised_at=now)
        session.add(alert)
        session.flush()
        session.add(AlertEvent(alert_id=alert.id, event="raised", at=now))
        session.flush()
    return alert


def open_system_alert(session: Session, program_id: int, title: str) -> Alert | None:
    return session.scalar(
        select(Alert).where(
            Alert.program_id == program_id,
            Alert.level == "system",
            Alert.title == title,
            Alert.status != "resolved",
        )
    )


def resolve_system_alert(session: Session, program_id: int, *, title: str, now: datetime) -> bool:
    """The fault is gone by itself: its alert ends. False when there was none."""
    alert = open_system_alert(session, program_id, title)
    if alert is None:
        return False
    alert.status, alert.resolution, alert.resolved_at = "resolved", "fixed", now
    session.add(AlertEvent(alert_id=alert.id, event="resolved", at=now))
    session.flush()
    return True


def report_undelivered(
    session: Session, outbox_row: Outbox, now: datetime, *, has_opted_out: bool = False
) -> Alert | None:
    """A crisis reply or a page did not arrive: the alert says so and the next people are paged at once.

    Called when a text has ended failed, undelivered or given up. `has_opted_out`: the carrier refuses texts to this
    phone. None for texts that belong to no alert.
    """
    if outbox_row.category == "crisis_reply" and outbox_row.alert_id is not None:
        return reply_lost(session, outbox_row.alert_id, event="reply_undelivered", now=now)
    if outbox_row.category != "staff_page":
        return None
    if has_opted_out and outbox_row.staff_id is not None:
        on_call.duty_of(session, outbox_row.staff_id).phone_stopped_at = now
    linked = session.scalars(
        select(AlertPage.alert_id).where(AlertPage.outbox_id == outbox_row.id).order_by(AlertPage.alert_id)
    ).all()
    ids = linked or ([outbox_row.alert_id] if outbox_row.alert_id is not None else [])
    lock(session, ids)
    lost = [page_lost(session, alert_id, outbox_row.staff_id, now=now) for alert_id in ids]
    return lost[-1] if lost else None


def reply_lost(session: Session, alert_id: int, *, event: str, now: datetime) -> Alert:
    """The parent does not have the instructions: whoever has the alert is called again."""
    alert = _locked(session, alert_id)
    session.add(AlertEvent(alert_id=alert.id, event=event, at=now))
    session.flush()
    if alert.status == "resolved":
        return alert
    mark(alert, REPLY_LOST_MARK)
    alert.status = "open"  # whoever had it believed that the parent has the instructions
    _climb_now(session, alert, now=now)
    return alert


def page_lost(
    session: Session, alert_id: int, staff_id: int | None, *, now: datetime, note: str | None = None
) -> Alert:
    """A page did not arrive. The first time for each person the next rung is climbed at once: no storm."""
    alert = _locked(session, alert_id)
    is_news = not _has_event(session, alert, "page_undelivered", staff_id)
    session.add(AlertEvent(alert_id=alert.id, event="page_undelivered", staff_id=staff_id, note=note, at=now))
    session.flush()
    if alert.status == "open" and is_news:
        _climb_now(session, alert, now=now)
    return alert


def lock(session: Session, alert_ids: Iterable[int]) -> None:
    """Lock alerts that will be paged in one transaction, before the first of them is: see `pages.take_turn`."""
    for alert_id in sorted(set(alert_ids)):
        _locked(session, alert_id)


def _locked(session: Session, alert_id: int) -> Alert:
    return session.get_one(Alert, alert_id, with_for_update=True, populate_existing=True)


def _has_event(session: Session, alert: Alert, event: str, staff_id: int | None) -> bool:
    known = select(AlertEvent.id).where(
        AlertEvent.alert_id == alert.id,
        AlertEvent.event == event,
        AlertEvent.staff_id == staff_id if staff_id is not None else AlertEvent.staff_id.is_(None),
    )
    return session.scalar(known.limit(1)) is not None


def _climb_now(session: Session, alert: Alert, *, now: datetime) -> None:
    if ladder.rung(ladder_of(alert), alert.rung) is None:
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
