"""A person takes an alert, and a person ends it. Nothing here starts a text again: that is `holds.release_hold`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.alerts import corpus, pages
from nudges.ledger import record
from nudges.models.on_call import AlertPage
from nudges.models.program import Staff
from nudges.models.safety import Alert, AlertEvent

OUTCOMES: Final = {
    "safe": "Reached the family; everyone is safe",
    "emergency_services": "Emergency services are with them",
    "in_care": "In care with a clinician",
    "safeguarding": "Handed to child protection or the safeguarding lead",
    "not_reached": "Could not be reached; handed on as the note says",
    "false_alarm": "False alarm",
    "fixed": "The fault is mended",
}


class AlertError(ValueError):
    """An alert cannot be ended like this; the message says what is missing."""


def acknowledge(session: Session, alert: Alert, staff_id: int, note: str, now: datetime) -> bool:
    """Say "I have it": the ladder stops. False when somebody else was first; the note is kept either way."""
    taken = _claim(
        session,
        alert,
        ("open",),
        status="acknowledged",
        acknowledged_at=now,
        acknowledged_by=staff_id,
        escalate_at=None,
    )
    if taken or note.strip():
        event = "acknowledged" if taken else "note"
        session.add(AlertEvent(alert_id=alert.id, event=event, staff_id=staff_id, note=note.strip() or None, at=now))
        session.flush()
    if taken:
        record_act(session, alert, staff_id, "alert.acknowledged", {}, now=now)
    return taken


def add_note(session: Session, alert: Alert, staff_id: int, note: str, now: datetime) -> None:
    """Write down what was done ("Called the family, no answer"). Raises AlertError for an empty note."""
    if not note.strip():
        raise AlertError("The note is empty. Write what was done.")
    session.add(AlertEvent(alert_id=alert.id, event="note", staff_id=staff_id, note=note.strip(), at=now))
    session.flush()


def resolve(session: Session, alert: Alert, staff_id: int, outcome: str, note: str, now: datetime) -> bool:
    """End the episode with an outcome. False when it was ended already. Holds stay until a person releases them.

    A false alarm goes into the corpus with its reason, so that the screen can be measured and mended by it.

    Raises AlertError for an unknown outcome, and for a false alarm or an unreached family without a note.
    """
    if outcome not in OUTCOMES:
        raise AlertError(f"The outcome should be one of: {', '.join(OUTCOMES)}.")
    if outcome in ("false_alarm", "not_reached") and not note.strip():
        raise AlertError("Write a note: why it was a false alarm, or who has it now.")
    ended = _claim(
        session,
        alert,
        ("open", "acknowledged"),
        status="resolved",
        resolved_at=now,
        resolved_by=staff_id,
        resolution=outcome,
        escalate_at=None,
    )
    if ended and outcome == "false_alarm":
        corpus.record_false_alarm(session, alert, staff_id=staff_id, reason=note, now=now)
    if ended:
        session.add(AlertEvent(alert_id=alert.id, event="resolved", staff_id=staff_id, note=note or None, at=now))
        record_act(session, alert, staff_id, "alert.resolved", {"outcome": outcome}, now=now)
    return ended


def acknowledge_by_phone(session: Session, staff: Staff, now: datetime) -> Alert | None:
    """The answer "1" to a page: takes the alert that it named. None when there is none.

    That is the gravest open alert of the newest page that this person got.
    """
    theirs = (
        select(AlertPage)
        .join(Alert, Alert.id == AlertPage.alert_id)
        .where(AlertPage.staff_id == staff.id, Alert.status == "open")
    )
    newest = session.scalar(theirs.order_by(AlertPage.id.desc()).limit(1))
    if newest is None:
        return None
    page = AlertPage.outbox_id == newest.outbox_id
    if newest.outbox_id is None:
        page = AlertPage.notice_id == newest.notice_id
    named = session.scalars(select(Alert).where(Alert.id.in_(theirs.where(page).with_only_columns(Alert.id)))).all()
    alert = pages.gravest_of(named)
    acknowledge(session, alert, staff.id, "by text", now)
    return alert


def _claim(session: Session, alert: Alert, allowed: tuple[str, ...], **values: Any) -> bool:
    changed = session.execute(
        update(Alert)
        .where(Alert.id == alert.id, Alert.status.in_(allowed))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)
    session.refresh(alert)
    return changed.rowcount == 1


def record_act(
    session: Session, alert: Alert, staff_id: int, action: str, details: Mapping[str, object], *, now: datetime
) -> None:
    """What a person did about an alert, for the ledger."""
    record.append(
        session,
        at=now,
        actor=f"staff:{staff_id}",
        action=action,
        family_id=alert.family_id,
        parent_id=alert.parent_id,
        subject=f"alert:{alert.id}",
        details=details,
    )
