"""Calm windows and send moments: the vectors of content.md §5.3, to the minute."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from schedules import calendar, localtime, policy, profile, script, windows
from schedules.values import Thread
from tests.core.timelines import thread_of

POLICY = policy.DEFAULT
FAMILY_1 = {
    "timezone": "America/Chicago",
    "dinner_time": "18:30",
    "bedtime_school": "21:30",
    "bedtime_free": "22:30",
    "school_hours": "08:00-15:15",
    "contact_hours": "09:00-20:00",
    "busy_hours": {"mon-fri": ["09:00-17:30"]},
}
FAMILY_2 = {**FAMILY_1, "busy_hours": {}}
FAMILY_3 = {**FAMILY_2, "dinner_time": "18:00", "bedtime_school": "20:30"}
ZONE = "America/Chicago"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def local(wall):
    return script.instant(wall, ZONE)[0]


def moments(data, day):
    """Each calm window of the day as "start-end", with the first and the last minute of its send moment, or None."""
    thread = Thread(profile=profile.parse(data))
    found = {}
    for window in windows.calm_windows(thread, POLICY, day):
        moment = windows.send_moment(thread, POLICY, window, not_before=LONG_AGO)
        name = f"{window.start // 60:02}:{window.start % 60:02}-{window.end // 60:02}:{window.end % 60:02}"
        found[name] = moment and (moment[0].isoformat(), localtime.local(moment[1], ZONE).strftime("%H:%M"))
    return found


VECTORS = [
    pytest.param(
        FAMILY_1,
        date(2025, 3, 4),
        {"19:30-20:30": ("2025-03-05T00:05:00+00:00", "18:15")},
        id="dinner moves it earlier",
    ),
    pytest.param(
        FAMILY_1, date(2025, 3, 7), {"19:30-21:30": ("2025-03-08T00:05:00+00:00", "18:15")}, id="free night is longer"
    ),
    pytest.param(
        FAMILY_1,
        date(2025, 3, 8),
        {
            "10:30-12:00": ("2025-03-08T15:30:00+00:00", "10:10"),
            "14:30-18:00": ("2025-03-08T19:30:00+00:00", "14:10"),
            "19:30-21:30": ("2025-03-09T00:05:00+00:00", "18:15"),
        },
        id="Saturday in standard time",
    ),
    pytest.param(
        FAMILY_1,
        date(2025, 3, 9),
        {
            "10:30-12:00": ("2025-03-09T14:30:00+00:00", "10:10"),
            "14:30-18:00": ("2025-03-09T18:30:00+00:00", "14:10"),
            "19:30-20:30": ("2025-03-09T23:05:00+00:00", "18:15"),
        },
        id="the day that summer time starts",
    ),
    pytest.param(
        FAMILY_1, date(2025, 3, 10), {"19:30-20:30": ("2025-03-10T23:05:00+00:00", "18:15")}, id="Monday in summer time"
    ),
    pytest.param(
        FAMILY_2,
        date(2025, 3, 4),
        {"16:00-18:00": ("2025-03-04T21:00:00+00:00", "15:40"), "19:30-20:30": ("2025-03-05T00:05:00+00:00", "18:15")},
        id="nobody at work",
    ),
    pytest.param(
        FAMILY_3,
        date(2025, 3, 4),
        {"16:00-17:30": ("2025-03-04T21:00:00+00:00", "15:40")},
        id="an evening piece of half an hour is dropped",
    ),
]


@pytest.mark.parametrize(("data", "day", "expected"), VECTORS)
def test_windows_and_moments_are_those_of_the_reference_vectors(data, day, expected):
    assert moments(data, day) == expected


@pytest.mark.parametrize(
    ("day", "wall", "zone", "expected"),
    [
        pytest.param(
            date(2024, 3, 10),
            "02:30",
            "America/New_York",
            "2024-03-10T07:00:00+00:00",
            id="gap: first valid minute after it",
        ),
        pytest.param(
            date(2024, 11, 3), "01:30", "America/New_York", "2024-11-03T05:30:00+00:00", id="fold: first occurrence"
        ),
        pytest.param(
            date(2024, 10, 6), "02:15", "Australia/Lord_Howe", "2024-10-05T15:30:00+00:00", id="half-hour gap"
        ),
        pytest.param(
            date(2024, 4, 7), "01:45", "Australia/Lord_Howe", "2024-04-06T14:45:00+00:00", id="half-hour fold"
        ),
        pytest.param(date(2025, 1, 1), "18:00", "Asia/Kolkata", "2025-01-01T12:30:00+00:00", id="half-hour zone"),
        pytest.param(
            date(2025, 7, 1), "09:00", "America/St_Johns", "2025-07-01T11:30:00+00:00", id="half-hour zone in summer"
        ),
    ],
)
def test_wall_times_resolve_by_the_gap_and_fold_rules(day, wall, zone, expected):
    assert localtime.to_utc(day, profile.clock(wall), zone).isoformat() == expected


def test_a_week_without_a_calm_piece_falls_back_to_the_weekend_default():
    data = {**FAMILY_1, "activities": {"default": ["00:00-24:00"]}}
    assert moments(data, date(2025, 3, 8)) == {"10:30-12:00": ("2025-03-08T15:30:00+00:00", "10:10")}
    assert moments(data, date(2025, 3, 10)) == {}


@pytest.mark.parametrize(
    ("state", "at", "open_"),
    [
        pytest.param("TX", "2025-03-09T16:30:00+00:00", False, id="Texas rests on Sunday morning"),
        pytest.param("TX", "2025-03-09T17:30:00+00:00", True, id="Texas from noon on Sunday"),
        pytest.param("AL", "2025-03-09T20:00:00+00:00", False, id="Alabama rests on Sunday"),
        pytest.param(None, "2025-03-09T16:30:00+00:00", True, id="no state, no stricter hours"),
    ],
)
def test_a_state_may_close_hours_that_the_family_left_open(state, at, open_):
    family = profile.parse({**FAMILY_2, "state": state})
    assert windows.is_open(family, POLICY, datetime.fromisoformat(at)) is open_


def test_night_work_runs_over_midnight_into_the_next_morning():
    family = profile.parse({"timezone": "America/Chicago", "busy_hours": {"mon": ["22:00-11:00"]}})
    at = datetime(2025, 3, 4, 16, 0, tzinfo=UTC)  # Tuesday 10:00
    assert windows.next_open(family, POLICY, at) == datetime(2025, 3, 4, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "busy",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"mon-fri": ["09:00-17:30"]}, id="office hours"),
        pytest.param({"default": ["08:00-20:00"]}, id="always"),
        pytest.param({"mon-sat": ["08:00-20:00"]}, id="all but Sunday"),
    ],
)
def test_four_different_windows_are_offered_however_busy_the_week_is(busy):
    thread = Thread(
        profile=profile.parse({"timezone": "America/Chicago", "bedtime_school": "21:00", "busy_hours": busy})
    )
    found = windows.offered(thread, POLICY, datetime(2025, 3, 3, 15, tzinfo=UTC))
    assert len({(w.day.weekday(), w.start) for w in found}) == 4
    assert list(found) == sorted(found, key=lambda w: (w.day, w.start))


# ------------------------------------------------------------------ days and nights


def test_hours_over_midnight_reach_into_the_next_morning():
    family = profile.parse({**FAMILY_2, "busy_hours": {"tue": ["22:00-11:00"]}})
    assert not windows.is_open(family, POLICY, local("2025-06-18T10:59"))
    assert windows.is_open(family, POLICY, local("2025-06-18T11:00"))
    assert windows.is_open(family, POLICY, local("2025-06-19T10:00"))


@pytest.mark.parametrize(
    ("day", "expected"), [("2025-06-19", True), ("2025-06-20", False), ("2025-06-21", False), ("2025-06-22", True)]
)
def test_friday_and_saturday_are_free_nights(day, expected):
    assert calendar.is_school_night(local(day).date()) is expected


@pytest.mark.parametrize(("role", "weekday", "weekend"), [("resident", True, False), ("other_parent", False, True)])
def test_on_alternate_weekends_the_child_lives_with_the_resident_parent_in_the_week(role, weekday, weekend):
    custody = {"pattern": "alternate_weekends", "anchor_date": "2025-06-20" if role == "other_parent" else "2025-06-27"}
    family = profile.parse({**FAMILY_2, "role": role, "custody": custody})
    assert calendar.child_is_here(family, local("2025-06-18").date()) is weekday
    assert calendar.child_is_here(family, local("2025-06-21").date()) is weekend


def test_an_early_dinner_does_not_open_a_window_before_school_is_over():
    family = thread_of({**FAMILY_2, "dinner_time": "14:00", "school_hours": "08:00-16:00"})
    found = windows.calm_windows(family, POLICY, local("2025-06-18").date())
    assert [w.start for w in found] == [16 * 60 + 45]
