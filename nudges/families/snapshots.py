"""Rows into the core's values and back: the only place that knows both shapes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session, attributes

from nudges import languages
from nudges.families import program_holidays
from nudges.families.program_holidays import Range, with_holidays
from nudges.models import family, safety, sequences
from nudges.models.program import Program
from schedules import catalog, localtime, plan, policy, profile, state, values

# These are asked for every text that comes in, and building a statement costs more than the database does.
_LOCKED: Final = (
    select(family.Parent)
    .where(family.Parent.id == bindparam("parent_id"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
_ENROLLMENTS: Final = (
    select(sequences.Enrollment, sequences.SequenceVersion.number, sequences.SequenceVersion.sha256)
    .join(sequences.SequenceVersion, sequences.SequenceVersion.id == sequences.Enrollment.version_id)
    .where(sequences.Enrollment.parent_id.in_(bindparam("parents", expanding=True)))
    .where(sequences.Enrollment.status == "active")
    .order_by(sequences.Enrollment.id)
    .execution_options(populate_existing=True)
)
_KEY_DATES: Final = (
    select(family.KeyDate)
    .where(family.KeyDate.parent_id.in_(bindparam("parents", expanding=True)))
    .order_by(family.KeyDate.kind, family.KeyDate.nth)
    .execution_options(populate_existing=True)
)
_HOLDS: Final = (
    select(safety.Hold)
    .where(safety.Hold.family_id.in_(bindparam("families", expanding=True)), safety.Hold.released_at.is_(None))
    .where(or_(safety.Hold.scope == "family", safety.Hold.parent_id.is_not(None)))
    .order_by(safety.Hold.id)
)
_MOVED: Final = ("state", "status", "paused_until", "next_at", "next_reason", "revision")
_SAVED: Final = (
    update(family.Parent)
    .where(family.Parent.id == bindparam("parent_id"), family.Parent.revision == bindparam("was_revision"))
    .values({name: bindparam(name) for name in _MOVED})
)

_SAVED_ENROLLMENT: Final = (
    update(sequences.Enrollment)
    .where(sequences.Enrollment.id == bindparam("enrollment_id"), sequences.Enrollment.status == "active")
    .values(state=bindparam("state"))
)


class StaleParent(Exception):
    """Somebody else changed this parent meanwhile: roll back, nothing of this transaction may stay."""


def locked(session: Session, parent_id: int) -> family.Parent:
    """The parent, fresh, and nobody else's until this transaction ends. Take it before changing a thread.

    On SQLite every transaction already holds the only write lock. Raises NoResultFound.
    """
    return session.scalars(_LOCKED, {"parent_id": parent_id}).one()


def thread_of(session: Session, parent: family.Parent, *, may_be_held: bool = True) -> values.Thread:
    """One parent as the core sees them. `may_be_held` is false for a caller who knows that the family has no hold."""
    return threads_of(session, [parent], may_be_held=may_be_held)[parent.id]


def threads_of(
    session: Session, parents: Sequence[family.Parent], *, may_be_held: bool = True
) -> dict[int, values.Thread]:
    """Threads by parent id; three queries for all of them (enrollments, key dates, holds)."""
    ids = [parent.id for parent in parents]
    enrollments = _enrollments(session, ids)
    key_dates = _key_dates(session, ids)
    holds = _holds(session, parents) if may_be_held else defaultdict[int, list[values.Hold]](list)
    holidays = holidays_of(session, {parent.program_id for parent in parents})
    return {
        parent.id: values.Thread(
            profile=with_holidays(profile_of(parent), holidays[parent.program_id]),
            status=parent.status,
            paused_until=parent.paused_until,
            pace=state.pace_from_json(parent.state) if parent.state else values.Pace(),
            enrollments=tuple(enrollments[parent.id]),
            key_dates=tuple(key_dates[parent.id]),
            holds=tuple(holds[parent.id]),
            since=parent.created_at,
        )
        for parent in parents
    }


def save(
    session: Session, parent: family.Parent, thread: values.Thread, *, now: datetime, was: values.Thread | None = None
) -> bool:
    """Store a thread, when to look at it next and why then. False when somebody else wrote the parent meanwhile.

    Only what the core moves is written: pace, status, pause, and the enrollments' agendas; not those that stand as
    they did in `was`, the thread as it was read. After False the caller rolls back (see StaleParent).
    """
    program = session.get_one(Program, parent.program_id)
    thread, look = plan.noted(thread, policy_of(program), localtime.minute(now))
    columns: dict[str, Any] = {
        "state": state.pace_to_json(thread.pace),
        "status": thread.status,
        "paused_until": thread.paused_until,
        "next_at": look.at,
        "next_reason": look.words[:200],
        "revision": parent.revision + 1,
    }
    session.flush()
    given = {"parent_id": parent.id, "was_revision": parent.revision, **columns}
    if session.connection().execute(_SAVED, given).rowcount != 1:
        return False
    for name, value in columns.items():
        attributes.set_committed_value(parent, name, value)
    as_stored = () if was is None else was.enrollments
    for enrollment in thread.enrollments:
        if enrollment not in as_stored:
            _save_enrollment(session, enrollment)
    return True


def save_or_raise(
    session: Session, parent: family.Parent, thread: values.Thread, *, now: datetime, was: values.Thread | None = None
) -> None:
    """`save`, for callers whose whole transaction must fall when somebody else was faster. Raises StaleParent."""
    if not save(session, parent, thread, now=now, was=was):
        raise StaleParent(f"parent {parent.id} was changed by somebody else")


def look_again(parent: family.Parent, *, now: datetime) -> None:
    """Have the planner look at this parent at its next beat, and make any plan under way fail."""
    parent.next_at = now
    parent.revision += 1


def holidays_of(session: Session, programs: Iterable[int]) -> dict[int, tuple[Range, ...]]:
    """The holidays of programs by id: each profile gets them through with_holidays."""
    return {program_id: program_holidays.of(session.get_one(Program, program_id)) for program_id in programs}


def policy_of(program: Program) -> policy.Policy:
    """The program's pacing rules: the defaults with its overrides."""
    return _policy(json.dumps(program.policy, sort_keys=True))


