"""Backups: made beside a running service, tried before they are needed, and nothing is sent twice after one is put back."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from nudges.channels.fake import FakeChannel
from nudges.cli import backup as commands
from nudges.db import Cipher, make_engine, make_sessions, use_cipher
from nudges.engine import ticks
from nudges.families import care
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Heartbeat, Lane
from nudges.models.safety import Task
from nudges.outbound import planner
from nudges.outbound.send_check import SendCheck
from nudges.outbox import queue
from nudges.outbox.status import ACCEPTED, SENT, TERMINAL
from nudges.upkeep import backups, restoring
from tests.support import factories

AT_REST = TERMINAL | {ACCEPTED, SENT}

PRIVATE = {"phone_seen_by": "private"}  # said at enrolment, so nothing waits for the answer


@pytest.fixture
def story(sessions, people, now):
    """Two parents in several sequences."""
    with sessions.begin() as session:
        family = session.merge(people.family)
        parents = [
            factories.a_parent(session, family, now=now, sequences=keys, name=f"{name} Invented", profile=PRIVATE)
            for name, keys in (("Rosa", ("TALK", "DRIVE")), ("Luis", ("DRIVE",)))
        ]
        for parent in parents:
            care.set_key_date(session, parent, "session", 1, now + timedelta(days=4, hours=1), now=now)
        return [parent.phone for parent in parents]


def live(wiring, clock, until, *, hours=2):
    while clock.now() < until:
        ticks.run_all(wiring)
        clock.move(hours=hours)
    ticks.run_all(wiring)


def make(wiring, tmp_path, clock, name="backup.sqlite3"):
    url = wiring.engine.url.render_as_string(hide_password=False)
    return backups.make(url, tmp_path / name, now=clock.now())


def put_back(wiring, made, tmp_path):
    """The service on a copy of the backup."""
    path = tmp_path / "restored.sqlite3"
    shutil.copy(made.path, path)
    engine = make_engine(f"sqlite:///{path}")
    return replace(wiring, engine=engine, sessions=make_sessions(engine))


def sent(channel) -> Counter:
    return Counter((text.to, text.body) for text in channel.sent)


def statuses(lines):
    return {line.name: line.status for line in lines}


def test_a_backup_can_be_restored_and_says_so(wiring, story, clock, tmp_path):
    live(wiring, clock, clock.now() + timedelta(days=1))
    made = make(wiring, tmp_path, clock)
    lines = list(backups.check(made.path))
    assert {line.status for line in lines} == {"ok"}, lines
    assert "2 parents" in next(line.words for line in lines if line.name == "rows")
    assert made.path.stat().st_mode & 0o077 == 0, "nobody but its owner reads it"
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == ["backup.sqlite3"]
    with wiring.sessions() as session:
        assert session.get(Heartbeat, backups.DUTY).at == clock.now()
        assert record.head(session) == made.ledger_head
        assert session.scalars(select(Lane.paused_until)).all() == [None], "the program itself goes on"


def test_checking_a_backup_does_not_change_it(wiring, story, clock, tmp_path):
    made = make(wiring, tmp_path, clock)
    before = made.path.read_bytes()
    list(backups.check(made.path))
    assert made.path.read_bytes() == before


def test_other_keys_show(wiring, story, clock, tmp_path):
    made = make(wiring, tmp_path, clock)
    use_cipher(Cipher((b"x" * 32,), b"i" * 32))
    assert statuses(backups.check(made.path))["keys"] == "fail"
    use_cipher(Cipher((b"x" * 32, b"t" * 32), b"y" * 32))
    assert statuses(backups.check(made.path)) | {} == {
        **statuses(backups.check(made.path)),
        "keys": "ok",
        "index key": "fail",
    }


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        ("UPDATE ledger SET actor = 'staff:9' WHERE id = 1", "ledger"),
        ("DELETE FROM families", "file"),
        ("UPDATE alembic_version SET version_num = '9999'", "migrations"),
        ("DROP TABLE alembic_version", "migrations"),
        ("UPDATE parents SET name = 'v1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'", "keys"),
    ],
    ids=["ledger", "orphans", "newer", "no tables", "sealed"],
)
def test_what_is_wrong_with_a_backup_is_said(wiring, story, clock, tmp_path, harm, name):
    made = make(wiring, tmp_path, clock)
    with closing(sqlite3.connect(made.path)) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute(harm)
        connection.commit()
    assert statuses(backups.check(made.path))[name] == "fail"


@pytest.mark.parametrize(
    "damage", [b"not a database at all, but long enough to look like a file" * 40, b""], ids=["text", "empty"]
)
def test_a_file_that_is_no_backup_is_a_line(damage, tmp_path):
    path = tmp_path / "b.sqlite3"
    path.write_bytes(damage)
    assert "fail" in {line.status for line in backups.check(path)}


def test_a_backup_sends_nothing_until_somebody_has_looked(wiring, story, clock, tmp_path):
    made = make(wiring, tmp_path, clock)
    other = put_back(wiring, made, tmp_path)
    live(other, clock, clock.now() + timedelta(days=2), hours=4)
    assert wiring.channel.sent == []
    with other.sessions() as session:
        assert "nudges restored" in session.scalars(select(Lane.paused_reason)).one()


@pytest.mark.parametrize(
    "lost_for", [timedelta(hours=3), timedelta(days=1), timedelta(days=3)], ids=["3 h", "1 d", "3 d"]
)
@pytest.mark.parametrize("made_after", [timedelta(0), timedelta(hours=30)], ids=["at first", "later"])
def test_after_an_older_backup_is_put_back_no_parent_gets_a_step_twice(
    wiring, story, clock, tmp_path, made_after, lost_for
):
    live(wiring, clock, clock.now() + made_after)
    made = make(wiring, tmp_path, clock)
    known = len(wiring.channel.sent)
    with wiring.sessions() as session:  # one may have gone out at the backup's very instant
        known_ids = set(session.scalars(select(Outbox.provider_id)))
    live(wiring, clock, clock.now() + lost_for)  # what happens here is lost
    before = sent(wiring.channel)
    lost = len(wiring.channel.sent) - known
    assert lost or (made_after and lost_for < timedelta(days=1)), "the story must send something in the gap"
    other = put_back(wiring, made, tmp_path)
    with other.sessions() as session:
        gap = restoring.gap_of(session, clock.now())
    done = restoring.settle(other.sessions, gap, library=other.library, by="system:restored")
    assert done.texts >= lost
    for _ in range(6):  # the looks of reconciliation
        ticks.run_all(other)
        clock.move(seconds=70)
    assert sent(wiring.channel) == before, "nothing goes out while it is being looked up"
    live(other, clock, clock.now() + timedelta(days=7), hours=4)
    doubled = {key: count for key, count in sent(wiring.channel).items() if count > 1}
    assert doubled == {}
    assert len(wiring.channel.sent) > sum(before.values()), "and the program goes on"
    with other.sessions() as session:
        rows = session.scalars(select(Outbox)).all()
        adopted = [row for row in rows if row.provider_id not in known_ids | {None} and row.attempted_at == gap.since]
        assert len(adopted) == lost, "what the provider lists counts as sent"
        assert {row.status for row in rows if row.created_at <= gap.until} <= AT_REST, "nothing is stuck"
        assert record.verify(session) == []
        assert session.scalars(select(Task).where(Task.kind == "restored")).one().priority == 1
        assert session.get(Heartbeat, backups.MARK) is None


def test_restored_twice_is_harmless(wiring, story, clock, tmp_path):
    made = make(wiring, tmp_path, clock)
    live(wiring, clock, clock.now() + timedelta(hours=4))
    other = put_back(wiring, made, tmp_path)
    for _ in range(2):
        with other.sessions() as session:
            gap = restoring.gap_of(session, clock.now())
        restoring.settle(other.sessions, gap, library=other.library, by="system:restored")
    live(other, clock, clock.now() + timedelta(days=1))
    assert max(sent(wiring.channel).values()) == 1


def test_what_the_provider_does_not_list_is_given_up_not_sent(wiring, story, clock, tmp_path):
    made = make(wiring, tmp_path, clock)
    other = replace(put_back(wiring, made, tmp_path), channel=FakeChannel(clock))
    clock.move(hours=3)
    with other.sessions() as session:
        gap = restoring.gap_of(session, clock.now())
    done = restoring.settle(other.sessions, gap, library=other.library, by="system:restored")
    for _ in range(6):
        ticks.run_all(other)
        clock.move(seconds=70)
    with other.sessions() as session:
        given_up = session.scalars(select(Outbox).where(Outbox.status == "failed")).all()
        assert len(given_up) == done.texts and "not sent again" in given_up[0].status_reason
        anew = session.scalars(select(Outbox).where(Outbox.id.not_in([row.id for row in given_up]))).all()
        assert {row.step_id for row in anew} <= {"ON-1"}, "only the welcome, before which nothing may go"


def test_an_empty_database_has_nothing_to_restore(sessions, now):
    with sessions() as session, pytest.raises(restoring.NotRestored, match="empty"):
        restoring.gap_of(session, now)


# ---------------------------------------------------------------- the commands


@pytest.fixture
def run(wiring, monkeypatch, tmp_path):
    url = wiring.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("NUDGES_DATABASE_URL", url.replace("+psycopg", ""))
    monkeypatch.setenv("NUDGES_ENCRYPTION_KEYS", "dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHQ=")
    monkeypatch.setenv("NUDGES_INDEX_KEY", "aWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWk=")
    monkeypatch.chdir(tmp_path)
    return lambda command, *words: CliRunner().invoke(command, [str(word) for word in words])


def test_backup_check_and_keep_from_the_command_line(run, story, tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "nudges-20240101-000000.sqlite3").write_bytes(b"old")
    (folder / "nudges-mine.sqlite3").write_bytes(b"not ours")
    answer = run(commands.backup, "--to", folder, "--keep", 1)
    assert answer.exit_code == 0, answer.output
    made = sorted(path for path in folder.iterdir() if path.stat().st_size > 100)
    assert len(made) == 1 and (folder / "nudges-mine.sqlite3").exists()
    assert not (folder / "nudges-20240101-000000.sqlite3").exists()
    check = run(commands.restore_check, made[0])
    assert check.exit_code == 0 and "fail" not in check.output, check.output


def test_a_backup_is_never_written_over_a_file(run, story, tmp_path):
    path = tmp_path / "b.sqlite3"
    assert run(commands.backup, "--to", path).exit_code == 0
    answer = run(commands.backup, "--to", path)
    assert answer.exit_code == 1 and "there already" in answer.output


def test_a_name_with_a_slash_behind_is_a_folder_also_before_it_is_there(run, story, tmp_path):
    """`--to newdir/` wrote a file of that name, in which the next night's backup would have found no room."""
    answer = run(commands.backup, "--to", f"{tmp_path}/newdir/")
    assert answer.exit_code == 0, answer.output
    (made,) = (tmp_path / "newdir").iterdir()
    assert made.name.startswith("nudges-") and made.suffix == ".sqlite3"


