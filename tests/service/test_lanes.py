"""Lanes: one drainer at a time on any number of machines, and what one that was replaced can still do: nothing."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

import nudges.clock
from nudges import wiring as composition
from nudges.alerts import paging
from nudges.channels.fake import FakeChannel
from nudges.clock import SharedClock
from nudges.db import make_engine, make_sessions
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.outbound import lanes, receipts, reconcile, sender
from nudges.outbound.rate_limit import Second
from nudges.outbox import queue
from tests.support.factories import LIBRARY, SetClock, a_claim, a_parent, a_text


@pytest.fixture
def lane_id(sessions, people):
    with sessions.begin() as session:
        session.execute(update(Lane).values(segments_per_second=225.0, tokens=225.0))
        return session.scalars(select(Lane.id)).one()


@pytest.fixture
def queue_texts(sessions, people, now):
    def run(number):
        with sessions.begin() as session:
            return [a_text(session, a_parent(session, people.family, now=now), now=now).id for _ in range(number)]

    return run


def statuses(sessions):
    with sessions() as session:
        return dict(session.execute(select(Outbox.status, func.count()).group_by(Outbox.status)).all())


def taken(sessions, lane_id, owner, now):
    with sessions.begin() as session:
        return lanes.take(session, lane_id, owner=owner, now=now)


class SlowChannel(FakeChannel):
    """The first call lasts until the test lets it end."""

    def __init__(self, clock):
        super().__init__(clock)
        self.calling, self.go_on = threading.Event(), threading.Event()

    def send(self, outgoing):
        if not self.calling.is_set():
            self.calling.set()
            assert self.go_on.wait(timeout=10)
        return super().send(outgoing)


@pytest.fixture
def slow(sessions, lane_id, clock):
    """A channel, and a process that drains the lane through it and is paused in the middle of a call: no clock ticks
    for it, so it does not renew its lease."""
    channel = SlowChannel(clock)
    standing = {"clock": SetClock(clock.now()), "owner": "paused", "library": LIBRARY}
    drainer = threading.Thread(target=sender.drain, args=(sessions, channel, lane_id), kwargs=standing)
    channel.drainer = drainer
    yield channel
    channel.go_on.set()
    drainer.join(timeout=10)


def test_a_lane_is_nobody_elses_until_its_lease_is_over(sessions, lane_id, now):
    first = taken(sessions, lane_id, "one", now)
    assert taken(sessions, lane_id, "two", now + lanes.LEASE - timedelta(seconds=0.1)) is None
    second = taken(sessions, lane_id, "two", now + lanes.LEASE)
    assert second.token == first.token + 1


def test_a_process_does_not_take_its_own_lane_a_second_time(sessions, lane_id, now):
    taken(sessions, lane_id, "one", now)
    assert taken(sessions, lane_id, "one", now) is None


def test_a_lane_that_was_given_back_is_free_at_once(sessions, lane_id, now):
    lease = taken(sessions, lane_id, "one", now)
    with sessions.begin() as session:
        lanes.release(session, lease)
    assert taken(sessions, lane_id, "two", now) is not None


def test_a_holder_that_is_stopped_in_a_transaction_keeps_nobody_from_its_lane(
    engine, sessions, lane_id, now, monkeypatch
):
    """Stopped, cut off or paused with its machine: PostgreSQL ends what it left open, and the next one goes on."""
    if engine.dialect.name != "postgresql":
        pytest.skip("a file has no machines that could be cut off from it")
    monkeypatch.setattr(lanes, "SILENT_MS", "200")
    stopped = make_engine(engine.url.render_as_string(hide_password=False))
    lease = taken(make_sessions(stopped), lane_id, "stopped", now)
    with make_sessions(stopped)() as holding, sessions.begin() as session:
        assert lanes.look_into(holding, lease, now=now) is not None  # it has the row, and says nothing more
        session.execute(text("SET LOCAL statement_timeout = '5s'"))
        assert lanes.take(session, lane_id, owner="next", now=now + lanes.LEASE) is not None
        with pytest.raises(DBAPIError):
            lanes.keep(holding, lease, tokens=0.0, now=now)
        holding.invalidate()
    stopped.dispose()


def test_a_bucket_from_before_the_clock_was_set_back_keeps_no_text_waiting(sessions, lane_id, queue_texts, clock):
    queue_texts(2)
    with sessions.begin() as session:
        ahead = clock.now() + timedelta(hours=1)
        session.execute(update(Lane).values(segments_per_second=2.0, tokens=-1.0, tokens_at=ahead))
        assert lanes.turns(session, clock.now()) == {lane_id: clock.now()}
    options = {"clock": clock, "owner": "me", "stay_seconds": 5.0, "sleep": clock.sleep}
    assert sender.drain(sessions, FakeChannel(clock), lane_id, library=LIBRARY, **options).handed_over == 2


def test_a_lease_from_before_the_clock_was_set_back_binds_nobody(sessions, lane_id, now):
    taken(sessions, lane_id, "one", now + timedelta(hours=1))
    assert taken(sessions, lane_id, "two", now) is not None


def test_what_a_dead_holder_was_sending_becomes_unknown_and_never_goes_again(
    sessions, lane_id, clock, channel, queue_texts
):
    queue_texts(3)
    with sessions.begin() as session:
        lease = lanes.take(session, lane_id, owner="dies", now=clock.now())
        for row in queue.ready(session, lane_id, now=clock.now(), limit=2):
            a_claim(session, row, claimed_by=lease.name, now=clock.now())
    clock.at += lanes.LEASE
    drained = sender.drain(sessions, channel, lane_id, clock=clock, owner="next", library=LIBRARY)
    assert drained.handed_over == 1
    assert statuses(sessions) == {"accepted": 1, "unknown": 2}
    assert reconcile.look(sessions, channel, clock=clock).given_up == 0, "a callback is given time to come first"
    for _ in range(2):
        clock.at += lanes.FIRST_LOOK
        reconcile.look(sessions, channel, clock=clock)
    sender.drain(sessions, channel, lane_id, clock=clock, owner="next", library=LIBRARY)
    assert statuses(sessions) == {"accepted": 1, "failed": 2}
    assert len(channel.sent) == 1


def test_a_replaced_holder_neither_sends_on_nor_settles_what_is_not_its_own(
    sessions, lane_id, clock, queue_texts, slow
):
    queue_texts(4)
    slow.drainer.start()
    assert slow.calling.wait(timeout=10)
    clock.at += lanes.LEASE
    late = queue_texts(2)
    assert sender.drain(sessions, slow, lane_id, clock=clock, owner="next", library=LIBRARY).handed_over == 2
    with sessions.begin() as session:
        held = lanes.take(session, lane_id, owner="next", now=clock.now())
        before = session.execute(select(Outbox.id, Outbox.provider_id).where(Outbox.id.in_(late))).all()
    slow.go_on.set()
    slow.drainer.join(timeout=10)
    assert not slow.drainer.is_alive()
    with sessions() as session:
        assert session.execute(select(Outbox.id, Outbox.provider_id).where(Outbox.id.in_(late))).all() == before
        lane = session.scalars(select(Lane)).one()
        assert (lane.owner, lane.token) == ("next", held.token), "it does not give back what is not its own"
    attempts = [text.attempt_id for text in slow.sent]
    assert len(attempts) == len(set(attempts))
    assert not {"queued", "sending"} & set(statuses(sessions))


def test_an_answer_that_comes_after_the_lane_was_lost_is_still_taken_in(sessions, lane_id, clock, queue_texts, slow):
    queue_texts(1)
    slow.drainer.start()
    assert slow.calling.wait(timeout=10)
    clock.at += lanes.LEASE
    taken(sessions, lane_id, "next", clock.now())
    assert statuses(sessions) == {"unknown": 1}
    slow.go_on.set()
    slow.drainer.join(timeout=10)
    assert statuses(sessions) == {"accepted": 1}


def test_a_drainer_whose_clock_stands_still_is_replaced_and_stops_at_its_next_batch(
    sessions, lane_id, channel, clock, queue_texts, now
):
    queue_texts(2)
    standing = SetClock(now)
    with sessions.begin() as session:
        old = lanes.take(session, lane_id, owner="standing", now=standing.now())
    clock.at += lanes.LEASE
    assert sender.drain(sessions, channel, lane_id, clock=clock, owner="next", library=LIBRARY).handed_over == 2
    with sessions.begin() as session:
        assert lanes.renew(session, old, now=standing.now()) is None
    assert len(channel.sent) == 2


def test_turns_say_when_each_lane_has_something_to_send(sessions, people, lane_id, clock, now):
    with sessions.begin() as session:
        assert lanes.turns(session, now) == {}
        parent = a_parent(session, people.family, now=now)
        a_text(session, parent, now=now, not_before=now + timedelta(minutes=3))
        a_text(session, parent, now=now, not_before=now + timedelta(minutes=5))
        session.flush()
        assert lanes.turns(session, now) == {lane_id: now + timedelta(minutes=3)}
        assert lanes.turns(session, now, lane_id=lane_id + 1) == {}
        session.execute(update(Lane).values(paused_until=now + timedelta(minutes=4)))
        assert lanes.turns(session, now) == {}


def test_a_page_needs_no_full_bucket_and_a_nudge_does(sessions, people, lane_id, now):
    with sessions.begin() as session:
        session.execute(update(Lane).values(segments_per_second=1.0, tokens=-20.0, tokens_at=now))
        parent = a_parent(session, people.family, now=now)
        a_text(session, parent, now=now)
        session.flush()
        assert lanes.turns(session, now) == {lane_id: now + timedelta(seconds=21)}
        a_text(session, parent, now=now, category="crisis_reply")
        session.flush()
        assert lanes.turns(session, now) == {lane_id: now}


def test_the_last_texts_of_a_dead_holder_are_looked_up_as_soon_as_its_lease_is_over(
    sessions, lane_id, clock, channel, queue_texts
):
    queue_texts(1)
    lease = taken(sessions, lane_id, "dies", clock.now())
    with sessions.begin() as session:
        (row,) = queue.ready(session, lane_id, now=clock.now(), limit=1)
        a_claim(session, row, claimed_by=lease.name, now=clock.now())
    with sessions() as session:
        turns = lanes.turns(session, clock.now())
    assert turns == {lane_id: clock.now() + lanes.LEASE}, "nothing is queued behind it"
    clock.at = turns[lane_id]
    sender.drain(sessions, channel, lane_id, clock=clock, owner="next", library=LIBRARY)
    assert statuses(sessions) == {"unknown": 1}
    with sessions() as session:
        assert lanes.turns(session, clock.now()) == {}, "the lane was given back"


def test_a_batch_is_found_claimed_and_settled_by_index_however_long_the_queue(
    sessions, engine, lane_id, clock, queue_texts
):
    if engine.dialect.name != "sqlite":
        pytest.skip("on SQLite how a statement runs does not depend on what the tables hold")
    queue_texts(2)
    asked = []

    def note(connection, cursor, statement, parameters, context, executemany):
        asked.append((statement, parameters[0] if executemany else parameters))

    event.listen(engine, "before_cursor_execute", note)
    sender.drain(sessions, FakeChannel(clock), lane_id, clock=clock, owner="me", library=LIBRARY)
    event.remove(engine, "before_cursor_execute", note)
    plans = {}
    with engine.connect() as connection:
        for statement, parameters in asked:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            plans[statement] = [row[3] for row in rows]
    queue = next(plan for statement, plan in plans.items() if "ORDER BY outbox.priority" in statement)
    assert queue[0].startswith("SEARCH outbox USING INDEX ix_outbox_ready")
    assert not [step for step in queue if "TEMP B-TREE" in step]
    moves = [plan for statement, plan in plans.items() if statement.startswith("UPDATE outbox")]
    assert len(moves) == 3, "what an earlier holder left, the claim, what was accepted"
    by_index = ("outbox USING INTEGER PRIMARY KEY", "outbox USING INDEX ix_outbox_unsettled")
    assert all(any(index in step for index in by_index for step in plan) for plan in moves), moves


def test_a_claim_reads_hardly_more_than_the_lane_may_send(sessions, lane_id, queue_texts, now, monkeypatch):
    queue_texts(30)
    ready, read = queue.ready, []

    def note(*args, **options):
        rows = ready(*args, **options)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(queue, "ready", note)
    with sessions.begin() as session:
        session.execute(update(Lane).values(tokens=10.0, tokens_at=now))
        lease = lanes.take(session, lane_id, owner="me", now=now)
        options = {"room": 50, "library": LIBRARY, "second": Second(225.0)}
        claimed = sender.claim(session, lease, now=now, **options)
    assert len(claimed.attempts) == 10
    assert claimed.is_more
    assert claimed.wait_seconds > 0
    assert read == [10 + sender.BESIDE_PAID]


def test_pages_beyond_what_is_looked_at_at_once_wait_for_no_token_either(
    sessions, people, lane_id, queue_texts, clock, channel
):
    pages = 3 * sender.BESIDE_PAID
    with sessions.begin() as session:
        parent = a_parent(session, people.family, now=clock.now())
        a_text(session, parent, now=clock.now())
        for _ in range(pages):
            a_text(session, parent, now=clock.now(), category="crisis_reply")
        session.execute(update(Lane).values(segments_per_second=1.0, tokens=0.0, tokens_at=clock.now()))
    sender.drain(sessions, channel, lane_id, clock=clock, owner="me", sleep=clock.sleep, library=LIBRARY)
    assert statuses(sessions) == {"accepted": pages, "queued": 1}


# ---------------------------------------------------------------- settled and claimed at once


@pytest.fixture
def in_pairs(sessions, lane_id, clock, channel, monkeypatch):
    """Drains the lane two texts at a time, one call after the other: each pair is settled with the next one's claim."""
    monkeypatch.setattr(sender, "BATCH", 2)

    def run():
        return sender.drain(
            sessions, channel, lane_id, clock=clock, owner="me", at_once=1, sleep=clock.sleep, library=LIBRARY
        )

    return run


