"""The dead man's switch: a monitor elsewhere hears each minute that all is well, and calls people when it does not."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

import requests
from sqlalchemy import update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session, sessionmaker

from nudges.models.program import Heartbeat
from nudges.upkeep import beats
from nudges.upkeep.readiness import readiness

logger = logging.getLogger(__name__)

DUTY: Final = "ping"
EVERY: Final = timedelta(seconds=60)
TIMEOUT_SECONDS: Final = 5.0


def ping(sessions: sessionmaker[Session], url: str | None, *, now: datetime) -> bool:
    """Tell the monitor, at most once a minute over all processes, and only while everything is well. True when told.

    No session is open at the call. A failure is logged by its class: the address may hold a secret.
    """
    if url is None:
        return False
    with sessions.begin() as session:
        if not all(check.is_ok for check in readiness(session, now, expects_beats=True)):
            return False
        if not _is_our_turn(session, now):
            return False
    try:
        requests.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False).raise_for_status()
    except requests.RequestException as error:
        logger.warning("the outward ping failed: %s", type(error).__name__, extra={"action": "ping"})
        return False
    return True


def _is_our_turn(session: Session, now: datetime) -> bool:
    """Take this minute's turn; a conditional update, so that of many machines one pings."""
    if beats.note_first(session, DUTY, now):
        return True
    taken = session.execute(
        update(Heartbeat)
        .where(Heartbeat.duty == DUTY, Heartbeat.at <= now - EVERY)
        .values(at=now)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(taken, CursorResult)
    return taken.rowcount == 1
