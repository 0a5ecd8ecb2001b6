"""Many parents at once, for the planner and the lanes: rows as they are stored, in four queries for all of them.

What is JSON stays text until somebody needs it, and phones and names stay sealed: most parents of a batch stand
exactly alike but for their ids (see `Reading.alike`), so a thread is built once for all of them.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, Text, bindparam, cast, func, literal, or_, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from nudges.db import as_given, ids_given
from nudges.families import snapshots
from nudges.families.program_holidays import Range, with_holidays
from nudges.models.family import FamilyStaff, KeyDate, Parent
from nudges.models.program import Staff
from nudges.models.safety import Hold
from nudges.models.sequences import Enrollment, SequenceVersion
from schedules import localtime, state, values

# Spelled out in the statement, or SQLite does not see that the partial index holds them.
_PLANNED: Final = [literal(status, literal_execute=True) for status in ("active", "paused")]
_FIRST: Final = "#00"  # what the only enrollment is called
_HAS_START: Final = '{"started_at": "'  # what the core writes first
_OF_ENROLLMENT: Final = re.compile(r'"enrollment":\s*"(\d+)"')


class Enrolled(NamedTuple):
    """A running enrollment. `name` stands for its id in whatever the core sees (see `Reading.alike`)."""

    id: int
    name: str
    version_id: int
    sequence: values.Sequence
    started: datetime | str  # as the driver gives it: read when somebody needs it
    state: str


class Reading(NamedTuple):
    """One parent's rows. `phone` is sealed; `state` has each enrollment's name where the id was.

    A tuple: a batch makes a thousand of them, and most are only compared.
    """

    id: int
    program_id: int
    family_id: int
    revision: int
    status: str
    paused_until: datetime | None
    phone_problem: str | None
    phone: str
    profile: str
    language: str
    state: str
    enrollments: tuple[Enrolled, ...] = ()
    key_dates: tuple[values.KeyDate, ...] = ()
    holds: tuple[values.Hold, ...] = ()
    staff_id: int | None = None  # the counselor whose name the family's texts carry
    holidays: tuple[Range, ...] = ()  # of the program
    family_names: tuple[str, ...] = ()  # of all the family's parents, sealed, where a lane asks: see `of`

    def alike(self) -> tuple[object, ...]:
        """Equal for two parents about whom the core must decide the same: all that it sees, without their ids."""
        return (
            self.program_id,
            self.staff_id,
            self.status,
            self.paused_until,
            self.profile,
            self.language,
            self.state,
            *[(e.name, e.version_id, _start_beside(e), e.state) for e in self.enrollments],
            self.key_dates,
            self.holds,
            self.holidays,
        )

    def thread(self) -> values.Thread:
        """As the core sees them, with names in the place of enrollment ids."""
        stored = json.loads(self.state)
        return values.Thread(
            profile=with_holidays(snapshots.profile_from(self.profile, self.language), self.holidays),
            status=self.status,
            paused_until=self.paused_until,
            pace=state.pace_from_json(stored) if stored else values.Pace(),
            enrollments=tuple(
                state.enrollment_from_json(
                    json.loads(e.state), id=e.name, sequence=e.sequence, started_at=_instant(e.started)
                )
                for e in self.enrollments
            ),
            key_dates=self.key_dates,
            holds=self.holds,
        )


def _start_beside(enrolled: Enrolled) -> datetime | str | None:
    """When it began, unless its state says so itself: then the core sees nothing else (state.enrollment_from_json)."""
    return None if enrolled.state.startswith(_HAS_START) else enrolled.started


def _instant(stored: datetime | str) -> datetime:
    """An aware UTC instant from what a driver gives: SQLite keeps the text of a naive one."""
    if isinstance(stored, str):
        return datetime.fromisoformat(stored).replace(tzinfo=UTC)
    return stored.astimezone(UTC)


def claim_due(session: Session, now: datetime, limit: int) -> list[Reading]:
    """Parents whose moment has come, the longest overdue first, until this transaction ends nobody else's.

    On PostgreSQL parents whom somebody else holds are left out; on SQLite this transaction holds the only write lock.
    """
    return _complete(session, session.execute(_DUE, {"now": now, "most": limit}).all())


def claim(session: Session, parent_id: int) -> Reading | None:
    """One parent who may be planned for, due or not; nobody else's until this transaction ends."""
    one = _columns().where(Parent.id == parent_id, Parent.status.in_(_PLANNED)).with_for_update()
    return next(iter(_complete(session, session.execute(one).all())), None)


