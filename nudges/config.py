"""Settings, read once from the environment, frozen, failing at start with the variable's name."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


class ConfigError(Exception):
    """One or more settings are missing or malformed; the message lists all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TwilioSettings:
    """What the Twilio channel needs. Tokens: the first one signs our calls, all are accepted on webhooks."""

    account_sid: str
    auth_tokens: tuple[str, ...]
    messaging_service_sid: str | None
    from_number: str | None
    api_base: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that differs between installations. See docs/running.md for each variable."""

    database_url: str
    channel: str  # "phone" | "twilio"
    public_url: str
    production: bool
    secret_key: str
    encryption_keys: tuple[bytes, ...]  # 32 bytes each; the first encrypts, all decrypt
    index_key: bytes  # keys the blind index of phone numbers
    spool_dir: Path
    run_scheduler: bool
    engine: str  # "embedded" | "distributed": what triggers the beat
    tick_seconds: float
    sequences_dir: Path | None
    twilio: TwilioSettings | None
    log: str = "words"  # or "json": one object a line
    ping_url: str | None = None  # told each minute that all is well


LOGS = ("words", "json")
ENGINES = ("embedded", "distributed")
DEV_KEY = base64.urlsafe_b64encode(b"nudges-development-only-key-32b!").decode()


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Parse the environment. Raises ConfigError naming every bad variable and what it should look like."""
    return _Reader(os.environ if environ is None else environ).settings()


