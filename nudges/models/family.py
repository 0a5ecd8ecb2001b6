"""Families: parents and their profiles, who looks after them, consent, dates that may move."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from nudges.db import Base, Sealed


class Family(Base):
    """One child's household or households. `code` (such as F-1042) is what alerts and pages may show."""

    __tablename__ = "families"
    __table_args__ = (UniqueConstraint("program_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    code: Mapped[str]
    notes: Mapped[str | None] = mapped_column(Sealed())  # custody and safety: who may know what, who must not be called
    created_at: Mapped[datetime]


class FamilyStaff(Base):
    """Which counselors look after which families. No row, no access."""

    __tablename__ = "family_staff"

    family_id: Mapped[int] = mapped_column(ForeignKey("families.id"), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True, index=True)


class Parent(Base):
    """One caregiver with one phone: the unit of planning.

    `state` is schedules.values.Pace as JSON: the core writes it, nobody else reads inside. `next_at` caches
    plan.next_look and is recomputed before anything is done. Status: `invited` awaits the confirming digit,
    `active`, `paused` (until `paused_until`, or open-ended), `opted_out` (only START revives), `ended`.
    """

    __tablename__ = "parents"
    __table_args__ = (
        UniqueConstraint("program_id", "phone_index"),
        CheckConstraint("status IN ('invited', 'active', 'paused', 'opted_out', 'ended')", name="status"),
        Index(
            "ix_parents_due",
            "next_at",
            sqlite_where=text("status IN ('active', 'paused') AND next_at IS NOT NULL"),
            postgresql_where=text("status IN ('active', 'paused') AND next_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    family_id: Mapped[int] = mapped_column(ForeignKey("families.id"), index=True)
    name: Mapped[str] = mapped_column(Sealed())
    phone: Mapped[str] = mapped_column(Sealed())
    phone_index: Mapped[str]
    # Address and what was agreed for an emergency: for whoever answers an alert.
    emergency_plan: Mapped[str | None] = mapped_column(Sealed())
    phone_problem: Mapped[str | None]  # why nothing can be sent: invalid, landline, reassigned
    language: Mapped[str]  # a code of nudges.languages
    profile: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the keys of schedules.profile
    status: Mapped[str] = mapped_column(default="invited")
    paused_until: Mapped[datetime | None]
    state: Mapped[dict[str, Any]] = mapped_column(default=dict)
    next_at: Mapped[datetime | None]
    next_reason: Mapped[str | None] = mapped_column(default=None)
    # How the thread stands (schedules.standing), as the daily check found it: state, owner of what is awaited, by when.
    standing: Mapped[str | None] = mapped_column(default=None)
    standing_owner: Mapped[str | None] = mapped_column(default=None)
    standing_by: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=0)  # raised by every write: plans race, one wins
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]  # nothing personal is left but the number's fingerprint: it is never texted


class ImportedParent(Base):
    """Which record of another system a parent came from: a file that is imported again imports nobody twice.

    Only a keyed fingerprint of that record's number is kept.
    """

    __tablename__ = "imported_parents"

    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    external_index: Mapped[str] = mapped_column(primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("parents.id"), index=True)
    at: Mapped[datetime]


class Consent(Base):
    """Append-only: each time a parent agreed or withdrew, with the wording, the medium and who recorded it."""

    __tablename__ = "consents"
    __table_args__ = (
        CheckConstraint("event IN ('granted', 'confirmed', 'revoked')", name="event"),
        Index("ix_consents_parent", "parent_id", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("parents.id"))
    event: Mapped[str]
    medium: Mapped[str]  # paper, phone, in_person, web_form, text
    wording_version: Mapped[str]
    language: Mapped[str]
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    inbound_id: Mapped[int | None] = mapped_column(ForeignKey("inbound.id"))
    how_recognised: Mapped[str | None]
    at: Mapped[datetime]


class KeyDate(Base):
    """A date that steps hang on. A move writes `at` and keeps the first one in `first_at`."""

    __tablename__ = "key_dates"
    __table_args__ = (
        UniqueConstraint("parent_id", "kind", "nth"),
        CheckConstraint(
            "kind IN ('session', 'break_start', 'crisis_report', 'court', 'next_review', 'consult', 'visit')",
            name="kind",
        ),
        CheckConstraint("status IN ('set', 'done', 'missed', 'cancelled')", name="status"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("parents.id"))
    kind: Mapped[str]
    nth: Mapped[int] = mapped_column(default=1)
    at: Mapped[datetime]
    first_at: Mapped[datetime]
    on_date: Mapped[date | None] = mapped_column(Date())  # set when the date has no time of day
    status: Mapped[str] = mapped_column(default="set")
