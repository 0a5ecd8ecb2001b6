"""Danger on a bad day: everything at once, nobody there, the clock changes, a drill is on. Nothing is lost."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from nudges.alerts import acknowledging, escalation, on_call, pages, paging, raising
from nudges.db import blind_index
from nudges.families import enrolling
from nudges.inbound import handle
from nudges.inbound.texts import Deps, IncomingText
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.messages import Inbound, Outbox
from nudges.models.on_call import AlertPage
from nudges.models.phrases import DRILL_CODE
from nudges.models.program import Lane
from nudges.models.safety import Alert, AlertEvent, Hold
from tests.support import factories
from tests.support.factories import LIBRARY, SENDER, a_parent
from tests.support.texting import ANA, alerts, people_with_ana_on_call, texting

CRISIS = "my daughter says she wants to kill herself"
EMERGENCY = "she swallowed the whole bottle of pills and wont wake up"
ABUSE = "my husband hits my daughter and I am afraid of him"
MINUTE = timedelta(minutes=1)
DEPS = Deps(library=LIBRARY)


def incoming(n, number, body):
    return IncomingText(provider_id=f"SM{n:032d}", from_number=number, to_number=SENDER, body=body)


def at_once(*calls):
    """Run the calls in threads that start together; raise what any of them raised."""
    ready, failures = threading.Barrier(len(calls)), []

    def run(call):
        try:
            ready.wait()
            call()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.fixture
def crowd(sessions, now):
    """The numbers of both parents of one family, and of six others; Ana is on call. Committed."""
    with sessions.begin() as session:
        people = people_with_ana_on_call(session, now)
        both = [a_parent(session, people.family, now=now).phone for _ in range(2)]
        program, by = people.program, people.ana.id
        families = [enrolling.create_family(session, program=program, staff_id=by, now=now) for _ in range(6)]
        return both, [a_parent(session, family, now=now).phone for family in families]


def receive(sessions, n, number, body, now):
    with sessions.begin() as session:
        text = incoming(n, number, body)
        return handle.receive(session, text, now=now, deps=DEPS, alone=handle.read_alone(text, deps=DEPS))


def test_both_parents_in_danger_in_the_same_second_have_an_alert_each_and_one_hold(sessions, crowd, now):
    (mother, father), _ = crowd
    for n in range(0, 6, 2):
        at_once(
            lambda n=n: receive(sessions, n, mother, CRISIS, now),
            lambda n=n: receive(sessions, n + 1, father, EMERGENCY, now),
        )
    with sessions() as session:
        assert len(alerts(session)) == 2
        assert session.scalar(select(func.count(Hold.id)).where(Hold.kind == "crisis")) == 1
        assert session.scalar(select(func.count(Inbound.id)).where(Inbound.screening.is_not(None))) == 6
        assert record.verify(session) == []


def test_many_families_in_danger_at_once_wait_for_nobody_and_lose_nothing(sessions, crowd, now):
    _, numbers = crowd
    at_once(*(lambda n=n, number=number: receive(sessions, n, number, CRISIS, now) for n, number in enumerate(numbers)))
    with sessions() as session:
        raised = alerts(session)
        assert len(raised) == len(numbers)
        replied = select(Outbox.alert_id).where(Outbox.category == "crisis_reply")
        assert set(session.scalars(replied)) == {alert.id for alert in raised}
        assert set(session.scalars(select(AlertPage.alert_id))) == {alert.id for alert in raised}
        assert record.verify(session) == []


def test_the_same_text_at_the_same_instant_from_two_deliveries_is_one_alert(sessions, crowd, now):
    _, (number, *_) = crowd
    receive(sessions, 1, number, "hello", now)
    answers = []
    at_once(*(lambda: answers.append(receive(sessions, 2, number, CRISIS, now)) for _ in range(3)))
    assert len({answer.texts for answer in answers}) == 1
    with sessions() as session:
        assert len(alerts(session)) == 1
        assert session.scalar(select(func.count(Outbox.id)).where(Outbox.category == "crisis_reply")) == 1


def test_an_alert_that_is_ended_while_the_ladder_is_climbed_stays_ended(sessions, crowd, now):
    _, (number, *_) = crowd
    receive(sessions, 1, number, CRISIS, now)
    later = now + 6 * MINUTE

    def climb():
        with sessions.begin() as session:
            escalation.escalate_due(session, later)

    def end():
        with sessions.begin() as session:
            alert = session.scalars(select(Alert)).one()
            assert acknowledging.resolve(session, alert, 1, "safe", "", later)

    at_once(climb, end)
    climb()
    with sessions() as session:
        alert = session.scalars(select(Alert)).one()
        assert (alert.status, alert.escalate_at) == ("resolved", None)


def test_of_two_who_acknowledge_at_once_one_has_it_and_the_other_is_told(sessions, crowd, now):
    _, (number, *_) = crowd
    receive(sessions, 1, number, CRISIS, now)
    taken = []

    def take(staff_id):
        with sessions.begin() as session:
            alert = session.scalars(select(Alert)).one()
            taken.append(acknowledging.acknowledge(session, alert, staff_id, "", now))

    at_once(lambda: take(1), lambda: take(2))
    assert sorted(taken) == [False, True]
    with sessions() as session:
        assert session.scalar(select(func.count(AlertEvent.id)).where(AlertEvent.event == "acknowledged")) == 1


@pytest.mark.parametrize("has_sender", [True, False], ids=["with a sender", "without a sender"])
def test_a_program_without_any_staff_still_answers_and_keeps_the_alert(session, now, has_sender):
    program = factories.a_program(session, now=now)
    if not has_sender:
        session.delete(session.scalars(select(Lane)).one())
        session.flush()
    answer = handle.receive(session, incoming(1, "+13125550142", CRISIS), now=now, deps=DEPS)
    assert "988" in answer.texts[0]
    assert "has been alerted" not in answer.texts[0]
    (alert,) = alerts(session)
    assert "nobody is on call" in alert.title
    assert [row.program_id for row in alerts(session, "system")] == [program.id]
    for minutes in (5, 10, 15, 30, 60):
        escalation.watch(session, now + minutes * MINUTE)
    assert alert.status == "open"
    assert len(alerts(session, "system")) <= 3  # said once each, not at every rung


def test_when_every_pager_is_dead_the_ladder_is_climbed_without_a_storm_and_the_alert_stays_open(session, now):
    people = people_with_ana_on_call(session, now)
    text, parent = texting(session, now), a_parent(session, people.family, now=now)
    text(parent, CRISIS)
    pages_of = select(Outbox).where(Outbox.category == "staff_page")
    for minute in range(1, 31):
        at = now + minute * MINUTE
        for row in session.scalars(pages_of.where(Outbox.status == "queued", Outbox.not_before <= at)).all():
            row.status = "failed"
            session.flush()
            paging.report_undelivered(session, row, at)
        escalation.watch(session, at)
    (alert,) = alerts(session)
    assert alert.status == "open"
    sent = session.scalars(pages_of).all()
    assert 4 <= len(sent) <= 8  # one a rung: at once, and at 5, 10, 15 and 30 minutes; the first loss climbs one sooner
    lost = session.scalar(select(func.count(AlertEvent.id)).where(AlertEvent.event == "page_undelivered"))
    assert lost == sum(row.status == "failed" for row in sent)


def test_a_drill_never_hides_real_danger(session, now):
    people = people_with_ana_on_call(session, now)
    text, parent = texting(session, now), a_parent(session, people.family, now=now)
    text(parent, CRISIS)
    drill = raising.raise_alert(
        session,
        raising.Concern(program_id=people.program.id, level="crisis", severity=4, tier="suicide_selfharm", why="drill"),
        now=now,
    ).alert
    drill.title = f"Crisis, {DRILL_CODE}: suicide or self-harm"
    (real, _) = alerts(session)
    assert pages.gravest_of([real, drill]) is real
    third = raising.raise_alert(
        session,
        raising.Concern(program_id=people.program.id, level="crisis", severity=3, tier="harm_others", why="real"),
        now=now,
    ).alert
    page = session.scalars(select(Outbox).where(Outbox.category == "staff_page").order_by(Outbox.id)).all()[-1]
    assert f"The gravest is alert {third.id}." in page.body
    assert text(ANA, "1").texts[0].startswith(f"Alert {third.id} is yours")


@pytest.mark.parametrize(
    "at",
    [
        datetime(2025, 3, 9, 7, 59, tzinfo=UTC),
        datetime(2025, 3, 9, 8, 0, tzinfo=UTC),
        datetime(2025, 11, 2, 6, 30, tzinfo=UTC),
        datetime(2025, 11, 2, 7, 30, tzinfo=UTC),
    ],
    ids=["before spring", "at spring", "first half past one", "second half past one"],
)
def test_danger_in_the_night_of_a_clock_change_finds_whoever_is_on_call(session, now, at):
    people = people_with_ana_on_call(session, now)
    shift = {"role": on_call.FIRST, "weekday": 5, "start_minute": 20 * 60, "end_minute": 8 * 60}
    on_call.add_shift(session, people.program, staff_id=people.ana.id, by="system:test", now=now, **shift)
    parent = a_parent(session, people.family, now=now)
    answer = texting(session, at)(parent, CRISIS)
    assert "has been alerted" in answer.texts[0]
    (alert,) = alerts(session)
    assert alert.escalate_at == at + 5 * MINUTE
    paged = select(AlertEvent.staff_id).where(AlertEvent.event == "paged")
    assert session.scalars(paged).all() == [people.ana.id]


def test_the_other_parent_of_a_disclosure_may_be_in_danger_too(session, now):
    people = people_with_ana_on_call(session, now)
    mother, father = (a_parent(session, people.family, now=now) for _ in range(2))
    text = texting(session, now)
    text(mother, ABUSE)
    answer = text(father, "I want to kill myself")
    assert "988" in answer.texts[0]
    assert "abuse" not in answer.texts[0].lower()
    titles = {alert.parent_id: alert.title for alert in alerts(session)}
    assert "abuse" in titles[mother.id]
    assert "abuse" not in titles[father.id]


def test_three_hundred_alarms_in_a_minute_are_a_handful_of_pages_and_every_one_is_named(session, now):
    people = people_with_ana_on_call(session, now)
    for n in range(300):
        concern = raising.Concern(program_id=people.program.id, level="crisis", severity=3, tier="harm_others", why="x")
        raising.raise_alert(session, concern, now=now + n * timedelta(seconds=0.2))
    page_count = session.scalar(select(func.count(Outbox.id)).where(Outbox.category == "staff_page"))
    assert page_count <= pages.BURST + 1
    assert session.scalar(select(func.count(AlertPage.alert_id.distinct()))) == 300


def test_the_words_alone_are_enough_unless_an_episode_or_the_texts_before_change_them(session, now):
    people = people_with_ana_on_call(session, now)
    parent = a_parent(session, people.family, now=now)
    seen = []

    def screen(text, *, recent=(), own_texts=(), open_episode=False):
        seen.append((bool(recent), open_episode))
        return DEPS.screen(text, recent=recent, own_texts=own_texts, open_episode=open_episode)

    deps = Deps(library=LIBRARY, screen=screen)
    for n, (body, minutes) in enumerate([("all is well", 0), ("see you then", 1), (CRISIS, 10), ("he is calm", 20)]):
        text = incoming(n, parent.phone, body)
        alone = handle.read_alone(text, deps=deps)
        handle.receive(session, text, now=now + minutes * MINUTE, deps=deps, alone=alone)
    # Each once alone; again after a text of the same minutes, and again while the episode is open.
    assert seen == [(False, False), (False, False), (True, False), (False, False), (False, False), (False, True)]


def test_a_screen_that_fails_before_the_transaction_is_a_doubt_too(session, now):
    people = people_with_ana_on_call(session, now)
    parent = a_parent(session, people.family, now=now)

    def broken(text, **_):
        raise RuntimeError("the model is gone")

    deps = Deps(library=LIBRARY, screen=broken)
    text = incoming(1, parent.phone, "good morning")
    answer = handle.receive(session, text, now=now, deps=deps, alone=handle.read_alone(text, deps=deps))
    assert answer.handled_as == "check"
    assert "SAFE or NOT SAFE" in answer.texts[0]
    assert (
        session.scalars(select(Parent.status).where(Parent.phone_index == blind_index(parent.phone))).one() == "active"
    )
