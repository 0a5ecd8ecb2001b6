"""The service sends what the simulator shows: the same texts for the same minutes, for 60 days of several families.

Once on a clock that stands on whole minutes, as the simulator's does; and on clocks that tick, behind a worker that comes
some odd time after the minute it was called for, as every real one does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from nudges.channels.fake import FakeChannel
from nudges.engine import ticks
from nudges.families import care, enrolling
from nudges.inbound import handle
from nudges.inbound.texts import Deps, IncomingText
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from schedules import policy, script, simulate
from tests.core.timelines import FAMILY_1, LIBRARY, thread_of
from tests.support.factories import SENDER, SetClock, a_parent

START = "2025-03-03T09:00"
SHIFTS = {**FAMILY_1, "busy_hours": {"default": ["06:00-14:00"]}, "dinner_time": "null", "timezone": "Asia/Kolkata"}
FAMILIES = [
    pytest.param(FAMILY_1, "TALK", {}, '[{on: TK-5, nth: 1, after: 30m, text: "3"}]', id="a talk goes badly"),
    pytest.param(
        FAMILY_1,
        "DRIVE",
        {"session": ["2025-03-13T16:00", "2025-03-20T16:00"]},
        '[{on: DR-6, after: 1h, text: "2"}]',
        id="a test drive",
    ),
    pytest.param(
        {**FAMILY_1, "pref_lang": "es"},
        "BREAK",
        {"break_start": "2025-03-03"},
        '[{on: BR-2, after: 1h, text: "2"}, {on: BR-4, after: 1h, every: true, text: "1"}]',
        id="a break, in Spanish",
    ),
    pytest.param(
        FAMILY_1,
        "TALK",
        {},
        '[{on: TK-1, after: 1h, text: "PAUSE 2"}, {on: TK-5, nth: 1, after: 1h, text: "2"}]',
        id="a pause moves what is still to come",
    ),
    pytest.param(
        SHIFTS, "TALK", {}, '[{on: TK-5, every: true, after: 2h, text: "2"}]', id="shift work in a half-hour zone"
    ),
]


def simulated(data, key, dates, acts, days):
    zone = data["timezone"]
    found = simulate.run(
        thread_of(data, dates),
        library=LIBRARY,
        sequences=[key],
        policy=policy.DEFAULT,
        start=script.instant(START, zone)[0],
        days=days,
        script=script.script(acts, zone, where="script"),
    )
    return [(e["at"][:16], e["step"], e["text"]) for e in found if e["event"] == "send" and "reply_to" not in e]


class TickingClock(SetClock):
    """No two readings of it are the same."""

    def now(self):
        return self.move(milliseconds=1.7)


class Life:
    """One parent of the real service: a clock that jumps from moment to moment, and scripted answers.

    `lag` is how long after each moment the worker comes. Answers come at their minute, counted from the text's own.
    """

    def __init__(self, wiring, clock, parent_id, acts, zone, lag=timedelta(0)):
        self.wiring, self.clock, self.parent_id, self.lag = wiring, clock, parent_id, lag
        self.mark = clock.now()
        self.acts = list(script.script(acts, zone, where="script"))
        self.due, self.seen, self.counts = [], 0, {}

    def run(self, until):
        while True:
            self.beat()
            with self.wiring.sessions() as session:
                parent = session.get(Parent, self.parent_id)
            moments = [m for m in (parent.next_at, *(at for at, _ in self.due)) if m is not None and m > self.mark]
            if not moments or min(moments) >= until:
                return
            self.mark = min(moments)
            self.clock.at = max(self.clock.at, self.mark)
            for act in [item for item in self.due if item[0] <= self.clock.at]:
                self.due.remove(act)
                self.answer(parent, act[1])
            self.clock.at = max(self.clock.at, self.mark + self.lag)

    def beat(self):
        ticks.plan(self.wiring)
        ticks.send(self.wiring)
        self.note_sent()
        assert len(self.wiring.channel.sent) == self.seen, "a planned text was not handed over at its minute"

    def note_sent(self):
        """Plan the scripted answers to what was sent."""
        with self.wiring.sessions() as session:
            steps = session.scalars(
                select(Outbox.step_id)
                .where(Outbox.category == "nudge", Outbox.parent_id == self.parent_id)
                .order_by(Outbox.id)
            ).all()
        for step in steps[self.seen :]:
            self.counts[step] = self.counts.get(step, 0) + 1
            for act in self.acts:
                if act.on == step and (act.every or act.nth == self.counts[step]):
                    self.due.append((self.mark + act.after, act.text))
        self.seen = len(steps)

    def answer(self, parent, text):
        at = self.clock.now()
        incoming = IncomingText(
            provider_id=f"in-{at.isoformat()}", from_number=parent.phone, to_number=SENDER, body=text
        )
        deps = Deps(library=self.wiring.library, screen=self.wiring.screen)
        with self.wiring.sessions.begin() as session:
            handle.receive(session, incoming, now=at, deps=deps)


def enrolled(wiring, people, start, data, key, dates):
    """The same family as the simulator's, in the service."""
    zone = data["timezone"]
    rest = {k: v for k, v in data.items() if k != "timezone"}
    with wiring.sessions.begin() as session:
        parent = a_parent(
            session,
            people.family,
            now=start,
            profile={**rest, "timezone": zone},
            language=data.get("pref_lang", "en"),
        )
        enrolling.stop_sequence(session, parent, "ONBOARD", now=start, reason="the simulation has none")
        care.note_welcome(session, parent, now=start)  # as everybody who is simulated
        for date in script.key_dates(dates, zone, where="test", faults=[]):
            care.set_key_date(session, parent, date.kind, date.nth, date.at, staff_id=people.ana.id, now=start)
        enrolling.start_sequence(session, parent, key, now=start)
    return parent


