"""From a due moment to a queued text: one row for each step, whoever plans, and a reason for whatever did not go."""

from __future__ import annotations

import re
import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from nudges.families import enrolling, snapshots
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.safety import LedgerEntry
from nudges.models.sequences import Enrollment, SequenceVersion, StepOutcome
from nudges.outbound import planner
from schedules import state
from tests.support.factories import LIBRARY, a_parent, a_text


def plan_all(sessions, now):
    return planner.plan_due(sessions, now=now, library=LIBRARY)


@pytest.fixture
def parent(sessions, people, now):
    with sessions.begin() as session:
        return a_parent(session, people.family, now=now)


def test_a_new_parent_gets_the_welcome_at_the_first_beat(sessions, parent, now):
    assert plan_all(sessions, now).queued == 1
    with sessions() as session:
        row = session.scalars(select(Outbox)).one()
        assert (row.step_id, row.category, row.status) == ("ON-1", "nudge", "queued")
        assert (row.body, row.segments) == (None, None), "its words are made when it is handed over"
        assert row.basis
        outcome = session.scalars(select(StepOutcome)).one()
        assert (outcome.outcome, outcome.step_id) == ("sent", "ON-1")
        assert outcome.reason


def test_a_row_pins_the_version_that_its_enrollment_pinned(sessions, parent, now):
    plan_all(sessions, now)
    with sessions() as session:
        row, enrollment = session.scalars(select(Outbox)).one(), session.scalars(select(Enrollment)).one()
        assert row.version_id == enrollment.version_id
        assert session.get(SequenceVersion, row.version_id).number == 1


def test_the_next_moment_is_cached_with_its_reason(sessions, parent, now):
    plan_all(sessions, now)
    with sessions() as session:
        row = session.get(Parent, parent.id)
        assert row.next_at > now
        assert row.next_reason


def test_planning_again_at_the_same_instant_changes_nothing(sessions, parent, now):
    plan_all(sessions, now)
    assert plan_all(sessions, now).parents == 0
    with sessions.begin() as session:
        assert planner.plan_one(session, parent.id, now=now, library=LIBRARY) == 0
        assert session.scalar(select(func.count()).select_from(Outbox)) == 1


def test_two_planners_at_once_queue_one_text(sessions, people, now):
    with sessions.begin() as session:
        for _ in range(6):
            a_parent(session, people.family, now=now)
    ready = threading.Barrier(2)

    def plan():
        ready.wait()
        plan_all(sessions, now)

    threads = [threading.Thread(target=plan) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Outbox)) == 6
        assert session.scalar(select(func.count()).select_from(StepOutcome)) == 6


def test_a_plan_made_on_an_old_reading_is_rolled_back_whole(sessions, parent, now):
    with sessions() as session:
        stale = session.get(Parent, parent.id)
        thread = snapshots.thread_of(session, stale)
        session.commit()  # what was read stays in memory, as in a planner that is overtaken
        with sessions.begin() as other:
            snapshots.look_again(snapshots.locked(other, parent.id), now=now)
        with pytest.raises(snapshots.StaleParent):
            snapshots.save_or_raise(session, stale, thread, now=now)


def test_a_parent_whose_plan_fails_waits_an_hour_and_the_others_go_on(sessions, people, parent, now, caplog):
    with sessions.begin() as session:
        a_parent(session, people.family, now=now)
        session.execute(update(Parent).where(Parent.id == parent.id).values(profile={"timezone": "Mars/Olympus"}))
    planned = plan_all(sessions, now)
    assert (planned.queued, planned.failed) == (1, 1)
    with sessions() as session:
        row = session.get(Parent, parent.id)
        assert row.next_at == now + timedelta(hours=1)
        assert "ProfileError" in row.next_reason
    assert "Mars" not in caplog.text


KINDS_OF_FAMILIES = [
    {},
    {"profile": {"timezone": "America/Los_Angeles", "age_band": "13-17"}},
    {"language": "es", "profile": {"timezone": "America/New_York", "age_band": "5-8"}},
    {"sequences": ("TALK",)},
    {"sequences": ("TALK", "CARE"), "language": "es"},
    {"profile": {"timezone": "America/Denver", "busy_hours": {"mon-fri": ["07:00-19:30"]}}},
]


