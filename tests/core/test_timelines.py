"""The nine worked timelines of the content design, to the minute (family 1, America/Chicago, from Monday 2025-03-03)."""

from __future__ import annotations

from datetime import datetime

from tests.core.timelines import FAMILY_1, events, sends

BREAK = {"break_start": "2025-03-03"}
TWO_SESSIONS = {"session": ["2025-03-13T16:00", "2025-03-20T16:00"]}


def only(found, *steps):
    return [line for line in found if line.split()[0] in steps]


def test_1_a_talk_that_goes_badly_silences_therapy_for_72_hours_and_talks_for_14_days():
    found = events(FAMILY_1, ["TALK"], days=26.8, acts='[{on: TK-5, nth: 1, after: 30m, text: "3"}]')
    assert only(sends(found, replies=True), "TK-1", "TK-2", "TK-3", "TK-4", "TK-5", "RP-0", "RP-1", "RP-2") == [
        "TK-1 Tue 03-04 17:30",
        "TK-2 Fri 03-07 17:30",
        "TK-3 Tue 03-11 17:30",
        "TK-4 Fri 03-14 18:05",
        "TK-5 Sat 03-15 12:05",
        "RP-0 Sat 03-15 12:35",
        "RP-1 Sun 03-16 10:00",
        "RP-2 Tue 03-18 17:30",
        "TK-4 Sat 03-29 13:30",
    ]
    cool = next(e for e in found if e.get("effect") == "cool")
    assert cool["until"] == "2025-03-18T17:35:00Z"
    second = [e for e in found if e.get("step") == "TK-4"][1]
    assert second["window"][0] == "2025-03-29T14:30:00-05:00"


def test_2_not_yet_waits_7_days_then_14_then_opens_the_door_without_more_talks():
    found = events(
        FAMILY_1,
        ["TALK"],
        days=120,
        acts="""
        - {on: TK-5, nth: 1, after: 30m, text: "2"}
        - {at: 2025-03-23T09:15, text: "2"}
        - {on: TK-5, nth: 3, after: 30m, text: "2"}
        """,
    )
    assert only(sends(found), "TK-4", "TK-5", "OD-1", "OD-2")[:8] == [
        "TK-4 Fri 03-14 18:05",
        "TK-5 Sat 03-15 12:05",
        "TK-4 Sat 03-22 13:30",
        "TK-5 Sun 03-23 09:00",
        "TK-4 Sun 04-06 09:30",
        "TK-5 Mon 04-07 17:30",
        "OD-1 Mon 04-21 17:30",
        "OD-2 Mon 05-05 17:30",
    ]
    assert not [e for e in found if e.get("kind") == "talk" and e["at"] > "2025-04-07"]


def test_3_a_talk_that_missed_its_window_dies_and_is_planned_for_the_next_one():
    found = events(FAMILY_1, ["TALK"], days=14, acts="[{at: 2025-03-14T18:00, outage: 110m}]")
    expired = next(e for e in found if e["event"] == "expire")
    assert (expired["step"], expired["local"][:16]) == ("TK-4", "2025-03-14T19:50")
    assert "18:15" in expired["reason"]  # dinner's quiet closed the moment that began at 18:05
    assert only(sends(found), "TK-4") == ["TK-4 Sat 03-15 09:30"]


def test_4_no_talk_while_the_child_is_at_the_other_home_or_changes_homes():
    custody = {
        "pattern": "alternate_weekends",
        "anchor_date": "2025-03-07",
        "exchange_times": ["fri 18:00", "sun 18:00"],
    }
    found = events({**FAMILY_1, "custody": custody}, ["TALK"], days=16)
    assert only(sends(found), "TK-4") == ["TK-4 Mon 03-17 18:05"]


def test_5_a_test_drive_hangs_on_its_sessions_and_follows_them_when_they_move():
    found = events(FAMILY_1, ["DRIVE"], days=35, dates=TWO_SESSIONS)
    assert sends(found) == [
        "DR-1 Sat 03-08 16:00",
        "DR-2 Tue 03-11 17:30",
        "DR-3 Fri 03-14 17:30",
        "DR-4 Sun 03-16 18:05",
        "DR-5 Tue 03-18 17:30",
        "DR-6 Fri 03-21 17:30",
        "DR-7 Tue 03-25 17:30",
    ]
    moved = events(
        FAMILY_1,
        ["DRIVE"],
        days=35,
        dates=TWO_SESSIONS,
        acts="[{at: 2025-03-17T09:00, staff: move, key: session, nth: 2, to: 2025-03-27T16:00}]",
    )
    assert sends(moved)[4:] == ["DR-5 Tue 03-25 17:30", "DR-6 Fri 03-28 17:30", "DR-7 Tue 04-01 17:30"]


def test_a_cancelled_session_withdraws_its_follow_ups():
    found = events(
        FAMILY_1,
        ["DRIVE"],
        days=40,
        dates=TWO_SESSIONS,
        acts="[{at: 2025-03-17T09:00, staff: cancel, key: session, nth: 2}]",
    )
    assert not only(sends(found), "DR-5", "DR-6", "DR-7")


