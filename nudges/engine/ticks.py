"""What happens at each beat: the same code whatever engine triggers it. Each duty ends with a heartbeat."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import func, literal, select

from nudges.alerts import escalation, notices
from nudges.clock import ticking
from nudges.db import end_silent_transactions
from nudges.desk import drill
from nudges.engine import cleaning
from nudges.engine.base import Engine, Turn
from nudges.families import standings
from nudges.inbound import spool
from nudges.inbound.texts import Deps
from nudges.library import places
from nudges.models.family import Parent
from nudges.models.program import Program
from nudges.outbound import lanes, planner, reconcile, sender, simulated_carrier
from nudges.upkeep import beats, clock_steps, outlook, pings
from nudges.wiring import Wiring

logger = logging.getLogger(__name__)

WATCH_SECONDS: Final = 10.0  # escalation counts minutes, look-ups too: more often would only cost
CLEAN_SECONDS: Final = 3600.0
CHECK_SECONDS: Final = 6 * 3600.0  # whether everybody has a next thing: often enough that a day does not pass
SLICE_SECONDS: Final = 2.0  # how long one turn stays with a lane, so that a thread is never one lane's for long
SILENT_SECONDS: Final = 30.0  # in the middle of a transaction; the forecast and some pages think for a while
LEAST_SECONDS: Final = 0.05  # between two turns, when the first could do nothing with what was due


@dataclass(frozen=True, kw_only=True, slots=True)
class Duty:
    """A periodic duty, how often it runs and so when it is late.

    `run` does all of it. What it had to do may give another duty something to do: `wakes` names that one when
    `run` counts anything under `wakes_for`. `due` is when it will have something to do next, if that can be known.
    """

    name: str
    seconds: float
    run: Callable[[Wiring], dict[str, int]]
    wakes: str | None = None
    wakes_for: str = ""
    due: Callable[[Wiring], datetime | None] | None = None


def duties(wiring: Wiring) -> tuple[Duty, ...]:
    """What an engine must trigger."""
    beat = wiring.settings.tick_seconds
    return (
        Duty(name="plan", seconds=beat, run=plan, wakes="send", wakes_for="queued", due=next_plan),
        Duty(name="send", seconds=beat, run=send, due=next_text),
        Duty(name="watch", seconds=max(beat, WATCH_SECONDS), run=watch),
        Duty(name="notify", seconds=beat, run=notify),
        Duty(name="clean", seconds=CLEAN_SECONDS, run=clean),
        Duty(name="check", seconds=CHECK_SECONDS, run=check),
    )


def attach(engine: Engine, wiring: Wiring) -> None:
    """Have an engine trigger every duty. Sending is one turn for each lane that has something to send."""
    end_silent_transactions(wiring.engine, seconds=SILENT_SECONDS)
    for duty in duties(wiring):
        work = replace(duty, run=partial(call_lanes, engine)) if duty.name == "send" else duty
        engine.every(duty.seconds, duty.name, partial(take_turn, engine, work, wiring))


def take_turn(engine: Engine, duty: Duty, wiring: Wiring, turn: Turn) -> float | None:
    """Run a duty, or its part for one lane; in how many seconds it has something to do again, if that is known."""
    if turn.lane_id is not None:
        return send_lane(wiring, turn.lane_id, turn)
    done = safely(duty, wiring)
    if done is None:
        return None
    if duty.name == "watch":
        pings.ping(wiring.sessions, wiring.settings.ping_url, now=wiring.clock.now())
    if duty.wakes is not None and done.get(duty.wakes_for):
        engine.wake(duty.wakes)
    at = duty.due(wiring) if duty.due is not None else None
    return None if at is None else max(LEAST_SECONDS, (at - wiring.clock.now()).total_seconds())


def safely(duty: Duty, wiring: Wiring) -> dict[str, int] | None:
    """Run a duty. A failure is logged and leaves no heartbeat, so readiness shows it; the next beat tries again."""
    try:
        return run(duty, wiring)
    except Exception as error:
        # The class only: a database error quotes its parameters.
        logger.error("a duty failed: %s", type(error).__name__, extra={"action": duty.name})
        return None


def run(duty: Duty, wiring: Wiring) -> dict[str, int]:
    """Run a duty, and note that it came to its end. What it did, in counts."""
    began = wiring.clock.now()
    done = duty.run(wiring)
    with wiring.sessions.begin() as session:
        beats.note(session, duty.name, began, {"every": duty.seconds, **done})
    return done


def run_all(wiring: Wiring) -> None:
    """One beat of every duty, in order: for tests, and for a demo whose clock has just been moved."""
    for duty in duties(wiring):
        run(duty, wiring)


def plan(wiring: Wiring) -> dict[str, int]:
    """Decide for everybody whose moment has come."""
    now = wiring.clock.now()
    return asdict(planner.plan_due(wiring.sessions, now=now, library=wiring.library))


def next_plan(wiring: Wiring) -> datetime | None:
    """When the next parent's moment comes."""
    watched = Parent.status.in_([literal(status, literal_execute=True) for status in ("active", "paused")])
    with wiring.sessions() as session:
        return session.scalar(select(func.min(Parent.next_at)).where(watched, Parent.next_at.is_not(None)))


