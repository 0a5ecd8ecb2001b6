"""A clock that stood ahead and is put right: nothing waits for that day, and people are told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from nudges.engine import ticks
from nudges.families import enrolling
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Heartbeat, Lane
from nudges.models.safety import Alert, LedgerEntry, Task
from nudges.outbound import send_check
from nudges.upkeep import clock_steps
from schedules import state
from tests.support.factories import a_parent, a_text

STEPS = pytest.mark.parametrize("step", [{"hours": 2}, {"days": 1}], ids=["two hours", "a day"])


def beat(wiring, clock, *, times=1, **span):
    for _ in range(times):
        clock.move(**span)
        ticks.run_all(wiring)


@pytest.fixture
def parent(sessions, people, now):
    with sessions.begin() as session:
        session.execute(update(Lane).values(segments_per_second=225.0))
        parent = a_parent(session, people.family, now=now)
        enrolling.start_sequence(session, parent, "TALK", now=now)
        return parent


@pytest.fixture
def set_back(wiring, clock, parent):
    """Live for a while, then with a clock that is `step` ahead, then with a clock that is right again."""

    def run(step):
        beat(wiring, clock, seconds=2)
        beat(wiring, clock, minutes=10)
        clock.move(**step)
        beat(wiring, clock, seconds=2, times=3)
        clock.at -= timedelta(**step)

    return run


@STEPS
def test_a_persons_own_text_goes_within_the_minute(sessions, wiring, clock, parent, channel, set_back, step):
    set_back(step)
    with sessions.begin() as session:
        text_id = a_text(session, session.get(Parent, parent.id), now=clock.now(), category="person", body="4").id
    sent = len(channel.sent)
    beat(wiring, clock, minutes=2, times=5)
    with sessions() as session:
        text = session.get(Outbox, text_id)
        assert (text.status, text.attempts) == ("accepted", 1)
        assert text.attempted_at - text.created_at <= timedelta(minutes=2)
    assert [one.body for one in channel.sent[sent:]].count("4") == 1


@STEPS
def test_staff_are_told_once_and_every_heartbeat_is_right_again(sessions, wiring, clock, set_back, step):
    set_back(step)
    beat(wiring, clock, seconds=10, times=3)
    with sessions() as session:
        task = session.scalars(select(Task).where(Task.kind == clock_steps.KIND)).one()
        assert ("2 hours" if "hours" in step else "24 hours") in task.words
        assert session.scalars(select(LedgerEntry.action)).all().count("clock.set_back") == 1
        assert max(session.scalars(select(Heartbeat.at))) <= clock.now()


def test_what_the_wrong_clock_queued_is_planned_anew_and_not_lost(sessions, wiring, clock, people, set_back, channel):
    """The lane rests meanwhile, so that what is planned too early still waits when the clock is put right."""
    with sessions.begin() as session:
        session.execute(update(Lane).values(paused_until=clock.now() + timedelta(days=30), paused_reason="a test"))
    set_back({"days": 2, "minutes": 5})
    with sessions.begin() as session:
        ahead = select(Outbox).where(Outbox.created_at > clock.now(), Outbox.category == "nudge")
        early = session.scalars(ahead).all()
        assert early, "two days ahead the first question is asked again"
        reply = a_text(session, session.scalars(select(Parent)).one(), now=clock.now() + timedelta(days=2, minutes=5))
        reply_id, steps = reply.id, {(row.step_id, row.cycle) for row in early}
    beat(wiring, clock, seconds=10)
    with sessions.begin() as session:
        for row in early:
            row = session.get(Outbox, row.id)
            assert (row.status, row.status_reason) == ("cancelled", send_check.CLOCK_WAS_AHEAD)
        assert session.get(Outbox, reply_id).not_before <= clock.now()
        assert session.scalars(select(Parent.next_at)).one() < clock.now() + timedelta(days=3)
        session.execute(update(Lane).values(paused_until=None))
    beat(wiring, clock, hours=1, times=80)
    with sessions() as session:
        gone = {(row.step_id, row.cycle) for row in session.scalars(select(Outbox).where(Outbox.status == "accepted"))}
    assert {step for step, _ in steps} <= {step for step, _ in gone}
    assert not steps & gone


def test_marks_of_the_wrong_clock_stand_in_nobodys_way(sessions, wiring, clock, parent, set_back):
    set_back({"days": 1})
    beat(wiring, clock, seconds=10, times=2)
    with sessions() as session:
        pace = state.pace_from_json(session.get(Parent, parent.id).state)
    assert all(mark.at <= clock.now() for mark in pace.marks)


def test_lanes_and_alerts_of_the_wrong_clock_go_on_from_now(sessions, wiring, clock, people, set_back):
    set_back({"hours": 2})
    ahead = clock.now() + timedelta(hours=2)
    with sessions.begin() as session:
        session.execute(update(Lane).values(paused_until=ahead + timedelta(hours=1), paused_reason="told to wait (1)"))
        alert = Alert(
            program_id=people.program.id,
            level="check",
            severity=1,
            why="a test",
            title="A test",
            escalate_at=ahead + timedelta(minutes=30),
            raised_at=ahead,
        )
        session.add(alert)
        session.flush()
        alert_id = alert.id
    at = clock.now()
    clock_steps.mend(sessions, now=at)
    with sessions() as session:
        assert session.scalars(select(Lane.paused_until)).one() <= at
        assert session.get(Alert, alert_id).escalate_at == at + timedelta(minutes=30)


def test_a_clock_that_goes_right_is_left_alone(sessions, wiring, clock, parent):
    beat(wiring, clock, seconds=10, times=3)
    clock.at -= timedelta(seconds=30)  # as small as machines differ
    assert clock_steps.mend(sessions, now=clock.now()) == 0
    with sessions() as session:
        assert session.scalars(select(Task).where(Task.kind == clock_steps.KIND)).all() == []
