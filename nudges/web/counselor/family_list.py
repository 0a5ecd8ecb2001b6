"""The list of families and its search: a page's worth at most, however many families a program has."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Text, func, select, type_coerce, union
from sqlalchemy.orm import Session

from nudges.db import as_given, blind_index, ids_given, unseal
from nudges.families.phones import PhoneError, to_e164
from nudges.models.family import Family, FamilyStaff, Parent
from nudges.models.program import Program
from nudges.models.safety import Alert, Hold
from nudges.models.sequences import Enrollment
from nudges.web.context import SignedIn
from nudges.web.guards import visible_families
from schedules import state

SHOWN: Final = 100  # families on a page
READ: Final = 5000  # the newest families, whose names and numbers a search opens one by one: they are sealed
LEAST_DIGITS: Final = 3  # fewer would match half of all numbers

_ALERTED: Final = select(Alert.family_id).where(Alert.status != "resolved", Alert.family_id.is_not(None))
_HELD: Final = select(Hold.family_id).where(Hold.released_at.is_(None))
_GIVEN: Final = ids_given("families")


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyRow:
    """A family as the list shows it."""

    family: Family
    parents: Sequence[Parent]
    sequences: Sequence[str]
    has_alert: bool
    is_held: bool
    last_texts: Mapping[int, datetime | None]  # by parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """At most SHOWN families; those that ask for a person stand first.

    `is_cut`: there are more. `read` is set when a search could not read every family: how many of the newest it read.
    """

    rows: Sequence[FamilyRow]
    is_cut: bool
    read: int | None = None


def listing(db: Session, member: SignedIn, query: str) -> Listing:
    """The families that `member` sees; with a query those that it means: a code, a name, digits of a number."""
    seen = _conditions(db, member)
    if not query.strip():
        ids = _first(db, seen)
        return Listing(rows=_rows(db, ids[:SHOWN]), is_cut=len(ids) > SHOWN)
    newest = _newest(db, seen)
    found = {*_read(db, newest, query), *_by_number(db, member, seen, query), *_by_whole_code(db, seen, query)}
    ids = _first(db, (Family.id.in_(_GIVEN),), among=found)
    return Listing(rows=_rows(db, ids[:SHOWN]), is_cut=len(ids) > SHOWN, read=READ if len(newest) == READ else None)


def _conditions(db: Session, member: SignedIn) -> tuple[ColumnElement[bool], ...]:
    """Few families are found by who looks after them; of many each is asked, in the order that the list wants."""
    mine = select(FamilyStaff.family_id).where(FamilyStaff.staff_id == member.id)
    some = mine.limit(READ + 1).subquery()
    if member.is_admin or (db.scalar(select(func.count()).select_from(some)) or 0) <= READ:
        return visible_families(member)
    is_mine = mine.where(FamilyStaff.family_id == Family.id).correlate(Family).exists()
    return (Family.program_id == member.program_id, is_mine)


def _first(db: Session, conditions: Iterable[ColumnElement[bool]], *, among: Collection[int] = ()) -> list[int]:
    """Ids of a page and one more: who needs a person, then by code. `among` is for a condition on `_GIVEN`."""
    given = {"families": as_given(among)}
    needing = Family.id.in_(select(union(_ALERTED, _HELD).subquery().c.family_id))
    urgent = select(Family.id).where(needing, *conditions).order_by(Family.id.in_(_ALERTED).desc(), Family.code)
    ids = list(db.scalars(urgent.limit(SHOWN + 1), given))
    others = select(Family.id).where(Family.id.not_in(ids_given("urgent")), *conditions).order_by(Family.code)
    ids += db.scalars(others.limit(SHOWN + 1 - len(ids)), {"urgent": as_given(ids), **given})
    return ids


def _newest(db: Session, seen: Iterable[ColumnElement[bool]]) -> dict[int, str]:
    ids = select(Family.id, Family.code).where(*seen).order_by(Family.id.desc()).limit(READ)
    return {row.id: row.code for row in db.execute(ids)}


def _read(db: Session, codes: dict[int, str], query: str) -> Iterable[int]:
    """Names and numbers are sealed, so this is done in memory."""
    wanted = query.casefold().strip()
    yield from (family_id for family_id, code in codes.items() if wanted in code.casefold())
    digits = re.sub(r"\D", "", query)
    by_number = len(digits) >= LEAST_DIGITS and not re.search(r"[a-z]", wanted)
    sealed = select(Parent.family_id, type_coerce(Parent.name, Text()), type_coerce(Parent.phone, Text()))
    rows = db.execute(sealed.where(Parent.family_id.in_(_GIVEN)), {"families": as_given(codes)})
    for family_id, name, phone in rows:
        if wanted in unseal(name).casefold() or (by_number and digits in unseal(phone)):
            yield family_id


def _by_number(db: Session, member: SignedIn, seen: Iterable[ColumnElement[bool]], query: str) -> Iterable[int]:
    """A whole number finds a family of any age."""
    try:
        number = to_e164(query, country=db.get_one(Program, member.program_id).country)
    except PhoneError:
        return ()
    has_it = select(Parent.family_id).where(
        Parent.program_id == member.program_id, Parent.phone_index == blind_index(number)
    )
    return db.scalars(select(Family.id).where(Family.id.in_(has_it), *seen))


def _by_whole_code(db: Session, seen: Iterable[ColumnElement[bool]], query: str) -> Iterable[int]:
    """So does a whole code."""
    return db.scalars(select(Family.id).where(Family.code == query.strip().upper(), *seen))


def _rows(db: Session, ids: Sequence[int]) -> list[FamilyRow]:
    given = {"families": as_given(ids)}
    parents: dict[int, list[Parent]] = {}
    for parent in db.scalars(select(Parent).where(Parent.family_id.in_(_GIVEN)).order_by(Parent.id), given):
        parents.setdefault(parent.family_id, []).append(parent)
    running: dict[int, list[str]] = {}
    for family_id, key in db.execute(
        select(Parent.family_id, Enrollment.sequence_key)
        .join(Enrollment, Enrollment.parent_id == Parent.id)
        .where(Parent.family_id.in_(_GIVEN), Enrollment.status == "active")
        .distinct(),
        given,
    ):
        running.setdefault(family_id, []).append(key)
    alerted = set(db.scalars(_ALERTED.where(Alert.family_id.in_(_GIVEN)), given))
    held = set(db.scalars(_HELD.where(Hold.family_id.in_(_GIVEN)), given))
    rows = [
        FamilyRow(
            family=family,
            parents=parents.get(family.id, []),
            sequences=sorted(running.get(family.id, [])),
            has_alert=family.id in alerted,
            is_held=family.id in held,
            last_texts={one.id: state.last_text_at(one.state) for one in parents.get(family.id, [])},
        )
        for family in db.scalars(select(Family).where(Family.id.in_(_GIVEN)), given)
    ]
    return sorted(rows, key=lambda row: (not row.has_alert, not row.is_held, row.family.code))
