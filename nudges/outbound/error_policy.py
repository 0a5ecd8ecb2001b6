"""What a refusal asks of us, whether it is the answer to the call or comes later as a status: one table for both."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zlib import crc32

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.alerts import paging
from nudges.channels.base import Action
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.outbound import lanes, last_look, undelivered
from nudges.outbox import queue
from nudges.outbox.status import EXPIRED, FAILED, QUEUED, SENDING
from schedules import localtime

logger = logging.getLogger(__name__)

BACKOFF: Final = timedelta(seconds=5)  # doubled at each try
MOST_BACKOFF: Final = timedelta(minutes=10)
LATER: Final = timedelta(hours=2)
LANE_RESTS: Final = timedelta(hours=1)
STOPPED_RESTS: Final = timedelta(minutes=15)  # then one text tries whether somebody has mended it
SLOWER: Final = timedelta(minutes=1)
WHILE_IT_LASTS: Final = 1_000  # tries: the text's own moment ends them
TOLD_TO_WAIT: Final = "told to wait"  # why a lane rests
CARRIERS_ZONE: Final = "America/Los_Angeles"  # their daily counts begin anew at midnight there


class Rests(StrEnum):
    """Who sends nothing for a while."""

    NOBODY = "nobody"
    LANE = "lane"
    ALL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """`tries` in all, the next one `after` so long; who `rests` until then; the title of the operator's `alert`."""

    tries: int = 1
    after: timedelta = timedelta()
    rests: Rests = Rests.NOBODY
    alert: str = ""


