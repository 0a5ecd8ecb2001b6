"""A queued nudge says what to say, and on what it was planned; its words are made when it is handed over.

Not beside the previous release's code: that would look for words in a queued row and find none. Stop its workers first.
Going down deletes the nudges that wait without words, and their steps become dropped ones.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_STATUSES = (
    "status IN ('queued', 'sending', 'accepted', 'sent', 'delivered', 'undelivered', 'unconfirmed', 'failed',"
    " 'unknown', 'expired', 'cancelled')"
)
_UNSETTLED = "status IN ('accepted', 'sending', 'sent', 'unknown')"
_WITHOUT = "SELECT id FROM outbox WHERE body IS NULL"
_DROPPED = """
UPDATE step_outcomes SET outcome = 'dropped', code = 'WITHDRAWN', reason = 'The service went back to an older release.'
WHERE EXISTS (SELECT 1 FROM outbox WHERE outbox.body IS NULL AND outbox.enrollment_id = step_outcomes.enrollment_id
AND outbox.step_id = step_outcomes.step_id AND outbox.cycle = step_outcomes.cycle)
"""


def _outbox(*, has_words: bool) -> sa.Table:
    """The table as it stands: SQLite copies it to change a constraint, and does not tell constraints by itself."""
    queued, unsettled = sa.text("status = 'queued'"), sa.text(_UNSETTLED)
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
        sa.Column("body", sa.Text(), nullable=not has_words),
        sa.Column("language", sa.String(length=200), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=not has_words),
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
        sa.CheckConstraint(_STATUSES, name="ck_outbox_status"),
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
        sa.Index("ix_outbox_unsettled", "status", "attempted_at", sqlite_where=unsettled, postgresql_where=unsettled),
    )


def upgrade() -> None:
    with op.batch_alter_table("outbox", copy_from=_outbox(has_words=True)) as batch:
        batch.add_column(sa.Column("basis", sa.String(length=200), nullable=True))
        batch.alter_column("body", existing_type=sa.Text(), nullable=True)
        batch.alter_column("segments", existing_type=sa.Integer(), nullable=True)


def downgrade() -> None:
    op.execute(_DROPPED)
    op.execute(f"DELETE FROM outbox_events WHERE outbox_id IN ({_WITHOUT})")
    op.execute(f"UPDATE provider_events SET outbox_id = NULL WHERE outbox_id IN ({_WITHOUT})")
    op.execute("DELETE FROM outbox WHERE body IS NULL")
    table = _outbox(has_words=False)
    table.append_column(sa.Column("basis", sa.String(length=200)))
    with op.batch_alter_table("outbox", copy_from=table) as batch:
        batch.alter_column("segments", existing_type=sa.Integer(), nullable=False)
        batch.alter_column("body", existing_type=sa.Text(), nullable=False)
        batch.drop_column("basis")
