"""Sign-offs of texts, and the local resources of a program.

Must work with the previous release's code running beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ROLE = "role IN ('clinician', 'native_reader', 'legal')"


def upgrade() -> None:
    op.create_table(
        "sign_offs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("text_hash", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=200), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("is_demo", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(_ROLE, name=op.f("ck_sign_offs_role")),
        sa.CheckConstraint("is_demo OR staff_id IS NOT NULL", name=op.f("ck_sign_offs_somebody_signed")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_sign_offs_program_id_programs")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_sign_offs_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_offs")),
        sa.UniqueConstraint(
            "program_id", "place", "text_hash", "role", name=op.f("uq_sign_offs_program_id_place_text_hash_role")
        ),
    )
    op.create_table(
        "reviewer_roles",
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=200), nullable=False),
        sa.CheckConstraint(_ROLE, name=op.f("ck_reviewer_roles_role")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_reviewer_roles_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", "role", name=op.f("pk_reviewer_roles")),
    )
    op.create_table(
        "local_resources",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("program_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(length=200), nullable=False) for name in ("name", "kind", "about", "phone", "url")),
        sa.Column("in_english", sa.Boolean(), nullable=False),
        sa.Column("in_spanish", sa.Boolean(), nullable=False),
        sa.Column("ages", sa.String(length=200), nullable=False),
        sa.Column("area", sa.String(length=200), nullable=False),
        sa.Column("checked_on", sa.Date(), nullable=False),
        sa.Column("checked_by", sa.Integer(), nullable=True),
        sa.Column("next_review", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("phone <> '' OR url <> ''", name=op.f("ck_local_resources_can_be_reached")),
        sa.CheckConstraint("in_english OR in_spanish", name=op.f("ck_local_resources_speaks_a_language")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_local_resources_program_id_programs")),
        sa.ForeignKeyConstraint(["checked_by"], ["staff.id"], name=op.f("fk_local_resources_checked_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_local_resources")),
    )
    with op.batch_alter_table("local_resources", schema=None) as batch_op:
        batch_op.create_index("ix_local_resources_program", ["program_id"], unique=False)


def downgrade() -> None:
    op.drop_table("local_resources")
    op.drop_table("reviewer_roles")
    op.drop_table("sign_offs")
