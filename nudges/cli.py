"""`python -m nudges`: serve, migrate, try the demo, look after the installation."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from alembic import command
from alembic.config import Config
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from nudges import config, demo, factory, wiring
from nudges.cli_book import book
from nudges.cli_lint import lint, schema
from nudges.cli_screen import screen
from nudges.cli_simulate import simulate
from nudges.config import ConfigError, Settings
from nudges.demo import NotHere, SignIn
from nudges.families import programs
from nudges.families.staff import StaffError, create_staff
from nudges.ledger import record
from nudges.models.program import Heartbeat, Program
from nudges.web.health import head_revision, readiness
from nudges.wiring import Wiring

ROOT: Final = Path(__file__).resolve().parents[1]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Texts parents at the few moments that help, waits when waiting helps, and answers danger at once."""


main.add_command(screen)
main.add_command(simulate)
main.add_command(lint)
main.add_command(schema)
main.add_command(book)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, envvar="PORT", help="Port to listen on (or PORT).")
@click.option("--with-demo", is_flag=True, help="Make the demo families first, if there are none.")
def serve(host: str, port: int, with_demo: bool) -> None:
    """Serve the pages and webhooks, and run the scheduler, in one process."""
    built = _ready()
    sign_ins = _seeded(built) if with_demo else ()
    with built.sessions.begin() as session:
        wiring.publish_shipped(session, built.library, now=built.clock.now())
    signal.signal(signal.SIGTERM, _leave)
    _greet(host, port, sign_ins)
    try:
        factory.serve(factory.create_app(built), built, host=host, port=port)
    finally:
        built.engine.dispose()


@main.command()
def migrate() -> None:
    """Bring the database to the newest tables."""
    settings = _settings()
    migrate_database(settings)
    click.echo(f"The database is at {head_revision()}.")


@main.command("demo")
def make_demo() -> None:
    """Make the invented families of the demo, and print how to sign in."""
    _print_sign_ins(_seeded(_ready()))


@main.command()
@click.option("--program", "program_name", help="Name of the program; needed for the first admin.")
@click.option("--timezone", default="America/Chicago", show_default=True, help="The program's time zone.")
@click.option("--name", prompt="Your name", help="Shown to colleagues.")
@click.option("--email", prompt="E-mail", help="For signing in.")
@click.password_option(help="Twelve characters or more.")
def create_admin(program_name: str | None, timezone: str, name: str, email: str, password: str) -> None:
    """Make an admin account, and with the first one the program."""
    built = _ready()
    now = built.clock.now()
    try:
        with built.sessions.begin() as session:
            program = session.scalar(select(Program).order_by(Program.id).limit(1))
            if program is None:
                program = programs.create_program(
                    session,
                    name=program_name or click.prompt("Name of the program"),
                    sender=_sender(built.settings),
                    shipped=built.library.sources,
                    now=now,
                    timezone=_zone(timezone),
                )
            create_staff(session, program=program, email=email, name=name, role="admin", password=password, now=now)
    except StaffError as error:
        raise click.ClickException(str(error)) from None
    click.echo("Done. Sign in with this e-mail and password.")


@main.command()
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


# ---------------------------------------------------------------- pieces


def migrate_database(settings: Settings) -> None:
    """Run all migrations. Makes the folder of a SQLite file first."""
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    alembic = Config(str(ROOT / "alembic.ini"))
    alembic.attributes["url"] = settings.database_url
    command.upgrade(alembic, "head")


def _settings() -> Settings:
    try:
        return config.load()
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def _ready() -> Wiring:
    """Settings read, database migrated, objects built."""
    settings = _settings()
    _log()
    migrate_database(settings)
    return wiring.build(settings)


def _seeded(built: Wiring) -> Sequence[SignIn]:
    try:
        return demo.seed(built)
    except NotHere as error:
        raise click.ClickException(str(error)) from None


def _leave(signum: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _sender(settings: Settings) -> str:
    if settings.twilio is None:
        return demo.SENDER
    return settings.twilio.messaging_service_sid or settings.twilio.from_number or ""


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError):
        raise click.ClickException(f"{name} is no time zone; write one such as America/Chicago.") from None


def _greet(host: str, port: int, sign_ins: Sequence[SignIn]) -> None:
    shown = "127.0.0.1" if host == "0.0.0.0" else host
    click.echo(f"Nudges is at http://{shown}:{port}")
    if sign_ins:
        click.echo(f"The simulated phones are at http://{shown}:{port}/phone")
        _print_sign_ins(sign_ins)
    click.echo("Stop with Ctrl-C.")


def _print_sign_ins(sign_ins: Sequence[SignIn]) -> None:
    click.echo("Sign in as:")
    for sign_in in sign_ins:
        click.echo(f"  {sign_in.role:<10} {sign_in.email:<24} {sign_in.password}")


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("apscheduler", "alembic", "twilio.http_client"):  # the last would log numbers in URLs
        logging.getLogger(name).setLevel(logging.WARNING)


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
