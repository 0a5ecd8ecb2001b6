"""Help lines by country, as shipped and as an installation has changed them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).parent / "resources.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One help line. `say` is how a reply writes it; `dial` and `text` what a phone needs; dates are None
    when never verified.
    """

    say: str
    say_es: str
    dial: str | None
    text: str | None
    source: str
    verified_on: date | None
    next_review: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """The lines of one country. A country that is not enabled answers with words instead of numbers."""

    enabled: bool
    lines: Mapping[str, Line]


@cache
def shipped() -> Mapping[str, Country]:
    """Every country of resources.yaml by its two-letter code."""
    return {
        code: Country(enabled=bool(body["enabled"]), lines={n: line_from(line) for n, line in body["lines"].items()})
        for code, body in _raw()["countries"].items()
    }


@cache
def generic() -> Mapping[str, str]:
    """What a reply says instead of a number, by language."""
    return {lang: str(words) for lang, words in _raw()["generic"].items()}


def line_from(raw: Mapping[str, Any]) -> Line:
    """A line from YAML or JSON; dates may be dates or ISO text. Raises KeyError, ValueError."""
    return Line(
        say=str(raw["say"]),
        say_es=str(raw.get("say_es") or raw["say"]),
        dial=raw.get("dial") or None,
        text=raw.get("text") or None,
        source=str(raw["source"]),
        verified_on=_date(raw.get("verified_on")),
        next_review=_date(raw.get("next_review")),
    )


def line_to_json(line: Line) -> dict[str, Any]:
    return {
        "say": line.say,
        "say_es": line.say_es,
        "dial": line.dial,
        "text": line.text,
        "source": line.source,
        "verified_on": line.verified_on.isoformat() if line.verified_on else None,
        "next_review": line.next_review.isoformat() if line.next_review else None,
    }


def _date(raw: object) -> date | None:
    if raw is None or isinstance(raw, date):
        return raw
    return date.fromisoformat(str(raw))


@cache
def _raw() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return loaded