PULSES = """
- {{on: BR-2, after: 1h, text: "2"}}
- {{on: BR-4, nth: 1, after: 1h, text: "2"}}
- {{on: BR-4, nth: 2, after: 1h, text: "1"}}
- {{on: BR-4, nth: 3, after: 1h, text: "{third}"}}
- {{on: BR-4, nth: 4, after: 1h, text: "1"}}
- {{on: BR-4, nth: 5, after: 1h, text: "1"}}
- {{on: BR-5, nth: 1, after: 1h, text: "2"}}
"""


def test_6_a_break_opens_its_gate_after_two_closer_pulses_and_rests_after_not_yet():
    found = events(FAMILY_1, ["BREAK"], days=92, dates=BREAK, acts=PULSES.format(third="1"))
    assert only(sends(found), "BR-4", "BR-5") == [
        "BR-4 Mon 03-31 17:30",
        "BR-4 Mon 04-14 17:30",
        "BR-4 Mon 04-28 17:30",
        "BR-5 Thu 05-01 17:30",
        "BR-4 Mon 05-19 17:30",
        "BR-5 Thu 05-29 19:15",
    ]
    assert [e["local"][:10] for e in found if e["event"] == "staff"] == ["2025-05-26"]


def test_6_a_harder_pulse_cools_down_and_starts_the_count_anew():
    found = events(FAMILY_1, ["BREAK"], days=100, dates=BREAK, acts=PULSES.format(third="3"))
    assert only(sends(found), "BR-4", "BR-5")[2:] == [
        "BR-4 Mon 04-28 17:30",
        "BR-4 Mon 05-19 17:30",
        "BR-4 Mon 06-02 17:30",
        "BR-5 Thu 06-05 17:30",
    ]
    assert [e["local"][:10] for e in found if e["event"] == "staff"] == ["2025-05-26"]


def test_7_silence_in_a_break_doubles_the_interval_then_leaves_one_text_in_28_days():
    found = events(FAMILY_1, ["BREAK"], days=150, dates=BREAK)
    assert only(sends(found), "BR-2", "BR-4") == [
        "BR-2 Mon 03-10 17:30",
        "BR-4 Mon 03-31 17:30",
        "BR-4 Mon 04-28 17:30",
        "BR-4 Mon 05-26 17:30",
        "BR-4 Mon 06-23 17:30",
        "BR-4 Mon 07-21 17:30",
    ]
    late = [datetime.fromisoformat(e["local"]).date() for e in found if e["event"] == "send" and e["at"] > "2025-05-26"]
    assert all((b - a).days >= 28 for a, b in zip(late, late[1:], strict=False))


def test_seven_silences_ask_once_whether_to_go_on_and_no_answer_means_a_pause():
    found = events(FAMILY_1, ["BREAK"], days=300, dates=BREAK)
    asked = [e for e in found if e.get("step") == "SL-1"]
    paused = [e for e in found if e["event"] == "state" and e.get("state") == "paused"]
    assert [e["local"][:10] for e in asked] == ["2025-09-15"]
    assert [e["local"][:10] for e in paused] == ["2025-09-29"]
    assert not [e for e in found if e["event"] == "send" and e["at"] > paused[0]["at"]]


CRISIS = """
- {on: BR-2, after: 1h, text: "2"}
- {on: BR-4, nth: 1, after: 1h, text: "2"}
- {at: 2025-04-06T22:40, text: "she wants to die"}
"""


def test_8_a_crisis_text_is_answered_at_any_hour_and_nothing_resumes_by_itself():
    found = events(FAMILY_1, ["BREAK"], days=200, dates=BREAK, acts=CRISIS)
    reply = next(e for e in found if e.get("kind") == "crisis")
    assert reply["local"][:16] == "2025-04-06T22:40"
    assert not [e for e in found if e["event"] == "send" and "reply_to" not in e and e["at"] > reply["at"]]


def test_8_a_missed_pulse_is_not_made_up_after_the_release():
    acts = CRISIS + "- {at: 2025-04-24T09:00, staff: release}\n"
    found = events(FAMILY_1, ["BREAK"], days=80, dates=BREAK, acts=acts)
    after = [line for e in found if e["event"] == "send" and e["at"] > "2025-04-24" for line in sends([e])]
    assert after[0].split()[0] in ("BR-3", "BR-4")
    assert len([line for line in after if line < "z"]) <= 3
    assert not [line for line in after if line.startswith("BR-5")]


def test_9_two_caregivers_are_two_threads_and_one_ones_report_moves_nothing_for_the_other():
    quiet = events(FAMILY_1, ["TALK"], days=40)
    other = events(FAMILY_1, ["TALK"], days=40, acts='[{at: 2025-03-12T12:00, text: "HARD"}]')
    alone = events(FAMILY_1, ["TALK"], days=40)
    assert sends(quiet) == sends(alone)
    assert sends(other) != sends(alone)


def test_the_same_inputs_give_the_same_bytes():
    first = events(FAMILY_1, ["BREAK"], days=120, dates=BREAK, acts=PULSES.format(third="1"))
    second = events(FAMILY_1, ["BREAK"], days=120, dates=BREAK, acts=PULSES.format(third="1"))
    assert repr(first) == repr(second)
