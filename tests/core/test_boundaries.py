"""Numbers of the policy at their edge, seen from outside: clocks that change, outages, backups, order of history."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schedules import gate, lifecycle, localtime, pacing, plan, policy, profile, script, windows
from schedules.values import Drop, Finish, Go, Idle, Kind, Mark, NotYet, Proposal, Send, Topic, Wait
from tests.core.timelines import FAMILY_1, LIBRARY, budget_of, events, thread_of, welcomed, within

POLICY = policy.DEFAULT
MINUTE = timedelta(minutes=1)
FREE = {**FAMILY_1, "busy_hours": {}}


def local(wall, zone="America/Chicago"):
    return script.instant(wall, zone)[0]


NOW = local("2025-03-19T12:00")


def proposal(kind=Kind.TIP, sequence="TALK", step="TK-2", topic=Topic.THERAPY, **more):
    return Proposal(
        sequence=sequence,
        step=step,
        cycle=1,
        enrollment="1",
        kind=kind,
        topic=topic,
        expires_at=NOW + timedelta(days=60),
        budget=budget_of(sequence, step, kind),
        **more,
    )


def mark(at, sequence="TALK", kind=Kind.TIP, step="XX-1"):
    return Mark(at=at, kind=kind, topic=Topic.CARE, sequence=sequence, step=step, cycle=1, counted=True)


def thread(*marks, data=FREE, **pace):
    return replace(thread_of(data), pace=welcomed(marks=tuple(marks), **pace))


def code(p, t, at):
    found = gate.may_go(p, within(t, p), POLICY, at)
    return "go" if isinstance(found, Go) else found.reason.code


# ------------------------------------------------------------------ one number after another, a minute before and at it


DAYS, HOURS = (lambda n: timedelta(days=n)), (lambda n: timedelta(hours=n))
OTHER = {"sequence": "OTHER"}
EDGES = {
    "44 hours between texts": (thread(mark(NOW - HOURS(44), **OTHER)), proposal(), "cap_gap"),
    "88 hours after two silences": (thread(mark(NOW - HOURS(88), **OTHER), silence_count=2), proposal(), "cap_gap"),
    "44 hours after one silence": (thread(mark(NOW - HOURS(44), **OTHER), silence_count=1), proposal(), "cap_gap"),
    "three in 7 x 24 hours": (
        thread(mark(NOW - DAYS(7), **OTHER), mark(NOW - DAYS(5), **OTHER), mark(NOW - DAYS(3), **OTHER)),
        proposal(),
        "cap_week",
    ),
    "one a week after LESS": (thread(mark(NOW - DAYS(7), **OTHER), volume="less"), proposal(), "cap_week"),
    "two a week while strain lowers": (
        thread(mark(NOW - DAYS(7), **OTHER), mark(NOW - DAYS(3), **OTHER), lower_until=NOW + DAYS(1)),
        proposal(),
        "cap_week",
    ),
    "strain that is over": (
        thread(mark(NOW - DAYS(6), **OTHER), mark(NOW - DAYS(3), **OTHER), lower_until=NOW),
        proposal(),
        "cap_week",
    ),
    "cool-down": (thread(cool_until=NOW), proposal(), "cool_down"),
    "cool-down of talks": (thread(cool_talks_until=NOW), proposal(kind=Kind.TALK, step="TK-4"), "cool_down"),
    "two hours after a report": (thread(last_conflict_at=NOW - HOURS(2)), proposal(topic=Topic.CARE), "just_reported"),
    "wait": (thread(wait_until=NOW), proposal(kind=Kind.TALK, step="TK-4"), "wait"),
    "talk gap": (thread(last_talk_at=NOW - DAYS(7)), proposal(kind=Kind.TALK, step="TK-4"), "talk_gap"),
    "longer talk gap": (thread(talk_gap_until=NOW), proposal(kind=Kind.TALK, step="TK-4"), "talk_gap"),
}


@pytest.mark.parametrize(("t", "p", "expected"), EDGES.values(), ids=EDGES)
def test_each_number_holds_until_its_minute_and_not_longer(t, p, expected):
    assert code(p, t, NOW - MINUTE) == expected
    assert code(p, t, NOW) == "go"


def test_a_cool_down_without_an_end_before_it_is_72_hours():
    found = events(FREE, ["TALK"], days=3, acts="[{at: 2025-03-04T12:00, text: HARD}]")
    assert next(e["until"] for e in found if e.get("effect") == "cool") == "2025-03-07T18:00:00Z"
    assert next(e["until"] for e in found if e.get("effect") == "talk_gap") == "2025-03-18T17:00:00Z"


@pytest.mark.parametrize(
    ("away", "expected"), [(-2, "go"), (-1, "court_day"), (0, "court_day"), (1, "court_day"), (2, "go")]
)
def test_no_talk_on_a_court_day_or_the_days_beside_it(away, expected):
    t = thread_of(FREE, {"court": [(NOW + timedelta(days=away)).date().isoformat()]})
    assert code(proposal(kind=Kind.TALK, step="TK-4"), t, NOW) == expected


@pytest.mark.parametrize(
    ("away", "talk", "gate_"),
    [(1, "hard_date", "hard_date"), (2, "go", "hard_date"), (7, "go", "hard_date"), (8, "go", "go")],
)
def test_hard_dates_keep_talks_a_day_and_gates_a_week_away(away, talk, gate_):
    t = thread_of({**FREE, "hard_dates": [(NOW + timedelta(days=away)).date().isoformat()]})
    assert code(proposal(kind=Kind.TALK, step="TK-4"), t, NOW) == talk
    assert code(proposal(kind=Kind.GATE, sequence="DRIVE", step="DR-7"), t, NOW) == gate_


STATES = {
    "TX": ("2025-03-16T12:00", {"default": ["08:00-21:00"]}),
    "FL": ("2025-03-17T08:00", {"default": ["08:00-21:00"]}),
    "CT": ("2025-03-17T09:00", {"default": ["08:00-21:00"]}),
    "RI": ("2025-03-15T10:00", {"default": ["08:00-21:00"]}),
}


@pytest.mark.parametrize(("state", "opens", "hours"), [(s, *rest) for s, rest in STATES.items()], ids=STATES)
def test_a_state_opens_at_its_own_minute(state, opens, hours):
    family = profile.parse({**FREE, "state": state, "contact_hours": hours, "slot_pref": "08:00"})
    assert windows.is_open(family, POLICY, local(opens))
    assert not windows.is_open(family, POLICY, local(opens) - MINUTE)


@pytest.mark.parametrize(
    ("wall", "is_open"),
    [
        ("18:14", True),
        ("18:15", False),
        ("19:14", False),
        ("19:15", True),
        ("19:59", True),
        ("20:00", False),
        ("08:59", False),
        ("09:00", True),
    ],
)
def test_dinner_and_contact_hours_close_and_open_at_their_minute(wall, is_open):
    assert windows.is_open(profile.parse(FREE), POLICY, local(f"2025-03-19T{wall}")) is is_open


@pytest.mark.parametrize(("wall", "is_open"), [("18:59", True), ("19:00", False)])
def test_the_half_hour_before_bedtime_is_closed_from_its_first_minute(wall, is_open):
    family = profile.parse({**FREE, "dinner_time": "null", "bedtime_school": "19:30"})
    assert windows.is_open(family, POLICY, local(f"2025-03-19T{wall}")) is is_open


# ------------------------------------------------------------------ both clock changes, also by half an hour


CHANGES = [
    ("America/Chicago", "2025-03-07"),
    ("America/Chicago", "2025-10-31"),
    ("America/St_Johns", "2025-03-07"),
    ("Australia/Lord_Howe", "2025-04-04"),
    ("Australia/Lord_Howe", "2025-10-03"),
    ("Pacific/Chatham", "2025-09-26"),
    ("Europe/Dublin", "2025-03-28"),
    ("Asia/Kolkata", "2025-03-07"),
]


@pytest.mark.parametrize(("zone", "start"), CHANGES)
def test_texts_keep_their_hour_on_the_wall_over_a_clock_change(zone, start):
    found = events({**FREE, "timezone": zone}, ["TALK"], start=f"{start}T09:00", days=12)
    times = [e["local"][11:16] for e in found if e["event"] == "send" and e["kind"] == "tip"]
    assert times == ["10:00"] * 3


@pytest.mark.parametrize(
    ("zone", "gap", "first"),
    [
        ("America/Chicago", "2025-03-09T02:30", "2025-03-09T03:00"),
        ("Australia/Lord_Howe", "2025-10-05T02:15", "2025-10-05T02:30"),
        ("America/St_Johns", "2025-03-09T02:30", "2025-03-09T03:00"),
    ],
)
def test_an_hour_that_does_not_exist_becomes_the_first_minute_after_it(zone, gap, first):
    assert localtime.local(local(gap, zone), zone).strftime("%Y-%m-%dT%H:%M") == first


def test_an_hour_that_comes_twice_is_its_first_one():
    assert local("2025-11-02T01:30") == datetime(2025, 11, 2, 6, 30, tzinfo=UTC)


# ------------------------------------------------------------------ outage, backup, a clock that is put right


def carried_out(thread_, at, *, until):
    """What is decided from `at` to `until`, and the thread then."""
    found = []
    while at < until:
        decision = plan.decide(thread_, POLICY, at)
        thread_ = plan.advance(thread_, decision, POLICY, at)
        if isinstance(decision, Idle):
            break
        if isinstance(decision, Wait):
            at = decision.until
            continue
        found.append((at, decision))
    return found, thread_


def enrolled(key="TALK", start="2025-03-03T09:00"):
    return lifecycle.enroll(thread_of(FREE), LIBRARY.sequences[key], enrollment_id="1", now=local(start), policy=POLICY)


@pytest.mark.parametrize("hours", [2, 30, 24 * 6, 24 * 20])
def test_an_outage_is_followed_by_no_burst_and_late_texts_say_so(hours):
    acts = f"[{{at: 2025-03-04T09:30, outage: {hours}h}}]"
    found = events(FREE, ["TALK"], days=45, acts=acts)
    sent = [datetime.fromisoformat(e["at"]) for e in found if e["event"] == "send"]
    assert all(b - a >= timedelta(hours=18) for a, b in zip(sent, sent[1:], strict=False))
    back = local("2025-03-04T09:30") + timedelta(hours=hours)
    assert len([at for at in sent if back <= at < back + timedelta(hours=43)]) <= 1
    assert all(
        "late" in e["reason"] or "moment passed" in e["reason"]
        for e in found
        if e["event"] in ("expire", "drop") and e.get("code") != "sequence_ended"
    )


def test_a_thread_from_yesterdays_backup_repeats_no_more_than_that_day():
    start = local("2025-03-03T09:00")
    before, old = carried_out(enrolled(), start, until=start + timedelta(days=3))
    after, _ = carried_out(old, start + timedelta(days=4), until=start + timedelta(days=8))
    steps = [d.step.id for _, d in (*before, *after) if isinstance(d, Send)]
    assert steps == ["TK-1", "TK-2"]
    assert len([at for at, d in after if isinstance(d, Send)]) <= 3


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(hours=1)])
def test_a_clock_that_is_put_right_by_an_hour_sends_nothing_twice(step):
    start = local("2025-03-03T09:00")
    before, old = carried_out(enrolled(), start, until=local("2025-03-07T10:01"))
    after, _ = carried_out(old, local("2025-03-07T10:01") + step, until=local("2025-03-12T09:00"))
    steps = [d.step.id for _, d in (*before, *after) if isinstance(d, Send)]
    assert steps == ["TK-1", "TK-2", "TK-3"]


# ------------------------------------------------------------------ history


def test_the_order_in_which_past_texts_are_remembered_changes_nothing():
    marks = [mark(NOW - timedelta(days=n, hours=n), **OTHER) for n in (1, 3, 6, 9, 14)]

    def remembered(order):
        pace = welcomed()
        for one in order:
            pace = pacing.remember(pace, one)
        return replace(enrolled(), pace=pace)

    expected = plan.decide(remembered(marks), POLICY, NOW)
    for seed in range(5):
        shuffled = marks[:]
        random.Random(seed).shuffle(shuffled)
        assert plan.decide(remembered(shuffled), POLICY, NOW) == expected


def test_history_stays_bounded_however_long_a_parent_stays():
    pace = welcomed()
    for n in range(500):
        pace = pacing.remember(pace, mark(NOW + timedelta(days=2 * n)))
    assert len(pace.marks) <= 29


def test_waiting_for_its_turn_never_ends_a_sequence():
    t = enrolled("TALK")
    for n, key in enumerate(("DEMYST", "REPAIR", "ALT"), start=2):
        t = lifecycle.enroll(
            t, LIBRARY.sequences[key], enrollment_id=str(n), now=local("2025-03-03T09:00"), policy=POLICY
        )
    found, _ = carried_out(t, local("2025-03-03T09:00"), until=local("2025-03-25T09:00"))
    assert not [d for _, d in found if isinstance(d, Finish | Drop) and d.enrollment == "4"]
    later = gate.may_go(proposal(sequence="ALT", step="AL-1"), t, POLICY, NOW)
    assert isinstance(later, NotYet | Go)


def test_a_family_that_comes_to_a_break_of_nine_months_ago_is_not_led_through_all_its_rounds():
    found = events(FREE, ["BREAK"], start="2025-12-20T09:00", days=40, dates={"break_start": "2025-03-03"})
    assert found[-1]["state"] == "planned"
    assert len([e for e in found if e["event"] in ("drop", "expire") and e["local"] < "2025-12-21"]) < 20
