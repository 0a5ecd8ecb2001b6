"""The draft: proposed changes, one open for each key, until somebody publishes or withdraws them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nudges.crisis import edition, phrases
from nudges.crisis.phrases import Phrase
from nudges.desk import content, lines, versions
from nudges.desk.content import Change
from nudges.models.messages import Inbound
from nudges.models.phrases import PhraseChange
from nudges.publishing import Draft, DraftPlace, Refused, StaleDraft

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


def open_draft(session: Session, key: str) -> Draft:
    """The open change of `key`, or what is in force, as JSON; null for a removal and for what there is not."""
    return _Place(session=session, key=key).open()


def propose(
    session: Session, key: str, value: Any, *, staff_id: int, now: datetime, over: int | None = None
) -> PhraseChange | None:
    """Put a change into the draft, in place of the open one of the same key. None when it changes nothing.

    `over` is the revision that the writer has seen. Without it only an open change of their own gives way. Raises
    StaleDraft, and Refused for a change that could never be published: the content must build, and every reply fit.
    """
    live, place = versions.live_content(session), _Place(session=session, key=key)
    stands = place.open()
    if over is None:
        over = stands.revision if stands.by == staff_id else 0
    if live.get(key) == value:
        if stands.revision:
            place.discard(over=over, by=staff_id, now=now)
        return None
    _check(live, key, value)
    made = place.save(json.dumps(value, ensure_ascii=False), over=over, by=staff_id, now=now)
    return session.get_one(PhraseChange, made.revision)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place(DraftPlace):
    """The open change of one key. Its revision is its number, 0 where there is none; `ends_as` is a status."""

    session: Session
    key: str
    ends_as: str = "withdrawn"

    def open(self) -> Draft:
        row = self._row()
        if row is not None:
            return Draft(text=row.value or "null", revision=row.id, by=row.author_id, at=row.created_at)
        live = versions.live_content(self.session).get(self.key)
        return Draft(text=json.dumps(live, ensure_ascii=False), revision=0)

    def put(self, text: str | None, *, over: int, by: int, now: datetime) -> bool:
        row = self._row()
        if over != (row.id if row is not None else 0):
            return False
        if row is not None:
            row.status, row.decided_by, row.decided_at = self.ends_as, by, now
            self.session.flush()
        if text is None:
            return row is not None
        value = None if text == "null" else text
        try:  # of two writers at the same moment the index of open changes refuses one
            with self.session.begin_nested():
                self.session.add(PhraseChange(key=self.key, value=value, author_id=by, created_at=now))
        except IntegrityError:
            return False
        return True

    def note(self, text: str | None) -> tuple[str, str]:
        return f"desk.{self.ends_as if text is None else 'proposed'}", self.key

    def _row(self) -> PhraseChange | None:
        chosen = select(PhraseChange).where(PhraseChange.key == self.key, PhraseChange.status == "draft")
        return self.session.scalars(chosen).one_or_none()


def _check(live: content.Content, key: str, value: Any) -> None:
    try:
        if value is not None:
            edition.check_key(key, value, live)
    except edition.EditionError as error:
        raise Refused(str(error)) from None
    tried = edition.trial(content.applied(live, [(key, value)]))
    if key.partition(":")[0] in (edition.LINE, edition.COUNTRY, edition.REPLY) and (faults := lines.faults(tried)):
        raise Refused(*faults)


def propose_phrase(
    session: Session, phrase: Phrase, *, name: str | None, staff_id: int, now: datetime, over: int | None = None
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
    return propose(session, content.phrase_key(chosen), raw, staff_id=staff_id, now=now, over=over)


def propose_end_of_trial(
    session: Session, name: str, *, staff_id: int, now: datetime, over: int | None = None
) -> PhraseChange | None:
    """Let a suppression count. Raises Refused before its 14 days are over, or for one that is not on trial."""
    live = versions.live_content(session)
    raw = live.get(content.phrase_key(name))
    if raw is None or not raw.get("shadow"):
        raise Refused("This phrase is not on trial.")
    since = trial_since(session, name)
    if since is None or now - since < TRIAL:
        raise Refused(f"A trial lasts {TRIAL.days} days, so that people see what would have been silenced.")
    return propose(session, content.phrase_key(name), {**raw, "shadow": False}, staff_id=staff_id, now=now, over=over)


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
    if row is None:
        return False
    place = _Place(session=session, key=row.key, ends_as="refused" if refused else "withdrawn")
    try:
        place.discard(over=change_id, by=staff_id, now=now)
    except StaleDraft:
        return False
    return True


def recent_ordinary(session: Session, *, now: datetime) -> tuple[str, ...]:
    """Texts of the last 90 days that were answered as ordinary, of every program: for counting only."""
    rows = session.execute(
        select(Inbound.body, Inbound.screening)
        .where(Inbound.at > now - RECENT)
        .order_by(Inbound.id.desc())
        .limit(MOST_RECENT)
    )
    return tuple(body for body, screening in rows if screening.get("level") == "ordinary")
