"""The service sends what the simulator shows: the same texts at the same minutes, for 60 days of several families."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from nudges.engine import ticks
from nudges.families import care, enrolling
from nudges.inbound import handle
from nudges.inbound.texts import Deps, IncomingText
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from schedules import policy, script, simulate
from tests.core.timelines import FAMILY_1, LIBRARY, thread_of
from tests.support.factories import SENDER, a_parent

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


class Life:
    """One parent of the real service: a clock that jumps from moment to moment, and scripted answers."""

    def __init__(self, wiring, clock, parent_id, acts, zone):
        self.wiring, self.clock, self.parent_id = wiring, clock, parent_id
        self.acts = list(script.script(acts, zone, where="script"))
        self.due, self.seen, self.counts = [], 0, {}

    def run(self, until):
        while True:
            self.beat()
            with self.wiring.sessions() as session:
                parent = session.get(Parent, self.parent_id)
            moments = [m for m in (parent.next_at, *(at for at, _ in self.due)) if m is not None and m > self.clock.at]
            if not moments or min(moments) >= until:
                return
            self.clock.at = min(moments)
            for act in [item for item in self.due if item[0] <= self.clock.at]:
                self.due.remove(act)
                self.answer(parent, act[1])

    def beat(self):
        ticks.plan(self.wiring)
        ticks.send(self.wiring)
        sent = self.wiring.channel.sent
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
                    self.due.append((self.clock.at + act.after, act.text))
        self.seen = len(steps)
        assert len(sent) == self.seen, "a planned text was not handed over at its minute"

    def answer(self, parent, text):
        incoming = IncomingText(
            provider_id=f"in-{self.clock.at.isoformat()}", from_number=parent.phone, to_number=SENDER, body=text
        )
        deps = Deps(library=self.wiring.library, screen=self.wiring.screen)
        with self.wiring.sessions.begin() as session:
            handle.receive(session, incoming, now=self.clock.at, deps=deps)


@pytest.mark.parametrize(("data", "key", "dates", "acts"), FAMILIES)
def test_the_service_sends_what_the_simulator_shows(wiring, clock, people, data, key, dates, acts):
    zone = data["timezone"]
    clock.at = script.instant(START, zone)[0]
    rest = {k: v for k, v in data.items() if k != "timezone"}
    with wiring.sessions.begin() as session:
        parent = a_parent(
            session,
            people.family,
            now=clock.at,
            profile={**rest, "timezone": zone},
            language=data.get("pref_lang", "en"),
        )
        enrolling.stop_sequence(session, parent, "ONBOARD", now=clock.at, reason="the simulation has none")
        care.note_welcome(session, parent, now=clock.at)  # as everybody who is simulated
        faults = []
        for date in script.key_dates(dates, zone, where="test", faults=faults):
            care.set_key_date(session, parent, date.kind, date.nth, date.at, staff_id=people.ana.id, now=clock.at)
        enrolling.start_sequence(session, parent, key, now=clock.at)
    Life(wiring, clock, parent.id, acts, zone).run(clock.at + timedelta(days=60))
    with wiring.sessions() as session:
        rows = session.scalars(select(Outbox).where(Outbox.category == "nudge").order_by(Outbox.id)).all()
        found = [(row.created_at.isoformat()[:16], row.step_id, row.body) for row in rows]
    assert [(at, step) for at, step, _ in found] == [
        (at, step) for at, step, _ in simulated(data, key, dates, acts, 60)
    ]
    assert found
