"""Serve, migrate, try the demo, make the first account."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from functools import partial
from types import FrameType

import click
from sqlalchemy import select

from nudges import demo, factory, wiring
from nudges.cli.ready import migrate_database, ready, refuse_invented_families, settings_or_stop
from nudges.config import ENGINES
from nudges.demo import NotHere, SignIn
from nudges.families import programs, zones
from nudges.families.staff import StaffError, create_staff
from nudges.models.program import Program
from nudges.wiring import Wiring
from schedules.profile import Fault


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, envvar="PORT", help="Port to listen on (or PORT).")
@click.option("--with-demo", is_flag=True, help="Make the demo families first, if there are none.")
@click.option("--engine", type=click.Choice(ENGINES), help="What triggers the beat (or NUDGES_ENGINE).")
def serve(host: str, port: int, with_demo: bool, engine: str | None) -> None:
    """Serve the pages and webhooks, and run the scheduler, in one process."""
    built = ready(engine=engine)
    refuse_invented_families(built)
    sign_ins = _seeded(built) if with_demo else ()
    with built.sessions.begin() as session:
        wiring.publish_shipped(session, built.library, now=built.clock.now())
    signal.signal(signal.SIGTERM, _leave)
    greet = partial(_greet, host, port, sign_ins)
    try:
        factory.serve(factory.create_app(built), built, host=host, port=port, when_ready=greet)
    except OSError as error:
        words = error.strerror or type(error).__name__
        raise click.ClickException(f"Port {port} of {host} cannot be had: {words}. Give another --port.") from None
    finally:
        built.engine.dispose()


@click.command()
def migrate() -> None:
    """Bring the database to the newest tables."""
    settings = settings_or_stop()
    click.echo(f"The database is at {migrate_database(settings)}.")


@click.command("demo")
def make_demo() -> None:
    """Make the invented families of the demo, and print how to sign in."""
    built = ready()
    try:
        _print_sign_ins(_seeded(built))
    finally:
        built.engine.dispose()


@click.command()
@click.option("--program", "program_name", help="Name of the program, which the first admin brings along.")
@click.option("--timezone", help="The new program's time zone; America/Chicago without it.")
@click.option("--name", prompt="Your name", help="Shown to colleagues.")
@click.option("--email", prompt="E-mail", help="For signing in.")
@click.password_option(help="Twelve characters or more.")
def create_admin(program_name: str | None, timezone: str | None, name: str, email: str, password: str) -> None:
    """Make an admin account, and with the first one the program."""
    built = ready()
    now = built.clock.now()
    try:
        with built.sessions.begin() as session:
            program = session.scalar(select(Program).order_by(Program.id).limit(1))
            if program is None:
                program = programs.create_program(
                    session,
                    name=program_name or click.prompt("Name of the program"),
                    sender=built.settings.account.sender,
                    shipped=built.library.sources,
                    now=now,
                    timezone=_zone(timezone or "America/Chicago"),
                )
            elif (program_name or program.name, timezone or program.timezone) != (program.name, program.timezone):
                raise click.ClickException(
                    f"This database holds the program “{program.name}” ({program.timezone}). Leave --program and "
                    "--timezone out to make an admin of it; a second program needs a database of its own."
                )
            create_staff(session, program=program, email=email, name=name, role="admin", password=password, now=now)
    except StaffError as error:
        raise click.ClickException(str(error)) from None
    finally:
        built.engine.dispose()
    click.echo("Done. Sign in with this e-mail and password.")
    click.echo("Before the first family: have the replies to danger signed off (Program, Sign-off).")


# ---------------------------------------------------------------- pieces


def _seeded(built: Wiring) -> Sequence[SignIn]:
    try:
        return demo.seed(built)
    except NotHere as error:
        raise click.ClickException(str(error)) from None


def _leave(signum: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _zone(name: str) -> str:
    try:
        return zones.find(name)
    except Fault as fault:
        raise click.ClickException(f"{fault}.") from None


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
