"""One rule, one test: each of these fails when its rule is bent, whatever the others do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from schedules import (
    agenda,
    answers,
    beside,
    due,
    entry,
    gate,
    lifecycle,
    localtime,
    moments,
    pacing,
    plan,
    policy,
    script,
)
from schedules.values import Ask, Go, Hold, KeyDate, Kind, Mark, OpenQuestion, Proposal, Reason, Send, Topic, Wait
from tests.core.timelines import FAMILY_1, LIBRARY, budget_of, events, sends, thread_of, welcomed, within

POLICY = policy.DEFAULT
FREE = {**FAMILY_1, "busy_hours": {}}
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


def local(wall):
    return script.instant(wall, "America/Chicago")[0]


NOW = local("2025-06-18T12:00")  # a Wednesday


def thread(data=FREE, *, dates=(), holds=(), **pace):
    return replace(thread_of(data), pace=welcomed(**pace), key_dates=tuple(dates), holds=tuple(holds))


def enrolled(key, t=None, *, start=NOW, enrollment_id="1"):
    return lifecycle.enroll(
        t or thread(), LIBRARY.sequences[key], enrollment_id=enrollment_id, now=start, policy=POLICY
    )


def proposal(step_id, **more):
    key, step = next((k, s) for k, q in LIBRARY.sequences.items() for s in q.steps if s.id == step_id)
    known = {"cycle": 1, "enrollment": "1", "expires_at": NOW + 400 * DAY, "closes_talk": step.closes_talk}
    known["budget"] = budget_of(key, step.id, step.kind)
    return Proposal(sequence=key, step=step.id, kind=step.kind, topic=step.topic, **{**known, **more})


def mark(at, **more):
    known = {"kind": Kind.TIP, "topic": Topic.CARE, "sequence": "OTHER", "step": "XX-1", "cycle": 1, "counted": True}
    return Mark(at=at, **{**known, **more})


def question(step="TK-5", key="TALK", **more):
    known = {"asked_at": NOW - DAY, "until": NOW + DAY, "counts_as_silence": True}
    return OpenQuestion(enrollment="1", sequence=key, step=step, cycle=1, **{**known, **more})


def code(p, t, at=NOW):
    verdict = gate.may_go(p, within(t, p), POLICY, at)
    return "go" if isinstance(verdict, Go) else verdict.reason.code


def says(t, text, at=NOW):
    return answers.apply(t, text, POLICY, at, library=LIBRARY.sequences)


def steps(found):
    return [line.split()[0] for line in sends(found)]


# ------------------------------------------------------------------ holds


@pytest.mark.parametrize(("left", "expected"), [(MINUTE, "conversation"), (timedelta(), "go")])
def test_a_conversation_holds_to_its_last_minute(left, expected):
    talk = Hold(kind="conversation", since=NOW - DAY, until=NOW + left)
    assert code(proposal("TK-2"), thread(holds=(talk,))) == expected


@pytest.mark.parametrize(
    ("step", "expected"), [("CA-1", "go"), ("TK-2", "hold_safeguarding"), ("RC-1", "hold_safeguarding")]
)
def test_after_an_abuse_disclosure_only_care_and_resources_go(step, expected):
    held = Hold(kind="safeguarding", since=NOW)
    assert code(proposal(step), thread(holds=(held,))) == expected


def test_any_other_hold_beside_it_stops_care_too():
    holds = (Hold(kind="safeguarding", since=NOW), Hold(kind="crisis", since=NOW))
    assert code(proposal("CA-1"), thread(holds=holds)) == "hold_crisis"


# ------------------------------------------------------------------ the safety screen and the break's gate


SCREEN = [
    ({}, "go"),
    ({"contact_plan": "none"}, "not_screened"),
    ({"contact_plan": None}, "not_screened"),
    ({"protective_order": None}, "not_screened"),
    ({"abuse_concern": None}, "not_screened"),
    ({"child_fear": None}, "not_screened"),
    ({"child_fear": "true"}, "safety_flag"),
    ({"protective_order": "true"}, "safety_flag"),
    ({"abuse_concern": "true"}, "safety_flag"),
]


@pytest.mark.parametrize(("changes", "expected"), SCREEN)
def test_reunification_content_waits_for_the_whole_screen(changes, expected):
    data = {k: v for k, v in {**FREE, **changes}.items() if v is not None}
    assert code(proposal("RC-1"), thread(data)) == expected


def in_break(changes=None, *, days=40, streak=2, facts=None, **pace):
    data = {k: v for k, v in {**FREE, "therapist_told": "true", **(changes or {})}.items() if v is not None}
    began = KeyDate(kind="break_start", nth=1, at=NOW - days * DAY)
    t = enrolled("BREAK", thread(data, dates=(began,), **pace), start=NOW - days * DAY)
    return t.with_enrollment(replace(t.enrollments[0], facts={"streak": streak, **(facts or {})}))


GATE = [
    pytest.param(in_break(), "go", id="all conditions"),
    pytest.param(in_break(streak=1), "gate_streak", id="one closer"),
    pytest.param(in_break({"court_ordered": "yes"}), "gate_court", id="ordered"),
    pytest.param(in_break({"court_ordered": "unknown"}), "gate_court", id="unknown order"),
    pytest.param(in_break({"court_ordered": None}), "gate_court", id="order not asked about"),
    pytest.param(in_break({"court_ordered": "yes", "break_ok_by": "court"}), "go", id="ordered, the court agrees"),
    pytest.param(in_break({"therapist_told": "false"}), "gate_unknown_plan", id="therapist not told"),
    pytest.param(in_break({"contact_plan": None}), "gate_unknown_plan", id="no contact plan"),
    pytest.param(in_break({"child_fear": None}), "gate_unknown_safety", id="fear not asked about"),
    pytest.param(in_break(last_conflict_at=NOW - 13 * DAY), "gate_time", id="a conflict 13 days ago"),
    pytest.param(in_break(last_conflict_at=NOW - 14 * DAY), "go", id="a conflict 14 days ago"),
    pytest.param(in_break(days=27), "gate_time", id="27 days"),
    pytest.param(in_break(days=27, facts={"child_led": 1}), "go", id="27 days, the child asked"),
    pytest.param(
        in_break(days=27, facts={"child_led": 1}, last_conflict_at=NOW - DAY), "gate_time", id="asked after a conflict"
    ),
]


@pytest.mark.parametrize(("t", "expected"), GATE)
def test_each_condition_shuts_the_breaks_gate(t, expected):
    assert code(proposal("BR-5"), t) == expected


def test_after_a_crisis_the_breaks_gate_is_shut():
    t = enrolled("AFTERCRISIS", in_break(), enrollment_id="2")
    assert code(proposal("BR-5"), t) == "off_in_aftercrisis"


# ------------------------------------------------------------------ one question at a time


def test_the_question_that_closes_a_talk_does_not_wait_for_another():
    t = thread(question=question("CA-2", "CARE"))
    assert code(proposal("TK-5"), t) == "go"
    assert code(proposal("DM-1"), t) == "question_open"


def test_nothing_else_is_asked_before_the_sign_up_question_is_settled():
    """ "Who sees this phone?" stays open until it is answered; what asks nothing may go, and safety always may."""
    t = thread(question=question("ON-2", "ONBOARD", settles=True))
    assert code(proposal("ON-3"), t) == "unsettled"
    assert code(proposal("DR-7"), t) == "unsettled"
    assert code(proposal("TK-2"), t) == "go"
    assert code(proposal("AC-1"), t) == "go"
    assert code(proposal("ON-2", asked_again=True), t) == "go"


def test_a_question_asked_again_replaces_itself_only():
    t = thread(question=question("AC-2", "AFTERCRISIS"))
    assert code(proposal("AC-2", asked_again=True), t) == "go"
    assert code(proposal("AC-6"), t) == "question_open"


def test_one_silence_for_a_question_that_was_asked_twice():
    t = enrolled("AFTERCRISIS", thread(question=question("AC-2", "AFTERCRISIS")))

    def silences_after(step_id, **more):
        t2 = t.with_enrollment(agenda.add_now(t.enrollments[0], t.enrollments[0].sequence.step(step_id), NOW, "UTC"))
        pending = next(p for p in t2.enrollments[0].agenda if p.step == step_id and p.not_before == NOW)
        sent = Send(
            enrollment="1",
            step=t2.enrollments[0].sequence.step(step_id),
            cycle=pending.cycle,
            which=0,
            due_at=NOW,
            mark=NOW,
            proposal=proposal(step_id, cycle=pending.cycle, **more),
            reason=Reason(code="due", words="Due."),
        )
        return plan.advance(t2, sent, POLICY, NOW).pace.silence_count

    assert silences_after("AC-2", asked_again=True) == 0
    assert silences_after("AC-6") == 1


def test_a_question_that_comes_back_after_a_very_late_digit_counts_as_no_silence():
    """For two weeks a late digit answers; for two months it is asked which question it belongs to."""
    lapsed = question(until=NOW - 20 * DAY)
    t = replace(enrolled("TALK"), pace=welcomed(lapsed_question=lapsed, silence_count=1))
    reopened = says(t, "1").thread
    assert reopened.pace.question is not None and not reopened.pace.question.counts_as_silence
    later = pacing.settled(reopened, POLICY, NOW + 10 * DAY)
    assert (later.pace.question, later.pace.silence_count) == (None, 0)


def test_a_rest_closes_the_open_question():
    t = replace(enrolled("TALK"), pace=welcomed(question=question()))
    assert lifecycle.resume(t, NOW, POLICY, since=NOW - DAY).pace.question is None


def test_a_reminders_question_ends_with_the_visit():
    visit = KeyDate(kind="session", nth=1, at=NOW + 48 * HOUR)
    t, at = enrolled("DRIVE", thread(dates=(visit,)), start=NOW - 9 * DAY), NOW - 9 * DAY
    for _ in range(30):
        decision = plan.decide(t, POLICY, at)
        t = plan.advance(t, decision, POLICY, at)
        if isinstance(decision, Send) and decision.step.id == "DR-2":
            break
        at = decision.until if isinstance(decision, Wait) else at
    assert t.pace.question.until == visit.at


# ------------------------------------------------------------------ silence and strain


def test_only_checkins_count_as_silence():
    """Follow-ups and reminders of a whole drive go unanswered: the pace stays (reading 9)."""
    dates = {"session": ["2025-03-13T16:00", "2025-03-20T16:00"]}
    found = events(FREE, ["DRIVE", "CARE"], days=40, dates=dates)
    asked = [e["local"][:10] for e in found if e.get("step") == "CA-2" and e["event"] == "send"]
    assert asked and asked[0] <= "2025-03-22"


def test_two_silences_double_the_week_of_the_cap():
    marks = tuple(mark(NOW - n * DAY) for n in (13, 12, 10))
    assert code(proposal("TK-2"), thread(marks=marks, silence_count=2)) == "cap_week"
    assert code(proposal("TK-2"), thread(marks=marks, silence_count=1)) == "go"
    assert code(proposal("DR-3"), thread(marks=marks, silence_count=2)) == "go"


def test_strain_lowers_everything_but_care():
    marks = (mark(NOW - 6 * DAY), mark(NOW - 3 * DAY))
    t = thread(marks=marks, lower_until=NOW + DAY)
    assert (code(proposal("TK-2"), t), code(proposal("CA-3"), t)) == ("cap_week", "go")


@pytest.mark.parametrize("silences", [3, 4])
def test_four_silences_start_the_count_of_closer_anew_and_three_do_not(silences):
    t = in_break(days=10, silence_count=silences - 1, question=question("BR-4", "BREAK", until=NOW))
    found = lifecycle.at(t, POLICY, NOW)
    assert found.enrollments[0].facts["streak"] == (0 if silences == 4 else 2)


def test_an_answer_ends_the_stay_or_go_question():
    t = thread(silence_count=7, silence_since=NOW - 90 * DAY, stay_asked_at=NOW - DAY)
    pace = says(enrolled("TALK", t), "LESS").thread.pace
    assert (pace.silence_count, pace.silence_since, pace.stay_asked_at) == (0, None, None)
    assert not isinstance(plan.decide(replace(t, pace=pace), POLICY, NOW + 30 * DAY), Ask)


def test_the_break_and_its_ideas_share_one_text_a_week():
    t = enrolled("RECONNECT", in_break(marks=(mark(NOW - 3 * DAY, sequence="BREAK", step="BR-4"),)), enrollment_id="2")
    assert code(proposal("RC-1", enrollment="2"), t) == "cap_sequence"


# ------------------------------------------------------------------ ladders


def test_the_child_who_raises_it_ends_every_wait():
    t = replace(enrolled("TALK"), pace=welcomed(question=question(), wait_until=NOW + 14 * DAY, notyet_level=1))
    pace = says(t, "5").thread.pace
    assert (pace.wait_until, pace.notyet_level) == (None, 0)


def test_two_talks_without_a_chance_make_a_task_to_look_at_the_windows():
    t, tasks = enrolled("TALK"), []
    for _ in range(2):
        outcome = says(replace(t, pace=replace(t.pace, question=question())), "2")
        t, tasks = outcome.thread, [*tasks, [task.words for task in outcome.tasks]]
    assert (len(tasks[0]), len(tasks[1])) == (0, 1) and "calm windows" in tasks[1][0]


def test_pulses_widen_to_28_days_and_no_further():
    t, found = in_break(), []
    for _ in range(4):
        t = says(replace(t, pace=replace(t.pace, question=question("BR-5", "BREAK"))), "2").thread
        found.append(t.enrollments[0].facts["interval_days"])
    assert found == [21, 28, 28, 28]


# ------------------------------------------------------------------ words


@pytest.mark.parametrize(("text", "weeks"), [("PAUSE", 2), ("PAUSE 1", 1), ("PAUSE 6", 6), ("PAUSE 99", 26)])
def test_a_pause_lasts_two_weeks_or_what_was_asked_up_to_half_a_year(text, weeks):
    outcome = says(enrolled("TALK"), text)
    until = localtime.plus_wall(NOW, "America/Chicago", days=7 * weeks)
    assert outcome.pause_until == until == outcome.thread.paused_until


@pytest.mark.parametrize(("first", "volume"), [("less", "normal"), ("normal", "more"), ("more", "more")])
def test_more_takes_less_back_before_it_means_more(first, volume):
    assert says(enrolled("TALK", thread(volume=first)), "MORE").thread.pace.volume == volume


# ------------------------------------------------------------------ who may begin, what is off


@pytest.mark.parametrize(("left", "expected"), [(MINUTE, "cool_down"), (timedelta(), None)])
def test_no_first_talk_begins_in_a_cool_down(left, expected):
    refusal = entry.refusal(LIBRARY.sequences["TALK"], thread(cool_until=NOW + left), POLICY, NOW)
    assert (refusal.code if refusal else None) == expected


MATRIX = {
    "AFTERCRISIS": {"TALK", "DEMYST", "CHOICE", "PATIENCE", "OPENDOOR"},
    "BREAK": {"TALK", "DEMYST", "CHOICE", "DRIVE", "MATCH", "REMIND"},
    "DRIVE": {"TALK", "DEMYST"},
    "OPENDOOR": {"TALK", "DEMYST", "CHOICE", "DRIVE", "MATCH", "ALT", "PATIENCE", "BREAK", "RECONNECT"},
}


@pytest.mark.parametrize("running", LIBRARY.sequences)
def test_what_is_off_while_another_sequence_runs(running):
    t = enrolled(running)
    beside_it = {key: enrolled(key, t, enrollment_id="2") for key in LIBRARY.sequences if key != running}
    off = {key for key, both in beside_it.items() if beside.switched_off_by(key, both) == running}
    assert off == MATRIX.get(running, set())


ORDER = ["AC-1", "DR-3", "DR-2", "CA-2", "TK-4", "RC-1", "TK-1", "RS-1", "OD-1"]


def test_the_order_in_which_texts_give_way():
    """AFTERCRISIS > followup/gate > reminder > check-in > talk > idea > tip > resource > OPENDOOR."""
    first = {}
    dates = [KeyDate(kind=k, nth=n, at=NOW + 9 * DAY) for k in ("session", "crisis_report") for n in (1, 2)]
    for step_id in ORDER:
        key = next(k for k, q in LIBRARY.sequences.items() if q.step(step_id))
        t = enrolled(key, thread(dates=dates))
        pending = next(
            p
            for p in agenda.add_now(t.enrollments[0], t.enrollments[0].sequence.step(step_id), NOW, "UTC").agenda
            if p.step == step_id
        )
        first[step_id] = moments.coming(pending, t.enrollments[0], t, POLICY).priority
    found = [first[step_id] for step_id in ORDER]
    assert found == sorted(set(found))
    assert moments.PRIORITY[Kind.GATE] == moments.PRIORITY[Kind.FOLLOWUP]


# ------------------------------------------------------------------ too late, moved, withdrawn


def test_a_hold_makes_nothing_up_later():
    acts = """
    - {at: 2025-03-03T10:00, text: "she wants to die"}
    - {at: 2025-03-20T10:00, staff: release}
    """
    found = events(FREE, ["OPENDOOR"], days=40, acts=acts)
    assert not [e for e in found if e.get("again") and e["at"] < "2025-03-20"]
    assert len(steps(found)) <= 2


def test_a_step_before_an_event_ends_three_hours_before_it_and_with_its_own_life():
    found = due.Due(at=NOW, before_event=NOW + 2 * DAY)
    drive = LIBRARY.sequences["DRIVE"]
    tip = drive.by_id["DR-1"]
    assert due.expiry(drive, tip, tip.when[0], found, POLICY) == NOW + 45 * HOUR
    far = replace(found, before_event=NOW + 20 * DAY)
    assert due.expiry(drive, tip, tip.when[0], far, POLICY) == NOW + 5 * DAY


def test_a_cancelled_session_withdraws_what_hangs_on_it():
    date = KeyDate(kind="session", nth=1, at=NOW)
    assert due.key_date(thread(dates=(date,)), "session", 1) == date
    assert due.key_date(thread(dates=(replace(date, status="cancelled"),)), "session", 1) is None


def test_no_reminder_of_a_session_that_has_begun():
    past = KeyDate(kind="session", nth=1, at=NOW + HOUR)
    t = enrolled("REMIND", thread(dates=(past,)), start=NOW)
    assert "RM-1" not in {p.step for p in lifecycle.at(t, POLICY, NOW + 2 * HOUR).enrollments[0].agenda}


def test_a_talk_that_was_not_handed_over_starts_no_gap():
    t = thread(marks=(mark(NOW - 9 * DAY, kind=Kind.TALK), mark(NOW, kind=Kind.TALK, sequence="TALK", step="TK-4")))
    t = replace(t, pace=replace(t.pace, last_talk_at=NOW))
    assert pacing.forget(t.pace, proposal("TK-4")).last_talk_at == NOW - 9 * DAY


@pytest.mark.parametrize(("since", "expected"), [(5, 23), (None, 28), (20, 14)])
def test_silence_slows_only_what_lies_after_it_began(since, expected):
    begins = None if since is None else NOW + since * DAY
    assert due._slowed(NOW, 14, 2, begins, repeats=False) == expected


def test_an_idea_keeps_six_days_from_the_next_pulse():
    found = events(
        FREE,
        ["BREAK"],
        days=60,
        dates={"break_start": "2025-03-03"},
        acts='[{on: BR-4, every: true, after: 1h, text: "2"}, {on: BR-2, after: 1h, text: "2"}]',
    )
    days = [(line.split()[0], line.split()[2]) for line in sends(found)]
    for (step, day), (after, next_day) in zip(days, days[1:], strict=False):
        if step == "BR-3" and after == "BR-4":
            assert (local(f"2025-{next_day}") - local(f"2025-{day}")).days >= 6
    assert {"BR-3", "BR-4"} <= {step for step, _ in days}


# ------------------------------------------------------------------ read as a parent reads them


def test_a_talk_does_not_overtake_the_fact_that_it_builds_on():
    """DM-4 says "share the coach idea", which DM-3 tells; only READY brings a talk forward."""
    acts = """
    - {on: ON-2, after: 1h, text: "1"}
    - {on: ON-3, after: 1h, text: "1"}
    - {on: ON-5, after: 1h, text: "2"}
    - {on: DM-1, after: 1h, text: "1"}
    """
    for start in ("2025-03-03", "2025-03-05", "2025-03-08", "2025-03-14"):
        found = steps(events(FAMILY_1, ["ONBOARD"], start=f"{start}T09:00", days=60, acts=acts))
        assert {"DM-3", "DM-4"} <= set(found)
        assert found.index("DM-3") < found.index("DM-4")


def test_ready_brings_a_talk_forward_past_the_tips():
    acts = "[{on: TK-1, after: 1h, text: READY}]"
    found = steps(events(FAMILY_1, ["TALK"], days=20, acts=acts))
    assert found.index("TK-4") < found.index("TK-3")


def test_a_reminder_names_its_own_session_and_not_the_one_before_it():
    dates = {"session": ["2025-03-11T17:45", "2025-03-13T16:00"]}
    found = events(FREE, ["REMIND"], start="2025-03-10T09:00", days=5, dates=dates)
    texts = [e["text"] for e in found if e.get("step") == "RM-1" and e["event"] == "send"]
    assert [("Thursday at 4 pm" in text, "Tuesday" in text) for text in texts] == [(False, True), (True, False)]


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({"MA-3": "2"}, "MA-4M"),
        ({"MA-1": "1", "MA-3": "1"}, "MA-4"),
        ({"MA-2": "2", "MA-3": "2"}, "MA-4M"),
        ({"MA-1": "2", "MA-2": "2", "MA-3": "3"}, "MA-4L"),
        ({"MA-3": "3"}, "MA-4L"),
    ],
)
def test_an_unanswered_question_about_the_therapist_is_no_bad_mark(marks, said):
    """Silence is never read as an answer."""
    t = enrolled("MATCH")
    for step, digit in marks.items():
        outcome = says(replace(t, pace=replace(t.pace, question=question(step, "MATCH"))), digit)
        t = outcome.thread
    assert outcome.replies[0].step == said


def test_an_unanswered_gate_is_asked_again_only_after_another_closer():
    acts = '[{on: BR-2, after: 1h, text: "2"}, {on: BR-4, nth: 1, after: 1h, text: "1"}, {on: BR-4, nth: 2, after: 1h, text: "1"}%s]'
    dates = {"break_start": "2025-03-03"}
    family = {**FREE, "therapist_told": "true"}
    silent = steps(events(family, ["BREAK"], days=180, dates=dates, acts=acts % ""))
    assert silent.count("BR-5") == 1
    closer = ', {on: BR-4, nth: 3, after: 1h, text: "1"}'
    assert steps(events(family, ["BREAK"], days=120, dates=dates, acts=acts % closer)).count("BR-5") == 2


def test_one_idea_in_place_of_a_talk_is_one_idea_and_not_a_sequence():
    """SOFTEN: "RECONNECT idea in place of next talk"."""
    acts = '[{on: TK-5, nth: 1, after: 1h, text: "3"}, {on: RP-2, nth: 1, after: 1h, text: "1"}]'
    found = events(FAMILY_1, ["TALK"], days=90, acts=acts)
    assert steps(found).count("RC-1") == 1
    assert [e["reason"] for e in found if e.get("state") == "ended" and e["sequence"] == "RECONNECT"]
