"""Texts out and in: the outbox, its events, raw provider callbacks, inbound texts, the simulated phone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from nudges.db import Base, Sealed

STATUSES = (
    "queued",
    "sending",
    "accepted",
    "sent",
    "delivered",
    "undelivered",
    "unconfirmed",
    "failed",
    "unknown",
    "expired",
    "cancelled",
)


class Outbox(Base):
    """One text to one phone. One row per step and cycle: the database refuses a second.

    `priority`: 0 crisis reply, 1 staff page, 2 reply to a parent, 5 nudge. `gate` is what the gate needs to be
    asked again (schedules.values.Proposal as JSON); empty for texts that no gate may stop. A nudge waits without `body`
    and `segments`, which are made when it is handed over; `basis` is what it was planned on (schedules.state.basis).
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("enrollment_id", "step_id", "cycle"),
        CheckConstraint(f"status IN {STATUSES}", name="status"),
        CheckConstraint("segments BETWEEN 1 AND 10", name="segments"),
        CheckConstraint(
            "category IN ('nudge', 'reply', 'crisis_reply', 'staff_page', 'person', 'system')", name="category"
        ),
        CheckConstraint("parent_id IS NOT NULL OR staff_id IS NOT NULL OR category <> 'nudge'", name="recipient"),
        Index(
            "ix_outbox_ready",
            "lane_id",
            "priority",
            "not_before",
            sqlite_where=text("status = 'queued'"),
            postgresql_where=text("status = 'queued'"),
        ),
        Index(
            "ix_outbox_due",
            "lane_id",
            "not_before",
            sqlite_where=text("status = 'queued'"),
            postgresql_where=text("status = 'queued'"),
        ),
        Index(
            "ix_outbox_unsettled",
            "status",
            "attempted_at",
            sqlite_where=text("status IN ('accepted', 'sending', 'sent', 'unknown')"),
            postgresql_where=text("status IN ('accepted', 'sending', 'sent', 'unknown')"),
        ),
        Index("ix_outbox_parent", "parent_id", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    lane_id: Mapped[int] = mapped_column(ForeignKey("lanes.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("parents.id"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    enrollment_id: Mapped[int | None] = mapped_column(ForeignKey("enrollments.id"))
    step_id: Mapped[str | None]
    cycle: Mapped[int | None]
    version_id: Mapped[int | None] = mapped_column(ForeignKey("sequence_versions.id"))
    reply_to_id: Mapped[int | None] = mapped_column(ForeignKey("inbound.id"), index=True)
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alerts.id"), index=True)
    category: Mapped[str]
    priority: Mapped[int] = mapped_column(default=5)
    to: Mapped[str] = mapped_column(Sealed())
    body: Mapped[str | None] = mapped_column(Sealed())
    language: Mapped[str] = mapped_column(default="en")
    segments: Mapped[int | None]
    gate: Mapped[dict[str, Any]] = mapped_column(default=dict)
    basis: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="queued")
    status_reason: Mapped[str | None]
    attempt_id: Mapped[str | None] = mapped_column(unique=True)
    attempts: Mapped[int] = mapped_column(default=0)
    looks: Mapped[int] = mapped_column(default=0)  # how often an unknown outcome was looked up
    claimed_by: Mapped[str | None]  # owner:token of the lane lease that claimed it
    provider_id: Mapped[str | None] = mapped_column(unique=True)
    error_code: Mapped[str | None]
    not_before: Mapped[datetime]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]
    attempted_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]


class OutboxEvent(Base):
    """One row per move along the status table: from, to, why."""

    __tablename__ = "outbox_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    outbox_id: Mapped[int] = mapped_column(ForeignKey("outbox.id"), index=True)
    from_status: Mapped[str]
    to_status: Mapped[str]
    reason: Mapped[str] = mapped_column(Text(), default="")
    at: Mapped[datetime]


class ProviderEvent(Base):
    """A raw status callback, kept whether or not it was understood. Repeats are harmless."""

    __tablename__ = "provider_events"
    __table_args__ = (
        UniqueConstraint("provider_id", "status", "error_code"),
        Index("ix_provider_events_at", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    provider_id: Mapped[str]
    status: Mapped[str]
    error_code: Mapped[str] = mapped_column(default="")
    action: Mapped[str | None]  # channels.base.Action, for a failure that came before we knew the text
    attempt_id: Mapped[str | None]
    outbox_id: Mapped[int | None] = mapped_column(ForeignKey("outbox.id"))
    raw: Mapped[str] = mapped_column(Sealed())
    at: Mapped[datetime]


class Inbound(Base):
    """A text that came in, as it came. `provider_id` is unique: a provider's retry is not a second text.

    `handled_as` names what was done (crisis, check, opt_out, help, join, start, answer, word, person, …);
    `reply` is what was answered in the same response. `screening` holds level, tier, why and version.
    """

    __tablename__ = "inbound"
    __table_args__ = (
        Index("ix_inbound_sender", "from_index", "at"),
        Index("ix_inbound_parent", "parent_id", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    provider_id: Mapped[str] = mapped_column(unique=True)
    from_number: Mapped[str] = mapped_column(Sealed())
    from_index: Mapped[str]
    to_number: Mapped[str]  # ours
    body: Mapped[str] = mapped_column(Sealed())
    media_count: Mapped[int] = mapped_column(default=0)
    opt_out_type: Mapped[str | None]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("parents.id"))
    screening: Mapped[dict[str, Any]] = mapped_column(default=dict)
    handled_as: Mapped[str] = mapped_column(default="received")
    reply: Mapped[str | None] = mapped_column(Sealed())
    at: Mapped[datetime]


class SimulatedText(Base):
    """What the simulated phones show. Exists in every database; written only by the phone channel."""

    __tablename__ = "simulated_texts"

    id: Mapped[int] = mapped_column(primary_key=True)
    provider_id: Mapped[str] = mapped_column(unique=True)
    phone_index: Mapped[str] = mapped_column(index=True)
    attempt_id: Mapped[str | None]
    body: Mapped[str] = mapped_column(Sealed())
    is_from_phone: Mapped[bool]
    status: Mapped[str] = mapped_column(default="accepted")
    at: Mapped[datetime]
