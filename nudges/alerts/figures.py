"""How fast and how well danger was answered: figures for a page and for monitors. Drills count in none of them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from nudges.alerts import on_call
from nudges.models.family import Parent
from nudges.models.messages import Inbound, Outbox, OutboxEvent
from nudges.models.phrases import DRILL_TEXTS, Drill
from nudges.models.program import Lane, Program
from nudges.models.safety import Alert, AlertEvent

MANY_FOR_A_SHIFT: Final = 5  # more alerts than that, and people begin to wave them through
_LOST: Final = ("failed", "undelivered", "expired", "cancelled")
_HANDED_OVER: Final = ("accepted", "sent", "delivered", "unconfirmed")


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertTimes:
    """When things happened to one alert, in UTC; None for what has not happened (yet)."""

    alert_id: int
    level: str
    tier: str | None
    severity: int
    received_at: datetime
    reply_queued_at: datetime | None
    reply_handed_over_at: datetime | None
    reply_delivered_at: datetime | None
    is_reply_lost: bool
    paged_at: datetime | None
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    resolution: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Durations in seconds: how many there are, the middle one, and the one that 95 of 100 do not exceed."""

    count: int
    median: float | None
    p95: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TierFigures:
    """One danger. `tier` is None for doubtful texts; `unacknowledged` alerts have nobody yet."""

    tier: str | None
    alerts: int
    unacknowledged: int
    undelivered: int
    to_reply: Spread
    to_delivery: Spread
    to_page: Spread
    to_acknowledge: Spread


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleFigures:
    """How often a rule took part in an alert that has ended, and how often that was a false alarm. `rate` 0 to 1."""

    rule: str
    alarms: int
    false_alarms: int

    @property
    def rate(self) -> float:
        return self.false_alarms / self.alarms


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftFigures:
    """Alerts during one turn of whoever was first on call; `staff_id` None for a gap."""

    staff_id: int | None
    starts_at: datetime
    ends_at: datetime
    alerts: int

    @property
    def is_too_many(self) -> bool:
        return self.alerts > MANY_FOR_A_SHIFT


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What one program's safety net did from `since` to `until`."""

    since: datetime
    until: datetime
    texts_by_level: Mapping[str, int]
    total: TierFigures
    by_tier: tuple[TierFigures, ...]
    undelivered_replies: int
    undelivered_pages: int
    resolved: int
    false_alarms: int
    by_rule: tuple[RuleFigures, ...]
    by_shift: tuple[ShiftFigures, ...]


def figures(session: Session, program_id: int, *, since: datetime, now: datetime) -> Figures:
    """Everything of the window: alerts count from when they were raised, texts from when they came in."""
    program = session.get_one(Program, program_id)
    alerts = _alerts(session, program_id, since=since, now=now)
    times = times_of(session, alerts)
    ended = [alert for alert in alerts if alert.status == "resolved"]
    return Figures(
        since=since,
        until=now,
        texts_by_level=_texts_by_level(session, program_id, since=since, now=now),
        total=_summed(None, times),
        by_tier=tuple(_by_tier(times)),
        undelivered_replies=_events(session, alerts, "reply_undelivered"),
        undelivered_pages=_events(session, alerts, "page_undelivered"),
        resolved=len(ended),
        false_alarms=sum(alert.resolution == "false_alarm" for alert in ended),
        by_rule=tuple(_by_rule(session, ended)),
        by_shift=tuple(_by_shift(session, program, alerts, since=since, now=now)),
    )


def times_of(session: Session, alerts: Sequence[Alert]) -> list[AlertTimes]:
    """The times of each alert, in the order given; four queries for all of them.

    The first reply and the first page count: later ones belong to later texts of the same episode. Whoever ends
    an alert without having acknowledged it had it from then on.
    """
    ids = [alert.id for alert in alerts]
    received = _received(session, ids)
    replies = _first_replies(session, ids)
    moves = _moves(session, [reply.id for reply in replies.values()])
    first = _first_events(session, ids, ("paged", "acknowledged", "resolved"))
    return [
        _times(alert, received.get(alert.id, alert.raised_at), replies.get(alert.id), moves, first) for alert in alerts
    ]


def _times(
    alert: Alert,
    received_at: datetime,
    reply: Outbox | None,
    moves: Mapping[int, Mapping[str, datetime]],
    first: Mapping[tuple[int, str], datetime],
) -> AlertTimes:
    moved = moves.get(reply.id, {}) if reply is not None else {}
    return AlertTimes(
        alert_id=alert.id,
        level=alert.level,
        tier=alert.tier,
        severity=alert.severity,
        received_at=received_at,
        reply_queued_at=reply.created_at if reply is not None else None,
        reply_handed_over_at=min((moved[word] for word in _HANDED_OVER if word in moved), default=None),
        reply_delivered_at=moved.get("delivered"),
        is_reply_lost=reply is not None and reply.status in _LOST,
        paged_at=first.get((alert.id, "paged")),
        acknowledged_at=first.get((alert.id, "acknowledged")) or first.get((alert.id, "resolved")),
        resolved_at=alert.resolved_at,
        resolution=alert.resolution,
    )


def _alerts(session: Session, program_id: int, *, since: datetime, now: datetime) -> Sequence[Alert]:
    drills = select(Drill.alert_id).where(Drill.alert_id.is_not(None))
    return session.scalars(
        select(Alert)
        .where(Alert.program_id == program_id, Alert.level != "system", Alert.id.not_in(drills))
        .where(Alert.raised_at >= since, Alert.raised_at <= now)
        .order_by(Alert.id)
    ).all()


