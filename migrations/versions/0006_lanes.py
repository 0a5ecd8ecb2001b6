"""What delivery on many machines needs.

Must work with the previous release's code running beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # When a lane has something to send next: asked at each beat, so it must not depend on how much is queued.
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["lane_id", "not_before"],
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index("ix_provider_events_at", "provider_events", ["at"])


def downgrade() -> None:
    op.drop_index("ix_provider_events_at", table_name="provider_events")
    op.drop_index("ix_outbox_due", table_name="outbox")
