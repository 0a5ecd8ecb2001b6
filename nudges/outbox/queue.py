"""The outbox's queue: what is to be sent, claimed by one sender at a time, moved along the status table.

The only writer of outbox rows. A nudge is queued as *what* to say: its step, version, cycle and what it was planned on
(`basis`). Its words are made when it is handed over, and kept with the claim. All other texts are queued as they are.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, func, insert, literal, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.db import unindexed
from nudges.models.messages import Outbox, OutboxEvent
from nudges.models.program import Lane
from nudges.outbox.status import ACCEPTED, ALLOWED, QUEUED, SENDING, SENT, TERMINAL, UNKNOWN
from schedules import segments
from schedules.render import Rendered

PRIORITY: Final[Mapping[str, int]] = {
    "crisis_reply": 0,
    "staff_page": 1,
    "reply": 2,
    "person": 2,
    "system": 3,
    "nudge": 5,
}
URGENT: Final = frozenset({"crisis_reply", "staff_page"})
RECIPIENT_GAP: Final = timedelta(seconds=30)  # two texts at once read like an alarm, and carriers filter them
NEWEST: Final = 50_000  # texts that are looked through for what a wrong clock wrote
NO_LANE: Final = "This program has no sender. Add a lane before enrolling anyone."


def _spelled_out(statuses: Collection[str]) -> ColumnElement[bool]:
    """SQLite sees a partial index only where its own condition stands, word for word."""
    return Outbox.status.in_([literal(status, literal_execute=True) for status in statuses])


# As the index of unsettled texts has it: without it every text that there ever was is read.
ON_ITS_WAY: Final = _spelled_out((ACCEPTED, SENDING, SENT, UNKNOWN))
IS_QUEUED: Final = Outbox.status == literal(QUEUED, literal_execute=True)


def is_on_its_way(*statuses: str) -> ColumnElement[bool]:
    """Is a text in one of `statuses` (accepted, sending, sent, unknown)? Found by the index of unsettled texts."""
    return and_(ON_ITS_WAY, _spelled_out(statuses))


class NoLane(LookupError):
    """The program has no sender yet, so nothing can be queued."""


# ---------------------------------------------------------------- writing rows


@dataclass(frozen=True, kw_only=True, slots=True)
class NewText:
    """A text to queue: `to` in E.164, `expires_at` the first moment that is too late.

    `body` as it will be read, or none for a nudge, whose words are made at the hand-over; then `basis` says what it
    was planned on (schedules.state.basis). `gate` is schedules.state.proposal_to_json for what the gate must be asked
    about, empty for texts that no gate may stop. A nudge names its enrollment, step, cycle and version: the database
    refuses a second one.
    """

    category: str
    to: str
    expires_at: datetime
    body: str | None = None
    basis: str | None = None
    language: str = "en"
    not_before: datetime | None = None
    parent_id: int | None = None
    staff_id: int | None = None
    enrollment_id: int | None = None
    step_id: str | None = None
    cycle: int | None = None
    version_id: int | None = None
    reply_to_id: int | None = None
    alert_id: int | None = None
    gate: Mapping[str, Any] = field(default_factory=dict)


def enqueue(session: Session, text: NewText, *, program_id: int, now: datetime) -> Outbox:
    """Queue a text on the program's lane. Raises NoLane, ValueError (empty), IntegrityError (a second one)."""
    row = Outbox(**_columns(text, lane_of(session, program_id), now))
    session.add(row)
    session.flush()
    return row


def enqueue_all(session: Session, texts: Sequence[tuple[int, NewText]], *, now: datetime) -> None:
    """Queue many texts, each with its lane, in one statement. Raises ValueError, IntegrityError."""
    if texts:
        session.execute(insert(Outbox), [_columns(text, lane_id, now) for lane_id, text in texts])


def enter_answered(session: Session, text: NewText, *, program_id: int, now: datetime) -> str | None:
    """A text that left as the answer to a request: its row, on its way already. The attempt that its receipts name.

    None when the program has no lane: then nobody follows it.
    """
    try:
        lane_id = lane_of(session, program_id)
    except NoLane:
        return None
    attempt_id, reason = new_attempt(), "sent in the response to their text"
    row = Outbox(
        **_columns(text, lane_id, now)
        | {
            "status": ACCEPTED,
            "status_reason": reason,
            "attempt_id": attempt_id,
            "attempts": 1,
            "attempted_at": now,
        }
    )
    session.add(row)
    session.flush()
    _note(session, [row.id], SENDING, ACCEPTED, reason, now)
    return attempt_id


