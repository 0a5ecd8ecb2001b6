"""What staff are asked to do. The only writer of tasks: everybody who needs a person opens one here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from nudges.models.family import Parent
from nudges.models.safety import Task

NOW: Final = 1  # within the hour
NEXT_DAY: Final = 2
THIS_WEEK: Final = 3
DUE_IN: Final = {NOW: timedelta(hours=1), NEXT_DAY: timedelta(days=1), THIS_WEEK: timedelta(days=7)}


def row(
    *,
    program_id: int,
    kind: str,
    words: str,
    now: datetime,
    priority: int = NEXT_DAY,
    family_id: int | None = None,
    parent_id: int | None = None,
    inbound_id: int | None = None,
) -> dict[str, Any]:
    """The columns of a new task. `priority` says when it is due (DUE_IN); `words` are sealed in the database."""
    return {
        "program_id": program_id,
        "family_id": family_id,
        "parent_id": parent_id,
        "inbound_id": inbound_id,
        "priority": priority,
        "kind": kind,
        "words": words,
        "due_at": now + DUE_IN[priority],
        "created_at": now,
    }


def open_task(session: Session, **columns: Any) -> Task:
    """Open one task; takes what `row` takes."""
    task = Task(**row(**columns))
    session.add(task)
    session.flush()
    return task


def open_tasks(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Open many at once, each as `row` makes it."""
    if rows:
        session.execute(insert(Task), rows)


def ask_about(
    session: Session, parent: Parent, *, kind: str, words: str, now: datetime, priority: int = NEXT_DAY
) -> Task:
    """Open a task about this parent."""
    return open_task(
        session,
        program_id=parent.program_id,
        family_id=parent.family_id,
        parent_id=parent.id,
        kind=kind,
        words=words,
        now=now,
        priority=priority,
    )


def waiting(session: Session, kind: str, *, program_id: int, parent_id: int | None = None) -> Task | None:
    """The open task of a kind about this parent or, without one, anywhere in the program: one at a time is enough."""
    chosen = select(Task).where(Task.program_id == program_id, Task.kind == kind, Task.done_at.is_(None))
    if parent_id is not None:
        chosen = chosen.where(Task.parent_id == parent_id)
    return session.scalars(chosen.order_by(Task.id).limit(1)).one_or_none()


def close(task: Task, *, now: datetime, by: int | None = None, outcome: str | None = None) -> bool:
    """Settle a task; `by` is a member of staff, none when the service saw to it. False when it was closed before."""
    if task.done_at is not None:
        return False
    task.done_at, task.done_by, task.outcome = now, by, outcome
    return True
