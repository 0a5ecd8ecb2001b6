"""Rules that hold for any family, any answers, any start: hypothesis looks for the counterexample."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schedules import localtime, pacing, policy, profile, windows
from schedules.values import Budget
from tests.core.timelines import FAMILY_1, LIBRARY, events

ZONES = (
    "America/Chicago",
    "America/New_York",
    "America/Phoenix",
    "America/St_Johns",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Europe/Dublin",
)
STARTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 1)).map(lambda d: d.strftime("%Y-%m-%dT%H:%M"))
HOURS = st.sampled_from(("09:00-20:00", "08:00-21:00", "10:00-14:00", "07:00-23:00"))
BUSY = st.sampled_from(({}, {"mon-fri": ["09:00-17:30"]}, {"default": ["22:00-06:00"]}, {"mon-thu": ["08:00-21:00"]}))
SEQUENCES = st.sampled_from((["TALK"], ["BREAK"], ["DRIVE"], ["TALK", "BREAK"], ["DRIVE", "TALK"], ["ONBOARD", "TALK"]))
ANSWERS = st.lists(st.sampled_from(("1", "2", "3", "4", "HARD", "LATER", "READY", "LESS", "hello", None)), max_size=8)


@st.composite
def lives(draw):
    """A family, what it is enrolled in, when it starts and what it answers, every third day or so."""
    start = draw(STARTS)
    data = {
        **FAMILY_1,
        "timezone": draw(st.sampled_from(ZONES)),
        "contact_hours": draw(HOURS),
        "busy_hours": draw(BUSY),
        "dinner_time": draw(st.sampled_from(("18:30", "17:00", "null", "21:00"))),
        "custody": draw(st.sampled_from(("every_day", {"pattern": "alternate_weeks", "anchor_date": start[:10]}))),
    }
    first = datetime.fromisoformat(start)
    acts = "".join(
        f'- {{at: {(first + timedelta(days=3 * n + 2, hours=5)).strftime("%Y-%m-%dT%H:%M")}, text: "{text}"}}\n'
        for n, text in enumerate(draw(ANSWERS))
        if text is not None
    )
    dates = {
        "break_start": start[:10],
        "session": [(first + timedelta(days=d)).strftime("%Y-%m-%dT16:00") for d in (10, 17)],
    }
    return data, draw(SEQUENCES), start, acts or "[]", dates


def step_of(event):
    return LIBRARY.sequences[event["sequence"]].by_id[event["step"]] if event["sequence"] != "SYSTEM" else None


def budget_of(event):
    step = step_of(event)
    return Budget.COMFORT if step is None else LIBRARY.sequences[event["sequence"]].budget_of(step)


def is_counted(event):
    """Sign-up, safety and the answers to a report have no caps."""
    step = step_of(event)
    return step is None or (pacing.is_counted(step) and budget_of(event) is not Budget.SAFETY)


def proactive(found):
    return [e for e in found if e["event"] == "send" and "reply_to" not in e]


def run(life):
    data, sequences, start, acts, dates = life
    return data, events(data, sequences, start=start, days=75, acts=acts, dates=dates)


CHECK = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@CHECK
@given(lives())
def test_no_text_leaves_the_open_hours_and_none_the_outer_wall(life):
    data, found = run(life)
    family = profile.parse(data)
    for event in proactive(found):
        at = datetime.fromisoformat(event["at"])
        minute = localtime.minute_of_day(at, family.timezone)
        assert 8 * 60 <= minute < 21 * 60, event
        assert event["step"] == "ON-1" or windows.is_open(family, policy.DEFAULT, at), event


@CHECK
@given(lives())
def test_caps_and_gaps_hold_over_all_sequences(life):
    data, found = run(life)
    sent = [e for e in proactive(found) if is_counted(e)]
    instants = [datetime.fromisoformat(e["at"]) for e in sent]
    for budget, most in ((Budget.COMFORT, 3), (Budget.EVENT, 4)):
        own = [datetime.fromisoformat(e["at"]) for e in sent if budget_of(e) is budget]
        for n, at in enumerate(own):
            assert len([t for t in own[: n + 1] if at - t < timedelta(days=7)]) <= most, budget
    for at in instants:
        assert (
            len(
                [
                    t
                    for t in instants
                    if localtime.local_date(t, data["timezone"]) == localtime.local_date(at, data["timezone"])
                ]
            )
            == 1
        )
    for before, after in zip(sent, sent[1:], strict=False):
        free = budget_of(after) is not Budget.COMFORT
        gap = datetime.fromisoformat(after["at"]) - datetime.fromisoformat(before["at"])
        assert free or gap >= timedelta(hours=44), (before["step"], after["step"])


@CHECK
@given(lives())
def test_two_talks_are_a_week_apart_and_each_comes_ahead_of_its_window(life):
    data, found = run(life)
    talks = [e for e in proactive(found) if e["kind"] == "talk"]
    for before, after in zip(talks, talks[1:], strict=False):
        days = localtime.plus_wall(datetime.fromisoformat(before["at"]), data["timezone"], days=7)
        assert datetime.fromisoformat(after["at"]) >= days
    for talk in talks:
        lead = datetime.fromisoformat(talk["window"][0]) - datetime.fromisoformat(talk["at"])
        assert timedelta(minutes=20) <= lead <= timedelta(minutes=120)


@CHECK
@given(lives())
def test_nothing_about_therapy_follows_a_hard_moment_for_72_hours(life):
    _, found = run(life)
    for report in (e for e in found if e.get("effect") == "cool" and "72" in e["reason"]):
        until = datetime.fromisoformat(report["until"])
        since = datetime.fromisoformat(report["at"])
        for event in proactive(found):
            if since < datetime.fromisoformat(event["at"]) < until and event["sequence"] != "REPAIR":
                assert event["topic"] != "therapy", event


@CHECK
@given(lives(), st.integers(1, 40))
def test_no_text_follows_stop(life, day):
    data, sequences, start, acts, dates = life
    stop_at = datetime.fromisoformat(start) + timedelta(days=day)
    acts = ("" if acts == "[]" else acts) + f"- {{at: {stop_at.strftime('%Y-%m-%dT%H:%M')}, text: STOP}}\n"
    found = events(data, sequences, start=start, days=75, acts=acts, dates=dates)
    stopped = next(e for e in found if e.get("state") == "opted_out")
    assert not [e for e in proactive(found) if e["at"] > stopped["at"]]


@CHECK
@given(lives())
def test_no_step_goes_twice_in_one_round_and_every_end_has_a_reason(life):
    _, found = run(life)
    rounds = set()
    for event in found:
        if event.get("state") == "started":  # a new enrollment counts its rounds anew
            rounds = {r for r in rounds if r[0] != event["sequence"]}
        if event["event"] == "send" and "reply_to" not in event:
            this = (event["sequence"], event["step"], event["cycle"])
            assert this not in rounds
            rounds.add(this)
    assert all(e["reason"] for e in found)
    assert [e["at"] for e in found] == sorted(e["at"] for e in found)
