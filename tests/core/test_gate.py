"""The gate: each rule objects with its own stable code, and lets go exactly at its boundary."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schedules import gate, lifecycle, pacing, policy, profile
from schedules.values import Go, Hold, Kind, Mark, Never, NotYet, OpenQuestion, Pace, Proposal, Topic
from tests.core.timelines import FAMILY_1, LIBRARY, budget_of, thread_of, welcomed, within

POLICY = policy.DEFAULT
WED = datetime(2025, 3, 12, 23, 10, tzinfo=UTC)  # 18:10 in Chicago
MINUTE = timedelta(minutes=1)


def proposal(kind=Kind.TIP, topic=Topic.THERAPY, sequence="TALK", step="TK-2", **more):
    return Proposal(
        sequence=sequence,
        step=step,
        cycle=1,
        enrollment="1",
        kind=kind,
        topic=topic,
        expires_at=WED + timedelta(days=9),
        budget=budget_of(sequence, step, kind, closes_talk=more.get("closes_talk", False)),
        **more,
    )


def thread(**changes):
    return replace(thread_of(FAMILY_1), **changes)


def mark(at, step="XX-1", kind=Kind.TIP, sequence="OTHER", counted=True):
    return Mark(at=at, kind=kind, topic=Topic.CARE, sequence=sequence, step=step, cycle=1, counted=counted)


def verdict(p, t, at=WED):
    return gate.may_go(p, within(t, p), POLICY, at)


def code(found):
    return "go" if isinstance(found, Go) else found.reason.code


def test_a_text_with_nothing_against_it_may_go():
    assert isinstance(verdict(proposal(), thread()), Go)


CLOSED = [
    pytest.param(thread(status="opted_out"), proposal(), "opted_out", Never, id="opted out"),
    pytest.param(thread(status="ended"), proposal(), "ended", Never, id="ended"),
    pytest.param(thread(status="invited"), proposal(), "not_confirmed", NotYet, id="not confirmed"),
    pytest.param(thread(status="paused"), proposal(), "paused", NotYet, id="paused"),
    pytest.param(thread(holds=(Hold(kind="crisis", since=WED),)), proposal(), "hold_crisis", NotYet, id="crisis hold"),
    pytest.param(thread(holds=(Hold(kind="safety", since=WED),)), proposal(), "hold_safety", NotYet, id="safety hold"),
    pytest.param(thread(), replace(proposal(), expires_at=WED - MINUTE), "expired", Never, id="expired"),
]


@pytest.mark.parametrize(("t", "p", "expected", "kind"), CLOSED)
def test_a_closed_gate_says_why(t, p, expected, kind):
    found = verdict(p, t)
    assert isinstance(found, kind)
    assert code(found) == expected
    assert found.reason.words.endswith(".")


def boundary(t, p, until):
    """Closed a minute before `until`, with `until` as its answer; open at `until`."""
    before = verdict(p, t, until - MINUTE)
    assert isinstance(before, NotYet), before
    assert before.until == until
    assert code(verdict(p, t, until)) != code(before)
    return code(before)


def test_a_cool_down_silences_therapy_and_asking_ideas_but_not_care():
    cooling = thread(pace=welcomed(cool_until=WED))
    assert boundary(cooling, proposal(), WED) == "cool_down"
    idea = proposal(kind=Kind.IDEA, topic=Topic.RELATIONSHIP, sequence="RECONNECT", step="RC-1")
    assert code(verdict(proposal(topic=Topic.CARE), cooling, WED - MINUTE)) == "go"
    assert code(gate._cooling(idea, cooling, POLICY, WED - MINUTE)) == "cool_down"


def test_wait_holds_talks_and_gates_only():
    waiting = thread(pace=welcomed(wait_until=WED))
    assert boundary(waiting, proposal(kind=Kind.TALK, step="TK-4"), WED) == "wait"
    assert code(verdict(proposal(), waiting, WED - MINUTE)) == "go"


def test_talks_keep_seven_days_apart_on_the_wall_clock():
    last = WED - timedelta(days=7) + timedelta(hours=1)  # the same wall time a week before: the clock changed between
    talked = thread(pace=welcomed(last_talk_at=last))
    assert boundary(talked, proposal(kind=Kind.TALK, step="TK-4"), WED) == "talk_gap"


def test_texts_keep_44_hours_apart_and_what_hangs_on_an_event_is_exempt():
    recent = thread(pace=welcomed(marks=(mark(WED - timedelta(hours=44)),)))
    assert boundary(recent, proposal(), WED) == "cap_gap"
    for free in (
        proposal(kind=Kind.FOLLOWUP),
        proposal(kind=Kind.REMINDER),
        proposal(sequence="REPAIR"),
        proposal(kind=Kind.CHECKIN, step="TK-5", closes_talk=True),
    ):
        assert code(verdict(free, recent, WED - MINUTE)) == "go"


def test_a_fourth_text_in_seven_days_waits_for_the_first_to_be_a_week_old():
    first = WED - timedelta(days=7)
    full = thread(pace=welcomed(marks=(mark(first), mark(first + timedelta(days=2)), mark(first + timedelta(days=4)))))
    assert boundary(full, proposal(), WED) == "cap_week"


def test_the_order_in_which_texts_are_remembered_makes_no_difference():
    marks = tuple(mark(WED - timedelta(days=d)) for d in (6, 4, 2))
    paces = []
    for order in (marks, marks[::-1]):
        pace = welcomed()
        for one in order:
            pace = pacing.remember(pace, one)
        paces.append(pace)
    assert paces[0].marks == paces[1].marks
    found = [verdict(proposal(), thread(pace=pace)) for pace in paces]
    assert found[0] == found[1] and code(found[0]) == "cap_week"


def test_one_text_a_day_even_for_what_is_exempt_from_the_gap():
    today = thread(pace=welcomed(marks=(mark(WED - timedelta(hours=4)),)))
    assert code(verdict(proposal(kind=Kind.FOLLOWUP), today)) == "cap_day"


def test_texts_of_the_sign_up_do_not_count():
    signed_up = thread(pace=welcomed(marks=(mark(WED - timedelta(hours=2), step="ON-1", counted=False),)))
    assert code(verdict(proposal(), signed_up)) == "go"


def test_less_means_one_a_week_and_care_takes_one_away():
    one = welcomed(marks=(mark(WED - timedelta(days=3)),), volume="less")
    assert code(verdict(proposal(), thread(pace=one))) == "cap_week"
    two = welcomed(marks=(mark(WED - timedelta(days=3)), mark(WED - timedelta(days=5))))
    with_care = lifecycle.enroll(thread(pace=two), LIBRARY.sequences["CARE"], enrollment_id="9", now=WED, policy=POLICY)
    assert code(verdict(proposal(), thread(pace=two))) == "go"
    assert code(verdict(proposal(), with_care)) == "cap_week"


def test_a_second_check_in_waits_for_the_open_question():
    question = OpenQuestion(
        enrollment="1", sequence="X", step="X-1", cycle=1, asked_at=WED, until=WED, counts_as_silence=True
    )
    asking = thread(pace=welcomed(question=question))
    assert boundary(asking, proposal(kind=Kind.CHECKIN, topic=Topic.CARE), WED) == "question_open"
    assert code(verdict(proposal(kind=Kind.FOLLOWUP), asking, WED - MINUTE)) == "go"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("BREAK", "TALK", "off_in_break"),
        ("DRIVE", "TALK", "off_in_drive"),
        ("AFTERCRISIS", "TALK", "off_in_aftercrisis"),
        ("OPENDOOR", "TALK", "off_in_opendoor"),
        ("OPENDOOR", "CARE", "go"),
        ("BREAK", "CARE", "go"),
    ],
)
def test_the_suppression_matrix(first, second, expected):
    t = thread()
    for n, key in enumerate((first, second)):
        t = lifecycle.enroll(t, LIBRARY.sequences[key], enrollment_id=str(n), now=WED, policy=POLICY)
    assert code(verdict(proposal(sequence=second, step="ZZ-1"), t)) == expected


@pytest.mark.parametrize(
    ("changes", "at", "expected"),
    [
        pytest.param({"quiet_days": ["wed"]}, WED, "quiet_day", id="quiet weekday"),
        pytest.param({"hard_dates": ["2025-03-13"]}, WED, "hard_date", id="a hard date tomorrow"),
        pytest.param({"custody": {"pattern": "none"}}, WED, "no_contact", id="no contact"),
        pytest.param({"custody": {"pattern": "supervised"}}, WED, "supervised", id="supervised"),
        pytest.param(
            {"custody": {"pattern": "alternate_weeks", "anchor_date": "2025-03-17"}}, WED, "child_away", id="away week"
        ),
        pytest.param(
            {"custody": {"pattern": "alternate_weeks", "anchor_date": "2025-03-12", "exchange_times": ["wed 18:00"]}},
            WED,
            "exchange_day",
            id="hand-over",
        ),
    ],
)
def test_days_that_are_wrong_for_a_talk(changes, at, expected):
    family = profile.parse({**FAMILY_1, **changes})
    assert code(verdict(proposal(kind=Kind.TALK, step="TK-4"), thread(profile=family), at)) == expected


def test_nothing_follows_a_report_within_two_hours():
    reported = thread(pace=welcomed(last_conflict_at=WED - timedelta(hours=2)))
    assert boundary(reported, proposal(topic=Topic.CARE), WED) == "just_reported"


def test_a_flag_of_fear_shuts_reunification_content_and_unknown_is_not_safe():
    idea = proposal(kind=Kind.IDEA, topic=Topic.RELATIONSHIP, sequence="RECONNECT", step="RC-1")
    afraid = thread(profile=profile.parse({**FAMILY_1, "child_fear": "true"}))
    unknown = thread(profile=profile.parse({**FAMILY_1, "contact_plan": "null"}))
    assert code(verdict(idea, afraid)) == "safety_flag"
    assert code(verdict(idea, unknown)) == "not_screened"
    assert code(verdict(idea, thread())) == "go"


def test_marks_are_bounded_however_long_a_parent_stays():
    pace = welcomed()
    for day in range(500):
        pace = pacing.remember(pace, mark(WED + timedelta(days=day)))
    assert len(pace.marks) <= 58


def test_nothing_goes_before_the_welcome():
    t = thread(pace=Pace())
    for n, key in enumerate(("DRIVE", "ONBOARD")):
        t = lifecycle.enroll(t, LIBRARY.sequences[key], enrollment_id=str(n), now=WED, policy=POLICY)
    reminder = proposal(kind=Kind.REMINDER, topic=Topic.LOGISTICS, sequence="DRIVE", step="DR-2")
    welcome = proposal(kind=Kind.SYSTEM, topic=Topic.SYSTEM, sequence="ONBOARD", step="ON-1")
    assert code(verdict(reminder, t)) == "welcome_first"
    assert code(verdict(welcome, t)) == "go"
    assert code(verdict(reminder, replace(t, pace=welcomed()))) == "go"
