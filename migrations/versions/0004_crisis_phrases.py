"""Phrases that admins add to the crisis screen, their versions, and drills.

Must work with the previous release's code running beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "phrase_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=200), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("approver_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("is_override", sa.Boolean(), nullable=False),
        sa.Column("rolled_back_to", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('publish', 'rollback')", name=op.f("ck_phrase_versions_kind")),
        sa.CheckConstraint(
            "approver_id IS NULL OR approver_id <> author_id", name=op.f("ck_phrase_versions_two_people")
        ),
        sa.ForeignKeyConstraint(["approver_id"], ["staff.id"], name=op.f("fk_phrase_versions_approver_id_staff")),
        sa.ForeignKeyConstraint(["author_id"], ["staff.id"], name=op.f("fk_phrase_versions_author_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phrase_versions")),
        sa.UniqueConstraint("number", name=op.f("uq_phrase_versions_number")),
    )

    op.create_table(
        "phrase_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('draft', 'published', 'withdrawn', 'refused')", name=op.f("ck_phrase_changes_status")
        ),
        sa.ForeignKeyConstraint(["author_id"], ["staff.id"], name=op.f("fk_phrase_changes_author_id_staff")),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name=op.f("fk_phrase_changes_decided_by_staff")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["phrase_versions.id"], name=op.f("fk_phrase_changes_version_id_phrase_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phrase_changes")),
    )

    with op.batch_alter_table("phrase_changes", schema=None) as batch_op:
        batch_op.create_index(
            "ix_phrase_changes_open",
            ["key"],
            unique=True,
            sqlite_where=sa.text("status = 'draft'"),
            postgresql_where=sa.text("status = 'draft'"),
        )

    op.create_table(
        "corpus_readings",
        sa.Column("core", sa.String(length=200), nullable=False),
        sa.Column("text_index", sa.String(length=200), nullable=False),
        sa.Column("level", sa.String(length=200), nullable=False),
        sa.Column("tier", sa.String(length=200), nullable=True),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("core", "text_index", name=op.f("pk_corpus_readings")),
    )

    op.create_table(
        "drills",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=True),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_ms", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_drills_alert_id_alerts")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_drills_program_id_programs")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_drills_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drills")),
        sa.UniqueConstraint("alert_id", name=op.f("uq_drills_alert_id")),
    )

    with op.batch_alter_table("drills", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_drills_program_id"), ["program_id"], unique=False)


def downgrade() -> None:
    for table in ("drills", "corpus_readings", "phrase_changes", "phrase_versions"):
        op.drop_table(table)