def provider_ids(sessions, ids):
    with sessions() as session:
        return [session.get_one(Outbox, id_).provider_id for id_ in ids]


def test_what_has_come_back_is_settled_in_the_transaction_of_the_next_claim(engine, in_pairs, queue_texts, sessions):
    queue_texts(8)
    commits = itertools.count()

    def note(connection):
        next(commits)

    event.listen(engine, "commit", note)
    assert in_pairs().handed_over == 8
    event.remove(engine, "commit", note)
    assert statuses(sessions) == {"accepted": 8}
    # The lane is taken and given back; five claims, of which the last finds nothing; and the first of each pair comes
    # back while the second still waits for its call.
    assert next(commits) == 2 + 5 + 4


def test_what_the_provider_says_more_of_still_counts_among_those_that_are_sending(
    in_pairs, queue_texts, sessions, channel, monkeypatch
):
    queue_texts(6)
    send, settle_all, sending = channel.send, receipts.settle_all, []

    def count_and_settle(*args, **options):
        sending.append(statuses(sessions)["sending"])
        return settle_all(*args, **options)

    monkeypatch.setattr(channel, "send", lambda outgoing: replace(send(outgoing), status="sent"))
    monkeypatch.setattr(receipts, "settle_all", count_and_settle)
    assert in_pairs().handed_over == 6
    assert max(sending) == 2
    assert statuses(sessions) == {"sent": 6}


