"""Every number of the policy: what it does at its default, and that another number does another thing.

Each row probes one field from outside. A field without a row, or one that nothing reads, fails.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import time

import pytest

from schedules import due, pacing, policy, profile, windows
from schedules.policy import Policy
from schedules.values import Kind, Span, Topic
from tests.core.policy_probes import (
    DAY,
    HOUR,
    MINUTE,
    NO_CALM,
    NOW,
    SATURDAY,
    TALK,
    WIDE,
    asked_once_more,
    at_once,
    badly,
    beside_session,
    calm,
    contact,
    cool,
    court,
    crisis_free,
    date_asked,
    day_room,
    event_room,
    gap,
    gate_asks,
    gate_shut,
    goes_first,
    hard,
    late_digit,
    lead,
    least_window,
    lives,
    lowered,
    monthly,
    no_idea,
    not_yet,
    notice_days,
    offered,
    office,
    only_open_after,
    open_minutes,
    pause_after,
    proposal,
    pulse,
    reask,
    reply_window,
    round_again,
    rungs,
    says_enough,
    silent,
    slot_days,
    state,
    stays,
    streak,
    talk_lives,
    thread,
    told_again,
    tries,
    units_shut,
    wall,
    week_days,
    week_room,
)

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
    "lead_minutes": (lambda n: lead(n)[0], 60, 90, 90),
    "lead_most_minutes": (lambda n: lead(n)[1], 120, 100, 100),
    "lead_least_minutes": (lambda n: lead(n)[2], 20 + 10, 30, 30 + 10),  # the moment lasts ten minutes
    "moment_least_minutes": (lambda n: lead(n)[2] - 20, 10, 20, 20),
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
        [(480, 1200)],
        60,
        [(480, 1170)],
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
    "late_digit_days": (lambda n: late_digit(n)[0], 14, 3, 3),
    "found_again_days": (lambda n: late_digit(n)[1], 60, 40, 40),
    "silence_ask_again_days": (asked_once_more, 14, 20, 20),
    "talk_tries": (tries, 3, 2, 2),
    "date_days": (date_asked, 14, 10, 10),
    "tell_again_days": (told_again, 28, 20, 20),
    "idea_days": (no_idea, 90, 60, 60),
    "says_a_year": (says_enough, 3, 2, 2),
    "gate_asks": (gate_asks, 2, 3, 3),
    "first_days": (goes_first, 14, 10, 10),
    "event_week": (event_room, 4, 3, 3),
    "ttl_talk_after_start_minutes": (talk_lives, 15, 5, 5),
    "ttl_followup_hours": (lambda n: lives(n, "DR-3", HOUR), 72, 48, 48),
    "slide_days": (lambda n: lives(n, "TK-1", DAY), 60, 40, 40),
    "ttl_default_days": (lambda n: lives(n, "DR-1", DAY), 5, 3, 3),
    "ttl_resource_days": (lambda n: due.life(Kind.RESOURCE, n) / DAY, 14, 10, 10),
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
