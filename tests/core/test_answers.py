"""What a parent's digits and words do to the plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from schedules import answers, catalog, lifecycle, localtime, plan, policy, run, script, state, words
from schedules.values import Idle, OpenQuestion, Wait
from tests.core.timelines import FAMILY_1, LIBRARY, thread_of, welcomed

POLICY = policy.DEFAULT
ZONE = "America/Chicago"


def at(wall):
    return script.instant(wall, ZONE)[0]


def enrolled(key, start="2025-03-03T09:00", dates=None):
    return lifecycle.enroll(
        thread_of(FAMILY_1, dates), LIBRARY.sequences[key], enrollment_id="7", now=at(start), policy=POLICY
    )


def asked(thread, step, wall):
    """The thread with `step` just sent: its question is open."""
    enrollment = thread.enrollments[0]
    question = OpenQuestion(
        enrollment="7",
        sequence=enrollment.sequence.key,
        step=step,
        cycle=1,
        asked_at=at(wall),
        until=at(wall) + timedelta(hours=72),
        counts_as_silence=True,
    )
    return replace(thread, pace=replace(thread.pace, question=question))


def apply(thread, text, wall, library=None):
    return answers.apply(thread, text, POLICY, at(wall), library=LIBRARY.sequences if library is None else library)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", ("2",)),
        (" 2. ", ("2",)),
        ("2️⃣", ("2",)),
        ("#2", ("2",)),
        ("1 and 3", ("1", "3")),
        ("1,3", ("1", "3")),
        ("13", ("1", "3")),
        ("1 y 3", ("1", "3")),
    ],
)
def test_digits_are_read_however_they_are_typed(text, expected):
    assert words.read(text).digits == expected


@pytest.mark.parametrize(
    ("text", "name", "number"),
    [
        ("PAUSE", "PAUSE", None),
        ("pausa 3 semanas", "PAUSE", 3),
        ("Pause 2", "PAUSE", 2),
        ("difícil", "HARD", None),
        ("¡LISTO!", "READY", None),
        ("español", "ESPANOL", None),
        ("menos", "LESS", None),
    ],
)
def test_service_words_are_read_in_both_languages(text, name, number):
    assert words.read(text) == words.Word(name=name, number=number)


@pytest.mark.parametrize("text", ["", "thanks", "we paused the game", "at 5 pm", "10", "he is 12", "ok 2 me", "0"])
def test_other_words_are_for_a_person(text):
    assert words.read(text) is None


def test_an_answer_with_words_behind_it_counts_and_the_words_reach_a_person():
    outcome = apply(asked(enrolled("TALK"), "TK-5", "2025-03-15T12:10"), "1 it was nice", "2025-03-15T12:40")
    assert outcome.understood
    assert any("added words" in task.words for task in outcome.tasks)


def test_went_badly_cools_therapy_for_72_hours_and_starts_repair_with_its_words_at_once():
    outcome = apply(asked(enrolled("TALK"), "TK-5", "2025-03-15T12:10"), "3", "2025-03-15T12:40")
    assert outcome.thread.pace.cool_until == at("2025-03-18T12:40")
    assert outcome.thread.pace.talk_gap_until == at("2025-03-29T12:40")
    assert [reply.step for reply in outcome.replies] == ["RP-0"]
    assert [(s.sequence, s.only) for s in outcome.starts] == [("REPAIR", False)]


def test_hard_does_the_same_unasked():
    outcome = apply(enrolled("TALK"), "HARD", "2025-03-12T12:00")
    assert outcome.thread.pace.cool_until == at("2025-03-15T12:00")
    assert outcome.thread.pace.talk_gap_until == at("2025-03-26T12:00")
    assert [s.sequence for s in outcome.starts] == ["REPAIR"]


def test_two_bad_talks_in_a_row_soften_and_offer_care():
    thread = enrolled("TALK")
    first = apply(asked(thread, "TK-5", "2025-03-15T12:10"), "3", "2025-03-15T12:40").thread
    second = apply(asked(first, "TK-5", "2025-03-30T12:10"), "3", "2025-03-30T12:40")
    assert {"soften", "offer"} <= {effect.verb for effect in second.effects}


def test_a_digit_that_no_answer_has_leaves_the_question_open():
    thread = asked(enrolled("TALK"), "TK-5", "2025-03-15T12:10")
    outcome = apply(thread, "9", "2025-03-15T12:40")
    still = outcome.thread.pace.question
    assert (still.step, still.cycle) == ("TK-5", 1)
    assert still.until == at("2025-03-18T12:40")  # as long as after its asking
    assert [reply.system for reply in outcome.replies] == ["not_understood_digit"]


def test_two_digits_are_no_answer_where_one_is_asked_for():
    outcome = apply(asked(enrolled("TALK"), "TK-5", "2025-03-15T12:10"), "1 and 3", "2025-03-15T12:40")
    assert [reply.system for reply in outcome.replies] == ["not_understood_digit"]


def test_a_late_digit_finds_its_question():
    thread = asked(enrolled("TALK"), "TK-5", "2025-03-15T12:10")
    late = apply(thread, "1", "2025-03-19T12:40")
    assert any(effect.verb == "go" for effect in late.effects)


def test_a_digit_weeks_late_gets_which_one_and_then_counts():
    thread = asked(enrolled("TALK"), "TK-5", "2025-03-15T12:10")
    late = apply(thread, "1", "2025-04-07T12:40")
    assert [reply.system for reply in late.replies] == ["which_one"]
    again = apply(late.thread, "1", "2025-04-07T12:45")
    assert any(effect.verb == "go" for effect in again.effects)


def test_a_digit_with_no_question_at_all_is_for_a_person():
    assert not apply(enrolled("TALK"), "1", "2025-03-15T12:40").understood


def test_any_answer_ends_the_silence():
    silent = replace(enrolled("TALK"), pace=welcomed(silence_count=3, silence_since=at("2025-03-05T09:00")))
    assert apply(silent, "hello", "2025-03-15T12:40").thread.pace.silence_count == 0


def test_silence_is_never_an_answer():
    thread = asked(enrolled("TALK"), "TK-5", "2025-03-15T12:10")
    later = lifecycle.at(thread, POLICY, at("2025-03-18T12:10"))
    assert later.pace.silence_count == 1
    assert later.pace.notyet_level == 0
    assert later.pace.cool_until is None


def test_pause_rests_that_many_weeks_and_the_plan_moves_by_as_much():
    thread = enrolled("TALK")
    outcome = apply(thread, "PAUSE 3", "2025-03-04T12:00")
    assert outcome.pause_until == at("2025-03-25T12:00")
    resting = plan.decide(outcome.thread, POLICY, at("2025-03-10T12:00"))
    assert isinstance(resting, Wait) and resting.until == outcome.pause_until
    after = lifecycle.at(outcome.thread, POLICY, outcome.pause_until)
    coming = run.forecast(after, POLICY, outcome.pause_until, count=3)
    shown = [(f.step.id, localtime.local(f.at, ZONE).strftime("%m-%d %H:%M")) for f in coming]
    assert shown == [("TK-1", "03-25 17:30"), ("TK-2", "03-28 17:30"), ("TK-3", "04-01 17:30")]


def test_ready_brings_the_talk_to_the_next_window():
    outcome = apply(enrolled("TALK"), "READY", "2025-03-04T18:00")
    coming = run.forecast(outcome.thread, POLICY, at("2025-03-04T18:00"), count=1)
    assert coming[0].step.id == "TK-4"
    assert localtime.local(coming[0].at, ZONE).strftime("%m-%d %H:%M") == "03-04 18:05"


def test_ready_promises_a_text_only_when_one_is_coming():
    outcome = apply(enrolled("CARE"), "READY", "2025-03-04T18:00")
    assert [reply.system for reply in outcome.replies] == ["person_soon"]
    assert [task.priority for task in outcome.tasks] == [3]


def test_ready_after_the_open_door_leads_back_to_the_talk():
    outcome = apply(enrolled("OPENDOOR"), "READY", "2025-03-04T18:00")
    assert [(start.sequence, start.at_step) for start in outcome.starts] == [("TALK", "TK-4")]
    assert [reply.system for reply in outcome.replies] == ["ready_ok"]


def test_move_after_a_reminder_asks_for_the_date_and_says_nothing_else():
    thread = enrolled("REMIND", dates={"session": "2025-03-13T16:00"})
    reminded = thread.with_enrollment(replace(thread.enrollments[0], cycles={"RM-1": 1}))
    outcome = apply(reminded, "MOVE", "2025-03-11T18:00")
    assert [reply.system for reply in outcome.replies] == ["date_ask"]


def test_a_sequence_that_the_program_lacks_becomes_a_task():
    only_talk = {"TALK": LIBRARY.sequences["TALK"]}
    outcome = apply(asked(enrolled("TALK"), "TK-6", "2025-03-15T12:10"), "1", "2025-03-15T12:40", library=only_talk)
    assert not outcome.starts
    assert any("CHOICE" in task.words for task in outcome.tasks)


def test_not_yet_at_the_gate_waits_28_days_and_widens_the_pulses():
    thread = asked(enrolled("BREAK", dates={"break_start": "2025-03-03"}), "BR-5", "2025-05-01T17:30")
    outcome = apply(thread, "2", "2025-05-01T18:30")
    assert outcome.thread.pace.wait_until == at("2025-05-29T18:30")
    assert outcome.thread.enrollments[0].facts["interval_days"] == 21


def test_fear_in_an_answer_asks_for_a_safety_hold_and_a_person_this_hour():
    thread = asked(enrolled("BREAK", dates={"break_start": "2025-03-03"}), "BR-2", "2025-03-10T17:30")
    outcome = apply(thread, "4", "2025-03-10T18:30")
    assert outcome.safety_hold
    assert [task.priority for task in outcome.tasks] == [1]


def every_answer():
    for sequence in catalog.load_library().sequences.values():
        for step in sequence.steps:
            for digit in step.answers:
                yield pytest.param(sequence.key, step.id, digit, id=f"{step.id} answer {digit}")


@pytest.mark.parametrize(("key", "step", "digit"), list(every_answer()))
def test_every_answer_of_the_library_has_an_effect_and_a_reply_and_leaves_a_sound_plan(key, step, digit):
    dates = {
        "break_start": "2025-03-03",
        "session": ["2025-03-13T16:00", "2025-03-20T16:00"],
        "crisis_report": "2025-03-01T10:00",
    }
    outcome = apply(asked(enrolled(key, dates=dates), step, "2025-04-01T12:00"), digit, "2025-04-01T12:30")
    assert outcome.understood
    assert outcome.effects or outcome.tasks or outcome.replies
    assert outcome.replies
    now = at("2025-04-01T12:30")
    thread = outcome.thread
    for _ in range(20):
        decision = plan.decide(thread, POLICY, now)
        thread = plan.advance(thread, decision, POLICY, now)
        if isinstance(decision, Wait | Idle):
            break
    else:
        pytest.fail("the plan goes round in circles")


def test_the_state_survives_storage():
    outcome = apply(asked(enrolled("TALK"), "TK-5", "2025-03-15T12:10"), "2", "2025-03-15T12:40")
    pace, enrollment = outcome.thread.pace, outcome.thread.enrollments[0]
    assert state.pace_from_json(state.pace_to_json(pace)) == pace
    back = state.enrollment_from_json(
        state.enrollment_to_json(enrollment), id="7", sequence=enrollment.sequence, started_at=enrollment.started_at
    )
    assert back == enrollment
