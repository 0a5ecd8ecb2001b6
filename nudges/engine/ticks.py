"""What happens at each beat: the same code whatever engine triggers it. Each duty ends with a heartbeat."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from nudges.alerts import escalation
from nudges.engine.base import Engine
from nudges.inbound import spool
from nudges.inbound.texts import Deps
from nudges.models.program import Heartbeat
from nudges.outbound import lanes, planner, reconcile, sender, simulated
from nudges.wiring import Wiring

logger = logging.getLogger(__name__)

WATCH_SECONDS: Final = 10.0  # escalation counts minutes, look-ups too: more often would only cost


@dataclass(frozen=True, kw_only=True, slots=True)
class Duty:
    """A periodic duty, how often it runs and so when it is late."""

    name: str
    seconds: float
    run: Callable[[Wiring], dict[str, int]]


def duties(wiring: Wiring) -> tuple[Duty, ...]:
    """What an engine must trigger."""
    beat = wiring.settings.tick_seconds
    return (
        Duty(name="plan", seconds=beat, run=plan),
        Duty(name="send", seconds=beat, run=send),
        Duty(name="watch", seconds=max(beat, WATCH_SECONDS), run=watch),
    )


def attach(engine: Engine, wiring: Wiring) -> None:
    """Have an engine trigger every duty."""
    for duty in duties(wiring):
        engine.every(duty.seconds, duty.name, partial(safely, duty, wiring))


def safely(duty: Duty, wiring: Wiring) -> None:
    """Run a duty. A failure is logged and leaves no heartbeat, so readiness shows it; the next beat tries again."""
    try:
        run(duty, wiring)
    except Exception as error:
        # The class only: a database error quotes its parameters.
        logger.error("a duty failed: %s", type(error).__name__, extra={"action": duty.name})


def run(duty: Duty, wiring: Wiring) -> None:
    """Run a duty, and note that it came to its end."""
    began = wiring.clock.now()
    done = duty.run(wiring)
    with wiring.sessions.begin() as session:
        _note_beat(session, duty.name, began, {"every": duty.seconds, **done})


def _note_beat(session: Session, duty: str, at: datetime, detail: Mapping[str, float]) -> None:
    """One row for each duty, whichever process was the first to run it."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = insert(Heartbeat).values(duty=duty, at=at, detail=dict(detail))
    session.execute(
        row.on_conflict_do_update(index_elements=["duty"], set_={"at": row.excluded.at, "detail": row.excluded.detail})
    )


def run_all(wiring: Wiring) -> None:
    """One beat of every duty, in order: for tests, and for a demo whose clock has just been moved."""
    for duty in duties(wiring):
        run(duty, wiring)


def plan(wiring: Wiring) -> dict[str, int]:
    """Decide for everybody whose moment has come."""
    now = wiring.clock.now()
    return asdict(planner.plan_due(wiring.sessions, now=now, library=wiring.library))


def send(wiring: Wiring) -> dict[str, int]:
    """Drain every lane, and let the simulated carrier report."""
    now = wiring.clock.now()
    with wiring.sessions.begin() as session:
        ids = lanes.lane_ids(session, now)
    handed_over = 0
    for lane_id in ids:
        drained = sender.drain(
            wiring.sessions,
            wiring.channel,
            lane_id,
            clock=wiring.clock,
            owner=wiring.owner,
            stay_seconds=wiring.settings.tick_seconds / 2,
        )
        handed_over += drained.handed_over
    if wiring.channel.name == "phone":
        with wiring.sessions.begin() as session:
            simulated.report(session, now=now)
    return {"lanes": len(ids), "handed_over": handed_over}


def watch(wiring: Wiring) -> dict[str, int]:
    """Climb the ladder of unanswered alerts; handle what came while the database was away; settle what nobody knows."""
    now = wiring.clock.now()
    with wiring.sessions.begin() as session:
        escalated = escalation.escalate_due(session, now)
    replayed = spool.replay(wiring.sessions, spool.of(wiring.settings), deps=deps_of(wiring), now=now)
    looked = reconcile.look(wiring.sessions, wiring.channel, clock=wiring.clock)
    return {"escalated": escalated, "replayed": replayed, **asdict(looked)}


def deps_of(wiring: Wiring) -> Deps:
    """What handling a text needs, from the wiring."""
    return Deps(library=wiring.library, screen=wiring.screen, carrier_filters=wiring.settings.channel == "twilio")
