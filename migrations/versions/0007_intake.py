"""Files of families that were imported, and parents whose data was erased.

Must work with the previous release's code running beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "imported_parents",
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("external_index", sa.String(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_imported_parents_program_id_programs")),
        sa.ForeignKeyConstraint(["parent_id"], ["parents.id"], name=op.f("fk_imported_parents_parent_id_parents")),
        sa.PrimaryKeyConstraint("program_id", "external_index", name=op.f("pk_imported_parents")),
    )
    op.create_index(op.f("ix_imported_parents_parent_id"), "imported_parents", ["parent_id"])
    op.add_column("parents", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("parents") as batch:
        batch.drop_column("erased_at")
    op.drop_index(op.f("ix_imported_parents_parent_id"), table_name="imported_parents")
    op.drop_table("imported_parents")
