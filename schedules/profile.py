"""A family's profile from a plain mapping (YAML, JSON, a web form), with every fault reported at once.

Keys and forms: content.md §5.1. Scalars may be text or already typed; unknown keys are faults.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, time
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from schedules import localtime
from schedules.values import Custody, Profile, Span, Week, WeekTimes

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

DEFAULTS_BY_AGE: Mapping[str, Mapping[str, str]] = {
    "5-8": {"bedtime_school": "20:30", "bedtime_free": "21:00"},
    "9-12": {"bedtime_school": "21:00", "bedtime_free": "22:00"},
    "13-17": {"bedtime_school": "22:00", "bedtime_free": "23:00"},
}

ROLES = ("resident", "other_parent", "shared", "foster_kin", "guardian")
STAGES = (
    "not_raised",
    "raised_no",
    "choosing",
    "trial",
    "ongoing",
    "alt",
    "patience",
    "break",
    "after_crisis",
    "open_door",
    "done",
)
# Zones that people live in. Names such as EST or Etc/GMT+6 know no summer time; localtime and posixrules are another
# zone on another machine.
_INHABITED = ("Africa", "America", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
# Old names that people still write; not every machine knows them.
OLD_ZONES: Mapping[str, str] = {
    "US/Alaska": "America/Anchorage",
    "US/Aleutian": "America/Adak",
    "US/Arizona": "America/Phoenix",
    "US/Central": "America/Chicago",
    "US/East-Indiana": "America/Indiana/Indianapolis",
    "US/Eastern": "America/New_York",
    "US/Hawaii": "Pacific/Honolulu",
    "US/Indiana-Starke": "America/Indiana/Knox",
    "US/Michigan": "America/Detroit",
    "US/Mountain": "America/Denver",
    "US/Pacific": "America/Los_Angeles",
    "US/Samoa": "Pacific/Pago_Pago",
    "Canada/Atlantic": "America/Halifax",
    "Canada/Central": "America/Winnipeg",
    "Canada/Eastern": "America/Toronto",
    "Canada/Mountain": "America/Edmonton",
    "Canada/Newfoundland": "America/St_Johns",
    "Canada/Pacific": "America/Vancouver",
    "Canada/Saskatchewan": "America/Regina",
    "Canada/Yukon": "America/Whitehorse",
}
PATTERNS = ("every_day", "alternate_weeks", "alternate_weekends", "2-2-3", "5-2-2-5", "supervised", "none")


class ProfileError(ValueError):
    """The profile has faults; `faults` lists all of them, each with its key and how to mend it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Fault(ValueError):
    """One value of the wrong form; the message says what it should look like."""


def parse(data: Mapping[str, Any], *, where: str = "profile") -> Profile:
    """Check and read. Raises ProfileError with all faults."""
    faults: list[str] = []
    values: dict[str, Any] = {}
    for key, raw in data.items():
        reader = READERS.get(key)
        if reader is None:
            known = ", ".join(sorted(READERS))
            faults.append(f"{where}: unknown key {key!r}; known keys are {known}")
            continue
        try:
            values.update(reader(key, raw))
        except Fault as fault:
            faults.append(f"{where}: {key}: {fault}")
    if "timezone" not in data:
        faults.append(f"{where}: timezone is missing; write an IANA name such as America/Chicago")
    if faults:
        raise ProfileError(faults)
    if values.get("phone_seen_by") == "shared":
        values["discreet"] = True  # whoever looks at the lock screen should not see what it is about
    defaults = DEFAULTS_BY_AGE.get(str(values.get("age_band")), {})
    for key, wall in defaults.items():
        values.setdefault(key, clock(wall))
    return Profile(**values)


# ---------------------------------------------------------------- readers of single values


def clock(raw: Any) -> time:
    """ "18:30" as a time."""
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", str(raw).strip())
    if not match:
        raise Fault(f"{raw!r} is no time of day; write HH:MM, such as 18:30")
    return time(int(match[1]), int(match[2]))


def span(raw: Any) -> Span:
    """ "09:00-17:30", or over midnight "22:00-06:00"."""
    start, dash, end = str(raw).strip().partition("-")
    if not dash:
        raise Fault(f"{raw!r} is no span; write HH:MM-HH:MM, such as 09:00-17:30")
    first, last = _minutes(start), _minutes(end, midnight=1440)
    if first == last:
        raise Fault(f"{raw!r} is empty; the end should differ from the start")
    return Span(start=first, end=last if last > first else last + 1440)


