"""Migrations prove themselves on both databases."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, make_url, text

from nudges.db import make_engine
from nudges.upkeep import versions
from tests.conftest import migrate


@pytest.fixture(params=["sqlite", "postgres"])
def fresh_url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/fresh.sqlite3"
        return
    server = request.getfixturevalue("postgres_server_url")
    admin = make_engine(server).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS fresh"))
        connection.execute(text("CREATE DATABASE fresh"))
    admin.dispose()
    yield make_url(server).set(database="fresh").render_as_string(hide_password=False)


def test_up_down_and_up_again_leaves_the_tables_that_the_models_describe(fresh_url):
    migrate(fresh_url)
    migrate(fresh_url, "base")
    engine = make_engine(fresh_url)
    with engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    migrate(fresh_url)
    command.check(versions.alembic(fresh_url))
    engine.dispose()


def test_there_is_one_head():
    assert len(ScriptDirectory(str(versions.migrations_folder())).get_heads()) == 1


def test_a_table_that_is_replaced_keeps_its_rows_and_those_that_point_at_them(tmp_path):
    """SQLite copies a table to change a constraint; rows of other tables point at it meanwhile."""
    url = f"sqlite:///{tmp_path}/filled.sqlite3"
    migrate(url, "0007")
    engine = make_engine(url)
    with engine.begin() as connection:
        for statement in _ONE_TEXT_WITH_AN_EVENT:
            connection.execute(text(statement))
    migrate(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE outbox SET status = 'unconfirmed', settled_at = '2025-03-04'"))
    command.downgrade(versions.alembic(url), "0007")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT status FROM outbox")).scalars().all() == ["sent"]
        assert connection.execute(text("SELECT outbox_id FROM outbox_events")).scalars().all() == [1]
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
    engine.dispose()


@pytest.mark.parametrize(
    ("stored", "mended"),
    [
        ("US/Central", "America/Chicago"),
        ("EST", "America/New_York"),
        ("localtime", "America/Denver"),
        ("America/Boise", "America/Boise"),
    ],
)
def test_a_zone_that_is_no_place_becomes_one(fresh_url, stored, mended):
    """Only places are read since 0011: a family that kept another zone could not be planned for any more."""
    migrate(fresh_url, "0010")
    engine = make_engine(fresh_url)
    with engine.begin() as connection:
        for statement in _ONE_PARENT:
            connection.execute(text(statement), {"profile": json.dumps({"timezone": stored, "state": "IL"})})
    migrate(fresh_url)
    with engine.connect() as connection:
        profile = connection.scalar(text("SELECT profile FROM parents"))
        assert (json.loads(profile) if isinstance(profile, str) else profile) == {"timezone": mended, "state": "IL"}
        assert connection.scalar(text("SELECT timezone FROM programs")) == "America/Denver"
    engine.dispose()


@pytest.mark.parametrize(("since", "reads"), [("0007", True), ("head", False)])
def test_only_a_migration_reads_all_rows_for_what_they_point_at(tmp_path, since, reads):
    """Every command makes sure of its tables first; with a million families that look takes minutes."""
    url = f"sqlite:///{tmp_path}/filled.sqlite3"
    migrate(url, since)
    engine = make_engine(url)
    with engine.connect() as connection:
        connection.connection.execute("PRAGMA foreign_keys=OFF")
        for statement in (*_ONE_TEXT_WITH_AN_EVENT, "UPDATE outbox_events SET outbox_id = 7"):
            connection.execute(text(statement))
        connection.commit()
    engine.dispose()
    with pytest.raises(RuntimeError, match="point at nothing") if reads else nullcontext():
        migrate(url)


_ONE_PARENT = (
    "INSERT INTO programs (id, name, timezone, country, policy, is_demo, clock_offset_seconds, created_at)"
    " VALUES (1, 'Riverbend', 'US/Mountain', 'US', '{}', false, 0, '2025-03-03')",
    "INSERT INTO families (id, program_id, code, created_at) VALUES (1, 1, 'F-1001', '2025-03-03')",
    "INSERT INTO parents (id, program_id, family_id, name, phone, phone_index, language, profile, status, state,"
    " revision, created_at) VALUES (1, 1, 1, '', '', '', 'en', :profile, 'active', '{}', 0, '2025-03-03')",
)
_ONE_TEXT_WITH_AN_EVENT = (
    "INSERT INTO programs (id, name, timezone, country, policy, is_demo, clock_offset_seconds, created_at)"
    " VALUES (1, 'Riverbend', 'America/Chicago', 'US', '{}', 0, 0, '2025-03-03')",
    "INSERT INTO lanes (id, program_id, sender, segments_per_second, tokens, token)"
    " VALUES (1, 1, '+13125550100', 1, 1, 0)",
    'INSERT INTO outbox (id, lane_id, category, priority, "to", body, language, segments, gate, status, attempts, looks,'
    " not_before, expires_at, created_at) VALUES (1, 1, 'person', 2, '', '', 'en', 1, '{}', 'sent', 1, 0,"
    " '2025-03-03', '2025-03-03', '2025-03-03')",
    "INSERT INTO outbox_events (outbox_id, from_status, to_status, reason, at)"
    " VALUES (1, 'sending', 'sent', '', '2025-03-03')",
)
