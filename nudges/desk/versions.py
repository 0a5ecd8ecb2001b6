"""Publishing: an immutable version with its hash, its people, its reason and its figures; and going back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, CursorResult, select, true, update
from sqlalchemy.orm import Session

from nudges import languages, tasks
from nudges.alerts import corpus as judged
from nudges.crisis import edition, phrases
from nudges.desk import content
from nudges.desk.compare import Comparison
from nudges.desk.content import Change
from nudges.ledger import record
from nudges.library import signing
from nudges.models.phrases import PhraseChange, PhraseVersion
from nudges.models.program import Program, Staff
from nudges.publishing import Publication, Series, digest_of

CLINICAL: Final = "clinician"  # the role that texts are signed off with, too
LEAST_REASON: Final = 10  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who publishes, why, and whether more false alarms than allowed are taken on."""

    staff_id: int
    reason: str
    takes_on_alarms: bool = False


def newest(session: Session) -> PhraseVersion | None:
    """The version in force; None while everything is as shipped."""
    return _Versions(session=session).newest()


def history(session: Session, *, oldest_first: bool = False) -> Sequence[PhraseVersion]:
    return _Versions(session=session).history(oldest_first=oldest_first)


def version(session: Session, number: int) -> PhraseVersion | None:
    return _Versions(session=session).version(number)


def content_of(row: PhraseVersion | None) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(row.content) if row is not None else {}
    return loaded


def live_content(session: Session) -> dict[str, Any]:
    """What is in force; empty while everything is as shipped."""
    return content_of(newest(session))


def changes_of(row: PhraseVersion) -> tuple[Change, ...]:
    """What this version changed."""
    return tuple(Change(**raw) for raw in json.loads(row.changes))


def every_key(session: Session) -> list[Iterable[str]]:
    """The keys of every version there was."""
    return [content_of(row).keys() for row in history(session)]


def is_clinical(session: Session, staff_id: int) -> bool:
    return CLINICAL in signing.roles_of(session, staff_id)


def publish(
    session: Session, rows: Sequence[PhraseChange], compared: Comparison, decision: Decision, *, now: datetime
) -> PhraseVersion:
    """Publish these open changes as the next version. Raises Refused with every reason why not.

    `compared` is of the very content that the changes make; the example lines were tried on it (lint.lines_hold).
    """
    series = _Versions(session=session, rows=rows, compared=compared, takes_on_alarms=decision.takes_on_alarms)
    changes = ((row.key, json.loads(row.value) if row.value else None) for row in rows)
    new = edition.canonical(content.applied(live_content(session), changes))
    return series.publish(new, compared.looked, by=decision.staff_id, reason=decision.reason, now=now)


