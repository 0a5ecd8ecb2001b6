"""The files of a simulation: a family's profile with its dates, and what parent and staff do.

Read as text and decided by the schema: unknown keys and values of the wrong form are faults that name the file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import yaml

from schedules import localtime, profile
from schedules.values import KeyDate, Profile

DATE_KINDS = ("session", "break_start", "crisis_report", "court", "next_review", "consult", "visit")
_ACT_KEYS = ("on", "nth", "every", "after", "at", "text", "staff", "key", "to", "outage", "path", "step", "talks")
_STAFF = ("move", "cancel", "set", "release", "settle", "done")
_PATHS = ("aftercare", "resume", "rest", "finish")
_FIRST_YEAR, _LAST_YEAR = "2000", "2100"
_LONGEST_DAYS = 3660


class ScriptError(ValueError):
    """A file has faults; `faults` lists all of them with the file's name."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """One thing that the parent or staff do: at an instant, or some time after a step is sent."""

    order: int
    at: datetime | None = None
    on: str | None = None
    nth: int = 1
    every: bool = False
    after: timedelta = timedelta()
    text: str | None = None
    staff: str | None = None
    key: str | None = None
    to: datetime | None = None
    outage: timedelta | None = None
    path: str = "resume"  # of a release: aftercare, resume, rest, finish
    step: str | None = None  # with resume: the step to go on at; with settle: the answer's digit
    talks: bool = False  # with release: a trained person says that talks may go on


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A profile file: who, which dates, which sequences."""

    profile: Profile
    key_dates: tuple[KeyDate, ...]
    sequences: tuple[str, ...]


def load_text(text: str, *, where: str) -> Any:
    """YAML with every scalar as text (`on:` is no truth value, 18:30 no number). Raises ScriptError."""
    try:
        return _plain(yaml.compose(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ScriptError([f"{where}:{line}: this is not YAML: {error.problem}"]) from None
    except yaml.YAMLError:
        raise ScriptError([f"{where}: holds characters that no text file has; save it as UTF-8 text"]) from None
    except RecursionError:
        raise ScriptError([f"{where}: is nested too deeply; lists and mappings go a few levels down"]) from None
    except _Repeated as error:
        raise ScriptError([f"{where}:{error}"]) from None


class _Repeated(Exception):
    """A key stands twice in one mapping; the message starts with its line."""


def _plain(node: yaml.Node | None) -> Any:
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            if str(key.value) in found:
                raise _Repeated(f"{key.start_mark.line + 1}: {key.value!r} stands twice; keep one")
            found[str(key.value)] = _plain(value)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    if node is None or (node.tag == "tag:yaml.org,2002:null"):
        return None
    return str(node.value)


def family(text: str, *, where: str) -> Family:
    """Read a profile file. Raises ScriptError with all faults."""
    data = load_text(text, where=where)
    if not isinstance(data, Mapping):
        raise ScriptError([f"{where}: should be a mapping of profile keys"])
    faults: list[str] = []
    rest = {k: v for k, v in data.items() if k not in ("key_dates", "sequences")}
    try:
        found = profile.parse(rest, where=where)
    except profile.ProfileError as error:
        raise ScriptError(error.faults) from None
    dates = key_dates(data.get("key_dates") or {}, found.timezone, where=where, faults=faults)
    if faults:
        raise ScriptError(faults)
    sequences = tuple(str(key) for key in profile.items(data.get("sequences")))
    return Family(profile=found, key_dates=dates, sequences=sequences)


def key_dates(data: Any, zone: str, *, where: str, faults: list[str]) -> tuple[KeyDate, ...]:
    """Key dates by kind; a kind with several holds them in order."""
    if not isinstance(data, Mapping):
        faults.append(f"{where}: key_dates should be a mapping from a kind to its dates")
        return ()
    found: list[KeyDate] = []
    for kind, raw in data.items():
        if kind not in DATE_KINDS:
            faults.append(f"{where}: key_dates: unknown kind {kind!r}; known: {', '.join(DATE_KINDS)}")
            continue
        for nth, item in enumerate(profile.items(raw), start=1):
            try:
                at, date_only = instant(item, zone)
                found.append(KeyDate(kind=kind, nth=nth, at=localtime.minute(at), date_only=date_only))
            except ValueError as error:
                faults.append(f"{where}: key_dates: {kind}: {error}")
    return tuple(found)


def instant(raw: Any, zone: str) -> tuple[datetime, bool]:
    """ "2025-03-13T16:00" as wall time in `zone`, or with its own offset; a bare date is its midnight."""
    text = str(raw).strip().replace(" ", "T").replace("Z", "+00:00")
    try:
        if not _year_known(text):
            raise ValueError
        if "T" not in text:
            return localtime.to_utc(date.fromisoformat(text), time(), zone), True
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{raw!r} is no date of our time; write 2025-03-13 or 2025-03-13T16:00") from None
    if at.tzinfo is not None:
        return at.astimezone(localtime.zone("UTC")), False
    return localtime.to_utc(at.date(), at.time(), zone), False


def _year_known(text: str) -> bool:
    return _FIRST_YEAR <= text[:4] <= _LAST_YEAR


def script(text: str, zone: str, *, where: str, steps: Collection[str] = ()) -> tuple[Act, ...]:
    """Read a script file. Raises ScriptError with all faults; with `steps`, one that names another step is a fault."""
    data = load_text(text, where=where)
    faults: list[str] = []
    acts: list[Act] = []
    for order, item in enumerate(data if isinstance(data, list) else [data]):
        named = f"{where}: entry {order + 1}"
        if not isinstance(item, Mapping):
            faults.append(f"{named} should be a mapping such as {{at: 2025-03-15T12:40, text: HARD}}")
            continue
        unknown = [key for key in item if key not in _ACT_KEYS]
        if unknown:
            faults.append(f"{named}: unknown key {unknown[0]!r}; known keys: {', '.join(_ACT_KEYS)}")
            continue
        try:
            acts.append(_act(item, order, zone))
            _is_known(acts[-1].on, steps)
        except ValueError as error:
            faults.append(f"{named}: {error}")
    if faults:
        raise ScriptError(faults)
    return tuple(acts)


def _is_known(step: str | None, steps: Collection[str]) -> None:
    if step is not None and steps and step not in steps:
        raise ValueError(f"there is no step {step!r}{nearest(step, steps)}")


def nearest(word: str, known: Collection[str]) -> str:
    """ "; did you mean TK-5?", when something known looks like it."""
    near = difflib.get_close_matches(word.upper(), sorted(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known are {', '.join(sorted(known))}"


def _act(item: Mapping[str, Any], order: int, zone: str) -> Act:
    if ("on" in item) == ("at" in item):
        raise ValueError("give either `on` (a step) or `at` (an instant)")
    deeds = [key for key in ("text", "staff", "outage") if key in item]
    if len(deeds) != 1:
        raise ValueError("give exactly one of `text`, `staff` or `outage`")
    staff = item.get("staff")
    if staff is not None and staff not in _STAFF:
        raise ValueError(f"staff {staff!r} should be one of: {', '.join(_STAFF)}")
    if staff in ("move", "set") and "to" not in item:
        raise ValueError(f"staff: {staff} needs `to`")
    if item.get("path", "resume") not in _PATHS:
        raise ValueError(f"path {item['path']!r} should be one of: {', '.join(_PATHS)}")
    if item.get("path") == "rest" and "to" not in item:
        raise ValueError("path: rest needs `to`, the date until which to rest")
    if item.get("key", "session") not in DATE_KINDS:
        raise ValueError(f"key {item['key']!r} should be one of: {', '.join(DATE_KINDS)}")
    return Act(
        order=order,
        at=instant(item["at"], zone)[0] if "at" in item else None,
        on=_words(item, "on"),
        nth=_count(item.get("nth", "1")),
        every=bool(profile.yes_no(item.get("every"))),
        after=duration(item.get("after", "0m")),
        text=_words(item, "text"),
        staff=staff,
        key=item.get("key", "session"),
        to=instant(item["to"], zone)[0] if "to" in item else None,
        outage=duration(item["outage"]) if "outage" in item else None,
        path=item.get("path", "resume"),
        step=_words(item, "step"),
        talks=bool(profile.yes_no(item.get("talks"))),
    )


def _words(item: Mapping[str, Any], key: str) -> str | None:
    if key in item and not isinstance(item[key], str):
        raise ValueError(f"{key} should be words, in quotation marks if in doubt")
    return item.get(key)


def _count(raw: Any) -> int:
    if not re.fullmatch(r"[1-9]\d{0,3}", str(raw)):
        raise ValueError(f"nth {raw!r} should be a whole number from 1")
    return int(raw)


def duration(raw: Any) -> timedelta:
    """ "30m", "2h", "1d", "1h30m"."""
    parts = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?", str(raw).strip())
    if not parts or not any(parts.groups()):
        raise ValueError(f"{raw!r} is no duration; write 30m, 2h or 1d")
    days, hours, minutes = (int(part or 0) for part in parts.groups())
    if max(days, hours // 24, minutes // 1440) > _LONGEST_DAYS:
        raise ValueError(f"{raw!r} is too long; at most {_LONGEST_DAYS}d")
    return timedelta(days=days, hours=hours, minutes=minutes)
