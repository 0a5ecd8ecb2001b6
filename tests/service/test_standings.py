"""Nobody is left without a next thing: the daily check asks a person once, and a closed task lets the thread go on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from nudges import tasks
from nudges.families import care, enrolling, snapshots, standings
from nudges.models.family import Parent
from nudges.models.safety import Task
from nudges.models.sequences import Enrollment
from nudges.outbound import planner
from schedules.standing import Standing
from tests.support.factories import LIBRARY, a_parent

DAY = timedelta(days=1)


@pytest.fixture
def parent(sessions, people, now):
    with sessions.begin() as session:
        return a_parent(session, people.family, now=now)


@pytest.fixture
def idle(sessions, parent, now):
    """A parent with nothing planned: welcomed, and onboarding was taken away."""
    with sessions.begin() as session:
        care.note_welcome(session, session.get_one(Parent, parent.id), now=now)
        for enrollment_id in session.scalars(select(Enrollment.id)).all():
            enrolling.end_enrollment(session, enrollment_id, status="stopped", reason="a person ended it", now=now)
    return parent


def open_tasks(session):
    return session.scalars(select(Task).where(Task.done_at.is_(None)).order_by(Task.id)).all()


def a_day(sessions, now):
    """What the service does in a day: it plans, and it checks."""
    planner.plan_due(sessions, now=now, library=LIBRARY)
    return standings.check_all(sessions, now=now)


def close_all(session, now):
    for task in open_tasks(session):
        tasks.close(task, now=now)
        standings.staff_done(session, task.parent_id, now=now)


def test_how_a_parent_stands_is_kept_with_them_and_is_no_change_of_the_thread(sessions, parent, now):
    with sessions() as session:
        before = session.get_one(Parent, parent.id).revision
    assert standings.check_all(sessions, now=now) == standings.Checked(parents=1)
    with sessions() as session:
        row = session.get_one(Parent, parent.id)
        assert (row.standing, row.standing_owner, row.revision) == ("planned", None, before)


def test_a_parent_with_nothing_planned_gets_one_task_and_no_second(sessions, idle, now):
    for days in range(5):
        a_day(sessions, now + days * DAY)
    with sessions() as session:
        (task,) = open_tasks(session)
        assert task.parent_id == idle.id and "nothing is planned" in task.words.lower()
        row = session.get_one(Parent, idle.id)
        assert (row.standing, row.standing_owner) == ("staff", "counselor")
        assert row.standing_by is not None


def test_a_closed_task_lets_the_thread_go_on(sessions, idle, now):
    a_day(sessions, now)
    with sessions.begin() as session:
        assert snapshots.thread_of(session, session.get_one(Parent, idle.id)).pace.with_staff is not None
        close_all(session, now + DAY)
    with sessions() as session:
        assert snapshots.thread_of(session, session.get_one(Parent, idle.id)).pace.with_staff is None


def test_a_thread_waits_while_another_task_about_the_parent_is_open(sessions, idle, now):
    a_day(sessions, now)
    with sessions.begin() as session:
        (asked,) = open_tasks(session)
        tasks.ask_about(session, session.get_one(Parent, idle.id), kind="question", words="Call them.", now=now)
        tasks.close(asked, now=now)
        standings.staff_done(session, idle.id, now=now)
        assert snapshots.thread_of(session, session.get_one(Parent, idle.id)).pace.with_staff is not None
        close_all(session, now)
        assert snapshots.thread_of(session, session.get_one(Parent, idle.id)).pace.with_staff is None


def test_the_check_lets_a_thread_go_on_whose_task_was_closed_in_another_way(sessions, idle, now):
    a_day(sessions, now)
    with sessions.begin() as session:
        (asked,) = open_tasks(session)
        tasks.close(asked, now=now)
    assert standings.check_all(sessions, now=now + DAY).went_on == 1
    assert standings.check_all(sessions, now=now + DAY).went_on == 0


@pytest.fixture
def nothing_stands(monkeypatch):
    """The core finds that nothing is right: its own sequences never come to that, a fault might."""
    found = Standing(state="staff", reason="Nothing comes next.", owner="counselor", is_right=False)
    monkeypatch.setattr(standings, "standing", lambda thread, policy, now: found)


def test_where_nothing_is_right_a_person_is_asked_once(sessions, parent, nothing_stands, now):
    made = [standings.check_all(sessions, now=now + days * DAY).tasks for days in range(4)]
    assert made == [1, 0, 0, 0]
    with sessions.begin() as session:
        (task,) = open_tasks(session)
        assert (task.kind, task.words) == ("standing", "Nothing comes next. Choose what comes next.")
        close_all(session, now + 4 * DAY)
    assert standings.check_all(sessions, now=now + 5 * DAY).tasks == 1, "closed and still not right: asked again"


def test_every_parent_is_looked_at_batch_by_batch(sessions, people, nothing_stands, now):
    with sessions.begin() as session:
        for _ in range(5):
            a_parent(session, people.family, now=now)
    assert standings.check_all(sessions, now=now, batch=2) == standings.Checked(parents=5, tasks=5)


def test_who_has_opted_out_and_whose_number_is_not_theirs_are_no_task(sessions, people, nothing_stands, now):
    with sessions.begin() as session:
        stopped, lost = (a_parent(session, people.family, now=now) for _ in range(2))
        care.opt_out(session, stopped, how="keyword STOP", now=now)
        care.mark_phone_problem(session, lost, "invalid", now=now)
    assert standings.check_all(sessions, now=now) == standings.Checked(parents=1)
