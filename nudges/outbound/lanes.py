"""Lanes: who may drain one now, and how many segments it may still send. The lease row decides, on any database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.models.program import Lane

LEASE: Final = timedelta(seconds=10)  # a dead machine's lane is taken over after so long
BURST_SECONDS: Final = 1.0  # how many seconds' worth of segments a rested lane may send at once


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The right to drain a lane until `until`. `token` rises with each take-over: an older one is worthless."""

    lane_id: int
    owner: str
    token: int
    until: datetime
    sender: str
    pace: float  # segments a second

    @property
    def name(self) -> str:
        return f"{self.owner}:{self.token}"


def lane_ids(session: Session, now: datetime) -> list[int]:
    """Lanes that are not paused."""
    return list(
        session.scalars(
            select(Lane.id).where(or_(Lane.paused_until.is_(None), Lane.paused_until <= now)).order_by(Lane.id)
        )
    )


def take(session: Session, lane_id: int, *, owner: str, now: datetime) -> Lease | None:
    """Take a lane that is free, or whose holder has let its lease run out. None when somebody else drains it."""
    taken = session.execute(
        update(Lane)
        .where(
            Lane.id == lane_id,
            or_(Lane.paused_until.is_(None), Lane.paused_until <= now),
            or_(Lane.owner.is_(None), Lane.owner == owner, Lane.lease_until.is_(None), Lane.lease_until <= now),
        )
        .values(owner=owner, token=Lane.token + 1, lease_until=now + LEASE)
        .returning(Lane.token, Lane.sender, Lane.segments_per_second)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if taken is None:
        return None
    return Lease(lane_id=lane_id, owner=owner, token=taken[0], until=now + LEASE, sender=taken[1], pace=taken[2])


def renew(session: Session, lease: Lease, *, now: datetime) -> Lane | None:
    """Keep the lane, and fill its bucket up to this instant. None when it was taken over: stop at once."""
    lane = session.scalars(
        select(Lane).where(Lane.id == lease.lane_id).with_for_update().execution_options(populate_existing=True)
    ).one()
    if lane.token != lease.token or (lane.paused_until is not None and lane.paused_until > now):
        return None
    lane.lease_until = now + LEASE
    lane.tokens, lane.tokens_at = filled(lane, now), now
    return lane


def extended(lease: Lease, now: datetime) -> Lease:
    """The same lease after `renew` at `now`."""
    return replace(lease, until=now + LEASE)


def filled(lane: Lane, now: datetime) -> float:
    """What the bucket holds at `now`. A clock that was set back fills nothing."""
    most = max(1.0, lane.segments_per_second * BURST_SECONDS)
    if lane.tokens_at is None:
        return most
    passed = max(0.0, (now - lane.tokens_at).total_seconds())
    return min(most, lane.tokens + passed * lane.segments_per_second)


def release(session: Session, lease: Lease) -> None:
    """Give the lane back, if it is still ours."""
    session.execute(
        update(Lane)
        .where(Lane.id == lease.lane_id, Lane.token == lease.token)
        .values(owner=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )


def pause(session: Session, lane_id: int, *, until: datetime, reason: str) -> bool:
    """Send nothing on this lane for a while. True when it was not paused already."""
    changed = session.execute(
        update(Lane)
        .where(Lane.id == lane_id, or_(Lane.paused_until.is_(None), Lane.paused_until < until))
        .values(paused_until=until, paused_reason=reason[:200])
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)
    return changed.rowcount == 1
