"""`doctor`: checks the installation line by line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial

import click
from sqlalchemy.orm import Session

from nudges import config, wiring
from nudges.cli.backup import say
from nudges.clock import SystemClock
from nudges.config import ConfigError, Settings
from nudges.upkeep import examining
from nudges.upkeep.checks import Check, fail
from nudges.upkeep.examining import safely
from nudges.wiring import Wiring


@click.command()
def doctor() -> None:
    """Check the installation line by line; exit 1 when something is broken."""
    try:
        settings = config.load()
    except ConfigError as error:
        first, *faults = str(error).splitlines()
        say(fail("settings", fault.strip()) for fault in faults or [first])
        sys.exit(1)
    sys.exit(1 if say(_lines(settings)) else 0)


def _lines(settings: Settings) -> Iterator[Check]:
    machine = SystemClock()
    yield from safely("settings", partial(examining.settings_lines, os.environ, settings))
    yield from safely("disk", partial(examining.disk_lines, settings))
    try:
        built = wiring.build(settings)
    except Exception as error:
        words = (
            f"cannot be built ({type(error).__name__}): {error}" if isinstance(error, ValueError) else "cannot be built"
        )
        yield fail("service", words)
        return
    try:
        yield from safely("database", lambda: _database(built, machine))
        yield from safely("provider", lambda: _provider(built, machine))
    finally:
        built.engine.dispose()


def _database(built: Wiring, machine: SystemClock) -> Iterator[Check]:
    return examining.database_lines(built.engine, built.settings, built.clock.now(), machine.now())


def _provider(built: Wiring, machine: SystemClock) -> Iterator[Check]:
    with Session(built.engine) as session:
        yield from examining.provider_lines(built.settings, session, machine.now())