class _Reader:
    """Reads variables one by one and collects what is wrong, so that all faults show at once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.faults: list[str] = []

    def settings(self) -> Settings:
        production = self.flag("NUDGES_PRODUCTION", default=False)
        channel = self.choice("NUDGES_CHANNEL", ("phone", "twilio"), default="phone")
        keys = self.keys(production=production)
        database_url = self.database_url(production=production)
        settings = Settings(
            database_url=database_url,
            channel=channel,
            public_url=self.public_url(production=production, channel=channel),
            production=production,
            secret_key=self.required("NUDGES_SECRET_KEY", production=production, otherwise=DEV_KEY),
            encryption_keys=keys,
            index_key=self.index_key(keys, production=production),
            spool_dir=Path(self.get("NUDGES_SPOOL_DIR") or "var/spool"),
            run_scheduler=self.flag("NUDGES_RUN_SCHEDULER", default=True),
            engine=self.engine(database_url),
            tick_seconds=self.seconds("NUDGES_TICK_SECONDS", default=2.0),
            sequences_dir=Path(path) if (path := self.get("NUDGES_SEQUENCES_DIR")) else None,
            twilio=self.twilio(production=production) if channel == "twilio" else None,
            log=self.choice("NUDGES_LOG", LOGS, default="words"),
            ping_url=self.ping_url(),
        )
        if self.faults:
            raise ConfigError("Nudges cannot start:\n  " + "\n  ".join(self.faults))
        return settings

    def get(self, name: str) -> str | None:
        """The value of NAME, or the content of the file that NAME_FILE points to."""
        value, path = self.environ.get(name), self.environ.get(f"{name}_FILE")
        if value is not None and path is not None:
            self.faults.append(f"{name} and {name}_FILE are both set; keep one of them.")
        if value is None and path is not None:
            try:
                value = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                self.faults.append(f"{name}_FILE names a file that cannot be read ({error.strerror}).")
        return value or None

    def required(self, name: str, *, production: bool, otherwise: str) -> str:
        value = self.get(name)
        if value is None and production:
            self.faults.append(f"{name} is missing; it should be a long random text (openssl rand -hex 32).")
        return value or otherwise

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.get(name)
        if value is not None and value not in ("true", "false"):
            self.faults.append(f"{name} should be true or false.")
        return default if value is None else value == "true"

    def choice(self, name: str, allowed: tuple[str, ...], *, default: str) -> str:
        value = self.get(name) or default
        if value not in allowed:
            self.faults.append(f"{name} should be one of: {', '.join(allowed)}.")
        return value

    def seconds(self, name: str, *, default: float) -> float:
        try:
            value = float(self.get(name) or default)
        except ValueError:
            value = -1.0
        if not 0.05 <= value <= 60:
            self.faults.append(f"{name} should be a number of seconds between 0.05 and 60.")
        return value

    def database_url(self, *, production: bool) -> str:
        value = self.get("NUDGES_DATABASE_URL")
        if value is None and production:
            self.faults.append("NUDGES_DATABASE_URL is missing; for example postgresql://user@host/nudges.")
        value = value or "sqlite:///var/nudges.sqlite3"
        if not value.startswith(("sqlite:", "postgresql:", "postgresql+psycopg:")):
            self.faults.append("NUDGES_DATABASE_URL should start with sqlite: or postgresql:.")
        return value.replace("postgresql://", "postgresql+psycopg://", 1)

    def engine(self, database_url: str) -> str:
        value = self.choice("NUDGES_ENGINE", ENGINES, default="embedded")
        if value == "distributed" and not database_url.startswith("postgresql"):
            self.faults.append(
                "NUDGES_ENGINE=distributed needs PostgreSQL: NUDGES_DATABASE_URL should look like "
                "postgresql://user@host/nudges. With SQLite, leave NUDGES_ENGINE out."
            )
        return value

    def public_url(self, *, production: bool, channel: str) -> str:
        value = (self.get("NUDGES_PUBLIC_URL") or "http://127.0.0.1:8000").rstrip("/")
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            self.faults.append("NUDGES_PUBLIC_URL should look like https://nudges.example.org.")
        if production and channel == "twilio" and parts.scheme != "https":
            self.faults.append("NUDGES_PUBLIC_URL should start with https:// in production.")
        return value

    def ping_url(self) -> str | None:
        value = self.get("NUDGES_PING_URL")
        if value is not None and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).netloc):
            self.faults.append("NUDGES_PING_URL should look like https://hc-ping.com/your-check.")
        return value

    def keys(self, *, production: bool) -> tuple[bytes, ...]:
        text = self.required("NUDGES_ENCRYPTION_KEYS", production=production, otherwise=DEV_KEY)
        keys = tuple(self.key("NUDGES_ENCRYPTION_KEYS", part.strip()) for part in text.split(","))
        if production and _DEV_KEY_BYTES in keys:
            self.faults.append("NUDGES_ENCRYPTION_KEYS holds the development key; make one of your own.")
        return keys

    def index_key(self, keys: tuple[bytes, ...], *, production: bool) -> bytes:
        # Not derived from the rotating keys: a rotation would orphan every look-up.
        text = self.required("NUDGES_INDEX_KEY", production=production, otherwise=DEV_KEY)
        return self.key("NUDGES_INDEX_KEY", text)

    def key(self, name: str, text: str) -> bytes:
        try:
            raw = base64.urlsafe_b64decode(text)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 32:
            self.faults.append(
                f"{name} should hold 32 random bytes as URL-safe base64 (openssl rand 32 | basenc --base64url)."
            )
        return raw

    def twilio(self, *, production: bool) -> TwilioSettings:
        tokens = tuple(t.strip() for t in (self.get("TWILIO_AUTH_TOKEN") or "").split(",") if t.strip())
        settings = TwilioSettings(
            account_sid=self.get("TWILIO_ACCOUNT_SID") or "",
            auth_tokens=tokens,
            messaging_service_sid=self.get("TWILIO_MESSAGING_SERVICE_SID"),
            from_number=self.get("TWILIO_FROM_NUMBER"),
            api_base=self.get("TWILIO_API_BASE"),
        )
        if not settings.account_sid.startswith("AC"):
            self.faults.append("TWILIO_ACCOUNT_SID should be the account's id, AC and 32 hex digits.")
        if not tokens:
            self.faults.append("TWILIO_AUTH_TOKEN is missing; it is on the console's first page.")
        if not (settings.messaging_service_sid or settings.from_number):
            self.faults.append("TWILIO_MESSAGING_SERVICE_SID (MG…) or TWILIO_FROM_NUMBER (+1…) is missing.")
        if production and settings.api_base and not settings.api_base.startswith("https://"):
            self.faults.append("TWILIO_API_BASE should start with https:// in production.")
        return settings


_DEV_KEY_BYTES = base64.urlsafe_b64decode(DEV_KEY)
