"""Signing off from the pages: chapters of texts, what each still needs, and what a sign-off sets going again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.families import snapshots
from nudges.library import signing, texts
from nudges.library.signing import State
from nudges.library.texts import Text
from nudges.models.family import Parent
from nudges.models.program import Program
from nudges.models.sequences import Enrollment, SequenceRow
from nudges.studio import drafts
from schedules import catalog
from schedules.catalog import Library

OTHERS: Final = {
    texts.CRISIS: "Replies to danger",
    "system": "The service's own texts",
    "faq": "Answers to questions",
    "ideas": "The idea bank",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapter:
    """One sequence, or one of OTHERS, with the state of each text. `is_draft`: of what is written, not yet live."""

    key: str
    title: str
    is_draft: bool
    states: tuple[State, ...]

    @property
    def unsigned(self) -> tuple[State, ...]:
        return tuple(state for state in self.states if not state.is_signed)

    @property
    def is_off(self) -> bool:
        """Something here is not used before it is signed off, and is not yet."""
        return any(state.text.is_gated for state in self.unsigned)

    @property
    def is_demo(self) -> bool:
        return any(state.is_demo for state in self.states)

    def missing(self, role: str) -> int:
        """How many texts wait for this role."""
        return sum(role in state.missing for state in self.states)


def chapters(session: Session, program: Program, library: Library) -> list[Chapter]:
    """Every chapter: the live sequences, then the rest."""
    rows = session.scalars(select(SequenceRow).where(SequenceRow.program_id == program.id).order_by(SequenceRow.key))
    found = [_of_sequence(session, row, live=True) for row in rows]
    return found + [_other(session, program, library, key) for key in OTHERS]


def chapter(session: Session, program: Program, library: Library, key: str, *, live: bool = False) -> Chapter | None:
    """One chapter; of a sequence the draft when there is one, unless `live`. None when there is no such chapter."""
    if key in OTHERS:
        return _other(session, program, library, key)
    row = session.scalar(select(SequenceRow).where(SequenceRow.program_id == program.id, SequenceRow.key == key))
    return None if row is None else _of_sequence(session, row, live=live)


def _of_sequence(session: Session, row: SequenceRow, *, live: bool) -> Chapter:
    source, title, is_draft = drafts.live_text(session, row), "", False
    if row.draft_yaml is not None and not live:
        written, _ = catalog.check(row.draft_yaml, name=row.key)
        if written is not None:  # a draft that cannot be read has no texts to sign
            source, is_draft = row.draft_yaml, True
    sequence, _ = catalog.check(source, name=row.key)
    title = sequence.title if sequence is not None else row.key
    states = signing.states(session, row.program_id, texts.of_sequence(row.key, source))
    return Chapter(key=row.key, title=title, is_draft=is_draft, states=tuple(states))


def _other(session: Session, program: Program, library: Library, key: str) -> Chapter:
    found: Sequence[Text] = texts.of_crisis(program.country) if key == texts.CRISIS else texts.of_library(library)
    own = [text for text in found if text.chapter == key]
    states = signing.states(session, program.id, own)
    return Chapter(key=key, title=OTHERS[key], is_draft=False, states=tuple(states))


def sign(
    session: Session,
    program: Program,
    of: Chapter,
    role: str,
    *,
    seen: Collection[tuple[str, str]],
    staff_id: int,
    note: str,
    now: datetime,
) -> int:
    """Sign the texts of a chapter that the signer had in view; how many. Raises signing.CannotSign.

    `seen` are place and fingerprint: a text that was changed meanwhile is another text, and stays unsigned. Families
    that waited for these texts are planned anew.
    """
    wanted = [state.text for state in of.states if (state.text.place, state.text.digest) in seen]
    signed = signing.sign(session, program.id, wanted, role, staff_id=staff_id, note=note, now=now)
    if signed and of.key in texts.GATED:
        _plan_anew(session, program.id, of.key, now=now)
    return signed


def _plan_anew(session: Session, program_id: int, key: str, *, now: datetime) -> None:
    waiting = select(Parent).join(Enrollment, Enrollment.parent_id == Parent.id)
    for parent in session.scalars(
        waiting.where(Parent.program_id == program_id, Enrollment.sequence_key == key, Enrollment.status == "active")
    ):
        snapshots.look_again(parent, now=now)
