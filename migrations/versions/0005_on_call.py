"""The on-call rota, other ways to reach staff, pages, numbers that said STOP, reviewed texts.

Must work with the previous release's code running beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KINDS = "kind IN ('crisis', 'check', 'safety', 'conversation')"
_KINDS_WITH_SAFEGUARDING = "kind IN ('crisis', 'check', 'safety', 'safeguarding', 'conversation')"


def _holds(kinds: str) -> sa.Table:
    """The table as it stands: SQLite copies it to change a constraint, and does not tell constraints by itself."""
    return sa.Table(
        "holds",
        sa.MetaData(),
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "family_id", sa.Integer(), sa.ForeignKey("families.id", name="fk_holds_family_id_families"), nullable=False
        ),
        sa.Column("parent_id", sa.Integer(), sa.ForeignKey("parents.id", name="fk_holds_parent_id_parents")),
        sa.Column("alert_id", sa.Integer(), sa.ForeignKey("alerts.id", name="fk_holds_alert_id_alerts")),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True)),
        sa.Column("released_at", sa.DateTime(timezone=True)),
        sa.Column("released_by", sa.Integer(), sa.ForeignKey("staff.id", name="fk_holds_released_by_staff")),
        sa.Column("release_reason", sa.Text()),
        sa.CheckConstraint(kinds, name="ck_holds_kind"),
        sa.CheckConstraint("scope IN ('family', 'parent')", name="ck_holds_scope"),
        sa.CheckConstraint("released_at IS NULL OR release_reason IS NOT NULL", name="ck_holds_release_says_why"),
        sa.Index(
            "ix_holds_open",
            "family_id",
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        ),
    )


def _allow(kinds: str, *, instead_of: str) -> None:
    with op.batch_alter_table("holds", copy_from=_holds(instead_of)) as batch_op:
        batch_op.drop_constraint(op.f("ck_holds_kind"), type_="check")
        batch_op.create_check_constraint(op.f("ck_holds_kind"), kinds)


def upgrade() -> None:
    _allow(_KINDS_WITH_SAFEGUARDING, instead_of=_KINDS)
    op.create_table(
        "rota_overrides",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=200), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("made_by", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('first', 'backup', 'supervisor', 'safeguarding')", name=op.f("ck_rota_overrides_role")
        ),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_rota_overrides_order")),
        sa.ForeignKeyConstraint(["made_by"], ["staff.id"], name=op.f("fk_rota_overrides_made_by_staff")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_rota_overrides_program_id_programs")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_rota_overrides_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota_overrides")),
    )
    with op.batch_alter_table("rota_overrides", schema=None) as batch_op:
        batch_op.create_index("ix_rota_overrides_when", ["program_id", "ends_at"], unique=False)

    op.create_table(
        "rota_shifts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=200), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("start_minute", sa.Integer(), nullable=False),
        sa.Column("end_minute", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "role IN ('first', 'backup', 'supervisor', 'safeguarding')", name=op.f("ck_rota_shifts_role")
        ),
        sa.CheckConstraint("end_minute BETWEEN 0 AND 1439", name=op.f("ck_rota_shifts_end")),
        sa.CheckConstraint("start_minute BETWEEN 0 AND 1439", name=op.f("ck_rota_shifts_start")),
        sa.CheckConstraint("weekday BETWEEN 0 AND 6", name=op.f("ck_rota_shifts_weekday")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_rota_shifts_program_id_programs")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_rota_shifts_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota_shifts")),
        sa.UniqueConstraint(
            "program_id",
            "role",
            "weekday",
            "start_minute",
            name=op.f("uq_rota_shifts_program_id_role_weekday_start_minute"),
        ),
    )
    op.create_table(
        "rota_swaps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=200), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offered_by", sa.Integer(), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_by", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.CheckConstraint("(status = 'taken') = (taken_by IS NOT NULL)", name=op.f("ck_rota_swaps_taken_by_somebody")),
        sa.CheckConstraint(
            "role IN ('first', 'backup', 'supervisor', 'safeguarding')", name=op.f("ck_rota_swaps_role")
        ),
        sa.CheckConstraint("status IN ('offered', 'taken', 'withdrawn')", name=op.f("ck_rota_swaps_status")),
        sa.ForeignKeyConstraint(["offered_by"], ["staff.id"], name=op.f("fk_rota_swaps_offered_by_staff")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_rota_swaps_program_id_programs")),
        sa.ForeignKeyConstraint(["taken_by"], ["staff.id"], name=op.f("fk_rota_swaps_taken_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota_swaps")),
    )
    with op.batch_alter_table("rota_swaps", schema=None) as batch_op:
        batch_op.create_index(
            "uq_rota_swaps_offered",
            ["program_id", "role", "starts_at"],
            unique=True,
            sqlite_where=sa.text("status = 'offered'"),
            postgresql_where=sa.text("status = 'offered'"),
        )

    op.create_table(
        "staff_addresses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("service", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fault", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_staff_addresses_program_id_programs")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_addresses_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_addresses")),
    )
    with op.batch_alter_table("staff_addresses", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_addresses_program_id"), ["program_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_staff_addresses_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "staff_duties",
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("is_safeguarding_lead", sa.Boolean(), nullable=False),
        sa.Column("is_trained_in_aftercare", sa.Boolean(), nullable=False),
        sa.Column("phone_stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_duties_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_staff_duties")),
    )
    op.create_table(
        "staff_notices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("address_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("status_reason", sa.String(length=200), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('page', 'test')", name=op.f("ck_staff_notices_kind")),
        sa.CheckConstraint(
            "status IN ('queued', 'sending', 'delivered', 'failed', 'unknown', 'expired')",
            name=op.f("ck_staff_notices_status"),
        ),
        sa.ForeignKeyConstraint(
            ["address_id"], ["staff_addresses.id"], name=op.f("fk_staff_notices_address_id_staff_addresses")
        ),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_staff_notices_program_id_programs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_notices")),
    )
    with op.batch_alter_table("staff_notices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_notices_address_id"), ["address_id"], unique=False)
        batch_op.create_index(
            "ix_staff_notices_open",
            ["status", "not_before"],
            unique=False,
            sqlite_where=sa.text("status IN ('queued', 'sending')"),
            postgresql_where=sa.text("status IN ('queued', 'sending')"),
        )

    op.create_table(
        "crisis_corpus",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("inbound_id", sa.Integer(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("tier", sa.String(length=200), nullable=True),
        sa.Column("language", sa.String(length=200), nullable=True),
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("label IN ('crisis', 'check', 'ordinary')", name=op.f("ck_crisis_corpus_label")),
        sa.CheckConstraint("origin IN ('incident', 'phrase', 'drill', 'import')", name=op.f("ck_crisis_corpus_origin")),
        sa.ForeignKeyConstraint(["inbound_id"], ["inbound.id"], name=op.f("fk_crisis_corpus_inbound_id_inbound")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_crisis_corpus_program_id_programs")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_crisis_corpus_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crisis_corpus")),
        sa.UniqueConstraint("inbound_id", "origin", name=op.f("uq_crisis_corpus_inbound_id_origin")),
    )
    with op.batch_alter_table("crisis_corpus", schema=None) as batch_op:
        batch_op.create_index("ix_crisis_corpus_program", ["program_id", "id"], unique=False)

    op.create_table(
        "stopped_numbers",
        sa.Column("number_index", sa.String(length=200), nullable=False),
        sa.Column("inbound_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["inbound_id"], ["inbound.id"], name=op.f("fk_stopped_numbers_inbound_id_inbound")),
        sa.PrimaryKeyConstraint("number_index", name=op.f("pk_stopped_numbers")),
    )
    op.create_table(
        "alert_pages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("outbox_id", sa.Integer(), nullable=True),
        sa.Column("notice_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(outbox_id IS NULL) <> (notice_id IS NULL)", name=op.f("ck_alert_pages_one_way")),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_pages_alert_id_alerts")),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["staff_notices.id"], name=op.f("fk_alert_pages_notice_id_staff_notices")
        ),
        sa.ForeignKeyConstraint(["outbox_id"], ["outbox.id"], name=op.f("fk_alert_pages_outbox_id_outbox")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_alert_pages_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_pages")),
        sa.UniqueConstraint("alert_id", "notice_id", name=op.f("uq_alert_pages_alert_id_notice_id")),
        sa.UniqueConstraint("alert_id", "outbox_id", name=op.f("uq_alert_pages_alert_id_outbox_id")),
    )
    with op.batch_alter_table("alert_pages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alert_pages_alert_id"), ["alert_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_alert_pages_notice_id"), ["notice_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_alert_pages_outbox_id"), ["outbox_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_alert_pages_staff_id"), ["staff_id"], unique=False)


def downgrade() -> None:
    op.drop_table("alert_pages")
    op.drop_table("stopped_numbers")
    op.drop_table("crisis_corpus")
    op.drop_table("staff_notices")
    op.drop_table("staff_duties")
    op.drop_table("staff_addresses")
    op.drop_table("rota_swaps")
    op.drop_table("rota_shifts")
    op.drop_table("rota_overrides")
    op.execute("UPDATE holds SET kind = 'safety' WHERE kind = 'safeguarding'")
    _allow(_KINDS, instead_of=_KINDS_WITH_SAFEGUARDING)
