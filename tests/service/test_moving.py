"""Moving a program to another database: all of it, the same, resumable, and the source untouched."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import func, insert, select, text, update

from nudges.cli.move import move
from nudges.db import make_engine, make_sessions
from nudges.ledger import record
from nudges.models.family import Family, Parent
from nudges.models.messages import Inbound
from nudges.models.program import Heartbeat, Program
from nudges.models.safety import LedgerEntry
from nudges.upkeep import copying
from nudges.upkeep.copying import CopyError
from tests.conftest import ROOT, empty
from tests.support import factories

MANY = 4000


@pytest.fixture
def source(tmp_path, sqlite_template, now):
    """A program on SQLite with families, texts and a ledger of some length."""
    path = tmp_path / "source.sqlite3"
    shutil.copy(sqlite_template, path)
    engine = make_engine(f"sqlite:///{path}")
    with make_sessions(engine).begin() as session:
        fill(session, now)
    engine.dispose()
    return path


def fill(session, now):
    people = factories.people(session, now=now)
    parent = factories.a_parent(session, people.family, now=now, name="Zoë Invented", sequences=("TALK",))
    factories.a_text(session, parent, now=now)
    rows = [
        {
            "provider_id": f"SM{n}",
            "from_number": parent.phone,
            "from_index": parent.phone_index,
            "to_number": factories.SENDER,
            "body": f"answer {n} — ¿sí?",
            "parent_id": parent.id,
            "screening": {"level": "ordinary", "score": n / 7, "why": ["é", None]},
            "at": now + timedelta(seconds=n, microseconds=n),
        }
        for n in range(MANY)
    ]
    session.execute(insert(Inbound), rows)


@pytest.fixture
def postgres(postgres_engine):
    """The URL of a migrated, empty PostgreSQL."""
    yield postgres_engine.url.render_as_string(hide_password=False)
    with postgres_engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS move_progress"))
    empty(postgres_engine)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(source, target, *words, **options):
    return CliRunner().invoke(move, ["--from", f"sqlite:///{source}", "--to", target, *words], **options)


def test_everything_arrives_and_the_source_is_byte_for_byte_as_it_was(source, postgres, now):
    before = digest(source)
    answer = run(source, postgres)
    assert answer.exit_code == 0, answer.output
    assert digest(source) == before and "the same on both sides" in answer.output
    engine = make_engine(postgres)
    with make_sessions(engine)() as session:
        parent = session.scalars(select(Parent)).one()
        assert parent.name == "Zoë Invented" and parent.phone_index == factories.index_of(parent.phone)
        assert session.scalar(select(func.count()).select_from(Inbound)) == MANY
        assert record.verify(session) == []
        assert session.scalars(select(Inbound).where(Inbound.provider_id == "SM3")).one().screening["score"] == 3 / 7
    engine.dispose()


def test_the_next_ids_come_after_the_last_ones(source, postgres, now):
    assert run(source, postgres).exit_code == 0
    engine = make_engine(postgres)
    with make_sessions(engine).begin() as session:
        program = session.scalars(select(Program)).one()
        family = Family(program_id=program.id, code="F-9", created_at=now)
        session.add(family)
        record.append(session, at=now, actor="system", action="test")
        session.flush()
        assert family.id == 2 and record.verify(session) == []
    engine.dispose()


def test_there_and_back_again_is_the_same_program(source, postgres, tmp_path):
    back = tmp_path / "back" / "again.sqlite3"
    assert run(source, postgres).exit_code == 0
    answer = CliRunner().invoke(move, ["--from", postgres, "--to", f"sqlite:///{back}"])
    assert answer.exit_code == 0, answer.output
    with (
        copying.open_source(f"sqlite:///{source}").connect() as one,
        copying.open_source(f"sqlite:///{back}").connect() as two,
    ):
        for table in copying.tables():
            assert copying.fingerprint(one, table) == copying.fingerprint(two, table), table.name


def test_a_copy_that_was_killed_goes_on_where_it_stopped(source, postgres):
    words = [sys.executable, "-m", "nudges", "move", "--from", f"sqlite:///{source}", "--to", postgres]
    process = subprocess.Popen(words, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True)
    engine = make_engine(postgres)
    for line in process.stdout:
        if line.startswith("inbound:"):
            break
    copied = 0
    while not 0 < copied < MANY:
        with engine.connect() as connection:
            copied = connection.scalar(text("SELECT count(*) FROM inbound"))
        assert process.poll() is None or copied == MANY, "it ended before it copied"
        if copied == MANY:
            pytest.skip("this machine copied all of it between two looks")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with engine.connect() as connection:
        left = connection.scalar(text("SELECT count(*) FROM inbound"))
        assert connection.scalar(text("SELECT count(*) FROM move_progress")) > 1
    engine.dispose()
    answer = run(source, postgres)
    assert answer.exit_code == 0, answer.output
    assert left == MANY or "inbound: 4000 rows, going on" in answer.output


def test_a_target_that_is_not_empty_is_refused(source, postgres):
    assert run(source, postgres).exit_code == 0
    answer = run(source, postgres)
    assert answer.exit_code == 1 and "not empty" in answer.output


def test_the_beginning_of_another_programs_copy_is_refused(source, postgres, tmp_path):
    engine = make_engine(postgres)
    with copying.open_source(f"sqlite:///{source}").connect() as connection:
        copying._begin(connection, engine)
    other = tmp_path / "other.sqlite3"
    shutil.copy(source, other)
    with make_engine(f"sqlite:///{other}").begin() as connection:
        connection.execute(text("UPDATE programs SET name = 'Somebody else'"))
    answer = run(other, postgres)
    engine.dispose()
    assert answer.exit_code == 1 and "another program" in answer.output


def test_a_source_that_changed_between_two_runs_shows(source, postgres, now):
    engine, target = make_engine(f"sqlite:///{source}"), make_engine(postgres)
    with copying.open_source(f"sqlite:///{source}").connect() as connection:
        copying._begin(connection, target)
        for table in copying.tables():
            copying._copy_table(connection, target, table, lambda words: None)
    with engine.begin() as connection:
        connection.execute(update(Family).values(code="F-77"))
    answer = run(source, postgres)
    assert answer.exit_code == 1 and "families differs" in answer.output
    engine.dispose()
    target.dispose()


def test_a_ledger_that_was_tampered_with_shows(source, postgres):
    engine = make_engine(f"sqlite:///{source}")
    with engine.begin() as connection:
        connection.execute(update(LedgerEntry).where(LedgerEntry.id == 1).values(actor="staff:9"))
    engine.dispose()
    answer = run(source, postgres)
    assert answer.exit_code == 1 and "ledger does not agree" in answer.output


def test_a_service_at_work_on_the_source_stops_the_move_unless_forced(source, postgres):
    engine = make_engine(f"sqlite:///{source}")
    from nudges.clock import SystemClock

    with make_sessions(engine).begin() as session:
        session.add(Heartbeat(duty="plan", at=SystemClock().now(), detail={}))
    engine.dispose()
    answer = run(source, postgres)
    assert answer.exit_code == 1 and "Stop serve" in answer.output
    assert run(source, postgres, "--force").exit_code == 0


def test_the_source_cannot_be_written(source):
    with copying.open_source(f"sqlite:///{source}").connect() as connection:
        with pytest.raises(Exception, match="readonly"):
            connection.execute(text("UPDATE programs SET name = 'x'"))


@pytest.mark.parametrize(
    ("to", "says"),
    [("mysql://x", "should look like"), ("postgresql://nobody@127.0.0.1:1/none", "stopped")],
    ids=["kind", "unreachable"],
)
def test_a_target_that_is_none_is_a_sentence(source, to, says):
    answer = run(source, to)
    assert answer.exit_code == 1 and says in answer.output


def test_no_database_at_all_is_a_sentence(tmp_path):
    with pytest.raises(CopyError, match="no database at"):
        copying.open_source(f"sqlite:///{tmp_path}/none.sqlite3")


def test_every_table_is_copied():
    assert {table.name for table in copying.tables()} == set(copying.Base.metadata.tables)
