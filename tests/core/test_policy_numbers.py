"""Every number of the policy: what it does at its default, and that another number does another thing.

Each row probes one field from outside. A field without a row, or one that nothing reads, fails.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, time, timedelta

import pytest

from schedules import (
    answers,
    beside,
    entry,
    gate,
    lifecycle,
    moments,
    notice,
    pacing,
    plan,
    policy,
    profile,
    render,
    script,
    windows,
)
from schedules.moments import Due
from schedules.policy import Policy
from schedules.values import Ask, Finish, Go, KeyDate, Kind, Mark, OpenQuestion, Pace, Proposal, Send, Span, Topic
from tests.core.timelines import FAMILY_1, LIBRARY, thread_of

FREE = {**FAMILY_1, "busy_hours": {}, "contact_hours": {"default": ["08:00-21:00"]}}
WIDE = {**FREE, "dinner_time": "null", "bedtime_school": "23:30", "bedtime_free": "23:30"}
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


def local(wall):
    return script.instant(wall, "America/Chicago")[0]


NOW = local("2025-06-18T12:00")  # a Wednesday, far from any clock change
WEDNESDAY, SATURDAY = date(2025, 6, 18), date(2025, 6, 21)


def thread(data=WIDE, *, dates=(), **pace):
    return replace(thread_of(data), pace=Pace(**pace), key_dates=tuple(dates))


def mark(at, **more):
    known = {"kind": Kind.TIP, "topic": Topic.CARE, "sequence": "OTHER", "step": "XX-1", "cycle": 1, "counted": True}
    return Mark(at=at, **{**known, **more})


def proposal(kind=Kind.TIP, sequence="TALK", step="TK-2", **more):
    known = {"cycle": 1, "enrollment": "1", "topic": Topic.THERAPY, "expires_at": NOW + 400 * DAY}
    return Proposal(sequence=sequence, step=step, kind=kind, **{**known, **more})


TALK = proposal(Kind.TALK, step="TK-4")


def shuts(p, t, at, numbers):
    verdict = gate.may_go(p, t, numbers, at)
    return None if isinstance(verdict, Go) else verdict.reason.code


def units_shut(code, p, make, numbers, unit, most=1200):
    """How many units after NOW the gate still says `code`: the number itself. `make` gives the thread at NOW."""
    t = make()
    return next(n for n in range(most) if shuts(p, t, NOW + n * unit, numbers) != code)


def days_near(kind_code, p, make, numbers):
    """How many days beside NOW are shut by a date: `make` gives the thread with the date so many days away."""
    return max((n for n in range(40) if shuts(p, make(n), NOW, numbers) == kind_code), default=-1)


def enrolled(key, t=None, start=NOW, enrollment_id="1", numbers=policy.DEFAULT):
    sequence = LIBRARY.sequences[key]
    return lifecycle.enroll(t or thread(), sequence, enrollment_id=enrollment_id, now=start, policy=numbers)


def asked(t, step, *, ago=timedelta(), left=72 * HOUR):
    known = t.enrollments[0]
    question = OpenQuestion(
        enrollment=known.id,
        sequence=known.sequence.key,
        step=step,
        cycle=1,
        asked_at=NOW - ago,
        until=NOW + left,
        counts_as_silence=True,
    )
    return replace(t, pace=replace(t.pace, question=question))


def says(t, text, numbers, at=NOW):
    return answers.apply(t, text, numbers, at, library=LIBRARY.sequences)


# ------------------------------------------------------------------ hours


def contact(numbers):
    spans = windows.open_spans(profile.parse({**WIDE, "contact_hours": None}), numbers, WEDNESDAY)
    return [(s.start, s.end) for s in spans]


def wall(numbers):
    spans = windows.open_spans(profile.parse({**WIDE, "contact_hours": "06:00-23:00"}), numbers, WEDNESDAY)
    return [(s.start, s.end) for s in spans]


def state(numbers):
    spans = windows.open_spans(profile.parse({**WIDE, "state": "FL"}), numbers, WEDNESDAY)
    return [(s.start, s.end) for s in spans]


def lead(numbers):
    window = windows.Window(day=WEDNESDAY, start=900, end=1000)
    found = windows._send_moments(profile.parse(WIDE), numbers, window)
    opens = local("2025-06-18T15:00")
    minutes = [int((opens - at) / MINUTE) for at in found]
    return (
        minutes[0],
        max(minutes),
        min(minutes),
        min(b - a for a, b in zip(sorted(minutes), sorted(minutes)[1:], strict=False)),
    )


def least_window(numbers):
    for minutes in range(1, 90):
        data = {**WIDE, "calm_windows": {"wed": [f"10:00-{10 + minutes // 60}:{minutes % 60:02}"]}}
        if windows.calm_windows(thread(data), numbers, WEDNESDAY):
            return minutes
    return None


def calm(numbers, day=WEDNESDAY, data=FREE, dates=()):
    return [(w.start, w.end) for w in windows.calm_windows(thread(data, dates=dates), numbers, day)]


def open_minutes(numbers, data=FREE):
    return [(s.start, s.end) for s in windows.open_spans(profile.parse(data), numbers, WEDNESDAY)]


def beside_session(numbers):
    session = KeyDate(kind="session", nth=1, at=local("2025-06-18T17:00"))
    return calm(numbers, data={**WIDE, "calm_windows": {"wed": ["12:00-20:00"]}}, dates=(session,))


NO_CALM = {**FREE, "busy_hours": {"default": ["10:00-23:00"]}}


def offered(numbers):
    return sorted({(w.start, w.end) for w in windows.offered(thread(NO_CALM), numbers, NOW)})


def office(numbers):
    data = {**WIDE, "school_hours": "08:00-15:00"}
    t, p = thread(data), proposal(school_hours=True)
    at = local("2025-06-18T08:00")
    shut = [n for n in range(12 * 60) if shuts(p, t, at + n * MINUTE, numbers) == "school_closed"]
    opens = next(n for n in range(12 * 60) if n not in shut)
    return 480 + opens, 480 + next(n for n in range(opens, 12 * 60) if n in shut)


def only_open_after(days):
    """A family whose next open weekday is `days` away: shut on all weekdays but that one."""
    weekday = "mon tue wed thu fri sat sun".split()[(WEDNESDAY + days * DAY).weekday()]
    return {**WIDE, "contact_hours": {weekday: ["10:00-12:00"]}}


# ------------------------------------------------------------------ caps and gaps


def week_room(numbers, **pace):
    """How many texts of the last days still leave room for one more."""
    for n in range(6):
        marks = tuple(mark(NOW - (50 + k) * HOUR) for k in range(n))
        if shuts(proposal(), thread(marks=marks, **pace), NOW, numbers) == "cap_week":
            return n
    return None


def week_days(numbers):
    t = thread(marks=tuple(mark(NOW - n * MINUTE) for n in range(3)))
    hours = (n for n in range(400) if pacing.week_allows(t, numbers, proposal(), NOW + n * HOUR) is None)
    return next(hours) / 24


def day_room(numbers):
    for n in range(5):
        marks = tuple(mark(NOW - k * HOUR) for k in range(1, n + 1))
        if shuts(proposal(Kind.FOLLOWUP), thread(marks=marks), NOW, numbers) == "cap_day":
            return n
    return None


def gap(numbers):
    roomy = replace(numbers, contact_hours=((Span(start=0, end=1440),),) * 7, cap_day=9)
    return next(
        n
        for n in range(200)
        if pacing.gap_allows(thread(marks=(mark(NOW),)), roomy, proposal(), NOW + n * HOUR) is None
    )


def at_once(numbers):
    t = thread()
    for n, key in enumerate(("TALK", "PATIENCE", "ALT", "CHOICE"), start=1):
        t = enrolled(key, t, enrollment_id=str(n))
    return 4 - len(beside.waiting(t, numbers))


def slot_days(numbers):
    marks = (mark(NOW, sequence="ALT"),)
    t = replace(enrolled("ALT", thread(marks=marks)))
    weekly = next(e for e in t.enrollments)
    days = (
        n
        for n in range(20)
        if pacing.sequence_allows(t, numbers, proposal(sequence="ALT"), weekly, NOW + n * DAY) is None
    )
    return next(days)


def lowered(numbers):
    return week_room(numbers, lower_until=NOW + DAY)


# ------------------------------------------------------------------ ladders and silence


def cool(numbers):
    return (says(enrolled("TALK"), "HARD", numbers).thread.pace.cool_until - NOW) / HOUR


def badly(numbers):
    return (says(enrolled("TALK"), "HARD", numbers).thread.pace.talk_gap_until - NOW).days


def not_yet(numbers):
    waits, t = [], enrolled("TALK")
    for _ in range(5):
        outcome = says(asked(t, "TK-5"), "2", numbers)
        t = outcome.thread
        if any(s.sequence == "OPENDOOR" for s in outcome.starts):
            return tuple(waits)
        waits.append((t.pace.wait_until - NOW).days)
    return None


def silent(numbers, what):
    return next(n for n in range(12) if what(Pace(silence_count=n), numbers))


def stays(numbers):
    def asks(n):
        return isinstance(plan.decide(enrolled("TALK", thread(silence_count=n)), numbers, NOW), Ask)

    return next(n for n in range(12) if asks(n))


def monthly(numbers):
    t = thread(marks=(mark(NOW),), silence_count=4)
    return next(n for n in range(60) if pacing.gap_allows(t, numbers, proposal(), NOW + n * DAY) is None)


def pause_after(numbers):
    """Days after the question; nothing else is due, for the enrollment has only just begun."""

    def pauses(n):
        t = enrolled("OPENDOOR", thread(silence_count=7, stay_asked_at=NOW), start=NOW + n * DAY)
        return isinstance(plan.decide(t, numbers, NOW + n * DAY), Finish)

    return next(n for n in range(60) if pauses(n))


def reply_window(numbers):
    t = enrolled("OPENDOOR", start=NOW - 28 * DAY)
    at = NOW
    for _ in range(50):
        decision = plan.decide(t, numbers, at)
        t = plan.advance(t, decision, numbers, at)
        if isinstance(decision, Send) and decision.step.answers:
            return (t.pace.question.until - at) / HOUR
        at = getattr(decision, "until", at)
    return None


def reask(numbers):
    t = asked(enrolled("DRIVE"), "DR-6")
    again = [p for p in says(t, "2", numbers).thread.enrollments[0].agenda if p.step == "DR-6" and p.not_before]
    return (again[0].not_before - NOW) / HOUR


def late_digit(numbers):
    t = asked(enrolled("TALK"), "TK-5")
    lapsed = replace(t, pace=replace(t.pace, question=None, lapsed_question=t.pace.question))
    end = t.pace.question.until
    return max(n for n in range(30) if says(lapsed, "1", numbers, at=end + n * DAY).understood)


# ------------------------------------------------------------------ how long a step may wait


def step(step_id):
    return next(s for q in LIBRARY.sequences.values() for s in q.steps if s.id == step_id)


def lives(numbers, step_id, unit, **due):
    return (moments.expiry(step(step_id), Due(at=NOW, **due), numbers) - NOW) / unit


def talk_lives(numbers):
    return (moments.expiry(step("TK-4"), Due(at=NOW), numbers, window_start=NOW) - NOW) / MINUTE


def round_again(numbers):
    """The farthest next round that a lost one is not made up before."""
    door = enrolled("OPENDOOR").enrollments[0]
    first, second = [p for p in door.agenda if p.step == "OD-2"][:2]

    def is_soon(n):
        rounds = (replace(first, base=NOW), replace(second, which=first.which, base=NOW + n * DAY))
        t = replace(thread(), enrollments=(replace(door, agenda=rounds),))
        lost = moments.coming(rounds[0], t.enrollments[0], t, numbers)
        return plan._comes_soon_anyway(t, lost, numbers)

    return max(n for n in range(1, 40) if is_soon(n))


def notice_days(numbers):
    rendered = render.fill(step("OD-1").texts, lang="en", discreet=False, values={})
    t = thread(notice_at=NOW)
    known = LIBRARY.system
    return next(n for n in range(90) if notice.added(rendered, t, known, numbers, NOW + n * DAY)[0] != rendered)


def rungs(numbers):
    t = enrolled("RECONNECT")
    for _ in range(12):
        t = says(asked(t, "RC-C"), "1", numbers).thread
    return t.pace.rung


# ------------------------------------------------------------------ hard days, the break, entry


def hard(numbers, p):
    return days_near("hard_date", p, lambda n: thread({**WIDE, "hard_dates": [str(WEDNESDAY + n * DAY)]}), numbers)


def court(numbers):
    return days_near(
        "court_day",
        TALK,
        lambda n: thread(dates=(KeyDate(kind="court", nth=1, at=NOW + n * DAY, date_only=True),)),
        numbers,
    )


def in_break(numbers, *, streak=9, since=NOW, **pace):
    data = {**WIDE, "therapist_told": "true"}
    t = enrolled("BREAK", thread(data, dates=(KeyDate(kind="break_start", nth=1, at=since),), **pace))
    known = t.enrollments[0]
    return t.with_enrollment(replace(known, facts={"streak": streak}))


def gate_shut(numbers, unit=DAY, **more):
    t = in_break(numbers, **more)
    return next(n for n in range(90) if gate.break_gate(t.enrollments[0], t, numbers, NOW + n * unit) is None)


def streak(numbers):
    def is_open(n):
        t = in_break(numbers, streak=n, since=NOW - 60 * DAY)
        return gate.break_gate(t.enrollments[0], t, numbers, NOW) is None

    return next(n for n in range(9) if is_open(n))


def pulse(numbers):
    """The interval that "not yet" widens from: a week more than the policy's."""
    t = in_break(numbers)
    after = says(asked(t, "BR-5"), "2", numbers).thread.enrollments[0]
    return after.facts["interval_days"] - 7


