"""A stored profile as the texts of its fields, and back: what came back as it was shown is left as it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from nudges.families import notation
from nudges.families.fields import BY_NAME, FIELDS, PROFILE, DateField, DateGiven, Field, at_door
from schedules import profile as profiles
from schedules.localtime import to_utc


def as_text(stored: Mapping[str, Any], door: str = PROFILE) -> dict[str, str]:
    """Every field of a door as the text that is shown for a stored profile."""
    return {field.name: _text(field, stored) for field in at_door(door)}


def _text(field: Field, stored: Mapping[str, Any]) -> str:
    value = _mapping(stored, field.key).get(field.part) if field.part else stored.get(field.name)
    if value is None and (field.part or field.name not in stored):
        return field.shown
    try:
        return field.notation.show(value)
    except profiles.Fault:
        return str(value)  # kept as it is until somebody mends it


def _mapping(stored: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A stored mapping; custody may be stored as its pattern alone."""
    value = stored.get(key)
    return dict(value) if isinstance(value, Mapping) else {} if value is None else {"pattern": value}


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What somebody changed: new values by key (none: taken away), and by field what is wrong with others.

    `was` is what the form should say that it showed, when it is shown again with its faults.
    """

    values: Mapping[str, Any]
    faults: tuple[tuple[str, str], ...]
    was: Mapping[str, str]


def changes(
    stored: Mapping[str, Any], typed: Mapping[str, str], *, was: Mapping[str, str] | None = None, country: str
) -> Changes:
    """What differs between the texts that were shown (`was`; as_text of `stored` by default) and what came back.

    A field that is not in `typed`, or that came back as it was shown, keeps its stored value whatever its form.
    """
    before = {name: _tidy(text) for name, text in (was or {}).items()}
    values: dict[str, Any] = {}
    faults: list[tuple[str, str]] = []
    for field in FIELDS:
        text = typed.get(field.name)
        if text is None:
            continue
        now_says = _text(field, stored)
        said = before.setdefault(field.name, now_says)
        if _tidy(text) in (said, now_says):
            continue
        if said != now_says:
            faults.append((field.name, _overtaken(now_says)))
            before[field.name] = now_says
            continue
        try:
            _put(values, stored, field, _read(field, _tidy(text), country))
        except profiles.Fault as fault:
            faults.append((field.name, sentence(str(fault))))
    faults += _faults_together(stored, values, dict(faults))
    return Changes(values=values, faults=tuple(faults), was=before)


def _tidy(text: str) -> str:
    """A text as it was shown: a browser ends lines otherwise."""
    return text.replace("\r\n", "\n").strip()


def _overtaken(now_shown: str) -> str:
    says = f"“{now_shown}”" if now_shown else "empty"
    return f"Somebody changed this while the form was open: it is {says} now. Save again to put yours in its place."


def _read(field: Field, text: str, country: str) -> Any:
    """The stored form of a text. Raises Fault."""
    if not text:
        return field.emptied
    raw = field.notation.read(notation.us_dates(text) if country == "US" else text)
    if not field.part:
        profiles.READERS[field.name](field.name, raw)
    return raw


def _put(values: dict[str, Any], stored: Mapping[str, Any], field: Field, raw: Any) -> None:
    if not field.part:
        values[field.name] = raw
        return
    parts = {**_mapping({**stored, **values}, field.key), field.part: raw}
    given = {part: value for part, value in parts.items() if value not in (None, [])}
    values[field.key] = {"pattern": "every_day", **given} if given else None


def _faults_together(
    stored: Mapping[str, Any], values: Mapping[str, Any], known: Mapping[str, str]
) -> list[tuple[str, str]]:
    """What is wrong with the profile as a whole, such as a pattern without its first day."""
    found: list[tuple[str, str]] = []
    merged = {key: value for key, value in {**stored, **values}.items() if value is not None}
    try:
        profiles.parse(merged, where="")
    except profiles.ProfileError as error:
        for words in error.faults:
            key, _, message = words.removeprefix(": ").partition(": ")
            name = key.partition(" ")[0]  # also of `timezone is missing`
            if name not in known:
                found.append((name if name in BY_NAME else "", sentence(message or key)))
    return found


def sentence(words: str) -> str:
    """A core's fault, `'x' is no date; write …`, as people read it."""
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def date_given(field: DateField, text: str, zone: str, *, country: str) -> DateGiven:
    """A date as it was typed, in the family's own zone. Raises Fault."""
    written = notation.us_dates(text) if country == "US" else text
    try:
        wall = datetime.fromisoformat(notation.moment_words(written))
        if wall.tzinfo is not None or field.has_time != (len(written.strip()) > 10):
            raise ValueError
    except ValueError:
        like = "2025-03-13 16:00, in the family's own time" if field.has_time else "2025-03-13"
        raise profiles.Fault(
            f"This is no {'date and time' if field.has_time else 'date'}. Write it like {like}"
        ) from None
    at = to_utc(wall.date(), wall.time() if field.has_time else time(0), zone)
    return DateGiven(kind=field.kind, nth=field.nth, at=at, on_date=None if field.has_time else wall.date())