def test_a_claim_that_fails_takes_back_no_settlement(in_pairs, queue_texts, sessions, channel, monkeypatch):
    ids = queue_texts(4)
    claim, claims = sender.claim, itertools.count(1)

    def fails_later(*args, **values):
        claimed = claim(*args, **values)
        if next(claims) == 2:
            raise RuntimeError("the disk is full")
        return claimed

    monkeypatch.setattr(sender, "claim", fails_later)
    with pytest.raises(RuntimeError, match="the disk is full"):
        in_pairs()
    assert statuses(sessions) == {"accepted": 2, "queued": 2}
    assert provider_ids(sessions, ids[:2]) == [f"FK{n:032d}" for n in (1, 2)]
    assert in_pairs().handed_over == 2
    assert len({text.attempt_id for text in channel.sent}) == len(channel.sent) == 4


def test_an_answer_that_cannot_be_recorded_keeps_no_other_text_from_going(
    in_pairs, queue_texts, sessions, channel, monkeypatch
):
    ids = queue_texts(6)
    send, given = channel.send, iter(["one", "two", "three", "one", "five", "six"])
    monkeypatch.setattr(channel, "send", lambda outgoing: replace(send(outgoing), provider_id=next(given)))
    with pytest.raises(IntegrityError):
        in_pairs()
    in_pairs()
    assert provider_ids(sessions, ids) == ["one", "two", "three", None, "five", "six"]
    assert statuses(sessions)["accepted"] == 5


