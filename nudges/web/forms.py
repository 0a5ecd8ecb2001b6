"""A posted form: what was typed, kept as typed, and what is wrong with it, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time

from werkzeug.datastructures import MultiDict

from schedules.localtime import to_utc

TEXT_LIMIT = 4000  # no field of ours is longer but the sequence editor, which reads the request itself


@dataclass(kw_only=True)
class Form:
    """Values as typed and faults by field name. Read all fields first, then ask `faults`: all show at once.

    `""` names faults of the form as a whole.
    """

    values: MultiDict[str, str] = field(default_factory=MultiDict)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def get(self, name: str) -> str:
        return self.values.get(name, "").strip()

    def all(self, name: str) -> list[str]:
        return [value.strip() for value in self.values.getlist(name) if value.strip()]

    def fault(self, name: str, message: str) -> None:
        if message not in self.faults.setdefault(name, []):
            self.faults[name].append(message)

    def required(self, name: str, message: str) -> str:
        value = self.get(name)
        if not value:
            self.fault(name, message)
        if len(value) > TEXT_LIMIT:
            self.fault(name, f"Too long: at most {TEXT_LIMIT} characters.")
        return value

    def one_of(self, name: str, allowed: Iterable[str], message: str) -> str:
        value = self.get(name)
        if value not in set(allowed):
            self.fault(name, message)
        return value

    def number(self, name: str, *, least: int, most: int) -> int | None:
        """A whole number, none when left empty."""
        text = self.get(name)
        if not text:
            return None
        if text.isascii() and text.isdigit() and least <= int(text) <= most:
            return int(text)
        self.fault(name, f"Write a whole number from {least} to {most}.")
        return None

    def revision(self) -> int | None:
        """The revision of a draft that the page was opened on; none when the field is missing or holds nonsense."""
        text = self.get("revision")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

    def instant(self, name: str, zone: str) -> datetime | None:
        """An <input type=datetime-local> as UTC, read as wall time in `zone`; none when left empty."""
        text = self.get(name)
        if not text:
            return None
        try:
            wall = datetime.fromisoformat(text)
        except ValueError:
            self.fault(name, "Write date and time, such as 2025-03-13 16:00.")
            return None
        return to_utc(wall.date(), wall.time(), zone)

    def on_date(self, name: str) -> date | None:
        """An <input type=date>; none when left empty."""
        text = self.get(name)
        try:
            return date.fromisoformat(text) if text else None
        except ValueError:
            self.fault(name, "Write a date, such as 2025-03-13.")
            return None

    def midnight(self, name: str, zone: str) -> datetime | None:
        """A date as its local midnight in UTC."""
        on = self.on_date(name)
        return to_utc(on, time(0), zone) if on else None

    def take(self, faults: Iterable[str], fields: Mapping[str, str] | Iterable[str], *, prefix: str) -> None:
        """Put the core's faults (`prefix: key: message`) beside the fields that they speak of."""
        known = set(fields)
        for fault in faults:
            key, _, message = fault.removeprefix(f"{prefix}: ").partition(": ")
            if message and key in known:
                self.fault(key, message[:1].upper() + message[1:] + ".")
            else:
                self.fault("", fault)
