"""One draft per sequence. Faults never stop saving, only publishing: nothing that was typed is lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TypeAlias

from sqlalchemy import select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.ledger import record
from nudges.library import naming
from nudges.models.sequences import SequenceRow, SequenceVersion
from schedules import catalog
from schedules.lint import lint
from schedules.lint.findings import Finding as LintFinding
from schedules.lint.naming import is_named, with_a_word_of
from schedules.lint.passages import FORMS, passages
from schedules.nodes import Unreadable, compose
from schedules.values import Sequence

MOST_CHARACTERS = 200_000  # the longest shipped sequence has about 20,000
AnyFinding: TypeAlias = catalog.Finding | LintFinding  # both have line, severity and message
_KEY_LINE = re.compile(r"^key:", re.MULTILINE)


class StaleDraft(Exception):
    """Somebody else saved this draft meanwhile. Nothing was written; `theirs` is what stands now."""

    def __init__(self, theirs: Draft) -> None:
        super().__init__("the draft was saved by somebody else meanwhile")
        self.theirs = theirs


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What the editor shows: the draft, or the live text when there is none (`at` is then none)."""

    text: str
    revision: int
    by: int | None
    at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A text as the catalog reads it (none while it cannot be read), and every finding. Errors stop publishing."""

    sequence: Sequence | None
    findings: tuple[AnyFinding, ...]

    @property
    def errors(self) -> int:
        return sum(finding.severity == "error" for finding in self.findings)


def open_draft(session: Session, row: SequenceRow) -> Draft:
    """The draft of `row`, or its live text to start from."""
    if row.draft_yaml is not None:
        return Draft(text=row.draft_yaml, revision=row.draft_revision, by=row.draft_by, at=row.draft_at)
    return Draft(text=live_text(session, row), revision=row.draft_revision, by=None, at=None)


def live_text(session: Session, row: SequenceRow) -> str:
    """The YAML of the live version; empty before the first one is published."""
    return (
        session.scalar(
            select(SequenceVersion.yaml).where(
                SequenceVersion.sequence_id == row.id, SequenceVersion.number == row.live_number
            )
        )
        or ""
    )


def check_draft(text: str, *, key: str, today: date | None = None) -> Checked:
    """All errors and warnings of `text`, by line. A draft may not change the key of its sequence.

    With `today` the language lint reads it too (reviews grow old). Without, only the form counts: an earlier version
    may be published again whatever the lint has learned since.
    """
    sequence, formal = catalog.check(text, name=key)
    findings: tuple[AnyFinding, ...] = tuple(formal if today is None else lint.check(text, name=key, today=today))
    if sequence is not None and sequence.key != key:
        place = _KEY_LINE.search(text)
        line = text.count("\n", 0, place.start()) + 1 if place else 1
        mend = f"the key is {sequence.key}, but this is the sequence {key}; write key: {key}"
        return Checked(sequence=None, findings=(catalog.Finding(line=line, message=mend), *findings))
    return Checked(sequence=sequence, findings=findings)


def check_for(session: Session, row: SequenceRow, text: str, *, today: date) -> Checked:
    """`check_draft` with the language lint, and each text that holds a parent's name: it would go to every family."""
    checked = check_draft(text, key=row.key, today=today)
    named = tuple(_naming(text, naming.names_of_program(session, row.program_id)))
    return replace(checked, findings=(*named, *checked.findings)) if named else checked


def _naming(text: str, names: Iterable[str]) -> Iterator[catalog.Finding]:
    try:
        root = compose(text)
    except Unreadable:
        return  # said already
    found = tuple(passages(root)) if root is not None else ()
    # Of a very large program only those names are kept, and asked of each passage, that have a word in any of them.
    near = tuple(with_a_word_of((passage.form(form) for passage in found for form in FORMS), names))
    for passage in found if near else ():
        if any(is_named(passage.form(form), near) for form in FORMS):
            words = f"{passage.where} holds a name that a parent of this program has: name nobody"
            yield catalog.Finding(line=passage.text.line, message=words)


def save_draft(
    session: Session, row: SequenceRow, text: str, *, expected_revision: int, staff_id: int, now: datetime
) -> Draft:
    """Keep `text` as the draft, faults and all, if nobody saved since `expected_revision`.

    Raises StaleDraft, and ValueError for a text beyond MOST_CHARACTERS.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"The draft is too long: at most {MOST_CHARACTERS} characters.")
    text = text.replace("\r\n", "\n")
    _write(session, row, expected_revision, draft_yaml=text, draft_by=staff_id, draft_at=now)
    record.append(session, at=now, actor=f"staff:{staff_id}", action="draft.saved", subject=f"sequence:{row.key}")
    return open_draft(session, row)


def discard_draft(session: Session, row: SequenceRow, *, expected_revision: int, staff_id: int, now: datetime) -> None:
    """Back to the live text. Raises StaleDraft."""
    _write(session, row, expected_revision, draft_yaml=None, draft_by=None, draft_at=None)
    record.append(session, at=now, actor=f"staff:{staff_id}", action="draft.discarded", subject=f"sequence:{row.key}")


def _write(session: Session, row: SequenceRow, expected_revision: int, **columns: object) -> None:
    changed = session.execute(
        update(SequenceRow)
        .where(SequenceRow.id == row.id, SequenceRow.draft_revision == expected_revision)
        .values(draft_revision=expected_revision + 1, **columns)
        .execution_options(synchronize_session=False)
    )
    session.refresh(row)
    assert isinstance(changed, CursorResult)
    if changed.rowcount != 1:
        raise StaleDraft(open_draft(session, row))
