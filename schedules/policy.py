"""Every number of the pacing rules, with its unit in the name and its default from content.md §2.1.

A program overrides single ones; nothing in the core is a number in code that an admin might want to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time

from schedules import profile as families
from schedules.values import Kind, Span, Week

_NORMAL: Week = ((Span(start=540, end=1200),),) * 7
WALL = Span(start=480, end=1260)


def _every_day(start: str, end: str) -> Week:
    return families.by_weekday(f"{start}-{end}", families.spans, ())


def _week(**named: str) -> Week:
    return families.by_weekday({k.replace("_", "-"): v for k, v in named.items()}, families.spans, ())


# Stricter windows of single states; telemarketing law, adopted as a courtesy. Not legal advice.
STATE_HOURS: Mapping[str, Week] = {
    **{state: _every_day("08:00", "20:00") for state in ("FL", "WA", "OK", "MD", "NJ", "MA")},
    **{state: _week(mon_sat="08:00-20:00") for state in ("AL", "LA", "MS")},
    **{state: _every_day("09:00", "20:00") for state in ("CT", "NV")},
    "TX": _week(mon_sat="09:00-21:00", sun="12:00-21:00"),
    "RI": _week(mon_fri="09:00-18:00", sat="10:00-17:00", sun="10:00-17:00"),
}

PRIORITY: Mapping[Kind, int] = {
    # Lower goes first; a sequence's own `priority` stands before these.
    Kind.FOLLOWUP: 20,
    Kind.GATE: 20,
    Kind.REMINDER: 30,
    Kind.CHECKIN: 40,
    Kind.TALK: 50,
    Kind.IDEA: 60,
    Kind.TIP: 70,
    Kind.FACT: 70,
    Kind.ENCOURAGE: 70,
    Kind.RESOURCE: 80,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The pacing rules' numbers. Units: `_hours`, `_days`, `_minutes`; counts have none."""

    contact_hours: Week = _NORMAL
    outer_wall: Span = WALL  # never outside, whatever a family or program sets
    state_hours: Mapping[str, Week] = field(default_factory=lambda: dict(STATE_HOURS), hash=False)

    cap_week: int = 3
    cap_week_days: int = 7
    cap_day: int = 1
    gap_hours: int = 44
    active_sequences: int = 2
    first_days: int = 14  # the others wait for a sequence that goes first, but no longer
    event_week: int = 4  # events have a budget of their own

    moment_least_minutes: int = 10  # a moment is an interval: a beat may come some minutes late
    lead_minutes: int = 60
    lead_least_minutes: int = 20
    lead_most_minutes: int = 120
    step_minutes: int = 5
    window_least_minutes: int = 40
    dinner_window_before_minutes: int = 30
    dinner_window_after_minutes: int = 60
    dinner_quiet_before_minutes: int = 15
    dinner_quiet_after_minutes: int = 45
    bed_window_before_minutes: int = 60
    bed_quiet_before_minutes: int = 30
    after_school_minutes: int = 45
    session_clear_hours: int = 2
    weekend_default: Week = field(
        default_factory=lambda: _week(sat="10:30-12:00", sun="10:30-12:00")
    )  # when no calm window is left all week
    offered_default: Week = field(
        default_factory=lambda: families.by_weekday({"sat-sun": ["10:30-12:00", "14:30-16:00"]}, families.spans, ())
    )  # fills up the choice of calm times
    free_morning: Span = Span(start=630, end=720)
    free_afternoon_start: time = time(14, 30)

    cool_hours: int = 72
    talk_gap_days: int = 7
    talk_gap_badly_days: int = 14
    notyet_days: tuple[int, ...] = (7, 14)
    silence_halve_after: int = 2
    silence_monthly_after: int = 4
    silence_ask_after: int = 7
    silence_monthly_days: int = 28
    silence_answer_days: int = 14
    silence_ask_again_days: int = 14  # an unanswered question that all else hangs on is asked once more
    talk_tries: int = 3  # of one talk, while nobody answers how it went
    reply_window_hours: int = 72
    reask_hours: int = 48
    late_digit_days: int = 14
    found_again_days: int = 60  # a late digit still finds its question, which is asked back first
    conversation_hours: int = 24  # automation rests so long after the last text between a parent and a person

    ttl_talk_after_start_minutes: int = 15
    ttl_followup_hours: int = 72
    ttl_default_days: int = 5
    ttl_resource_days: int = 14
    slide_days: int = 60  # how long a step of a sequence's own order may slide
    ttl_reminder_before_hours: int = 3
    ttl_reply_hours: int = 1

    hard_date_days: int = 1
    hard_date_gate_days: int = 7
    court_clear_days: int = 1
    repair_quiet_hours: int = 2
    weekly_slot_days: int = 6  # "1 a week": no two within so many dates
    school_office: Span = Span(start=540, end=960)  # weekdays in term (PR-24)
    next_round_days: int = 14  # a lost round is not made up for when the step's next one is so near
    closed_days: int = 14  # days without an open moment until people are told
    stop_notice_days: int = 28  # a text says again how to stop
    idea_rungs: int = 5

    break_least_days: int = 28
    break_pulse_days: int = 14
    break_streak: int = 2
    break_calm_days: int = 14
    crisis_free_days: int = 30
    date_days: int = 14  # an awaited date is asked for once more by a person
    tell_again_days: int = 28  # people are told again of what still keeps everything waiting
    gate_asks: int = 2  # without an answer; then a person asks
    says_a_year: int = 3  # of the same comfort words to one parent
    idea_days: int = 90  # until the same idea may come again
    care_lowers_by: int = 1
    volume_less_week: int = 1
    volume_more_week: int = 3


DEFAULT = Policy()
