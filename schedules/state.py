"""The moving part of a thread as JSON and back: what the service stores, and nobody else reads inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeVar

from schedules.values import (
    Enrollment,
    Kind,
    Mark,
    OpenQuestion,
    Pace,
    Pending,
    Planned,
    Proposal,
    Sequence,
    Topic,
)

T = TypeVar("T")


def pace_to_json(pace: Pace) -> dict[str, Any]:
    """Only what differs from a fresh thread."""
    return _plain(pace)


def pace_from_json(data: Mapping[str, Any]) -> Pace:
    values = dict(data)
    values["marks"] = tuple(_mark(item) for item in values.get("marks", ()))
    for key in ("question", "lapsed_question"):
        values[key] = _build(OpenQuestion, values[key]) if values.get(key) else None
    values["planned"] = _build(Planned, values["planned"]) if values.get("planned") else None
    return _build(Pace, values)


def enrollment_to_json(enrollment: Enrollment) -> dict[str, Any]:
    """Agenda, cycles, facts, instants, and the start that steps count from, which a rest moves."""
    return {
        "started_at": enrollment.started_at.isoformat(),
        "agenda": [_plain(pending) for pending in enrollment.agenda],
        "cycles": dict(enrollment.cycles),
        "facts": dict(enrollment.facts),
        "instants": {key: at.isoformat() for key, at in enrollment.instants.items()},
    }


def enrollment_from_json(data: Mapping[str, Any], *, id: str, sequence: Sequence, started_at: datetime) -> Enrollment:
    counted_from = data.get("started_at")
    return Enrollment(
        id=id,
        sequence=sequence,
        started_at=datetime.fromisoformat(counted_from) if counted_from else started_at,
        agenda=tuple(_build(Pending, item) for item in data.get("agenda", ())),
        cycles=dict(data.get("cycles", {})),
        facts=dict(data.get("facts", {})),
        instants={key: datetime.fromisoformat(at) for key, at in data.get("instants", {}).items()},
    )


def proposal_to_json(proposal: Proposal) -> dict[str, Any]:
    data = _plain(proposal)
    if proposal.window:
        data["window"] = [at.isoformat() for at in proposal.window]
    return data


def proposal_from_json(data: Mapping[str, Any]) -> Proposal:
    values = dict(data)
    window = values.pop("window", None)
    proposal = _build(Proposal, values)
    if window is None:
        return proposal
    start, end = (datetime.fromisoformat(at) for at in window)
    return dataclasses.replace(proposal, window=(start, end))


_STORED = (Mark, OpenQuestion, Pace, Pending, Planned, Proposal)
_DEFAULTS: dict[type, tuple[tuple[str, Any], ...]] = {
    cls: tuple((field.name, field.default) for field in dataclasses.fields(cls)) for cls in _STORED
}
_READ_ALL: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    cls: attrgetter(*(name for name, _ in defaults)) for cls, defaults in _DEFAULTS.items()
}


def _plain(value: Any) -> dict[str, Any]:
    """A dataclass as JSON, without the fields that still have their default."""
    cls = type(value)
    return {
        name: item if type(item) in _AS_THEY_ARE else _json(item)
        for (name, default), item in zip(_DEFAULTS[cls], _READ_ALL[cls](value), strict=True)
        if item is not default and item != default
    }


def _json(item: Any) -> Any:
    if type(item) is Mark:
        known = _MARKS_READ.get(id(item))
        return _plain(item) if known is None else known[1]
    if isinstance(item, datetime):
        return item.isoformat()
    if isinstance(item, Enum):
        return item.value
    if isinstance(item, tuple):
        return [_json(part) for part in item]
    return _plain(item) if type(item) in _DEFAULTS else item


def _build(cls: type[T], data: Mapping[str, Any]) -> T:
    """A dataclass from its JSON: instants by their names (`…_at`, `at`, `until`, `…_until`), enums by theirs."""
    values = {key: item if (read := _READERS.get(key)) is None else read(item) for key, item in data.items()}
    return cls(**values)


# Marks that were read lately, with the JSON of each: most of a thread comes back as it was. By identity, held.
_MARKS_READ: dict[int, tuple[Mark, Mapping[str, Any]]] = {}
_MOST_MARKS = 256


def _mark(data: Mapping[str, Any]) -> Mark:
    mark = _build(Mark, data)
    if len(_MARKS_READ) >= _MOST_MARKS:
        _MARKS_READ.clear()
    _MARKS_READ[id(mark)] = mark, data
    return mark


def _instant(item: Any) -> Any:
    return datetime.fromisoformat(item) if type(item) is str else item


def _is_instant(name: str) -> bool:
    return name in ("at", "base", "until", "not_before", "silence_since") or name.endswith(("_at", "_until"))


_AS_THEY_ARE = frozenset((str, int, bool, float, type(None)))
_READERS: dict[str, Callable[[Any], Any]] = {
    **{name: _instant for defaults in _DEFAULTS.values() for name, _ in defaults if _is_instant(name)},
    "kind": lru_cache(maxsize=len(Kind))(Kind),  # to call an enum costs as much as an instant
    "topic": lru_cache(maxsize=len(Topic))(Topic),
}
