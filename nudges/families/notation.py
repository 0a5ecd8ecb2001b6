"""How values of a family's profile are written in a field of a form or a cell of a file, and how they are stored.

`read` makes of a text what the profile stores, or raises schedules.profile.Fault with what is wrong and how to mend it;
a key's own reader in schedules.profile has the last word.
`show` makes the text of what is stored, in any form that schedules.profile accepts; reading it means the same again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from nudges.families import zones
from nudges.families.hours import NONE, by_days, clock_words, day_words, days_text, hours_text, week
from schedules import profile
from schedules.profile import Fault

Choices = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Notation:
    """One way to write a value. `widget` names the form's field, `words` say in the documentation how it is written."""

    widget: str  # text, area, time, date, choice, tick, zone
    words: str
    read: Callable[[str], Any]
    show: Callable[[Any], str]
    choices: Choices = ()


def one_of(choices: Choices) -> Notation:
    """One of a few keys, each with the words that people see; either may be written."""
    keys = dict(choices)
    by_words = {words.casefold(): key for key, words in choices}

    def read(text: str) -> str:
        found = text.lower() if text.lower() in keys else by_words.get(text.casefold())
        if found is None:
            raise Fault(f"{text!r} is not known here; write one of: {', '.join(key for key in keys if key)}")
        return found

    def show(stored: Any) -> str:
        text = _plain(stored)
        return text if text in keys else ""

    words = "one of: " + ", ".join(key for key in keys if key)
    return Notation(widget="choice", words=words, read=read, show=show, choices=choices)


def _plain(stored: Any) -> str:
    """A stored scalar as the core understands it."""
    text = str(stored)
    yes_no = {"true": "yes", "yes": "yes", "false": "no", "no": "no"}
    return yes_no.get(text.lower(), "" if stored is None or text.lower() == "null" else text)


def _yes_no(text: str) -> str:
    found = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}.get(text.lower())
    if found is None:
        raise Fault(f"{text!r} is not known here; write yes or no")
    return found


TICK: Final = Notation(
    widget="tick",
    words="yes or no",
    read=lambda text: _yes_no(text) == "yes",
    show=lambda stored: "yes" if profile.yes_no(stored) else "no",
)
MAYBE: Final = Notation(
    widget="choice",
    words="yes, no, or empty where nobody knows",
    read=_yes_no,
    show=lambda stored: {True: "yes", False: "no", None: ""}[profile.yes_no(stored)],
    choices=(("", "Not known"), ("no", "No"), ("yes", "Yes")),
)


def _state(text: str) -> str:
    profile.READERS["state"]("state", text)
    return text.upper()


STATE: Final = Notation(
    widget="text", words="two letters", read=_state, show=lambda stored: "" if stored is None else str(stored).upper()
)
ZONE: Final = Notation(widget="zone", words="a place of the IANA list", read=zones.find, show=profile.zone_name)


# ---------------------------------------------------------------- hours


def _time(text: str) -> str:
    return _wall(re.sub(r"^(\d{1,2}:\d{2}):\d{2}$", r"\1", clock_words(text)))


def _wall(stored: Any) -> str:
    return f"{profile.clock(stored):%H:%M}"


def _span(text: str) -> str:
    if text.lower() == NONE:
        return ""
    written = clock_words(text).replace("–", "-").replace(" to ", "-").replace(" ", "")
    profile.span(written)
    return written


def _times(text: str) -> Any:
    by_day = by_days(clock_words(text))
    if not all(by_day.values()):
        raise Fault(f"{text!r} is no time of day; write HH:MM, such as 18:30, or none")
    found = {days: _time_or_none(wall) for days, wall in by_day.items()}
    return (found["default"] or "") if set(found) == {"default"} else found


def _time_or_none(text: str) -> str | None:
    return None if text.lower() == NONE else _time(text)


def _times_text(stored: Any) -> str:
    if not isinstance(stored, Mapping):
        return _time_text(stored)
    return "; ".join(f"{days_text(days)} {_time_text(wall) or NONE}" for days, wall in stored.items())


