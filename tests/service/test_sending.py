"""Handing over: once, at the lane's pace, only while it may still go; what nobody knows is never sent again."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from nudges.alerts import raising
from nudges.channels.base import Action, ChannelError
from nudges.channels.fake import FakeChannel
from nudges.families import care, snapshots, staff
from nudges.models.family import Parent
from nudges.models.messages import Outbox, OutboxEvent
from nudges.models.program import Lane, Staff
from nudges.models.safety import Alert, AlertEvent, Task
from nudges.models.sequences import StepOutcome
from nudges.outbound import lanes, planner, reconcile, sender
from nudges.outbox import queue
from tests.support.factories import LIBRARY, a_parent, a_text


@pytest.fixture
def parent(sessions, people, now):
    with sessions.begin() as session:
        return a_parent(session, people.family, now=now)


@pytest.fixture
def lane_id(sessions, people):
    with sessions() as session:
        return session.scalars(select(Lane.id)).one()


@pytest.fixture
def drain(sessions, channel, lane_id, clock):
    def run(owner="tests", **options):
        return sender.drain(
            sessions, channel, lane_id, clock=clock, owner=owner, sleep=clock.sleep, library=LIBRARY, **options
        )

    return run


def planned(sessions, now):
    planner.plan_due(sessions, now=now, library=LIBRARY)
    with sessions() as session:
        return session.scalars(select(Outbox)).one()


def only_row(sessions):
    with sessions() as session:
        return session.scalars(select(Outbox)).one()


def refusal(action, code="21999", **values):
    return ChannelError("refused", permanent=False, code=code, action=action, **values)


def give_pace(sessions, segments_per_second):
    with sessions.begin() as session:
        session.execute(update(Lane).values(segments_per_second=segments_per_second))


def test_a_planned_nudge_reaches_the_phone_once(sessions, parent, now, drain, channel):
    planned(sessions, now)
    assert drain().handed_over == 1
    assert drain().handed_over == 0
    assert [text.to for text in channel.sent] == [parent.phone]
    row = only_row(sessions)
    assert (row.status, row.attempts) == ("accepted", 1)
    assert row.provider_id


def test_every_move_leaves_an_event(sessions, parent, now, drain):
    planned(sessions, now)
    drain()
    with sessions() as session:
        moves = session.execute(select(OutboxEvent.from_status, OutboxEvent.to_status).order_by(OutboxEvent.id)).all()
    assert [tuple(move) for move in moves] == [("queued", "sending"), ("sending", "accepted")]


def test_the_provider_may_hold_a_nudge_until_the_family_may_no_longer_be_texted(
    sessions, parent, clock, drain, channel
):
    row = planned(sessions, clock.now())
    clock.move(hours=8, minutes=30)  # 17:30 there; from 18:15 on they get ready for dinner
    drain()
    assert [text.validity_seconds for text in channel.sent] == [45 * 60]
    assert row.expires_at > clock.now() + timedelta(minutes=45), "the text itself would have had longer"


def test_two_senders_at_once_send_each_text_once(sessions, people, now, lane_id, clock, channel):
    give_pace(sessions, 225)
    with sessions.begin() as session:
        for _ in range(10):
            a_text(session, a_parent(session, people.family, now=now), now=now)
    ready = threading.Barrier(2)

    def run(owner):
        ready.wait()
        for _ in range(3):
            sender.drain(sessions, channel, lane_id, clock=clock, owner=owner, library=LIBRARY)

    threads = [threading.Thread(target=run, args=(owner,)) for owner in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({text.to for text in channel.sent}) == len(channel.sent) == 10


def test_a_lane_that_somebody_else_drains_is_left_alone(sessions, parent, now, lane_id, drain, channel, clock):
    planned(sessions, now)
    with sessions.begin() as session:
        assert lanes.take(session, lane_id, owner="another machine", now=now)
    assert not drain().had_lane
    assert channel.sent == []
    clock.at += lanes.LEASE
    assert drain().handed_over == 1


def test_a_holder_whose_lane_was_taken_over_can_do_nothing_with_it(sessions, people, now, lane_id):
    with sessions.begin() as session:
        old = lanes.take(session, lane_id, owner="one", now=now)
        new = lanes.take(session, lane_id, owner="two", now=now + lanes.LEASE)
        assert new.token == old.token + 1
        assert lanes.renew(session, old, now=now + lanes.LEASE) is None
        lanes.release(session, old)
        assert session.get(Lane, lane_id, populate_existing=True).owner == "two"


def test_a_text_that_was_stopped_after_planning_never_goes(sessions, parent, now, drain, channel):
    planned(sessions, now)
    with sessions.begin() as session:
        assert care.opt_out(session, session.get(Parent, parent.id), how="keyword STOP", now=now) == 1
    drain()
    assert channel.sent == []
    assert only_row(sessions).status == "cancelled"
    with sessions() as session:
        assert session.scalars(select(StepOutcome.outcome)).one() == "dropped"


def test_a_reply_to_somebody_who_has_opted_out_never_goes(sessions, parent, now, drain, channel):
    with sessions.begin() as session:
        care.opt_out(session, session.get(Parent, parent.id), how="keyword STOP", now=now)
        a_text(session, parent, now=now, category="reply")
    drain()
    assert channel.sent == []
    assert only_row(sessions).status == "cancelled"


def test_a_text_whose_moment_has_passed_expires_with_a_reason(sessions, parent, clock, drain, channel):
    row = planned(sessions, clock.now())
    clock.at = row.expires_at
    assert drain().ended == 1
    assert channel.sent == []
    assert (only_row(sessions).status, only_row(sessions).settled_at) == ("expired", clock.at)
    with sessions() as session:
        outcome = session.scalars(select(StepOutcome)).one()
        assert outcome.outcome == "expired"
        assert outcome.reason


def test_a_nudge_waits_for_the_end_of_a_pause(sessions, parent, clock, drain, channel):
    planned(sessions, clock.now())
    with sessions.begin() as session:
        care.pause(session, session.get(Parent, parent.id), until=clock.now() + timedelta(hours=3), now=clock.now())
    drain()
    assert channel.sent == []
    assert only_row(sessions).status == "queued"
    clock.move(hours=3)
    assert drain().handed_over == 1


def test_outside_contact_hours_nothing_goes_but_a_reply(sessions, parent, clock, drain, channel):
    planned(sessions, clock.now())
    clock.move(hours=13)  # 22:00 in Chicago
    with sessions.begin() as session:
        a_text(session, parent, now=clock.now(), category="reply", body="A reply at night.")
    drain()
    assert [text.body for text in channel.sent] == ["A reply at night."]


def test_a_lane_never_sends_faster_than_its_pace(sessions, people, now, drain, channel, clock):
    with sessions.begin() as session:
        for _ in range(8):
            a_text(session, a_parent(session, people.family, now=now), now=now)
    drain(stay_seconds=5.0)
    seconds = (clock.now() - now).total_seconds()
    assert 4 <= len(channel.sent) <= seconds + 1


def test_what_a_call_takes_is_not_waited_for_a_second_time(sessions, people, now, drain, channel, clock):
    with sessions.begin() as session:
        for _ in range(4):
            a_text(session, a_parent(session, people.family, now=now), now=now)
    send, at = channel.send, []

    def slow_send(outgoing):
        at.append(clock.now())
        clock.move(seconds=0.5)
        return send(outgoing)

    channel.send = slow_send
    drain(stay_seconds=5.0, at_once=1)
    gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(at)]
    assert len(gaps) == 3
    assert all(1.0 <= gap < 1.1 for gap in gaps), "a segment a second, however long a call takes"


def test_a_long_text_costs_as_many_tokens_as_it_has_segments(sessions, people, now, drain, channel, clock):
    with sessions.begin() as session:
        for _ in range(3):
            a_text(session, a_parent(session, people.family, now=now), now=now, body="x" * 300)
    drain(stay_seconds=3.0)
    assert len(channel.sent) == 2


def test_a_page_goes_before_everything_and_waits_for_no_token(sessions, people, parent, now, drain, channel):
    with sessions.begin() as session:
        a_text(session, parent, now=now, body="An ordinary text.")
        text = queue.NewText(
            category="staff_page",
            to="+13125550190",
            body="Nudges alert 1.",
            expires_at=now + timedelta(hours=2),
            staff_id=people.ana.id,
        )
        queue.enqueue(session, text, program_id=people.program.id, now=now)
        session.execute(update(Lane).values(tokens=0.0, tokens_at=now))
    drain()
    assert [text.body for text in channel.sent] == ["Nudges alert 1."]


def test_one_phone_gets_no_two_texts_within_half_a_minute(sessions, people, parent, drain, channel, clock):
    give_pace(sessions, 100)
    with sessions.begin() as session:
        for _ in range(2):
            a_text(session, parent, now=clock.now())
    drain()
    assert len(channel.sent) == 1
    clock.move(seconds=10)
    drain()
    assert len(channel.sent) == 1
    clock.move(seconds=30)
    drain()
    assert len(channel.sent) == 2


class Killed(BaseException):
    """The process dies in the middle of a call."""


class DyingChannel(FakeChannel):
    """Takes the text, or not, and then the process is gone."""

    taken = True

    def send(self, outgoing):
        if self.taken:
            super().send(outgoing)
        raise Killed


def kill_while_sending(sessions, clock, lane_id, *, taken):
    channel = DyingChannel(clock)
    channel.taken = taken
    with pytest.raises(Killed):
        sender.drain(sessions, channel, lane_id, clock=clock, owner="dies", library=LIBRARY)
    return channel


def look_twice(sessions, channel, clock):
    looked = []
    for _ in range(4):
        looked.append(reconcile.look(sessions, channel, clock=clock))
        clock.at += reconcile.BETWEEN_LOOKS
    return looked


def test_a_text_cut_off_after_the_provider_took_it_is_found_and_not_sent_again(sessions, parent, clock, lane_id, drain):
    planned(sessions, clock.now())
    channel = kill_while_sending(sessions, clock, lane_id, taken=True)
    assert only_row(sessions).status == "sending"
    clock.at += reconcile.STALE
    look_twice(sessions, channel, clock)
    row = only_row(sessions)
    assert (row.status, row.attempts, len(channel.sent)) == ("accepted", 1, 1)
    drain()
    assert only_row(sessions).attempts == 1


def test_a_text_cut_off_before_the_provider_took_it_is_given_up_and_not_sent_again(
    sessions, parent, clock, lane_id, drain, channel
):
    planned(sessions, clock.now())
    died = kill_while_sending(sessions, clock, lane_id, taken=False)
    clock.at += reconcile.STALE
    looked = look_twice(sessions, died, clock)
    assert [look.given_up for look in looked] == [0, 1, 0, 0]
    assert only_row(sessions).status == "failed"
    drain()
    assert channel.sent == []
    with sessions() as session:
        assert session.scalars(select(StepOutcome.outcome)).one() == "failed"
        thread = snapshots.thread_of(session, session.get(Parent, parent.id))
        assert thread.pace.welcomed_at is None, "nothing may go before the welcome, so it goes again"


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
def test_an_answer_that_never_came_is_looked_up(sessions, parent, clock, drain, channel, taken):
    planned(sessions, clock.now())
    channel.lose_next(taken=taken)
    drain()
    assert only_row(sessions).status == "unknown"
    clock.move(seconds=90)
    look_twice(sessions, channel, clock)
    assert only_row(sessions).status == ("accepted" if taken else "failed")
    assert len(channel.sent) == taken


def test_a_page_that_nobody_can_find_is_handed_to_a_human(sessions, people, clock, drain, channel):
    with sessions.begin() as session:
        ana = session.get(Staff, people.ana.id)
        staff.set_on_call(session, ana, phone="312 555 0190", rank=1, by="staff:4", now=clock.now())
        concern = raising.Concern(
            program_id=people.program.id, level="crisis", severity=4, why="a test", tier="suicide_selfharm"
        )
        alert_id = raising.raise_alert(session, concern, now=clock.now()).alert.id
    channel.lose_next(taken=False)
    drain()
    clock.move(seconds=90)
    look_twice(sessions, channel, clock)
    with sessions() as session:
        assert session.scalars(select(Outbox.status).order_by(Outbox.id)).first() == "failed"
        events = session.scalars(select(AlertEvent.event).where(AlertEvent.alert_id == alert_id)).all()
        assert "page_undelivered" in events


@pytest.mark.parametrize(
    ("action", "status"),
    [
        (Action.SUPPRESS, "failed"),
        (Action.BLOCKED, "failed"),
        (Action.NUMBER_INVALID, "failed"),
        (Action.NUMBER_LANDLINE, "failed"),
        (Action.RETRY_BACKOFF, "queued"),
        (Action.SLOW_DOWN, "queued"),
        (Action.RETRY_LATER, "queued"),
        (Action.RETRY_ONCE, "queued"),
        (Action.PAUSE_LANE, "queued"),
        (Action.PAUSE_ALL, "queued"),
        (Action.STOP_LANE, "queued"),
        (Action.STOP_ALL, "queued"),
        (Action.ALERT, "failed"),
        (Action.ALERT_AND_REST, "failed"),
        (Action.FILTERED, "failed"),
        (Action.HOLD, "failed"),
        (Action.BREAK_LOOP, "failed"),
        (Action.BUG, "failed"),
        (Action.EXPIRED, "queued"),  # not sent, safe to send again while its moment lasts
        (Action.RECONCILE, "unknown"),
    ],
    ids=lambda value: str(value),
)
def test_each_refusal_leads_where_the_table_says(sessions, parent, now, drain, channel, action, status):
    planned(sessions, now)
    channel.refuse_next(refusal(action))
    drain()
    row = only_row(sessions)
    assert row.status == status
    assert row.error_code == "21999"
    assert channel.sent == []


def test_a_carrier_that_says_opted_out_opts_out(sessions, parent, now, drain, channel):
    planned(sessions, now)
    channel.refuse_next(refusal(Action.SUPPRESS, "21610"))
    drain()
    with sessions() as session:
        assert session.get(Parent, parent.id).status == "opted_out"


def test_a_dead_number_becomes_a_task_and_is_texted_no_more(sessions, parent, now, drain, channel):
    planned(sessions, now)
    channel.refuse_next(refusal(Action.NUMBER_LANDLINE, "30006"))
    drain()
    with sessions() as session:
        assert session.get(Parent, parent.id).phone_problem == "landline"
        assert session.scalars(select(Task.kind)).one() == "phone_problem"


def test_too_fast_waits_as_long_as_the_provider_says_and_goes_then(sessions, parent, clock, drain, channel):
    planned(sessions, clock.now())
    channel.refuse_next(refusal(Action.RETRY_BACKOFF, "20429", retry_after_seconds=20))
    drain()
    clock.move(seconds=19)
    assert drain().handed_over == 0
    clock.move(seconds=1)
    assert drain().handed_over == 1
    assert only_row(sessions).status == "accepted"


def test_a_stopped_account_keeps_its_queue_and_tells_a_person(sessions, people, parent, now, drain, channel):
    planned(sessions, now)
    with sessions.begin() as session:
        a_text(session, a_parent(session, people.family, now=now), now=now)
    channel.refuse_next(refusal(Action.STOP_ALL, "20003"))
    drain(stay_seconds=5)
    assert channel.sent == []
    with sessions() as session:
        assert set(session.scalars(select(Outbox.status))) == {"queued"}
        assert session.scalars(select(Alert.level)).one() == "system"


def test_a_stop_during_a_slow_batch_stops_the_rest_of_it(sessions, people, channel, drain, clock, now, lane_id):
    with sessions.begin() as session:
        session.get(Lane, lane_id).segments_per_second = 50.0
        session.get(Lane, lane_id).tokens = 50.0
        rows = [a_parent(session, people.family, now=now) for _ in range(3)]
        for row in rows:
            a_text(session, row, now=now)
        last = rows[-1].id
    send = channel.send

    def slow_send(outgoing):
        accepted = send(outgoing)
        clock.move(seconds=5)
        with sessions.begin() as session:
            parent = session.get(Parent, last)
            if parent.status != "opted_out":
                care.opt_out(session, parent, how="STOP", now=clock.now(), by=f"parent:{last}")
        return accepted

    channel.send = slow_send
    drain(at_once=1)
    assert len(channel.sent) == 2
    with sessions() as session:
        states = session.scalars(select(Outbox.status).where(Outbox.parent_id == last)).all()
    assert "accepted" not in states


def test_a_text_that_would_have_to_wait_beyond_its_moment_ends_at_once_and_says_why(sessions, parent, clock, drain):
    row = planned(sessions, clock.now())
    with sessions.begin() as session:
        session.execute(update(Outbox).where(Outbox.id == row.id).values(expires_at=clock.now() + timedelta(hours=12)))
    clock.move(hours=11, minutes=30)  # 20:30 there: the hours for texts begin again at 09:00
    drain()
    ended = only_row(sessions)
    assert (ended.status, ended.status_reason.split(".")[0]) == (
        "expired",
        "it could not go before its moment passed",
    )
