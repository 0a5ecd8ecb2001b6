"""Help lines and the words of replies: every text that could be sent is written out and measured before it counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from nudges.crisis import edition, replies, resources
from nudges.crisis.edition import Edition, Lang
from nudges.crisis.resources import Country, Line
from schedules import segments

HEAD: Final = 70  # characters that a lock screen shows
MOST_PARTS: Final = 2
DUE_SOON: Final = timedelta(days=30)
REVIEW_EVERY: Final = timedelta(days=90)
NAMES: Final = {
    # Line of a country → what it is for
    "emergency": "Emergency services",
    "suicide": "Suicide and crisis line",
    "abuse": "Child abuse line",
    "partner": "Partner violence line",
    "poison": "Poison line",
    "runaway": "Runaway line for parents",
    "youth_text": "Text line for young people",
}
# The urgent answer has to open with something to do. The same words that the sentences of replies.yaml begin with.
_ACTION: Final = re.compile(r"\b(call|reply|take|text|llame|vaya|responda|aleje|marque|textee)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One reply as it would be sent: words, parts and septets, and what is wrong with it."""

    key: str
    lang: Lang
    country: str
    is_alerted: bool
    text: str
    parts: int
    units: int
    faults: tuple[str, ...]


def written(chosen: Edition, *, country: str) -> Iterator[Written]:
    """Every reply of a country, in both languages, with and without somebody on shift."""
    for lang, texts in chosen.wording.items():
        for key in sorted(texts.keys() - replies.STATES):
            for is_alerted in (True, False):
                text = replies.written(key, lang=lang, country=country, alerted=is_alerted, by=chosen)
                cost = segments.count(text)
                yield Written(
                    key=key,
                    lang=lang,
                    country=country,
                    is_alerted=is_alerted,
                    text=text,
                    parts=cost.parts,
                    units=cost.units,
                    faults=tuple(_faults(text, chosen, country, lang)),
                )


def faults(chosen: Edition) -> list[str]:
    """What is wrong with any reply in any country that is on, or that has words instead of numbers; each once."""
    found: list[str] = []
    for code, country in (*chosen.countries.items(), ("XX", None)):
        if country is not None and country.enabled:
            found += _faults_of_country(code, country)
        found += [f"{code}, {w.lang} {w.key}: {fault}" for w in written(chosen, country=code) for fault in w.faults]
    return list(dict.fromkeys(found))


def _faults_of_country(code: str, country: Country) -> Iterator[str]:
    if "emergency" not in country.lines or "suicide" not in country.lines:
        yield f"{code} needs an emergency line and a crisis line before it can be turned on."
    for name, line in country.lines.items():
        if line.verified_on is None:
            yield f"{code} {name} was never verified: call it, and write down the day."
        if line.dial is None and line.text is None:
            yield f"{code} {name} has neither a number to dial nor one to text."


def _faults(text: str, chosen: Edition, country: str, lang: Lang) -> Iterator[str]:
    cost = segments.count(text)
    if cost.encoding != "gsm7":
        yield f"{', '.join(sorted(cost.forced_by))} would more than halve the room: write it without."
    if cost.units > replies.MOST_UNITS or cost.parts > MOST_PARTS:
        yield f"{cost.units} characters, at most {replies.MOST_UNITS} (two message parts)."
    head = text[:HEAD]
    if not _ACTION.search(head) or not any(number in head for number in _numbers(chosen, country, lang)):
        yield f"the first {HEAD} characters must hold what to do and whom to call: “{head}”."
    if not text.isascii():
        yield "only plain letters: no accents, dashes or curly quotes."


def _numbers(chosen: Edition, country: str, lang: Lang) -> tuple[str, ...]:
    known = chosen.countries.get(country)
    if known is None or not known.enabled:
        return (resources.generic()[lang][: HEAD // 4],)  # words instead of a number may run on
    return tuple(line.say_es if lang == "es" else line.say for line in known.lines.values())


def state_of(line: Line, *, today: date) -> str:
    """`never` verified, `overdue`, due `soon`, or `good`."""
    if line.verified_on is None:
        return "never"
    if line.next_review is None or line.next_review <= today:
        return "overdue"
    return "soon" if line.next_review <= today + DUE_SOON else "good"


def due(chosen: Edition, *, today: date) -> tuple[tuple[str, str, str], ...]:
    """(country, line, state) of every line in use that has to be called again now or within 30 days."""
    return tuple(
        (code, name, state)
        for code, country in chosen.countries.items()
        if country.enabled
        for name, line in country.lines.items()
        for state in (state_of(line, today=today),)
        if state != "good"
    )


def line_key(country: str, name: str) -> str:
    return f"{edition.LINE}:{country}.{name}"
