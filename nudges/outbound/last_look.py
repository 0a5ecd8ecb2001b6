"""What must never go out, whatever planned it: an unsigned text, words that carriers filter.

Asked just before the call, beside the gate. The gate knows moments and holds; it is pure, and what is signed and what
carriers refuse stands in the database. Words that carriers filter are told at the first time, and held back from the
second until somebody has looked: the open alert is the switch, resolving it lets the step go again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from nudges import tasks
from nudges.alerts import paging
from nudges.library import signing, texts
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.safety import Alert
from nudges.models.sequences import SequenceRow, SequenceVersion
from nudges.outbox import queue
from nudges.outbox.status import UNKNOWN
from schedules import state
from schedules.values import Kind

AUTOMATED: Final = frozenset(("nudge", "reply", "system"))  # not a person's own words, never an answer to danger
_HELD_BACK: Final = "Held back: carriers filter step"


def objections(session: Session, rows: Sequence[Outbox]) -> dict[int, str]:
    """Why a text must not go, by its id; nothing for texts that may."""
    return _filtered(session, rows) | _unsigned(session, [row for row in rows if _is_gated(row)])


def welcome_in_doubt(session: Session, parent_ids: Collection[int]) -> set[int]:
    """The parents whose welcome is being looked up: nothing else goes before it is known whether they have it."""
    unknown = select(Outbox.parent_id, Outbox.gate).where(
        queue.is_on_its_way(UNKNOWN), Outbox.parent_id.in_(parent_ids)
    )
    return {
        row.parent_id
        for row in session.execute(unknown)
        if row.gate and state.proposal_from_json(row.gate).kind is Kind.SYSTEM
    }


def tell_staff(session: Session, row: Outbox, why: str, *, now: datetime) -> None:
    """A text that was held back is somebody's to mend."""
    parent = session.get(Parent, row.parent_id) if row.parent_id is not None else None
    if parent is None:
        return
    tasks.ask_about(session, parent, kind="step", words=f"{row.step_id or 'A reply'}: {why}", now=now)


def _is_gated(row: Outbox) -> bool:
    if not row.gate:
        return False
    proposal = state.proposal_from_json(row.gate)
    return proposal.sequence in texts.GATED or proposal.kind is Kind.CRISIS


def _unsigned(session: Session, rows: Sequence[Outbox]) -> dict[int, str]:
    waiting = {version_id: _waiting_steps(session, version_id) for version_id in {row.version_id for row in rows}}
    return {
        row.id: f"Not sent: {row.step_id} is not signed off. {waiting[row.version_id][row.step_id]}."
        for row in rows
        if row.step_id in waiting[row.version_id]
    }


def _waiting_steps(session: Session, version_id: int | None) -> dict[str | None, str]:
    """Steps of a published version that still need a yes, with what is missing."""
    found = session.execute(
        select(SequenceRow.program_id, SequenceRow.key, SequenceVersion.yaml)
        .join(SequenceVersion, SequenceVersion.sequence_id == SequenceRow.id)
        .where(SequenceVersion.id == version_id)
    ).one_or_none()
    if found is None:
        return {}
    states = signing.waiting(session, found.program_id, texts.of_sequence(found.key, found.yaml))
    return {one.text.step: signing.in_words([one]) for one in states}


# ---------------------------------------------------------------- words that carriers filter


def note_filtered(session: Session, row: Outbox, *, program_id: int, now: datetime) -> None:
    """A text of this step was filtered."""
    if row.step_id is None:
        return
    once, again = _once(row), _again(row)
    title = again if paging.open_system_alert(session, program_id, once) is not None else once
    why = "Carriers refuse its words. Mend the step, or resolve this to let it go again."
    paging.raise_system_alert(session, program_id, title=title, why=why, now=now)


def _filtered(session: Session, rows: Sequence[Outbox]) -> dict[int, str]:
    """Texts of steps that were filtered more than once, and nobody has looked since."""
    held = set(
        session.scalars(
            select(Alert.title).where(
                # The word is spelled out, or the partial index of what is open is not seen.
                Alert.status != literal("resolved", literal_execute=True),
                Alert.level == "system",
                Alert.title.startswith(_HELD_BACK),
            )
        )
    )
    if not held:
        return {}
    return {row.id: f"Not sent: carriers filter the words of {row.step_id}." for row in rows if _again(row) in held}


def _once(row: Outbox) -> str:
    return f"Carriers filtered a text of step {row.step_id} (version {row.version_id})"


def _again(row: Outbox) -> str:
    return f"{_HELD_BACK} {row.step_id} (version {row.version_id})"
