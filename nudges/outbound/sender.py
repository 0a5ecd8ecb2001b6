"""Handing texts over: one drainer a lane, committed before the call, settled after it, nothing open in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.orm import Session, sessionmaker

from nudges.channels.base import Accepted, Channel, ChannelError, Outgoing
from nudges.clock import Clock
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.outbound import endings, handover, lanes, last_look, outbox, settling
from nudges.outbound.lanes import Lease
from nudges.outbound.status import QUEUED, SENDING

logger = logging.getLogger(__name__)

BATCH: Final = 50  # texts committed as `sending` at once: the most that a crash can leave unknown
FRESH: Final = timedelta(seconds=1)  # how old the gate's answer may be at the call
CALL_SECONDS: Final = 12.0  # the longest that one call may take: the channel's time-out and a little


@dataclass(frozen=True, kw_only=True, slots=True)
class Drained:
    """What one drain did: texts handed to the channel, texts that ended instead, whether the lane was ours."""

    handed_over: int = 0
    ended: int = 0
    had_lane: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One call that is about to be made. Plain values: no session is open while it is."""

    row: Outbox
    outgoing: Outgoing


def drain(
    sessions: sessionmaker[Session],
    channel: Channel,
    lane_id: int,
    *,
    clock: Clock,
    owner: str,
    stay_seconds: float = 0.0,
    goes_on: Callable[[], bool] = lambda: True,
    sleep: Callable[[float], object] = time.sleep,
) -> Drained:
    """Send what is ready on a lane, at its pace. The one service function that owns its transactions.

    1. take the lease; somebody else's lane is left alone
    2. claim: renew the lease and refill the bucket, ask the gate again, mark `sending` with an attempt id, commit
    3. call the channel with nothing open; settle each outcome in a short transaction of its own
    4. again until nothing is ready, the bucket is empty and `stay_seconds` are over, or `goes_on` says no: asked
       between two batches, so that a process that must leave finishes its batch and gives the lane back

    `owner` names this drainer and no other. An exception of the channel that is no ChannelError leaves the row
    `sending`: reconciliation finds it, and nobody sends it again.
    """
    with sessions.begin() as session:
        lease = lanes.take(session, lane_id, owner=owner, now=clock.now())
    if lease is None:
        return Drained(had_lane=False)
    try:
        return _Drain(sessions, channel, lease, clock).run(stay_seconds=stay_seconds, goes_on=goes_on, sleep=sleep)
    finally:
        with sessions.begin() as session:
            lanes.release(session, lease)


