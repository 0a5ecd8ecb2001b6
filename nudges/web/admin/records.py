"""What happened: the ledger with its proof, and every text on its way out."""

from __future__ import annotations

from collections.abc import Sequence

from flask import request
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges.ledger import record
from nudges.models.family import Family, Parent
from nudges.models.messages import STATUSES, Outbox
from nudges.models.program import Heartbeat, Lane, Staff
from nudges.models.safety import LedgerEntry
from nudges.web.context import program_of_staff, staff, transaction
from nudges.web.guards import admin_area
from nudges.web.pages import page

area = admin_area("records", __name__)
SHOWN = 100
LOOKED = 10_000  # of the newest texts: the page asks again every few seconds


@area.get("/ledger")
def ledger() -> Response:
    before = request.args.get("before", type=int)
    with transaction() as db:
        rows = select(LedgerEntry).order_by(LedgerEntry.id.desc()).limit(SHOWN)
        if before is not None:
            rows = rows.where(LedgerEntry.id < before)
        entries = db.scalars(rows).all()
        return page(
            "admin/ledger.html",
            entries=entries,
            codes=_codes(db, entries),
            names={f"staff:{row.id}": row.name for row in db.scalars(select(Staff))},
            zone=program_of_staff(db).timezone,
            more=entries[-1].id if len(entries) == SHOWN else None,
        )


def _codes(db: Session, entries: Sequence[LedgerEntry]) -> dict[int, str]:
    ids = {entry.family_id for entry in entries if entry.family_id is not None}
    return {row.id: row.code for row in db.execute(select(Family.id, Family.code).where(Family.id.in_(ids)))}


@area.get("/ledger/proof")
def proof() -> Response:
    """Walk the hash chain from its beginning."""
    with transaction() as db:
        return page("admin/_proof.html", faults=record.verify(db), head=record.head(db))


@area.get("/outbox")
def outbox() -> Response:
    """Texts by status, newest first. No words, no numbers: those are on the family's page."""
    status = request.args.get("status", "")
    with transaction() as db:
        lanes = select(Lane.id).where(Lane.program_id == staff().program_id)
        recent = Outbox.id > (db.scalar(select(func.max(Outbox.id))) or 0) - LOOKED
        rows = (
            select(Outbox, Family.code, Family.id)
            .outerjoin(Parent, Parent.id == Outbox.parent_id)
            .outerjoin(Family, Family.id == Parent.family_id)
            .where(Outbox.lane_id.in_(lanes), recent)
            .order_by(Outbox.id.desc())
            .limit(SHOWN)
        )
        if status in STATUSES:
            rows = rows.where(Outbox.status == status)
        counts = db.execute(
            select(Outbox.status, func.count().label("texts"))
            .where(Outbox.lane_id.in_(lanes), recent)
            .group_by(Outbox.status)
        )
        return page(
            "admin/outbox.html",
            fragment="admin/_outbox.html",
            rows=db.execute(rows).all(),
            counts={row.status: row.texts for row in counts},
            statuses=STATUSES,
            chosen=status,
            looked=LOOKED,
            beats=db.scalars(select(Heartbeat).order_by(Heartbeat.duty)).all(),
            zone=program_of_staff(db).timezone,
        )