def _columns(text: NewText, lane_id: int, now: datetime) -> dict[str, Any]:
    if text.body is None and text.basis is None:
        raise ValueError("a text without words must say what it was planned on")
    parts = None if text.body is None else segments.count(text.body).parts
    if parts == 0:
        raise ValueError("an empty text cannot be sent")
    return {
        "lane_id": lane_id,
        "parent_id": text.parent_id,
        "staff_id": text.staff_id,
        "enrollment_id": text.enrollment_id,
        "step_id": text.step_id,
        "cycle": text.cycle,
        "version_id": text.version_id,
        "reply_to_id": text.reply_to_id,
        "alert_id": text.alert_id,
        "category": text.category,
        "priority": PRIORITY[text.category],
        "to": text.to,
        "body": text.body,
        "language": text.language,
        "segments": parts,
        "gate": dict(text.gate),
        "basis": text.basis,
        "status": QUEUED,
        "not_before": text.not_before or now,
        "expires_at": text.expires_at,
        "created_at": now,
    }


def lane_of(session: Session, program_id: int) -> int:
    """The program's lane. Parents stay with one sender: a change of number looks like a stranger. Raises NoLane."""
    lane_id = session.scalar(select(Lane.id).where(Lane.program_id == program_id).order_by(Lane.id).limit(1))
    if lane_id is None:
        raise NoLane(NO_LANE)
    return lane_id


def lanes_of(session: Session, program_ids: Collection[int]) -> dict[int, int]:
    """The lane of each program that has one."""
    rows = session.execute(
        select(Lane.program_id, func.min(Lane.id).label("lane_id"))
        .where(Lane.program_id.in_(program_ids))
        .group_by(Lane.program_id)
    )
    return {row.program_id: row.lane_id for row in rows}


