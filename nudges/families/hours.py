"""Hours of the week as people write them: `mon-fri 09:00-17:30, 19:00-20:00`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

NONE: Final = "none"  # what a line or a cell says where there is nothing
_EVERY_DAY: Final = ("", "daily", "every day", "every", "default")
_DAY: Final = re.compile(r"\b(mon|tue|wed|thu|fri|sat|sun)(?:s|rs|nes|ur|urs)?(?:day)?s?\b", re.IGNORECASE)
_HALF_DAY: Final = re.compile(r"\b(1[0-2]|0?[1-9])(?::([0-5]\d))?(?::[0-5]\d)?\s*([ap])\.?m\b\.?", re.IGNORECASE)


def week(text: str) -> dict[str, list[str]]:
    """Lines such as `mon-fri 09:00-17:30, 19:00-20:00` as the profile keeps them. The core checks the words."""
    return {
        days: [part.strip() for part in hours.split(",") if part.strip().lower() not in ("", NONE)]
        for days, hours in by_days(clock_words(text)).items()
    }


def by_days(text: str) -> dict[str, str]:
    """What stands behind each group of days, by days as the core reads them; `default` where no day is named."""
    found: dict[str, str] = {}
    for line in re.split(r"[\n;]+", text.replace("–", "-")):
        if not line.strip():
            continue
        days = _leading_days(line)
        key = day_words(days)
        key = "default" if key in _EVERY_DAY else key
        rest = line[len(days) :].strip()
        found[key] = f"{found[key]}, {rest}" if key in found else rest
    return found


def _leading_days(line: str) -> str:
    """What stands before the first hour, or before `none`."""
    return re.split(r"\d|\bnone\b", line, maxsplit=1)[0]


def day_words(text: str) -> str:
    """Days as the core names them: `Monday to Friday` is `mon-fri`, `weekends` is `sat-sun`."""
    short = _DAY.sub(lambda found: found[1].lower(), text.replace("–", "-").strip(" \t:").lower())
    short = re.sub(r"\s*(?:-|\bto\b|\bthrough\b)\s*", "-", short)
    short = re.sub(r"\s*(?:,|&|\band\b)\s*", ",", short)
    return {"weekdays": "mon-fri", "weekends": "sat-sun", "weekend": "sat-sun"}.get(short, short)


def clock_words(text: str) -> str:
    """The same text with times such as 6:30 pm written as 18:30."""

    def on_24_hours(found: re.Match[str]) -> str:
        hour = int(found[1]) % 12 + (12 if found[3].lower() == "p" else 0)
        return f"{hour:02d}:{found[2] or '00'}"

    return _HALF_DAY.sub(on_24_hours, text)


def hours_text(stored: Any) -> str:
    """The inverse of `week`."""
    if not isinstance(stored, Mapping):
        return _spans_text(stored)
    return "\n".join(f"{days_text(days)} {_spans_text(spans) or NONE}" for days, spans in stored.items())


def days_text(days: Any) -> str:
    return "daily" if days == "default" else str(days).replace(" ", "")


def _spans_text(stored: Any) -> str:
    if isinstance(stored, list | tuple):
        return ", ".join(str(span) for span in stored)
    return "" if stored is None or str(stored).lower() == "null" else str(stored)