def policy_from(stored: str) -> policy.Policy:
    """The same from the JSON text of the overrides."""
    return _policy(stored)


def profile_of(parent: family.Parent) -> values.Profile:
    """The family's profile; the parent's own language wins over the one in the profile."""
    return _profile(json.dumps({**parent.profile, "pref_lang": languages.texts_for(parent.language)}, sort_keys=True))


def profile_from(stored: str, language: str) -> values.Profile:
    """The same from the profile's JSON text."""
    return _profile_from(stored, language)


def sequence_of(session: Session, version_id: int) -> values.Sequence:
    """A published version as the core reads it, parsed once per text and process."""
    key, number, sha256 = session.execute(
        select(sequences.SequenceRow.key, sequences.SequenceVersion.number, sequences.SequenceVersion.sha256)
        .join(sequences.SequenceRow, sequences.SequenceRow.id == sequences.SequenceVersion.sequence_id)
        .where(sequences.SequenceVersion.id == version_id)
    ).one()
    return parsed(session, version_id, key, number, sha256)


@lru_cache(maxsize=64)
def _policy(overrides: str) -> policy.Policy:
    return policy.parse(json.loads(overrides), where="the program's settings")


@lru_cache(maxsize=4096)
def _profile(data: str) -> values.Profile:
    return profile.parse(json.loads(data), where="the family's profile")


@lru_cache(maxsize=4096)
def _profile_from(stored: str, language: str) -> values.Profile:
    return _profile(json.dumps({**json.loads(stored), "pref_lang": languages.texts_for(language)}, sort_keys=True))


_SEQUENCES: dict[tuple[str, int], values.Sequence] = {}  # by sha256 of the text and number; versions never change


def parsed(session: Session, version_id: int, key: str, number: int, sha256: str) -> values.Sequence:
    """A published version, read and parsed once per text and process."""
    if (sha256, number) not in _SEQUENCES:
        text = session.scalars(
            select(sequences.SequenceVersion.yaml).where(sequences.SequenceVersion.id == version_id)
        ).one()
        _SEQUENCES[sha256, number] = replace(catalog.parse(text, name=key), version=number)
    return _SEQUENCES[sha256, number]


def _enrollments(session: Session, ids: Iterable[int]) -> Mapping[int, list[values.Enrollment]]:
    found: defaultdict[int, list[values.Enrollment]] = defaultdict(list)
    rows = session.execute(_ENROLLMENTS, {"parents": list(ids)})
    for row, number, sha256 in rows.all():
        sequence = parsed(session, row.version_id, row.sequence_key, number, sha256)
        found[row.parent_id].append(enrollment_value(row, sequence))
    return found


def enrollment_value(row: sequences.Enrollment, sequence: values.Sequence) -> values.Enrollment:
    """An enrollment's row as the core sees it."""
    return state.enrollment_from_json(row.state, id=str(row.id), sequence=sequence, started_at=row.started_at)


def _save_enrollment(session: Session, enrollment: values.Enrollment) -> None:
    given = {"enrollment_id": int(enrollment.id), "state": state.enrollment_to_json(enrollment)}
    session.connection().execute(_SAVED_ENROLLMENT, given)


def _key_dates(session: Session, ids: Iterable[int]) -> Mapping[int, list[values.KeyDate]]:
    found: defaultdict[int, list[values.KeyDate]] = defaultdict(list)
    for row in session.scalars(_KEY_DATES, {"parents": list(ids)}):
        found[row.parent_id].append(
            values.KeyDate(
                kind=row.kind,
                nth=row.nth,
                at=localtime.minute(row.at),
                status=row.status,
                date_only=row.on_date is not None,
            )
        )
    return found


def _hold(row: safety.Hold) -> values.Hold:
    until = None if row.until is None else localtime.minute(row.until)
    return values.Hold(kind=row.kind, since=localtime.minute(row.placed_at), until=until)


def _holds(session: Session, parents: Sequence[family.Parent]) -> Mapping[int, list[values.Hold]]:
    """Open holds: of the whole family, or of the one parent."""
    rows = session.scalars(_HOLDS, {"families": list({parent.family_id for parent in parents})}).all()
    found: defaultdict[int, list[values.Hold]] = defaultdict(list)
    for parent in parents:
        for row in rows:
            if row.family_id == parent.family_id and (row.scope == "family" or row.parent_id == parent.id):
                found[parent.id].append(_hold(row))
    return found
