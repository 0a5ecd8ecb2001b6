"""A text that the carrier took and never reported on has an end of its own.

Must work with the previous release's code running beside it: it never writes the new status, and reads it as a word.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_STATUSES = (
    "status IN ('queued', 'sending', 'accepted', 'sent', 'delivered', 'undelivered', 'failed', 'unknown', 'expired', 'cancelled')"
)
_WITH_UNCONFIRMED = _STATUSES.replace("'undelivered'", "'undelivered', 'unconfirmed'")
_UNSETTLED = "status IN ('sending', 'unknown')"
_WITH_THOSE_ON_THEIR_WAY = "status IN ('accepted', 'sending', 'sent', 'unknown')"


def _outbox(statuses: str) -> sa.Table:
    """The table as it stands: SQLite copies it to change a constraint, and does not tell constraints by itself."""
    queued = sa.text("status = 'queued'")
    return sa.Table(
        "outbox",
        sa.MetaData(),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("lane_id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer()),
        sa.Column("staff_id", sa.Integer()),
        sa.Column("enrollment_id", sa.Integer()),
        sa.Column("step_id", sa.String(length=200)),
        sa.Column("cycle", sa.Integer()),
        sa.Column("version_id", sa.Integer()),
        sa.Column("reply_to_id", sa.Integer()),
        sa.Column("alert_id", sa.Integer()),
        sa.Column("category", sa.String(length=200), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("to", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=200), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("gate", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("status_reason", sa.String(length=200)),
        sa.Column("attempt_id", sa.String(length=200)),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(length=200)),
        sa.Column("provider_id", sa.String(length=200)),
        sa.Column("error_code", sa.String(length=200)),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True)),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "category IN ('nudge', 'reply', 'crisis_reply', 'staff_page', 'person', 'system')",
            name="ck_outbox_category",
        ),
        sa.CheckConstraint(
            "parent_id IS NOT NULL OR staff_id IS NOT NULL OR category <> 'nudge'", name="ck_outbox_recipient"
        ),
        sa.CheckConstraint(statuses, name="ck_outbox_status"),
        sa.CheckConstraint("segments BETWEEN 1 AND 10", name="ck_outbox_segments"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_outbox_alert_id_alerts"),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"], name="fk_outbox_enrollment_id_enrollments"),
        sa.ForeignKeyConstraint(["lane_id"], ["lanes.id"], name="fk_outbox_lane_id_lanes"),
        sa.ForeignKeyConstraint(["parent_id"], ["parents.id"], name="fk_outbox_parent_id_parents"),
        sa.ForeignKeyConstraint(["reply_to_id"], ["inbound.id"], name="fk_outbox_reply_to_id_inbound"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_outbox_staff_id_staff"),
        sa.ForeignKeyConstraint(["version_id"], ["sequence_versions.id"], name="fk_outbox_version_id_sequence_versions"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("attempt_id", name="uq_outbox_attempt_id"),
        sa.UniqueConstraint("enrollment_id", "step_id", "cycle", name="uq_outbox_enrollment_id_step_id_cycle"),
        sa.UniqueConstraint("provider_id", name="uq_outbox_provider_id"),
        sa.Index("ix_outbox_alert_id", "alert_id"),
        sa.Index("ix_outbox_parent", "parent_id", "created_at"),
        sa.Index("ix_outbox_reply_to_id", "reply_to_id"),
        sa.Index(
            "ix_outbox_ready", "lane_id", "priority", "not_before", sqlite_where=queued, postgresql_where=queued
        ),
        sa.Index("ix_outbox_due", "lane_id", "not_before", sqlite_where=queued, postgresql_where=queued),
    )


def _change(*, statuses: str, instead_of: str, unsettled: str) -> None:
    op.drop_index("ix_outbox_unsettled", table_name="outbox")
    with op.batch_alter_table("outbox", copy_from=_outbox(instead_of)) as batch_op:
        batch_op.drop_constraint(op.f("ck_outbox_status"), type_="check")
        batch_op.create_check_constraint(op.f("ck_outbox_status"), statuses)
    op.create_index(
        "ix_outbox_unsettled",
        "outbox",
        ["status", "attempted_at"],
        sqlite_where=sa.text(unsettled),
        postgresql_where=sa.text(unsettled),
    )


def upgrade() -> None:
    _change(statuses=_WITH_UNCONFIRMED, instead_of=_STATUSES, unsettled=_WITH_THOSE_ON_THEIR_WAY)


def downgrade() -> None:
    op.execute("UPDATE outbox SET status = 'sent', settled_at = NULL WHERE status = 'unconfirmed'")
    _change(statuses=_STATUSES, instead_of=_WITH_UNCONFIRMED, unsettled=_UNSETTLED)
