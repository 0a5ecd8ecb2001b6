"""What a person makes of an alert: what was done about it, and which danger it is when the screen named another."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.alerts import holds, ladder, paging, topics
from nudges.alerts.acknowledging import AlertError, record_act
from nudges.models.safety import Alert, AlertEvent

ACTS: Final = {"called_family": "Called the family", "called_emergency": "Called emergency services"}
EMERGENCY: Final = "emergency"  # chosen in place of a topic: it happens now, whatever it is about
UNCERTAIN: Final = "uncertain"
DANGERS: Final = {
    EMERGENCY: "Emergency in progress",
    **{tier: words.capitalize() for tier, words in topics.SUBJECTS.items()},
    UNCERTAIN: "Unclear: to be looked at",
}
TWICE: Final = timedelta(seconds=10)  # the same again from the same person: a second click, not a second deed
_MILDER: Final = frozenset({"unsafe_behaviour", "parent_distress"})


def note_act(session: Session, alert: Alert, staff_id: int, act: str, note: str, now: datetime) -> bool:
    """Write down a call that was made. False when it stands there already. Raises AlertError for an unknown act."""
    if act not in ACTS:
        raise AlertError(f"What was done should be one of: {', '.join(ACTS)}.")
    if is_repeated(session, alert, staff_id, act, note, now=now):
        return False
    session.add(AlertEvent(alert_id=alert.id, event=act, staff_id=staff_id, note=note.strip() or None, at=now))
    record_act(session, alert, staff_id, f"alert.{act}", {}, now=now)
    return True


def is_repeated(session: Session, alert: Alert, staff_id: int, event: str, note: str, *, now: datetime) -> bool:
    """Has this person written the very same a moment ago? Notes are sealed, so they are compared here."""
    latest = session.scalars(
        select(AlertEvent)
        .where(AlertEvent.alert_id == alert.id, AlertEvent.staff_id == staff_id, AlertEvent.event == event)
        .where(AlertEvent.at > now - TWICE)
    )
    return any((row.note or "") == note.strip() for row in latest)


def change_danger(session: Session, alert: Alert, staff_id: int, danger: str, reason: str, now: datetime) -> bool:
    """Say which danger it is, in place of what the screen named. False when the alert has ended, or says so already.

    1. tier, severity and title are the new ones; the reason stands in the history
    2. the ladder of the new danger starts now, also when somebody had acknowledged: they had another danger in hand
    3. an abuse disclosure gets its own hold; no hold ends by this

    Raises AlertError for an unknown danger or without a reason.
    """
    if danger not in DANGERS:
        raise AlertError(f"The danger should be one of: {', '.join(DANGERS)}.")
    if not reason.strip():
        raise AlertError("Say why it is another danger; the reason stays on record.")
    alert = session.get_one(Alert, alert.id, with_for_update=True, populate_existing=True)
    before = (alert.level, alert.tier, alert.severity)
    after = _judged(alert, danger)
    if alert.status == "resolved" or alert.level == "system" or before == after:
        return False
    alert.level, alert.tier, alert.severity = after
    _restart(session, alert, now=now)
    note = f"{DANGERS[danger]}: {reason.strip()}"
    session.add(AlertEvent(alert_id=alert.id, event="danger_changed", staff_id=staff_id, note=note, at=now))
    session.flush()
    if alert.family_id is not None:
        held = (alert.tier,) if alert.tier is not None else ()
        holds.hold_family(session, family_id=alert.family_id, kind=alert.level, tiers=held, alert=alert, now=now)
    paging.page_due(session, alert, now=now)
    details = {"from": {"tier": before[1], "severity": before[2]}, "to": {"tier": after[1], "severity": after[2]}}
    record_act(session, alert, staff_id, "alert.danger_changed", details, now=now)
    return True


def _judged(alert: Alert, danger: str) -> tuple[str, str | None, int]:
    """Level, tier and severity that a choice means."""
    if danger == EMERGENCY:
        return "crisis", alert.tier, 4
    if danger == UNCERTAIN:
        return "check", None, 1
    return "crisis", danger, 2 if danger in _MILDER else 3


def _restart(session: Session, alert: Alert, *, now: datetime) -> None:
    warnings = [words for words in paging.LASTING_MARKS if words in alert.title]
    about = {alert.tier} if alert.tier is not None else set[str]()
    alert.title = topics.title_of(session, level=alert.level, family_id=alert.family_id, topics=about)
    for words in warnings:
        paging.mark(alert, words)
    alert.status, alert.rung = "open", 0
    alert.acknowledged_at = alert.acknowledged_by = None
    alert.escalate_at = ladder.due_at(paging.ladder_of(alert), 0, now)
    session.flush()