def of(session: Session, ids: Collection[int]) -> dict[int, Reading]:
    """Parents by id, whatever their status, with what their families' parents are called, which no text may say.

    Without their counselor: no rule asks who that is, only words do.
    """
    if not ids:
        return {}
    rows: Sequence[Any] = session.connection().execute(_WITH_FAMILIES, {"ids": as_given(ids)}).all()
    names: defaultdict[int, list[str]] = defaultdict(list)
    for row in rows:
        names[row[2]].append(row[-1])
    asked = [row[:-1] for row in rows if row[0] in ids]
    return {one.id: one for one in _complete(session, asked, names=names)}


def first_names(session: Session, staff_ids: set[int]) -> dict[int, str]:
    """How texts call each counselor."""
    rows = session.execute(select(Staff.id, Staff.name).where(Staff.id.in_(staff_ids))) if staff_ids else ()
    return {staff_id: name.split()[0] for staff_id, name in rows}


def _columns() -> Select[Any]:
    return select(
        Parent.id,
        Parent.program_id,
        Parent.family_id,
        Parent.revision,
        Parent.status,
        Parent.paused_until,
        Parent.phone_problem,
        type_coerce(Parent.phone, Text()).label("phone"),
        _as_text(Parent.profile).label("profile"),
        Parent.language,
        _as_text(Parent.state).label("state"),
    )


def _as_text(column: InstrumentedAttribute[dict[str, Any]]) -> Any:
    return cast(column, Text())


