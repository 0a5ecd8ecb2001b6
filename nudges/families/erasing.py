"""Everything that is stored about a parent, handed over; and removed when they, or the law, ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, delete, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.db import Base
from nudges.families import snapshots
from nudges.ledger import record
from nudges.models.family import Family, ImportedParent, KeyDate, Parent
from nudges.models.messages import Inbound, Outbox, ProviderEvent, SimulatedText
from nudges.models.on_call import CorpusText
from nudges.models.program import Program
from nudges.models.safety import Alert, AlertEvent, Hold, Task
from nudges.models.sequences import Enrollment, StepOutcome
from nudges.outbox.withdraw import withdraw_queued

WHY: Final = "the parent's data was erased"
# Tables whose rows hang on a parent's row of another table: child, its column, the table that names the parent.
_THROUGH: Final = (
    ("outbox_events", "outbox_id", "outbox"),
    ("provider_events", "outbox_id", "outbox"),
    ("step_outcomes", "enrollment_id", "enrollments"),
    ("alert_events", "alert_id", "alerts"),
    ("alert_pages", "alert_id", "alerts"),
    ("crisis_corpus", "inbound_id", "inbound"),
)


class CannotErase(Exception):
    """Not now, or not without a reason; the message says which."""


# ---------------------------------------------------------------- finding


def parents_of(session: Session, code: str) -> Sequence[Parent]:
    """The parents of a family by its code, or the one that `F-1042.2` names: the second by enrollment."""
    family_code, _, nth = code.strip().upper().partition(".")
    found = session.scalars(
        select(Parent).join(Family, Family.id == Parent.family_id).where(Family.code == family_code).order_by(Parent.id)
    ).all()
    if not nth:
        return found
    return found[int(nth) - 1 : int(nth)] if nth.isascii() and nth.isdigit() and int(nth) > 0 else ()


# ---------------------------------------------------------------- handing over


def everything_about(session: Session, parent: Parent) -> dict[str, Any]:
    """All rows about one parent, by table, opened and in plain JSON.

    Tables are found by their columns, so a table that a later release adds is in it too. The family's notes are not:
    they speak about more than one person. Nothing of another parent is in it.
    """
    family = session.get_one(Family, parent.family_id)
    found: dict[str, Any] = {"family": {"code": family.code, "since": family.created_at.isoformat()}}
    for table, condition in _tables_about(session, parent):
        rows = session.execute(select(table).where(condition).order_by(*table.primary_key.columns)).mappings()
        plain = [{key: _plain(value) for key, value in row.items()} for row in rows]
        if plain:
            found[table.name] = plain
    return found


def note_export(session: Session, parent: Parent, *, actor: str, now: datetime) -> None:
    """Handing data over is an act that the ledger keeps."""
    record.append(
        session, at=now, actor=actor, action="parent.exported", family_id=parent.family_id, parent_id=parent.id
    )


def _tables_about(session: Session, parent: Parent) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    for table in Base.metadata.sorted_tables:
        condition = _about(table, parent)
        if condition is not None:
            yield table, condition


def _about(table: Table, parent: Parent) -> ColumnElement[bool] | None:
    if table.name == Parent.__tablename__:
        return table.c.id == parent.id
    conditions: list[ColumnElement[bool]] = []
    if "parent_id" in table.columns:
        conditions.append(table.c.parent_id == parent.id)
    if table.name == Inbound.__tablename__:
        # What they wrote before they were enrolled came from the same number.
        conditions.append(and_(table.c.parent_id.is_(None), table.c.from_index == parent.phone_index))
    if table.name == SimulatedText.__tablename__:
        conditions.append(table.c.phone_index == parent.phone_index)
    for child, column, owner in _THROUGH:
        if child == table.name:
            rows = Base.metadata.tables[owner]
            conditions.append(table.c[column].in_(select(rows.c.id).where(rows.c.parent_id == parent.id)))
    return or_(*conditions) if conditions else None


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime | date) else value


# ---------------------------------------------------------------- erasing


def erase(session: Session, parent: Parent, *, actor: str, now: datetime, reason: str | None = None) -> dict[str, int]:
    """Remove what is personal about one parent, for good. Counts by kind.

    1. an open alert of danger stops it, unless `reason` says why it must be now
    2. nothing more goes out: what is queued is taken back, sequences end
    3. the name, the number, the profile and every word of theirs, to them and about them go
    4. times, statuses and the ledger stay, so the chain holds and figures stay true; so do the records of consent
    5. the number's fingerprint stays, so that it is never texted or enrolled again
    """
    parent = snapshots.locked(session, parent.id)
    if parent.erased_at is not None:
        raise CannotErase("This parent's data is erased already.")
    _refuse_in_danger(session, parent, reason)
    _refuse_on_its_way(session, parent)
    withdrawn = withdraw_queued(session, parent.id, reason=WHY, now=now)
    counts = {"withdrawn": withdrawn, **_erase_texts(session, parent)}
    _erase_safety(session, parent)
    _erase_plans(session, parent, now)
    _erase_person(session, parent, now)
    session.flush()
    details = {**counts, "despite_alert": reason is not None}
    record.append(
        session,
        at=now,
        actor=actor,
        action="parent.erased",
        family_id=parent.family_id,
        parent_id=parent.id,
        details=details,
    )
    return counts


def _refuse_in_danger(session: Session, parent: Parent, reason: str | None) -> None:
    is_open = and_(Alert.parent_id == parent.id, Alert.status != "resolved", Alert.level != "system")
    if session.scalar(select(Alert.id).where(is_open).limit(1)) is not None and not (reason or "").strip():
        raise CannotErase(
            "An alert about this parent is open: whoever answers it needs what is stored here. Resolve it first, or "
            "give a reason why it must be now."
        )


def _refuse_on_its_way(session: Session, parent: Parent) -> None:
    under_way = and_(Outbox.parent_id == parent.id, Outbox.status.in_(("sending", "unknown")))
    if session.scalar(select(Outbox.id).where(under_way).limit(1)) is not None:
        raise CannotErase(
            "A text to this parent is being handed over, and its end must be looked up by its number. Try again in a "
            "few minutes."
        )


def _erase_texts(session: Session, parent: Parent) -> dict[str, int]:
    theirs = or_(
        Inbound.parent_id == parent.id,
        and_(Inbound.parent_id.is_(None), Inbound.from_index == parent.phone_index),
    )
    texts = select(Outbox.id).where(Outbox.parent_id == parent.id)
    inbound = select(Inbound.id).where(theirs)
    _set(session, CorpusText, CorpusText.inbound_id.in_(inbound), text="", reason="")
    _set(session, ProviderEvent, ProviderEvent.outbox_id.in_(texts), raw="")
    session.execute(delete(SimulatedText).where(SimulatedText.phone_index == parent.phone_index))
    out = _set(session, Outbox, Outbox.parent_id == parent.id, to="", body="", gate={}, basis=None)
    for row in session.scalars(select(Inbound).where(theirs)):
        row.screening = {key: row.screening[key] for key in ("level", "tier", "version") if key in row.screening}
    session.flush()
    into = _set(session, Inbound, theirs, from_number="", body="", reply=None, from_index="erased")
    return {"texts_out": out, "texts_in": into}


def _erase_safety(session: Session, parent: Parent) -> None:
    alerts = select(Alert.id).where(Alert.parent_id == parent.id)
    _set(session, AlertEvent, AlertEvent.alert_id.in_(alerts), note=None)
    _set(session, Alert, Alert.parent_id == parent.id, why="")
    released = and_(Hold.parent_id == parent.id, Hold.released_at.is_not(None))
    _set(session, Hold, released, release_reason="")
    _set(session, Task, Task.parent_id == parent.id, words="", outcome=None)


def _erase_plans(session: Session, parent: Parent, now: datetime) -> None:
    enrollments = select(Enrollment.id).where(Enrollment.parent_id == parent.id)
    _set(session, StepOutcome, StepOutcome.enrollment_id.in_(enrollments), inputs={}, reason="")
    running = and_(Enrollment.parent_id == parent.id, Enrollment.status == "active")
    _set(session, Enrollment, running, status="stopped", ended_at=now, end_reason=WHY)
    _set(session, Enrollment, Enrollment.parent_id == parent.id, state={})
    _set(session, Task, and_(Task.parent_id == parent.id, Task.done_at.is_(None)), done_at=now)
    session.execute(delete(KeyDate).where(KeyDate.parent_id == parent.id))
    session.execute(delete(ImportedParent).where(ImportedParent.parent_id == parent.id))


def _erase_person(session: Session, parent: Parent, now: datetime) -> None:
    program = session.get_one(Program, parent.program_id)
    parent.name = parent.phone = ""
    parent.emergency_plan = None
    parent.profile, parent.state = {"timezone": program.timezone}, {}
    parent.status, parent.paused_until = "ended", None
    parent.next_at, parent.next_reason = None, WHY
    parent.erased_at = now
    parent.revision += 1
    others = select(Parent.id).where(Parent.family_id == parent.family_id, Parent.erased_at.is_(None))
    session.flush()
    if session.scalar(others.limit(1)) is None:
        session.get_one(Family, parent.family_id).notes = None


def _set(session: Session, model: type[Base], condition: ColumnElement[bool], **values: Any) -> int:
    changed = session.execute(
        update(model).where(condition).values(**_known(model, values)).execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)
    return int(changed.rowcount)


def _known(model: type[Base], values: Mapping[str, Any]) -> dict[str, Any]:
    """Only values of columns that the table has: a slip in a name would otherwise leave a word standing."""
    unknown = set(values) - set(model.__table__.columns.keys())
    if unknown:
        raise KeyError(f"{model.__tablename__} has no {', '.join(sorted(unknown))}")
    return dict(values)
