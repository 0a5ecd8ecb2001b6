"""What a counselor is asked to do about one parent."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from nudges.models.family import Parent
from nudges.models.safety import Task

_DUE = timedelta(days=1)


def ask_staff(session: Session, parent: Parent, *, kind: str, words: str, now: datetime) -> None:
    """Something to do about `parent` by the next day."""
    session.add(
        Task(
            program_id=parent.program_id,
            family_id=parent.family_id,
            parent_id=parent.id,
            priority=2,
            kind=kind,
            words=words,
            due_at=now + _DUE,
            created_at=now,
        )
    )
