"""Lanes: who may drain one now, and how many segments it may still send. The lease row decides, on any database.

`now` is the one clock that all machines share (wiring.clock_of): the database's on PostgreSQL, and on SQLite that of
the only machine there is. A lease that ends far later than one can be given is from before that clock was set
back, and binds nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, case, func, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.outbound import rate_limit
from nudges.outbox import queue
from nudges.outbox.status import SENDING, UNKNOWN

LEASE: Final = timedelta(seconds=10)  # a dead machine's lane is taken over after so long
SILENT_MS: Final = "8000"  # then PostgreSQL lets go of a lane that is locked: less than a lease, so it is free by then
BURST_SECONDS: Final = 0.2  # how many seconds' worth of segments a rested lane may send at once
FIRST_LOOK: Final = timedelta(seconds=90)  # after an attempt whose end nobody knows; a callback often comes by then


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
    return list(session.scalars(select(Lane.id).where(_rested(now)).order_by(Lane.id)))


def turns(session: Session, now: datetime, *, lane_id: int | None = None) -> dict[int, datetime]:
    """When each lane has something to do next, or the one asked about: not paused, a text's turn, and a bucket that
    pays for it unless it is urgent.

    A moment that is not after `now` says that it may be drained now. A lane with nothing queued is left out, unless
    somebody holds it: once that lease is over, its holder has died, and what it was sending must be looked up.
    """
    first = select(func.min(Outbox.not_before)).where(Outbox.lane_id == Lane.id, queue.IS_QUEUED)
    first_urgent = first.where(Outbox.priority <= max(queue.PRIORITY[urgent] for urgent in queue.URGENT))
    asked = select(
        Lane.id,
        Lane.lease_until,
        Lane.tokens,
        Lane.tokens_at,
        Lane.segments_per_second,
        first.scalar_subquery(),
        first_urgent.scalar_subquery(),
    ).where(_rested(now))
    if lane_id is not None:
        asked = asked.where(Lane.id == lane_id)
    rows = session.execute(asked)
    found = {}
    for id_, lease_until, tokens, tokens_at, pace, waits_since, urgent in rows:
        moments = [moment for moment in (lease_until, urgent) if moment is not None]
        if waits_since is not None:
            moments.append(max(waits_since, _paid_for_at(tokens, tokens_at, pace=pace, now=now)))
        if moments:
            found[id_] = min(moments)
    return found


def _paid_for_at(tokens: float, tokens_at: datetime | None, *, pace: float, now: datetime) -> datetime:
    """When the bucket holds a segment again; now, if the clock was set back since: whoever drains counts from then."""
    if tokens_at is not None and tokens_at > now + rate_limit.SECOND:
        return now
    return now + timedelta(seconds=max(0.0, 1.0 - filled(tokens, tokens_at, pace=pace, now=now)) / pace)


def _rested(now: datetime) -> ColumnElement[bool]:
    return or_(Lane.paused_until.is_(None), Lane.paused_until <= now)


def take(session: Session, lane_id: int, *, owner: str, now: datetime) -> Lease | None:
    """Take a lane that is free, or whose holder has let its lease run out. None when somebody else drains it.

    What an earlier holder left in the middle of a call becomes `unknown`, to be looked up; it never goes back to the
    queue, because the provider may have it. `owner` is for people to read: the token decides.
    """
    taken = session.execute(
        update(Lane)
        .where(
            Lane.id == lane_id,
            _rested(now),
            or_(
                Lane.owner.is_(None),
                Lane.lease_until.is_(None),
                Lane.lease_until <= now,
                Lane.lease_until > now + 2 * LEASE,
            ),
        )
        .values(owner=owner, token=Lane.token + 1, lease_until=now + LEASE)
        .returning(Lane.token, Lane.sender, Lane.segments_per_second)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if taken is None:
        return None
    lease = Lease(lane_id=lane_id, owner=owner, token=taken[0], until=now + LEASE, sender=taken[1], pace=taken[2])
    _disown(session, lease, now=now)
    return lease


def _disown(session: Session, lease: Lease, *, now: datetime) -> None:
    orphans = (Outbox.lane_id == lease.lane_id, queue.is_on_its_way(SENDING), Outbox.claimed_by != lease.name)
    queue.move_all(
        session,
        orphans,
        from_status=SENDING,
        to_status=UNKNOWN,
        reason="whoever was sending it has lost the lane",
        now=now,
        not_before=now + FIRST_LOOK,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """What a lane may spend now, in segments, and its pace in segments a second."""

    tokens: float
    pace: float


def look_into(session: Session, lease: Lease, *, now: datetime) -> Bucket | None:
    """The lane's bucket, filled up to this instant, and nobody else's until this transaction ends.

    None when the lane was taken over, must rest, or is being changed by somebody: stop at once.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.set_config("idle_in_transaction_session_timeout", SILENT_MS, True)))
    lane = session.execute(
        select(Lane.token, Lane.paused_until, Lane.segments_per_second, Lane.tokens, Lane.tokens_at)
        .where(Lane.id == lease.lane_id)
        # Not a key lock: who queues a text on the lane need not wait for us. Nor do we wait, with texts that we have
        # settled in our hands: whoever changes the lane at this instant takes it over, or has it rest.
        .with_for_update(key_share=True, skip_locked=True)
    ).one_or_none()
    if lane is None or lane.token != lease.token or (lane.paused_until is not None and lane.paused_until > now):
        return None
    pace = lane.segments_per_second
    return Bucket(tokens=filled(lane.tokens, lane.tokens_at, pace=pace, now=now), pace=pace)


