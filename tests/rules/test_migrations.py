"""Migrations prove themselves on both databases."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, make_url, text

from nudges.db import make_engine
from tests.conftest import ROOT, migrate


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
    config = Config(str(ROOT / "alembic.ini"))
    config.attributes["url"] = fresh_url
    command.check(config)
    engine.dispose()


def test_there_is_one_head():
    assert len(ScriptDirectory(str(ROOT / "migrations")).get_heads()) == 1
