"""What a program vouches for itself: sign-offs of texts, who may give them, and the places near its families."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nudges.db import Base, Sealed


class SignOff(Base):
    """One professional's yes to one text in its four forms.

    `place` is such as AFTERCRISIS/AC-1[age=13-17] or faq/FAQ-01; `text_hash` is of the four forms, so a changed text
    has none. A sign-off that is taken back is deleted; the ledger keeps both acts.
    """

    __tablename__ = "sign_offs"
    __table_args__ = (
        UniqueConstraint("program_id", "place", "text_hash", "role"),
        CheckConstraint("role IN ('clinician', 'native_reader', 'legal')", name="role"),
        CheckConstraint("is_demo OR staff_id IS NOT NULL", name="somebody_signed"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    place: Mapped[str]
    text_hash: Mapped[str]
    role: Mapped[str]
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    is_demo: Mapped[bool] = mapped_column(default=False)  # given in a demo program: approves nothing for real families
    note: Mapped[str] = mapped_column(Sealed(), default="")
    at: Mapped[datetime]


class ReviewerRole(Base):
    """As what a member of staff may sign texts off. An admin says so; being an admin is not enough."""

    __tablename__ = "reviewer_roles"
    __table_args__ = (CheckConstraint("role IN ('clinician', 'native_reader', 'legal')", name="role"),)

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)


class LocalResource(Base):
    """A place near the program's families, as texts name it: "Riverbend Health Center 312-555-0142".

    It is named in a text only while somebody has checked it lately (nudges.library.places).
    """

    __tablename__ = "local_resources"
    __table_args__ = (
        CheckConstraint("phone <> '' OR url <> ''", name="can_be_reached"),
        CheckConstraint("in_english OR in_spanish", name="speaks_a_language"),
        Index("ix_local_resources_program", "program_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"))
    name: Mapped[str]
    kind: Mapped[str]  # one of schedules.values.PLACES
    about: Mapped[str] = mapped_column(default="")  # for staff: what happens there
    phone: Mapped[str] = mapped_column(default="")  # an organisation's number, as it is read
    url: Mapped[str] = mapped_column(default="")
    in_english: Mapped[bool] = mapped_column(default=True)
    in_spanish: Mapped[bool] = mapped_column(default=False)
    ages: Mapped[str] = mapped_column(default="")  # age bands, such as "9-12 13-17"; empty for all
    area: Mapped[str] = mapped_column(default="")
    checked_on: Mapped[date] = mapped_column(Date())
    checked_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    next_review: Mapped[date] = mapped_column(Date())
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]  # closed or wrong: never named again
