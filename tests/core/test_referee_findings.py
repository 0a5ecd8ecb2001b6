"""Rules that a referee found broken: each test is a family, an answer and what content.md says of it."""

from __future__ import annotations

from datetime import date

import pytest

from schedules import policy_file, script
from tests.core.timelines import FAMILY_1, events, sends


def steps_of(found):
    return [line.split()[0] for line in sends(found)]


def test_a_step_with_a_moment_of_its_own_goes_even_if_no_answer_brings_it_sooner():
    """CH-2 d4, CH-6 d14; AC-3 "on 3, else x+6 d"; CA-3 "d28 or on 2" (content.md §2.6, §2.13, §2.14)."""
    answered = '[{on: CH-3, every: true, after: 1h, text: "1"}, {on: CH-4, after: 1h, text: "2"}]'
    choice = events(FAMILY_1, ["CHOICE"], days=20, acts=answered)
    assert steps_of(choice) == ["CH-1", "CH-2", "CH-3", "CH-4", "CH-6"]
    crisis = {"crisis_report": "2025-03-02T12:00"}
    assert "AC-3 Sat 03-08 10:00" in sends(
        events(FAMILY_1, ["AFTERCRISIS"], days=20, dates=crisis, acts='[{on: AC-2, after: 1h, text: "1"}]')
    )
    assert "CA-3 Mon 03-31 17:30" in sends(events(FAMILY_1, ["CARE"], days=40))


def test_an_answer_brings_such_a_step_now_and_only_once():
    """What belongs to safety has no gap: "they say no" is answered with the next words the same evening."""
    tired = events(FAMILY_1, ["CARE"], days=60, acts='[{on: CA-2, after: 1h, text: "2"}]')
    assert [line for line in sends(tired) if line.startswith("CA-3")] == ["CA-3 Wed 03-19 17:30"]
    says_no = events(
        FAMILY_1,
        ["AFTERCRISIS"],
        days=30,
        dates={"crisis_report": "2025-03-02T12:00"},
        acts='[{on: AC-2, after: 1h, text: "3"}]',
    )
    assert [line for line in sends(says_no) if line.startswith("AC-3")] == ["AC-3 Wed 03-05 19:15"]


def test_the_question_of_the_last_day_is_asked_before_the_sequence_ends():
    """DM-8 is of day 28 of four weeks, CA-5 of day 56 of eight (content.md §2.5, §2.14)."""
    answered = '[{on: DM-1, after: 1h, text: "2"}, {on: DM-5, every: true, after: 1h, text: "2"}]'
    assert steps_of(events(FAMILY_1, ["DEMYST"], days=40, acts=answered))[-1] == "DM-8"
    assert steps_of(events(FAMILY_1, ["CARE"], days=70, acts='[{on: CA-2, after: 1h, text: "1"}]'))[-1] == "CA-5"


def test_every_session_has_its_follow_up_beside_the_weekly_text_of_patience():
    """PATIENCE: "1 a week, +1 follow-up after a session" (content.md §2.10)."""
    dates = {"session": ["2025-03-13T16:00", "2025-03-20T16:00"]}
    answered = '[{on: PA-3, every: true, after: 1h, text: "1"}, {on: PA-F, every: true, after: 1h, text: "1"}]'
    found = sends(events(FAMILY_1, ["PATIENCE"], days=30, dates=dates, acts=answered))
    assert [line for line in found if line.startswith("PA-F")] == ["PA-F Fri 03-14 17:30", "PA-F Fri 03-21 17:30"]
    assert [line for line in found if line.startswith("PA-4 Tue 03-18")]


def test_reminders_go_on_for_sessions_that_are_recorded_later():
    acts = "[{at: 2025-03-05T12:00, staff: set, key: session, nth: 1, to: 2025-03-20T16:00}]"
    assert sends(events(FAMILY_1, ["REMIND"], days=30, acts=acts)) == ["RM-1 Tue 03-18 17:30"]


def test_a_weekly_question_after_a_crisis_keeps_its_gap_and_is_no_second_asking():
    """Only the second asking of AC-2 and AC-5 is exempt from the 44 hours (reading 3)."""
    weekends = {**FAMILY_1, "contact_hours": {"sat": ["10:00-14:00"], "sun": ["10:00-14:00"]}}
    crisis = {"crisis_report": "2025-03-02T12:00"}
    found = events(weekends, ["AFTERCRISIS"], days=60, dates=crisis, acts='[{on: AC-6, every: true, text: "1"}]')
    days = [line.split()[2] for line in sends(found) if not line.startswith("AC-2")]
    assert not [day for day in days if day in ("03-02", "03-09", "03-16", "03-23", "03-30")]


