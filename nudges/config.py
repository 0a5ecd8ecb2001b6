"""Settings, read once from the environment, frozen, failing at start with the variable's name."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nudges.channels import registry
from nudges.channels.provider import Account, Provider, Stage


class ConfigError(Exception):
    """One or more settings are missing or malformed; the message lists all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that differs between installations. See docs/running.md for each variable."""

    database_url: str
    provider: Provider  # as NUDGES_CHANNEL names it
    account: Account  # the provider's own settings
    public_url: str
    stage: Stage
    secret_key: str
    encryption_keys: tuple[bytes, ...]  # 32 bytes each; the first encrypts, all decrypt
    index_key: bytes  # keys the blind index of phone numbers
    spool_dir: Path
    run_scheduler: bool
    engine: str  # "embedded" | "distributed": what triggers the beat
    tick_seconds: float
    sequences_dir: Path | None
    log: str = "words"  # or "json": one object a line
    ping_url: str | None = None  # told each minute that all is well

    @property
    def production(self) -> bool:
        """Development keys are refused, and families wait until the replies to danger are signed off."""
        return self.stage.production


PRODUCTION = ("true", "false", "rehearsal")
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
        stage = self.stage()
        production = stage.production
        provider = registry.PROVIDERS[self.choice("NUDGES_CHANNEL", tuple(registry.PROVIDERS), registry.DEFAULT)]
        keys = self.keys(production=production)
        database_url = self.database_url(production=production)
        settings = Settings(
            database_url=database_url,
            provider=provider,
            account=provider.account(self, stage),
            public_url=self.public_url(needs_https=stage.may_text and not provider.is_simulated),
            stage=stage,
            secret_key=self.required("NUDGES_SECRET_KEY", _TEXT, production=production),
            encryption_keys=keys,
            index_key=self.index_key(keys, production=production),
            spool_dir=Path(self.get("NUDGES_SPOOL_DIR") or "var/spool"),
            run_scheduler=self.flag("NUDGES_RUN_SCHEDULER", default=True),
            engine=self.engine(database_url),
            tick_seconds=self.seconds("NUDGES_TICK_SECONDS", default=2.0),
            sequences_dir=Path(path) if (path := self.get("NUDGES_SEQUENCES_DIR")) else None,
            log=self.choice("NUDGES_LOG", LOGS, "words"),
            ping_url=self.ping_url(),
        )
        if self.faults:
            raise ConfigError("Nudges cannot start:\n  " + "\n  ".join(self.faults))
        return settings

    def fault(self, words: str) -> None:
        self.faults.append(words)

    def get(self, name: str) -> str | None:
        """The value of NAME, or the content of the file that NAME_FILE points to."""
        value, path = self.environ.get(name), self.environ.get(f"{name}_FILE")
        if value is not None and path is not None:
            self.fault(f"{name} and {name}_FILE are both set; keep one of them.")
        if value is None and path is not None:
            try:
                value = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                self.fault(f"{name}_FILE names a file that cannot be read ({error.strerror}).")
        return value or None

    def required(self, name: str, looks: str, *, production: bool) -> str:
        """The value; outside production one for development where there is none. `looks` says what it should be."""
        value = self.get(name)
        if value is None and production:
            self.fault(f"{name} is missing; it should be {looks}.")
        return value or DEV_KEY

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.get(name)
        if value is not None and value not in ("true", "false"):
            self.fault(f"{name} should be true or false.")
        return default if value is None else value == "true"

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of `allowed`; the default where another was given, which is a fault."""
        value = self.get(name) or default
        if value not in allowed:
            self.fault(f"{name} should be one of: {', '.join(allowed)}.")
            return default
        return value

    def stage(self) -> Stage:
        word = self.choice("NUDGES_PRODUCTION", PRODUCTION, "false")
        return Stage(production=word != "false", is_rehearsal=word == "rehearsal")

    def seconds(self, name: str, *, default: float) -> float:
        try:
            value = float(self.get(name) or default)
        except ValueError:
            value = -1.0
        if not 0.05 <= value <= 60:
            self.fault(f"{name} should be a number of seconds between 0.05 and 60.")
        return value

    def database_url(self, *, production: bool) -> str:
        value = self.get("NUDGES_DATABASE_URL")
        if value is None and production:
            self.fault("NUDGES_DATABASE_URL is missing; for example postgresql://user@host/nudges.")
        value = value or "sqlite:///var/nudges.sqlite3"
        if not value.startswith(("sqlite:", "postgres:", "postgresql:", "postgresql+psycopg:")):
            self.fault("NUDGES_DATABASE_URL should start with sqlite: or postgresql:.")
        return re.sub("^postgres(ql)?://", "postgresql+psycopg://", value)

    def engine(self, database_url: str) -> str:
        value = self.choice("NUDGES_ENGINE", ENGINES, "embedded")
        if value == "distributed" and not database_url.startswith("postgresql"):
            self.fault(
                "NUDGES_ENGINE=distributed needs PostgreSQL: NUDGES_DATABASE_URL should look like "
                "postgresql://user@host/nudges. With SQLite, leave NUDGES_ENGINE out."
            )
        return value

    def public_url(self, *, needs_https: bool) -> str:
        value = (self.get("NUDGES_PUBLIC_URL") or "http://127.0.0.1:8000").rstrip("/")
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            self.fault("NUDGES_PUBLIC_URL should look like https://nudges.example.org.")
        if needs_https and parts.scheme != "https":
            self.fault("NUDGES_PUBLIC_URL should start with https:// in production.")
        return value

    def ping_url(self) -> str | None:
        value = self.get("NUDGES_PING_URL")
        if value is not None and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).netloc):
            self.fault("NUDGES_PING_URL should look like https://hc-ping.com/your-check.")
        return value

    def keys(self, *, production: bool) -> tuple[bytes, ...]:
        text = self.required("NUDGES_ENCRYPTION_KEYS", _KEY, production=production)
        keys = tuple(self.key("NUDGES_ENCRYPTION_KEYS", part.strip()) for part in text.split(","))
        if production and self.get("NUDGES_ENCRYPTION_KEYS") and _DEV_KEY_BYTES in keys:
            self.fault("NUDGES_ENCRYPTION_KEYS holds the development key; make one of your own.")
        return keys

    def index_key(self, keys: tuple[bytes, ...], *, production: bool) -> bytes:
        # Not derived from the rotating keys: a rotation would orphan every look-up.
        text = self.required("NUDGES_INDEX_KEY", _KEY, production=production)
        return self.key("NUDGES_INDEX_KEY", text)

    def key(self, name: str, text: str) -> bytes:
        """32 bytes, in either alphabet of base64."""
        try:
            raw = base64.b64decode(text.translate(_PLAIN_BASE64), validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 32:
            self.fault(f"{name} should hold {_KEY}.")
        return raw


_TEXT = "a long random text (openssl rand -hex 32)"
_KEY = "32 random bytes as base64 (openssl rand -base64 32)"
_PLAIN_BASE64 = str.maketrans("-_", "+/")
_DEV_KEY_BYTES = base64.urlsafe_b64decode(DEV_KEY)
