"""How each parent's thread stands, for the list of families and the daily check.

Must work with the previous release's code running beside it: it neither reads nor writes the new columns.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COLUMNS = ("standing", "standing_owner")


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("parents", sa.Column(name, sa.String(), nullable=True))
    op.add_column("parents", sa.Column("standing_by", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("parents") as batch:
        for name in (*_COLUMNS, "standing_by"):
            batch.drop_column(name)
