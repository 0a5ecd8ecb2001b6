"""Holds: a person ends them, with a reason and a path; nothing resumes by itself after a crisis."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from nudges.alerts import acknowledging, holds
from nudges.families import snapshots, standings
from nudges.models.family import KeyDate, Parent
from nudges.models.messages import Outbox
from nudges.models.on_call import StaffDuty
from nudges.models.safety import Alert, Hold
from tests.support import factories
from tests.support.factories import a_parent
from tests.support.on_call import an_alert
from tests.support.on_call import events as events_of

MINUTE = timedelta(minutes=1)


@pytest.fixture
def people(session, now):
    return factories.people(session, now=now)


@pytest.fixture
def parent(session, people, now):
    return a_parent(session, people.family, now=now, name="Rosa Invented")


def hold_for(session, people, parent, now, tier="suicide_selfharm"):
    raised = an_alert(session, people, now, parent=parent, tier=tier)
    return holds.hold_family(
        session,
        family_id=parent.family_id,
        kind="crisis",
        tiers=(tier,),
        alert=raised.alert,
        now=now,
    )


def test_a_crisis_holds_the_whole_family_once(session, people, parent, now):
    (hold,) = hold_for(session, people, parent, now)
    (again,) = hold_for(session, people, parent, now + MINUTE)
    assert hold.id == again.id
    assert (hold.scope, hold.kind, hold.parent_id) == ("family", "crisis", None)


def test_ending_an_alert_releases_no_hold(session, people, parent, now):
    (hold,) = hold_for(session, people, parent, now)
    alert = session.get_one(Alert, hold.alert_id)
    acknowledging.resolve(session, alert, people.ana.id, "safe", "", now)
    assert holds.open_holds(session, family_id=parent.family_id, now=now + timedelta(days=90)) == [hold]


RESUME = holds.Release(path="resume")


@pytest.mark.parametrize(
    ("reason", "release"),
    [
        (" ", RESUME),
        ("they are well", holds.Release(path="burst")),
        ("they are well", holds.Release(path="rest")),
        ("they are well", holds.Release(path="resume", at_step="ZZ-9")),
        ("they are well", holds.Release(path="aftercare")),
        ("they are well", holds.Release(path="resume", talks_may_go_on=True)),
    ],
    ids=["no reason", "no path", "rest without a date", "no such step", "aftercare untrained", "talks untrained"],
)
def test_a_hold_is_not_released_without_a_reason_and_a_path_that_can_be_gone(
    session, people, parent, now, reason, release
):
    (hold,) = hold_for(session, people, parent, now)
    with pytest.raises(holds.HoldError):
        holds.release_hold(session, hold, people.ana.id, reason, release, now)
    assert hold.released_at is None


def test_a_trained_person_may_begin_aftercare_with_the_release(session, people, parent, now):
    (hold,) = hold_for(session, people, parent, now)
    session.add(KeyDate(parent_id=parent.id, kind="crisis_report", nth=1, at=now, first_at=now, status="set"))
    session.merge(StaffDuty(staff_id=people.ana.id, is_trained_in_aftercare=True))
    session.flush()
    assert holds.release_hold(session, hold, people.ana.id, "home again", holds.Release(path="aftercare"), now + MINUTE)
    thread = snapshots.thread_of(session, session.get_one(Parent, parent.id))
    assert thread.in_sequence("AFTERCRISIS") is not None
    assert thread.pace.no_talks_until is not None, "talks rest for a month all the same"


def test_a_family_that_finishes_gets_nothing_more(session, people, parent, now):
    (hold,) = hold_for(session, people, parent, now)
    holds.release_hold(session, hold, people.ana.id, "they moved away", holds.Release(path="finish"), now + MINUTE)
    thread = snapshots.thread_of(session, session.get_one(Parent, parent.id))
    assert not thread.enrollments
    found = standings.of_parent(session, session.get_one(Parent, parent.id), now=now + timedelta(days=1))
    assert found.state == "said_goodbye"


def test_releasing_a_hold_says_who_and_why_and_happens_once(session, people, parent, now):
    (hold,) = hold_for(session, people, parent, now)
    later = now + timedelta(days=2)
    assert holds.release_hold(session, hold, people.ana.id, "Spoke with her, safe plan made.", RESUME, later)
    assert not holds.release_hold(session, hold, people.ben.id, "me too", RESUME, later)
    assert (hold.released_by, hold.release_reason) == (people.ana.id, "Spoke with her, safe plan made.")
    events = events_of(session, session.get_one(Alert, hold.alert_id))
    assert events[-1].event == "hold_released"


def rest(now):
    return holds.Release(path="rest", until=now + timedelta(days=90))


def test_a_release_may_leave_the_parent_at_rest_until_a_date(session, people, parent, now):
    (hold,) = hold_for(session, people, parent, now)
    assert holds.release_hold(session, hold, people.ana.id, "in hospital", rest(now), now + MINUTE)
    assert session.get_one(Parent, parent.id, populate_existing=True).status == "paused"


def test_nothing_restarts_while_another_hold_stands(session, people, parent, now):
    (crisis,) = hold_for(session, people, parent, now)
    safety = holds.place_hold(session, family_id=parent.family_id, kind="safety", now=now)
    holds.release_hold(session, crisis, people.ana.id, "talked", rest(now), now + MINUTE)
    assert session.get_one(Parent, parent.id, populate_existing=True).status == "active"
    holds.release_hold(session, safety, people.ana.id, "cleared", rest(now), now + MINUTE)
    assert session.get_one(Parent, parent.id, populate_existing=True).status == "paused"


def test_a_released_family_is_not_flooded(session, people, parent, now):
    """The welcome of a day ago may go; the rest moves by the length of the hold."""
    (hold,) = hold_for(session, people, parent, now)
    before = session.scalar(select(func.count(Outbox.id)).where(Outbox.category == "nudge"))
    holds.release_hold(session, hold, people.ana.id, "safe", RESUME, now + timedelta(days=30))
    session.refresh(parent)
    assert parent.next_at is not None
    assert session.scalar(select(func.count(Outbox.id)).where(Outbox.category == "nudge")) == before


def test_holds_that_overlap_are_one_rest(session, people, parent, now):
    (crisis,) = hold_for(session, people, parent, now)
    safety = holds.place_hold(session, family_id=parent.family_id, kind="safety", now=now + timedelta(days=5))
    begun = enrolled_at(session, parent)
    holds.release_hold(session, crisis, people.ana.id, "talked", RESUME, now + timedelta(days=6))
    assert enrolled_at(session, parent) == begun, "the other hold still stands"
    holds.release_hold(session, safety, people.ana.id, "cleared", RESUME, now + timedelta(days=10))
    assert enrolled_at(session, parent) - begun == timedelta(days=10)


def test_a_conversation_does_not_keep_a_released_family_where_it_was(session, people, parent, now):
    (hold,) = hold_for(session, people, parent, now)
    begun = enrolled_at(session, parent)
    holds.open_conversation(session, parent, staff_id=people.ana.id, now=now + timedelta(days=3))
    holds.release_hold(session, hold, people.ana.id, "safe", RESUME, now + timedelta(days=3, hours=1))
    assert enrolled_at(session, parent) - begun == timedelta(days=3, hours=1)


def enrolled_at(session, parent):
    """From when the parent's first sequence counts, as the core sees it."""
    return snapshots.thread_of(session, session.get_one(Parent, parent.id)).enrollments[0].started_at


@pytest.mark.parametrize(("hours", "policy"), [(24, {}), (5, {"conversation_hours": 5})])
def test_a_conversation_lasts_as_long_as_the_program_says(session, people, parent, now, hours, policy):
    people.program.policy = policy
    talk = holds.open_conversation(session, parent, staff_id=people.ana.id, now=now)
    assert talk.until == now + timedelta(hours=hours)


def test_a_conversation_ends_by_itself_and_only_a_conversation(session, people, parent, now):
    talk = holds.open_conversation(session, parent, staff_id=people.ana.id, now=now)
    assert holds.conversation_of(session, parent, now=now + timedelta(hours=23)) is talk
    assert holds.conversation_of(session, parent, now=now + timedelta(hours=25)) is None
    holds.open_conversation(session, parent, staff_id=people.ana.id, now=now + timedelta(hours=2))
    assert session.scalar(select(func.count(Hold.id))) == 1
    assert holds.conversation_of(session, parent, now=now + timedelta(hours=25)) is talk
