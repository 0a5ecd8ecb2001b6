"""The inbox: what parents wrote that only a person can answer, and what sequences ask staff to do."""

from __future__ import annotations

from typing import TypeVar

from flask import flash, request, url_for
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from nudges import tasks
from nudges.families import standings
from nudges.ledger import record
from nudges.models.family import Family, Parent
from nudges.models.messages import Inbound
from nudges.models.safety import Task
from nudges.web.context import now, program_of_staff, staff, transaction
from nudges.web.forms import Form
from nudges.web.guards import counselor_area, is_fragment, local_path, visible_families
from nudges.web.pages import back_to, page

area = counselor_area("inbox", __name__)
SHOWN = 200
Row = TypeVar("Row", Family, Parent, Inbound)


def _mine() -> ColumnElement[bool]:
    """Tasks of families that I see; those of nobody (unknown numbers) are for everyone in the program."""
    own = select(Family.id).where(*visible_families(staff()))
    return (Task.program_id == staff().program_id) & or_(Task.family_id.is_(None), Task.family_id.in_(own))


@area.get("/inbox")
def index() -> Response:
    with transaction() as db:
        shown = db.scalars(
            select(Task).where(_mine(), Task.done_at.is_(None)).order_by(Task.priority, Task.due_at).limit(SHOWN)
        ).all()
        return page(
            "inbox/index.html",
            fragment="inbox/_tasks.html",
            tasks=shown,
            families=_by_id(db, Family, [task.family_id for task in shown]),
            parents=_by_id(db, Parent, [task.parent_id for task in shown]),
            texts=_by_id(db, Inbound, [task.inbound_id for task in shown]),
            zone=program_of_staff(db).timezone,
        )


def _by_id(db: Session, table: type[Row], ids: list[int | None]) -> dict[int, Row]:
    wanted = {row_id for row_id in ids if row_id is not None}
    return {row.id: row for row in db.scalars(select(table).where(table.id.in_(wanted)))}


@area.post("/inbox/<int:task_id>/done")
def done(task_id: int) -> Response:
    form = Form(values=request.form)
    at = now()
    with transaction() as db:
        task = db.scalars(select(Task).where(Task.id == task_id, _mine())).one_or_none()
        if task is None:
            raise NotFound
        if tasks.close(task, now=at, by=staff().id, outcome=form.get("outcome") or None):
            record.append(
                db,
                at=at,
                actor=f"staff:{staff().id}",
                action="task.done",
                family_id=task.family_id,
                parent_id=task.parent_id,
                subject=f"task:{task.id}",
            )
            if task.parent_id is not None:
                standings.staff_done(db, task.parent_id, now=at)
    if is_fragment():
        return index()
    flash("Done.", "good")
    return back_to(local_path(form.get("back")) or url_for("inbox.index"))
