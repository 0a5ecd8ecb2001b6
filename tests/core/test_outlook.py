"""Looking for few moments decides as looking for all of them would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from schedules import lifecycle, plan, policy, profile
from schedules.catalog import load_library
from schedules.outlook import Outlook
from schedules.values import Idle, KeyDate, Kind, Thread, Wait
from tests.core.timelines import welcomed

LIBRARY = load_library()
START = datetime(2025, 3, 3, 15, 0, tzinfo=UTC)
NO_CONTACT = {"custody": "supervised"}
FAMILIES = {
    "ordinary": ({}, ("TALK", "CARE")),
    "two homes": ({"custody": {"pattern": "2-2-3", "anchor_date": "2025-03-03"}}, ("TALK", "ONBOARD")),
    "no talk can go": (NO_CONTACT, ("TALK", "RESOURCE")),
    "sessions": ({"court_ordered": "no"}, ("DRIVE", "REMIND", "CARE")),
    "a third waits": ({"quiet_days": ["sun"]}, ("TALK", "DEMYST", "CHOICE")),
    "hardly any hours": ({"contact_hours": {"sat": ["10:00-12:00"]}}, ("DEMYST", "CHOICE")),
}


def thread_of(data, sequences):
    family = profile.parse({"timezone": "America/Chicago", **data})
    sessions = tuple(KeyDate(kind="session", nth=n, at=START + timedelta(days=7 * n, hours=6)) for n in (1, 2, 3))
    thread = Thread(profile=family, key_dates=sessions, pace=welcomed())
    for n, key in enumerate(sequences):
        thread = lifecycle.enroll(
            thread, LIBRARY.sequences[key], enrollment_id=str(n), now=START, policy=policy.DEFAULT
        )
    return thread


def looks(thread, days):
    """The thread at each decision of some weeks in which nobody answers."""
    now = START
    while now < START + timedelta(days=days):
        yield lifecycle.at(thread, policy.DEFAULT, now), now
        decision = plan.decide(thread, policy.DEFAULT, now)
        thread = plan.advance(thread, decision, policy.DEFAULT, now)
        if isinstance(decision, Idle):
            return
        now = decision.until if isinstance(decision, Wait) else now


def first(candidates):
    found = min((c for c in candidates if c.at is not None), key=lambda c: (c.at, c.priority), default=None)
    return found and (found.at, found.step.id, found.reason)


def talk(candidates):
    found = min((c for c in candidates if c.step.kind is Kind.TALK and c.at), key=lambda c: c.at, default=None)
    return found and (found.at, found.step.id, found.expires_at)


@pytest.mark.parametrize(("data", "sequences"), FAMILIES.values(), ids=FAMILIES)
def test_what_a_wait_needs_is_what_all_steps_with_all_moments_would_give(data, sequences):
    seen = 0
    for thread, now in looks(thread_of(data, sequences), days=60):
        every = Outlook(thread, policy.DEFAULT, now).in_reach()
        some = Outlook(thread, policy.DEFAULT, now).waited_for()
        assert [c.pending for c in some] == [c.pending for c in every]
        assert (first(some), talk(some)) == (first(every), talk(every))
        if any(c.at == now for c in every):  # what could go, and may have to yield: then each later moment counts
            assert [c.at for c in some] == [c.at for c in every]
        seen += len(every)
    assert seen > 20


@pytest.mark.parametrize(("data", "sequences"), FAMILIES.values(), ids=FAMILIES)
def test_what_is_ready_and_what_is_in_reach_is_the_same_however_it_is_asked(data, sequences):
    for thread, now in looks(thread_of(data, sequences), days=60):
        outlook = Outlook(thread, policy.DEFAULT, now)
        every = Outlook(thread, policy.DEFAULT, now).in_reach()
        ready = [c.pending for c in every if c.at is not None and c.at <= now and c.step.kind is not Kind.STAFF]
        assert [c.pending for c in outlook.ready()] == ready
        assert [c.pending for c in outlook.coming if outlook.reaches(c)] == [c.pending for c in every]
        assert all(
            c.at is None or c.at >= c.due.at and c.until > now for c in every
        )  # none before it is due, none over
