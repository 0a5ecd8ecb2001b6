"""Taking a batch of a lane: what may go now and what the bucket pays for, marked `sending` with an attempt id."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from nudges.channels.base import Outgoing
from nudges.outbound import handover, lanes, outbox
from nudges.outbound.handover import Gatekeeper
from nudges.outbound.lanes import Lease
from nudges.outbound.outbox import Queued
from nudges.outbound.purse import Second

# How many seconds' worth of segments a claim waits for once the bucket is empty: few transactions, even pace.
GATHER_SECONDS: Final = 0.05
LEAST_WAIT: Final = 0.001
# Rows looked at beyond those that the bucket pays for: crisis replies and pages, and a second text for one phone.
BESIDE_PAID: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One call that is about to be made. Plain values: no session is open while it is."""

    row: Queued
    outgoing: Outgoing


@dataclass(kw_only=True, slots=True)
class Claimed:
    """What one claim found: calls to make, texts that are over, and when it is worth coming back.

    `asked_at` is when the oldest was read of all that the gate's answers rest on; `wait_seconds` until the pace has
    room again; `is_more` when there may be more to claim now or then.
    """

    at: datetime
    asked_at: datetime
    batch: str = field(default_factory=lambda: uuid.uuid4().hex)
    attempts: list[Attempt] = field(default_factory=list)
    over: list[tuple[Queued, handover.Over]] = field(default_factory=list)
    is_more: bool = False
    wait_seconds: float = 0.0


def claim(
    session: Session, lease: Lease, *, room: int, now: datetime, gatekeeper: Gatekeeper, second: Second
) -> Claimed | None:
    """Mark what may go as `sending`, most urgent first, at most `room`. None when the lane is no longer ours.

    Renews the lease and refills the bucket. The caller commits before it calls anybody, counts what was claimed in
    `second`, and ends what is over.
    """
    bucket = lanes.look_into(session, lease, now=now)
    if bucket is None:
        return None
    limit = min(room, max(0, int(bucket.tokens)) + BESIDE_PAID)  # a text costs a segment at least
    rows = outbox.ready(session, lease.lane_id, now=now, limit=limit)
    around = handover.look_around(session, rows, gatekeeper, now=now)
    claimed = Claimed(at=now, asked_at=around.rules.at, is_more=len(rows) == limit)
    left = _Picking(session, around, lease, bucket, second, claimed).pick(rows)
    lanes.keep(session, lease, tokens=left, now=now)
    outbox.claim_all(
        session,
        [attempt.row.id for attempt in claimed.attempts],
        batch=claimed.batch,
        claimed_by=lease.name,
        now=now,
    )
    return claimed


class _Picking:
    """Sorts rows into calls to make, texts that are over, and texts for later; the lane pays as it goes."""

    def __init__(
        self,
        session: Session,
        around: handover.Surroundings,
        lease: Lease,
        bucket: lanes.Bucket,
        second: Second,
        claimed: Claimed,
    ) -> None:
        self.session, self.around, self.lease = session, around, lease
        self.tokens, self.pace, self.second, self.claimed = bucket.tokens, bucket.pace, second, claimed
        self.segments = 0  # picked so far
        self.recipients: set[int | None] = set()

    def pick(self, rows: Sequence[Queued]) -> float:
        """What the bucket holds afterwards."""
        for row in rows:
            if row.category in outbox.URGENT or self.may_pay(row):
                self.take(row)
        return self.tokens

    def may_pay(self, row: Queued) -> bool:
        """Is there room in the pace, and has this phone none of the batch yet?"""
        now, claimed = self.claimed.at, self.claimed
        if not claimed.wait_seconds and (
            self.tokens < 1.0 or not self.second.has_room(self.segments + row.segments, now)
        ):
            claimed.is_more, claimed.wait_seconds = True, self.until_worth_it()
        return not claimed.wait_seconds and row.parent_id not in self.recipients

    def until_worth_it(self) -> float:
        """Seconds until a good many may go at once: few transactions, even pace."""
        worth = max(1.0, self.pace * GATHER_SECONDS)
        return max(
            (worth - self.tokens) / self.pace, self.second.wait(self.segments + worth, self.claimed.at), LEAST_WAIT
        )

    def take(self, row: Queued) -> None:
        answer = handover.may_go(row, self.around, now=self.claimed.at)
        if isinstance(answer, handover.Over):
            self.claimed.over.append((row, answer))
        elif isinstance(answer, handover.Later):
            outbox.postpone(self.session, row.id, until=answer.until)
        else:
            self.tokens -= row.segments  # may fall below nothing: a long text, or a page that cannot wait
            self.segments += row.segments
            if row.parent_id is not None:
                self.recipients.add(row.parent_id)
            self.claimed.attempts.append(self.attempt(row, answer))

    def attempt(self, row: Queued, answer: handover.Now) -> Attempt:
        return Attempt(
            row=row,
            outgoing=Outgoing(
                to=row.to,
                body=row.body,
                attempt_id=outbox.attempt_of(self.claimed.batch, row.id),
                sender=self.lease.sender,
                validity_seconds=answer.validity_seconds,
            ),
        )
