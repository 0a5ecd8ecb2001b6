"""Thousands due in one second, and a restart that comes a minute late: everything goes, and once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from sqlalchemy import func, select, update

from bench import places, town
from bench.figures import say
from bench.sending import NoSender, Shifted
from nudges.clock import SystemClock
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.outbound import lanes, planner, sender

DUE = 5_000


def measure(kind: str, postgres: str) -> None:
    """Parents of one second; the process is away for a minute, then two of them come back."""
    kept = lanes.BURST_SECONDS
    with places.migrated(kind, postgres) as engine:
        place = town.build(engine, parents=DUE, due=DUE)
        late = place.now + timedelta(seconds=60)
        for _ in range(2):
            planner.plan_due(place.sessions, now=late, library=town.LIBRARY)
        lanes.BURST_SECONDS = 1e6  # type: ignore[misc]
        with place.sessions.begin() as session:
            session.execute(update(Lane).values(segments_per_second=225.0, tokens=1e8, tokens_at=late))
        channel = NoSender()
        clock = Shifted(late + timedelta(seconds=1) - SystemClock().now())
        for owner in ("one", "two"):
            sender.drain(place.sessions, channel, place.lane_id, clock=clock, owner=owner, library=town.LIBRARY)
        lanes.BURST_SECONDS = kept  # type: ignore[misc]
        with place.sessions() as session:
            texts = Counter(
                dict(session.execute(select(Outbox.parent_id, func.count()).group_by(Outbox.parent_id)).all())
            )
    say(f"{DUE} due in one second, a minute late ({kind})", DUE - len(texts), "dropped", most=0.0)
    say(f"the same ({kind})", sum(texts.values()) - len(texts), "planned twice", most=0.0)
    say(f"the same ({kind})", len(channel.calls) - DUE, "calls too many", most=0.0, calls=len(channel.calls))
