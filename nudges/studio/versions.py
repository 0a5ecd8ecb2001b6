"""Publishing: a new immutable version, who moves to it, the history, and the way back."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, literal, select
from sqlalchemy.orm import Session

from nudges.families import snapshots
from nudges.ledger import record
from nudges.library import signing, texts
from nudges.models.family import Parent
from nudges.models.sequences import Enrollment, SequenceRow, SequenceVersion
from nudges.publishing import Looked, Publication, Series, digest_of
from nudges.studio.drafts import check_draft, check_for, live_text, open_draft, use_up
from schedules import lifecycle

NEW_ONLY: Final = "new_only"  # running families finish the version that they started
ALL: Final = "all"  # they move, step by step id; nothing is sent twice
MOVES: Final = (NEW_ONLY, ALL)


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
    looked: Looked,
    staff_id: int,
    now: datetime,
) -> SequenceVersion:
    """Make the draft the live version: new enrollments get it, and with `move` "all" running ones change to it by step.

    It must be the draft that was looked at, without errors, signed off where it must be, and differ from the live
    text. Raises Refused.
    """
    draft = open_draft(session, row).text
    return _series(session, row, move).publish(draft, looked, by=staff_id, reason=note, now=now)


def go_back(
    session: Session, row: SequenceRow, *, number: int, note: str, move: str, staff_id: int, now: datetime
) -> SequenceVersion:
    """Publish the text of an earlier version again, as a new one. Raises Refused."""
    return _series(session, row, move).go_back(number, by=staff_id, reason=note, now=now)


def looked_at(session: Session, row: SequenceRow) -> Looked:
    """What a comparison made now compares."""
    live, draft = live_text(session, row), open_draft(session, row).text
    return Looked(before=digest_of(live), after=digest_of(draft))


def history(session: Session, row: SequenceRow) -> Sequence[SequenceVersion]:
    """Every version, newest first."""
    return _series(session, row).history()


def _series(session: Session, row: SequenceRow, move: str = NEW_ONLY) -> _Versions:
    if move not in MOVES:
        raise ValueError(f"move should be one of: {', '.join(MOVES)}")
    return _Versions(session=session, row=row, move=move)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Versions(Series[SequenceVersion]):
    """The versions of one sequence. `move` says what becomes of running families."""

    session: Session
    row: SequenceRow
    move: str
    model: type[SequenceVersion] = SequenceVersion

    def which(self) -> ColumnElement[bool]:
        return SequenceVersion.sequence_id == self.row.id

    def content_of(self, version: SequenceVersion) -> str:
        return version.yaml

    def faults(self, given: Publication, before: str) -> list[str]:
        """An earlier version may come again whatever the language lint has learned since."""
        session, row = self.session, self.row
        is_new = given.back_to is None
        checked = (
            check_for(session, row, given.content, today=given.now.date())
            if is_new
            else check_draft(given.content, key=row.key)
        )
        if checked.sequence is None or checked.errors:
            return ["The text has errors; mend them first."]
        # What needs a clinician's yes does not go live before it has it; the sign-off page shows the draft.
        waiting = signing.waiting(session, row.program_id, texts.of_sequence(row.key, given.content))
        if waiting:
            return [f"These texts need a sign-off before they can be published: {signing.in_words(waiting)}."]
        return []

    def make(self, given: Publication, number: int, before: str) -> SequenceVersion:
        return SequenceVersion(
            sequence_id=self.row.id,
            number=number,
            yaml=given.content,
            sha256=digest_of(given.content),
            note=given.reason,
            published_by=given.by,
            published_at=given.now,
        )

    def use_up_draft(self, version: SequenceVersion, given: Publication) -> bool:
        return use_up(self.session, self.row, given.content, staff_id=given.by, now=given.now)

    def follow(self, version: SequenceVersion, given: Publication) -> None:
        self.row.live_number = version.number
        self.session.flush()
        moved = _move_running(self.session, self.row, version, now=given.now) if self.move == ALL else 0
        record.append(
            self.session,
            at=given.now,
            actor=f"staff:{given.by}",
            action="sequence.published",
            subject=f"sequence:{self.row.key}",
            details={"version": version.number, "move": self.move, "moved": moved},
        )


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


def diff(old: str, new: str) -> list[DiffLine]:
    """What changed between two texts, with three lines around each change."""
    return list(_diff_lines(old, new))


def _diff_lines(old: str, new: str) -> Iterator[DiffLine]:
    kinds = {"+": "plus", "-": "minus", "@": "hunk"}
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=3)
    for index, line in enumerate(lines):
        if index >= 2:  # after the two lines that name the files
            yield DiffLine(kind=kinds.get(line[:1], "same"), text=line)
