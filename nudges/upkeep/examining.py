"""The doctor's checks: each says ok, warn or fail, what it looked at, and how to mend it. None shows a secret."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import psycopg
from sqlalchemy import Engine, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from nudges.alerts import on_call, reach
from nudges.config import Settings
from nudges.db import Base, Sealed
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.program import Heartbeat, Lane, Program
from nudges.upkeep import backups
from nudges.upkeep.checks import Check, fail, ok, warn
from nudges.upkeep.readiness import readiness

# Name, whether it holds a secret, whether production needs it. The provider has its own (channels.provider).
SETTINGS: Final = (
    ("NUDGES_DATABASE_URL", True, True),
    ("NUDGES_CHANNEL", False, False),
    ("NUDGES_PUBLIC_URL", False, True),
    ("NUDGES_PRODUCTION", False, False),
    ("NUDGES_SECRET_KEY", True, True),
    ("NUDGES_ENCRYPTION_KEYS", True, True),
    ("NUDGES_INDEX_KEY", True, True),
    ("NUDGES_SPOOL_DIR", False, False),
    ("NUDGES_RUN_SCHEDULER", False, False),
    ("NUDGES_ENGINE", False, False),
    ("NUDGES_TICK_SECONDS", False, False),
    ("NUDGES_SEQUENCES_DIR", False, False),
    ("NUDGES_LOG", False, False),
    ("NUDGES_PING_URL", True, False),
)
PLACEHOLDERS: Final = ("changeme", "change-me", "change_me", "example", "placeholder", "xxxx", "todo", "<", "your-")
MOST_SKEW: Final = timedelta(seconds=5)
LEAST_FREE: Final = 1_000_000_000  # bytes: below it a warning, below a tenth of it a failure
OLD_BACKUP: Final = timedelta(hours=26)


# ---------------------------------------------------------------- settings


def settings_lines(environ: Mapping[str, str], settings: Settings) -> Iterator[Check]:
    """Each setting: set, unset or left at a placeholder."""
    theirs = ((name, is_secret, False) for name, is_secret in settings.provider.variables)
    for name, is_secret, is_needed in (*SETTINGS, *theirs):
        value = environ.get(name)
        source = "set"
        if value is None and f"{name}_FILE" in environ:
            value, source = "from a file", f"set by {name}_FILE"
        if value is None:
            yield _unset(name, is_needed=is_needed, production=settings.production)
        elif is_secret and any(word in value.lower() for word in PLACEHOLDERS[:-2]) and "://" not in value:
            yield warn(name, "looks like a placeholder: put your own value there")
        else:
            yield ok(name, source if is_secret or source != "set" else f"set to {value}")
    if settings.stage.is_rehearsal:
        yield warn("NUDGES_PRODUCTION", "is a rehearsal: no text reaches a phone. Set it to true for real families")
    elif not settings.production:
        yield warn(
            "NUDGES_PRODUCTION", "is not true: development keys and plain http are accepted. Set it for real families"
        )


def _unset(name: str, *, is_needed: bool, production: bool) -> Check:
    if is_needed:
        words = "not set: the built-in one is for trying things out only"
        return fail(name, words) if production else warn(name, words)
    return ok(name, "not set")


# ---------------------------------------------------------------- the database and what is in it


def database_lines(engine: Engine, settings: Settings, now: datetime, machine: datetime) -> Iterator[Check]:
    """Reachable, version, migrations, clock, keys, zones, beats, lanes, backups, on-call."""
    try:
        with engine.connect() as connection:
            yield _version(connection.scalar(text(_VERSION[engine.dialect.name])), engine.dialect.name)
            yield _skew(connection.scalar(text(_CLOCK[engine.dialect.name])), machine, "clock", "the database's")
            if engine.dialect.name == "postgresql":
                yield durability({row.name: row.setting for row in connection.execute(text(_DURABLE))})
        with Session(engine) as session:
            for check in readiness(session, now, expects_beats=session.get(Heartbeat, "plan") is not None):
                yield check if check.is_ok else fail(check.name, _mend(check.name, check.words))
            yield _ledger(session)
            yield _keys(session)
            yield from _zones(session)
            yield _backups(session, now)
            yield from _on_call(session, now)
    except SQLAlchemyError as error:
        yield fail("database", _UNREADABLE.format(type(error).__name__))


_UNREADABLE: Final = "cannot be read ({}): check NUDGES_DATABASE_URL, and run python -m nudges migrate"
_VERSION: Final = {"sqlite": "SELECT sqlite_version()", "postgresql": "SHOW server_version"}
_CLOCK: Final = {
    "sqlite": "SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')",
    "postgresql": "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')",
}
_DURABLE: Final = (
    "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')"
)
_MENDS: Final = {
    "beat": "start serve or a worker, or look into its log",
    "backlog": "look at Program, Sending: a paused lane, a slow pace, or no worker",
    "lanes": "look at Program, Sending; for a restored backup run python -m nudges restored",
}


def _mend(name: str, words: str) -> str:
    mend = _MENDS.get(name.partition("_")[0])
    return words if mend is None else f"{words}: {mend}"


def durability(settings: Mapping[str, str]) -> Check:
    """Does PostgreSQL keep what it has committed when it crashes? If not, what was marked `sending` is sent again."""
    off = sorted(name for name, setting in settings.items() if setting == "off")
    if not off:
        return ok("durability", "what is committed survives a crash")
    return fail(
        "durability",
        f"{', '.join(off)} off: a crash of PostgreSQL forgets which texts were sent, and sends them again; "
        "set to on in postgresql.conf",
    )


def _version(found: Any, kind: str) -> Check:
    words = f"{'PostgreSQL' if kind == 'postgresql' else 'SQLite'} {found}"
    numbers = str(found).split(" ")[0].split(".")
    least = (14, 0) if kind == "postgresql" else (3, 35)
    if tuple(int(number) for number in numbers[:2] if number.isdigit()) < least:
        return fail("database", f"{words} is too old: use {least[0]}.{least[1]} or newer")
    return ok("database", words)


def _skew(theirs: Any, machine: datetime, name: str, whose: str) -> Check:
    at = theirs if isinstance(theirs, datetime) else datetime.fromisoformat(str(theirs)).replace(tzinfo=UTC)
    skew = abs(at - machine)
    words = f"{skew.total_seconds():.1f} s from {whose}"
    return ok(name, words) if skew <= MOST_SKEW else fail(name, f"{words}: let both machines set their clocks (NTP)")


def _ledger(session: Session) -> Check:
    faults = record.verify(session)
    return (
        fail("ledger", f"{faults[0]}: compare with a backup") if faults else ok("ledger", "every entry is as written")
    )


def _keys(session: Session) -> Check:
    """Open the oldest and the newest value of each sealed column."""
    opened = 0
    for table in Base.metadata.sorted_tables:
        keys = list(table.primary_key.columns)
        for column in (column for column in table.columns if isinstance(column.type, Sealed)):
            for order in (keys, [key.desc() for key in keys]):
                try:
                    values = session.scalars(select(column).where(column.is_not(None)).order_by(*order).limit(1)).all()
                except ValueError:
                    where = f"{table.name}.{column.name}"
                    return fail(
                        "keys",
                        f"{where} cannot be opened: put the old key behind the new one in NUDGES_ENCRYPTION_KEYS",
                    )
                opened += len(values)
    return ok("keys", f"{opened} sealed values opened" if opened else "nothing is sealed yet")


def _zones(session: Session) -> Iterator[Check]:
    try:
        data = f"tzdata {version('tzdata')}"
    except PackageNotFoundError:
        data = "the system's"
    if not available_timezones():
        yield fail("time zones", "no time-zone data: install the tzdata package")
        return
    used = set(session.scalars(select(Program.timezone)))
    used |= {str(zone) for zone in session.scalars(select(Parent.profile["timezone"].as_string()).distinct()) if zone}
    unknown = sorted(zone for zone in used if not _exists(zone))
    if unknown:
        yield fail("time zones", f"{', '.join(unknown)} is not in {data}: update the tzdata package")
    else:
        yield ok("time zones", f"{data}; {len(used)} in use, all known")


def _exists(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _backups(session: Session, now: datetime) -> Check:
    last = session.get(Heartbeat, backups.DUTY)
    if last is None:
        return warn("backups", "none was made yet: python -m nudges backup, each night (deploy/nudges-backup.timer)")
    age = now - last.at
    words = f"the last one is {age.total_seconds() / 3600:.0f} h old"
    return ok("backups", words) if age <= OLD_BACKUP else warn("backups", f"{words}: is the timer running?")


def _on_call(session: Session, now: datetime) -> Iterator[Check]:
    """Who would be paged now, as the alerts themselves see it: nobody on call is the gap that hurts most."""
    for program in session.scalars(select(Program).order_by(Program.id)):
        roster = reach.roster(session, program.id)
        duty = on_call.on_duty(session, program.id, at=now, roster=roster)
        if duty.first is None:
            yield fail("on call", _NOBODY)
            continue
        if not roster.ways[duty.first.id].is_open:
            yield fail("on call", "whoever is first has no phone and no address that takes pages: see Program, Staff")
        elif duty.backup is None:
            yield warn("on call", "one person only: name a second one, for when the first does not answer")
        else:
            yield ok("on call", f"{len(duty.ids)} people")
        for gap in on_call.gaps(session, program, since=now, until=now + on_call.LOOK_AHEAD)[:1]:
            begins = gap.starts_at.astimezone(ZoneInfo(program.timezone))
            yield warn(
                "on call", f"nobody from {begins:%a %d %b %H:%M} ({program.timezone}): fill it under Program, On call"
            )


_NOBODY: Final = (
    "nobody is paged now when a text shows danger: an admin fills the rota under Program, On call, "
    "or gives somebody a phone and a place in the order under Program, Staff"
)


# ---------------------------------------------------------------- the machine


def disk_lines(settings: Settings) -> Iterator[Check]:
    """Room for the database (where it is a file here) and for the spool."""
    url = make_url(settings.database_url)
    places = {"disk, spool": settings.spool_dir}
    if url.get_backend_name() == "sqlite" and url.database:
        places["disk, database"] = Path(url.database).parent
    for name, path in places.items():
        folder = next((parent for parent in (path, *path.resolve().parents) if parent.exists()), Path("/"))
        free = shutil.disk_usage(folder).free
        words = f"{free / 1e9:.1f} GB free"
        if not os.access(folder, os.W_OK):
            yield fail(name, f"{folder} cannot be written: give it to the service's user")
        elif free < LEAST_FREE / 10:
            yield fail(name, f"{words}: make room, a full disk loses texts")
        elif free < LEAST_FREE:
            yield warn(name, f"{words}: make room soon")
        else:
            yield ok(name, words)


# ---------------------------------------------------------------- the provider


def provider_lines(settings: Settings, session: Session, machine: datetime) -> Iterator[Check]:
    """What the provider itself says, whether its clock is ours, and whether the lanes text from its sender."""
    name = settings.provider.name
    for remark in settings.account.examine(settings.public_url, settings.stage):
        if remark.clock is not None:
            yield _skew(remark.clock, machine, f"clock, {name}", "the provider's")
        yield Check(status=remark.status, name=remark.name, words=remark.words)
    others = [lane.id for lane in session.scalars(select(Lane)) if lane.sender != settings.account.sender]
    if others:
        words = f"lane {others[0]} has another sender than the settings: texts leave from the lane's"
        yield warn(f"{name} sender", words)


Lines = Callable[[], Iterator[Check]]


def safely(name: str, lines: Lines) -> Iterator[Check]:
    """Lines of one kind; whatever breaks is a line too, never a traceback."""
    try:
        yield from lines()
    except (SQLAlchemyError, sqlite3.Error, psycopg.Error) as error:
        yield fail(name, _UNREADABLE.format(type(error).__name__))
    except Exception as error:
        yield fail(name, f"could not be examined ({type(error).__name__}): please report it with this line")
