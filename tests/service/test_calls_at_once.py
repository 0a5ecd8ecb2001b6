"""Calls side by side: as many as the pace needs, never more than the pace, nothing open while they last."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from nudges.channels.base import Action, ChannelError
from nudges.channels.fake import FakeChannel
from nudges.clock import SystemClock
from nudges.families import care
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.outbound import lanes, sender
from tests.support.factories import LIBRARY, a_parent, a_program, a_text


class MeetingChannel(FakeChannel):
    """Each call lasts until `together` of them are under way; it counts how many were."""

    def __init__(self, clock, together):
        super().__init__(clock)
        self.together, self.under_way, self.most = together, 0, 0
        self.changed = threading.Condition()
        self.watch = lambda: None

    def send(self, outgoing):
        with self.changed:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= self.together, timeout=10)
            self.watch()
            accepted = super().send(outgoing)
            self.under_way -= 1
        return accepted


@pytest.fixture
def lane_id(sessions, people):
    with sessions() as session:
        return session.scalars(select(Lane.id)).one()


@pytest.fixture
def queue_texts(sessions, people, now):
    def run(number):
        with sessions.begin() as session:
            parents = [a_parent(session, people.family, now=now) for _ in range(number)]
            for parent in parents:
                a_text(session, parent, now=now)
            return [parent.id for parent in parents]

    return run


def give_pace(sessions, segments_per_second):
    with sessions.begin() as session:
        pace = segments_per_second
        session.execute(update(Lane).values(segments_per_second=pace, tokens=pace, tokens_at=None))


def statuses(sessions):
    with sessions() as session:
        return dict(session.execute(select(Outbox.status, func.count()).group_by(Outbox.status)).all())


@pytest.mark.parametrize(
    ("pace", "calls"),
    [(1, 1), (4, 1), (10, 3), (100, 25), (225, 50)],
    ids=["one a second", "four", "ten", "a hundred", "the most there is"],
)
def test_a_lane_makes_as_many_calls_at_once_as_its_pace_needs(pace, calls):
    assert sender.calls_at_once(pace) == calls


def test_calls_are_made_side_by_side_and_settled_together(sessions, lane_id, clock, queue_texts):
    give_pace(sessions, 100)
    queue_texts(8)
    channel = MeetingChannel(clock, together=8)
    assert sender.drain(sessions, channel, lane_id, clock=clock, owner="tests", library=LIBRARY).handed_over == 8
    assert channel.most == 8
    assert statuses(sessions) == {"accepted": 8}


def test_never_more_calls_at_once_than_the_lane_may_make(sessions, lane_id, clock, queue_texts):
    give_pace(sessions, 100)
    queue_texts(8)
    channel = MeetingChannel(clock, together=3)
    sender.drain(sessions, channel, lane_id, clock=clock, owner="tests", at_once=3, library=LIBRARY)
    assert channel.most == 3
    assert statuses(sessions) == {"accepted": 8}


def test_no_session_is_open_while_calls_are_under_way(sessions, engine, lane_id, clock, queue_texts):
    give_pace(sessions, 100)
    queue_texts(4)
    channel = MeetingChannel(clock, together=4)
    open_then = []
    channel.watch = lambda: open_then.append(engine.pool.checkedout())
    sender.drain(sessions, channel, lane_id, clock=clock, owner="tests", library=LIBRARY)
    # The first to return is watched while all stand in their calls; later ones while it is being settled.
    assert open_then[0] == 0


def test_a_refusal_that_asks_for_rest_begins_no_further_call(sessions, lane_id, clock, queue_texts):
    give_pace(sessions, 100)
    queue_texts(6)
    channel = FakeChannel(clock)
    channel.accept_next()
    channel.refuse_next(ChannelError("slow down", permanent=False, code="20429", action=Action.RETRY_BACKOFF))
    sender.drain(sessions, channel, lane_id, clock=clock, owner="tests", at_once=1, library=LIBRARY)
    assert len(channel.sent) == 1
    assert statuses(sessions) == {"accepted": 1, "queued": 5}


def test_an_answer_that_never_came_begins_no_further_call(sessions, lane_id, clock, queue_texts):
    give_pace(sessions, 100)
    queue_texts(4)
    channel = FakeChannel(clock)
    channel.lose_next()
    sender.drain(sessions, channel, lane_id, clock=clock, owner="tests", at_once=1, library=LIBRARY)
    assert statuses(sessions) == {"unknown": 1, "queued": 3}


class Cut(Exception):
    """No answer that a channel knows."""


def test_a_call_that_breaks_leaves_its_text_to_reconciliation_and_gives_the_others_back(
    sessions, lane_id, clock, queue_texts
):
    give_pace(sessions, 100)
    queue_texts(4)
    channel = FakeChannel(clock)
    send = channel.send

    def break_second(outgoing):
        if len(channel.sent) == 1:
            raise Cut
        return send(outgoing)

    channel.send = break_second
    with pytest.raises(Cut):
        sender.drain(sessions, channel, lane_id, clock=clock, owner="tests", at_once=1, library=LIBRARY)
    assert statuses(sessions) == {"accepted": 1, "sending": 1, "queued": 2}
    with sessions() as session:
        assert session.get(Lane, lane_id).owner is None


def test_a_stop_between_claim_and_call_is_obeyed(sessions, lane_id, clock, queue_texts):
    give_pace(sessions, 100)
    ids = queue_texts(3)
    channel = FakeChannel(clock)
    send = channel.send

    def slow_send(outgoing):
        accepted = send(outgoing)
        if len(channel.sent) == 1:
            with sessions.begin() as session:
                care.opt_out(session, session.get(Parent, ids[1]), how="STOP", now=clock.now())
            clock.move(seconds=2)
        return accepted

    channel.send = slow_send
    for _ in range(2):  # given back first, and ended when its turn comes again
        sender.drain(sessions, channel, lane_id, clock=clock, owner="tests", at_once=1, library=LIBRARY)
    assert len(channel.sent) == 2
    assert statuses(sessions) == {"accepted": 2, "cancelled": 1}


def test_the_lease_is_renewed_while_a_call_takes_its_time(sessions, lane_id, clock, queue_texts):
    queue_texts(1)
    channel = FakeChannel(clock)
    send = channel.send
    renewed = []

    def endless_send(outgoing):
        clock.at += lanes.LEASE * 0.9
        for _ in range(100):
            with sessions() as session:
                renewed.append(session.get(Lane, lane_id).lease_until > clock.now() + lanes.LEASE / 2)
            if renewed[-1]:
                break
            time.sleep(0.05)
        return send(outgoing)

    channel.send = endless_send
    assert sender.drain(sessions, channel, lane_id, clock=clock, owner="tests", library=LIBRARY).handed_over == 1
    assert renewed[-1]


def test_restarts_do_not_make_a_lane_faster_than_its_pace(sessions, lane_id, clock, queue_texts):
    """A process that comes back finds the bucket as it was left."""
    give_pace(sessions, 5)
    queue_texts(30)
    channel = FakeChannel(clock)
    began = clock.now()
    for start in range(8):
        run = {"owner": f"start {start}", "stay_seconds": 0.5, "sleep": clock.sleep}
        sender.drain(sessions, channel, lane_id, clock=clock, library=LIBRARY, **run)
    seconds = (clock.now() - began).total_seconds()
    burst = 5 * lanes.BURST_SECONDS
    assert 15 <= len(channel.sent) <= 5 * seconds + max(1, burst)


def test_no_second_holds_more_than_the_pace_whatever_restarts_come(sessions, lane_id, clock, queue_texts):
    """A rested lane may begin with a burst; that counts within the second like everything else."""
    give_pace(sessions, 50)
    queue_texts(110)
    channel = FakeChannel(clock)
    send, moments = channel.send, []

    def noted(outgoing):
        moments.append(clock.now())
        return send(outgoing)

    channel.send = noted
    for start in range(4):
        run = {"owner": f"start {start}", "stay_seconds": 0.6, "sleep": clock.sleep}
        sender.drain(sessions, channel, lane_id, clock=clock, library=LIBRARY, **run)
    in_a_second = [sum(first <= at < first + timedelta(seconds=1) for at in moments) for first in moments]
    assert max(in_a_second) <= 50
    assert len(moments) >= 80, "and the pace is used"


def test_two_lanes_drain_side_by_side(sessions, people, lane_id, queue_texts, now):
    """A lane whose provider is slow holds no other one up, nor does one that fails."""
    with sessions.begin() as session:
        other = a_program(session, now=now, name="Hillside", sender="+13125550109", shipped={})
        other_id = session.scalars(select(Lane.id).where(Lane.program_id == other.id)).one()
        text = a_text(session, a_parent(session, people.family, now=now), now=now)
        text.lane_id = other_id
    queue_texts(1)
    clock = SystemClock()
    with sessions.begin() as session:
        session.execute(update(Outbox).values(not_before=clock.now(), expires_at=clock.now() + (lanes.LEASE * 900)))
    channel = MeetingChannel(clock, together=2)
    run = {"clock": clock, "owner": "tests", "library": LIBRARY}
    threads = [
        threading.Thread(target=sender.drain, args=(sessions, channel, id_), kwargs=run) for id_ in (lane_id, other_id)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert channel.most == 2
    assert statuses(sessions) == {"accepted": 2}
