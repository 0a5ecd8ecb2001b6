"""Who is on call and how they are reached; notices that go out beside texts; reviewed texts for the screen."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from nudges.db import Base, Sealed

ROLES = ("first", "backup", "supervisor", "safeguarding")
NOTICE_STATUSES = ("queued", "sending", "delivered", "failed", "unknown", "expired")
_ROLE_IS_KNOWN = f"role IN {ROLES}"


class RotaShift(Base):
    """One turn of the weekly pattern, on the program's wall clock.

    `weekday` 0 is Monday; minutes count from local midnight. A turn that ends at or before its start ends on the
    next day, so 17:00 to 08:00 is a night and 08:00 to 08:00 a whole day.
    """

    __tablename__ = "rota_shifts"
    __table_args__ = (
        CheckConstraint(_ROLE_IS_KNOWN, name="role"),
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        CheckConstraint("start_minute BETWEEN 0 AND 1439", name="start"),
        CheckConstraint("end_minute BETWEEN 0 AND 1439", name="end"),
        UniqueConstraint("program_id", "role", "weekday", "start_minute"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    role: Mapped[str]
    weekday: Mapped[int]
    start_minute: Mapped[int]
    end_minute: Mapped[int]
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))


class RotaOverride(Base):
    """A dated exception to the pattern; the newest one wins. Without `staff_id` nobody is on call then."""

    __tablename__ = "rota_overrides"
    __table_args__ = (
        CheckConstraint(_ROLE_IS_KNOWN, name="role"),
        CheckConstraint("ends_at > starts_at", name="order"),
        Index("ix_rota_overrides_when", "program_id", "ends_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    role: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    made_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    made_at: Mapped[datetime]
    cancelled_at: Mapped[datetime | None]


class RotaSwap(Base):
    """A turn that its owner would like to give away. They stay on call until a colleague has taken it."""

    __tablename__ = "rota_swaps"
    __table_args__ = (
        CheckConstraint(_ROLE_IS_KNOWN, name="role"),
        CheckConstraint("status IN ('offered', 'taken', 'withdrawn')", name="status"),
        CheckConstraint("(status = 'taken') = (taken_by IS NOT NULL)", name="taken_by_somebody"),
        Index(
            "uq_rota_swaps_offered",
            "program_id",
            "role",
            "starts_at",
            unique=True,
            sqlite_where=text("status = 'offered'"),
            postgresql_where=text("status = 'offered'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    role: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    offered_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    offered_at: Mapped[datetime]
    taken_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    answered_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(default="offered")


class StaffDuty(Base):
    """What a person may do in safety matters, and whether their on-call phone takes our texts.

    `phone_stopped_at`: that phone texted STOP, so pages to it would be refused until it texts START.
    """

    __tablename__ = "staff_duties"

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    is_safeguarding_lead: Mapped[bool] = mapped_column(default=False)
    is_trained_in_aftercare: Mapped[bool] = mapped_column(default=False)
    phone_stopped_at: Mapped[datetime | None]


class StaffAddress(Base):
    """Another way to reach staff: an Apprise URL, sealed because it holds passwords and addresses.

    Without `staff_id` it belongs to the program (a team's channel). `service` is what may be shown: "Slack",
    "E-mail". `fault` says why the last notice did not arrive, empty once one has.
    """

    __tablename__ = "staff_addresses"

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"), index=True)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), index=True)
    url: Mapped[str] = mapped_column(Sealed())
    service: Mapped[str]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
    tested_at: Mapped[datetime | None]
    fault: Mapped[str | None]


class StaffNotice(Base):
    """One notice to one address: the outbox of pages that are no texts, with the same rules."""

    __tablename__ = "staff_notices"
    __table_args__ = (
        CheckConstraint(f"status IN {NOTICE_STATUSES}", name="status"),
        CheckConstraint("kind IN ('page', 'test')", name="kind"),
        Index(
            "ix_staff_notices_open",
            "status",
            "not_before",
            sqlite_where=text("status IN ('queued', 'sending')"),
            postgresql_where=text("status IN ('queued', 'sending')"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("staff_addresses.id"), index=True)
    kind: Mapped[str]
    body: Mapped[str] = mapped_column(Sealed())
    status: Mapped[str] = mapped_column(default="queued")
    status_reason: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]
    attempted_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]


class AlertPage(Base):
    """That a text or a notice pages about an alert. One page may speak of several alerts."""

    __tablename__ = "alert_pages"
    __table_args__ = (
        CheckConstraint("(outbox_id IS NULL) <> (notice_id IS NULL)", name="one_way"),
        UniqueConstraint("alert_id", "outbox_id"),
        UniqueConstraint("alert_id", "notice_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id"), index=True)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), index=True)
    outbox_id: Mapped[int | None] = mapped_column(ForeignKey("outbox.id"), index=True)
    notice_id: Mapped[int | None] = mapped_column(ForeignKey("staff_notices.id"), index=True)
    at: Mapped[datetime]


class StoppedNumber(Base):
    """A number that nobody is enrolled with and that texted STOP. Only its fingerprint is kept."""

    __tablename__ = "stopped_numbers"

    number_index: Mapped[str] = mapped_column(primary_key=True)
    inbound_id: Mapped[int | None] = mapped_column(ForeignKey("inbound.id"))
    at: Mapped[datetime]


class CorpusText(Base):
    """A text that a person has judged, to train and to check the crisis screen with. Append-only."""

    __tablename__ = "crisis_corpus"
    __table_args__ = (
        CheckConstraint("label IN ('crisis', 'check', 'ordinary')", name="label"),
        CheckConstraint("origin IN ('incident', 'phrase', 'drill', 'import')", name="origin"),
        UniqueConstraint("inbound_id", "origin"),
        Index("ix_crisis_corpus_program", "program_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    inbound_id: Mapped[int | None] = mapped_column(ForeignKey("inbound.id"))
    text: Mapped[str] = mapped_column(Sealed())
    label: Mapped[str]
    tier: Mapped[str | None]
    language: Mapped[str | None]
    origin: Mapped[str]
    reason: Mapped[str] = mapped_column(Sealed())
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime]