def _minutes(raw: str, *, midnight: int = 0) -> int:
    text = raw.strip()
    if text in ("24:00", "00:00") and midnight:
        return midnight
    wall = clock(text)
    return wall.hour * 60 + wall.minute


def spans(raw: Any) -> tuple[Span, ...]:
    """One span or a list of spans, in order of time. None is no span."""
    if raw is None or raw == "" or str(raw).lower() == "null":
        return ()
    items = raw if isinstance(raw, list | tuple) else [raw]
    return tuple(sorted((span(item) for item in items), key=lambda s: s.start))


def days(raw: str) -> list[int]:
    """ "mon", "mon-fri" or "sat,sun" as weekday numbers, Monday 0."""
    found: list[int] = []
    for part in str(raw).lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise Fault(f"{raw!r} is no day; write mon, mon-fri or default")
        start, end = DAYS.index(first), DAYS.index(last or first)
        found += [day % 7 for day in range(start, (end if end >= start else end + 7) + 1)]
    return found


def by_weekday(raw: Any, read: Callable[[Any], Any], empty: Any) -> tuple[Any, ...]:
    """Seven values. A mapping names days, ranges and `default`; anything else holds for every day."""
    if not isinstance(raw, Mapping):
        return (read(raw),) * 7
    week = [read(raw["default"]) if "default" in raw else empty] * 7
    for key in sorted((k for k in raw if k != "default"), key=lambda k: "-" not in str(k)):
        for day in days(key):
            week[day] = read(raw[key])
    return tuple(week)


def day_range(raw: Any) -> tuple[date, date]:
    """ "2025-03-17..2025-03-21" or a single date, both ends included."""
    first, _, last = str(raw).partition("..")
    try:
        start, end = date.fromisoformat(first.strip()), date.fromisoformat((last or first).strip())
    except ValueError:
        raise Fault(f"{raw!r} is no date; write 2025-03-17 or 2025-03-17..2025-03-21") from None
    if end < start:
        raise Fault(f"{raw!r} ends before it starts")
    return start, end


def items(raw: Any) -> list[Any]:
    if raw is None or str(raw).lower() == "null":
        return []
    return list(raw) if isinstance(raw, list | tuple) else [raw]


def yes_no(raw: Any) -> bool | None:
    text = str(raw).lower()
    if raw is None or text in ("unknown", "null", ""):
        return None
    if text in ("true", "yes"):
        return True
    if text in ("false", "no"):
        return False
    raise Fault(f"{raw!r} should be true, false or unknown")


# ---------------------------------------------------------------- readers of keys

Reader = Callable[[str, Any], dict[str, Any]]


def _plain(key: str, raw: Any) -> dict[str, Any]:
    text = None if raw is None or str(raw).lower() in ("null", "") else str(raw)
    return {key: text}


def _one_of(*allowed: str) -> Reader:
    def read(key: str, raw: Any) -> dict[str, Any]:
        text = {"True": "yes", "False": "no"}.get(str(raw), str(raw))
        if text not in allowed:
            raise Fault(f"{raw!r} should be one of: {', '.join(allowed)}")
        return {key: text}

    return read


def _optional(reader: Reader) -> Reader:
    def read(key: str, raw: Any) -> dict[str, Any]:
        return {key: None} if raw is None or str(raw).lower() in ("null", "") else reader(key, raw)

    return read


def zone_name(raw: Any) -> str:
    """The IANA name of a zone that people live in; an old name such as US/Central as the place that it means."""
    name = OLD_ZONES.get(str(raw), str(raw))
    try:
        if name.partition("/")[0] not in _INHABITED:
            raise ValueError
        localtime.zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Fault(f"{raw!r} is no time zone that people live in; write a place such as America/Chicago") from None
    return name


def _zone(key: str, raw: Any) -> dict[str, Any]:
    return {key: zone_name(raw)}


def _week_spans(key: str, raw: Any) -> dict[str, Any]:
    week: Week = by_weekday(raw, spans, ())
    return {key: week}