def test_a_parent_who_chooses_to_stay_keeps_getting_a_note_now_and_then():
    """OD-4 "1 stay (another 26 weeks)" (content.md §2.16)."""
    answered = '[{on: OD-2, every: true, after: 1h, text: "2"}, {on: OD-4, nth: 1, after: 1h, text: "1"}]'
    found = events(FAMILY_1, ["OPENDOOR"], days=300, acts=answered)
    asked = next(e["at"] for e in found if e.get("step") == "OD-4")
    assert [e for e in found if e["event"] == "send" and "reply_to" not in e and e["at"] > asked]


def test_the_first_two_sequences_go_first_whatever_their_names():
    found = events(FAMILY_1, ["TALK", "RESOURCE", "ALT"], days=14)
    waited = [e["sequence"] for e in found if e.get("code") == "two_at_once"]
    assert "TK-1" in steps_of(found) and waited == ["ALT"] and "AL-1" not in steps_of(found)


def test_a_pause_outlasts_a_hold_that_began_and_ended_within_it():
    acts = """
    - {at: 2025-03-05T12:00, text: PAUSE 6}
    - {at: 2025-03-06T12:00, text: she wants to die}
    - {at: 2025-03-08T12:00, staff: release}
    """
    found = events(FAMILY_1, ["TALK"], days=60, acts=acts)
    sent = [e["local"][:10] for e in found if e["event"] == "send" and "reply_to" not in e]
    assert not [day for day in sent if "2025-03-05" <= day < "2025-04-16"]
    assert [day for day in sent if day >= "2025-04-16"]


def test_each_word_of_the_carriers_stops_the_texts_and_help_shows_the_lines():
    for word in ("QUIT", "end", "Parar", "OPTOUT"):
        found = events(FAMILY_1, ["TALK"], days=20, acts=f"[{{at: 2025-03-05T12:00, text: {word}}}]")
        assert steps_of(found) == ["TK-1"], word
    found = events(FAMILY_1, ["TALK"], days=4, acts="[{at: 2025-03-05T12:00, text: AYUDA}]")
    assert "988" in next(e["text"] for e in found if "reply_to" in e)


def test_texts_after_a_stop_and_a_start_are_not_caught_up_on():
    acts = "[{at: 2025-03-05T12:00, text: STOP}, {at: 2025-04-01T12:00, text: START}]"
    found = events(FAMILY_1, ["TALK"], days=60, acts=acts)
    assert not [e for e in found if e["event"] in ("drop", "expire") and e["at"] < "2025-04-02"]
    assert sends(found)[1] == "TK-2 Thu 04-03 17:30"


def test_the_calm_window_that_a_parent_chose_is_the_one_that_is_used():
    acts = """
    - {on: ON-2, after: 2m, text: "1"}
    - {on: ON-3, after: 1h, text: "5"}
    - {on: ON-5, after: 1h, text: "1"}
    """
    found = events(FAMILY_1, ["ONBOARD"], days=60, acts=acts)
    talks = [e["window"][0][11:16] for e in found if e.get("kind") == "talk"]
    assert talks and set(talks) == {"10:30"}


def test_an_end_names_its_sequence():
    found = events(FAMILY_1, ["TALK"], days=30, acts='[{on: TK-5, after: 1h, text: "5"}]')
    assert [e["sequence"] for e in found if e.get("state") == "ended"] == ["TALK"]


def test_what_staff_did_before_the_first_day_holds_on_the_first_day():
    acts = "[{at: 2025-03-01T09:00, staff: move, key: session, nth: 1, to: 2025-04-04T16:00}]"
    found = events(FAMILY_1, ["REMIND"], start="2025-03-03T18:00", days=40, acts=acts, dates={"session": "2025-03-05"})
    assert sends(found) == ["RM-1 Wed 04-02 17:30"]


def test_the_morning_after_a_report_is_not_given_up_for_a_text_that_cannot_go_anyway():
    acts = '[{on: BR-2, after: 1h, text: "1"}, {on: RC-C, after: 1h, text: "4"}]'
    found = events(FAMILY_1, ["BREAK", "RECONNECT", "CARE"], days=40, dates={"break_start": "2025-03-03"}, acts=acts)
    reported = next(e["local"][:10] for e in found if e.get("step") == "RP-0")
    assert reported == "2025-03-24"
    assert [line for line in sends(found) if line.startswith("RP-1")] == ["RP-1 Tue 03-25 17:30"]


def test_a_pulse_that_waits_for_an_open_question_goes_before_the_next_idea():
    acts = """
    - {on: BR-2, after: 1h, text: "1"}
    - {on: RC-C, after: 1h, text: "4"}
    """
    found = events(FAMILY_1, ["BREAK", "RECONNECT", "CARE"], days=45, dates={"break_start": "2025-03-03"}, acts=acts)
    late = [line.split()[0] for line in sends(found) if line.split()[2] >= "03-31"]
    assert late.index("BR-4") < (late.index("BR-3") if "BR-3" in late else 99)


