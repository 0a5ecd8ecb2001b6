"""Time zones as people find them: by place, by the name of the zone, or by the IANA name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Final

from schedules.profile import zone_name

# What the tables of the time zone database abbreviate: `Mountain - ID (south), OR (east)`.
_HOURS: Final = {
    "Eastern": "Eastern time",
    "Central": "Central time",
    "Mountain": "Mountain time",
    "Pacific": "Pacific time",
    "Atlantic": "Atlantic time",
    "Alaska": "Alaska time",
    "Hawaii": "Hawaii time",
    "EST": "Eastern standard time all year",
    "CST": "Central standard time all year",
    "MST": "Mountain standard time all year",
    "AST": "Atlantic standard time all year",
}
COMMON: Final = {  # what people call the zones of the United States; Arizona has no summer time
    "eastern": "America/New_York",
    "central": "America/Chicago",
    "mountain": "America/Denver",
    "arizona": "America/Phoenix",
    "pacific": "America/Los_Angeles",
    "alaska": "America/Anchorage",
    "hawaii": "Pacific/Honolulu",
}


@lru_cache(maxsize=8)
def offered(country: str) -> tuple[tuple[str, str], ...]:
    """IANA names with a label for people, `country` first: ("America/Boise", "Boise — Mountain time: ID (south)…")."""
    names = _countries()
    rows = [(code, name, _label(name, comment, names.get(code, code))) for code, name, comment in _places()]
    ordered = sorted(rows, key=lambda row: (row[0] != country, names.get(row[0], "") if row[0] != country else ""))
    return tuple((name, label) for _, name, label in ordered)


def find(text: str) -> str:
    """The zone that somebody means by an IANA name, the name of its place or a common name. Raises profile.Fault."""
    wanted = " ".join(text.split()).casefold()
    return _by_words().get(wanted) or zone_name(text.strip())


@lru_cache(maxsize=1)
def _by_words() -> dict[str, str]:
    found: dict[str, str] = {}
    for _, name, _ in _places():
        found.setdefault(_place(name).casefold(), name)
        found[name.casefold()] = name
    for words, name in COMMON.items():
        found[words] = found[f"{words} time"] = name
    return found


def _place(name: str) -> str:
    return name.rpartition("/")[2].replace("_", " ")


def _label(name: str, comment: str, country: str) -> str:
    hours, dash, where = comment.partition(" - ")
    first, _, rest = hours.partition(" (")
    words = _HOURS.get(first, first) + (f" ({rest}" if rest else "")
    told = ": ".join(part for part in (words, where if dash else "") if part)
    return f"{_place(name)} — {told or country}"


@lru_cache(maxsize=1)
def _places() -> tuple[tuple[str, str, str], ...]:
    """Country, zone and comment of every zone that people live in, as the time zone database lists them."""
    return tuple(
        (row[0], row[2], row[3] if len(row) > 3 else "") for row in _rows("zone.tab") if row[0] != "AQ"
    )  # nobody lives in Antarctica


@lru_cache(maxsize=1)
def _countries() -> dict[str, str]:
    return {row[0]: row[1] for row in _rows("iso3166.tab")}


def _rows(table: str) -> Iterator[list[str]]:
    text = (files("tzdata") / "zoneinfo" / table).read_text(encoding="utf-8")
    return (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
