"""Lanes: who may drain one now, and how many segments it may still send. The lease row decides, on any database.

`now` is the one clock that all machines share (wiring.clock_of): the database's on PostgreSQL, and on SQLite that of
the only machine there is. A lease that ends far later than one can be given is from before that clock was set
back, and binds nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Table, bindparam, case, func, literal, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.db import at_most_silent
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.outbound import outbox, purse
from nudges.outbound.status import ACCEPTED, QUEUED, SENDING, SENT, UNKNOWN

LEASE: Final = timedelta(seconds=10)  # a dead machine's lane is taken over after so long
SILENT_MS: Final = "8000"  # then PostgreSQL lets go of a lane that is locked: less than a lease, so it is free by then
BURST_SECONDS: Final = 0.2  # how many seconds' worth of segments a rested lane may send at once
FIRST_LOOK: Final = timedelta(seconds=90)  # after an attempt whose end nobody knows; a callback often comes by then

_LANES: Final[Table] = Lane.metadata.tables[Lane.__tablename__]
_LOOK: Final = (
    select(
        _LANES.c.token,
        _LANES.c.paused_until,
        _LANES.c.segments_per_second,
        _LANES.c.tokens,
        _LANES.c.tokens_at,
        at_most_silent("silent"),
    )
    .where(_LANES.c.id == bindparam("lane"))
    # Not a key lock: who queues a text on the lane need not wait for us. Nor do we wait, with texts that we have
    # settled in our hands: whoever changes the lane at this instant takes it over, or has it rest.
    .with_for_update(key_share=True, skip_locked=True)
)
_KEEP: Final = (
    update(_LANES)
    .where(_LANES.c.id == bindparam("lane"))
    .values(lease_until=bindparam("until"), tokens=bindparam("left"), tokens_at=bindparam("now"))
)

_OUTBOX: Final[Table] = Outbox.metadata.tables[Outbox.__tablename__]
# Spelled out, or the partial index of what is on its way is not seen. Hardly a text arrives within its second.
_ON_ITS_WAY: Final = [literal(status, literal_execute=True) for status in (ACCEPTED, SENDING, SENT, UNKNOWN)]
_BEGUN: Final = (
    select(_OUTBOX.c.attempted_at, func.sum(_OUTBOX.c.segments))
    .where(
        _OUTBOX.c.status.in_(_ON_ITS_WAY),
        _OUTBOX.c.attempted_at > bindparam("since"),
        _OUTBOX.c.lane_id == bindparam("lane"),
    )
    .group_by(_OUTBOX.c.attempted_at)
    .order_by(_OUTBOX.c.attempted_at)
)
# Asked at every beat: built once. The status is spelled out, or the partial index is not seen.
_FIRST: Final = select(func.min(_OUTBOX.c.not_before)).where(
    _OUTBOX.c.lane_id == _LANES.c.id, _OUTBOX.c.status == literal(QUEUED, literal_execute=True)
)
_FIRST_URGENT: Final = _FIRST.where(_OUTBOX.c.priority <= max(outbox.PRIORITY[urgent] for urgent in outbox.URGENT))
_TURNS: Final = select(
    _LANES.c.id,
    _LANES.c.lease_until,
    _LANES.c.tokens,
    _LANES.c.tokens_at,
    _LANES.c.segments_per_second,
    _FIRST.scalar_subquery(),
    _FIRST_URGENT.scalar_subquery(),
).where(or_(_LANES.c.paused_until.is_(None), _LANES.c.paused_until <= bindparam("now")))
_TURN: Final = _TURNS.where(_LANES.c.id == bindparam("lane"))


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
    asked = {"now": now} if lane_id is None else {"now": now, "lane": lane_id}
    rows = session.connection().execute(_TURNS if lane_id is None else _TURN, asked)
    found = {}
    for id_, lease_until, tokens, tokens_at, pace, first, urgent in rows:
        moments = [moment for moment in (lease_until, urgent) if moment is not None]
        if first is not None:
            moments.append(max(first, _paid_for_at(tokens, tokens_at, pace=pace, now=now)))
        if moments:
            found[id_] = min(moments)
    return found


def _paid_for_at(tokens: float, tokens_at: datetime | None, *, pace: float, now: datetime) -> datetime:
    """When the bucket holds a segment again; now, if the clock was set back since: whoever drains counts from then."""
    if tokens_at is not None and tokens_at > now + purse.SECOND:
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
    orphans = select(Outbox.id).where(
        Outbox.lane_id == lease.lane_id, outbox.is_on_its_way(SENDING), Outbox.claimed_by != lease.name
    )
    for outbox_id in session.scalars(orphans).all():
        outbox.move(
            session,
            outbox_id,
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
    lane = session.connection().execute(_LOOK, {"lane": lease.lane_id, "silent": SILENT_MS}).one_or_none()
    if lane is None or lane.token != lease.token or (lane.paused_until is not None and lane.paused_until > now):
        return None
    pace = lane.segments_per_second
    return Bucket(tokens=filled(lane.tokens, lane.tokens_at, pace=pace, now=now), pace=pace)


def keep(session: Session, lease: Lease, *, tokens: float, now: datetime) -> None:
    """Keep a lane that was just looked into, with what its bucket holds now."""
    kept = {"lane": lease.lane_id, "until": now + LEASE, "left": tokens, "now": now}
    session.connection().execute(_KEEP, kept)


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
    rows = session.connection().execute(_BEGUN, {"lane": lane_id, "since": now - purse.SECOND})
    return [(at, segments) for at, segments in rows]


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
