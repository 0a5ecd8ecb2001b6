"""The safety net's figures for monitors: the last 30 days, by program. No personal data: labels are our own words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.alerts.figures import Spread
from nudges.desk import picture
from nudges.desk.picture import Picture
from nudges.models.program import Program

QUANTILES = (("0.5", "median"), ("0.95", "p95"))


def gauges(session: Session, now: datetime) -> Iterator[Metric]:
    """Everything that the figures page shows. A duration that nothing has had yet is left out."""
    ids = session.scalars(select(Program.id).order_by(Program.id)).all()
    every = {str(program_id): picture.picture(session, program_id, now=now) for program_id in ids}
    yield _texts(every)
    yield _durations(every, "reply", "From a crisis text to its reply, over 30 days.")
    yield _durations(every, "acknowledge", "From a crisis text to somebody who has it, over 30 days.")
    yield _one(every, "replies_undelivered", "Crisis replies that did not arrive, over 30 days.")
    yield _one(every, "pages_undelivered", "Pages that did not arrive, over 30 days.")
    yield _false_alarms(every)
    yield _one(every, "help_lines_due", "Help lines in use to be called again within 30 days.")
    yield _drill_age(every, now)
    yield from _versions(every)


def _texts(every: dict[str, Picture]) -> Metric:
    family = GaugeMetricFamily(
        "nudges_crisis_screened_texts", "Texts screened by level, over 30 days.", labels=["program", "level"]
    )
    for program, seen in every.items():
        for level, count in seen.figures.texts_by_level.items():
            family.add_metric([program, level], count)
    return family


def _durations(every: dict[str, Picture], what: str, words: str) -> Metric:
    family = GaugeMetricFamily(f"nudges_crisis_{what}_seconds", words, labels=["program", "quantile"])
    for program, seen in every.items():
        spread: Spread = getattr(seen.figures.total, f"to_{what}")
        for quantile, name in QUANTILES:
            value = getattr(spread, name)
            if value is not None:
                family.add_metric([program, quantile], value)
    return family


def _one(every: dict[str, Picture], what: str, words: str) -> Metric:
    family = GaugeMetricFamily(f"nudges_crisis_{what}", words, labels=["program"])
    for program, seen in every.items():
        values = {
            "replies_undelivered": seen.figures.undelivered_replies,
            "pages_undelivered": seen.figures.undelivered_pages,
            "help_lines_due": len(seen.due),
        }
        family.add_metric([program], values[what])
    return family


def _false_alarms(every: dict[str, Picture]) -> Metric:
    family = GaugeMetricFamily(
        "nudges_crisis_false_alarm_ratio",
        "Share of ended alerts that a rule took part in and that were false alarms, over 30 days.",
        labels=["program", "rule"],
    )
    for program, seen in every.items():
        for rule in seen.figures.by_rule:
            family.add_metric([program, rule.rule], rule.rate)
    return family


def _drill_age(every: dict[str, Picture], now: datetime) -> Metric:
    family = GaugeMetricFamily(
        "nudges_crisis_drill_age_seconds", "Time since the last drill that somebody acknowledged.", labels=["program"]
    )
    for program, seen in every.items():
        if seen.last_drill is not None:
            family.add_metric([program], (now - seen.last_drill).total_seconds())
    return family


def _versions(every: dict[str, Picture]) -> Iterator[Metric]:
    """Two numbers that differ for longer than a text's time say that this process cannot load what was published."""
    seen = next(iter(every.values()), None)
    published, in_force = (seen.version, seen.in_force) if seen is not None else (0, 0)
    yield GaugeMetricFamily("nudges_crisis_phrases_published", "Newest version of the crisis desk.", value=published)
    yield GaugeMetricFamily("nudges_crisis_phrases_in_force", "Version that this process screens by.", value=in_force)
