"""Is it alive, is it ready, how is it doing: for supervisors and monitors. No personal data, no sign-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from flask import Blueprint, Response, current_app, jsonify
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from sqlalchemy.exc import SQLAlchemyError

from nudges.desk.live import follow
from nudges.upkeep.checks import fail
from nudges.upkeep.figures import Figures
from nudges.upkeep.readiness import readiness
from nudges.web import crisis_metrics
from nudges.web.context import wiring

health = Blueprint("health", __name__)
_FIGURES: Final = "nudges.figures"


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
        checks = [fail("database", f"cannot be read ({type(error).__name__})")]
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
        families = [*_figures().read(session, now), *crisis_metrics.gauges(session, now)]
    registry.register(_Read(families))
    return Response(generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")


def _figures() -> Figures:
    """One per process: it remembers what it has counted."""
    return cast(Figures, current_app.extensions.setdefault(_FIGURES, Figures()))


class _Read:
    """Figures that were read once, in the shape that the Prometheus library collects."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families
