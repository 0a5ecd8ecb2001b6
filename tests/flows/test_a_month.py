"""Two processes on one database, a month of moved clock over the change to summer time: nothing twice, nothing at night."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import time, timedelta

import pytest
from sqlalchemy import func, select

from nudges.engine import ticks
from nudges.families import care, enrolling
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Heartbeat
from nudges.models.sequences import StepOutcome
from schedules import localtime
from tests.support.factories import a_parent

ZONES = ("America/New_York", "America/Phoenix", "Pacific/Honolulu")
DAYS = 30
LONGEST_STEP = timedelta(hours=12)
SAFE = {"court_ordered": "no", "contact_plan": "unsupervised", "phone_seen_by": "private"}


@pytest.fixture
def parents(sessions, people, now):
    found = []
    for zone in ZONES:
        with sessions.begin() as session:
            family = enrolling.create_family(session, program=people.program, staff_id=people.ana.id, now=now)
            parent = a_parent(session, family, now=now, profile={"timezone": zone, **SAFE}, sequences=("TALK",))
            care.set_key_date(session, parent, "session", 1, now + timedelta(days=4, hours=7), now=now)
            care.set_key_date(session, parent, "break_start", 1, now, now=now)
            enrolling.start_sequence(session, parent, "DRIVE", now=now)
            found.append(parent)
    return found


def beat_together(one, two):
    """Both processes run every duty at the same moment."""
    ready = threading.Barrier(2)
    failures = []

    def run(wiring):
        ready.wait()
        try:
            ticks.run_all(wiring)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(wiring,)) for wiring in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def next_stop(session, clock):
    """The next instant at which something may happen, at most half a day on."""
    waiting = select(Outbox.id).where(Outbox.status == "queued", Outbox.not_before <= clock.now())
    if session.scalars(waiting.limit(1)).first() is not None:  # planned after the other process had looked
        return clock.now() + timedelta(seconds=2)
    planned = session.scalar(select(func.min(Parent.next_at)).where(Parent.next_at > clock.now()))
    queued = session.scalar(
        select(func.min(Outbox.not_before)).where(Outbox.status == "queued", Outbox.not_before > clock.now())
    )
    stops = [at for at in (planned, queued, clock.now() + LONGEST_STEP) if at is not None]
    return max(min(stops), clock.now() + timedelta(seconds=1))


def test_a_month_with_two_processes(wiring, sessions, parents, clock, channel, now):
    other = replace(wiring, owner="the other process")
    leaver, left_at = parents[0], now + timedelta(days=10)
    while clock.now() < now + timedelta(days=DAYS):
        beat_together(wiring, other)
        with sessions.begin() as session:
            if clock.now() >= left_at and session.get(Parent, leaver.id).status == "active":
                care.opt_out(session, leaver, how="keyword STOP", now=clock.now())
                left_at = clock.now()
            clock.at = next_stop(session, clock)
    with sessions() as session:
        rows = session.scalars(select(Outbox)).all()
        zones = {parent.id: parent.profile["timezone"] for parent in session.scalars(select(Parent))}
        outcomes = session.scalar(select(func.count()).select_from(StepOutcome).where(StepOutcome.outcome == "sent"))
        beats = set(session.scalars(select(Heartbeat.duty)))
    sent = [row for row in rows if row.attempts]
    assert beats >= {"plan", "send", "watch", "notify", "clean"}
    assert len(sent) == len(channel.sent) == outcomes >= 5 * len(parents)
    assert {row.attempts for row in sent} == {1}
    assert max(Counter((row.enrollment_id, row.step_id, row.cycle) for row in sent).values()) == 1
    assert max(Counter((row.parent_id, row.body) for row in sent).values()) == 1
    for row in sent:
        wall = localtime.local(row.attempted_at, zones[row.parent_id])
        assert time(9) <= wall.time() < time(20), f"{row.step_id} at {wall}"
    assert [row for row in sent if row.parent_id == leaver.id and row.attempted_at >= left_at] == []
    assert [row for row in rows if row.parent_id == leaver.id and row.status == "queued"] == []
    assert {row.step_id for row in sent if row.parent_id != leaver.id} >= {"ON-1", "ON-3", "DR-2"}