def roll_back(session: Session, number: int, *, staff_id: int, reason: str, now: datetime) -> PhraseVersion:
    """Put an earlier version in force again, as a new version. 0 is everything as shipped.

    One click: what it says was in force before. Where it would silence or lower anything that is answered now, a
    person with the clinician role must click. Raises Refused.
    """
    return _Versions(session=session).go_back(number, by=staff_id, reason=reason, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Versions(Series[PhraseVersion]):
    """The versions of the desk. `rows` are the changes that are published, `compared` what they would do."""

    session: Session
    rows: Sequence[PhraseChange] = ()
    compared: Comparison | None = None
    takes_on_alarms: bool = False
    model: type[PhraseVersion] = PhraseVersion
    as_shipped: str = edition.canonical({})
    has_version_0: bool = True

    def which(self) -> ColumnElement[bool]:
        return true()

    def content_of(self, version: PhraseVersion) -> str:
        return version.content

    def faults(self, given: Publication, before: str) -> list[str]:
        needs_second = any(content.needs_second(change) for change in _between(before, given.content))
        if given.back_to is not None:
            if needs_second and not is_clinical(self.session, given.by):
                return ["This would take back something that protects: somebody with the clinician role may do it."]
            return []
        assert self.compared is not None, "what is published was compared"
        faults: list[str] = []
        if len(given.reason) < LEAST_REASON:
            faults.append("Write the reason in a sentence: whoever reads this version later needs it.")
        if needs_second:
            faults += _faults_of_second(self.session, self.rows, given.by)
        may = self.takes_on_alarms and is_clinical(self.session, given.by)
        return faults + _faults_of_figures(self.compared, may_take_on_alarms=may)

    def make(self, given: Publication, number: int, before: str) -> PhraseVersion:
        authors = sorted({row.author_id for row in self.rows}) or [given.by]
        is_approval = given.by not in authors
        compared = self.compared
        return PhraseVersion(
            number=number,
            kind="publish" if given.back_to is None else "rollback",
            content=given.content,
            digest=digest_of(given.content),
            author_id=authors[0] if is_approval else given.by,
            approver_id=given.by if is_approval else None,
            reason=given.reason,
            changes=json.dumps([asdict(change) for change in _between(before, given.content)]),
            scores=compared.as_stored() if compared is not None else {},
            is_override=compared is not None and compared.has_more_alarms,
            rolled_back_to=given.back_to,
            at=given.now,
        )

    def use_up_draft(self, version: PhraseVersion, given: Publication) -> bool:
        decided = self.session.execute(
            update(PhraseChange)
            .where(PhraseChange.id.in_([row.id for row in self.rows]), PhraseChange.status == "draft")
            .values(status="published", decided_by=given.by, decided_at=given.now, version_id=version.id)
        )
        assert isinstance(decided, CursorResult)
        return decided.rowcount == len(self.rows)

    def follow(self, version: PhraseVersion, given: Publication) -> None:
        _tell(self.session, version, changes_of(version), now=given.now)
        if given.back_to is None:
            _keep_lines(self.session, version, given.by, now=given.now)


def _between(before: str, after: str) -> tuple[Change, ...]:
    return content.diff(json.loads(before), json.loads(after))


def _faults_of_second(session: Session, rows: Sequence[PhraseChange], staff_id: int) -> list[str]:
    faults: list[str] = []
    if not is_clinical(session, staff_id):
        faults.append("Only somebody with the clinician role may approve these changes.")
    if any(row.author_id == staff_id for row in rows):
        faults.append("You proposed one of these changes: a second person has to approve it.")
    return faults


def _faults_of_figures(compared: Comparison, *, may_take_on_alarms: bool) -> list[str]:
    faults: list[str] = []
    if compared.lost:
        faults.append(
            f"{len(compared.lost)} plain statements of danger would be answered less than now. Nobody can publish that."
        )
    if compared.is_oblique_lower:
        faults.append("Fewer veiled statements of danger would be found. Nobody can publish that.")
    if compared.has_more_alarms and not may_take_on_alarms:
        faults.append(
            "False alarms would rise by more than 0.3 points. Narrow the phrase, or let a clinician take them on."
        )
    return faults


def _tell(session: Session, row: PhraseVersion, changes: Sequence[Change], *, now: datetime) -> None:
    """A line in every program's inbox and one in the ledger: nothing takes effect unseen."""
    author = session.get_one(Staff, row.author_id)
    words = (
        f"Crisis desk, version {row.number}, by {author.name}: "
        + "; ".join(content.words_of(change) for change in changes[:5])
        + (f"; and {len(changes) - 5} more" if len(changes) > 5 else "")
        + ". Look at it under Program, Crisis desk."
    )
    for program_id in session.scalars(select(Program.id)):
        tasks.open_task(session, program_id=program_id, kind="crisis_desk", words=words, now=now)
    actor = row.approver_id or row.author_id
    record.append(
        session,
        at=now,
        actor=f"staff:{actor}",
        action="desk.published" if row.kind == "publish" else "desk.rolled_back",
        subject=f"phrases:{row.number}",
        details={"hash": row.digest, "changes": len(changes), "override": row.is_override},
    )


def _keep_lines(session: Session, made: PhraseVersion, staff_id: int, *, now: datetime) -> None:
    """Example lines of new and changed phrases join the corpus."""
    program_id = session.get_one(Staff, staff_id).program_id
    known = {row.text for row in judged.corpus_rows(session, program_id, origin="phrase")}
    for change in changes_of(made):
        if change.kind != edition.PHRASE or change.after is None:
            continue
        phrase = phrases.from_json(change.after)
        must, must_not = ("ordinary", "crisis") if phrase.kind == "never_alone" else (phrase.kind, "ordinary")
        for lines, label in ((phrase.must, must), (phrase.must_not, must_not)):
            for text in lines:
                if text not in known:
                    known.add(text)
                    _keep_line(session, phrase, text, label, program_id, staff_id, change.name, now=now)


def _keep_line(
    session: Session,
    phrase: phrases.Phrase,
    text: str,
    label: str,
    program_id: int,
    staff_id: int,
    name: str,
    *,
    now: datetime,
) -> None:
    judged.add_text(
        session,
        program_id=program_id,
        text=text,
        label=label,
        tier=phrase.tier.value if phrase.tier is not None and label != "ordinary" else None,
        language=languages.as_written(phrase.language),
        origin="phrase",
        reason=f"Example line of phrase {name}",
        staff_id=staff_id,
        now=now,
    )
