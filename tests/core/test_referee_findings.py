"""Rules that a referee found broken: each test is a family, an answer and what content.md says of it."""

from __future__ import annotations

from tests.core.timelines import FAMILY_1, events, sends


def steps_of(found):
    return [line.split()[0] for line in sends(found)]


def test_a_step_with_a_moment_of_its_own_goes_even_if_no_answer_brings_it_sooner():
    """CH-2 d4, CH-6 d14; AC-3 "on 3, else x+6 d"; CA-3 "d28 or on 2" (content.md §2.6, §2.13, §2.14)."""
    answered = '[{on: CH-3, every: true, after: 1h, text: "1"}, {on: CH-4, after: 1h, text: "2"}]'
    choice = events(FAMILY_1, ["CHOICE"], days=20, acts=answered)
    assert steps_of(choice) == ["CH-1", "CH-2", "CH-3", "CH-4", "CH-6"]
    crisis = {"crisis_report": "2025-03-02T12:00"}
    assert "AC-3 Sat 03-08 10:00" in sends(events(FAMILY_1, ["AFTERCRISIS"], days=20, dates=crisis))
    assert "CA-3 Mon 03-31 17:30" in sends(events(FAMILY_1, ["CARE"], days=40))


def test_an_answer_brings_such_a_step_now_and_only_once():
    tired = events(FAMILY_1, ["CARE"], days=60, acts='[{on: CA-2, after: 1h, text: "2"}]')
    assert [line for line in sends(tired) if line.startswith("CA-3")] == ["CA-3 Wed 03-19 17:30"]
    says_no = events(
        FAMILY_1,
        ["AFTERCRISIS"],
        days=30,
        dates={"crisis_report": "2025-03-02T12:00"},
        acts='[{on: AC-2, after: 1h, text: "3"}]',
    )
    assert [line for line in sends(says_no) if line.startswith("AC-3")] == ["AC-3 Fri 03-07 17:30"]


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
    assert "PA-4 Tue 03-18 18:10" in found
