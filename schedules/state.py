"""The moving part of a thread as JSON and back: what the service stores, and nobody else reads inside.

Instants are ISO 8601 in UTC, fields that have their default are left out. Reading raises what cattrs raises.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from cattrs import Converter

from schedules.localtime import Minute
from schedules.values import Enrollment, Pace, Pending, Proposal, Sequence, Thread

_CONVERTER = Converter(omit_if_default=True)
_CONVERTER.register_unstructure_hook(datetime, lambda at: at.isoformat())
_CONVERTER.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
_CONVERTER.register_structure_hook(Minute, lambda text, _: datetime.fromisoformat(text))
_CONVERTER.register_unstructure_hook(date, lambda day: day.isoformat())
_CONVERTER.register_structure_hook(date, lambda text, _: date.fromisoformat(text))
_CONVERTER.register_unstructure_hook(time, lambda wall: wall.isoformat())


def pace_to_json(pace: Pace) -> dict[str, Any]:
    """Only what differs from a fresh thread."""
    return dict(_CONVERTER.unstructure(pace, Pace))


def pace_from_json(data: Mapping[str, Any]) -> Pace:
    return _CONVERTER.structure(data, Pace)


def last_text_at(data: Mapping[str, Any]) -> datetime | None:
    """When the last text of a stored pace went; none when that is long ago."""
    marks = data.get("marks", ())
    return datetime.fromisoformat(marks[-1]["at"]) if marks else None


def enrollment_to_json(enrollment: Enrollment) -> dict[str, Any]:
    """Agenda, cycles, facts, instants, and the start that steps count from, which a rest moves."""
    return {
        "started_at": enrollment.started_at.isoformat(),
        "agenda": _CONVERTER.unstructure(enrollment.agenda, tuple[Pending, ...]),
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
        agenda=_CONVERTER.structure(data.get("agenda", ()), tuple[Pending, ...]),
        cycles=dict(data.get("cycles", {})),
        facts=dict(data.get("facts", {})),
        instants={key: datetime.fromisoformat(at) for key, at in data.get("instants", {}).items()},
    )


def proposal_to_json(proposal: Proposal) -> dict[str, Any]:
    return dict(_CONVERTER.unstructure(proposal, Proposal))


def proposal_from_json(data: Mapping[str, Any]) -> Proposal:
    return _CONVERTER.structure(data, Proposal)


def basis(thread: Thread) -> str:
    """A short fingerprint of what a planned text was decided on besides the pace: the family's profile and dates.

    Kept with a queued text. When it differs at the hand-over, the text is planned anew instead of sent.
    """
    seen = _CONVERTER.unstructure((thread.profile, thread.key_dates))
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=sorted).encode()).hexdigest()[:16]
