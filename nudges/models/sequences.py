"""Sequences as data: drafts, immutable versions, enrollments that pin a version, outcomes of steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from nudges.db import Base


class SequenceRow(Base):
    """A sequence of a program, such as TALK; version `live_number` is what new enrollments get."""

    __tablename__ = "sequences"
    __table_args__ = (UniqueConstraint("program_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    key: Mapped[str]
    live_number: Mapped[int | None]
    draft_yaml: Mapped[str | None] = mapped_column(Text())
    draft_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    draft_at: Mapped[datetime | None]
    draft_revision: Mapped[int] = mapped_column(default=0)  # two editors: the second is told, nothing is lost


class SequenceVersion(Base):
    """One published text of a sequence. Never changed, never deleted."""

    __tablename__ = "sequence_versions"
    __table_args__ = (UniqueConstraint("sequence_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    sequence_id: Mapped[int] = mapped_column(ForeignKey("sequences.id"))
    number: Mapped[int]
    yaml: Mapped[str] = mapped_column(Text())
    sha256: Mapped[str]
    note: Mapped[str] = mapped_column(Text(), default="")
    published_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    published_at: Mapped[datetime]


class Enrollment(Base):
    """A parent in a sequence, on a pinned version.

    `state` is schedules.values.Enrollment's moving part as JSON (agenda, counters): the core writes it.
    """

    __tablename__ = "enrollments"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'done', 'stopped')", name="status"),
        Index(
            "uq_enrollments_live",
            "parent_id",
            "sequence_key",
            unique=True,
            sqlite_where=text("status = 'active'"),
            postgresql_where=text("status = 'active'"),
        ),
        Index("ix_enrollments_version", "version_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("parents.id"), index=True)
    sequence_key: Mapped[str]
    version_id: Mapped[int] = mapped_column(ForeignKey("sequence_versions.id"))
    status: Mapped[str] = mapped_column(default="active")
    state: Mapped[dict[str, Any]] = mapped_column(default=dict)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]


class StepOutcome(Base):
    """How a due step ended: exactly one row, with the rule and its inputs in words."""

    __tablename__ = "step_outcomes"
    __table_args__ = (
        UniqueConstraint("enrollment_id", "step_id", "cycle"),
        CheckConstraint("outcome IN ('sent', 'held', 'dropped', 'expired', 'failed', 'staff')", name="outcome"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    enrollment_id: Mapped[int] = mapped_column(ForeignKey("enrollments.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("sequence_versions.id"))
    step_id: Mapped[str]
    cycle: Mapped[int]
    outcome: Mapped[str]
    code: Mapped[str]
    reason: Mapped[str] = mapped_column(Text())
    inputs: Mapped[dict[str, Any]] = mapped_column(default=dict)
    at: Mapped[datetime]
