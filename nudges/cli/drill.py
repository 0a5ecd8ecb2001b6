"""`drill`: a marked crisis through the real path, with its times."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Final

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.cli.ready import ready
from nudges.desk import drill as rehearsal
from nudges.desk.drill import DrillError, Report
from nudges.engine import ticks
from nudges.models.phrases import Drill
from nudges.models.program import Heartbeat, Program
from nudges.wiring import Wiring

LOOK_EVERY: Final = 1.0  # seconds
FRESH: Final = timedelta(seconds=30)


@click.command()
@click.option("--program", "name", help="Name of the program; needed where there are several.")
@click.option(
    "--wait",
    default=120,
    show_default=True,
    type=click.IntRange(0, 840),
    help="Seconds to wait for the page and its acknowledgement.",
)
def drill(name: str | None, wait: int) -> None:
    """Send a marked crisis of the drill family through the real path, and report its times.

    Whoever is on call is paged, and should acknowledge by texting 1 or on the alert's page. No parent is texted.
    Exit 1 when the text was not seen as a crisis, no page left, or nobody acknowledged in time.
    """
    built = ready()
    try:
        report = _held(built, name, wait)
    finally:
        built.engine.dispose()
    _print(report)
    sys.exit(0 if report.is_complete else 1)


def _held(built: Wiring, name: str | None, wait: int) -> Report:
    # The encoder loads in seconds; a service that serves has done that long ago.
    built.screen("warm up the encoder", recent=(), own_texts=(), open_episode=False)
    with built.sessions() as session:
        program_id = _program(session, name).id
        sends_itself = not _is_served(session, built)
    if sends_itself:
        click.echo("No service is running beside this command, so the drill sends its own page.")
    try:
        drill_id = rehearsal.hold_one(
            built.sessions, ticks.deps_of(built), program_id=program_id, staff_id=None, clock=built.clock
        )
    except DrillError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Drill {drill_id} is under way.")
    return _awaited(built, drill_id, wait, sends_itself=sends_itself)


def _awaited(built: Wiring, drill_id: int, wait: int, *, sends_itself: bool) -> Report:
    waited = 0.0
    while True:
        if sends_itself:
            ticks.send(built)
            ticks.notify(built)
        with built.sessions() as session:
            report = rehearsal.report(session, session.get_one(Drill, drill_id))
        if report.is_complete or waited >= wait:
            return report
        time.sleep(LOOK_EVERY)
        waited += LOOK_EVERY


def _program(session: Session, name: str | None) -> Program:
    programs = session.scalars(select(Program).order_by(Program.id)).all()
    if not programs:
        raise click.ClickException("There is no program yet. Make one with `python -m nudges create-admin`.")
    named = [program for program in programs if name in (None, program.name)]
    if len(named) == 1:
        return named[0]
    known = ", ".join(program.name for program in programs)
    raise click.ClickException(f"Say which program with --program. There are: {known}.")


def _is_served(session: Session, built: Wiring) -> bool:
    """Has a service sent lately? Two senders at once would be harmless, but would hide that none is running."""
    beat = session.get(Heartbeat, "send")
    return beat is not None and built.clock.now() - beat.at < FRESH


def _print(report: Report) -> None:
    lines = (
        ("seen as", report.level, report.level == "crisis"),
        ("answered after", f"{report.answered:.2f} s", True),
        ("page queued after", _seconds(report.paged, "nobody is on call"), report.paged is not None),
        ("page handed over after", _seconds(report.handed_over, "not yet"), report.handed_over is not None),
        ("acknowledged after", _seconds(report.acknowledged, "by nobody yet"), report.acknowledged is not None),
    )
    for label, value, is_good in lines:
        click.echo(f"{label:<23} {click.style(value, fg='green' if is_good else 'red')}")


def _seconds(value: float | None, missing: str) -> str:
    return missing if value is None else f"{value:.1f} s"
