"""Where a parent lives and what was agreed for an emergency: for whoever answers an alert.

Must work with the previous release's code running beside it: it neither reads nor writes the new column.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("parents", sa.Column("emergency_plan", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("parents") as batch:
        batch.drop_column("emergency_plan")
