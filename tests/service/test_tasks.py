"""Tasks: when each is due, that one of a kind is enough, and that what is settled stays settled."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from nudges import tasks
from nudges.models.safety import Task
from tests.support import factories
from tests.support.factories import a_parent


@pytest.fixture
def people(session, now):
    return factories.people(session, now=now)


@pytest.mark.parametrize(("priority", "hours"), [(tasks.NOW, 1), (tasks.NEXT_DAY, 24), (tasks.THIS_WEEK, 168)])
def test_the_priority_says_when_a_task_is_due(session, people, now, priority, hours):
    task = tasks.open_task(
        session, program_id=people.program.id, kind="step", words="Ring them.", now=now, priority=priority
    )
    assert (task.due_at, task.created_at) == (now + timedelta(hours=hours), now)


def test_many_tasks_are_the_same_as_one_by_one(session, people, now):
    parents = [a_parent(session, people.family, now=now) for _ in range(3)]
    for parent in parents:
        tasks.ask_about(session, parent, kind="step", words="Say hello", now=now)
    rows = [
        tasks.row(
            program_id=parent.program_id,
            family_id=parent.family_id,
            parent_id=parent.id,
            kind="step",
            words="Say hello",
            now=now,
        )
        for parent in parents
    ]
    tasks.open_tasks(session, rows)
    tasks.open_tasks(session, [])
    columns = [c for c in Task.__table__.columns if c.name != "id"]
    made = session.execute(select(*columns).order_by(Task.id)).all()
    assert len(made) == 6 and made[:3] == made[3:]


def test_a_task_waits_until_somebody_closes_it_and_only_of_its_parent(session, people, now):
    one, other = a_parent(session, people.family, now=now), a_parent(session, people.family, now=now)

    def waiting(parent=None):
        return tasks.waiting(session, "date", program_id=people.program.id, parent_id=parent and parent.id)

    task = tasks.ask_about(session, one, kind="date", words="Ask for the date", now=now)
    assert (waiting(), waiting(one), waiting(other)) == (task, task, None)
    assert tasks.waiting(session, "reply", program_id=people.program.id) is None
    assert tasks.close(task, now=now, by=people.ana.id, outcome="March 3")
    assert not tasks.close(task, now=now + timedelta(days=1), outcome="again")
    assert (task.done_at, task.done_by, task.outcome, waiting(one)) == (now, people.ana.id, "March 3", None)
