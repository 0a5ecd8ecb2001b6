"""`doctor`: checks the installation line by line."""

from __future__ import annotations

import sys
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from sqlalchemy.exc import SQLAlchemyError

from nudges import config, wiring
from nudges.config import ConfigError, Settings
from nudges.ledger import record
from nudges.models.program import Heartbeat
from nudges.web.health import readiness


@click.command()
def doctor() -> None:
    """Check the installation line by line; exit 1 when something is broken."""
    try:
        settings = config.load()
    except ConfigError as error:
        _line("fail", "settings", str(error).replace("\n", " "))
        sys.exit(1)
    _line("ok", "settings", f"{settings.channel} channel, {'production' if settings.production else 'trial'}")
    lines = [_check_zones(), *_check_service(settings)]
    for status, name, words in lines:
        _line(status, name, words)
    sys.exit(1 if any(status == "fail" for status, _, _ in lines) else 0)


def _line(status: str, name: str, words: str) -> None:
    colour = {"ok": "green", "warn": "yellow", "fail": "red"}[status]
    click.echo(f"{click.style(status.ljust(4), fg=colour)}  {name:<12} {words}")


def _check_zones() -> tuple[str, str, str]:
    try:
        ZoneInfo("America/Chicago")
    except ZoneInfoNotFoundError:
        return "fail", "time zones", "no time-zone data; install the tzdata package"
    return "ok", "time zones", "present"


def _check_service(settings: Settings) -> list[tuple[str, str, str]]:
    built = wiring.build(settings)
    now = built.clock.now()
    try:
        with built.sessions() as session:
            checks = readiness(session, now, expects_beats=session.get(Heartbeat, "plan") is not None)
            faults = record.verify(session)
    except SQLAlchemyError as error:
        mend = "run `python -m nudges migrate`, and check NUDGES_DATABASE_URL"
        return [("fail", "database", f"cannot be read ({type(error).__name__}); {mend}")]
    finally:
        built.engine.dispose()
    lines = [("ok", "database", built.engine.dialect.name)]
    lines += [("ok" if check.is_ok else "fail", check.name, check.words) for check in checks]
    lines.append(("fail", "ledger", faults[0]) if faults else ("ok", "ledger", "every entry is as it was written"))
    return lines