def reword(session: Session, outbox_id: int, body: str, **values: Any) -> bool:
    """Give a text that has not left yet other words. False when it leaves at this very moment."""
    changed = session.execute(
        update(Outbox)
        .where(Outbox.id == outbox_id, Outbox.status == QUEUED)
        .values(body=body, segments=segments.count(body).parts, **values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)
    return changed.rowcount == 1


# ---------------------------------------------------------------- claiming


def ready(session: Session, lane_id: int, *, now: datetime, limit: int) -> list[Outbox]:
    """Texts whose turn has come, most urgent first, nobody else's until this transaction ends.

    On PostgreSQL rows that another sender looks at are skipped.
    """
    rows = session.scalars(
        select(Outbox)
        # By ix_outbox_ready and in its order: SQLite would take the index by time and sort the whole queue each time.
        .where(Outbox.lane_id == lane_id, IS_QUEUED, unindexed(Outbox.not_before) <= now)
        .order_by(Outbox.priority, Outbox.not_before)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return sorted(rows, key=lambda row: (row.priority, row.not_before, row.id))


def last_attempts(
    session: Session, parent_ids: Collection[int], *, since: datetime, until: datetime
) -> dict[int, datetime]:
    """When each of these phones last got a text, if that was after `since`. Later than `until` only a clock that stood
    ahead can have written."""
    found = session.execute(
        select(Outbox.parent_id, func.max(Outbox.attempted_at).label("at"))
        .where(Outbox.parent_id.in_(parent_ids), Outbox.attempted_at > since, Outbox.attempted_at <= until)
        .group_by(Outbox.parent_id)
    )
    return {row.parent_id: row.at for row in found}


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A queued text that is taken for one attempt: to which number, and the words if they were made just now."""

    row: Outbox
    to: str
    words: Rendered | None = None
    attempt_id: str = field(default_factory=lambda: new_attempt())

    @property
    def body(self) -> str:
        """What is sent."""
        body = self.row.body if self.words is None else self.words.text
        assert body is not None  # a text without words gets them with its claim
        return body

    @property
    def segments(self) -> int:
        """What it costs the lane."""
        return (self.row.segments or 1) if self.words is None else self.words.segments.parts


def new_attempt() -> str:
    """An id for one attempt, which the provider brings back with each callback."""
    return uuid.uuid4().hex


def claim(session: Session, claims: Sequence[Claim], *, claimed_by: str, now: datetime) -> None:
    """Mark texts that `ready` has locked for this transaction as `sending`, with their words."""
    if not claims:
        return
    reason = "handing over"
    session.execute(
        update(Outbox),
        [
            {
                "id": one.row.id,
                "to": one.to,
                "body": one.body,
                "segments": one.segments,
                "language": one.row.language if one.words is None else one.words.lang,
                "status": SENDING,
                "status_reason": reason,
                "attempt_id": one.attempt_id,
                "attempts": one.row.attempts + 1,
                "attempted_at": now,
                "claimed_by": claimed_by,
            }
            for one in claims
        ],
    )
    _note(session, [one.row.id for one in claims], QUEUED, SENDING, reason, now)


def accept_all(session: Session, provider_ids: Mapping[int, str], *, now: datetime) -> set[int]:
    """Texts, by id, that the provider has taken under these ids. Those that stood in `sending` as nobody's yet.

    Raises IntegrityError when one of the provider's ids is another text's.
    """
    if not provider_ids:
        return set()
    mine = (Outbox.id.in_(provider_ids), is_on_its_way(SENDING), Outbox.provider_id.is_(None))
    ids = session.scalars(select(Outbox.id).where(*mine).order_by(Outbox.id).with_for_update()).all()
    if ids:
        taken = {"status": ACCEPTED, "status_reason": "accepted"}
        session.execute(update(Outbox), [{"id": id_, "provider_id": provider_ids[id_], **taken} for id_ in ids])
    _note(session, ids, SENDING, ACCEPTED, "accepted", now)
    return set(ids)


def set_provider_id(session: Session, outbox_id: int, provider_id: str) -> None:
    """The provider knows this text by that id. Nothing for a text that has one, or waits in the queue again."""
    session.execute(
        update(Outbox)
        .where(Outbox.id == outbox_id, Outbox.provider_id.is_(None), Outbox.status != QUEUED)
        .values(provider_id=provider_id, looks=0)
        .execution_options(synchronize_session=False)
    )


def written_ahead(session: Session, *, after: datetime) -> Sequence[Outbox]:
    """Of the newest texts, those that were written later than `after`: by a clock that stood ahead."""
    newest = (session.scalar(select(func.max(Outbox.id))) or 0) - NEWEST
    return session.scalars(
        select(Outbox).where(Outbox.id > newest, Outbox.created_at > after).order_by(Outbox.id)
    ).all()


def postpone(session: Session, row: Outbox, *, until: datetime) -> None:
    """Leave a queued text for later."""
    row.not_before = until


# ---------------------------------------------------------------- moving


def move(
    session: Session,
    outbox_id: int,
    *,
    from_status: str,
    to_status: str,
    reason: str,
    now: datetime,
    **values: Any,
) -> bool:
    """Move a text along the table and record it. False when it no longer has `from_status`: nothing was changed.

    `values` are further columns. Raises ValueError for a move that the table does not have.
    """
    moved = move_all(
        session,
        (Outbox.id == outbox_id,),
        from_status=from_status,
        to_status=to_status,
        reason=reason,
        now=now,
        **values,
    )
    return bool(moved)


def move_all(
    session: Session,
    which: Sequence[ColumnElement[bool]],
    *,
    from_status: str,
    to_status: str,
    reason: str,
    now: datetime,
    **values: Any,
) -> list[int]:
    """The same for all texts that meet the conditions and have `from_status`. The ids of those that were moved."""
    if to_status not in ALLOWED[from_status]:
        raise ValueError(f"a text may not go from {from_status} to {to_status}")
    if to_status in TERMINAL:
        values.setdefault("settled_at", now)
    if to_status == QUEUED:
        values |= _afresh()
    moved = list(
        session.scalars(
            update(Outbox)
            .where(*which, Outbox.status == from_status)
            .values(status=to_status, status_reason=reason[:200], **values)
            .returning(Outbox.id)
            .execution_options(synchronize_session=False)
        )
    )
    _note(session, moved, from_status, to_status, reason, now)
    return moved


def _afresh() -> dict[str, Any]:
    """What a text that waits again has lost: its attempt, and words that were made for it."""
    is_made = Outbox.basis.is_not(None)
    return {
        "attempt_id": None,
        "attempted_at": None,
        "claimed_by": None,
        "provider_id": None,
        "body": case((is_made, None), else_=Outbox.body),
        "segments": case((is_made, None), else_=Outbox.segments),
    }


def _note(session: Session, ids: Collection[int], was: str, is_now: str, reason: str, now: datetime) -> None:
    """One event for each text that was moved."""
    if ids:
        session.execute(
            insert(OutboxEvent),
            [{"outbox_id": id_, "from_status": was, "to_status": is_now, "reason": reason, "at": now} for id_ in ids],
        )


def unsettled(session: Session, status: str, *, before: datetime, limit: int = 100) -> Sequence[Outbox]:
    """Texts that stand in `status` since before an instant, oldest first."""
    return session.scalars(
        select(Outbox)
        .where(is_on_its_way(status), Outbox.attempted_at <= before)
        .order_by(Outbox.attempted_at)
        .limit(limit)
        .execution_options(populate_existing=True)
    ).all()
