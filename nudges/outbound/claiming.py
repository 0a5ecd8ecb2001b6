"""Taking a batch of a lane: what may go now and what the bucket pays for, marked `sending` with an attempt id."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from nudges.channels.base import Outgoing
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.outbound import handover, lanes, outbox
from nudges.outbound.lanes import Lease

# How many seconds' worth of segments a claim waits for once the bucket is empty: few transactions, even pace.
GATHER_SECONDS: Final = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One call that is about to be made. Plain values: no session is open while it is."""

    row: Outbox
    outgoing: Outgoing


@dataclass(kw_only=True, slots=True)
class Claimed:
    """What one claim found: calls to make, texts that are over, and when it is worth coming back.

    `wait_seconds` until the bucket has room again; `is_more` when there may be more to claim now or then.
    """

    at: datetime
    attempts: list[Attempt] = field(default_factory=list)
    over: list[tuple[Outbox, handover.Over]] = field(default_factory=list)
    is_more: bool = False
    wait_seconds: float = 0.0


def claim(session: Session, lease: Lease, *, room: int, now: datetime) -> Claimed | None:
    """Mark what may go as `sending`, most urgent first, at most `room`. None when the lane is no longer ours.

    Renews the lease and refills the bucket. The caller commits before it calls anybody, and ends what is over.
    """
    lane = lanes.renew(session, lease, now=now)
    if lane is None:
        return None
    rows = outbox.ready(session, lane.id, now=now, limit=room)
    claimed = Claimed(at=now, is_more=len(rows) == room)
    _pick(session, rows, lane, lease, claimed)
    outbox.claim_all(
        session,
        {attempt.row.id: attempt.outgoing.attempt_id for attempt in claimed.attempts},
        claimed_by=lease.name,
        now=now,
    )
    return claimed


def _pick(session: Session, rows: list[Outbox], lane: Lane, lease: Lease, claimed: Claimed) -> None:
    """Sort the rows into calls to make, texts that are over, and texts for later; the bucket pays as we go."""
    around = handover.look_around(session, rows, now=claimed.at)
    recipients: set[int | None] = set()
    for row in rows:
        if row.category not in outbox.URGENT and (lane.tokens < 1.0 or row.parent_id in recipients):
            if lane.tokens < 1.0:
                claimed.is_more, claimed.wait_seconds = True, _until_worth_it(lane)
            continue
        answer = handover.may_go(row, around, now=claimed.at)
        if isinstance(answer, handover.Over):
            claimed.over.append((row, answer))
        elif isinstance(answer, handover.Later):
            outbox.postpone(session, row, until=answer.until)
        else:
            lane.tokens -= row.segments  # may fall below nothing: a long text, or a page that cannot wait
            if row.parent_id is not None:
                recipients.add(row.parent_id)
            claimed.attempts.append(_attempt(row, lease.sender, answer))


def _until_worth_it(lane: Lane) -> float:
    return (max(1.0, lane.segments_per_second * GATHER_SECONDS) - lane.tokens) / lane.segments_per_second


def _attempt(row: Outbox, sender: str, answer: handover.Now) -> Attempt:
    return Attempt(
        row=row,
        outgoing=Outgoing(
            to=row.to,
            body=row.body,
            attempt_id=outbox.new_attempt(),
            sender=sender,
            validity_seconds=answer.validity_seconds,
        ),
    )
