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

from nudges.library import naming
from nudges.models.sequences import SequenceRow, SequenceVersion
from nudges.publishing import Draft, DraftPlace, Refused
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
    return _Place(session=session, row=row).open()


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

    Raises StaleDraft, and Refused for a text beyond MOST_CHARACTERS.
    """
    if len(text) > MOST_CHARACTERS:
        raise Refused(f"The draft is too long: at most {MOST_CHARACTERS} characters.")
    text = text.replace("\r\n", "\n")
    return _Place(session=session, row=row).save(text, over=expected_revision, by=staff_id, now=now)


def discard_draft(session: Session, row: SequenceRow, *, expected_revision: int, staff_id: int, now: datetime) -> None:
    """Back to the live text. Raises StaleDraft."""
    _Place(session=session, row=row).discard(over=expected_revision, by=staff_id, now=now)


def use_up(session: Session, row: SequenceRow, text: str, *, staff_id: int, now: datetime) -> bool:
    """Take the draft away because `text` was published of it. False when it holds something else by now."""
    draft = open_draft(session, row)
    return draft.text == text and _Place(session=session, row=row).put(None, over=draft.revision, by=staff_id, now=now)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place(DraftPlace):
    """The draft columns of a sequence."""

    session: Session
    row: SequenceRow

    def open(self) -> Draft:
        row = self.row
        if row.draft_yaml is not None:
            return Draft(text=row.draft_yaml, revision=row.draft_revision, by=row.draft_by, at=row.draft_at)
        return Draft(text=live_text(self.session, row), revision=row.draft_revision)

    def put(self, text: str | None, *, over: int, by: int, now: datetime) -> bool:
        who, at = (None, None) if text is None else (by, now)
        changed = self.session.execute(
            update(SequenceRow)
            .where(SequenceRow.id == self.row.id, SequenceRow.draft_revision == over)
            .values(draft_revision=over + 1, draft_yaml=text, draft_by=who, draft_at=at)
            .execution_options(synchronize_session=False)
        )
        self.session.refresh(self.row)
        assert isinstance(changed, CursorResult)
        return changed.rowcount == 1

    def note(self, text: str | None) -> tuple[str, str]:
        return "draft.discarded" if text is None else "draft.saved", f"sequence:{self.row.key}"