def test_a_tip_ahead_of_a_window_has_an_end_too():
    """Tips live 5 days (PR-16), also DR-4, which looks for a window."""
    closed = {**FAMILY_1, "calm_windows": {"sun": ["14:00-16:00"]}, "quiet_days": ["2025-03-15..2025-03-24"]}
    dates = {"session": ["2025-03-12T16:00"]}
    found = events(closed, ["DRIVE"], days=35, dates=dates)
    dropped = [e["local"][:10] for e in found if e["event"] in ("drop", "expire") and e.get("step") == "DR-4"]
    assert dropped[:1] == ["2025-03-20"]


def test_an_answer_that_says_danger_is_a_crisis_whatever_a_screen_would_say():
    """AC-2 "4 not safe now → crisis": the lines, a hold, a person; nothing proactive until a release."""
    found = events(
        FAMILY_1,
        ["AFTERCRISIS"],
        days=40,
        dates={"crisis_report": "2025-03-02T12:00"},
        acts='[{on: AC-2, after: 1h, text: "4"}]',
    )
    reply = next(e for e in found if e.get("kind") == "crisis")
    assert "911" in reply["text"] and "988" in reply["text"]
    assert [e["hold"] for e in found if e["event"] == "hold"] == ["crisis"]
    assert steps_of(e for e in found if e["at"] > reply["at"]) == []


def test_a_decision_to_go_on_gets_one_reply_and_no_verdict_on_the_match_yet():
    """DR-7 "1 go on": MA-0 once; MA-4 is for the score, three visits later (content.md §2.8)."""
    dates = {"session": ["2025-03-13T16:00", "2025-03-20T16:00"]}
    found = events(FAMILY_1, ["DRIVE"], days=30, dates=dates, acts='[{on: DR-7, after: 1h, text: "1"}]')
    assert [e["step"] for e in found if e.get("reply_to") == "1"] == ["MA-0"]


BAD_SCRIPTS = {
    "text is a list": ("- {at: 2025-03-04T10:00, text: [a]}", "text should be words"),
    "text is missing": ("- {at: 2025-03-04T10:00, text: }", "text should be words"),
    "step is a list": ("- {on: [a], text: x}", "on should be words"),
    "nth below one": ("- {on: TK-1, nth: -1, text: x}", "nth '-1' should be a whole number from 1"),
    "every is no truth": ("- {on: TK-1, every: maybe, text: x}", "'maybe' should be true, false"),
    "unknown date": ("- {at: 2025-03-04T10:00, staff: cancel, key: banana}", "key 'banana' should be one of"),
    "too long a wait": ("- {on: TK-1, after: 99999999999d, text: x}", "is too long"),
    "no such year": ("- {at: 0001-01-01T10:00, text: x}", "is no date of our time"),
    "key twice": ("- {at: 2025-03-04T10:00,\n   text: x,\n   text: y}", "script:3: 'text' stands twice"),
    "too deep": ("[" * 2000, "nested too deeply"),
    "its own part": ("- &a {at: *a}", "nested too deeply"),
    "no text file": ("\x00\x01", "save it as UTF-8"),
}


@pytest.mark.parametrize(("text", "fault"), BAD_SCRIPTS.values(), ids=BAD_SCRIPTS)
def test_a_bad_script_is_a_clear_error_and_never_a_crash(text, fault):
    with pytest.raises(script.ScriptError) as caught:
        script.script(text, "UTC", where="script")
    assert fault in caught.value.faults[0] and caught.value.faults[0].startswith("script")


@pytest.mark.parametrize("overrides", [["cap_week"], "cap_week", {"talk_gap_days": 10**12}, {"active_sequences": 0}])
def test_a_bad_policy_is_a_clear_error_and_never_a_crash(overrides):
    with pytest.raises(policy_file.PolicyError, match=r"^q\.yaml: "):
        policy_file.parse(overrides, where="q.yaml")


def test_a_talk_that_nobody_reports_on_is_tried_three_times_and_more_slowly():
    """Each try goes with its question; then the next sequence comes, and no more talks."""
    found = events(FAMILY_1, ["TALK"], days=300)
    talks = [line for line in sends(found) if line.split()[0] in ("TK-4", "TK-5")]
    assert [line.split()[0] for line in talks] == ["TK-4", "TK-5"] * 3
    days = [date.fromisoformat(f"2025-{line.split()[2]}") for line in talks if line.startswith("TK-4")]
    first, second = ((b - a).days for a, b in zip(days, days[1:], strict=False))
    assert 7 <= first < second
    assert "OD-1" in steps_of(found)


