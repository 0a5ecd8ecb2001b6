"""Texts in danger of which nobody has said that they arrived: after a minute they count as not delivered.

A refusal may come long after the call, or never: a carrier that holds a STOP accepts the text and drops it. So the
absence of a receipt is itself a reason to phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from nudges.alerts import paging
from nudges.models.messages import Outbox
from nudges.models.on_call import AlertPage
from nudges.models.safety import Alert, AlertEvent

NO_WORD: Final = timedelta(seconds=60)  # nothing at all was heard
ONLY_SENT: Final = timedelta(minutes=5)  # the carrier has it, the phone has not
_WAITING: Final = ("queued", "sending", "unknown", "accepted")
_OPEN: Final = select(Alert.id).where(Alert.status != literal("resolved", literal_execute=True))


def look(session: Session, now: datetime) -> int:
    """Report crisis replies and pages without a receipt, and take back what a late receipt has mended.

    Once for each reply and, for pages, once for each alert and person. Returns how many alerts were told.
    """
    told = 0
    replies, silent = _latest_replies(session), _silent_pages(session, now)
    lost = {alert.id for alert, reply in replies if _is_news(alert, reply, now)}
    paging.lock(session, lost | {alert_id for alert_id, _ in silent})
    for alert, reply in replies:
        if reply.status == "delivered" and paging.REPLY_LOST_MARK in alert.title:
            paging.unmark(alert, paging.REPLY_LOST_MARK)
            session.add(AlertEvent(alert_id=alert.id, event="reply_delivered", at=now))
        elif _is_news(alert, reply, now):
            paging.reply_lost(session, alert.id, event="reply_unconfirmed", now=now)
            told += 1
    # A lost reply opens an alert that somebody had: then its pages count again.
    for alert_id, staff_id in _silent_pages(session, now) if told else silent:
        paging.page_lost(session, alert_id, staff_id, now=now, note="Nobody has said that this page arrived.")
        told += 1
    session.flush()
    return told


def _latest_replies(session: Session) -> Sequence[tuple[Alert, Outbox]]:
    """Open episodes with their newest crisis reply."""
    newest = (
        select(func.max(Outbox.id))
        .where(Outbox.category == "crisis_reply", Outbox.alert_id.in_(_OPEN))
        .group_by(Outbox.alert_id)
    )
    rows = session.execute(
        select(Alert, Outbox)
        .join(Outbox, Outbox.alert_id == Alert.id)
        .where(Outbox.id.in_(newest))
        .order_by(Alert.id)
        .execution_options(populate_existing=True)
    )
    return [(alert, reply) for alert, reply in rows]


def _is_news(alert: Alert, reply: Outbox, now: datetime) -> bool:
    return _is_overdue(reply, now) and paging.REPLY_LOST_MARK not in alert.title


def _is_overdue(reply: Outbox, now: datetime) -> bool:
    age = now - (reply.attempted_at or reply.created_at)
    return (reply.status in _WAITING and age > NO_WORD) or (reply.status == "sent" and age > ONLY_SENT)


def _silent_pages(session: Session, now: datetime) -> Sequence[tuple[int, int | None]]:
    """Pages of open alerts that were due a minute ago and of which nothing was heard, not reported before."""
    told = (
        select(AlertEvent.id)
        .where(
            AlertEvent.alert_id == AlertPage.alert_id,
            AlertEvent.staff_id == AlertPage.staff_id,
            AlertEvent.event == "page_undelivered",
        )
        .exists()
    )
    rows = session.execute(
        select(AlertPage.alert_id, AlertPage.staff_id)
        .join(Outbox, Outbox.id == AlertPage.outbox_id)
        .join(Alert, Alert.id == AlertPage.alert_id)
        .where(Alert.status == "open", Outbox.status.in_(_WAITING), ~told)
        .where(Outbox.not_before <= now - NO_WORD, AlertPage.at <= now - NO_WORD)
        .where(func.coalesce(Outbox.attempted_at, Outbox.created_at) <= now - NO_WORD)
        .distinct()
        .order_by(AlertPage.alert_id, AlertPage.staff_id)
    )
    return [(alert_id, staff_id) for alert_id, staff_id in rows]
