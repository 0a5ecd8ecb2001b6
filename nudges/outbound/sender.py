"""Handing texts over: one drainer a lane, committed before the call, settled after it, nothing open in between."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from nudges.channels.base import Accepted, Channel, ChannelError
from nudges.clock import Clock
from nudges.models.messages import Outbox
from nudges.outbound import claiming, endings, handover, lanes, last_look, outbox, settling
from nudges.outbound.calling import Calls, Made
from nudges.outbound.claiming import Attempt, Claimed
from nudges.outbound.handover import Gatekeeper
from nudges.outbound.lanes import Lease
from nudges.outbound.outbox import Queued
from nudges.outbound.purse import Second
from nudges.outbound.status import QUEUED, SENDING

logger = logging.getLogger(__name__)

BATCH: Final = 50  # texts committed as `sending` at once: the most that a crash can leave unknown
FRESH: Final = timedelta(seconds=1)  # how old the gate's answer may be at the call
CALL_SECONDS: Final = 12.0  # the longest that one call may take: the channel's time-out and a little
CALL_TAKES: Final = 0.25  # seconds of an ordinary call, with room: 225 segments a second need 23 calls of 0.1 at once
LOOK_UP: Final = 0.5  # seconds: how often the lease is looked after while calls are under way
LEAST_WAIT: Final = 0.005


@dataclass(frozen=True, kw_only=True, slots=True)
class Drained:
    """What one drain did: texts handed to the channel, texts that ended instead, whether the lane was ours."""

    handed_over: int = 0
    ended: int = 0
    had_lane: bool = True


def drain(
    sessions: sessionmaker[Session],
    channel: Channel,
    lane_id: int,
    *,
    clock: Clock,
    owner: str,
    stay_seconds: float = 0.0,
    at_once: int | None = None,
    goes_on: Callable[[], bool] = lambda: True,
    sleep: Callable[[float], object] = time.sleep,
) -> Drained:
    """Send what is ready on a lane, at its pace. The one service function that owns its transactions.

    1. take the lease; somebody else's lane is left alone
    2. claim: settle what has come back, renew the lease and refill the bucket, ask the gate again, mark `sending` with
       an attempt id, commit; what comes back when nothing is to be claimed is settled by itself
    3. call the channel with nothing open, up to `at_once` calls side by side (by default what the lane's pace needs)
    4. again until nothing is ready, the bucket is empty and `stay_seconds` are over, or `goes_on` says no: asked
       before each claim, so that a process that must leave finishes its calls and gives the lane back

    `owner` names this drainer and no other. An exception of the channel that is no ChannelError leaves the row
    `sending`: reconciliation finds it, and nobody sends it again.
    """
    with sessions.begin() as session:
        now = clock.now()
        lease = lanes.take(session, lane_id, owner=owner, now=now)
        if lease is None:
            return Drained(had_lane=False)
        begun = lanes.begun_lately(session, lane_id, now=now)
    calls = Calls(channel, most=at_once or calls_at_once(lease.pace))
    drain = _Drain(sessions, calls, lease, clock, Second(lanes.most_at_once(lease.pace), begun))
    try:
        return drain.run(stay_seconds=stay_seconds, goes_on=goes_on, sleep=sleep)
    finally:
        calls.close()
        drain.leave()


def calls_at_once(pace: float) -> int:
    """How many calls keep a lane at its pace, in segments a second, when each takes a quarter of a second."""
    return max(1, min(BATCH, math.ceil(pace * CALL_TAKES)))


class _Drain:
    """One holder's work on one lane. Never more than BATCH texts are `sending` at once."""

    def __init__(
        self, sessions: sessionmaker[Session], calls: Calls, lease: Lease, clock: Clock, second: Second
    ) -> None:
        self.sessions, self.calls, self.lease, self.clock = sessions, calls, lease, clock
        self.gatekeeper = Gatekeeper()
        self.second = second
        self.waiting: deque[Attempt] = deque()  # claimed, not yet called
        self.back: Mapping[int, Accepted] = {}  # called and accepted, not yet settled
        self.asked_at = self.claim_at = clock.now()  # when the gate was asked about them; when to claim again
        self.is_more, self.wait_seconds = True, 0.0
        self.handed_over = self.ended = 0

    def run(self, *, stay_seconds: float, goes_on: Callable[[], bool], sleep: Callable[[float], object]) -> Drained:
        until, left = self.clock.now() + timedelta(seconds=stay_seconds), stay_seconds
        while True:
            if self.may_claim() and goes_on():
                self.claim(until)
            self.settle()
            self.begin_calls()
            if self.calls.under_way:
                self.take_back(self.calls.finished(within=self.patience()))
                continue
            # Counted down, not read off the clock: a clock that stands still must not keep us here.
            left -= self.wait_seconds
            if not self.is_more or left < 0 or not goes_on():
                break
            # The calls took some of it already.
            if (wait := (self.claim_at - self.clock.now()).total_seconds()) > 0:
                sleep(min(wait, self.wait_seconds))
            self.claim_at = self.clock.now()
        return Drained(handed_over=self.handed_over, ended=self.ended)

    def may_claim(self) -> bool:
        """Only for calls that can begin now, since what waits in our hands grows old; and for a good many at once."""
        if self.waiting or not self.is_more or self.calls.under_way > BATCH // 2 or not self.calls.has_room:
            return False
        return self.clock.now() >= self.claim_at

    def claim(self, until: datetime) -> None:
        """Settle what has come back, mark what may go as `sending`, and commit both at once.

        Whatever keeps us from claiming takes back no settlement: what is not settled here is settled by itself.
        """
        now = self.clock.now()
        try:
            with self.sessions.begin() as session:
                left = settling.accept(session, self.back, now=now)
                claimed = claiming.claim(
                    session,
                    self.lease,
                    room=BATCH - self.calls.under_way - len(left),
                    now=now,
                    gatekeeper=self.gatekeeper,
                    second=self.second,
                )
        except IntegrityError:
            if not self.back:
                raise
            return
        self.back = left
        if claimed is None:
            self.is_more = False
            return
        self.take(claimed, until)

    def take(self, claimed: Claimed, until: datetime) -> None:
        """What was claimed is ours to call; what is over ends."""
        now = claimed.at
        self.lease = lanes.extended(self.lease, now)
        self.waiting.extend(claimed.attempts)
        self.second.claim(sum(attempt.row.segments for attempt in claimed.attempts))
        self.asked_at, self.wait_seconds = claimed.asked_at, claimed.wait_seconds
        self.claim_at = now + timedelta(seconds=claimed.wait_seconds)
        self.is_more = claimed.is_more and not (claimed.wait_seconds and self.calls.under_way and now >= until)
        # The ones that are over lock their parent first, so each has a transaction of its own.
        for row, over in claimed.over:
            self.end(row, over)

    def end(self, queued: Queued, over: handover.Over) -> None:
        now = self.clock.now()
        with self.sessions.begin() as session:
            row = session.get_one(Outbox, queued.id)
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

    def begin_calls(self) -> None:
        """Begin as many as there is room for, each only while the lane is ours and the gate's answer fresh."""
        while self.waiting and self.calls.has_room:
            now = self.clock.now()
            if not self.keeps_lane(now):
                self.rest()
            elif now - self.asked_at > FRESH:
                self.ask_again(now)
            else:
                attempt = self.waiting.popleft()
                self.second.begin(attempt.row.segments, now)
                self.calls.make(attempt)

    def ask_again(self, now: datetime) -> None:
        """Calls take time: a STOP or a hold may have come in since the claim. Given back, the text ends by rule."""
        attempts = list(self.waiting)
        with self.sessions.begin() as session:
            around = handover.look_around(session, [attempt.row for attempt in attempts], self.gatekeeper, now=now)
        standing = [attempt for attempt in attempts if handover.stands(attempt.row, around, now=now)]
        self.waiting, self.asked_at = deque(standing), around.rules.at
        self.give_back([attempt for attempt in attempts if attempt not in standing])

    def keeps_lane(self, now: datetime) -> bool:
        """Is the lane still ours for as long as a call may take? Renews the lease when it runs short."""
        if now + lanes.LEASE / 2 < self.lease.until:
            return True
        with self.sessions.begin() as session:
            bucket = lanes.renew(session, self.lease, now=now)
        if bucket is not None:
            self.lease = lanes.extended(self.lease, now)
        return bucket is not None

    def patience(self) -> float:
        """How long to wait for a call to end before looking at the lane again, in seconds."""
        if not self.is_more:
            return LOOK_UP
        return min(LOOK_UP, max(LEAST_WAIT, (self.claim_at - self.clock.now()).total_seconds()))

    def take_back(self, made: list[Made]) -> None:
        """What came of calls. What asks the lane to rest, or broke, begins no further one."""
        now = self.clock.now()
        answers = {one.attempt.row.id: one.answer for one in made if one.answer is not None}
        self.handed_over += len(answers)
        self.back = {**self.back, **{id_: one for id_, one in answers.items() if isinstance(one, Accepted)}}
        refused = {id_: one for id_, one in answers.items() if isinstance(one, ChannelError)}
        if (refused and not settling.settle_all(self.sessions, refused, now=now)) or not self.keeps_lane(now):
            self.rest()
        for one in made:
            if one.broke is not None:
                self.rest()
                raise one.broke

    def settle(self) -> None:
        """Record what was accepted, without a claim. What cannot be recorded is tried once."""
        if self.back:
            back, self.back = self.back, {}
            settling.settle_all(self.sessions, back, now=self.clock.now())

    def leave(self) -> None:
        """Nothing that is ours stays with us."""
        try:
            self.settle()
        finally:
            self.give_back(list(self.waiting))
            with self.sessions.begin() as session:
                lanes.release(session, self.lease)

    def rest(self) -> None:
        """Begin nothing more: what was not called goes back to the queue."""
        self.is_more = False
        attempts, self.waiting = list(self.waiting), deque()
        self.give_back(attempts)

    def give_back(self, attempts: list[Attempt]) -> None:
        """Queue again what was never called. Only while it is still ours to give."""
        if not attempts:
            return
        self.second.give_back(sum(attempt.row.segments for attempt in attempts))
        now = self.clock.now()
        with self.sessions.begin() as session:
            for attempt in attempts:
                outbox.move(
                    session,
                    attempt.row.id,
                    from_status=SENDING,
                    to_status=QUEUED,
                    reason="the lane had to rest before the call",
                    now=now,
                    attempt_id=None,
                    attempted_at=None,
                    claimed_by=None,
                )
