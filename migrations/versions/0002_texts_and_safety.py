"""The first tables, second half: enrollments, the outbox, consents, holds, tasks.

Must work with the previous release's code running beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=200), nullable=False),
        sa.Column("medium", sa.String(length=200), nullable=False),
        sa.Column("wording_version", sa.String(length=200), nullable=False),
        sa.Column("language", sa.String(length=200), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("inbound_id", sa.Integer(), nullable=True),
        sa.Column("how_recognised", sa.String(length=200), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("event IN ('granted', 'confirmed', 'revoked')", name=op.f("ck_consents_event")),
        sa.ForeignKeyConstraint(["inbound_id"], ["inbound.id"], name=op.f("fk_consents_inbound_id_inbound")),
        sa.ForeignKeyConstraint(["parent_id"], ["parents.id"], name=op.f("fk_consents_parent_id_parents")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_consents_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )

    with op.batch_alter_table("consents", schema=None) as batch_op:
        batch_op.create_index("ix_consents_parent", ["parent_id", "at"], unique=False)

    op.create_table(
        "enrollments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=False),
        sa.Column("sequence_key", sa.String(length=200), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(length=200), nullable=True),
        sa.CheckConstraint("status IN ('active', 'done', 'stopped')", name=op.f("ck_enrollments_status")),
        sa.ForeignKeyConstraint(["parent_id"], ["parents.id"], name=op.f("fk_enrollments_parent_id_parents")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["sequence_versions.id"], name=op.f("fk_enrollments_version_id_sequence_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollments")),
    )

    with op.batch_alter_table("enrollments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_enrollments_parent_id"), ["parent_id"], unique=False)
        batch_op.create_index("ix_enrollments_version", ["version_id"], unique=False)
        batch_op.create_index(
            "uq_enrollments_live",
            ["parent_id", "sequence_key"],
            unique=True,
            sqlite_where=sa.text("status = 'active'"),
            postgresql_where=sa.text("status = 'active'"),
        )

    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("family_id", sa.Integer(), nullable=True),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("inbound_id", sa.Integer(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_by", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.CheckConstraint("priority IN (1, 2, 3)", name=op.f("ck_tasks_priority")),
        sa.ForeignKeyConstraint(["done_by"], ["staff.id"], name=op.f("fk_tasks_done_by_staff")),
        sa.ForeignKeyConstraint(["family_id"], ["families.id"], name=op.f("fk_tasks_family_id_families")),
        sa.ForeignKeyConstraint(["inbound_id"], ["inbound.id"], name=op.f("fk_tasks_inbound_id_inbound")),
        sa.ForeignKeyConstraint(["parent_id"], ["parents.id"], name=op.f("fk_tasks_parent_id_parents")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_tasks_program_id_programs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
    )

    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.create_index("ix_tasks_open", ["family_id", "done_at"], unique=False)

    op.create_table(
        "alert_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=200), nullable=False),
        sa.Column("inbound_id", sa.Integer(), nullable=True),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_events_alert_id_alerts")),
        sa.ForeignKeyConstraint(["inbound_id"], ["inbound.id"], name=op.f("fk_alert_events_inbound_id_inbound")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_alert_events_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_events")),
    )

    with op.batch_alter_table("alert_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alert_events_alert_id"), ["alert_id"], unique=False)

    op.create_table(
        "holds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("family_id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("alert_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.Integer(), nullable=True),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('crisis', 'check', 'safety', 'conversation')", name=op.f("ck_holds_kind")),
        sa.CheckConstraint("scope IN ('family', 'parent')", name=op.f("ck_holds_scope")),
        sa.CheckConstraint("released_at IS NULL OR release_reason IS NOT NULL", name=op.f("ck_holds_release_says_why")),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_holds_alert_id_alerts")),
        sa.ForeignKeyConstraint(["family_id"], ["families.id"], name=op.f("fk_holds_family_id_families")),
        sa.ForeignKeyConstraint(["parent_id"], ["parents.id"], name=op.f("fk_holds_parent_id_parents")),
        sa.ForeignKeyConstraint(["released_by"], ["staff.id"], name=op.f("fk_holds_released_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )

    with op.batch_alter_table("holds", schema=None) as batch_op:
        batch_op.create_index(
            "ix_holds_open",
            ["family_id"],
            unique=False,
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("lane_id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("enrollment_id", sa.Integer(), nullable=True),
        sa.Column("step_id", sa.String(length=200), nullable=True),
        sa.Column("cycle", sa.Integer(), nullable=True),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.Column("reply_to_id", sa.Integer(), nullable=True),
        sa.Column("alert_id", sa.Integer(), nullable=True),
        sa.Column("category", sa.String(length=200), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("to", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=200), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("gate", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("status_reason", sa.String(length=200), nullable=True),
        sa.Column("attempt_id", sa.String(length=200), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(length=200), nullable=True),
        sa.Column("provider_id", sa.String(length=200), nullable=True),
        sa.Column("error_code", sa.String(length=200), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "category IN ('nudge', 'reply', 'crisis_reply', 'staff_page', 'person', 'system')",
            name=op.f("ck_outbox_category"),
        ),
        sa.CheckConstraint(
            "parent_id IS NOT NULL OR staff_id IS NOT NULL OR category <> 'nudge'", name=op.f("ck_outbox_recipient")
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'sending', 'accepted', 'sent', 'delivered', 'undelivered', 'failed', 'unknown', 'expired', 'cancelled')",
            name=op.f("ck_outbox_status"),
        ),
        sa.CheckConstraint("segments BETWEEN 1 AND 10", name=op.f("ck_outbox_segments")),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_outbox_alert_id_alerts")),
        sa.ForeignKeyConstraint(
            ["enrollment_id"], ["enrollments.id"], name=op.f("fk_outbox_enrollment_id_enrollments")
        ),
        sa.ForeignKeyConstraint(["lane_id"], ["lanes.id"], name=op.f("fk_outbox_lane_id_lanes")),
        sa.ForeignKeyConstraint(["parent_id"], ["parents.id"], name=op.f("fk_outbox_parent_id_parents")),
        sa.ForeignKeyConstraint(["reply_to_id"], ["inbound.id"], name=op.f("fk_outbox_reply_to_id_inbound")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_outbox_staff_id_staff")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["sequence_versions.id"], name=op.f("fk_outbox_version_id_sequence_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("attempt_id", name=op.f("uq_outbox_attempt_id")),
        sa.UniqueConstraint("enrollment_id", "step_id", "cycle", name=op.f("uq_outbox_enrollment_id_step_id_cycle")),
        sa.UniqueConstraint("provider_id", name=op.f("uq_outbox_provider_id")),
    )

    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outbox_alert_id"), ["alert_id"], unique=False)
        batch_op.create_index("ix_outbox_parent", ["parent_id", "created_at"], unique=False)
        batch_op.create_index(
            "ix_outbox_ready",
            ["lane_id", "priority", "not_before"],
            unique=False,
            sqlite_where=sa.text("status = 'queued'"),
            postgresql_where=sa.text("status = 'queued'"),
        )
        batch_op.create_index(batch_op.f("ix_outbox_reply_to_id"), ["reply_to_id"], unique=False)
        batch_op.create_index(
            "ix_outbox_unsettled",
            ["status", "attempted_at"],
            unique=False,
            sqlite_where=sa.text("status IN ('sending', 'unknown')"),
            postgresql_where=sa.text("status IN ('sending', 'unknown')"),
        )

    op.create_table(
        "step_outcomes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("enrollment_id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("step_id", sa.String(length=200), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=200), nullable=False),
        sa.Column("code", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('sent', 'held', 'dropped', 'expired', 'failed', 'staff')",
            name=op.f("ck_step_outcomes_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["enrollment_id"], ["enrollments.id"], name=op.f("fk_step_outcomes_enrollment_id_enrollments")
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["sequence_versions.id"], name=op.f("fk_step_outcomes_version_id_sequence_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step_outcomes")),
        sa.UniqueConstraint(
            "enrollment_id", "step_id", "cycle", name=op.f("uq_step_outcomes_enrollment_id_step_id_cycle")
        ),
    )

    op.create_table(
        "outbox_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("outbox_id", sa.Integer(), nullable=False),
        sa.Column("from_status", sa.String(length=200), nullable=False),
        sa.Column("to_status", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["outbox_id"], ["outbox.id"], name=op.f("fk_outbox_events_outbox_id_outbox")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_events")),
    )

    with op.batch_alter_table("outbox_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outbox_events_outbox_id"), ["outbox_id"], unique=False)

    op.create_table(
        "provider_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("error_code", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=200), nullable=True),
        sa.Column("attempt_id", sa.String(length=200), nullable=True),
        sa.Column("outbox_id", sa.Integer(), nullable=True),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["outbox_id"], ["outbox.id"], name=op.f("fk_provider_events_outbox_id_outbox")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_events")),
        sa.UniqueConstraint(
            "provider_id", "status", "error_code", name=op.f("uq_provider_events_provider_id_status_error_code")
        ),
    )


def downgrade() -> None:
    op.drop_table("provider_events")

    with op.batch_alter_table("outbox_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outbox_events_outbox_id"))

    op.drop_table("outbox_events")

    op.drop_table("step_outcomes")

    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_outbox_unsettled",
            sqlite_where=sa.text("status IN ('sending', 'unknown')"),
            postgresql_where=sa.text("status IN ('sending', 'unknown')"),
        )
        batch_op.drop_index(batch_op.f("ix_outbox_reply_to_id"))
        batch_op.drop_index(
            "ix_outbox_ready", sqlite_where=sa.text("status = 'queued'"), postgresql_where=sa.text("status = 'queued'")
        )
        batch_op.drop_index("ix_outbox_parent")
        batch_op.drop_index(batch_op.f("ix_outbox_alert_id"))

    op.drop_table("outbox")

    with op.batch_alter_table("holds", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_holds_open",
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    op.drop_table("holds")

    with op.batch_alter_table("alert_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_alert_events_alert_id"))

    op.drop_table("alert_events")

    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_index("ix_tasks_open")

    op.drop_table("tasks")

    with op.batch_alter_table("enrollments", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_enrollments_live",
            sqlite_where=sa.text("status = 'active'"),
            postgresql_where=sa.text("status = 'active'"),
        )
        batch_op.drop_index("ix_enrollments_version")
        batch_op.drop_index(batch_op.f("ix_enrollments_parent_id"))

    op.drop_table("enrollments")

    with op.batch_alter_table("consents", schema=None) as batch_op:
        batch_op.drop_index("ix_consents_parent")

    op.drop_table("consents")
