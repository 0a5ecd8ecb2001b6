"""When something last ran to its end: one row for each, whichever process was the first to write it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from nudges.models.program import Heartbeat


def note(session: Session, duty: str, at: datetime, detail: Mapping[str, object]) -> None:
    """`duty` came to its end, or began at `at`; `detail` is what it did."""
    row = _row(session, duty, at, detail)
    session.execute(
        row.on_conflict_do_update(index_elements=["duty"], set_={"at": row.excluded.at, "detail": row.excluded.detail})
    )


def note_first(session: Session, duty: str, at: datetime) -> bool:
    """The same, if `duty` never ran; False when it did, here or in another process at this moment."""
    noted = _row(session, duty, at, {}).on_conflict_do_nothing().returning(Heartbeat.duty)
    return session.scalar(noted) is not None


def _row(
    session: Session, duty: str, at: datetime, detail: Mapping[str, object]
) -> sqlite.Insert:  # both dialects' inserts have the methods used here
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    return insert(Heartbeat).values(duty=duty, at=at, detail=dict(detail))  # type: ignore[return-value]
