"""Climbing the ladder: alerts that nobody has acknowledged are paged again, and further."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.alerts import paging, rota_watch, unconfirmed
from nudges.models.safety import Alert, AlertEvent


def watch(session: Session, now: datetime) -> dict[str, int]:
    """One look at everything that somebody must be told of by the clock. What was done, in counts."""
    return {
        "unconfirmed": unconfirmed.look(session, now),
        "gaps": rota_watch.look(session, now),
        "escalated": escalate_due(session, now),
    }


def escalate_due(session: Session, now: datetime, *, limit: int = 100) -> int:
    """Page the next rung of every open alert whose time has come. Returns how many alerts climbed.

    Two processes may call this at once: rows that the other one holds are skipped (on SQLite the second waits, and
    then finds nothing due). After an outage an alert climbs all it has missed and pages once, the widest circle.
    """
    due = (
        select(Alert)
        .where(Alert.status == "open", Alert.escalate_at.is_not(None), Alert.escalate_at <= now)
        .order_by(Alert.severity.desc(), Alert.escalate_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    alerts = session.scalars(due).all()
    for alert in alerts:
        session.add(AlertEvent(alert_id=alert.id, event="escalated", at=now))
        paging.page_due(session, alert, now=now)
    session.flush()
    return len(alerts)