_LIMIT: Final = "A sender is paused: the carrier's limit"
RULES: Final[Mapping[Action, Rule]] = {
    Action.SUPPRESS: Rule(),
    Action.BLOCKED: Rule(),
    Action.NUMBER_INVALID: Rule(),
    Action.NUMBER_LANDLINE: Rule(),
    Action.RETRY_BACKOFF: Rule(tries=WHILE_IT_LASTS, rests=Rests.LANE),  # `after` grows: see _wait
    Action.SLOW_DOWN: Rule(
        tries=WHILE_IT_LASTS, after=SLOWER, rests=Rests.LANE, alert="A sender was too fast; its pace is lower now"
    ),
    Action.RETRY_LATER: Rule(tries=3, after=LATER),
    Action.RETRY_ONCE: Rule(tries=2, after=LATER),
    Action.PAUSE_LANE: Rule(tries=WHILE_IT_LASTS, after=LANE_RESTS, rests=Rests.LANE, alert=_LIMIT),
    Action.CAPPED_TODAY: Rule(tries=WHILE_IT_LASTS, rests=Rests.LANE, alert="A sender is paused: the day's limit"),
    Action.PAUSE_ALL: Rule(
        tries=WHILE_IT_LASTS, after=LANE_RESTS, rests=Rests.ALL, alert="All senders are paused: the account's limit"
    ),
    Action.STOP_LANE: Rule(
        tries=WHILE_IT_LASTS, after=STOPPED_RESTS, rests=Rests.LANE, alert="A sender may not text: its registration"
    ),
    Action.STOP_ALL: Rule(
        tries=WHILE_IT_LASTS,
        after=STOPPED_RESTS,
        rests=Rests.ALL,
        alert="No text can be sent: account or configuration",
    ),
    Action.ALERT: Rule(alert="A text was refused"),
    Action.ALERT_AND_REST: Rule(after=LANE_RESTS, rests=Rests.LANE, alert="A sender cannot text"),
    Action.FILTERED: Rule(alert="A text was filtered by the carrier"),
    Action.HOLD: Rule(alert="A text came back with a code that nobody here knows"),
    Action.BREAK_LOOP: Rule(alert="A number and we answered each other in a loop"),
    Action.BUG: Rule(alert="A text was refused"),
    Action.EXPIRED: Rule(tries=3),
    Action.RECONCILE: Rule(alert="A text was refused"),  # as a status; as an answer it is looked up instead
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a text is not with the parent: what that asks of us, the provider's code, its Retry-After in seconds."""

    action: Action
    code: str | None
    retry_after_seconds: float | None = None


def take(
    session: Session,
    row: Outbox,
    refusal: Refusal,
    *,
    from_status: str,
    to_status: str = FAILED,
    now: datetime,
    words: str = "refused",
) -> bool:
    """Do what a refusal asks. False when the lane must rest now.

    1. the sender, or every one, rests, and the operator is told; the lane is locked before parent and text
    2. the text is queued again while that makes sense, or ends in `to_status`
    """
    rule = RULES[refusal.action]
    attempts = session.scalars(select(Outbox.attempts).where(Outbox.id == row.id)).one()
    until = now + _wait(row, rule, refusal, attempts, now)
    _rest(session, row, rule, refusal, until, now)
    if rule.alert:
        _alert(session, row, f"{rule.alert} ({refusal.code or 'no code'})", now)
    if refusal.action is Action.FILTERED:
        last_look.note_filtered(session, row, program_id=_program_of(session, row), now=now)
    if attempts < rule.tries and _may_wait(row, from_status):
        if until < row.expires_at:
            _queue_again(session, row, refusal, until, from_status=from_status, now=now)
            return rule.rests is Rests.NOBODY
        to_status = EXPIRED if from_status == SENDING else to_status
    undelivered.end(
        session,
        row,
        from_status=from_status,
        to_status=to_status,
        reason=f"{words} ({refusal.code or 'no code'})",
        now=now,
        action=refusal.action,
        error_code=refusal.code,
    )
    return rule.rests is Rests.NOBODY


def _wait(row: Outbox, rule: Rule, refusal: Refusal, attempts: int, now: datetime) -> timedelta:
    told = timedelta(seconds=refusal.retry_after_seconds or 0)
    if refusal.action is Action.CAPPED_TODAY:
        tomorrow = localtime.local_date(now, CARRIERS_ZONE) + timedelta(days=1)
        return localtime.at_minute(tomorrow, 0, CARRIERS_ZONE) - now
    if refusal.action is not Action.RETRY_BACKOFF:
        return max(rule.after, told)
    if refusal.retry_after_seconds is not None:
        return told
    # Texts that were refused together must not come back together; the same text always waits alike.
    spread = 1 + crc32(str(row.id).encode()) % 256 / 1024
    return min(BACKOFF * (1 << min(max(attempts - 1, 0), 10)) * spread, MOST_BACKOFF)


def _rest(session: Session, row: Outbox, rule: Rule, refusal: Refusal, until: datetime, now: datetime) -> None:
    if rule.rests is Rests.NOBODY:
        return
    if refusal.action is Action.RETRY_BACKOFF and refusal.retry_after_seconds is None:
        until = min(until, now + timedelta(minutes=1))  # one text's patience is not the lane's
    which = select(Lane.id).order_by(Lane.id)
    if rule.rests is Rests.LANE:
        which = which.where(Lane.id == row.lane_id)
    for lane_id in session.scalars(which).all():
        rests = lanes.pause(session, lane_id, until=until, reason=f"{TOLD_TO_WAIT} ({refusal.code})")
        if rests and refusal.action is Action.SLOW_DOWN:
            lanes.slow_down(session, lane_id)


def _may_wait(row: Outbox, from_status: str) -> bool:
    """Crisis replies and pages that came back go to a human at once; an answer to the call leaves them a moment."""
    return from_status == SENDING or row.category not in queue.URGENT


def _queue_again(
    session: Session, row: Outbox, refusal: Refusal, until: datetime, *, from_status: str, now: datetime
) -> None:
    queue.move(
        session,
        row.id,
        from_status=from_status,
        to_status=QUEUED,
        reason=f"refused for now ({refusal.code or 'no code'})",
        now=now,
        not_before=until,
        error_code=refusal.code,
        looks=0,
    )


def _program_of(session: Session, row: Outbox) -> int:
    return session.scalars(select(Lane.program_id).where(Lane.id == row.lane_id)).one()


def _alert(session: Session, row: Outbox, title: str, now: datetime) -> None:
    logger.error("sending needs a person", extra={"action": "refusal", "outbox_id": row.id, "lane_id": row.lane_id})
    paging.raise_system_alert(session, _program_of(session, row), title=title, why="See Records, texts out.", now=now)