# Asked at every beat: built once.
_DUE: Final = (
    _columns()
    .where(Parent.status.in_(_PLANNED), Parent.next_at.is_not(None), Parent.next_at <= bindparam("now"))
    .order_by(Parent.next_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)


_SIBLING: Final = aliased(Parent)
_WITH_FAMILIES: Final = (
    _columns()
    .add_columns(type_coerce(Parent.name, Text()).label("name"))
    .where(Parent.family_id.in_(select(_SIBLING.family_id).where(_SIBLING.id.in_(ids_given("ids")))))
    .order_by(Parent.id)
)


def _complete(
    session: Session, rows: Sequence[Any], *, names: Mapping[int, Sequence[str]] | None = None
) -> list[Reading]:
    """The rest of what the core sees, in one query each; the counselor, unless `names` by family take his place."""
    if not rows:
        return []
    parents, families = as_given(row[0] for row in rows), as_given(row[2] for row in rows)
    enrollments = _enrollments(session, parents)
    key_dates = _key_dates(session, parents)
    holds = _holds(session, families)
    staff = _counselors(session, families) if names is None else {}
    holidays = snapshots.holidays_of(session, {row[1] for row in rows})
    found = []
    for row in rows:
        parent_id, family_id = row[0], row[2]
        enrolled = enrollments.get(parent_id, ())
        rest = (
            enrolled,
            tuple(key_dates.get(parent_id, ())),
            tuple(hold for whose, hold in holds[family_id] if whose in (None, parent_id)) if family_id in holds else (),
            staff.get(family_id),
            holidays[row[1]],
            () if names is None else tuple(names[family_id]),
        )
        found.append(Reading._make((*row[:-1], with_names(row[-1], enrolled), *rest)))
    return found


def with_names(stored: str, enrollments: Sequence[Enrolled]) -> str:
    """JSON text as stored, each enrollment's name in the place of its id: questions and plans belong to one."""
    if '"enrollment"' not in stored:
        return stored
    names = {str(enrolled.id): enrolled.name for enrolled in enrollments}
    return _OF_ENROLLMENT.sub(lambda found: f'"enrollment": "{names.get(found[1], found[1])}"', stored)


def with_ids(text: str, enrollments: Sequence[Enrolled]) -> str:
    """JSON that the core's values were written to, with ids in the place of names again."""
    for enrolled in enrollments:
        text = text.replace(f'"{enrolled.name}"', f'"{enrolled.id}"')
    return text


_ENROLLMENTS: Final = (
    select(
        Enrollment.id,
        Enrollment.parent_id,
        Enrollment.sequence_key,
        Enrollment.version_id,
        type_coerce(Enrollment.started_at, Text()).label("started"),
        _as_text(Enrollment.state).label("state"),
        SequenceVersion.number,
        SequenceVersion.sha256,
    )
    .join(SequenceVersion, SequenceVersion.id == Enrollment.version_id)
    .where(Enrollment.parent_id.in_(ids_given("parents")), Enrollment.status == "active")
    .order_by(Enrollment.id)
)
_KEY_DATES: Final = (
    select(KeyDate.parent_id, KeyDate.kind, KeyDate.nth, KeyDate.at, KeyDate.status, KeyDate.on_date)
    .where(KeyDate.parent_id.in_(ids_given("parents")))
    .order_by(KeyDate.kind, KeyDate.nth)
)
_HOLDS: Final = (
    select(Hold.family_id, Hold.scope, Hold.parent_id, Hold.kind, Hold.placed_at, Hold.until)
    .where(Hold.family_id.in_(ids_given("families")), Hold.released_at.is_(None))
    .where(or_(Hold.scope == "family", Hold.parent_id.is_not(None)))
    .order_by(Hold.id)
)
_COUNSELORS: Final = (
    select(FamilyStaff.family_id, func.min(Staff.id).label("staff_id"))
    .join(Staff, Staff.id == FamilyStaff.staff_id)
    .where(FamilyStaff.family_id.in_(ids_given("families")), Staff.is_active)
    .group_by(FamilyStaff.family_id)
)


def _enrollments(session: Session, parents: str) -> Mapping[int, tuple[Enrolled, ...]]:
    by_parent: defaultdict[int, list[Any]] = defaultdict(list)
    rows: Sequence[Any] = session.connection().execute(_ENROLLMENTS, {"parents": parents}).all()
    known = {row[3]: snapshots.parsed(session, row[3], row[2], row[6], row[7]) for row in rows}
    for id_, parent_id, _, version_id, started, stored, _, _ in rows:
        by_parent[parent_id].append(Enrolled(id_, _FIRST, version_id, known[version_id], started, stored))
    return {parent_id: _named(of_parent) for parent_id, of_parent in by_parent.items()}


def _named(enrolled: Sequence[Enrolled]) -> tuple[Enrolled, ...]:
    if len(enrolled) > 1:
        # The core breaks ties by id as text: names keep that order.
        rank = {id_: n for n, id_ in enumerate(sorted(str(one.id) for one in enrolled))}
        return tuple(one._replace(name=f"#{rank[str(one.id)]:02d}") for one in enrolled)
    return tuple(enrolled)


def _key_dates(session: Session, parents: str) -> Mapping[int, list[values.KeyDate]]:
    found: defaultdict[int, list[values.KeyDate]] = defaultdict(list)
    for parent_id, kind, nth, at, status, on_date in session.connection().execute(_KEY_DATES, {"parents": parents}):
        key_date = values.KeyDate(
            kind=kind, nth=nth, at=localtime.minute(at), status=status, date_only=on_date is not None
        )
        found[parent_id].append(key_date)
    return found


def _holds(session: Session, families: str) -> Mapping[int, list[tuple[int | None, values.Hold]]]:
    """Open holds by family; each with the one parent whom it is about, none for the whole family."""
    found: defaultdict[int, list[tuple[int | None, values.Hold]]] = defaultdict(list)
    for family_id, scope, parent_id, kind, since, until in session.connection().execute(_HOLDS, {"families": families}):
        whose = None if scope == "family" else parent_id
        found[family_id].append(
            (
                whose,
                values.Hold(
                    kind=kind, since=localtime.minute(since), until=None if until is None else localtime.minute(until)
                ),
            )
        )
    return found


def _counselors(session: Session, families: str) -> dict[int, int]:
    """By family, the counselor with the longest account."""
    rows = session.connection().execute(_COUNSELORS, {"families": families})
    return {row.family_id: row.staff_id for row in rows}
