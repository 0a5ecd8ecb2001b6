"""Rules of content.md that harm a family when they break: one family, one script, one sentence of the design each."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from schedules import catalog, policy_file, script
from tests.core.timelines import FAMILY_1, events, sends

FREE = {**FAMILY_1, "busy_hours": {}}
CRISIS = {"crisis_report": "2025-03-02T12:00"}
TWO_SESSIONS = {"session": ["2025-03-13T16:00", "2025-03-20T16:00"]}


def steps_of(found):
    return [line.split()[0] for line in sends(found)]


def lines(found, step):
    return [line for line in sends(found) if line.startswith(f"{step} ")]


def staff(found):
    return [(e["local"][:10], e.get("step"), e.get("priority")) for e in found if e["event"] == "staff"]


# ------------------------------------------------------------------ after a crisis (§2.13)


def test_silence_to_the_visit_question_is_one_asking_more_after_24_hours_then_a_person():
    found = events(FREE, ["AFTERCRISIS"], days=12, dates=CRISIS)
    assert lines(found, "AC-2") == ["AC-2 Wed 03-05 12:00", "AC-2 Thu 03-06 12:00"]
    assert staff(found) == [("2025-03-07", "AC-2", 2)]


@pytest.mark.parametrize("nth", [1, 2])
def test_an_answered_visit_question_is_not_asked_again_and_nobody_is_called(nth):
    acts = f'[{{on: AC-2, nth: {nth}, after: 2h, text: "1"}}]'
    found = events(FREE, ["AFTERCRISIS"], days=12, dates=CRISIS, acts=acts)
    assert len(lines(found, "AC-2")) == nth
    assert "no answer" not in " ".join(e.get("task", "") for e in found)


def test_silence_after_a_visit_is_one_asking_more_then_a_person():
    dates = {**CRISIS, "visit": "2025-03-19T09:00"}
    acts = '[{on: AC-2, after: 1h, text: "1"}]'
    found = events(FREE, ["AFTERCRISIS"], days=28, dates=dates, acts=acts)
    assert lines(found, "AC-5") == ["AC-5 Thu 03-20 09:00", "AC-5 Fri 03-21 09:00"]
    assert ("2025-03-22", "AC-5", 2) in staff(found)
    assert lines(found, "AC-6")[0].split()[2] == "03-19", "safety keeps its days: nothing pushes it out"


@pytest.mark.parametrize(("step", "quiet"), [("AC-2", "2025-03-04..2025-03-16"), ("AC-5", "2025-03-12..2025-03-17")])
def test_a_visit_question_that_could_not_be_asked_goes_to_a_person(step, quiet):
    dates = {**CRISIS, "visit": "2025-03-11T09:00"}
    found = events({**FREE, "quiet_days": [quiet]}, ["AFTERCRISIS"], days=25, dates=dates)
    assert step not in steps_of(e for e in found if e["local"] < quiet[12:])
    assert (step, 2) in [(asked, priority) for _, asked, priority in staff(found)]


def test_texts_after_a_crisis_thin_out_after_ten_days_and_again_after_five_weeks():
    """3 a week in the first ten days, 1 a week to week 5, then 1 per 28 days; the visit has its question besides."""
    dates = {**CRISIS, "visit": "2025-03-20T09:00"}
    acts = '[{on: AC-2, after: 1h, text: "1"}, {on: AC-5, after: 1h, text: "1"}, {on: AC-6, every: true, text: "1"}]'
    found = events(FREE, ["AFTERCRISIS"], days=120, dates=dates, acts=acts)
    days = [
        (datetime.fromisoformat(e["local"]).date() - datetime(2025, 3, 2).date()).days
        for e in found
        if e["event"] == "send" and "reply_to" not in e and e["sequence"] == "AFTERCRISIS" and e["step"] != "AC-5"
    ]
    middle = [day for day in days if 10 < day <= 35]
    late = [day for day in days if day > 35]
    assert [day for day in days if day <= 10] == [1, 3, 6, 10]
    assert all(b - a >= 6 for a, b in zip(middle, middle[1:], strict=False)) and len(middle) >= 3
    assert late == [56, 84, 112]


# ------------------------------------------------------------------ school (PR-24)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(FREE, ["RS-1 Tue 03-04 10:00"], id="a weekday in term"),
        pytest.param({**FREE, "no_school": ["2025-03-03..2025-03-07"]}, ["RS-1 Mon 03-10 10:00"], id="after a holiday"),
        pytest.param(
            {**FREE, "contact_hours": {"default": ["15:30-20:00"]}}, ["RS-1 Tue 03-04 15:30"], id="last minutes"
        ),
        pytest.param(
            {**FREE, "contact_hours": {"default": ["16:00-20:00"]}},
            ["RS-1 Tue 03-04 16:00"],
            id="for a family that no office hour suits: the same day, in its own hours",
        ),
        pytest.param({**FREE, "contact_hours": {"sat-sun": ["09:00-20:00"]}}, [], id="weekends only"),
    ],
)
def test_a_text_about_school_goes_in_office_hours_in_term_only(data, expected):
    found = events(data, ["RESOURCE"], days=17)
    assert lines(found, "RS-1") == expected


def test_a_text_about_school_that_no_school_day_has_room_for_slides_and_a_person_hears_of_it():
    found = events({**FREE, "contact_hours": {"sat-sun": ["09:00-20:00"]}}, ["RESOURCE"], days=80)
    assert [e for e in found if e["event"] == "staff" and e.get("code") == "parked school_closed"]
    (first, *_) = [e for e in found if e["event"] == "drop" and e["step"] == "RS-1"]
    assert first["code"] in ("school_closed", "sequence_ended") and first["local"][:10] > "2025-05-01"
    assert {"RS-2", "RS-3", "RS-4"} <= set(steps_of(found))


def test_the_school_text_that_an_answer_chooses_keeps_office_hours_too():
    found = events(FREE, ["ALT"], days=20, acts='[{on: AL-2, after: 50h, text: "4"}]')
    (line,) = lines(found, "AL-3D")
    assert line == "AL-3D Mon 03-17 10:00"
    weekend = events(
        {**FREE, "no_school": ["2025-03-10..2025-03-18"]}, ["ALT"], days=25, acts='[{on: AL-2, after: 1h, text: "4"}]'
    )
    assert lines(weekend, "AL-3D") == ["AL-3D Wed 03-19 10:00"]


# ------------------------------------------------------------------ three at once (cap.active)


def test_a_third_sequence_waits_and_then_begins_with_all_its_steps():
    found = events(FAMILY_1, ["TALK", "PATIENCE", "ALT"], days=120, acts='[{on: TK-5, after: 1h, text: "1"}]')
    waiting = [e["sequence"] for e in found if e.get("state") == "waiting"]
    assert waiting[0] == "ALT"
    ended = next(e["local"][:10] for e in found if e.get("state") == "ended")
    first = next(e["local"][:10] for e in found if e.get("step") == "AL-1" and e["event"] == "send")
    assert ended < first
    assert "two_at_once" not in [e.get("code") for e in found if e["event"] in ("drop", "expire")]
    assert not [e for e in found if e.get("sequence") == "ALT" and e["local"][:10] < ended and e["event"] == "send"]


def test_a_sequence_that_another_switches_off_takes_nobodys_place():
    """DRIVE switches TALK and DEMYST off: were they to hold both places, the family would hear nothing at all."""
    found = events(FREE, ["TALK", "DEMYST", "DRIVE"], days=20, dates=TWO_SESSIONS)
    assert steps_of(found)[:3] == ["DR-1", "DR-2", "DR-3"]


def test_what_an_answer_leads_to_takes_the_place_of_the_sequence_that_led_there():
    """PR-18: the child raised it, so CHOICE does not stand behind a sequence that has been waiting."""
    found = events(FAMILY_1, ["TALK", "PATIENCE", "ALT"], days=40, acts='[{on: TK-5, after: 1h, text: "5"}]')
    assert [e["sequence"] for e in found if e.get("state") == "waiting"] == ["ALT"]
    assert "CH-1" in steps_of(found) and "AL-1" not in steps_of(found)


def test_a_pause_within_the_wait_counts_once():
    acts = '[{at: 2025-03-05T12:00, text: PAUSE 2}, {on: TK-5, after: 1h, text: "1"}]'
    found = events(FREE, ["TALK", "PATIENCE", "ALT"], days=90, acts=acts)
    turn = next(e["local"][:10] for e in found if e.get("state") == "ended")
    first = next(e["local"][:10] for e in found if e.get("step") == "AL-1" and e["event"] == "send")
    assert datetime.fromisoformat(first) - datetime.fromisoformat(turn) <= timedelta(days=7)


# ------------------------------------------------------------------ strain (PR-27), spacing, LESS


def test_care_lowers_the_others_by_one_a_week_and_does_not_count_itself():
    found = events(FREE, ["TALK", "CARE"], days=14)
    assert lines(found, "CA-1") and lines(found, "TK-2")
    week = [s for s in sends(found) if s.split()[2] <= "03-09"]
    assert [s.split()[0] for s in week] == ["CA-1", "TK-1", "TK-2"] or len(week) == 3


def test_a_parent_who_stays_gets_one_text_in_42_days():
    """OD-4 "1 stay (another 26 weeks, 1 per 42 d)"."""
    answered = '[{on: OD-2, every: true, after: 1h, text: "2"}, {on: OD-4, nth: 1, after: 1h, text: "1"}]'
    found = events(FAMILY_1, ["OPENDOOR"], days=380, acts=answered)
    asked = next(e["local"][:10] for e in found if e.get("step") == "OD-4" and e["event"] == "send")
    later = [
        datetime.fromisoformat(e["local"])
        for e in found
        if e["event"] == "send" and "reply_to" not in e and e["local"][:10] > asked and e["sequence"] == "OPENDOOR"
    ]
    gaps = [(b.date() - a.date()).days for a, b in zip([datetime.fromisoformat(asked), *later], later, strict=False)]
    assert len(gaps) >= 4 and min(gaps[:4]) >= 42  # then its last question, once more after two weeks


STRETCHED = """
key: SLOW
title: Slow
purpose: A note now and then.
lasts: 20 weeks
at_most: 1 a week
steps:
  - {id: SL-2, when: day 7, kind: checkin, topic: care, intent: x, seeds: [],
     text: {en: "1 a 2 b", es: "1 a 2 b", discreet_en: "1 a 2 b", discreet_es: "1 a 2 b"},
     answers: {"1": {means: a, then: [next]}, "2": {means: b, then: [stretch]}}}
  - {id: SL-3, when: day 14, kind: tip, topic: care, intent: x, seeds: [],
     text: {en: Hi, es: Hola, discreet_en: Hi, discreet_es: Hola}}
  - {id: SL-4, when: day 28, kind: tip, topic: care, intent: x, seeds: [],
     text: {en: Hi, es: Hola, discreet_en: Hi, discreet_es: Hola}}
