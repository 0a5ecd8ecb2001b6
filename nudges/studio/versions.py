"""Publishing: a new immutable version, who moves to it, the history, and the way back."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from nudges.families import snapshots
from nudges.ledger import record
from nudges.library import signing, texts
from nudges.models.family import Parent
from nudges.models.sequences import Enrollment, SequenceRow, SequenceVersion
from nudges.studio.drafts import Checked, check_draft, check_for, discard_draft, open_draft
from schedules import lifecycle

NEW_ONLY: Final = "new_only"  # running families finish the version that they started
ALL: Final = "all"  # they move, step by step id; nothing is sent twice
MOVES: Final = (NEW_ONLY, ALL)


class CannotPublish(ValueError):
    """The text has errors, is not signed off, or nothing changed; `checked` holds the findings."""

    def __init__(self, message: str, checked: Checked) -> None:
        super().__init__(message)
        self.checked = checked


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffLine:
    """One line of a comparison. `kind` is plus, minus, same or hunk."""

    kind: str
    text: str


def publish(
    session: Session,
    row: SequenceRow,
    *,
    note: str,
    move: str,
    expected_revision: int,
    staff_id: int,
    now: datetime,
) -> SequenceVersion:
    """Make the draft the live version, in one transaction:

    1. the draft must be without errors, signed off where it must be, and differ from the live text (CannotPublish);
    2. it must still be the one that the admin looked at (StaleDraft), and is used up;
    3. a new version is written, and is what new enrollments get;
    4. with `move` "all", running enrollments change to it by step id.
    """
    text = open_draft(session, row).text
    checked = check_for(session, row, text, today=now.date())
    _refuse_faults(checked)
    _refuse_unsigned(session, row, text, checked)
    discard_draft(session, row, expected_revision=expected_revision, staff_id=staff_id, now=now)
    return _publish_text(session, row, text, note=note, move=move, staff_id=staff_id, now=now)


def go_back(
    session: Session, row: SequenceRow, *, number: int, note: str, move: str, staff_id: int, now: datetime
) -> SequenceVersion:
    """Publish the text of an earlier version again, as a new one. Raises CannotPublish, NoResultFound."""
    earlier = version_of(session, row, number)
    return _publish_text(
        session, row, earlier.yaml, note=note or f"Back to version {number}.", move=move, staff_id=staff_id, now=now
    )


def _publish_text(
    session: Session, row: SequenceRow, text: str, *, note: str, move: str, staff_id: int, now: datetime
) -> SequenceVersion:
    if move not in MOVES:
        raise ValueError(f"move should be one of: {', '.join(MOVES)}")
    checked = check_draft(text, key=row.key)
    _refuse_faults(checked)
    _refuse_unsigned(session, row, text, checked)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    if row.live_number is not None and version_of(session, row, row.live_number).sha256 == sha256:
        raise CannotPublish("This is the live text already; there is nothing to publish.", checked)
    version = _new_version(session, row, text, sha256, note=note, staff_id=staff_id, now=now)
    moved = _move_running(session, row, version, now=now) if move == ALL else 0
    record.append(
        session,
        at=now,
        actor=f"staff:{staff_id}",
        action="sequence.published",
        subject=f"sequence:{row.key}",
        details={"version": version.number, "move": move, "moved": moved},
    )
    return version


def _refuse_faults(checked: Checked) -> None:
    if checked.sequence is None or checked.errors:
        raise CannotPublish("The text has errors; mend them first.", checked)


def _refuse_unsigned(session: Session, row: SequenceRow, text: str, checked: Checked) -> None:
    """What needs a clinician's yes does not go live before it has it; the sign-off page shows the draft."""
    waiting = signing.waiting(session, row.program_id, texts.of_sequence(row.key, text))
    if waiting:
        message = f"These texts need a sign-off before they can be published: {signing.in_words(waiting)}."
        raise CannotPublish(message, checked)


def _new_version(
    session: Session, row: SequenceRow, text: str, sha256: str, *, note: str, staff_id: int, now: datetime
) -> SequenceVersion:
    newest = session.scalar(select(func.max(SequenceVersion.number)).where(SequenceVersion.sequence_id == row.id))
    version = SequenceVersion(
        sequence_id=row.id,
        number=(newest or 0) + 1,
        yaml=text,
        sha256=sha256,
        note=note,
        published_by=staff_id,
        published_at=now,
    )
    session.add(version)
    session.flush()
    row.live_number = version.number
    session.flush()
    return version


def running(session: Session, row: SequenceRow, *, most: int | None = None) -> list[Enrollment]:
    """Active enrollments of this program in the sequence, oldest first; the first `most` of them."""
    return list(
        session.scalars(
            select(Enrollment)
            .join(Parent, Parent.id == Enrollment.parent_id)
            .where(
                Parent.program_id == row.program_id,
                Enrollment.sequence_key == row.key,
                Enrollment.status == literal("active", literal_execute=True),
            )
            .order_by(Enrollment.parent_id, Enrollment.id)
            .limit(most)
        )
    )


def _move_running(session: Session, row: SequenceRow, version: SequenceVersion, *, now: datetime) -> int:
    """Change running enrollments to `version`. Raises StaleParent when a planner was faster: then try again."""
    sequence = snapshots.sequence_of(session, version.id)
    enrollments = running(session, row)
    for enrollment in enrollments:
        parent = snapshots.locked(session, enrollment.parent_id)
        thread = snapshots.thread_of(session, parent)
        value = thread.enrollment(str(enrollment.id))
        assert value is not None  # it is active, so it is part of the thread
        upgraded = thread.with_enrollment(lifecycle.upgrade(value, sequence))
        enrollment.version_id = version.id
        session.flush()
        snapshots.save_or_raise(session, parent, upgraded, now=now)
        snapshots.look_again(parent, now=now)
    return len(enrollments)


def history(session: Session, row: SequenceRow) -> list[SequenceVersion]:
    """Every version, newest first."""
    return list(
        session.scalars(
            select(SequenceVersion).where(SequenceVersion.sequence_id == row.id).order_by(SequenceVersion.number.desc())
        )
    )


def version_of(session: Session, row: SequenceRow, number: int) -> SequenceVersion:
    """One version. Raises NoResultFound."""
    return session.scalars(
        select(SequenceVersion).where(SequenceVersion.sequence_id == row.id, SequenceVersion.number == number)
    ).one()


def diff(old: str, new: str) -> list[DiffLine]:
    """What changed between two texts, with three lines around each change."""
    return list(_diff_lines(old, new))


def _diff_lines(old: str, new: str) -> Iterator[DiffLine]:
    kinds = {"+": "plus", "-": "minus", "@": "hunk"}
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=3)
    for index, line in enumerate(lines):
        if index >= 2:  # after the two lines that name the files
            yield DiffLine(kind=kinds.get(line[:1], "same"), text=line)
