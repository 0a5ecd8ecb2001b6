"""Handing over: one drainer a lane, committed before the call, settled after it, nothing open in between."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from nudges.channels.base import Accepted, Channel, ChannelError, Outgoing
from nudges.clock import Clock
from nudges.models.messages import Outbox
from nudges.outbound import lanes, last_look, receipts, send_check, undelivered
from nudges.outbound.lanes import Lease
from nudges.outbound.rate_limit import Second
from nudges.outbound.send_check import SendCheck
from nudges.outbox import queue
from nudges.outbox.status import QUEUED, SENDING
from schedules.catalog import Library

logger = logging.getLogger(__name__)

BATCH: Final = 50  # texts committed as `sending` at once: the most that a crash can leave unknown
FRESH: Final = timedelta(seconds=1)  # how old the gate's answer may be at the call
CALL_SECONDS: Final = 12.0  # the longest that one call may take: the channel's time-out and a little
CALL_TAKES: Final = 0.25  # seconds of an ordinary call, with room: 225 segments a second need 23 calls of 0.1 at once
LOOK_UP: Final = 0.5  # seconds: how often the lease is looked after while calls are under way
LEAST_WAIT: Final = 0.005
# How many seconds' worth of segments a claim waits for once the bucket is empty: few transactions, even pace.
GATHER_SECONDS: Final = 0.05
LEAST_GATHER: Final = 0.001
# Rows looked at beyond those that the bucket pays for: crisis replies and pages, and a second text for one phone.
BESIDE_PAID: Final = 5

Answer: TypeAlias = Accepted | ChannelError


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One call that is about to be made: plain values, since no session is open while it is. `id` is the text's."""

    id: int
    segments: int
    outgoing: Outgoing


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """One call that has come to its end. `broke` is an exception that is no answer: nobody knows what happened."""

    attempt: Attempt
    answer: Answer | None = None
    broke: BaseException | None = None


class Calls:
    """At most `most` calls at once. No session, no row of ours that changes: the threads only ask the channel.

    Used by one drainer: it makes calls and collects what came of them; nothing else waits here.
    """

    def __init__(self, channel: Channel, *, most: int) -> None:
        self._channel, self._most = channel, most
        self._to_make: SimpleQueue[Attempt | None] = SimpleQueue()
        self._made: SimpleQueue[Made] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.under_way = 0

    @property
    def has_room(self) -> bool:
        return self.under_way < self._most

    def make(self, attempt: Attempt) -> None:
        """Begin a call now; only while there is room."""
        self.under_way += 1
        if len(self._threads) < self.under_way:
            thread = threading.Thread(target=self._work, name=f"call-{len(self._threads)}", daemon=True)
            thread.start()
            self._threads.append(thread)
        self._to_make.put(attempt)

    def finished(self, *, within: float) -> list[Made]:
        """What has come to its end: at least one, unless nothing does `within` so many seconds."""
        made: list[Made] = []
        try:
            made.append(self._made.get(timeout=within))
            while len(made) < self.under_way:
                made.append(self._made.get_nowait())
        except Empty:
            pass
        self.under_way -= len(made)
        return made

    def close(self) -> None:
        """Let the threads go; a call that is still under way is nobody's to wait for."""
        for _ in self._threads:
            self._to_make.put(None)

    def _work(self) -> None:
        while (attempt := self._to_make.get()) is not None:
            self._made.put(self._call(attempt))

    def _call(self, attempt: Attempt) -> Made:
        try:
            return Made(attempt=attempt, answer=self._channel.send(attempt.outgoing))
        except ChannelError as error:
            return Made(attempt=attempt, answer=error)
        except BaseException as error:  # the drainer raises it again, where it is seen
            return Made(attempt=attempt, broke=error)


@dataclass(kw_only=True, slots=True)
class Claimed:
    """What one claim found: calls to make, texts that are over, and when it is worth coming back.

    `wait_seconds` until the pace has room again; `is_more` when there may be more to claim now or then.
    """

    at: datetime
    attempts: list[Attempt] = field(default_factory=list)
    over: list[tuple[int, send_check.Over]] = field(default_factory=list)
    is_more: bool = False
    wait_seconds: float = 0.0


def claim(
    session: Session, lease: Lease, *, room: int, now: datetime, library: Library, second: Second
) -> Claimed | None:
    """Mark what may go as `sending`, most urgent first, at most `room`. None when the lane is no longer ours.

    Renews the lease and refills the bucket. The caller commits before it calls anybody, counts what was claimed in
    `second`, and ends what is over.
    """
    bucket = lanes.look_into(session, lease, now=now)
    if bucket is None:
        return None
    limit = min(room, max(0, int(bucket.tokens)) + BESIDE_PAID)  # a text costs a segment at least
    rows = queue.ready(session, lease.lane_id, now=now, limit=limit)
    picking = _Picking(lease, bucket, second, Claimed(at=now, is_more=len(rows) == limit))
    picking.pick(session, rows, library)
    lanes.keep(session, lease, tokens=picking.tokens, now=now)
    queue.claim(session, picking.claims, claimed_by=lease.name, now=now)
    return picking.claimed


