"""What is removed once it has served its purpose. docs/privacy.md says what and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session, sessionmaker

from nudges.models.messages import ProviderEvent

RAW_EVENTS_LAST: Final = timedelta(days=30)  # by then the text's own row holds all that they said
_BATCH: Final = 1000  # rows in one transaction: nobody waits for a cleaner


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaned:
    """What one round removed."""

    provider_events: int = 0


def clean(sessions: sessionmaker[Session], *, now: datetime) -> Cleaned:
    """One round. Two at once are harmless."""
    return Cleaned(provider_events=remove_raw_events(sessions, before=now - RAW_EVENTS_LAST))


def remove_raw_events(sessions: sessionmaker[Session], *, before: datetime) -> int:
    """Remove callbacks as they came in, a batch in each transaction. Returns how many."""
    old = select(ProviderEvent.id).where(ProviderEvent.at < before).order_by(ProviderEvent.at).limit(_BATCH)
    total = 0
    while True:
        with sessions.begin() as session:
            removed = session.execute(
                delete(ProviderEvent).where(ProviderEvent.id.in_(old)).execution_options(synchronize_session=False)
            )
        assert isinstance(removed, CursorResult)
        total += removed.rowcount
        if removed.rowcount < _BATCH:
            return total