"""


@pytest.mark.parametrize(("digit", "expected"), [("1", ["03-17", "03-31"]), ("2", ["03-24", "04-21"])])
def test_stretch_doubles_the_intervals_that_are_still_to_come(monkeypatch, digit, expected):
    sequence = catalog.parse(STRETCHED, name="slow.yaml")
    known = {**events.__globals__["LIBRARY"].sequences, "SLOW": sequence}
    library = catalog.Library(
        sequences=known, sources={}, system=events.__globals__["LIBRARY"].system, ideas=(), faqs=()
    )
    monkeypatch.setitem(events.__globals__, "LIBRARY", library)
    found = events(FREE, ["SLOW"], days=80, acts=f'[{{on: SL-2, after: 1h, text: "{digit}"}}]')
    assert [s.split()[2] for s in sends(found) if s.startswith(("SL-3", "SL-4"))] == expected


# ------------------------------------------------------------------ every step ends with a reason


def test_steps_that_were_still_to_come_when_a_sequence_ends_are_dropped_once_each_with_the_reason():
    found = events(FAMILY_1, ["OPENDOOR"], days=40, acts='[{on: OD-2, after: 1h, text: "1"}]')
    left = [e["step"] for e in found if e.get("code") == "sequence_ended"]
    assert left == ["OD-2", "OD-3", "OD-4"]
    ended = next(n for n, e in enumerate(found) if e.get("state") == "ended")
    assert found[ended - 1]["code"] == "sequence_ended"


def test_a_talk_that_no_window_has_room_for_is_a_persons_to_look_at():
    found = events({**FREE, "calm_windows": {"sun": ["06:00-07:00"]}}, ["TALK"], days=60)
    assert [e["local"][:10] for e in found if e.get("code") == "parked no_window"] == ["2025-03-11"]
    (ended,) = [e for e in found if e.get("state") == "ended"]
    assert (ended["code"], ended["local"][:10]) == ("stuck", "2025-04-08")  # four weeks later it makes room
    assert found[-1]["state"] == "planned" and found[-1]["next"]["sequence"] == "OPENDOOR"


def test_a_pause_withdraws_the_question_of_a_talk_and_the_talk_comes_again_with_it():
    """Nobody is asked three weeks later how a talk went: nudge and question are one unit."""
    acts = "[{at: 2025-03-14T20:00, text: PAUSE 3}]"
    found = events(FAMILY_1, ["TALK"], days=60, acts=acts)
    unit = [s for s in sends(found) if s.split()[0] in ("TK-4", "TK-5")]
    assert [s.split()[0] for s in unit[:3]] == ["TK-4", "TK-4", "TK-5"]
    assert unit[0].split()[2] == "03-14" and unit[1].split()[2] >= "04-04"


# ------------------------------------------------------------------ danger first, STOP too


def test_danger_beside_a_stop_is_answered_and_stops_the_texts():
    found = events(FAMILY_1, ["TALK"], days=20, acts='[{at: 2025-03-05T12:00, text: "STOP he says I will die"}]')
    at = [e for e in found if e["at"] == "2025-03-05T18:00:00Z"]
    assert [e["event"] for e in at] == ["in", "send", "hold", "staff", "send", "state"]
    assert at[1]["kind"] == "crisis" and at[4]["step"] == "stop_done" and at[-1]["state"] == "opted_out"
    assert not [e for e in found if e["event"] == "send" and e["at"] > at[0]["at"]]


def test_a_plea_to_stop_somebody_is_danger_and_no_wish_to_leave():
    found = events(FAMILY_1, ["TALK"], days=5, acts='[{at: 2025-03-05T12:00, text: "stop him or I will die"}]')
    assert [e["kind"] for e in found if e.get("reply_to")] == ["crisis"]
    assert not [e for e in found if e.get("state") == "opted_out"]


def test_the_instructions_come_before_anything_else_of_the_same_instant():
    acts = '[{on: RP-2, after: 1h, text: "3"}, {at: 2025-03-04T12:00, text: HARD}]'
    found = events(FREE, ["TALK"], days=10, acts=acts)
    card = next(n for n, e in enumerate(found) if e.get("kind") == "crisis")
    assert found[card - 1]["event"] == "in"
    assert [e["kind"] for e in found if e["event"] == "send" and e["at"] == found[card]["at"]] == ["crisis"]


# ------------------------------------------------------------------ orders, weekends, reminders, ideas, the way out


@pytest.mark.parametrize(
    ("changes", "moves"),
    [
        ({"profile": "gentle"}, True),
        ({"profile": "firm"}, False),
        ({"profile": "ordered"}, False),
        ({"court_ordered": "yes"}, False),
    ],
)
def test_stop_for_now_under_an_order_or_after_a_crisis_goes_to_a_person(changes, moves):
    """DR-7 "3 stop for now → OPENDOOR"; PR-14: break and stop go to staff when care is ordered."""
    acts = '[{on: DR-7, after: 1h, text: "3"}]'
    found = events({**FAMILY_1, **changes}, ["DRIVE"], days=30, dates=TWO_SESSIONS, acts=acts)
    began = [e["sequence"] for e in found if e.get("state") == "started"]
    assert ("OPENDOOR" in began) is moves
    assert bool([e for e in found if "wants to stop" in e.get("task", "")]) is not moves


def test_profiles_are_looked_at_together_on_a_weekend_first():
    assert lines(events(FREE, ["CHOICE"], days=20, start="2025-03-01T09:00"), "CH-2") == ["CH-2 Sat 03-08 09:30"]
    busy = {**FREE, "quiet_days": ["sat", "sun"]}
    (fallback,) = lines(events(busy, ["CHOICE"], days=20), "CH-2")
    assert fallback.split()[1] not in ("Sat", "Sun")


@pytest.mark.parametrize(("wish", "expected"), [("false", []), ("true", ["RM-2 Thu 03-13 09:00"])])
def test_a_second_reminder_on_the_same_morning_goes_only_to_those_who_asked(wish, expected):
    found = events({**FREE, "second_reminder": wish}, ["REMIND"], days=12, dates={"session": ["2025-03-13T16:00"]})
    assert lines(found, "RM-1") == ["RM-1 Tue 03-11 16:00"] and lines(found, "RM-2") == expected


def test_one_visit_has_one_reminder_when_two_sequences_know_it():
    found = events(FREE, ["DRIVE", "REMIND"], days=20, dates=TWO_SESSIONS)
    assert [s for s in steps_of(found) if s in ("DR-2", "DR-5", "RM-1")] == ["DR-2", "DR-5"]


@pytest.mark.parametrize(
    ("digits", "rungs"), [("11", [2, 3]), ("12", [2, 2]), ("14", [2, 1]), ("44", [1, 1]), ("13", [2, 2])]
)
def test_answers_about_ideas_move_along_the_ladder(digits, rungs):
    acts = "".join(f'- {{on: RC-C, nth: {n}, after: 1h, text: "{d}"}}\n' for n, d in enumerate(digits, start=1))
    found = events(FREE, ["RECONNECT"], days=70, acts=acts)
    said = [e["reason"] for e in found if e.get("effect") == "rung"]
    assert [int(words.split("rung ")[1][0]) for words in said] == rungs
    assert ("short ones" in said[-1]) is (digits[-1] == "3")


def test_the_word_idea_brings_the_next_idea_of_the_familys_own_rung_and_the_plan_does_not_repeat_it():
    library = events.__globals__["LIBRARY"]
    by_text = {idea.texts.en: idea for idea in library.ideas}
    acts = """
    - {on: RC-C, nth: 1, after: 1h, text: "1"}
    - {on: RC-C, nth: 1, after: 2h, text: IDEA}
    """
    found = events(FREE, ["RECONNECT"], days=60, acts=acts)
    asked = next(by_text[e["text"]] for e in found if e.get("reply_to") == "IDEA")
    after = [e for e in found if e.get("step") == "RC-1" and e["event"] == "send" and e["local"] > "2025-03-25"]
    assert asked.rung == 2
    assert asked.texts.en not in after[0]["text"]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "idea"),
        ({"contact_plan": "none"}, "system"),
        ({"custody": "none"}, "system"),
        ({"role": "other_parent", "contact_plan": "unknown"}, "system"),
        ({"role": "other_parent", "protective_order": "true"}, "system"),
        ({"role": "other_parent"}, "idea"),
    ],
)
def test_an_idea_is_for_families_with_contact_only(changes, kind):
    data = {k: v for k, v in {**FREE, **changes}.items() if v != "unknown"}
    found = events(data, ["CARE"], days=3, acts="[{at: 2025-03-04T12:00, text: IDEA}]")
    reply = next(e for e in found if e.get("reply_to"))
    assert reply["kind"] == kind
    assert bool([e for e in found if "asks for an idea" in e.get("task", "")]) is (kind == "system")


def test_a_pause_says_its_own_last_day():
    found = events(FREE, ["TALK"], days=3, acts="[{at: 2025-03-04T12:00, text: PAUSE 3}]")
    assert "March 25" in next(e["text"] for e in found if e.get("reply_to"))


def test_ideas_stay_on_their_rung_until_an_answer_moves_them():
    library = events.__globals__["LIBRARY"]
    by_text = {idea.texts.en: idea.rung for idea in library.ideas}
    found = events(FREE, ["RECONNECT"], days=90, acts='[{on: RC-C, nth: 1, after: 1h, text: "1"}]')
    climbed = next(e["at"] for e in found if e.get("effect") == "rung")
    ideas = [
        (e["at"], rung)
        for e in found
        if e.get("step") == "RC-1" and e["event"] == "send"
        for words, rung in by_text.items()
        if words in e["text"]
    ]
    assert {rung for at, rung in ideas if at < climbed} == {1}
    assert {rung for at, rung in ideas if at > climbed} == {2}


def test_about_monthly_a_text_says_again_how_to_stop():
    found = events(FREE, ["OPENDOOR"], days=180, acts='[{on: OD-2, every: true, after: 1h, text: "2"}]')
    texts = [
        (datetime.fromisoformat(e["local"]), "STOP" in e["text"])
        for e in found
        if e["event"] == "send" and "reply_to" not in e
    ]
    told = [at for at, says in texts if says]
    assert not texts[0][1] and len(told) >= 4
    assert all((b - a).days >= 28 for a, b in zip(told, told[1:], strict=False))


# ------------------------------------------------------------------ hours that leave nothing


def test_hours_without_an_open_moment_are_a_task_once_and_cost_no_time():
    shut = {**FAMILY_1, "contact_hours": {"default": ["06:00-07:30"]}}
    found = events(shut, ["TALK", "CARE"], days=365)
    assert len([e for e in found if e.get("code") == "no_open_hours" and e["event"] == "staff"]) == 1
    assert steps_of(found) == []


def test_a_holiday_without_texts_is_no_fault_of_the_hours():
    found = events({**FREE, "quiet_days": ["2025-03-04..2025-04-10"]}, ["TALK"], days=60)
    assert not [e for e in found if e.get("code") == "no_open_hours" and e["event"] == "staff"]


# ------------------------------------------------------------------ numbers and names that are refused


@pytest.mark.parametrize(
    "overrides",
    [
        {"silence_halve_after": 0},
        {"silence_monthly_after": 0},
        {"silence_ask_after": 0},
        {"silence_halve_after": 5},
        {"reply_window_hours": 0},
        {"closed_days": 0},
        {"stop_notice_days": 0},
    ],
)
def test_a_threshold_that_would_silence_or_pester_everybody_is_refused(overrides):
    with pytest.raises(policy_file.PolicyError, match="should be 1 or more"):
        policy_file.parse(overrides)


def test_a_second_asking_without_a_number_waits_as_long_as_the_policy_says():
    acts = '[{on: DR-6, nth: 1, after: 1h, text: "2"}]'
    for hours, expected in ((50, "DR-6 Sun 03-23 15:00"), (72, "DR-6 Mon 03-24 13:00")):
        found = events(FREE, ["DRIVE"], days=22, dates=TWO_SESSIONS, acts=acts, overrides={"reask_hours": hours})
        assert lines(found, "DR-6")[1] == expected


def test_a_follow_up_later_than_its_span_says_so():
    found = events({**FREE, "quiet_days": ["2025-03-14"]}, ["DRIVE"], days=14, dates=TWO_SESSIONS)
    late = next(e for e in found if e.get("step") == "DR-3" and e["event"] == "send")
    assert "later than its best moment (until Fri 14 Mar, 20:00)" in late["reason"]
    usual = events(FREE, ["DRIVE"], days=14, dates=TWO_SESSIONS)
    assert "later" not in next(e for e in usual if e.get("step") == "DR-3")["reason"]


def test_a_step_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(script.ScriptError, match=r"there is no step 'TK-55'; did you mean TK-5"):
        script.script('[{on: TK-55, text: "1"}]', "UTC", where="s.yaml", steps=["TK-4", "TK-5", "DR-1"])
