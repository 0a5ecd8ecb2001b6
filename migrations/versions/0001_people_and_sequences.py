"""The first tables, first half: programs, people, sequences, inbound texts, alerts.

Must work with the previous release's code running beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "heartbeats",
        sa.Column("duty", sa.String(length=200), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("duty", name=op.f("pk_heartbeats")),
    )

    with op.batch_alter_table("heartbeats", schema=None) as batch_op:
        batch_op.create_index("ix_heartbeats_at", ["at"], unique=False)

    op.create_table(
        "programs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("country", sa.String(length=200), nullable=False),
        sa.Column("timezone", sa.String(length=200), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("is_demo", sa.Boolean(), nullable=False),
        sa.Column("clock_offset_seconds", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_programs")),
    )

    op.create_table(
        "simulated_texts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.String(length=200), nullable=False),
        sa.Column("phone_index", sa.String(length=200), nullable=False),
        sa.Column("attempt_id", sa.String(length=200), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("is_from_phone", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_simulated_texts")),
        sa.UniqueConstraint("provider_id", name=op.f("uq_simulated_texts_provider_id")),
    )

    with op.batch_alter_table("simulated_texts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_simulated_texts_phone_index"), ["phone_index"], unique=False)

    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("token_hash", sa.String(length=200), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_api_tokens_program_id_programs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
    )

    op.create_table(
        "families",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=200), nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_families_program_id_programs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_families")),
        sa.UniqueConstraint("program_id", "code", name=op.f("uq_families_program_id_code")),
    )

    op.create_table(
        "lanes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("sender", sa.String(length=200), nullable=False),
        sa.Column("segments_per_second", sa.Double(), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("tokens_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_reason", sa.String(length=200), nullable=True),
        sa.CheckConstraint("segments_per_second > 0 AND segments_per_second <= 225", name=op.f("ck_lanes_pace")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_lanes_program_id_programs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lanes")),
        sa.UniqueConstraint("program_id", "sender", name=op.f("uq_lanes_program_id_sender")),
    )

    op.create_table(
        "staff",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=200), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=200), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("on_call_phone", sa.Text(), nullable=True),
        sa.Column("on_call_phone_index", sa.String(length=200), nullable=True),
        sa.Column("on_call_rank", sa.Integer(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("session_epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('counselor', 'admin')", name=op.f("ck_staff_role")),
        sa.CheckConstraint(
            "on_call_rank IS NULL OR on_call_phone IS NOT NULL", name=op.f("ck_staff_on_call_needs_phone")
        ),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_staff_program_id_programs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_email")),
    )

    with op.batch_alter_table("staff", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_on_call_phone_index"), ["on_call_phone_index"], unique=False)

    op.create_table(
        "family_staff",
        sa.Column("family_id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["family_id"], ["families.id"], name=op.f("fk_family_staff_family_id_families")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_family_staff_staff_id_staff")),
        sa.PrimaryKeyConstraint("family_id", "staff_id", name=op.f("pk_family_staff")),
    )

    with op.batch_alter_table("family_staff", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_family_staff_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "parents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("family_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("phone_index", sa.String(length=200), nullable=False),
        sa.Column("phone_problem", sa.String(length=200), nullable=True),
        sa.Column("language", sa.String(length=200), nullable=False),
        sa.Column("profile", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_reason", sa.String(length=200), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("language IN ('en', 'es')", name=op.f("ck_parents_language")),
        sa.CheckConstraint(
            "status IN ('invited', 'active', 'paused', 'opted_out', 'ended')", name=op.f("ck_parents_status")
        ),
        sa.ForeignKeyConstraint(["family_id"], ["families.id"], name=op.f("fk_parents_family_id_families")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_parents_program_id_programs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parents")),
        sa.UniqueConstraint("program_id", "phone_index", name=op.f("uq_parents_program_id_phone_index")),
    )

    with op.batch_alter_table("parents", schema=None) as batch_op:
        batch_op.create_index(
            "ix_parents_due",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("status IN ('active', 'paused') AND next_at IS NOT NULL"),
            postgresql_where=sa.text("status IN ('active', 'paused') AND next_at IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_parents_family_id"), ["family_id"], unique=False)

    op.create_table(
        "sequences",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("live_number", sa.Integer(), nullable=True),
        sa.Column("draft_yaml", sa.Text(), nullable=True),
        sa.Column("draft_by", sa.Integer(), nullable=True),
        sa.Column("draft_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("draft_revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["draft_by"], ["staff.id"], name=op.f("fk_sequences_draft_by_staff")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_sequences_program_id_programs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sequences")),
        sa.UniqueConstraint("program_id", "key", name=op.f("uq_sequences_program_id_key")),
    )

    op.create_table(
        "inbound",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.String(length=200), nullable=False),
        sa.Column("from_number", sa.Text(), nullable=False),
        sa.Column("from_index", sa.String(length=200), nullable=False),
        sa.Column("to_number", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("media_count", sa.Integer(), nullable=False),
        sa.Column("opt_out_type", sa.String(length=200), nullable=True),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("screening", sa.JSON(), nullable=False),
        sa.Column("handled_as", sa.String(length=200), nullable=False),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["parents.id"], name=op.f("fk_inbound_parent_id_parents")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound")),
        sa.UniqueConstraint("provider_id", name=op.f("uq_inbound_provider_id")),
    )

    with op.batch_alter_table("inbound", schema=None) as batch_op:
        batch_op.create_index("ix_inbound_parent", ["parent_id", "at"], unique=False)
        batch_op.create_index("ix_inbound_sender", ["from_index", "at"], unique=False)

    op.create_table(
        "key_dates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("nth", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("on_date", sa.Date(), nullable=True),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "kind IN ('session', 'break_start', 'crisis_report', 'court', 'next_review', 'consult', 'visit')",
            name=op.f("ck_key_dates_kind"),
        ),
        sa.CheckConstraint("status IN ('set', 'done', 'missed', 'cancelled')", name=op.f("ck_key_dates_status")),
        sa.ForeignKeyConstraint(["parent_id"], ["parents.id"], name=op.f("fk_key_dates_parent_id_parents")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_dates")),
        sa.UniqueConstraint("parent_id", "kind", "nth", name=op.f("uq_key_dates_parent_id_kind_nth")),
    )

    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=200), nullable=False),
        sa.Column("family_id", sa.Integer(), nullable=True),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["family_id"], ["families.id"], name=op.f("fk_ledger_family_id_families")),
        sa.ForeignKeyConstraint(["parent_id"], ["parents.id"], name=op.f("fk_ledger_parent_id_parents")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.UniqueConstraint("hash", name=op.f("uq_ledger_hash")),
        sa.UniqueConstraint("previous_hash", name=op.f("uq_ledger_previous_hash")),
    )

    with op.batch_alter_table("ledger", schema=None) as batch_op:
        batch_op.create_index("ix_ledger_family", ["family_id", "id"], unique=False)

    op.create_table(
        "sequence_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sequence_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("yaml", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("published_by", sa.Integer(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["published_by"], ["staff.id"], name=op.f("fk_sequence_versions_published_by_staff")),
        sa.ForeignKeyConstraint(
            ["sequence_id"], ["sequences.id"], name=op.f("fk_sequence_versions_sequence_id_sequences")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sequence_versions")),
        sa.UniqueConstraint("sequence_id", "number", name=op.f("uq_sequence_versions_sequence_id_number")),
    )

    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("family_id", sa.Integer(), nullable=True),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("inbound_id", sa.Integer(), nullable=True),
        sa.Column("level", sa.String(length=200), nullable=False),
        sa.Column("tier", sa.String(length=200), nullable=True),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("escalate_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Integer(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Integer(), nullable=True),
        sa.Column("resolution", sa.String(length=200), nullable=True),
        sa.CheckConstraint("level IN ('crisis', 'check', 'system')", name=op.f("ck_alerts_level")),
        sa.CheckConstraint("status <> 'resolved' OR resolution IS NOT NULL", name=op.f("ck_alerts_resolved_says_how")),
        sa.CheckConstraint("status IN ('open', 'acknowledged', 'resolved')", name=op.f("ck_alerts_status")),
        sa.CheckConstraint("severity BETWEEN 0 AND 4", name=op.f("ck_alerts_severity")),
        sa.ForeignKeyConstraint(["acknowledged_by"], ["staff.id"], name=op.f("fk_alerts_acknowledged_by_staff")),
        sa.ForeignKeyConstraint(["family_id"], ["families.id"], name=op.f("fk_alerts_family_id_families")),
        sa.ForeignKeyConstraint(["inbound_id"], ["inbound.id"], name=op.f("fk_alerts_inbound_id_inbound")),
        sa.ForeignKeyConstraint(["parent_id"], ["parents.id"], name=op.f("fk_alerts_parent_id_parents")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_alerts_program_id_programs")),
        sa.ForeignKeyConstraint(["resolved_by"], ["staff.id"], name=op.f("fk_alerts_resolved_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("inbound_id", name=op.f("uq_alerts_inbound_id")),
    )

    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alerts_family_id"), ["family_id"], unique=False)
        batch_op.create_index(
            "ix_alerts_open",
            ["status", "escalate_at"],
            unique=False,
            sqlite_where=sa.text("status <> 'resolved'"),
            postgresql_where=sa.text("status <> 'resolved'"),
        )


def downgrade() -> None:
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_alerts_open",
            sqlite_where=sa.text("status <> 'resolved'"),
            postgresql_where=sa.text("status <> 'resolved'"),
        )
        batch_op.drop_index(batch_op.f("ix_alerts_family_id"))

    op.drop_table("alerts")

    op.drop_table("sequence_versions")

    with op.batch_alter_table("ledger", schema=None) as batch_op:
        batch_op.drop_index("ix_ledger_family")

    op.drop_table("ledger")

    op.drop_table("key_dates")

    with op.batch_alter_table("inbound", schema=None) as batch_op:
        batch_op.drop_index("ix_inbound_sender")
        batch_op.drop_index("ix_inbound_parent")

    op.drop_table("inbound")

    op.drop_table("sequences")

    with op.batch_alter_table("parents", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_parents_family_id"))
        batch_op.drop_index(
            "ix_parents_due",
            sqlite_where=sa.text("status IN ('active', 'paused') AND next_at IS NOT NULL"),
            postgresql_where=sa.text("status IN ('active', 'paused') AND next_at IS NOT NULL"),
        )

    op.drop_table("parents")

    with op.batch_alter_table("family_staff", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_family_staff_staff_id"))

    op.drop_table("family_staff")

    with op.batch_alter_table("staff", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_staff_on_call_phone_index"))

    op.drop_table("staff")

    op.drop_table("lanes")

    op.drop_table("families")

    op.drop_table("api_tokens")

    with op.batch_alter_table("simulated_texts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_simulated_texts_phone_index"))

    op.drop_table("simulated_texts")

    op.drop_table("programs")

    with op.batch_alter_table("heartbeats", schema=None) as batch_op:
        batch_op.drop_index("ix_heartbeats_at")

    op.drop_table("heartbeats")