def crisis_free(numbers):
    t = thread(dates=(KeyDate(kind="crisis_report", nth=1, at=NOW),))
    return next(n for n in range(90) if entry.refusal("TALK", t, numbers, NOW + n * DAY) is None)


EVERY_DAY = ((Span(start=600, end=660),),) * 7
ROWS = {
    "contact_hours": (contact, [(540, 1200)], EVERY_DAY, [(600, 660)]),
    "outer_wall": (wall, [(480, 1260)], Span(start=500, end=1000), [(500, 1000)]),
    "state_hours": (state, [(480, 1200)], {"FL": EVERY_DAY}, [(600, 660)]),
    "cap_week": (week_room, 3, 2, 2),
    "cap_week_days": (week_days, 7, 8, 8),
    "cap_day": (day_room, 1, 2, 2),
    "gap_hours": (gap, 44, 50, 50),
    "active_sequences": (at_once, 2, 3, 3),
    "uncounted_steps": (
        lambda n: [s for s in ("ON-1", "ON-2", "RP-0", "RP-1", "RP-2") if not pacing.is_counted(s, Kind.TIP, n)],
        ["ON-1", "ON-2", "RP-0", "RP-1"],
        ("RP-2",),
        ["RP-2"],
    ),
    "lead_minutes": (lambda n: lead(n)[0], 60, 90, 90),
    "lead_most_minutes": (lambda n: lead(n)[1], 120, 100, 100),
    "lead_least_minutes": (lambda n: lead(n)[2], 20, 30, 30),
    "step_minutes": (lambda n: lead(n)[3], 5, 10, 10),
    "window_least_minutes": (least_window, 40, 50, 50),
    "dinner_window_before_minutes": (calm, [(960, 1080), (1170, 1230)], 60, [(960, 1050), (1170, 1230)]),
    "dinner_window_after_minutes": (calm, [(960, 1080), (1170, 1230)], 70, [(960, 1080), (1180, 1230)]),
    "bed_window_before_minutes": (calm, [(960, 1080), (1170, 1230)], 50, [(960, 1080), (1170, 1240)]),
    "after_school_minutes": (calm, [(960, 1080), (1170, 1230)], 60, [(975, 1080), (1170, 1230)]),
    "dinner_quiet_before_minutes": (open_minutes, [(480, 1095), (1155, 1260)], 30, [(480, 1080), (1155, 1260)]),
    "dinner_quiet_after_minutes": (open_minutes, [(480, 1095), (1155, 1260)], 60, [(480, 1095), (1170, 1260)]),
    "bed_quiet_before_minutes": (
        lambda n: open_minutes(n, {**WIDE, "bedtime_school": "20:30"}),
        [(480, 1201)],
        60,
        [(480, 1171)],
    ),
    "session_clear_hours": (beside_session, [(720, 900), (1140, 1200)], 1, [(720, 960), (1080, 1200)]),
    "weekend_default": (lambda n: calm(n, SATURDAY, NO_CALM), [(630, 720)], EVERY_DAY, [(600, 660)]),
    "offered_default": (offered, [(630, 720), (870, 960)], EVERY_DAY, [(600, 660), (630, 720)]),
    "free_morning": (lambda n: calm(n, SATURDAY)[0], (630, 720), Span(start=600, end=700), (600, 700)),
    "free_afternoon_start": (lambda n: calm(n, SATURDAY)[1], (870, 1080), time(15, 0), (900, 1080)),
    "cool_hours": (cool, 72, 96, 96),
    "talk_gap_days": (
        lambda n: units_shut("talk_gap", TALK, lambda: thread(last_talk_at=NOW), n, HOUR) / 24,
        7,
        9,
        9,
    ),
    "talk_gap_badly_days": (badly, 14, 20, 20),
    "notyet_days": (not_yet, (7, 14), (5,), (5,)),
    "silence_halve_after": (lambda n: silent(n, lambda p, q: pacing.stretch(p, q) == 2), 2, 3, 3),
    "silence_monthly_after": (lambda n: silent(n, pacing.is_monthly), 4, 5, 5),
    "silence_ask_after": (stays, 7, 5, 5),
    "silence_monthly_days": (monthly, 28, 35, 35),
    "silence_answer_days": (pause_after, 14, 20, 20),
    "reply_window_hours": (reply_window, 72, 48, 48),
    "reask_hours": (reask, 48, 60, 60),
    "late_digit_days": (late_digit, 7, 3, 3),
    "ttl_talk_after_start_minutes": (talk_lives, 15, 5, 5),
    "ttl_followup_hours": (lambda n: lives(n, "DR-3", HOUR), 72, 48, 48),
    "ttl_default_days": (lambda n: lives(n, "TK-1", DAY), 5, 3, 3),
    "ttl_resource_days": (lambda n: lives(n, "RS-1", DAY), 14, 10, 10),
    "ttl_reminder_before_hours": (lambda n: 48 - lives(n, "DR-2", HOUR, before_event=NOW + 48 * HOUR), 3, 6, 6),
    "ttl_reply_hours": (lambda n: lives(n, "RP-0", HOUR), 1, 2, 2),
    "hard_date_days": (lambda n: hard(n, TALK), 1, 3, 3),
    "hard_date_gate_days": (lambda n: hard(n, proposal(Kind.GATE, sequence="DRIVE", step="DR-7")), 7, 4, 4),
    "court_clear_days": (court, 1, 3, 3),
    "repair_quiet_hours": (
        lambda n: units_shut(
            "just_reported", proposal(topic=Topic.CARE), lambda: thread(last_conflict_at=NOW), n, MINUTE
        ),
        120,
        3,
        180,
    ),
    "weekly_slot_days": (slot_days, 6, 5, 5),
    "school_office": (office, (540, 960), Span(start=600, end=900), (600, 900)),
    "next_round_days": (round_again, 14, 10, 10),
    "closed_days": (lambda n: windows.is_shut(profile.parse(only_open_after(6)), n, NOW), False, 6, True),
    "stop_notice_days": (notice_days, 28, 40, 40),
    "idea_rungs": (rungs, 5, 3, 3),
    "break_least_days": (gate_shut, 28, 35, 35),
    "break_pulse_days": (pulse, 14, 10, 10),
    "break_streak": (streak, 2, 3, 3),
    "break_calm_days": (lambda n: gate_shut(n, since=NOW - 60 * DAY, last_conflict_at=NOW), 14, 20, 20),
    "crisis_free_days": (crisis_free, 30, 40, 40),
    "care_lowers_by": (lowered, 2, 2, 1),
    "volume_less_week": (lambda n: week_room(n, volume="less"), 1, 2, 2),
    "volume_more_week": (lambda n: week_room(n, volume="more"), 3, 2, 2),
}
ELSEWHERE = {"conversation_hours": "tests/service/test_alerts.py: it is the length of a hold, which the service places"}


@pytest.mark.parametrize("name", ROWS)
def test_a_number_does_what_it_says_and_another_number_does_another_thing(name):
    probe, expected, other, moved = ROWS[name]
    assert probe(policy.DEFAULT) == expected
    assert probe(replace(policy.DEFAULT, **{name: other})) == moved


def test_every_number_of_the_policy_has_its_row():
    assert {f.name for f in fields(Policy)} == set(ROWS) | set(ELSEWHERE)
