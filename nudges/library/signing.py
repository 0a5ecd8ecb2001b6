"""Signing texts off: kept by the fingerprint of the words, so a changed text has no sign-off by construction.

Per program, because a program answers for what its own families read: the clinician of one does not sign for another,
and a demo's sign-offs approve nothing elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nudges.ledger import record
from nudges.library import texts as library_texts
from nudges.library.texts import ROLES, Text
from nudges.models.library import ReviewerRole, SignOff
from nudges.models.program import Program, Staff

DEMO_NOTE: Final = "Demo: nobody has approved this text for real families."
_NAMED: Final = 6  # texts that a sentence names before it says "and 9 more"


class CannotSign(ValueError):
    """This person may not sign so, or the text is not what they looked at; the message says which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """Who signed, as what, when. `by` is empty for the demo's own."""

    id: int
    role: str
    by: str
    is_demo: bool
    note: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """A text with the sign-offs that count for it."""

    text: Text
    signatures: tuple[Signature, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Roles whose yes it still needs."""
        given = {signature.role for signature in self.signatures}
        return tuple(role for role in self.text.needs if role not in given)

    @property
    def is_signed(self) -> bool:
        return not self.missing

    @property
    def is_demo(self) -> bool:
        return any(signature.is_demo for signature in self.signatures)


def states(session: Session, program_id: int, texts: Sequence[Text]) -> list[State]:
    """Each text with its sign-offs, in the order given. One query."""
    if not texts:
        return []
    is_demo = session.get_one(Program, program_id).is_demo
    rows = session.execute(
        select(SignOff, Staff.name)
        .outerjoin(Staff, Staff.id == SignOff.staff_id)
        .where(SignOff.program_id == program_id, SignOff.place.in_({text.place for text in texts}))
        .order_by(SignOff.id)
    )
    found: defaultdict[tuple[str, str], list[Signature]] = defaultdict(list)
    for row, name in rows:
        if row.is_demo and not is_demo:
            continue  # a demo that became a real program has to have its texts read
        signature = Signature(id=row.id, role=row.role, by=name or "", is_demo=row.is_demo, note=row.note, at=row.at)
        found[row.place, row.text_hash].append(signature)
    return [State(text=text, signatures=tuple(found[text.place, text.digest])) for text in texts]


def waiting(session: Session, program_id: int, texts: Iterable[Text]) -> list[State]:
    """The gated ones among `texts` that still need a yes. No query when none is gated."""
    gated = library_texts.gated(texts)
    return [state for state in states(session, program_id, gated) if not state.is_signed]


def in_words(waiting: Sequence[State]) -> str:
    """What is missing, for staff: "AC-1 needs a clinician; AC-2 needs a clinician and a native reader of Spanish"."""
    named = [f"{state.text.name} needs {_and(ROLES[role] for role in state.missing)}" for state in waiting[:_NAMED]]
    rest = f"; and {len(waiting) - _NAMED} more" if len(waiting) > _NAMED else ""
    return "; ".join(named) + rest


def _and(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


# ---------------------------------------------------------------- signing


def sign(
    session: Session, program_id: int, texts: Sequence[Text], role: str, *, staff_id: int, note: str, now: datetime
) -> int:
    """Sign `texts` off as `role`; those that do not need it, or have it, stay as they are. How many were signed.

    Raises CannotSign when this member of staff may not sign as `role`.
    """
    if role not in roles_of(session, staff_id):
        raise CannotSign(f"You may not sign as {ROLES.get(role, role)}. An admin can give you that role.")
    wanted = [state.text for state in states(session, program_id, texts) if role in state.missing]
    keep(session, program_id, [(text, role) for text in wanted], staff_id=staff_id, note=note, now=now)
    if wanted:
        record.append(
            session,
            at=now,
            actor=f"staff:{staff_id}",
            action="texts.signed",
            subject=f"texts:{wanted[0].chapter}",
            details={"role": role, "texts": {text.place: text.digest[:16] for text in wanted}},
        )
    return len(wanted)


def keep(
    session: Session,
    program_id: int,
    wanted: Iterable[tuple[Text, str]],
    *,
    staff_id: int | None,
    note: str,
    now: datetime,
) -> None:
    """Store sign-offs; those of a demo program are marked so."""
    is_demo = session.get_one(Program, program_id).is_demo
    session.add_all(
        SignOff(
            program_id=program_id,
            place=text.place,
            text_hash=text.digest,
            role=role,
            staff_id=staff_id,
            is_demo=is_demo,
            note=note,
            at=now,
        )
        for text, role in wanted
    )
    session.flush()


def sign_demo(session: Session, program: Program, *, now: datetime) -> int:
    """Mark every shipped text of a demo program as signed off by nobody, so that it can be tried. How many."""
    assert program.is_demo, "a real program's texts are signed by people"
    texts = (*library_texts.shipped(), *library_texts.of_crisis(program.country))
    wanted = [(state.text, role) for state in states(session, program.id, texts) for role in state.missing]
    keep(session, program.id, wanted, staff_id=None, note=DEMO_NOTE, now=now)
    return len(wanted)


def take_back(session: Session, program_id: int, sign_off_id: int, *, staff_id: int, now: datetime) -> Text | None:
    """Delete one sign-off; only who may sign as its role may. The place that it was of, or none when it is gone."""
    row = session.get(SignOff, sign_off_id)
    if row is None or row.program_id != program_id:
        return None
    if row.role not in roles_of(session, staff_id):
        raise CannotSign(f"Only {ROLES[row.role]} can take this sign-off back.")
    text = Text(place=row.place, forms=(), needs=(row.role,))
    details = {"role": row.role, "texts": {row.place: row.text_hash[:16]}}
    session.execute(delete(SignOff).where(SignOff.id == row.id).execution_options(synchronize_session="fetch"))
    record.append(
        session,
        at=now,
        actor=f"staff:{staff_id}",
        action="texts.unsigned",
        subject=f"texts:{text.chapter}",
        details=details,
    )
    return text


# ---------------------------------------------------------------- who may sign


def roles_of(session: Session, staff_id: int) -> frozenset[str]:
    """As what this member of staff may sign."""
    return frozenset(session.scalars(select(ReviewerRole.role).where(ReviewerRole.staff_id == staff_id)))


def reviewers(session: Session, program_id: int) -> Mapping[int, frozenset[str]]:
    """The same for everybody in the program who may sign at all."""
    rows = session.execute(
        select(ReviewerRole.staff_id, ReviewerRole.role)
        .join(Staff, Staff.id == ReviewerRole.staff_id)
        .where(Staff.program_id == program_id)
    )
    found: defaultdict[int, set[str]] = defaultdict(set)
    for staff_id, role in rows:
        found[staff_id].add(role)
    return {staff_id: frozenset(roles) for staff_id, roles in found.items()}


def set_roles(session: Session, person: Staff, roles: Iterable[str], *, by: str, now: datetime) -> None:
    """Say as what `person` may sign. Raises CannotSign for a role that there is not."""
    wanted = frozenset(roles)
    if unknown := wanted - set(ROLES):
        raise CannotSign(f"{sorted(unknown)[0]!r} is no role; there are {', '.join(ROLES)}.")
    if wanted == roles_of(session, person.id):
        return
    session.execute(delete(ReviewerRole).where(ReviewerRole.staff_id == person.id))
    session.add_all(ReviewerRole(staff_id=person.id, role=role) for role in sorted(wanted))
    session.flush()
    record.append(
        session,
        at=now,
        actor=by,
        action="reviewer.changed",
        subject=f"staff:{person.id}",
        details={"roles": sorted(wanted)},
    )
