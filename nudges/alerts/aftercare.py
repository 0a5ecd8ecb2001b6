"""Texts after a crisis: offered to a trained person once the episode has ended, and never started by anything else."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.alerts import holds
from nudges.alerts.acknowledging import AlertError
from nudges.families import enrolling
from nudges.models.family import Parent
from nudges.models.safety import Alert
from nudges.models.sequences import Enrollment

SEQUENCE: Final = holds.AFTERCARE
_NOT_AFTER: Final = ("false_alarm", "fixed")


def offer(session: Session, alert: Alert, staff_id: int) -> str | None:
    """`offered` to this person, `untrained` when only a colleague may, `running`; none where it has no place."""
    if alert.status != "resolved" or alert.level != "crisis" or alert.parent_id is None:
        return None
    if alert.resolution in _NOT_AFTER:
        return None
    running = select(Enrollment.id).where(
        Enrollment.parent_id == alert.parent_id, Enrollment.sequence_key == SEQUENCE, Enrollment.status == "active"
    )
    if session.scalar(running.limit(1)) is not None:
        return "running"
    return "offered" if holds.is_trained(session, staff_id) else "untrained"


def start(session: Session, alert: Alert, staff_id: int, *, now: datetime) -> None:
    """Begin the sequence for the parent of an ended alert.

    Raises AlertError for somebody untrained or an alert that has none, EnrollError while anything is held.
    """
    found = offer(session, alert, staff_id)
    if found == "untrained":
        raise AlertError("Only somebody trained in aftercare can start it.")
    if found is None or alert.parent_id is None:
        raise AlertError("Aftercare belongs to a parent whose crisis has ended. Resolve the alert first.")
    parent = session.get_one(Parent, alert.parent_id)
    enrolling.start_sequence(session, parent, SEQUENCE, now=now, staff_id=staff_id)
