"""Publishing: an immutable version with its hash, its people, its reason and its figures; and going back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nudges import tasks
from nudges.alerts import corpus as judged
from nudges.crisis import edition, phrases
from nudges.desk import content
from nudges.desk.compare import Comparison
from nudges.desk.content import Change
from nudges.desk.faults import DeskError
from nudges.ledger import record
from nudges.library import signing
from nudges.models.phrases import PhraseChange, PhraseVersion
from nudges.models.program import Program, Staff

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
    return session.scalar(select(PhraseVersion).order_by(PhraseVersion.number.desc()).limit(1))


def history(session: Session, *, oldest_first: bool = False) -> Sequence[PhraseVersion]:
    order = PhraseVersion.number if oldest_first else PhraseVersion.number.desc()
    return session.scalars(select(PhraseVersion).order_by(order)).all()


def version(session: Session, number: int) -> PhraseVersion | None:
    return session.scalar(select(PhraseVersion).where(PhraseVersion.number == number))


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


def faults_of(session: Session, rows: Sequence[PhraseChange], compared: Comparison, decision: Decision) -> list[str]:
    """Why these changes cannot be published by this person now; empty when they can."""
    live = live_content(session)
    changes = [Change(key=r.key, before=live.get(r.key), after=json.loads(r.value) if r.value else None) for r in rows]
    faults: list[str] = []
    if not rows:
        faults.append("There is nothing to publish.")
    if len(decision.reason.strip()) < LEAST_REASON:
        faults.append("Write the reason in a sentence: whoever reads this version later needs it.")
    if edition.digest_of(live) != compared.before_digest:
        faults.append("Somebody published meanwhile: look at the comparison again.")
    if any(content.needs_second(change) for change in changes):
        faults += _faults_of_second(session, rows, decision)
    return faults + _faults_of_figures(session, compared, decision)


def _faults_of_second(session: Session, rows: Sequence[PhraseChange], decision: Decision) -> list[str]:
    faults: list[str] = []
    if not is_clinical(session, decision.staff_id):
        faults.append("Only somebody with the clinician role may approve these changes.")
    if any(row.author_id == decision.staff_id for row in rows):
        faults.append("You proposed one of these changes: a second person has to approve it.")
    return faults


def _faults_of_figures(session: Session, compared: Comparison, decision: Decision) -> list[str]:
    faults: list[str] = []
    if compared.lost:
        faults.append(
            f"{len(compared.lost)} plain statements of danger would be answered less than now. Nobody can publish that."
        )
    if compared.is_oblique_lower:
        faults.append("Fewer veiled statements of danger would be found. Nobody can publish that.")
    if compared.has_more_alarms and not (decision.takes_on_alarms and is_clinical(session, decision.staff_id)):
        faults.append(
            "False alarms would rise by more than 0.3 points. Narrow the phrase, or let a clinician take them on."
        )
    return faults


def publish(
    session: Session, rows: Sequence[PhraseChange], compared: Comparison, decision: Decision, *, now: datetime
) -> PhraseVersion:
    """Publish these open changes as the next version. Raises DeskError with every reason why not.

    `compared` is of the very content that the changes make; the example lines were tried on it (lint.lines_hold).
    """
    if faults := faults_of(session, rows, compared, decision):
        raise DeskError(*faults)
    live = live_content(session)
    new = content.applied(live, ((row.key, json.loads(row.value) if row.value else None) for row in rows))
    if edition.digest_of(new) != compared.after_digest:
        raise DeskError("The draft changed meanwhile: look at the comparison again.")
    authors = sorted({row.author_id for row in rows})
    is_approval = decision.staff_id not in authors
    made = _add(
        session,
        new,
        changes=content.diff(live, new),
        author_id=authors[0] if is_approval else decision.staff_id,
        approver_id=decision.staff_id if is_approval else None,
        reason=decision.reason,
        scores=compared.as_stored(),
        is_override=compared.has_more_alarms,
        now=now,
    )
    _close(session, rows, made, decision.staff_id, now=now)
    _keep_lines(session, made, decision.staff_id, now=now)
    return made


def roll_back(session: Session, number: int, *, staff_id: int, reason: str, now: datetime) -> PhraseVersion:
    """Put an earlier version in force again, as a new version. 0 is everything as shipped.

    One click: what it says was in force before. Where it would silence or lower anything that is answered now, a
    person with the clinician role must click. Raises DeskError.
    """
    target = version(session, number)
    if target is None and number != 0:
        raise DeskError(f"There is no version {number}.")
    live, new = live_content(session), content_of(target)
    changes = content.diff(live, new)
    if not changes:
        raise DeskError("That is what is in force.")
    if any(content.needs_second(change) for change in changes) and not is_clinical(session, staff_id):
        raise DeskError("This would take back something that protects: somebody with the clinician role may do it.")
    return _add(
        session,
        new,
        changes=changes,
        author_id=staff_id,
        approver_id=None,
        reason=reason.strip() or f"Back to version {number}",
        scores={},
        is_override=False,
        now=now,
        rolled_back_to=number,
    )


def _add(
    session: Session,
    new: dict[str, Any],
    *,
    changes: Sequence[Change],
    author_id: int,
    approver_id: int | None,
    reason: str,
    scores: dict[str, Any],
    is_override: bool,
    now: datetime,
    rolled_back_to: int | None = None,
) -> PhraseVersion:
    last = newest(session)
    row = PhraseVersion(
        number=1 if last is None else last.number + 1,
        kind="publish" if rolled_back_to is None else "rollback",
        content=edition.canonical(new),
        digest=edition.digest_of(new),
        author_id=author_id,
        approver_id=approver_id,
        reason=reason.strip(),
        changes=json.dumps([{"key": c.key, "before": c.before, "after": c.after} for c in changes]),
        scores=scores,
        is_override=is_override,
        rolled_back_to=rolled_back_to,
        at=now,
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise DeskError("Somebody published at the same moment: look at the comparison again.") from None
    _tell(session, row, changes, now=now)
    return row


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


def _close(
    session: Session, rows: Sequence[PhraseChange], made: PhraseVersion, staff_id: int, *, now: datetime
) -> None:
    """The changes are decided; a second publisher of the same ones finds none open."""
    session.execute(
        update(PhraseChange)
        .where(PhraseChange.id.in_([row.id for row in rows]), PhraseChange.status == "draft")
        .values(status="published", decided_by=staff_id, decided_at=now, version_id=made.id)
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
        language=phrase.language if phrase.language in ("en", "es") else None,
        origin="phrase",
        reason=f"Example line of phrase {name}",
        staff_id=staff_id,
        now=now,
    )