def as_planned(session, parent_id):
    """All that planning wrote about a parent, without ids."""
    parent = session.get(Parent, parent_id)
    thread = snapshots.thread_of(session, parent)
    texts = session.scalars(select(Outbox).where(Outbox.parent_id == parent_id).order_by(Outbox.id)).all()
    own = select(Enrollment.id).where(Enrollment.parent_id == parent_id)
    outcomes = session.scalars(select(StepOutcome).where(StepOutcome.enrollment_id.in_(own)).order_by(StepOutcome.id))
    entries = session.scalars(select(LedgerEntry).where(LedgerEntry.parent_id == parent_id).order_by(LedgerEntry.id))
    names = ("step_id", "cycle", "category", "priority", "body", "basis", "language")
    more = ("segments", "status", "not_before", "expires_at", "version_id")
    return (
        re.sub(r"(enrollment|Enrollment\(id)='\d+'", "its enrollment", repr(thread)),
        (parent.next_at, parent.next_reason, parent.revision, [text.to == parent.phone for text in texts]),
        [
            ({**text.gate, "enrollment": "its enrollment"}, *(getattr(text, name) for name in (*names, *more)))
            for text in texts
        ],
        [(one.step_id, one.cycle, one.outcome, one.code, one.reason, one.inputs, one.at) for one in outcomes],
        [(entry.action, entry.details, entry.actor) for entry in entries],
    )


def test_planning_in_batches_writes_exactly_what_planning_one_by_one_writes(sessions, people, now):
    with sessions.begin() as session:
        together, alone = (
            [a_parent(session, people.family, now=now, **kind).id for kind in KINDS_OF_FAMILIES * 2] for _ in range(2)
        )
    for days in (0, 1, 3, 8):
        at = now + timedelta(days=days)
        with sessions.begin() as session:
            session.execute(update(Parent).where(Parent.id.in_(together)).values(next_at=at))
            session.execute(update(Parent).where(Parent.id.in_(alone)).values(next_at=None))
        assert planner.plan_due(sessions, now=at, batch=5, library=LIBRARY).parents == len(together)
        for parent_id in alone:
            with sessions.begin() as session:
                planner.plan_one(session, parent_id, now=at, library=LIBRARY)
    with sessions() as session:
        for one, other in zip(together, alone, strict=True):
            assert as_planned(session, one) == as_planned(session, other)
        assert session.scalar(select(func.count()).select_from(Outbox)) >= 2 * len(together)


def test_a_beat_plans_nobody_twice_and_no_more_than_it_may(sessions, people, now):
    with sessions.begin() as session:
        for _ in range(24):
            a_parent(session, people.family, now=now)
    done = [planner.plan_due(sessions, now=now, limit=17, batch=2, library=LIBRARY) for _ in range(3)]
    assert [(one.parents, one.queued) for one in done] == [(17, 17), (7, 7), (0, 0)]
    with sessions() as session:
        assert len(set(session.scalars(select(Outbox.parent_id)))) == 24


def test_a_batch_whose_rows_the_database_refuses_is_planned_one_by_one(sessions, people, now):
    with sessions.begin() as session:
        ids = [a_parent(session, people.family, now=now).id for _ in range(3)]
        enrollment = session.scalars(select(Enrollment).where(Enrollment.parent_id == ids[1])).one()
        a_text(session, session.get(Parent, ids[1]), now=now, enrollment_id=enrollment.id, step_id="ON-1", cycle=1)
    planned = plan_all(sessions, now)
    assert (planned.parents, planned.queued, planned.failed) == (3, 2, 1)
    with sessions() as session:
        assert session.get(Parent, ids[1]).next_at == now + timedelta(hours=1)


def test_nobody_is_planned_who_may_not_be_texted(sessions, people, now):
    with sessions.begin() as session:
        for status in ("invited", "opted_out", "ended"):
            parent = a_parent(session, people.family, now=now)
            parent.status = status
        dead = a_parent(session, people.family, now=now)
        dead.phone_problem = "landline"
    assert plan_all(sessions, now).queued == 0
    with sessions() as session:
        assert session.get(Parent, dead.id).next_at is None


def test_the_gate_is_kept_beside_the_text(sessions, parent, now):
    plan_all(sessions, now)
    with sessions() as session:
        row = session.scalars(select(Outbox)).one()
        proposal = state.proposal_from_json(row.gate)
        assert (proposal.step, proposal.cycle) == (row.step_id, row.cycle)
        assert proposal.expires_at == row.expires_at


def test_a_pause_that_has_ended_is_noted(sessions, parent, now):
    with sessions.begin() as session:
        row = session.get(Parent, parent.id)
        row.status, row.paused_until, row.next_at = "paused", now - timedelta(minutes=1), now
    plan_all(sessions, now)
    with sessions() as session:
        assert session.get(Parent, parent.id).status == "active"
        assert "parent.resumed" in session.scalars(select(LedgerEntry.action)).all()


def test_being_enrolled_twice_is_being_enrolled_once(sessions, parent, now):
    with sessions.begin() as session:
        one = enrolling.start_sequence(session, session.get(Parent, parent.id), "TALK", now=now)
        two = enrolling.start_sequence(session, session.get(Parent, parent.id), "TALK", now=now)
        assert one.id == two.id