class _Drain:
    """One holder's work on one lane."""

    def __init__(self, sessions: sessionmaker[Session], channel: Channel, lease: Lease, clock: Clock) -> None:
        self.sessions, self.channel, self.lease, self.clock = sessions, channel, lease, clock
        self.handed_over = self.ended = 0

    def run(self, *, stay_seconds: float, goes_on: Callable[[], bool], sleep: Callable[[float], object]) -> Drained:
        left = stay_seconds
        while goes_on():
            claimed = self.claim()
            if claimed is None:
                break
            if claimed.attempts and not self.hand_over(claimed.attempts):
                break
            # Counted down, not read off the clock: a clock that stands still must not keep us here.
            left -= claimed.wait_seconds
            if not claimed.is_more or left < 0:
                break
            if claimed.wait_seconds:
                sleep(claimed.wait_seconds)
        return Drained(handed_over=self.handed_over, ended=self.ended)

    def claim(self) -> Claimed | None:
        """Mark what may go as `sending` and commit. None when the lane is no longer ours."""
        now = self.clock.now()
        with self.sessions.begin() as session:
            lane = lanes.renew(session, self.lease, now=now)
            if lane is None:
                return None
            rows = outbox.ready(session, lane.id, now=now, limit=BATCH)
            picked = _pick(session, rows, lane, claimed_by=self.lease.name, sender=self.lease.sender, clock=self.clock)
            wait = (1.0 - lane.tokens) / lane.segments_per_second if picked.is_out_of_tokens else 0.0
        # The ones that are over lock their parent first, so each has a transaction of its own.
        for row, over in picked.over:
            self.end(row, over)
        is_more = picked.is_out_of_tokens or len(rows) == BATCH
        return Claimed(attempts=picked.attempts, is_more=is_more, wait_seconds=wait)

    def end(self, row: Outbox, over: handover.Over) -> None:
        now = self.clock.now()
        with self.sessions.begin() as session:
            ended = endings.end(
                session,
                row,
                from_status=QUEUED,
                to_status=over.status,
                reason=over.reason,
                now=now,
            )
            if ended and over.is_for_staff:
                last_look.tell_staff(session, row, over.reason, now=now)
        self.ended += ended

    def hand_over(self, attempts: list[Attempt]) -> bool:
        """Make the calls. False when the lane must rest: what was not called goes back to the queue."""
        claimed_at = self.clock.now()
        for position, attempt in enumerate(attempts):
            if not self.may_call():
                self.give_back(attempts[position:])
                return False
            if self.clock.now() - claimed_at > FRESH and not self.still_may(attempt):
                self.give_back([attempt])
                continue
            outcome = self.call(attempt)
            self.handed_over += 1
            with self.sessions.begin() as session:
                goes_on = settling.settle(session, attempt.row, outcome, now=self.clock.now())
            if not goes_on:
                self.give_back(attempts[position + 1 :])
                return False
        return True

    def still_may(self, attempt: Attempt) -> bool:
        """Calls take time: a STOP or a hold may have come in since the claim. Given back, the text ends by rule."""
        with self.sessions.begin() as session:
            around = handover.look_around(session, [attempt.row], now=self.clock.now())
        return handover.stands(attempt.row, around, now=self.clock.now())

    def may_call(self) -> bool:
        """Is the lane still ours for as long as a call may take? Renews the lease when it runs short."""
        now = self.clock.now()
        if now + lanes.LEASE / 2 < self.lease.until:
            return True
        with self.sessions.begin() as session:
            lane = lanes.renew(session, self.lease, now=now)
        if lane is not None:
            self.lease = lanes.extended(self.lease, now)
        return lane is not None

    def call(self, attempt: Attempt) -> Accepted | ChannelError:
        try:
            return self.channel.send(attempt.outgoing)
        except ChannelError as error:
            return error

    def give_back(self, attempts: list[Attempt]) -> None:
        """Queue again what was never called. Only while it is still ours to give."""
        with self.sessions.begin() as session:
            for attempt in attempts:
                outbox.move(
                    session,
                    attempt.row.id,
                    from_status=SENDING,
                    to_status=QUEUED,
                    reason="the lane had to rest before the call",
                    now=self.clock.now(),
                    attempt_id=None,
                    attempted_at=None,
                    claimed_by=None,
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed:
    """What one claim found. `wait_seconds` until the bucket has room again."""

    attempts: list[Attempt]
    is_more: bool
    wait_seconds: float


@dataclass(kw_only=True, slots=True)
class _Picked:
    attempts: list[Attempt]
    over: list[tuple[Outbox, handover.Over]]
    is_out_of_tokens: bool = False


def _pick(session: Session, rows: list[Outbox], lane: Lane, *, claimed_by: str, sender: str, clock: Clock) -> _Picked:
    """Claim, in order of urgency, what may go and what the bucket still pays for."""
    now = clock.now()
    picked = _Picked(attempts=[], over=[])
    around = handover.look_around(session, rows, now=now)
    recipients: set[int] = set()
    for row in rows:
        if row.category not in outbox.URGENT and (lane.tokens < 1.0 or row.parent_id in recipients):
            picked.is_out_of_tokens |= lane.tokens < 1.0
            continue
        answer = handover.may_go(row, around, now=now)
        if isinstance(answer, handover.Over):
            picked.over.append((row, answer))
        elif isinstance(answer, handover.Later):
            outbox.postpone(session, row, until=answer.until)
        elif (attempt_id := outbox.claim(session, row, claimed_by=claimed_by, now=now)) is not None:
            lane.tokens -= row.segments  # may fall below nothing: a long text, or a page that cannot wait
            recipients.add(row.parent_id or 0)
            outgoing = Outgoing(
                to=row.to,
                body=row.body,
                attempt_id=attempt_id,
                sender=sender,
                validity_seconds=answer.validity_seconds,
            )
            picked.attempts.append(Attempt(row=row, outgoing=outgoing))
    return picked
