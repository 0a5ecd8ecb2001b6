"""The crisis desk: changes that somebody proposes, the versions that were published, and drills."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from nudges.db import Base, Sealed

DRILL_CODE = "DRILL"  # of the family that drills are about: stands in every title and page of one
DRILL_TEXTS = "drill-"  # what the provider id of a drill's text begins with: no provider makes such ids


class PhraseChange(Base):
    """One proposed change. `key` names what it changes (`phrase:p3`, `line:US.poison`), `value` is its new JSON.

    Phrases carry example lines that staff may have taken from a real text, so values are sealed. No value: removal.
    """

    __tablename__ = "phrase_changes"
    __table_args__ = (
        CheckConstraint("status IN ('draft', 'published', 'withdrawn', 'refused')", name="status"),
        Index(
            "ix_phrase_changes_open",
            "key",
            unique=True,
            sqlite_where=text("status = 'draft'"),
            postgresql_where=text("status = 'draft'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str]
    value: Mapped[str | None] = mapped_column(Sealed())
    status: Mapped[str] = mapped_column(default="draft")
    author_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None]
    version_id: Mapped[int | None] = mapped_column(ForeignKey("phrase_versions.id"))
    note: Mapped[str | None] = mapped_column(Sealed())


class PhraseVersion(Base):
    """What the desk says, whole and never changed again. The newest number is in force.

    `content` is canonical JSON, `digest` its SHA-256; `scores` are figures over the corpus before and after.
    """

    __tablename__ = "phrase_versions"
    __table_args__ = (
        CheckConstraint("kind IN ('publish', 'rollback')", name="kind"),
        CheckConstraint("approver_id IS NULL OR approver_id <> author_id", name="two_people"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(default="publish")
    content: Mapped[str] = mapped_column(Sealed())
    digest: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    approver_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    reason: Mapped[str] = mapped_column(Sealed())
    changes: Mapped[str] = mapped_column(Sealed())  # JSON: every key that differs from the version before
    scores: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_override: Mapped[bool] = mapped_column(default=False)  # more false alarms than allowed, taken on knowingly
    rolled_back_to: Mapped[int | None]
    at: Mapped[datetime]


class CorpusReading(Base):
    """What the screen without the desk says about a text of the corpus: reading all of it takes half a minute.

    `core` names rules and model, `text_index` is a keyed fingerprint: the text itself is not here.
    """

    __tablename__ = "corpus_readings"

    core: Mapped[str] = mapped_column(primary_key=True)
    text_index: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[str]
    tier: Mapped[str | None]
    rules: Mapped[str] = mapped_column(Text(), default="")  # rule ids that counted, separated by spaces


class Drill(Base):
    """A rehearsal of a crisis through the real path. Its alert counts in no figure."""

    __tablename__ = "drills"

    id: Mapped[int] = mapped_column(primary_key=True)
    program_id: Mapped[int] = mapped_column(ForeignKey("programs.id"), index=True)
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alerts.id"), unique=True)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # none: from the command line
    started_at: Mapped[datetime]
    answered_ms: Mapped[int]  # from the text's arrival to the stored answer
    ended_at: Mapped[datetime | None]
