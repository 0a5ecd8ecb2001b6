"""The doctor's checks: each says ok, warn or fail, what it looked at, and how to mend it. None shows a secret."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import psycopg
import requests
from sqlalchemy import Engine, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from nudges.channels.twilio_http import Endpoint, UnsafeEndpoint
from nudges.config import Settings, TwilioSettings
from nudges.db import Base, Sealed
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.program import Heartbeat, Lane, Program, Staff
from nudges.upkeep import backups
from nudges.upkeep.checks import Check, fail, ok, warn
from nudges.upkeep.readiness import readiness

# name, whether it holds a secret, whether production needs it
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
    ("TWILIO_ACCOUNT_SID", True, False),
    ("TWILIO_AUTH_TOKEN", True, False),
    ("TWILIO_MESSAGING_SERVICE_SID", True, False),
    ("TWILIO_FROM_NUMBER", True, False),
    ("TWILIO_API_BASE", False, False),
)
PLACEHOLDERS: Final = ("changeme", "change-me", "change_me", "example", "placeholder", "xxxx", "todo", "<", "your-")
MOST_SKEW: Final = timedelta(seconds=5)
LEAST_FREE: Final = 1_000_000_000  # bytes: below it a warning, below a tenth of it a failure
OLD_BACKUP: Final = timedelta(hours=26)
WEBHOOK_OPTIONS: Final = (
    "#rc=2&rp=all&rt=4000&ct=2000"  # try again on errors and slow answers, not only on no connection
)
TIMEOUT_SECONDS: Final = 10.0
_SERVICES: Final = "https://messaging.twilio.com/v1/Services/"
_ACCOUNTS: Final = "https://api.twilio.com/2010-04-01/Accounts/"


# ---------------------------------------------------------------- settings


def settings_lines(environ: Mapping[str, str], settings: Settings) -> Iterator[Check]:
    """Each setting: set, unset or left at a placeholder."""
    for name, is_secret, is_needed in SETTINGS:
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
    if not settings.production:
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
            yield from _on_call(session)
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


def _on_call(session: Session) -> Iterator[Check]:
    """Nobody on call is the gap that hurts most."""
    for program in session.scalars(select(Program).order_by(Program.id)):
        reachable = select(func.count()).where(
            Staff.program_id == program.id, Staff.is_active, Staff.on_call_rank.is_not(None)
        )
        count = session.scalar(reachable) or 0
        if not count:
            yield fail("on call", "nobody is paged when a text shows danger: an admin sets it under Program, Staff")
        elif count == 1:
            yield warn("on call", "one person only: name a second one, for when the first does not answer")
        else:
            yield ok("on call", f"{count} people")


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


# ---------------------------------------------------------------- Twilio


def twilio_lines(settings: Settings, session: Session, machine: datetime) -> Iterator[Check]:
    """Credentials, clock, sender and webhooks, as Twilio itself says."""
    twilio = settings.twilio
    if twilio is None:
        yield ok("twilio", "not used: phones are simulated")
        return
    asking = _Asking(twilio, production=settings.production)
    account = asking.get(f"{_ACCOUNTS}{twilio.account_sid}.json")
    yield from asking.credentials(account, machine)
    if account is None or account.status_code != 200:
        return
    yield from _senders_agree(session, twilio)
    if twilio.messaging_service_sid is not None:
        yield from asking.service(settings, twilio.messaging_service_sid)
    else:
        yield warn("twilio sender", "a single number: use a Messaging Service with Advanced Opt-Out")
    yield warn(
        "10DLC",
        "cannot be seen from here: is the brand registered, is the campaign approved for this use case, are its "
        "numbers in the Messaging Service? Unregistered texts to the US are blocked (30034); T-Mobile takes 2,000 "
        "segments a day from an ordinary brand",
    )


def _senders_agree(session: Session, twilio: TwilioSettings) -> Iterator[Check]:
    ours = twilio.messaging_service_sid or twilio.from_number
    others = [lane.id for lane in session.scalars(select(Lane)) if lane.sender != ours]
    if others:
        words = f"lane {others[0]} has another sender than the settings: texts leave from the lane's"
        yield warn("twilio sender", words)


class _Asking:
    """Questions to Twilio: read only, by https, or to a local fake."""

    def __init__(self, twilio: TwilioSettings, *, production: bool) -> None:
        self.twilio = twilio
        self.endpoint = Endpoint(api_base=twilio.api_base, production=production)
        self.trouble = ""

    def get(self, url: str) -> requests.Response | None:
        """The answer, or none with `trouble` said."""
        try:
            return requests.get(
                self.endpoint.target(url),
                auth=(self.twilio.account_sid, self.twilio.auth_tokens[0]),
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except (requests.RequestException, UnsafeEndpoint) as error:
            self.trouble = type(error).__name__
            return None

    def credentials(self, account: requests.Response | None, machine: datetime) -> Iterator[Check]:
        if account is None:
            yield fail("twilio", f"cannot be reached ({self.trouble}): check the network and TWILIO_API_BASE")
            return
        if "Date" in account.headers:
            yield _skew(_http_date(account.headers["Date"]), machine, "clock, twilio", "Twilio's")
        if account.status_code in (401, 403, 404):
            yield fail(
                "twilio", "refuses TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN: copy both from the console's first page"
            )
        elif account.status_code != 200:
            yield fail("twilio", f"answers {account.status_code}: try again later, see status.twilio.com")
        elif _body(account).get("status", "active") != "active":
            yield fail("twilio", "the account is suspended or closed: see the console")
        else:
            yield ok("twilio", "accepts the credentials")

    def service(self, settings: Settings, sid: str) -> Iterator[Check]:
        answer = self.get(f"{_SERVICES}{sid}")
        if answer is None or answer.status_code != 200:
            trouble = self.trouble if answer is None else answer.status_code
            yield fail(
                "twilio service",
                f"TWILIO_MESSAGING_SERVICE_SID is not known there ({trouble}): copy it from the console",
            )
            return
        found = _body(answer)
        yield from _webhook(found, "inbound_request_url", f"{settings.public_url}/twilio/inbound{WEBHOOK_OPTIONS}")
        yield from _webhook(found, "fallback_url", f"{settings.public_url}/twilio/fallback")
        if found.get("status_callback"):
            yield warn(
                "twilio status", "the service has a status callback of its own: leave it empty, each text names ours"
            )
        if found.get("use_inbound_webhook_on_number"):
            yield fail(
                "twilio inbound",
                "the service leaves inbound texts to each number: choose “Send a webhook” for the service",
            )
        if found.get("smart_encoding"):
            yield warn("twilio encoding", "Smart Encoding changes texts after they were signed off: switch it off")
        numbers = self.get(f"{_SERVICES}{sid}/PhoneNumbers")
        count = (
            len(_body(numbers).get("phone_numbers", ())) if numbers is not None and numbers.status_code == 200 else 0
        )
        yield (
            ok("twilio numbers", f"{count} in the service")
            if count
            else fail("twilio numbers", "the service has no number: add one")
        )


def _webhook(found: Mapping[str, Any], field: str, wanted: str) -> Iterator[Check]:
    name = f"twilio {field.partition('_')[0]}"
    has = str(found.get(field) or "")
    if has == wanted:
        yield ok(name, "is ours")
    elif has.partition("#")[0] == wanted.partition("#")[0]:
        yield warn(name, f"has other retries than {wanted.partition('#')[2]}: a text that meets a restart may be lost")
    else:
        yield fail(name, f"should be {wanted}; Twilio has {has or 'nothing'}")


def _body(answer: requests.Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _http_date(written: str) -> datetime:
    return parsedate_to_datetime(written).astimezone(UTC)


Lines = Callable[[], Iterator[Check]]


def safely(name: str, lines: Lines) -> Iterator[Check]:
    """Lines of one kind; whatever breaks is a line too, never a traceback."""
    try:
        yield from lines()
    except (SQLAlchemyError, sqlite3.Error, psycopg.Error) as error:
        yield fail(name, _UNREADABLE.format(type(error).__name__))
    except Exception as error:
        yield fail(name, f"could not be examined ({type(error).__name__}): please report it with this line")
