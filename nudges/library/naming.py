"""The names that no automated text may hold: those of the parents of one family, or of a whole program."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from sqlalchemy import Text, select, type_coerce
from sqlalchemy.orm import Session

from nudges.db import unseal
from nudges.library import places
from nudges.models.family import FamilyStaff, Parent
from nudges.models.program import Program, Staff
from schedules.lint.naming import is_named

NAMED = "Not sent: the text holds a name of this family."


def names_by_family(session: Session, family_ids: Collection[int]) -> Mapping[int, tuple[str, ...]]:
    """The stored names of all parents of each family. One query."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    names = select(Parent.family_id, Parent.name).where(Parent.family_id.in_(family_ids)).order_by(Parent.id)
    for family_id, name in session.execute(names):
        found[family_id].append(name)
    return {family_id: tuple(names) for family_id, names in found.items()}


def names_of_program(session: Session, program_id: int) -> Iterator[str]:
    """Every stored name, for drafts: a text goes to every family, so it may name none of them. One after the other:
    a large program's are never all in memory."""
    sealed = select(type_coerce(Parent.name, Text())).where(Parent.program_id == program_id)
    yield from (unseal(name) for name in session.scalars(sealed.execution_options(yield_per=1000)))


def names_somebody(session: Session, text: str, *, family_id: int, names: Iterable[str]) -> bool:
    """Does `text` name one of the family's parents?

    The counselor, the program and the places near it may be called as a parent is: what they are called is left out.
    Asked only once a name was found, so an ordinary text costs nothing more.
    """
    names = tuple(names)
    if not is_named(text, names):
        return False
    for called in _said_by_placeholders(session, family_id):
        text = text.replace(called, "")
    return is_named(text, names)


def _said_by_placeholders(session: Session, family_id: int) -> list[str]:
    counselors = session.scalars(
        select(Staff.name).join(FamilyStaff, FamilyStaff.staff_id == Staff.id).where(FamilyStaff.family_id == family_id)
    )
    program_id = session.scalar(select(Parent.program_id).where(Parent.family_id == family_id).limit(1))
    called = [name.split()[0] for name in counselors if name.split()]
    if program_id is not None:
        called.append(session.get_one(Program, program_id).name)
        called += [places.in_a_text(place) for place in places.listed(session, program_id)]
    return sorted(called, key=len, reverse=True)
