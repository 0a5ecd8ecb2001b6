"""Programs: the organisation itself, its sender, and the sequences that it starts with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nudges.ledger import record
from nudges.library import signing
from nudges.models.family import Parent
from nudges.models.program import Lane, Program
from nudges.models.sequences import SequenceRow, SequenceVersion
from nudges.publishing import digest_of

SHIPPED = "As shipped."

PACE: Final = 1.0  # segments a second: what the slowest carriers take
DEMO_PACE: Final = 50.0


def create_program(
    session: Session,
    *,
    name: str,
    sender: str,
    shipped: Mapping[str, str],
    now: datetime,
    timezone: str = "America/Chicago",
    is_demo: bool = False,
    policy: Mapping[str, Any] | None = None,
) -> Program:
    """A program with one lane, `sender` (a number or Messaging Service), and the shipped sequences as version 1.

    The texts of a demo are marked as signed off by nobody; in a real program people sign them.
    """
    program = Program(name=name, timezone=timezone, is_demo=is_demo, policy=dict(policy or {}), created_at=now)
    session.add(program)
    session.flush()
    # A demo's texts cost nothing: a moved clock should not wait for a carrier's pace.
    pace = DEMO_PACE if is_demo else PACE
    session.add(Lane(program_id=program.id, sender=sender, segments_per_second=pace, tokens=pace))
    publish_shipped(session, program, shipped, now=now)
    if is_demo:
        signing.sign_demo(session, program, now=now)
    record.append(session, at=now, actor="system:setup", action="program.created", subject=f"program:{program.id}")
    return program


def publish_shipped(session: Session, program: Program, shipped: Mapping[str, str], *, now: datetime) -> list[str]:
    """Give the program each sequence of `shipped` (key → YAML) that it does not have yet, as version 1.

    What a program has edited is never touched. Returns the keys that were added.
    """
    known = set(session.scalars(select(SequenceRow.key).where(SequenceRow.program_id == program.id)))
    added = sorted(set(shipped) - known)
    for key in added:
        row = SequenceRow(program_id=program.id, key=key, live_number=1)
        session.add(row)
        session.flush()
        text = shipped[key]
        session.add(
            SequenceVersion(
                sequence_id=row.id,
                number=1,
                yaml=text,
                sha256=digest_of(text),
                note=SHIPPED,
                published_at=now,
            )
        )
    session.flush()
    return added


def plan_anew(session: Session, program: Program, *, now: datetime) -> None:
    """Look again at everybody at the next beat, in one statement: a program may have very many."""
    session.execute(
        update(Parent)
        .where(Parent.program_id == program.id, Parent.status == "active")
        .values(next_at=now, revision=Parent.revision + 1)
        .execution_options(synchronize_session=False)
    )


def live_version(session: Session, program_id: int, key: str) -> SequenceVersion | None:
    """What a new enrollment in this sequence gets."""
    return session.scalar(
        select(SequenceVersion)
        .join(SequenceRow, SequenceRow.id == SequenceVersion.sequence_id)
        .where(
            SequenceRow.program_id == program_id,
            SequenceRow.key == key,
            SequenceVersion.number == SequenceRow.live_number,
        )
    )