def keep(session: Session, lease: Lease, *, tokens: float, now: datetime) -> None:
    """Keep a lane that was just looked into, with what its bucket holds now."""
    session.execute(
        update(Lane)
        .where(Lane.id == lease.lane_id)
        .values(lease_until=now + LEASE, tokens=tokens, tokens_at=now)
        .execution_options(synchronize_session=False)
    )


def renew(session: Session, lease: Lease, *, now: datetime) -> Bucket | None:
    """Keep the lane, and fill its bucket up to this instant. None when it was taken over: stop at once."""
    bucket = look_into(session, lease, now=now)
    if bucket is not None:
        keep(session, lease, tokens=bucket.tokens, now=now)
    return bucket


def extended(lease: Lease, now: datetime) -> Lease:
    """The same lease after `renew` at `now`."""
    return replace(lease, until=now + LEASE)


def most_at_once(pace: float) -> float:
    """The segments that may begin within any one second. Only a test's bucket holds more than a second's worth."""
    return pace * max(1.0, BURST_SECONDS)


def filled(tokens: float, tokens_at: datetime | None, *, pace: float, now: datetime) -> float:
    """What a bucket holds at `now` that held `tokens` at `tokens_at`. A clock that was set back fills nothing."""
    most = max(1.0, pace * BURST_SECONDS)
    if tokens_at is None:
        return most
    passed = max(0.0, (now - tokens_at).total_seconds())
    return min(most, tokens + passed * pace)


def begun_lately(session: Session, lane_id: int, *, now: datetime) -> list[tuple[datetime, int]]:
    """Segments that were begun on a lane within the last second, by their moment: whoever drained it then."""
    rows = session.execute(
        select(Outbox.attempted_at, func.sum(Outbox.segments))
        # Hardly a text arrives within its second.
        .where(queue.ON_ITS_WAY, Outbox.attempted_at > now - rate_limit.SECOND, Outbox.lane_id == lane_id)
        .group_by(Outbox.attempted_at)
        .order_by(Outbox.attempted_at)
    )
    return [(at, segments or 0) for at, segments in rows if at is not None]


def release(session: Session, lease: Lease) -> None:
    """Give the lane back, if it is still ours."""
    session.execute(
        update(Lane)
        .where(Lane.id == lease.lane_id, Lane.token == lease.token)
        .values(owner=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )


def slow_down(session: Session, lane_id: int) -> None:
    """Take a quarter off a lane's pace, for good: a person raises it again. Never below a segment a second."""
    slower = case((Lane.segments_per_second > 4 / 3, Lane.segments_per_second * 0.75), else_=1.0)
    session.execute(
        update(Lane)
        .where(Lane.id == lane_id, Lane.segments_per_second > 1.0)
        .values(segments_per_second=slower)
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
