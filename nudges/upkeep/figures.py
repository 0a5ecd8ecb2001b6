"""Figures for Prometheus, read from the tables at each scrape. Labels are our own words, never a family's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from nudges.models.family import Parent
from nudges.models.messages import Outbox, OutboxEvent
from nudges.models.program import Heartbeat, Lane
from nudges.models.safety import Alert
from nudges.outbox.queue import is_on_its_way
from nudges.outbox.status import ALLOWED, QUEUED, SENDING, UNKNOWN
from nudges.upkeep.readiness import backlog_age

PLANNED: Final = ("active", "paused")  # as the index of parents whose plan is due has it
LOOKED_BACK: Final = timedelta(days=1)  # by the first scrape of a process
SETTLED: Final = timedelta(minutes=2)  # by then every transaction that took an id has ended


def is_one_of(column: InstrumentedAttribute[str], *words: str) -> ColumnElement[bool]:
    """Spelled out, or the partial index is not seen and every scrape reads the whole table."""
    given = [literal(word, literal_execute=True) for word in words]
    return column == given[0] if len(given) == 1 else column.in_(given)


class Tally:
    """How many rows of each kind there are since a day before the first scrape: a counter may begin anywhere.

    Counted once: a scrape reads what has come since, and the first one not all the years before.
    """

    def __init__(
        self, row_id: InstrumentedAttribute[int], kind: InstrumentedAttribute[str], at: InstrumentedAttribute[datetime]
    ) -> None:
        self._id, self._kind, self._at = row_id, kind, at
        self._known: Counter[str] = Counter()
        self._upto: int | None = None

    def read(self, session: Session, now: datetime) -> Counter[str]:
        upto = self._newest(session, now - LOOKED_BACK) if self._upto is None else self._upto
        boundary = max(upto, self._newest(session, now - SETTLED))
        settled = self._count(session, (self._id > upto) & (self._id <= boundary))
        fresh = self._count(session, self._id > boundary)
        self._known, self._upto = self._known + settled, boundary
        return self._known + fresh

    def _newest(self, session: Session, before: datetime) -> int:
        older = select(self._id).where(self._at < before).order_by(self._id.desc()).limit(1)
        return session.scalar(older) or 0

    def _count(self, session: Session, condition: ColumnElement[bool]) -> Counter[str]:
        rows = session.execute(select(self._kind, func.count()).where(condition).group_by(self._kind))
        return Counter({row[0]: row[1] for row in rows})


class Figures:
    """What one process tells its monitor."""

    def __init__(self) -> None:
        self._planned = Tally(Outbox.id, Outbox.category, Outbox.created_at)
        self._moves = Tally(OutboxEvent.id, OutboxEvent.to_status, OutboxEvent.at)

    def read(self, session: Session, now: datetime) -> Iterator[Metric]:
        yield self._counter(
            "nudges_texts_planned", "Texts queued, by category.", "category", self._planned.read(session, now)
        )
        moves = self._moves.read(session, now)
        # Every status from the start: a counter that appears late hides its first event.
        yield self._counter(
            "nudges_texts", "Texts that came to a status.", "status", {**dict.fromkeys(ALLOWED, 0), **moves}
        )
        yield from _unsettled(session, now)
        yield _age_of_beats(session, now)
        yield from _lanes(session, now)
        yield _alerts(session)
        due = select(func.count()).where(Parent.status == "active", is_one_of(Parent.status, *PLANNED))
        due = due.where(Parent.next_at.is_not(None), Parent.next_at <= now)
        yield GaugeMetricFamily("nudges_parents_due", "Parents whose plan is due.", value=session.scalar(due) or 0)

    def _counter(self, name: str, words: str, label: str, values: dict[str, int]) -> Metric:
        family = CounterMetricFamily(name, words, labels=[label])
        for kind, count in sorted(values.items()):
            family.add_metric([kind], count)
        return family


def _unsettled(session: Session, now: datetime) -> Iterator[Metric]:
    asked = (
        select(Outbox.status, func.count()).where(is_one_of(Outbox.status, QUEUED)).group_by(Outbox.status),
        select(Outbox.status, func.count()).where(is_on_its_way(SENDING, UNKNOWN)).group_by(Outbox.status),
    )
    counts = {row[0]: row[1] for rows in asked for row in session.execute(rows)}
    family = GaugeMetricFamily("nudges_outbox_texts", "Texts on their way, by status.", labels=["status"])
    for status in (QUEUED, SENDING, UNKNOWN):
        family.add_metric([status], counts.get(status, 0))
    yield family
    due = select(func.count()).where(
        is_one_of(Outbox.status, QUEUED), Outbox.not_before <= now, Outbox.expires_at > now
    )
    yield GaugeMetricFamily(
        "nudges_backlog_texts", "Texts that are due and not handed over.", value=session.scalar(due) or 0
    )
    age = backlog_age(session, now).total_seconds()
    yield GaugeMetricFamily("nudges_backlog_age_seconds", "For how long the oldest of them has been due.", value=age)


def _age_of_beats(session: Session, now: datetime) -> Metric:
    ages = GaugeMetricFamily("nudges_beat_age_seconds", "Time since a duty ran to its end.", labels=["duty"])
    for row in session.scalars(select(Heartbeat).order_by(Heartbeat.duty)):
        ages.add_metric([row.duty], (now - row.at).total_seconds())
    return ages


def _lanes(session: Session, now: datetime) -> Iterator[Metric]:
    pace = GaugeMetricFamily("nudges_lane_pace_segments", "Segments a second that a lane may send.", labels=["lane"])
    paused = GaugeMetricFamily("nudges_lane_paused", "1 while a lane sends nothing.", labels=["lane"])
    for lane in session.scalars(select(Lane).order_by(Lane.id)):
        pace.add_metric([str(lane.id)], lane.segments_per_second)
        paused.add_metric([str(lane.id)], float(lane.paused_until is not None and lane.paused_until > now))
    yield pace
    yield paused


def _alerts(session: Session) -> Metric:
    rows = session.execute(select(Alert.level, func.count()).where(Alert.status == "open").group_by(Alert.level))
    counts = {row[0]: row[1] for row in rows}
    family = GaugeMetricFamily("nudges_alerts_open", "Alerts that nobody has acknowledged.", labels=["level"])
    for level in ("crisis", "check", "system"):
        family.add_metric([level], counts.get(level, 0))
    return family
