"""The ledger: nothing is removed, nothing is changed, whoever writes at the same time."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import delete, select, update

from nudges.ledger import record
from nudges.models.safety import LedgerEntry


def _append(session, now, action="parent.paused", **values):
    record.append(session, at=now, actor="staff:1", action=action, **values)
    return session.scalars(select(LedgerEntry).order_by(LedgerEntry.id.desc()).limit(1)).one()


def test_each_entry_carries_the_hash_of_the_one_before(session, now):
    first = _append(session, now, details={"until": None})
    second = _append(session, now)
    assert first.previous_hash == record.GENESIS
    assert second.previous_hash == first.hash
    assert record.verify(session) == []
    assert record.head(session) == second.hash


@pytest.mark.parametrize(
    "values",
    [{"actor": "staff:2"}, {"action": "parent.resumed"}, {"details": {"until": "never"}}, {"subject": "outbox:1"}],
    ids=lambda values: next(iter(values)),
)
def test_a_changed_entry_shows(session, now, values):
    entries = [_append(session, now, details={"until": None}) for _ in range(3)]
    session.execute(update(LedgerEntry).where(LedgerEntry.id == entries[1].id).values(**values))
    assert record.verify(session) == [f"entry {entries[1].id}: its content was changed after it was written"]


def test_a_removed_entry_shows(session, now):
    entries = [_append(session, now) for _ in range(3)]
    session.execute(delete(LedgerEntry).where(LedgerEntry.id == entries[1].id))
    assert record.verify(session) == [f"entry {entries[2].id}: an entry before it was removed or added"]


def test_an_entry_reads_back_as_it_was_hashed_in_another_process(sessions, now):
    with sessions.begin() as session:
        _append(session, now, details={"when": now.isoformat(), "many": [1, 2.5, None, "é"]})
    with sessions() as session:
        assert record.verify(session) == []


def test_twelve_writers_at_once_make_one_chain(sessions, now):
    ready = threading.Barrier(12)
    failures = []

    def write():
        try:
            ready.wait()
            with sessions.begin() as session:
                _append(session, now)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with sessions() as session:
        assert len(session.scalars(select(LedgerEntry.id)).all()) == 12
        assert record.verify(session) == []


def test_entries_of_a_block_are_written_at_its_end_and_in_their_order(session, now):
    with record.gathered(session), record.gathered(session):
        for action in ("alert.raised", "hold.placed"):
            record.append(session, at=now, actor="system:screen", action=action)
        assert session.scalars(select(LedgerEntry)).all() == []
    _append(session, now)
    written = session.scalars(select(LedgerEntry.action).order_by(LedgerEntry.id)).all()
    assert written == ["alert.raised", "hold.placed", "parent.paused"]
    assert record.verify(session) == []


def test_a_block_that_fails_leaves_no_entry_and_no_trace(session, now):
    with pytest.raises(RuntimeError), record.gathered(session):
        _append_nothing_yet(session, now)
        raise RuntimeError("the text could not be handled")
    _append(session, now)
    assert session.scalars(select(LedgerEntry.action)).all() == ["parent.paused"]


def _append_nothing_yet(session, now):
    record.append(session, at=now, actor="system:screen", action="alert.raised")
