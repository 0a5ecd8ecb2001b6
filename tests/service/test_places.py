"""Places nearby in texts: only those that somebody checked lately and that fit the family; else a person is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from nudges.families import enrolling, snapshots
from nudges.library import naming, places
from nudges.library.places import Details, PlaceError
from nudges.models.messages import Outbox
from nudges.models.safety import Task
from nudges.outbound import planner, sender
from nudges.outbound.send_check import SendCheck
from schedules import profile
from tests.support import factories
from tests.support.factories import LIBRARY, a_parent, a_text

TEENS = Details(name="Kite Street Teens", kind="peer_group", phone="312-555-0161", ages=("13-17",))
BOTH = Details(name="Lantern Club", kind="peer_group", phone="312-555-0163", in_spanish=True)
TELLING = Details(name="Family Therapy Hub", kind="health_center", phone="312-555-0164", in_spanish=True)
ONLINE = Details(name="Open Door", kind="parent_group", url="opendoor.example")


@pytest.fixture
def people(session, now):
    return factories.people(session, now=now)


def add(session, program, *details, now):
    return [places.add(session, program, each, staff_id=None, now=now, by="system:test") for each in details]


def named(session, program, now, **family):
    read = profile.parse({"timezone": "America/Chicago", **family}, where="test")
    return places.directory(session, program, now=now).values(read)


def test_a_place_fits_by_kind_age_and_language(session, people, now):
    add(session, people.program, BOTH, TEENS, now=now)
    teens = named(session, people.program, now, age_band="13-17")
    assert teens["resource peer_group"] in ("Lantern Club 312-555-0163", "Kite Street Teens 312-555-0161")
    assert named(session, people.program, now, age_band="5-8")["resource peer_group"].startswith("Lantern")
    spanish = named(session, people.program, now, age_band="13-17", pref_lang="es")
    assert spanish == {"resource peer_group": "Lantern Club 312-555-0163", "resource": "Lantern Club 312-555-0163"}


def test_a_shared_phone_shows_no_telling_name_and_no_link(session, people, now):
    add(session, people.program, TELLING, ONLINE, now=now)
    assert set(named(session, people.program, now)) == {"resource", "resource health_center", "resource parent_group"}
    assert named(session, people.program, now, discreet="true") == {}


@pytest.mark.parametrize(("days", "is_named"), [(0, True), (180, True), (181, False)])
def test_nobody_vouches_for_a_place_longer_than_180_days(session, people, now, days, is_named):
    add(session, people.program, BOTH, now=now)
    later = now + timedelta(days=days)
    assert bool(named(session, people.program, later)) is is_named
    places.remind(session, people.program, now=later)
    tasks = session.scalars(select(Task).where(Task.kind == "directory", Task.done_at.is_(None))).all()
    assert ["Lantern Club" in task.words for task in tasks] == ([] if is_named else [True])


def test_an_earlier_review_date_counts(session, people, now):
    soon = Details(name="Lantern Club", kind="peer_group", phone="312-555-0163", next_review=now.date() + timedelta(30))
    add(session, people.program, soon, now=now)
    assert named(session, people.program, now + timedelta(days=30))
    assert not named(session, people.program, now + timedelta(days=31))


def test_every_fault_of_a_place_is_named_at_once(session, people, now):
    with pytest.raises(PlaceError) as refused:
        add(session, people.program, Details(name="", kind="shop", in_english=False), now=now)
    assert set(refused.value.faults) == {"name", "kind", "phone", "in_english"}


def in_resource(session, people, now, **family):
    parent = a_parent(session, people.family, now=now, **family)
    enrolling.stop_sequence(session, parent, "ONBOARD", now=now, reason="for the test")
    enrolling.start_sequence(session, parent, "RESOURCE", now=now, at_step="RS-3")
    session.flush()
    return parent


def plan_a_month(session, parent, now):
    """Plan until RS-3 is queued, and ask at that moment as the hand-over does, which makes its words. The answer."""
    enrolled = snapshots.thread_of(session, parent)
    snapshots.save_or_raise(session, parent, replace(enrolled, pace=replace(enrolled.pace, welcomed_at=now)), now=now)
    for hour in range(0, 24 * 35, 12):
        at = now + timedelta(hours=hour)
        planner.plan_one(session, parent.id, now=at, library=LIBRARY)
        row = session.scalar(select(Outbox).where(Outbox.parent_id == parent.id, Outbox.step_id == "RS-3"))
        if row is not None:
            return SendCheck(session, [row], library=LIBRARY, now=at).ask(row)
    raise AssertionError("RS-3 was never queued")


def test_a_step_names_the_place_of_its_own_kind(session, people, now):
    add(
        session,
        people.program,
        BOTH,
        Details(name="Riverbend Health", kind="health_center", phone="312-555-0165"),
        now=now,
    )
    parent = in_resource(session, people, now)
    answer = plan_a_month(session, parent, now)
    assert answer.words.text.endswith("Near you: Riverbend Health 312-555-0165")


def test_a_step_without_a_place_goes_to_a_person_who_is_told_which(session, people, now):
    add(session, people.program, BOTH, now=now)
    parent = in_resource(session, people, now)
    answer = plan_a_month(session, parent, now)
    assert answer.status == "failed" and answer.is_for_staff
    assert "no health center for this family" in answer.reason


# ---------------------------------------------------------------- names


@pytest.fixture
def committed(sessions, now):
    with sessions.begin() as session:
        people = factories.people(session, now=now)
        parent = a_parent(session, people.family, now=now, name="Rosa Invented")
        a_parent(session, people.family, now=now, name="Tomas Fielding")
        return people, parent.id


@pytest.mark.parametrize(
    ("body", "goes"),
    [
        ("A quiet evening may be a good moment.", True),
        ("Rosa, a quiet evening may be a good moment.", False),
        ("A quiet evening with Tomas may be good.", False),
        ("Ask how rosa invented felt.", False),
        ("The Fielding home may be quiet today.", False),
        ("Ana can call you.", True),
    ],
    ids=["no name", "own", "the other parent's", "in small letters", "surname", "the counselor's"],
)
def test_no_automated_text_goes_out_that_names_the_family(wiring, committed, now, body, goes):
    people, parent_id = committed
    with wiring.sessions.begin() as session:
        parent = session.get(factories.Parent, parent_id)
        row = a_text(session, parent, now=now, body=body, category="nudge")
        lane_id, row_id = row.lane_id, row.id
    sender.drain(wiring.sessions, wiring.channel, lane_id, clock=wiring.clock, owner="test", library=LIBRARY)
    with wiring.sessions() as session:
        row = session.get(Outbox, row_id)
        tasks = session.scalars(select(Task.words).where(Task.kind == "step")).all()
    assert (row.status in ("accepted", "sent")) is goes
    if not goes:
        assert (row.status, row.status_reason) == ("cancelled", naming.NAMED)
        assert tasks == [f"A reply: {naming.NAMED}"], "staff are told, without the name"
