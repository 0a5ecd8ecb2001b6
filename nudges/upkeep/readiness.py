"""Whether texts can go out and come in: one check for each thing that must hold. No personal data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from nudges.models.messages import Outbox
from nudges.models.program import Heartbeat, Lane
from nudges.outbox.status import QUEUED
from nudges.upkeep import versions
from nudges.upkeep.checks import Check, fail, must, ok
from nudges.upkeep.versions import DUTIES

LATE_AFTER: Final = 5  # missed beats before a duty counts as late
LATE_AT_LEAST: Final = timedelta(seconds=30)  # a slow machine is not a broken one
MOST_BACKLOG: Final = timedelta(minutes=15)  # what is due for longer says that sending does not keep up


def readiness(session: Session, now: datetime, *, expects_beats: bool) -> list[Check]:
    """Everything that must hold for texts to go out on time. Without `expects_beats` another process may beat."""
    beats = list(late_beats(session, now)) if expects_beats else []
    return [_migrations(session), *beats, backlog(session, now), lanes(session, now)]


def _migrations(session: Session) -> Check:
    current, wanted = versions.current(session.connection()), versions.head()
    if versions.is_newer(current):
        return ok("migrations", f"at {current}, of a later release than this code")
    words = f"at {current}" if current == wanted else f"at {current}, this code needs {wanted}: nudges migrate"
    return must(current == wanted, "migrations", words)


def late_beats(session: Session, now: datetime) -> Iterator[Check]:
    """One check for each periodic duty."""
    beats = {row.duty: row for row in session.scalars(select(Heartbeat).execution_options(populate_existing=True))}
    for duty in DUTIES:
        yield _beat(duty, beats.get(duty), now)


def _beat(duty: str, beat: Heartbeat | None, now: datetime) -> Check:
    if beat is None:
        return fail(f"beat_{duty}", "has not run yet")
    allowed = max(LATE_AT_LEAST, timedelta(seconds=float(beat.detail.get("every", 0)) * LATE_AFTER))
    age = now - beat.at
    if age < -allowed:
        words = f"ran last when the clock was {-age.total_seconds():.0f} s ahead of now"
        return fail(f"beat_{duty}", words)
    return must(age <= allowed, f"beat_{duty}", f"ran {age.total_seconds():.0f} s ago")


def backlog_age(session: Session, now: datetime, *, lane_id: int | None = None) -> timedelta:
    """For how long the oldest text that is still worth sending has been due."""
    queued = literal(QUEUED, literal_execute=True)  # spelled out, or the partial index is not seen
    rows = select(func.min(Outbox.not_before)).where(
        Outbox.status == queued, Outbox.not_before <= now, Outbox.expires_at > now
    )
    oldest = session.scalar(rows if lane_id is None else rows.where(Outbox.lane_id == lane_id))
    return timedelta(0) if oldest is None else now - oldest


def backlog(session: Session, now: datetime) -> Check:
    age = backlog_age(session, now)
    return must(age <= MOST_BACKLOG, "backlog", f"oldest text due for {age.total_seconds():.0f} s")


def lanes(session: Session, now: datetime) -> Check:
    paused = session.scalars(select(Lane).where(Lane.paused_until > now).order_by(Lane.id)).all()
    words = "; ".join(f"lane {lane.id} is paused: {lane.paused_reason or 'no reason noted'}" for lane in paused)
    return must(not paused, "lanes", words or "none is paused")
