"""Cleaning up: what has served its purpose goes, what may still be needed stays; and two releases side by side."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

from nudges.cli.main import main
from nudges.db import Cipher, make_engine, make_sessions
from nudges.engine import cleaning, ticks
from nudges.engine.embedded import EmbeddedEngine
from nudges.inbound.spool import DRAFT_LASTS, Spool
from nudges.inbound.spool import of as spool_of
from nudges.inbound.texts import IncomingText
from nudges.models.messages import Inbound, ProviderEvent
from nudges.upkeep import readiness, versions
from tests.support.workers import wait_for


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool", Cipher((b"t" * 32,), b"i" * 32))


def an_event(number, at):
    return ProviderEvent(provider_id=f"SM{number}", status="delivered", raw="{}", at=at)


def test_raw_callbacks_are_kept_for_thirty_days(sessions, now):
    with sessions.begin() as session:
        session.add_all(
            an_event(number, now - timedelta(days=days)) for number, days in enumerate((0, 29, 31, 32, 400))
        )
    assert cleaning.clean(sessions, now=now).provider_events == 3
    assert cleaning.clean(sessions, now=now).provider_events == 0
    with sessions() as session:
        assert session.scalars(select(ProviderEvent.provider_id).order_by(ProviderEvent.id)).all() == ["SM0", "SM1"]


def test_many_old_callbacks_go_in_batches(sessions, now, monkeypatch):
    monkeypatch.setattr(cleaning, "_BATCH", 2)
    with sessions.begin() as session:
        session.add_all(an_event(number, now - timedelta(days=40)) for number in range(5))
    assert cleaning.remove_raw_events(sessions, before=now) == 5


def a_text_on_disk(spool, at):
    incoming = IncomingText(
        provider_id="SM1", from_number="+13125550142", to_number="+13125550100", body="HELP", received_at=at
    )
    return spool.keep(incoming, at=at, was_answered=False)


def test_a_text_whose_file_was_whole_but_not_yet_named_is_found_again(spool, now):
    kept = a_text_on_disk(spool, now)
    kept.rename(kept.with_suffix(".part"))
    assert spool.rescue_drafts(now=now + DRAFT_LASTS / 2) == 0, "it may be being written"
    assert spool.rescue_drafts(now=now + 2 * DRAFT_LASTS) == 1
    assert spool.waiting() == [kept]
    assert spool.read(kept).incoming.body == "HELP"


def test_half_a_file_of_a_crash_goes(spool, now):
    kept = a_text_on_disk(spool, now)
    half = kept.rename(kept.with_suffix(".part"))
    half.write_text(half.read_text()[:40])
    assert spool.rescue_drafts(now=now + 2 * DRAFT_LASTS) == 1
    assert list(half.parent.iterdir()) == []


def test_a_machine_that_only_serves_pages_replays_its_own_spool(wiring, sessions, people, tmp_path, now):
    here = replace(wiring, settings=replace(wiring.settings, spool_dir=tmp_path / "spool"))
    incoming = IncomingText(
        provider_id="SM7", from_number="+13125550142", to_number="+13125550100", body="JOIN", received_at=now
    )
    spool_of(here.settings).keep(incoming, at=now, was_answered=False)
    engine = EmbeddedEngine()
    ticks.attach_spool(engine, here)
    engine.start()
    try:
        wait_for(lambda: not spool_of(here.settings).waiting(), what="the spool to be replayed")
    finally:
        engine.stop()
    with sessions() as session:
        assert session.scalars(select(Inbound.provider_id)).one() == "SM7"


# ---------------------------------------------------------------- two releases on one database


@pytest.fixture
def later_release(monkeypatch, tmp_path):
    """A database that a later release has migrated."""
    url = f"sqlite:///{tmp_path}/nudges.sqlite3"
    monkeypatch.setenv("NUDGES_DATABASE_URL", url)
    assert CliRunner().invoke(main, ["migrate"]).exit_code == 0
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    yield engine
    engine.dispose()


def test_an_older_release_starts_beside_a_newer_one_and_leaves_its_tables_alone(later_release):
    assert CliRunner().invoke(main, ["migrate"]).exit_code == 0
    with later_release.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_an_older_release_stays_ready_while_a_newer_one_is_brought_in(later_release, now):
    with make_sessions(later_release)() as session:
        checks = {check.name: check for check in readiness.readiness(session, now, expects_beats=False)}
    assert checks["migrations"].is_ok
    assert "later release" in checks["migrations"].words


@pytest.mark.parametrize("revision", [None, "0001", "0006"])
def test_what_this_release_knows_is_not_newer(revision):
    assert not versions.is_newer(revision)
