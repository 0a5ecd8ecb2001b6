"""A program's holidays; and time zones that are no place become one, because only places are read from now on.

Must work with the previous release's code running beside it: it neither reads nor writes the new column, and reads the
mended zones as well as the old ones.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

AREAS = ("Africa", "America", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
# What people in the United States and Canada meant by names that are no place.
MEANT = {
    "EST": "America/New_York",
    "EST5EDT": "America/New_York",
    "CST6CDT": "America/Chicago",
    "MST": "America/Phoenix",
    "MST7MDT": "America/Denver",
    "PST8PDT": "America/Los_Angeles",
    "HST": "Pacific/Honolulu",
    "Navajo": "America/Denver",
    "US/Alaska": "America/Anchorage",
    "US/Aleutian": "America/Adak",
    "US/Arizona": "America/Phoenix",
    "US/Central": "America/Chicago",
    "US/East-Indiana": "America/Indiana/Indianapolis",
    "US/Eastern": "America/New_York",
    "US/Hawaii": "Pacific/Honolulu",
    "US/Indiana-Starke": "America/Indiana/Knox",
    "US/Michigan": "America/Detroit",
    "US/Mountain": "America/Denver",
    "US/Pacific": "America/Los_Angeles",
    "US/Pacific-New": "America/Los_Angeles",
    "US/Samoa": "Pacific/Pago_Pago",
    "Canada/Atlantic": "America/Halifax",
    "Canada/Central": "America/Winnipeg",
    "Canada/Eastern": "America/Toronto",
    "Canada/Mountain": "America/Edmonton",
    "Canada/Newfoundland": "America/St_Johns",
    "Canada/Pacific": "America/Vancouver",
    "Canada/Saskatchewan": "America/Regina",
    "Canada/Yukon": "America/Whitehorse",
}
PROGRAMS = sa.table("programs", sa.column("id", sa.Integer), sa.column("timezone", sa.String))
PARENTS = sa.table(
    "parents", sa.column("id", sa.Integer), sa.column("program_id", sa.Integer), sa.column("profile", sa.JSON)
)


def upgrade() -> None:
    op.add_column("programs", sa.Column("holidays", sa.JSON(), server_default="{}", nullable=False))
    connection = op.get_bind()
    for program_id, zone in connection.execute(sa.select(PROGRAMS.c.id, PROGRAMS.c.timezone)).all():
        place = zone if is_place(zone) else MEANT.get(zone, "America/Chicago")
        if place != zone:
            connection.execute(sa.update(PROGRAMS).where(PROGRAMS.c.id == program_id).values(timezone=place))
        _mend_parents(connection, program_id, place)


def _mend_parents(connection: sa.Connection, program_id: int, otherwise: str) -> None:
    """Zones that mean no place become the program's own: a family without a place could not be planned for at all."""
    zone = PARENTS.c.profile["timezone"].as_string()
    own = PARENTS.c.program_id == program_id
    for name in connection.scalars(sa.select(zone).where(own).distinct()).all():
        if name is None or is_place(name):
            continue
        rows = connection.execute(sa.select(PARENTS.c.id, PARENTS.c.profile).where(own, zone == name)).all()
        for parent_id, profile in rows:
            mended = {**profile, "timezone": MEANT.get(name, otherwise)}
            connection.execute(sa.update(PARENTS).where(PARENTS.c.id == parent_id).values(profile=mended))


def is_place(name: str) -> bool:
    return name.partition("/")[0] in AREAS


def downgrade() -> None:
    with op.batch_alter_table("programs") as batch:
        batch.drop_column("holidays")
