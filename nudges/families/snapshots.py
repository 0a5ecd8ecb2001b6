"""Rows into the core's values and back: the only place that knows both shapes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session, attributes

from nudges import languages
from nudges.families import program_holidays
from nudges.families.program_holidays import Range, with_holidays
from nudges.models import family, safety, sequences
from nudges.models.program import Program
from schedules import catalog, localtime, plan, policy, policy_file, profile, state, values

Enrolled: TypeAlias = tuple[sequences.Enrollment, values.Sequence]


class StaleParent(Exception):
    """Somebody else changed this parent meanwhile: roll back, nothing of this transaction may stay."""


def locked(session: Session, parent_id: int) -> family.Parent:
    """The parent, fresh, and nobody else's until this transaction ends. Take it before changing a thread.

    On SQLite every transaction already holds the only write lock. Raises NoResultFound.
    """
    return session.scalars(
        select(family.Parent)
        .where(family.Parent.id == parent_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def thread_of(session: Session, parent: family.Parent, *, may_be_held: bool = True) -> values.Thread:
    """One parent as the core sees them. `may_be_held` is false for a caller who knows that the family has no hold."""
    return threads_of(session, [parent], may_be_held=may_be_held)[parent.id]


def threads_of(
    session: Session, parents: Sequence[family.Parent], *, may_be_held: bool = True
) -> dict[int, values.Thread]:
    """Threads by parent id; three queries for all of them (enrollments, key dates, holds)."""
    rows = Rows(session, parents, may_be_held=may_be_held)
    return {parent.id: rows.thread(parent) for parent in parents}


class Rows:
    """All that the core sees of some parents, as it is stored: read in three queries, made into a thread one by one.

    `thread` raises what the core raises about a parent's own data, so that one bad row stops nobody else.
    """

    def __init__(self, session: Session, parents: Sequence[family.Parent], *, may_be_held: bool = True) -> None:
        ids = [parent.id for parent in parents]
        self._enrollments = _enrollments(session, ids)
        self._key_dates = _key_dates(session, ids)
        self._holidays = holidays_of(session, {parent.program_id for parent in parents})
        self._holds = _holds(session, parents) if may_be_held else {}

    def thread(self, parent: family.Parent) -> values.Thread:
        """One of the parents as the core sees them."""
        return values.Thread(
            profile=with_holidays(profile_of(parent), self._holidays[parent.program_id]),
            status=parent.status,
            paused_until=parent.paused_until,
            pace=state.pace_from_json(parent.state) if parent.state else values.Pace(),
            enrollments=tuple(enrollment_value(row, sequence) for row, sequence in self.enrollments(parent)),
            key_dates=tuple(self._key_dates.get(parent.id, ())),
            holds=tuple(self._holds.get(parent.id, ())),
            since=parent.created_at,
        )

    def enrollments(self, parent: family.Parent) -> Sequence[Enrolled]:
        """The parent's running enrollments."""
        return self._enrollments.get(parent.id, ())


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """A parent's thread to store: as it was read, as it is now, and what it waits for."""

    parent: family.Parent
    was: values.Thread | None
    thread: values.Thread
    look: plan.Look

    def columns(self) -> dict[str, Any]:
        """Only what the core moves."""
        return {
            "state": state.pace_to_json(self.thread.pace),
            "status": self.thread.status,
            "paused_until": self.thread.paused_until,
            "next_at": self.look.at,
            "next_reason": self.look.words[:200],
            "revision": self.parent.revision + 1,
        }

    def agendas(self) -> list[dict[str, Any]]:
        """The enrollments that do not stand as they did."""
        as_stored = () if self.was is None else self.was.enrollments
        return [
            {"enrollment_id": int(one.id), "state": state.enrollment_to_json(one)}
            for one in self.thread.enrollments
            if one not in as_stored
        ]


def save_all(session: Session, moved: Sequence[Moved]) -> None:
    """Store threads: pace, status, pause, when to look next, and the enrollments' agendas.

    Raises StaleParent when somebody else wrote one of the parents meanwhile: then roll back. What the session holds of
    the parents is as it was read.
    """
    if not moved:
        return
    session.flush()
    agendas = [one for each in moved for one in each.agendas()]
    if agendas:
        enrollments = sequences.Enrollment.metadata.tables[sequences.Enrollment.__tablename__]
        is_running = (enrollments.c.id == bindparam("enrollment_id"), enrollments.c.status == "active")
        session.connection().execute(update(enrollments).where(*is_running).values(state=bindparam("state")), agendas)
    parents = family.Parent.metadata.tables[family.Parent.__tablename__]
    given = [{"parent_id": one.parent.id, "was_revision": one.parent.revision, **one.columns()} for one in moved]
    as_read = (parents.c.id == bindparam("parent_id"), parents.c.revision == bindparam("was_revision"))
    names = given[0].keys() - {"parent_id", "was_revision"}
    statement = update(parents).where(*as_read).values({name: bindparam(name) for name in names})
    if session.connection().execute(statement, given).rowcount != len(moved):
        raise StaleParent("a parent was changed by somebody else")


