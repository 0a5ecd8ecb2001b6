"""What must never go out, whatever planned it: an unsigned text, a name of the family, words that carriers filter.

Asked just before the call, beside the gate. The gate knows moments and holds; it is pure, and what is signed and what
people are called stands in the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges import tasks
from nudges.db import unseal
from nudges.families.readings import Reading
from nudges.library import naming, signing, texts
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.sequences import SequenceRow, SequenceVersion
from nudges.outbound import filtered
from nudges.outbound.outbox import Queued
from schedules.values import Kind, Proposal

_AUTOMATED: Final = frozenset(("nudge", "reply", "system"))  # not a person's own words, never an answer to danger


def objections(
    session: Session,
    rows: Sequence[Queued],
    parents: Mapping[int, Reading],
    proposals: Mapping[int, Proposal],
    *,
    held: Set[str],
) -> dict[int, str]:
    """Why a text must not go, by its id; nothing for texts that may.

    `proposals` are of those with a gate, by id; `held` are the steps that `filtered.held_back` has found.
    """
    found = filtered.objections(rows, held)
    found |= _unsigned(session, [row for row in rows if row.id in proposals and _is_gated(proposals[row.id])])
    automated = [row for row in rows if row.category in _AUTOMATED and row.parent_id in parents and row.id not in found]
    return found | _naming(session, automated, parents)


def tell_staff(session: Session, row: Outbox, why: str, *, now: datetime) -> None:
    """A text that was held back is somebody's to mend."""
    parent = session.get(Parent, row.parent_id) if row.parent_id is not None else None
    if parent is None:
        return
    tasks.ask_about(session, parent, kind="step", words=f"{row.step_id or 'A reply'}: {why}", now=now)


def _is_gated(proposal: Proposal) -> bool:
    return proposal.sequence in texts.GATED or proposal.kind is Kind.CRISIS


def _unsigned(session: Session, rows: Sequence[Queued]) -> dict[int, str]:
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
    return {state.text.step: signing.in_words([state]) for state in states}


def _naming(session: Session, rows: Sequence[Queued], parents: Mapping[int, Reading]) -> dict[int, str]:
    found = {}
    for row in rows:
        parent = parents[row.parent_id] if row.parent_id is not None else None
        if parent is None:
            continue
        names = [unseal(name) for name in parent.family_names]
        if naming.names_somebody(session, row.body, family_id=parent.family_id, names=names):
            found[row.id] = naming.NAMED
    return found
