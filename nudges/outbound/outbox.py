"""The outbox: what is to be sent, claimed by one sender at a time, moved along the status table."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    String,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    func,
    insert,
    literal,
    select,
    type_coerce,
    update,
)
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.db import UTCDateTime, as_given, ids_given, pairs_given, unindexed, unseal
from nudges.models.messages import Outbox, OutboxEvent
from nudges.models.program import Lane
from nudges.outbound.status import ACCEPTED, ALLOWED, QUEUED, SENDING, SENT, TERMINAL, UNKNOWN
from schedules import segments

PRIORITY: Final[Mapping[str, int]] = {
    "crisis_reply": 0,
    "staff_page": 1,
    "reply": 2,
    "person": 2,
    "system": 3,
    "nudge": 5,
}
URGENT: Final = frozenset({"crisis_reply", "staff_page"})
LAST_MOMENTS: Final = timedelta(seconds=30)  # two texts at once read like an alarm, and carriers filter them
NO_LANE: Final = "This program has no sender. Add a lane before enrolling anyone."


_OUTBOX: Final[Table] = Outbox.metadata.tables[Outbox.__tablename__]
_EVENTS: Final[Table] = Outbox.metadata.tables[OutboxEvent.__tablename__]
_CLAIM: Final = (
    update(_OUTBOX)
    .where(_OUTBOX.c.id.in_(ids_given("texts")), unindexed(_OUTBOX.c.status) == QUEUED)
    .values(
        status=SENDING,
        status_reason="handing over",
        attempt_id=bindparam("batch", type_=String()) + cast(_OUTBOX.c.id, String()),
        attempts=_OUTBOX.c.attempts + 1,
        attempted_at=bindparam("at"),
        claimed_by=bindparam("by"),
    )
)
_MOVED: Final = pairs_given("texts")
_NOTE_MOVES: Final = insert(_EVENTS).from_select(
    ["outbox_id", "from_status", "to_status", "reason", "at"],
    select(
        cast(_MOVED.c.key, Integer()),
        bindparam("was", type_=String()),
        bindparam("is_now", type_=String()),
        bindparam("why", type_=Text()),
        bindparam("at", type_=UTCDateTime()),
    ),
)
# The phone's last text is looked up beside each row; spelled-out words let the partial index be seen.
_EARLIER: Final = _OUTBOX.alias("earlier")
_READY: Final = (
    select(
        _OUTBOX.c.id,
        _OUTBOX.c.parent_id,
        _OUTBOX.c.enrollment_id,
        _OUTBOX.c.version_id,
        _OUTBOX.c.step_id,
        _OUTBOX.c.category,
        type_coerce(_OUTBOX.c.to, Text()).label("to"),
        type_coerce(_OUTBOX.c.body, Text()).label("body"),
        _OUTBOX.c.segments,
        cast(_OUTBOX.c.gate, Text()).label("gate"),
        _OUTBOX.c.expires_at,
        select(func.max(_EARLIER.c.attempted_at))
        .where(_EARLIER.c.parent_id == _OUTBOX.c.parent_id, _EARLIER.c.attempted_at > bindparam("since"))
        .scalar_subquery()
        .label("last_at"),
        _OUTBOX.c.priority,
        type_coerce(_OUTBOX.c.not_before, Text()).label("not_before"),
    )
    .where(
        _OUTBOX.c.lane_id == bindparam("lane"),
        _OUTBOX.c.status == literal(QUEUED, literal_execute=True),
        unindexed(_OUTBOX.c.not_before) <= bindparam("now", type_=UTCDateTime()),
    )
    # As ix_outbox_ready has them: an order by id too would sort the whole queue for each batch.
    .order_by(_OUTBOX.c.priority, _OUTBOX.c.not_before)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=_OUTBOX)
)
_POSTPONE: Final = (
    update(_OUTBOX)
    .where(_OUTBOX.c.id == bindparam("text"), _OUTBOX.c.status == QUEUED)
    .values(not_before=bindparam("until"))
)


# As ix_outbox_unsettled has it, word for word: SQLite sees a partial index only where its own condition stands too, and
# reads every text that there ever was otherwise.
ON_ITS_WAY: Final = Outbox.status.in_(
    [literal(status, literal_execute=True) for status in (ACCEPTED, SENDING, SENT, UNKNOWN)]
)


def is_on_its_way(*statuses: str) -> ColumnElement[bool]:
    """Is a text in one of `statuses` (accepted, sending, sent, unknown)? Found by the index of unsettled texts."""
    return and_(ON_ITS_WAY, Outbox.status.in_([literal(status, literal_execute=True) for status in statuses]))


class LostRace(RuntimeError):
    """Somebody else has claimed a text that we had locked: the database does not keep its word."""


class NoLane(LookupError):
    """The program has no sender yet, so nothing can be queued."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewText:
    """A text to queue: `to` in E.164, `body` as it will be read, `expires_at` the last moment that makes sense.

    `gate` is schedules.state.proposal_to_json for what the gate must be asked about again, empty for texts that no
    gate may stop. A nudge names its enrollment, step, cycle and version: the database refuses a second one.
    """

    category: str
    to: str
    body: str
    expires_at: datetime
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
    parts = segments.count(text.body).parts
    if not parts:
        raise ValueError("an empty text cannot be sent")
    row = Outbox(
        lane_id=lane_of(session, program_id),
        parent_id=text.parent_id,
        staff_id=text.staff_id,
        enrollment_id=text.enrollment_id,
        step_id=text.step_id,
        cycle=text.cycle,
        version_id=text.version_id,
        reply_to_id=text.reply_to_id,
        alert_id=text.alert_id,
        category=text.category,
        priority=PRIORITY[text.category],
        to=text.to,
        body=text.body,
        language=text.language,
        segments=parts,
        gate=dict(text.gate),
        status=QUEUED,
        not_before=text.not_before or now,
        expires_at=text.expires_at,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def lane_of(session: Session, program_id: int) -> int:
    """The program's lane. Parents stay with one sender: a change of number looks like a stranger. Raises NoLane."""
    lane_id = session.scalar(select(Lane.id).where(Lane.program_id == program_id).order_by(Lane.id).limit(1))
    if lane_id is None:
        raise NoLane(NO_LANE)
    return lane_id


def lanes_of(session: Session, program_ids: set[int]) -> dict[int, int]:
    """The lane of each program that has one."""
    rows = session.execute(
        select(Lane.program_id, func.min(Lane.id).label("lane_id"))
        .where(Lane.program_id.in_(program_ids))
        .group_by(Lane.program_id)
    )
    return {row.program_id: row.lane_id for row in rows}


class Queued(NamedTuple):
    """A queued text as a lane needs it. `gate` is JSON text; `last_at` when this phone got a text in the last moments.

    Columns in the order of `ready`'s statement.
    """

    id: int
    parent_id: int | None
    enrollment_id: int | None
    version_id: int | None
    step_id: str | None
    category: str
    to: str
    body: str
    segments: int
    gate: str
    expires_at: datetime
    last_at: datetime | None = None

    @property
    def has_gate(self) -> bool:
        return self.gate != "{}"


def ready(session: Session, lane_id: int, *, now: datetime, limit: int) -> list[Queued]:
    """Texts whose turn has come, most urgent first. On PostgreSQL rows that another sender looks at are skipped."""
    asked = {"lane": lane_id, "now": now, "since": now - LAST_MOMENTS, "most": limit}
    rows: list[Any] = list(session.connection().execute(_READY, asked).all())
    rows.sort(key=_turn)
    return [_queued(row) for row in rows]


def _turn(row: Any) -> tuple[Any, ...]:
    """The first of those that are as urgent, and have waited as long, is the one that was queued first."""
    priority, not_before = row[-2:]
    return priority, not_before, row[0]


def _queued(row: Any) -> Queued:
    *ids, category, to, body, parts, gate, expires_at, last_at, _, _ = row
    return Queued._make((*ids, category, unseal(to), unseal(body), parts, gate, expires_at, last_at))


def claim(session: Session, row: Outbox | Queued, *, claimed_by: str, now: datetime) -> str | None:
    """Take a queued text for one attempt. Returns the attempt's id, or none when somebody else was faster."""
    attempt_id = new_attempt()
    taken = move(
        session,
        row.id,
        from_status=QUEUED,
        to_status=SENDING,
        reason="handing over",
        now=now,
        attempt_id=attempt_id,
        attempts=Outbox.attempts + 1,
        attempted_at=now,
        claimed_by=claimed_by,
    )
    return attempt_id if taken else None


def new_attempt() -> str:
    """An id for one attempt, which the provider brings back with each callback."""
    return uuid.uuid4().hex


def claim_all(session: Session, ids: Sequence[int], *, batch: str, claimed_by: str, now: datetime) -> None:
    """Take queued texts for one attempt each, called `attempt_of(batch, id)`. They were locked by `ready`, so nobody
    can have been faster.

    Raises LostRace all the same if somebody was: nothing of this transaction may stay then.
    """
    if not ids:
        return
    which = {"texts": as_given(ids), "batch": batch, "by": claimed_by, "at": now}
    taken = session.connection().execute(_CLAIM, which)
    if taken.rowcount != len(ids):
        raise LostRace("a text of this batch was claimed by somebody else")
    note_moves(session, ids, from_status=QUEUED, to_status=SENDING, reason="handing over", now=now)


def attempt_of(batch: str, outbox_id: int) -> str:
    """The attempt of one text of a batch that `claim_all` takes."""
    return f"{batch}{outbox_id}"


def note_moves(
    session: Session, ids: Sequence[int], *, from_status: str, to_status: str, reason: str, now: datetime
) -> None:
    """One event for each text that was moved."""
    if not ids:
        return
    moves = {"texts": as_given(ids), "was": from_status, "is_now": to_status, "why": reason, "at": now}
    session.connection().execute(_NOTE_MOVES, moves)


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
    if to_status not in ALLOWED[from_status]:
        raise ValueError(f"a text may not go from {from_status} to {to_status}")
    if to_status in TERMINAL:
        values.setdefault("settled_at", now)
    changed = session.execute(
        update(Outbox)
        .where(Outbox.id == outbox_id, Outbox.status == from_status)
        .values(status=to_status, status_reason=reason[:200], **values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)
    if changed.rowcount != 1:
        return False
    session.add(OutboxEvent(outbox_id=outbox_id, from_status=from_status, to_status=to_status, reason=reason, at=now))
    return True


def postpone(session: Session, outbox_id: int, *, until: datetime) -> None:
    """Leave a queued text for later."""
    session.connection().execute(_POSTPONE, {"text": outbox_id, "until": until})


def unsettled(session: Session, status: str, *, before: datetime, limit: int = 100) -> Sequence[Outbox]:
    """Texts that stand in `status` since before an instant, oldest first."""
    return session.scalars(
        select(Outbox)
        .where(is_on_its_way(status), Outbox.attempted_at <= before)
        .order_by(Outbox.attempted_at)
        .limit(limit)
        .execution_options(populate_existing=True)
    ).all()
