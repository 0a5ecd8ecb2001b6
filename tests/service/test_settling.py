"""A person settles the question that must not stay open, with what the parent told them."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy import select

from nudges import publishing
from nudges.families import care, snapshots
from nudges.families.enrolling import EnrollError
from nudges.inbound import settling
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.safety import Hold, LedgerEntry, Task
from nudges.models.sequences import SequenceRow, SequenceVersion
from nudges.outbound import planner
from schedules import gate
from tests.support.factories import LIBRARY, a_parent


@pytest.fixture
def asked(sessions, people, now):
    """A parent who has been welcomed and asked who sees this phone, and has not answered for two days."""
    with sessions.begin() as session:
        parent = a_parent(session, people.family, now=now)
    for minutes in (0, 15, 2 * 24 * 60):
        planner.plan_due(sessions, now=now + timedelta(minutes=minutes), library=LIBRARY)
    return parent


@pytest.fixture
def settle(sessions, people, asked, now):
    def settle(digit):
        at = now + timedelta(days=3)
        with sessions.begin() as session:
            settling.settle(session, session.get_one(Parent, asked.id), digit, staff_id=people.ana.id, now=at)

    return settle


def open_step(session, parent):
    step = settling.open_question(snapshots.thread_of(session, session.get_one(Parent, parent.id)))
    return None if step is None else step.id


def texts(session):
    return [row.step_id for row in session.scalars(select(Outbox).order_by(Outbox.id))]


def test_while_it_is_open_nothing_else_is_asked(sessions, asked, now):
    planner.plan_due(sessions, now=now + timedelta(days=6), library=LIBRARY)
    with sessions() as session:
        assert open_step(session, asked) == "ON-2"
        assert set(texts(session)) == {"ON-1", "ON-2"}


def test_others_may_see_the_phone_makes_the_texts_discreet(sessions, people, asked, settle):
    settle("2")
    with sessions() as session:
        parent = session.get_one(Parent, asked.id)
        assert snapshots.profile_of(parent).discreet
        assert open_step(session, asked) is None
        entry = session.scalars(select(LedgerEntry).where(LedgerEntry.action == "question.settled")).one()
        assert (entry.actor, entry.details) == (f"staff:{people.ana.id}", {"means": "shared"})
        assert session.scalars(select(Hold)).all() == []


def test_once_settled_onboarding_goes_on_and_no_reply_is_texted(sessions, asked, settle, now):
    settle("1")
    with sessions() as session:
        before = texts(session)
    for days in (4, 5, 6):
        planner.plan_due(sessions, now=now + timedelta(days=days), library=LIBRARY)
    with sessions() as session:
        assert set(before) == {"ON-1", "ON-2"}
        assert "ON-3" in texts(session)


@pytest.fixture
def leading_on(sessions, people):
    """A program whose admin has "1 only me" lead to another sequence."""
    with sessions.begin() as session:
        row = session.scalars(select(SequenceVersion).join(SequenceRow).where(SequenceRow.key == "ONBOARD")).one()
        assert "then: [next]" in row.yaml
        row.yaml = row.yaml.replace("then: [next]", "then: [start DEMYST]", 1)
        row.sha256 = publishing.digest_of(row.yaml)


def test_what_the_answer_starts_is_started_by_a_person_too(sessions, leading_on, asked, settle):
    settle("1")
    with sessions() as session:
        thread = snapshots.thread_of(session, session.get_one(Parent, asked.id))
        assert thread.in_sequence("DEMYST") is not None


def test_a_phone_that_is_not_safe_is_held_until_a_person_has_looked(sessions, people, asked, settle, now):
    settle("3")
    with sessions() as session:
        hold = session.scalars(select(Hold)).one()
        assert (hold.kind, hold.parent_id, hold.until, hold.released_at) == ("safety", asked.id, None, None)
        assert snapshots.profile_of(session.get_one(Parent, asked.id)).discreet
        words = [task.words for task in session.scalars(select(Task)) if task.parent_id == asked.id]
        assert any("do the safety screen" in one for one in words), words
        before = texts(session)
    for days in range(4, 12):
        planner.plan_due(sessions, now=now + timedelta(days=days), library=LIBRARY)
    with sessions() as session:
        assert texts(session) == before


@pytest.mark.parametrize("digit", ["4", "", "shared"])
def test_what_is_not_one_of_its_answers_changes_nothing(sessions, asked, settle, digit):
    with pytest.raises(EnrollError, match="no such answer"):
        settle(digit)
    with sessions() as session:
        assert open_step(session, asked) == "ON-2"


def test_a_question_is_settled_once(sessions, asked, settle):
    settle("2")
    with pytest.raises(EnrollError, match="not open any more"):
        settle("1")
    with sessions() as session:
        assert snapshots.profile_of(session.get_one(Parent, asked.id)).discreet


def test_a_person_opens_the_gate_that_only_a_person_may_open(sessions, people, now):
    with sessions.begin() as session:
        parent = a_parent(session, people.family, now=now, profile={"court_ordered": "no"}, sequences=("BREAK",))
        thread = snapshots.thread_of(session, parent)
        shut = [shut_gate(one, now) for one in thread.enrollments]
        snapshots.save_or_raise(session, parent, dataclasses.replace(thread, enrollments=tuple(shut)), now=now)
    with sessions.begin() as session:
        care.open_gate(session, session.get_one(Parent, parent.id), staff_id=people.ana.id, now=now)
    with sessions() as session:
        thread = snapshots.thread_of(session, session.get_one(Parent, parent.id))
        for one in thread.enrollments:
            assert gate.GATE_SHUT not in one.instants and not one.facts.get("gate unanswered")
        entry = session.scalars(select(LedgerEntry).where(LedgerEntry.action == "gate.opened")).one()
        assert (entry.actor, entry.parent_id) == (f"staff:{people.ana.id}", parent.id)


def shut_gate(enrollment, at):
    """As a crisis and two askings that nobody answered leave it."""
    return dataclasses.replace(
        enrollment,
        instants={**enrollment.instants, gate.GATE_SHUT: at},
        facts={**enrollment.facts, "gate unanswered": 2},
    )
