"""What a text costs, and how texts of the same second get along: bounds that a later change must not creep past."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from nudges.families import enrolling
from nudges.inbound import handle, past
from nudges.inbound.past import Past
from nudges.inbound.texts import Deps, IncomingText
from nudges.models.messages import Inbound, Outbox
from nudges.models.safety import Alert, Task
from tests.support.factories import LIBRARY, SENDER, a_parent
from tests.support.texting import last_inbound, people_with_ana_on_call, tasks, texting

DEPS = Deps(library=LIBRARY)
CRISIS = "my daughter says she wants to kill herself"
HOUR = timedelta(hours=1)


def incoming(n, number, body):
    return IncomingText(provider_id=f"SM{n:032d}", from_number=number, to_number=SENDER, body=body)


def receive(sessions, n, number, body, now):
    text = incoming(n, number, body)
    alone = handle.read_alone(text, deps=DEPS)
    with sessions.begin() as session:
        return handle.receive(session, text, now=now, deps=DEPS, alone=alone)


@pytest.fixture
def phones(sessions, now):
    """The numbers of three enrolled families; Ana is on call. Committed."""
    with sessions.begin() as session:
        people = people_with_ana_on_call(session, now)
        by = people.ana.id
        families = [enrolling.create_family(session, program=people.program, staff_id=by, now=now) for _ in range(3)]
        return [a_parent(session, family, now=now, sequences=("ONBOARD",)).phone for family in families]


@pytest.mark.parametrize(
    ("body", "handled_as", "most"),
    [
        pytest.param("thanks, that went better than i thought", "person", 16, id="ordinary"),
        pytest.param("7", "person", 15, id="digit-without-a-question"),
        pytest.param(CRISIS, "crisis", 41, id="crisis"),
    ],
)
def test_a_text_asks_the_database_no_more_often_than_this(sessions, engine, phones, now, body, handled_as, most):
    receive(sessions, 1, phones[0], "good morning, we are well", now)
    statements = []
    note = lambda *call: statements.append(call[2])  # noqa: E731
    event.listen(engine, "before_cursor_execute", note)
    try:
        answer = receive(sessions, 2, phones[1], body, now)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert answer.handled_as == handled_as
    assert len(statements) <= most, "\n".join(statements)


def test_two_alerts_of_the_same_second_are_one_page(sessions, phones, now):
    """The second finds the page that the first has queued, although both were at work before either had committed."""
    is_stored, may_commit = threading.Event(), threading.Event()

    def first():
        with sessions.begin() as session:
            text = incoming(1, phones[0], CRISIS)
            handle.receive(session, text, now=now, deps=DEPS, alone=handle.read_alone(text, deps=DEPS))
            is_stored.set()
            may_commit.wait(10)

    def second():
        receive(sessions, 2, phones[1], CRISIS, now)

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert is_stored.wait(10)
    threads[1].start()
    threads[1].join(0.3)  # it has come as far as it can
    may_commit.set()
    for thread in threads:
        thread.join()
    with sessions() as session:
        (page,) = session.scalars(select(Outbox).where(Outbox.category == "staff_page")).all()
        assert "2 alerts wait" in page.body
        assert len(session.scalars(select(Alert)).all()) == 2


def test_a_text_is_not_read_as_its_own_past(session, phones, now):
    number = "+13125550199"
    text = texting(session, now)
    for n in range(3):
        text(number, f"is anybody there? {n}", at=now + n * HOUR)
    row = last_inbound(session)
    before = Past(session, from_index=row.from_index, but=row.provider_id, now=now + 2 * HOUR)
    assert [earlier.body for earlier in before.since(now - HOUR)] == ["is anybody there? 1", "is anybody there? 0"]
    assert [earlier.body for earlier in before.since(now)] == ["is anybody there? 1"]
    assert [earlier.was_answered for earlier in before.since(now - HOUR)] == [False, True]


def test_a_text_that_waited_on_disk_looks_back_from_when_it_came(session, phones, now):
    number = "+13125550199"
    texting(session, now)(number, "is anybody there?")
    row = session.scalars(select(Inbound)).one()
    late = Past(session, from_index=row.from_index, but="another", now=now + 3 * past.REACH)
    assert late.since(now) == []
    assert len(late.since(now - timedelta(minutes=3))) == 1


def test_an_open_task_of_whoever_had_the_number_before_does_not_hide_a_parents_text(session, now):
    people = people_with_ana_on_call(session, now)
    other = enrolling.create_family(session, program=people.program, staff_id=people.ana.id, now=now)
    parent = a_parent(session, people.family, now=now)
    text = texting(session, now)
    text(parent, "we had a good evening together")
    first = session.scalars(select(Task).where(Task.kind == "reply")).one()
    first.family_id = other.id
    session.flush()
    text(parent, "and a good morning too", at=now + HOUR)
    assert [task.family_id for task in tasks(session, "reply")] == [other.id, people.family.id]
    text(parent, "and a good day", at=now + 2 * HOUR)
    assert len(tasks(session, "reply")) == 2