def nudges_made(wiring):
    with wiring.sessions() as session:
        return session.scalars(select(Outbox).where(Outbox.category == "nudge").order_by(Outbox.id)).all()


@pytest.mark.parametrize(("data", "key", "dates", "acts"), FAMILIES)
def test_the_service_sends_what_the_simulator_shows(wiring, clock, people, data, key, dates, acts):
    zone = data["timezone"]
    clock.at = script.instant(START, zone)[0]
    parent = enrolled(wiring, people, clock.at, data, key, dates)
    Life(wiring, clock, parent.id, acts, zone).run(clock.at + timedelta(days=60))
    found = [(row.created_at.isoformat()[:16], row.step_id) for row in nudges_made(wiring)]
    assert found == [(at, step) for at, step, _ in simulated(data, key, dates, acts, 60)]
    assert found


@pytest.mark.parametrize("lag", [timedelta(milliseconds=3), timedelta(seconds=59), timedelta(minutes=5)], ids=str)
@pytest.mark.parametrize(("data", "key", "dates", "acts"), FAMILIES)
def test_a_worker_that_comes_late_by_a_clock_that_ticks_sends_the_same(wiring, people, data, key, dates, acts, lag):
    zone = data["timezone"]
    start = script.instant(START, zone)[0]
    clock = TickingClock(start)
    late = replace(wiring, clock=clock, channel=FakeChannel(clock))
    parent = enrolled(late, people, start, data, key, dates)
    Life(late, clock, parent.id, acts, zone, lag).run(start + timedelta(days=60))
    shown = simulated(data, key, dates, acts, 60)
    made = nudges_made(late)
    assert [row.step_id for row in made] == [step for _, step, _ in shown]
    lags = [row.created_at - datetime.fromisoformat(f"{at}+00:00") for row, (at, _, _) in zip(made, shown, strict=True)]
    assert all(timedelta(0) <= one <= lag + timedelta(seconds=2) for one in lags), lags
