"""The drill: through the real path, plainly marked, in no figure, and never to a parent's phone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from nudges.alerts import acknowledging, figures, holds
from nudges.desk import drill
from nudges.engine import ticks
from nudges.families.staff import set_on_call
from nudges.inbound import handle
from nudges.inbound.texts import IncomingText
from nudges.models.family import Family
from nudges.models.messages import Inbound, Outbox
from nudges.models.phrases import Drill
from nudges.models.safety import Alert, Task
from tests.support import factories

PHONE = "+13125550161"


@pytest.fixture
def on_call(sessions, people, now):
    with sessions.begin() as session:
        set_on_call(session, session.merge(people.ana), phone=PHONE, rank=1, by="system:test", now=now)
    return people.ana


@pytest.fixture
def held(wiring, people, on_call):
    """A drill that has just begun."""
    return drill.hold_one(
        wiring.sessions, ticks.deps_of(wiring), program_id=people.program.id, staff_id=people.dee.id, clock=wiring.clock
    )


def seen(wiring, drill_id) -> drill.Report:
    with wiring.sessions() as session:
        return drill.report(session, session.get_one(Drill, drill_id))


def answer_page(wiring, clock) -> None:
    """Whoever is on call texts 1."""
    incoming = IncomingText(provider_id="SM-ack", from_number=PHONE, to_number=factories.SENDER, body="1")
    with wiring.sessions.begin() as session:
        handle.receive(session, incoming, now=clock.now(), deps=ticks.deps_of(wiring))


def test_a_drill_goes_the_whole_way_and_reports_its_times(wiring, held, clock, channel) -> None:
    clock.move(seconds=3)
    ticks.send(wiring)
    clock.move(seconds=40)
    answer_page(wiring, clock)
    report = seen(wiring, held)
    assert (report.level, report.paged, report.handed_over, report.acknowledged) == ("crisis", 0.0, 3.0, 43.0)
    assert report.is_complete and report.answered > 0


def test_everything_about_it_says_that_it_is_a_drill(wiring, held, channel) -> None:
    ticks.send(wiring)
    with wiring.sessions() as session:
        alert = session.scalars(select(Alert)).one()
        assert "DRILL" in alert.title
        assert "DRILL" in session.scalars(select(Family.code).where(Family.id == alert.family_id)).one()
        assert session.scalars(select(Inbound.body)).one().startswith("DRILL, not real")
    assert [("DRILL" in text.body, text.to) for text in channel.sent] == [(True, PHONE)]


def test_no_parent_is_ever_texted(wiring, held, clock, channel) -> None:
    for _ in range(5):
        clock.move(minutes=4)
        ticks.run_all(wiring)
    with wiring.sessions() as session:
        nobody = drill.parent_of(session, session.get_one(Drill, held).program_id)
        assert nobody is not None
        rows = session.scalars(select(Outbox).where(Outbox.parent_id == nobody.id)).all()
    assert {text.to for text in channel.sent} == {PHONE}
    assert [(row.category, row.status) for row in rows] == [("crisis_reply", "delivered")]


def test_it_counts_in_no_figure(wiring, held, people, clock) -> None:
    with wiring.sessions.begin() as session:
        counted = figures.figures(session, people.program.id, since=clock.now() - timedelta(days=1), now=clock.now())
    assert (counted.total.alerts, counted.texts_by_level["crisis"]) == (0, 0)


def test_an_acknowledged_drill_ends_by_itself_and_holds_nothing(wiring, held, people, clock) -> None:
    with wiring.sessions.begin() as session:
        alert = session.scalars(select(Alert)).one()
        acknowledging.acknowledge(session, alert, people.ana.id, "", clock.now())
        drill.upkeep(session, now=clock.now())
    with wiring.sessions() as session:
        alert = session.scalars(select(Alert)).one()
        assert alert.status == "resolved"
        assert not holds.open_holds(session, family_id=alert.family_id, now=clock.now())
    assert seen(wiring, held).is_over


def test_a_drill_that_nobody_answers_ends_before_everyone_is_paged_and_says_so(wiring, held, clock, channel) -> None:
    for _ in range(8):
        clock.move(minutes=2)
        ticks.run_all(wiring)
    report = seen(wiring, held)
    assert report.is_over and not report.is_complete
    with wiring.sessions() as session:
        assert "not acknowledged" in session.scalars(select(Task.words).where(Task.kind == drill.REMINDER)).one()
        assert drill.last_at(session, session.get_one(Drill, held).program_id) is None


def test_a_second_drill_ends_the_first(wiring, held, people) -> None:
    again = drill.hold_one(
        wiring.sessions, ticks.deps_of(wiring), program_id=people.program.id, staff_id=None, clock=wiring.clock
    )
    with wiring.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Alert).where(Alert.status != "resolved")) == 1
        assert session.scalar(select(func.count()).select_from(Family).where(Family.code == drill.CODE)) == 1
    assert (seen(wiring, held).is_over, seen(wiring, again).is_over) == (True, False)


def test_a_program_that_rehearses_nothing_is_reminded_once(sessions, people, now) -> None:
    with sessions.begin() as session:
        assert drill.remind(session, now=now + timedelta(days=30)) == 0
        assert drill.remind(session, now=now + timedelta(days=31)) == 1
        assert drill.remind(session, now=now + timedelta(days=32)) == 0


def test_after_an_acknowledged_drill_there_are_31_quiet_days(wiring, held, people, clock, now) -> None:
    with wiring.sessions.begin() as session:
        acknowledging.acknowledge(session, session.scalars(select(Alert)).one(), people.ana.id, "", clock.now())
        drill.upkeep(session, now=clock.now())
        assert drill.remind(session, now=now + timedelta(days=30)) == 0
        assert drill.remind(session, now=now + timedelta(days=31)) == 1


def test_with_nobody_on_call_the_drill_shows_it(wiring, people) -> None:
    drill_id = drill.hold_one(
        wiring.sessions, ticks.deps_of(wiring), program_id=people.program.id, staff_id=None, clock=wiring.clock
    )
    report = seen(wiring, drill_id)
    assert (report.level, report.paged, report.pages) == ("crisis", None, 0)