def test_what_holds_for_a_program_is_read_again_with_each_claim(
    sessions, people, in_pairs, queue_texts, channel, now, monkeypatch
):
    queue_texts(4)
    with sessions.begin() as session:
        session.execute(update(Outbox).values(step_id="ON-9"))
    send = channel.send

    def send_and_hold_the_step_back(outgoing):
        if len(channel.sent) == 1:
            with sessions.begin() as session:
                title = "Held back: carriers filter step ON-9 (version None)"
                paging.raise_system_alert(session, people.program.id, title=title, why="a test", now=now)
        return send(outgoing)

    monkeypatch.setattr(channel, "send", send_and_hold_the_step_back)
    in_pairs()
    assert len(channel.sent) == 2


@pytest.fixture
def beside(sessions, engine):
    """A transaction beside others, that waits for no lock."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one transaction at a time")
    with sessions.begin() as session:
        session.execute(text("SET LOCAL lock_timeout = '1ms'"))
        yield session


def test_who_queues_a_text_does_not_wait_for_a_lane_that_is_being_claimed(sessions, people, beside, lane_id, now):
    lease = taken(sessions, lane_id, "me", now)
    with sessions.begin() as session:
        assert lanes.look_into(session, lease, now=now) is not None
        assert a_text(beside, a_parent(beside, people.family, now=now), now=now).status == "queued"


def test_a_claim_does_not_wait_for_somebody_who_changes_the_lane(sessions, beside, lane_id, now):
    lease = taken(sessions, lane_id, "me", now)
    with sessions.begin() as session:
        assert lanes.pause(session, lane_id, until=now + timedelta(minutes=1), reason="a test")
        assert lanes.look_into(beside, lease, now=now) is None


# ---------------------------------------------------------------- one clock for all machines


class AnHourAhead(datetime):
    """What a machine says whose clock is wrong."""

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(hours=1)


@pytest.fixture
def wrong_machine(monkeypatch):
    monkeypatch.setattr(nudges.clock, "datetime", AnHourAhead)


def test_on_postgres_a_machine_whose_clock_is_wrong_tells_the_databases_time(postgres_engine, wrong_machine):
    clock = composition.shared_clock(postgres_engine)
    assert clock.now() > datetime.now(UTC) + timedelta(minutes=59), "nothing has been read yet"
    with postgres_engine.connect() as connection:
        database = connection.scalar(select(func.clock_timestamp()))
    assert abs(clock.now() - database) < timedelta(minutes=1)


def test_between_two_readings_the_seconds_are_counted_and_the_machines_clock_is_not_asked(now, wrong_machine):
    counted = [100.0]
    clock = SharedClock(lambda: counted[0])
    clock.read(now)
    assert not clock.is_due()
    counted[0] = 107.5
    assert clock.now() == now + timedelta(seconds=7.5)
    counted[0] = 110.0
    assert clock.is_due()


def test_two_machines_an_hour_apart_do_not_both_drain_a_lane(sessions, engine, lane_id, now, wrong_machine):
    right, wrong = SharedClock(lambda: 0.0), SharedClock(lambda: 0.0)
    right.read(now)
    wrong.read(now)  # the same database said it
    assert taken(sessions, lane_id, "right", right.now()) is not None
    assert taken(sessions, lane_id, "wrong", wrong.now()) is None
