"""The draft: proposed changes, one open for each key, until somebody publishes or withdraws them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.crisis import edition, phrases
from nudges.crisis.phrases import Phrase
from nudges.desk import content, lines, versions
from nudges.desk.content import Change
from nudges.desk.faults import DeskError
from nudges.ledger import record
from nudges.models.messages import Inbound
from nudges.models.phrases import PhraseChange

RECENT: Final = timedelta(days=90)
MOST_RECENT: Final = 4000  # texts; the newest count
TRIAL: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Open changes that may be published together, and what the desk would then say."""

    rows: tuple[PhraseChange, ...]
    changes: tuple[Change, ...]
    content: dict[str, Any]


def open_changes(session: Session) -> Sequence[PhraseChange]:
    """Proposed and not decided, oldest first."""
    return session.scalars(select(PhraseChange).where(PhraseChange.status == "draft").order_by(PhraseChange.id)).all()


def lot(session: Session, *, needs_second: bool) -> Lot:
    """What one person may publish alone, or what waits for a second one."""
    live = versions.live_content(session)
    pairs = [(row, change_of(row, live)) for row in open_changes(session)]
    chosen = [(row, change) for row, change in pairs if content.needs_second(change) is needs_second]
    return Lot(
        rows=tuple(row for row, _ in chosen),
        changes=tuple(change for _, change in chosen),
        content=content.applied(live, ((change.key, change.after) for _, change in chosen)),
    )


def change_of(row: PhraseChange, live: content.Content) -> Change:
    return Change(key=row.key, before=live.get(row.key), after=json.loads(row.value) if row.value else None)


def propose(session: Session, key: str, value: Any, *, staff_id: int, now: datetime) -> PhraseChange | None:
    """Put a change into the draft, in place of an open one of the same key. None when it changes nothing.

    Raises DeskError for a change that could never be published: the content must build, and every reply fit.
    """
    live = versions.live_content(session)
    _withdraw_open(session, key, staff_id=staff_id, now=now)
    if live.get(key) == value:
        return None
    _check(live, key, value)
    row = PhraseChange(
        key=key,
        value=json.dumps(value, ensure_ascii=False) if value is not None else None,
        author_id=staff_id,
        created_at=now,
    )
    session.add(row)
    session.flush()
    record.append(session, at=now, actor=f"staff:{staff_id}", action="desk.proposed", subject=f"change:{row.id}")
    return row


def _check(live: content.Content, key: str, value: Any) -> None:
    try:
        if value is not None:
            edition.check_key(key, value, live)
    except edition.EditionError as error:
        raise DeskError(str(error)) from None
    tried = edition.trial(content.applied(live, [(key, value)]))
    if key.partition(":")[0] in (edition.LINE, edition.COUNTRY, edition.REPLY) and (faults := lines.faults(tried)):
        raise DeskError(*faults)


def propose_phrase(
    session: Session, phrase: Phrase, *, name: str | None, staff_id: int, now: datetime
) -> PhraseChange | None:
    """Add a phrase (no name) or change one. A new suppression starts on trial, whatever the caller says."""
    live = versions.live_content(session)
    chosen = name or content.next_phrase_id([*versions.every_key(session), [r.key for r in open_changes(session)]])
    raw = phrases.to_json(phrase)
    if phrase.kind == "never_alone":
        old = live.get(content.phrase_key(chosen))
        is_same = old is not None and old["kind"] == "never_alone" and old["words"] == phrase.words
        raw["shadow"] = bool(old["shadow"]) if is_same and old is not None else True
    else:
        raw["shadow"] = False
    return propose(session, content.phrase_key(chosen), raw, staff_id=staff_id, now=now)


def propose_end_of_trial(session: Session, name: str, *, staff_id: int, now: datetime) -> PhraseChange | None:
    """Let a suppression count. Raises DeskError before its 14 days are over, or for one that is not on trial."""
    live = versions.live_content(session)
    raw = live.get(content.phrase_key(name))
    if raw is None or not raw.get("shadow"):
        raise DeskError("This phrase is not on trial.")
    since = trial_since(session, name)
    if since is None or now - since < TRIAL:
        raise DeskError(f"A trial lasts {TRIAL.days} days, so that people see what would have been silenced.")
    return propose(session, content.phrase_key(name), {**raw, "shadow": False}, staff_id=staff_id, now=now)


def trial_since(session: Session, name: str) -> datetime | None:
    """When the phrase went on trial with its present words; None when it is not on trial."""
    since: datetime | None = None
    words = None
    for version in versions.history(session, oldest_first=True):
        raw = versions.content_of(version).get(content.phrase_key(name))
        if raw is None or not raw.get("shadow"):
            since, words = None, None
        elif raw["words"] != words:
            since, words = version.at, raw["words"]
    return since


def withdraw(session: Session, change_id: int, *, staff_id: int, now: datetime, refused: bool = False) -> bool:
    """Take a change out of the draft. False when it was decided already."""
    row = session.get(PhraseChange, change_id)
    if row is None or row.status != "draft":
        return False
    _close(row, "refused" if refused else "withdrawn", staff_id=staff_id, now=now)
    action = "desk.refused" if refused else "desk.withdrawn"
    record.append(session, at=now, actor=f"staff:{staff_id}", action=action, subject=f"change:{row.id}")
    return True


def _withdraw_open(session: Session, key: str, *, staff_id: int, now: datetime) -> None:
    for row in session.scalars(select(PhraseChange).where(PhraseChange.key == key, PhraseChange.status == "draft")):
        _close(row, "withdrawn", staff_id=staff_id, now=now)
    session.flush()


def _close(row: PhraseChange, status: str, *, staff_id: int, now: datetime) -> None:
    row.status, row.decided_by, row.decided_at = status, staff_id, now


def recent_ordinary(session: Session, *, now: datetime) -> tuple[str, ...]:
    """Texts of the last 90 days that were answered as ordinary, of every program: for counting only."""
    rows = session.execute(
        select(Inbound.body, Inbound.screening)
        .where(Inbound.at > now - RECENT)
        .order_by(Inbound.id.desc())
        .limit(MOST_RECENT)
    )
    return tuple(body for body, screening in rows if screening.get("level") == "ordinary")
