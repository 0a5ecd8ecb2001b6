"""Is it alive, is it ready, how is it doing: for supervisors and monitors. No personal data, no sign-in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from nudges.desk.live import follow
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Heartbeat, Lane
from nudges.models.safety import Alert
from nudges.outbound.status import QUEUED, SENDING, UNKNOWN
from nudges.web import crisis_metrics
from nudges.web.context import wiring

health = Blueprint("health", __name__)

ROOT: Final = Path(__file__).resolve().parents[2]
DUTIES: Final = ("plan", "send", "watch", "notify", "clean")  # of engine.ticks; heartbeats say how often
LATE_AFTER: Final = 5  # missed beats before a duty counts as late
LATE_AT_LEAST: Final = timedelta(seconds=30)  # a slow machine is not a broken one
MOST_BACKLOG: Final = timedelta(minutes=15)  # what is due for longer says that sending does not keep up


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One line of readiness."""

    name: str
    is_ok: bool
    words: str


@health.get("/healthz")
def healthz() -> Response:
    """The process answers. Says nothing about the rest: a restart would not mend that."""
    return jsonify(status="ok")


@health.get("/readyz")
def readyz() -> tuple[Response, int]:
    """200 when texts can go out and come in, else 503 with what is wrong."""
    now = wiring().clock.now()
    try:
        with wiring().sessions() as session:
            checks = readiness(session, now, expects_beats=wiring().settings.run_scheduler)
    except SQLAlchemyError as error:
        checks = [Check(name="database", is_ok=False, words=f"cannot be read ({type(error).__name__})")]
    is_ready = all(check.is_ok for check in checks)
    body = {check.name: {"ok": check.is_ok, "words": check.words} for check in checks}
    return jsonify(ready=is_ready, checks=body), 200 if is_ready else 503


@health.get("/metrics")
def metrics() -> Response:
    """Prometheus text format."""
    registry = CollectorRegistry()
    now = wiring().clock.now()
    follow(wiring().screen)
    with wiring().sessions() as session:
        families = [*gauges(session, now), *crisis_metrics.gauges(session, now)]
    registry.register(_Read(families))
    return Response(generate_latest(registry), mimetype="text/plain", content_type="text/plain; version=0.0.4")


class _Read:
    """Figures that were read once, in the shape that the Prometheus library collects."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def readiness(session: Session, now: datetime, *, expects_beats: bool) -> list[Check]:
    """Everything that must hold for texts to go out on time. Without `expects_beats` another process may beat."""
    beats = list(_beats(session, now)) if expects_beats else []
    return [_migrations(session), *beats, _backlog(session, now), _lanes(session, now)]


def head_revision() -> str:
    """The newest migration that this code knows."""
    return _head()


def is_newer(revision: str | None) -> bool:
    """Whether a later release has migrated the database: while one is brought in, both run side by side."""
    return revision is not None and revision not in _revisions()


def _head() -> str:
    return next(iter(_revisions()), "")


@cache
def _revisions() -> tuple[str, ...]:
    """Every migration that this code knows, the newest first."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return tuple(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())


def _migrations(session: Session) -> Check:
    current = MigrationContext.configure(session.connection()).get_current_revision()
    if is_newer(current):
        return Check(name="migrations", is_ok=True, words=f"at {current}, of a later release than this code")
    words = f"at {current}" if current == _head() else f"at {current}, this code needs {_head()}: nudges migrate"
    return Check(name="migrations", is_ok=current == _head(), words=words)


def _beats(session: Session, now: datetime) -> Iterator[Check]:
    beats = {row.duty: row for row in session.scalars(select(Heartbeat))}
    for duty in DUTIES:
        yield _beat(duty, beats.get(duty), now)


def _beat(duty: str, beat: Heartbeat | None, now: datetime) -> Check:
    if beat is None:
        return Check(name=f"beat_{duty}", is_ok=False, words="has not run yet")
    allowed = max(LATE_AT_LEAST, timedelta(seconds=float(beat.detail.get("every", 0)) * LATE_AFTER))
    age = now - beat.at
    return Check(name=f"beat_{duty}", is_ok=age <= allowed, words=f"ran {age.total_seconds():.0f} s ago")


def _backlog(session: Session, now: datetime) -> Check:
    oldest = session.scalar(
        select(func.min(Outbox.not_before)).where(
            Outbox.status == QUEUED, Outbox.not_before <= now, Outbox.expires_at > now
        )
    )
    age = timedelta(0) if oldest is None else now - oldest
    return Check(name="backlog", is_ok=age <= MOST_BACKLOG, words=f"oldest text due for {age.total_seconds():.0f} s")


def _lanes(session: Session, now: datetime) -> Check:
    paused = session.scalar(select(func.count()).select_from(Lane).where(Lane.paused_until > now)) or 0
    return Check(name="lanes", is_ok=not paused, words=f"{paused} paused" if paused else "none is paused")


def gauges(session: Session, now: datetime) -> Iterator[Metric]:
    """Counts and ages. Labels are our own words, never a family's."""
    unsettled = GaugeMetricFamily("nudges_outbox_texts", "Texts on their way, by status.", labels=["status"])
    rows = session.execute(
        select(Outbox.status, func.count().label("texts"))
        .where(Outbox.status.in_((QUEUED, SENDING, UNKNOWN)))
        .group_by(Outbox.status)
    )
    counts = {row.status: row.texts for row in rows}
    for status in (QUEUED, SENDING, UNKNOWN):
        unsettled.add_metric([status], counts.get(status, 0))
    yield unsettled
    yield _age_of_beats(session, now)
    due = session.scalar(
        select(func.count()).select_from(Parent).where(Parent.status == "active", Parent.next_at <= now)
    )
    yield GaugeMetricFamily("nudges_parents_due", "Parents whose plan is due.", value=due or 0)
    alerts = session.scalar(select(func.count()).select_from(Alert).where(Alert.status == "open"))
    yield GaugeMetricFamily("nudges_alerts_open", "Alerts that nobody has acknowledged.", value=alerts or 0)


def _age_of_beats(session: Session, now: datetime) -> Metric:
    ages = GaugeMetricFamily("nudges_beat_age_seconds", "Time since a duty ran to its end.", labels=["duty"])
    for row in session.scalars(select(Heartbeat).order_by(Heartbeat.duty)):
        ages.add_metric([row.duty], (now - row.at).total_seconds())
    return ages