def save(
    session: Session, parent: family.Parent, thread: values.Thread, *, now: datetime, was: values.Thread | None = None
) -> bool:
    """Store one thread, when to look at it next and why then. False when somebody else wrote the parent meanwhile.

    Only what the core moves is written: pace, status, pause, and the enrollments' agendas; not those that stand as
    they did in `was`, the thread as it was read. After False the caller rolls back (see StaleParent).
    """
    program = session.get_one(Program, parent.program_id)
    thread, look = plan.noted(thread, policy_of(program), localtime.minute(now))
    moved = Moved(parent=parent, was=was, thread=thread, look=look)
    try:
        save_all(session, [moved])
    except StaleParent:
        return False
    for name, value in moved.columns().items():
        attributes.set_committed_value(parent, name, value)
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


def profile_of(parent: family.Parent) -> values.Profile:
    """The family's profile; the parent's own language wins over the one in the profile."""
    return _profile(json.dumps({**parent.profile, "pref_lang": languages.texts_for(parent.language)}, sort_keys=True))


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
    return policy_file.parse(json.loads(overrides), where="the program's settings")


@lru_cache(maxsize=4096)
def _profile(data: str) -> values.Profile:
    return profile.parse(json.loads(data), where="the family's profile")


_SEQUENCES: dict[tuple[str, int], values.Sequence] = {}  # by sha256 of the text and number; versions never change


def parsed(session: Session, version_id: int, key: str, number: int, sha256: str) -> values.Sequence:
    """A published version, read and parsed once per text and process."""
    if (sha256, number) not in _SEQUENCES:
        text = session.scalars(
            select(sequences.SequenceVersion.yaml).where(sequences.SequenceVersion.id == version_id)
        ).one()
        _SEQUENCES[sha256, number] = replace(catalog.parse(text, name=key), version=number)
    return _SEQUENCES[sha256, number]


def _enrollments(session: Session, ids: Collection[int]) -> Mapping[int, list[Enrolled]]:
    found: defaultdict[int, list[Enrolled]] = defaultdict(list)
    rows = session.execute(
        select(sequences.Enrollment, sequences.SequenceVersion.number, sequences.SequenceVersion.sha256)
        .join(sequences.SequenceVersion, sequences.SequenceVersion.id == sequences.Enrollment.version_id)
        .where(sequences.Enrollment.parent_id.in_(ids), sequences.Enrollment.status == "active")
        .order_by(sequences.Enrollment.id)
        .execution_options(populate_existing=True)
    )
    for row, number, sha256 in rows.all():
        found[row.parent_id].append((row, parsed(session, row.version_id, row.sequence_key, number, sha256)))
    return found


def enrollment_value(row: sequences.Enrollment, sequence: values.Sequence) -> values.Enrollment:
    """An enrollment's row as the core sees it."""
    return state.enrollment_from_json(row.state, id=str(row.id), sequence=sequence, started_at=row.started_at)


def _key_dates(session: Session, ids: Collection[int]) -> Mapping[int, list[values.KeyDate]]:
    found: defaultdict[int, list[values.KeyDate]] = defaultdict(list)
    rows = session.scalars(
        select(family.KeyDate)
        .where(family.KeyDate.parent_id.in_(ids))
        .order_by(family.KeyDate.kind, family.KeyDate.nth)
        .execution_options(populate_existing=True)
    )
    for row in rows:
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
    of_family: defaultdict[int, list[safety.Hold]] = defaultdict(list)
    rows = session.scalars(
        select(safety.Hold)
        .where(safety.Hold.family_id.in_({parent.family_id for parent in parents}), safety.Hold.released_at.is_(None))
        .where(or_(safety.Hold.scope == "family", safety.Hold.parent_id.is_not(None)))
        .order_by(safety.Hold.id)
        .execution_options(populate_existing=True)
    )
    for row in rows:
        of_family[row.family_id].append(row)
    return {
        parent.id: [
            _hold(row) for row in of_family[parent.family_id] if row.scope == "family" or row.parent_id == parent.id
        ]
        for parent in parents
    }