def _time_text(stored: Any) -> str:
    return "" if stored is None or str(stored).lower() in ("", "null", NONE) else _wall(stored)


def _span_text(stored: Any) -> str:
    if stored is None or stored == [] or str(stored).lower() in ("", "null"):
        return ""
    return str(stored)


TIME: Final = Notation(widget="time", words="HH:MM", read=_time, show=_wall)
SPAN: Final = Notation(widget="text", words="HH:MM-HH:MM, or none", read=_span, show=_span_text)
WEEK: Final = Notation(widget="area", words="days and hours, groups parted by ;", read=week, show=hours_text)
TIMES: Final = Notation(
    widget="text", words="HH:MM, or days and HH:MM parted by ;, or none", read=_times, show=_times_text
)


# ---------------------------------------------------------------- days


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,;\n]+", text) if part.strip()]


def _range(text: str) -> str:
    written = re.sub(r"\s*(?:\.\.+|…|\bto\b|\s[-–]\s|–)\s*", "..", text)
    first, last = profile.day_range(written)
    return first.isoformat() if first == last else f"{first.isoformat()}..{last.isoformat()}"


def _ranges(text: str) -> list[str]:
    return [_range(part) for part in _parts(text)]


def _quiet_days(text: str) -> list[str]:
    return [_range(part) if part[0].isdigit() else _weekdays(part) for part in _parts(text)]


def _weekdays(text: str) -> str:
    written = day_words(text)
    try:
        profile.days(written)
    except Fault:
        raise Fault(f"{text!r} is no day; write sun, sat-sun, 2025-03-17 or 2025-03-17..2025-03-21") from None
    return written


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise Fault(f"{text!r} is no date; write it like 2025-03-07") from None


def _exchanges(text: str) -> list[str]:
    found = []
    for part in _parts(clock_words(text)):
        days = re.split(r"\d", part, maxsplit=1)[0]
        if not days.strip() or days == part:
            raise Fault(f"{part!r} should name a day and a time; write it like fri 18:00")
        found.append(f"{_weekdays(days)} {_time(part[len(days) :])}")
    return found


def _exchange_text(stored: Any) -> str:
    lines = []
    for item in profile.items(stored):
        days, _, wall = str(item).strip().partition(" ")
        lines += [f"{day} {_wall(wall)}" for day in days.split(",")]
    return "\n".join(lines)


def _lines(stored: Any) -> str:
    return "\n".join(str(item) for item in profile.items(stored))


DAY: Final = Notation(
    widget="date",
    words="YYYY-MM-DD",
    read=_day,
    show=lambda stored: profile.day_range(stored)[0].isoformat() if stored else "",
)
RANGES: Final = Notation(widget="area", words="dates or first..last, parted by commas", read=_ranges, show=_lines)
QUIET: Final = Notation(
    widget="area", words="days of the week, dates or first..last, parted by commas", read=_quiet_days, show=_lines
)
EXCHANGES: Final = Notation(
    widget="area", words="day and HH:MM, parted by commas", read=_exchanges, show=_exchange_text
)
DIGITS: Final = Notation(
    widget="text",
    words="digits, parted by commas",
    read=lambda text: [part for part in re.split(r"[\s,;]+", text) if part],
    show=lambda stored: ", ".join(str(item) for item in profile.items(stored)),
)


def moment_words(text: str) -> str:
    """A date with a time of day as people write it, `2025-03-13 4 pm`, as 2025-03-13 16:00."""
    written = clock_words(text.strip())
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ]+(\d{1,2}):(\d\d)(?::00)?", written)
    return written if found is None else f"{found[1]} {int(found[2]):02d}:{found[3]}"


def us_dates(text: str) -> str:
    """Dates as a US spreadsheet writes them, 3/13/2025, as 2025-03-13. What is no date stays as it is."""
    return re.sub(r"(?<![\d/])(\d{1,2})/(\d{1,2})/(\d{4})(?![\d/])", _iso, text)


def _iso(found: re.Match[str]) -> str:
    try:
        return date(int(found[3]), int(found[1]), int(found[2])).isoformat()
    except ValueError:
        return found[0]
