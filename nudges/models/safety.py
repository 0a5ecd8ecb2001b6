"""Alerts, holds and tasks for people; and the ledger that nothing is removed from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from nudges.db import Base, Sealed


class Alert(Base):
    """Something that a person must look at now. One alert per family and open episode; texts are appended.

    `inbound_id` is the first text; unknown senders have no family.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint("level IN ('crisis', 'check', 'system')", name="level"),
        CheckConstraint("status IN ('open', 'acknowledged', 'resolved')", name="status"),
        CheckConstraint("severity BETWEEN 0 AND 4", name="severity"),
        CheckConstraint("status <> 'resolved' OR resolution IS NOT NULL", name="resolved_says_how"),
        Index(
            "ix_alerts_open",
            "status",
            "escalate_at",
            sqlite_where=text("status <> 'resolved'"),
            postgresql_where=text("status <> 'resolved'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    family_id: Mapped[int | None] = mapped_column(ForeignKey("families.id"), index=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("parents.id"))
    inbound_id: Mapped[int | None] = mapped_column(ForeignKey("inbound.id"), unique=True)
    level: Mapped[str]
    tier: Mapped[str | None]
    severity: Mapped[int]
    why: Mapped[str] = mapped_column(Sealed())  # quotes the words that were matched
    title: Mapped[str]  # no personal data: fit for a pager
    status: Mapped[str] = mapped_column(default="open")
    rung: Mapped[int] = mapped_column(default=0)  # how far the escalation ladder has gone
    escalate_at: Mapped[datetime | None]
    raised_at: Mapped[datetime]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    resolution: Mapped[str | None]  # safe, emergency_services, in_care, false_alarm, …


class AlertEvent(Base):
    """What happened to an alert: raised, text appended, paged, acknowledged, note, escalated, resolved."""

    __tablename__ = "alert_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id"), index=True)
    event: Mapped[str]
    inbound_id: Mapped[int | None] = mapped_column(ForeignKey("inbound.id"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    note: Mapped[str | None] = mapped_column(Sealed())
    at: Mapped[datetime]


class Hold(Base):
    """Nothing proactive while one is open. `scope` family: every parent of it; parent: this one only."""

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint("kind IN ('crisis', 'check', 'safety', 'safeguarding', 'conversation')", name="kind"),
        CheckConstraint("scope IN ('family', 'parent')", name="scope"),
        CheckConstraint("released_at IS NULL OR release_reason IS NOT NULL", name="release_says_why"),
        Index(
            "ix_holds_open",
            "family_id",
            sqlite_where=text("released_at IS NULL"),
            postgresql_where=text("released_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    family_id: Mapped[int] = mapped_column(ForeignKey("families.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("parents.id"))
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alerts.id"))
    kind: Mapped[str]
    scope: Mapped[str]
    placed_at: Mapped[datetime]
    until: Mapped[datetime | None]  # only a conversation ends by itself
    released_at: Mapped[datetime | None]
    released_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    release_reason: Mapped[str | None] = mapped_column(Sealed())


class Task(Base):
    """Something for a counselor to do: p1 this hour, p2 next working day, p3 weekly list."""

    __tablename__ = "tasks"
    __table_args__ = (
        CheckConstraint("priority IN (1, 2, 3)", name="priority"),
        Index("ix_tasks_open", "family_id", "done_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    family_id: Mapped[int | None] = mapped_column(ForeignKey("families.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("parents.id"))
    inbound_id: Mapped[int | None] = mapped_column(ForeignKey("inbound.id"))
    priority: Mapped[int]
    kind: Mapped[str]  # reply, step, phone_problem, …
    words: Mapped[str] = mapped_column(Sealed())
    due_at: Mapped[datetime]
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    done_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    outcome: Mapped[str | None] = mapped_column(Sealed())


class LedgerEntry(Base):
    """Append-only: who did what to whom and why, chained by hashes so that a change shows.

    `details` never holds a name, number or message body.
    """

    __tablename__ = "ledger"
    __table_args__ = (Index("ix_ledger_family", "family_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]  # staff:7, parent:12, system:planner
    action: Mapped[str]
    family_id: Mapped[int | None] = mapped_column(ForeignKey("families.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("parents.id"))
    subject: Mapped[str] = mapped_column(default="")  # such as sequence:TALK or outbox:91
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    previous_hash: Mapped[str] = mapped_column(Text(), unique=True)
    hash: Mapped[str] = mapped_column(Text(), unique=True)