def _optional_week(key: str, raw: Any) -> dict[str, Any]:
    return {key: None} if not items(raw) and not isinstance(raw, Mapping) else _week_spans(key, raw)


def _dinner(key: str, raw: Any) -> dict[str, Any]:
    def read(value: Any) -> time | None:
        return None if value is None or str(value).lower() in ("null", "none", "") else clock(value)

    week: WeekTimes = by_weekday(raw, read, None)
    return {key: week}


def _clock(key: str, raw: Any) -> dict[str, Any]:
    return {key: clock(raw)}


def _school(key: str, raw: Any) -> dict[str, Any]:
    return {key: span(raw) if items(raw) and str(raw) != "" else None}


def _ranges(key: str, raw: Any) -> dict[str, Any]:
    return {key: tuple(day_range(item) for item in items(raw))}


def _quiet(key: str, raw: Any) -> dict[str, Any]:
    weekdays: set[int] = set()
    dates: list[tuple[date, date]] = []
    for item in items(raw):
        if re.match(r"\d", str(item)):
            dates.append(day_range(item))
        else:
            weekdays.update(days(item))
    return {"quiet_weekdays": frozenset(weekdays), "quiet_dates": tuple(dates)}


def _flag(key: str, raw: Any) -> dict[str, Any]:
    return {key: bool(yes_no(raw))}


def _maybe(key: str, raw: Any) -> dict[str, Any]:
    return {key: yes_no(raw)}


def _custody(key: str, raw: Any) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raw = {"pattern": raw}
    unknown = set(raw) - {"pattern", "anchor_date", "exchange_times"}
    if unknown:
        raise Fault(f"unknown key {sorted(unknown)[0]!r}; known: pattern, anchor_date, exchange_times")
    pattern = str(raw.get("pattern"))
    if pattern not in PATTERNS:
        raise Fault(f"pattern {pattern!r} should be one of: {', '.join(PATTERNS)}")
    anchor = day_range(raw["anchor_date"])[0] if raw.get("anchor_date") else None
    if anchor is None and pattern in ("alternate_weeks", "alternate_weekends", "2-2-3", "5-2-2-5"):
        raise Fault(f"pattern {pattern} needs anchor_date, the first day of a turn with this parent")
    exchanges = []
    for item in items(raw.get("exchange_times")):
        day, _, wall = str(item).strip().partition(" ")
        exchanges += [(weekday, clock(wall)) for weekday in days(day)]
    return {key: Custody(pattern=pattern, anchor_date=anchor, exchange_times=tuple(exchanges))}


def _reasons(key: str, raw: Any) -> dict[str, Any]:
    return {key: tuple(str(item) for item in items(raw))}


def _state(key: str, raw: Any) -> dict[str, Any]:
    text = str(raw).upper()
    if not re.fullmatch(r"[A-Z]{2}", text):
        raise Fault(f"{raw!r} should be a US state's two letters, such as TX")
    return {key: text}


READERS: Mapping[str, Reader] = {
    "timezone": _zone,
    "pref_lang": _one_of("en", "es"),
    "role": _one_of(*ROLES),
    "discreet": _flag,
    "phone_seen_by": _one_of("private", "shared", "unknown"),
    "age_band": _optional(_one_of("5-8", "9-12", "13-17")),
    "state": _optional(_state),
    "contact_hours": _optional_week,
    "busy_hours": _week_spans,
    "dinner_time": _dinner,
    "bedtime_school": _clock,
    "bedtime_free": _clock,
    "school_hours": _school,
    "no_school": _ranges,
    "activities": _week_spans,
    "calm_windows": _optional_week,
    "slot_pref": _clock,
    "quiet_days": _quiet,
    "hard_dates": _ranges,
    "custody": _custody,
    "court_ordered": _one_of("no", "yes", "unknown"),
    "break_ok_by": _optional(_one_of("court", "lawyer", "therapist")),
    "protective_order": _maybe,
    "abuse_concern": _maybe,
    "child_fear": _maybe,
    "contact_plan": _optional(_one_of("unsupervised", "supervised", "remote", "none")),
    "therapist_told": _flag,
    "stage": _one_of(*STAGES),
    "profile": _one_of("gentle", "firm", "ordered"),
    "volume": _one_of("less", "normal", "more"),
    "reasons": _reasons,
    "second_reminder": _flag,
}