def _received(session: Session, ids: Sequence[int]) -> dict[int, datetime]:
    rows = session.execute(
        select(Alert.id, Inbound.at).join(Inbound, Inbound.id == Alert.inbound_id).where(Alert.id.in_(ids))
    )
    return {row.id: row.at for row in rows}


def _first_replies(session: Session, ids: Sequence[int]) -> dict[int, Outbox]:
    rows = session.scalars(
        select(Outbox)
        .where(Outbox.alert_id.in_(ids), Outbox.category == "crisis_reply")
        .order_by(Outbox.id.desc())
        .execution_options(populate_existing=True)
    )
    return {row.alert_id: row for row in rows if row.alert_id is not None}


def _moves(session: Session, outbox_ids: Sequence[int]) -> Mapping[int, Mapping[str, datetime]]:
    """When each reply first came to each status."""
    found: defaultdict[int, dict[str, datetime]] = defaultdict(dict)
    rows = session.execute(
        select(OutboxEvent.outbox_id, OutboxEvent.to_status, OutboxEvent.at)
        .where(OutboxEvent.outbox_id.in_(outbox_ids))
        .order_by(OutboxEvent.id)
    )
    for outbox_id, status, at in rows:
        found[outbox_id].setdefault(status, at)
    return found


def _first_events(session: Session, ids: Sequence[int], names: Sequence[str]) -> dict[tuple[int, str], datetime]:
    rows = session.execute(
        select(AlertEvent.alert_id, AlertEvent.event, AlertEvent.at)
        .where(AlertEvent.alert_id.in_(ids), AlertEvent.event.in_(names))
        .order_by(AlertEvent.id.desc())
    )
    return {(alert_id, event): at for alert_id, event, at in rows}


def _by_tier(times: Iterable[AlertTimes]) -> Iterable[TierFigures]:
    groups: defaultdict[str | None, list[AlertTimes]] = defaultdict(list)
    for alert in times:
        groups[alert.tier].append(alert)
    return (_summed(tier, groups[tier]) for tier in sorted(groups, key=lambda tier: tier or "~"))


def _summed(tier: str | None, times: Sequence[AlertTimes]) -> TierFigures:
    return TierFigures(
        tier=tier,
        alerts=len(times),
        unacknowledged=sum(alert.acknowledged_at is None for alert in times),
        undelivered=sum(alert.is_reply_lost for alert in times),
        to_reply=_spread((alert.received_at, alert.reply_handed_over_at) for alert in times),
        to_delivery=_spread((alert.received_at, alert.reply_delivered_at) for alert in times),
        to_page=_spread((alert.received_at, alert.paged_at) for alert in times),
        to_acknowledge=_spread((alert.received_at, alert.acknowledged_at) for alert in times),
    )


def _spread(pairs: Iterable[tuple[datetime, datetime | None]]) -> Spread:
    """Median and nearest-rank 95th percentile."""
    seconds = sorted((end - start).total_seconds() for start, end in pairs if end is not None)
    if not seconds:
        return Spread(count=0, median=None, p95=None)
    return Spread(count=len(seconds), median=median(seconds), p95=seconds[math.ceil(0.95 * len(seconds)) - 1])


def _events(session: Session, alerts: Sequence[Alert], name: str) -> int:
    ids = [alert.id for alert in alerts]
    return len(
        session.scalars(select(AlertEvent.id).where(AlertEvent.alert_id.in_(ids), AlertEvent.event == name)).all()
    )


def _texts_by_level(session: Session, program_id: int, *, since: datetime, now: datetime) -> Mapping[str, int]:
    senders = select(Lane.sender).where(Lane.program_id == program_id)
    rows = session.scalars(
        select(Inbound.screening)
        .outerjoin(Parent, Parent.id == Inbound.parent_id)
        .where(Inbound.at >= since, Inbound.at <= now, Inbound.provider_id.not_like(f"{DRILL_TEXTS}%"))
        .where(or_(Parent.program_id == program_id, Inbound.parent_id.is_(None) & Inbound.to_number.in_(senders)))
    )
    counted = Counter(screening.get("level", "unscreened") for screening in rows)
    return {level: counted.get(level, 0) for level in ("crisis", "check", "ordinary")}


def _by_rule(session: Session, ended: Sequence[Alert]) -> Iterable[RuleFigures]:
    is_false = {alert.id: alert.resolution == "false_alarm" for alert in ended}
    rules: defaultdict[int, set[str]] = defaultdict(set)
    rows = session.execute(
        select(AlertEvent.alert_id, Inbound.screening)
        .join(Inbound, Inbound.id == AlertEvent.inbound_id)
        .where(AlertEvent.alert_id.in_(is_false))
    )
    for alert_id, screening in rows:
        rules[alert_id].update(screening.get("rules", ()))
    alarms = Counter(rule for found in rules.values() for rule in found)
    false = Counter(rule for alert_id, found in rules.items() if is_false[alert_id] for rule in found)
    return (RuleFigures(rule=rule, alarms=alarms[rule], false_alarms=false[rule]) for rule in sorted(alarms))


def _by_shift(
    session: Session, program: Program, alerts: Sequence[Alert], *, since: datetime, now: datetime
) -> Iterable[ShiftFigures]:
    turns = on_call.turns_of(session, program, on_call.FIRST, since=since, until=now)
    for turn in turns if now > since else ():
        yield ShiftFigures(
            staff_id=turn.staff_id,
            starts_at=turn.starts_at,
            ends_at=turn.ends_at,
            alerts=sum(turn.covers(alert.raised_at) for alert in alerts),
        )