class _Picking:
    """Sorts rows into calls to make, texts that are over, and texts for later; the lane pays as it goes."""

    def __init__(self, lease: Lease, bucket: lanes.Bucket, second: Second, claimed: Claimed) -> None:
        self.lease, self.tokens, self.pace = lease, bucket.tokens, bucket.pace
        self.second, self.claimed = second, claimed
        self.claims: list[queue.Claim] = []
        self.segments = 0  # picked so far
        self.recipients: set[int | None] = set()

    def pick(self, session: Session, rows: Sequence[Outbox], library: Library) -> None:
        if not rows:
            return
        check = SendCheck(session, rows, library=library, now=self.claimed.at)
        for row in rows:
            is_urgent = row.category in queue.URGENT
            if not is_urgent and (row.parent_id in self.recipients or not self.may_pay(row.segments or 1)):
                continue
            answer = check.ask(row)
            if isinstance(answer, send_check.Over):
                self.claimed.over.append((row.id, answer))
            elif isinstance(answer, send_check.Later):
                queue.postpone(session, row, until=answer.until)
            else:
                self.take(queue.Claim(row=row, to=answer.to, words=answer.words), answer, is_urgent=is_urgent)

    def may_pay(self, segments: int) -> bool:
        """Is there room in the pace for so many?"""
        now, claimed = self.claimed.at, self.claimed
        if not claimed.wait_seconds and (self.tokens < 1.0 or not self.second.has_room(self.segments + segments, now)):
            claimed.is_more, claimed.wait_seconds = True, self.until_worth_it()
        return not claimed.wait_seconds

    def until_worth_it(self) -> float:
        """Seconds until a good many may go at once: few transactions, even pace."""
        worth = max(1.0, self.pace * GATHER_SECONDS)
        return max(
            (worth - self.tokens) / self.pace, self.second.wait(self.segments + worth, self.claimed.at), LEAST_GATHER
        )

    def take(self, one: queue.Claim, answer: send_check.Now, *, is_urgent: bool) -> None:
        if not is_urgent and not self.may_pay(one.segments):
            return  # longer than it looked before it had words: it waits for the next second
        self.tokens -= one.segments  # may fall below nothing: a long text, or a page that cannot wait
        self.segments += one.segments
        if one.row.parent_id is not None:
            self.recipients.add(one.row.parent_id)
        self.claims.append(one)
        outgoing = Outgoing(
            to=one.to,
            body=one.body,
            attempt_id=one.attempt_id,
            sender=self.lease.sender,
            validity_seconds=answer.validity_seconds,
        )
        self.claimed.attempts.append(Attempt(id=one.row.id, segments=one.segments, outgoing=outgoing))


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
    library: Library,
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
    drain = _Drain(sessions, calls, lease, clock, library, Second(lanes.most_at_once(lease.pace), begun))
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
        self,
        sessions: sessionmaker[Session],
        calls: Calls,
        lease: Lease,
        clock: Clock,
        library: Library,
        second: Second,
    ) -> None:
        self.sessions, self.calls, self.lease, self.clock = sessions, calls, lease, clock
        self.library, self.second = library, second
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
                left = receipts.accept(session, self.back, now=now)
                room = BATCH - self.calls.under_way - len(left)
                claimed = claim(session, self.lease, room=room, now=now, library=self.library, second=self.second)
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
        self.second.claim(sum(attempt.segments for attempt in claimed.attempts))
        self.asked_at, self.wait_seconds = now, claimed.wait_seconds
        self.claim_at = now + timedelta(seconds=claimed.wait_seconds)
        self.is_more = claimed.is_more and not (claimed.wait_seconds and self.calls.under_way and now >= until)
        # The ones that are over lock their parent first, so each has a transaction of its own.
        for outbox_id, over in claimed.over:
            self.end(outbox_id, over)

    def end(self, outbox_id: int, over: send_check.Over) -> None:
        now = self.clock.now()
        with self.sessions.begin() as session:
            row = session.get_one(Outbox, outbox_id)
            ended = undelivered.end(
                session,
                row,
                from_status=QUEUED,
                to_status=over.status,
                reason=over.reason,
                now=now,
                anew=over.anew,
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
                self.second.begin(attempt.segments, now)
                self.calls.make(attempt)

    def ask_again(self, now: datetime) -> None:
        """Calls take time: a STOP or a hold may have come in since the claim. Given back, the text ends by rule."""
        attempts, ids = list(self.waiting), [attempt.id for attempt in self.waiting]
        with self.sessions.begin() as session:
            rows = session.scalars(select(Outbox).where(Outbox.id.in_(ids))).all()
            check = SendCheck(session, rows, library=self.library, now=now)
            still = {row.id for row in rows if check.stands(row)}
        standing = [attempt for attempt in attempts if attempt.id in still]
        self.waiting, self.asked_at = deque(standing), now
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
        answers = {one.attempt.id: one.answer for one in made if one.answer is not None}
        self.handed_over += len(answers)
        self.back = {**self.back, **{id_: one for id_, one in answers.items() if isinstance(one, Accepted)}}
        refused = {id_: one for id_, one in answers.items() if isinstance(one, ChannelError)}
        if (refused and not receipts.settle_all(self.sessions, refused, now=now)) or not self.keeps_lane(now):
            self.rest()
        for one in made:
            if one.broke is not None:
                self.rest()
                raise one.broke

    def settle(self) -> None:
        """Record what was accepted, without a claim. What cannot be recorded is tried once."""
        if self.back:
            back, self.back = self.back, {}
            receipts.settle_all(self.sessions, back, now=self.clock.now())

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
        self.second.give_back(sum(attempt.segments for attempt in attempts))
        now = self.clock.now()
        with self.sessions.begin() as session:
            for attempt in attempts:
                queue.move(
                    session,
                    attempt.id,
                    from_status=SENDING,
                    to_status=QUEUED,
                    reason="the lane had to rest before the call",
                    now=now,
                )