def test_restored_says_what_it_did(run, story, wiring):
    answer = run(commands.restored, "--since", "2025-03-03T15:00Z")
    assert answer.exit_code == 0, answer.output
    assert "is from 2025-03-03 15:00" in answer.output
    assert run(commands.restored, "--since", "yesterday").exit_code == 1


def test_a_name_is_nowhere_in_a_backup(wiring, story, clock, tmp_path):
    raw = make(wiring, tmp_path, clock).path.read_bytes()
    assert b"Invented" not in raw and story[0].encode() not in raw
    with wiring.sessions() as session:
        assert session.scalars(select(Parent)).first().name.endswith("Invented")


# ---------------------------------------------------------------- the welcome


def steps(session):
    rows = session.scalars(select(Outbox).where(Outbox.status.in_((ACCEPTED, SENT, "delivered"))).order_by(Outbox.id))
    return [(row.step_id, row.cycle) for row in rows]


@pytest.mark.parametrize("stood", ["queued", "sending"])
def test_a_welcome_that_the_backup_had_on_its_way_goes_again_before_anything_else(wiring, people, clock, stood):
    """139 families once got "Who sees this phone?" as their first text."""
    with wiring.sessions.begin() as session:
        factories.a_parent(session, session.merge(people.family), now=clock.now(), sequences=("TALK",))
    welcome = None
    while welcome is None:
        clock.move(minutes=30)
        planner.plan_due(wiring.sessions, now=clock.now(), library=wiring.library)
        with wiring.sessions.begin() as session:
            welcome = session.scalar(select(Outbox).where(Outbox.step_id.is_not(None)))
            if welcome is not None and stood == "sending":
                words = SendCheck(session, [welcome], library=wiring.library, now=clock.now()).words_then(welcome)
                claim = queue.Claim(row=welcome, to=welcome.to, words=words)
                queue.claim(session, [claim], claimed_by="lost", now=clock.now())
    gap = restoring.Gap(since=clock.now(), until=clock.move(hours=30))
    restoring.settle(wiring.sessions, gap, library=wiring.library, by="system:restored")
    live(wiring, clock, clock.now() + timedelta(minutes=10), hours=0.02)
    live(wiring, clock, clock.now() + timedelta(days=1), hours=1)
    with wiring.sessions() as session:
        assert session.get_one(Outbox, welcome.id).status == "failed"
        first, cycle = steps(session)[0]
        assert (first, cycle > 1) == (welcome.step_id, True)
