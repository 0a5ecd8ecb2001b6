"""Which languages there are is said by nudges/languages.py, no longer by the table of parents.

Must work with the previous release's code running beside it: it writes the two languages that it always wrote.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("parents") as batch:
        batch.drop_constraint(op.f("ck_parents_language"), type_="check")


def downgrade() -> None:
    op.execute(sa.text("UPDATE parents SET language = 'en' WHERE language NOT IN ('en', 'es')"))
    with op.batch_alter_table("parents") as batch:
        batch.create_check_constraint(op.f("ck_parents_language"), "language IN ('en', 'es')")