def send(wiring: Wiring) -> dict[str, int]:
    """Drain every lane one after the other, and let the simulated carrier report: a beat without an engine."""
    now = wiring.clock.now()
    with wiring.sessions.begin() as session:
        ids = lanes.lane_ids(session, now)
    stay = wiring.settings.tick_seconds / 2
    drain = drainer(wiring)
    drained = [drain(lane_id, stay_seconds=stay) for lane_id in ids]
    _let_phones_report(wiring)
    return {"lanes": len(ids), "handed_over": sum(one.handed_over for one in drained)}


def call_lanes(engine: Engine, wiring: Wiring) -> dict[str, int]:
    """Wake each lane whose turn has come: a lane with nothing to send costs nothing."""
    now = wiring.clock.now()
    with wiring.sessions() as session:
        turns = lanes.turns(session, now)
    due = [lane_id for lane_id, at in turns.items() if at <= now]
    for lane_id in due:
        engine.wake("send", lane_id)
    _let_phones_report(wiring)
    return {"lanes": len(due)}


def next_text(wiring: Wiring) -> datetime | None:
    """When a lane has something to send next. Lanes whose turn has come have been woken."""
    now = wiring.clock.now()
    with wiring.sessions() as session:
        return min((at for at in lanes.turns(session, now).values() if at > now), default=None)


def send_lane(wiring: Wiring, lane_id: int, turn: Turn) -> float | None:
    """Stay with one lane for a slice; in how many seconds it has something to send again, if anybody knows."""
    until = ticking() + SLICE_SECONDS
    try:
        drained = drainer(wiring)(
            lane_id,
            stay_seconds=SLICE_SECONDS,
            goes_on=lambda: ticking() < until and not turn.stopping.is_set(),
            sleep=turn.stopping.wait,
        )
        if not drained.had_lane:
            return None  # its holder looks again after giving it back, so what has come in is not forgotten
        now = wiring.clock.now()
        with wiring.sessions() as session:
            at = lanes.turns(session, now, lane_id=lane_id).get(lane_id)
    except Exception as error:
        logger.error("a lane failed: %s", type(error).__name__, extra={"action": "send", "lane_id": lane_id})
        return None
    least = 0.0 if drained.handed_over or drained.ended else LEAST_SECONDS
    return None if at is None else max(least, (at - now).total_seconds())


def drainer(wiring: Wiring) -> Callable[..., sender.Drained]:
    """`sender.drain`, with what this process gives it."""
    return partial(
        sender.drain,
        wiring.sessions,
        wiring.channel,
        clock=wiring.clock,
        library=wiring.library,
        owner=wiring.owner,
    )


def _let_phones_report(wiring: Wiring) -> None:
    if wiring.settings.provider.is_simulated:
        with wiring.sessions.begin() as session:
            simulated_carrier.report(session, now=wiring.clock.now())


def watch(wiring: Wiring) -> dict[str, int]:
    """Look after alerts, pages, rota and drills; handle what came while the database was away; settle what is open.

    First of all what a clock has written that stood ahead is undone.
    """
    now = wiring.clock.now()
    set_back = clock_steps.mend(wiring.sessions, now=now)
    with wiring.sessions.begin() as session:
        for program in session.scalars(select(Program)).all():
            places.remind(session, program, now=now)
        watched = {**escalation.watch(session, now), **drill.upkeep(session, now=now)}
        watched["behind"] = outlook.watch(session, now)
    replayed = replay_spool(wiring)
    looked = reconcile.look(wiring.sessions, wiring.channel, clock=wiring.clock)
    return {**watched, "replayed": replayed, **asdict(looked), "planned_again": set_back}


def notify(wiring: Wiring) -> dict[str, int]:
    """Hand notices over to messengers. A duty of its own: a messenger that hangs must not hold up a text."""
    return asdict(notices.drain(wiring.sessions, wiring.messenger, clock=wiring.clock))


def replay_spool(wiring: Wiring) -> int:
    """Handle the texts that came to this machine while the database was away. How many."""
    kept, now = spool.of(wiring.settings), wiring.clock.now()
    kept.rescue_drafts(now=now)
    return spool.replay(wiring.sessions, kept, deps=deps_of(wiring), now=now)


def attach_spool(engine: Engine, wiring: Wiring) -> None:
    """Have an engine replay this machine's spool: workers elsewhere look after their own disks only."""
    end_silent_transactions(wiring.engine, seconds=SILENT_SECONDS)

    def run(turn: Turn) -> None:
        replay_spool(wiring)

    engine.every(WATCH_SECONDS, "spool", run)


def check(wiring: Wiring) -> dict[str, int]:
    """See that no parent is left without a next thing, and how each one stands."""
    return asdict(standings.check_all(wiring.sessions, now=wiring.clock.now()))


def clean(wiring: Wiring) -> dict[str, int]:
    """Remove what has served its purpose, as docs/privacy.md promises."""
    return asdict(cleaning.clean(wiring.sessions, now=wiring.clock.now()))


def deps_of(wiring: Wiring) -> Deps:
    """What handling a text needs, from the wiring."""
    return Deps(library=wiring.library, screen=wiring.screen, carrier_filters=wiring.settings.provider.carriers_filter)
