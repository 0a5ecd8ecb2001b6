"""The organisation: programs, staff, lanes, process heartbeats."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nudges.db import Base, Sealed


class Program(Base):
    """A clinic, district or court service that runs Nudges. `policy` overrides defaults of schedules.policy."""

    __tablename__ = "programs"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    country: Mapped[str] = mapped_column(default="US")
    timezone: Mapped[str] = mapped_column(default="America/Chicago")
    policy: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # Days on which nobody gets a text that we start: {"2025-12-24..2026-01-02": "Winter break"}.
    holidays: Mapped[dict[str, str]] = mapped_column(JSON(), default=dict, server_default="{}")
    is_demo: Mapped[bool] = mapped_column(default=False)
    clock_offset_seconds: Mapped[float] = mapped_column(default=0.0)  # the demo's movable clock
    created_at: Mapped[datetime]


class Staff(Base):
    """A counselor or an admin. `on_call_rank` 1 is paged first; none is never paged."""

    __tablename__ = "staff"
    __table_args__ = (
        CheckConstraint("role IN ('counselor', 'admin')", name="role"),
        CheckConstraint("on_call_rank IS NULL OR on_call_phone IS NOT NULL", name="on_call_needs_phone"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    email: Mapped[str] = mapped_column(unique=True)  # lower case; how staff sign in
    name: Mapped[str] = mapped_column(Sealed())
    role: Mapped[str]
    password_hash: Mapped[str]
    on_call_phone: Mapped[str | None] = mapped_column(Sealed())
    on_call_phone_index: Mapped[str | None] = mapped_column(index=True)
    on_call_rank: Mapped[int | None]
    is_active: Mapped[bool] = mapped_column(default=True)
    session_epoch: Mapped[int] = mapped_column(default=0)  # raised to end every session of this person
    created_at: Mapped[datetime]


class Lane(Base):
    """One sender (a number or Messaging Service) with its pace and the lease of whoever drains it."""

    __tablename__ = "lanes"
    __table_args__ = (
        UniqueConstraint("program_id", "sender"),
        CheckConstraint("segments_per_second > 0 AND segments_per_second <= 225", name="pace"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    sender: Mapped[str]  # our own number or service id: not a personal datum
    segments_per_second: Mapped[float] = mapped_column(default=1.0)
    tokens: Mapped[float] = mapped_column(default=1.0)  # the bucket, in segments
    tokens_at: Mapped[datetime | None]
    owner: Mapped[str | None]
    token: Mapped[int] = mapped_column(default=0)  # fencing: raised at each take-over
    lease_until: Mapped[datetime | None]
    paused_until: Mapped[datetime | None]
    paused_reason: Mapped[str | None]


class Heartbeat(Base):
    """When a periodic duty last ran to its end. Readiness looks here."""

    __tablename__ = "heartbeats"
    __table_args__ = (Index("ix_heartbeats_at", "at"),)

    duty: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