def test_a_silent_new_parent_is_asked_nothing_more_until_a_person_has_settled_who_sees_the_phone():
    found = events(FAMILY_1, ["ONBOARD"], days=40)
    assert set(steps_of(found)) == {"ON-1", "ON-2"}
    assert [e for e in found if e["event"] == "staff" and "who sees this phone" in e["task"]]
    settled = events(FAMILY_1, ["ONBOARD"], days=40, acts='[{at: 2025-03-20T12:00, staff: settle, step: "1"}]')
    assert {"ON-3", "ON-5"} <= set(steps_of(settled))


def test_no_first_talk_begins_within_30_days_of_a_crisis():
    acts = """
    - {at: 2025-03-04T10:00, text: "she wants to die"}
    - {at: 2025-03-05T10:00, staff: release}
    - {on: ON-2, after: 1h, text: "1"}
    - {on: ON-3, after: 1h, text: "1"}
    - {on: ON-5, after: 1h, text: "1"}
    """
    found = events(FAMILY_1, ["ONBOARD"], days=30, acts=acts)
    assert "recent_crisis" in [e.get("code") for e in found]
    assert not [s for s in steps_of(found) if s.startswith("TK-")]


@pytest.mark.parametrize(("digit", "said", "task"), [("1", "MA-4", False), ("2", "MA-4M", False), ("3", "MA-4L", True)])
def test_three_answers_about_the_therapist_are_judged_together(digit, said, task):
    acts = "".join(f'- {{on: MA-{n}, after: 1h, text: "{digit}"}}\n' for n in (1, 2, 3))
    sessions = {"session": [f"2025-{m}T16:00" for m in ("03-04", "03-11", "03-18", "03-25", "04-01", "04-08")]}
    found = events(FAMILY_1, ["MATCH"], start="2025-03-17T09:00", days=30, dates=sessions, acts=acts)
    assert said in [e.get("step") for e in found]
    assert bool([e for e in found if e["event"] == "staff" and e.get("priority") == 2]) is task


def test_a_test_drive_without_a_date_asks_staff_for_it_now_and_after_two_weeks_and_texts_nothing():
    found = events(FAMILY_1, ["DRIVE"], days=30)
    asked = [e for e in found if e["event"] == "staff"]
    assert [e["local"][:10] for e in asked] == ["2025-03-03", "2025-03-17"]
    assert all("session" in e["task"] for e in asked)
    assert (found[-1]["event"], found[-1]["state"]) == ("standing", "staff")
    assert steps_of(found) == []


def test_a_visit_that_did_not_happen_is_reminded_and_followed_up_on_its_new_date():
    acts = """
    - {on: DR-3, nth: 1, after: 1h, text: "4"}
    - {on: DR-8, nth: 1, after: 5m, text: "1"}
    - {at: 2025-03-15T09:00, staff: set, key: session, nth: 1, to: 2025-03-24T16:00}
    """
    found = events(FAMILY_1, ["DRIVE"], days=26, dates={"session": ["2025-03-13T16:00"]}, acts=acts)
    assert [line for line in sends(found) if line.split()[0] in ("DR-2", "DR-3", "DR-4")] == [
        "DR-2 Tue 03-11 17:30",
        "DR-3 Fri 03-14 17:30",
        "DR-2 Sat 03-22 16:00",
        "DR-3 Tue 03-25 17:30",
        "DR-4 Thu 03-27 18:05",
    ]


def test_a_date_corrected_by_an_hour_is_not_asked_about_twice():
    acts = "[{at: 2025-03-14T19:00, staff: set, key: session, nth: 1, to: 2025-03-13T17:00}]"
    found = events(FAMILY_1, ["DRIVE"], days=30, dates={"session": ["2025-03-13T16:00"]}, acts=acts)
    assert len([s for s in steps_of(found) if s == "DR-3"]) == 1


HEARD = '{on: PA-3, after: 1h, text: "1"}, {on: PA-6, after: 1h, text: "1"}, {on: PA-7, after: 1h, text: "5"}'


@pytest.mark.parametrize(
    ("sequence", "step", "acts", "days"),
    [
        pytest.param(
            "PATIENCE", "PA-9", '{on: PA-9, every: true, after: 1h, text: "2"}', 28, id="the same: in 28 days"
        ),
        pytest.param("CHOICE", "CH-6", '{on: CH-6, nth: 1, after: 1h, text: "2"}', 7, id="not yet: in a week"),
    ],
)
def test_what_an_answer_asked_for_comes_though_the_length_is_over(sequence, step, acts, days):
    """PA-9 "2 same -> repeat in 28 d"; PR-06: the not-yet ladder."""
    found = events(FAMILY_1, [sequence], days=120, acts=f"[{HEARD}, {acts}]")
    asked = [date.fromisoformat(e["at"][:10]) for e in found if (e["event"], e.get("step")) == ("send", step)]
    assert len(asked) >= 2 and 0 <= (asked[1] - asked[0]).days - days <= 8
