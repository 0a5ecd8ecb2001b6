"""Both clock changes of a year: steps counted back and forward, pauses and holds stay on the wall clock."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest

from schedules import agenda, lifecycle, localtime, plan, policy
from schedules.values import Anchor
from tests.core.streams import OPEN, stream
from tests.core.timelines import LIBRARY, sends, thread_of

POLICY = policy.DEFAULT
ZONES = (
    "America/Chicago",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Europe/Dublin",
    "America/Phoenix",
    "Asia/Kolkata",
)
# Some days before a change in each of the zones, or in none.
STARTS = ("2025-03-06", "2025-03-27", "2025-04-03", "2025-10-02", "2025-10-23", "2025-10-30")
WALLS = (time(0, 30), time(1, 45), time(2, 15), time(10, 0), time(23, 50))


def local(at, zone):
    return localtime.local(at, zone).replace(tzinfo=None)


def tips(found):
    return [e["local"][11:16] for e in found if e["event"] == "send" and e.get("kind") == "tip"]


@pytest.mark.parametrize("zone", ZONES)
def test_steps_counted_back_from_the_one_that_is_started_at_stay_on_their_dates(zone):
    """ "Start at TK-2": its distance to TK-1 is counted back on the wall clock, also from half past midnight."""
    sequence = LIBRARY.sequences["TALK"]
    day_of = {s.id: s.when[0].offset_days for s in sequence.steps if s.when and s.when[0].anchor is Anchor.ENROLLED}
    for start in STARTS:
        for wall in WALLS:
            now = localtime.minute(localtime.to_utc(date.fromisoformat(start), wall, zone))
            thread = thread_of({"timezone": zone, **OPEN})
            begun = agenda.start(
                sequence, enrollment_id="1", now=now, policy=POLICY, zone=zone, at_step="TK-2", only=False
            )
            assert thread.profile.timezone == zone
            for pending in begun.agenda:
                if pending.base is None or pending.step not in day_of:
                    continue
                expected = local(now, zone) - timedelta(days=day_of["TK-2"])
                at = local(pending.base, zone)
                assert at == expected or _in_a_gap(expected, zone), (start, wall, pending.step)


def _in_a_gap(wall, zone):
    at = localtime.to_utc(wall.date(), wall.time(), zone)
    return local(at, zone) != wall


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("wall", ["00:30", "09:00"])
def test_tips_of_ten_o_clock_stay_at_ten_over_every_change(zone, wall):
    for start in STARTS:
        found = stream({"timezone": zone, **OPEN}, {}, ("TALK",), start=f"{start}T{wall}", days=9)
        assert tips(found) == ["10:00"] * 3, (zone, start)
        first = datetime.fromisoformat(next(e["local"] for e in found if e["event"] == "send")).date()
        assert first == date.fromisoformat(start) + timedelta(days=1)


@pytest.mark.parametrize("zone", ZONES)
def test_a_pause_over_a_change_moves_the_plan_by_whole_days(zone):
    for start in STARTS:
        day = date.fromisoformat(start) + timedelta(days=2)
        acts = f"[{{at: {day}T12:00, text: PAUSE 1}}]"
        found = stream({"timezone": zone, **OPEN}, {}, ("TALK",), start=f"{start}T09:00", days=20, acts=acts)
        assert tips(found) == ["10:00"] * 3, (zone, start)


@pytest.mark.parametrize("zone", ZONES)
def test_a_hold_over_a_change_moves_the_plan_and_keeps_the_hour(zone):
    for start in STARTS:
        day = date.fromisoformat(start) + timedelta(days=2)
        acts = f"[{{at: {day}T12:00, text: she wants to die}}, {{at: {day + timedelta(days=7)}T12:00, staff: release}}]"
        found = stream({"timezone": zone, **OPEN}, {}, ("TALK",), start=f"{start}T09:00", days=20, acts=acts)
        assert tips(found) == ["10:00"] * 3, (zone, start)


@pytest.mark.parametrize("zone", ZONES)
def test_a_rest_moves_an_enrollment_by_wall_time_whatever_the_clocks_do(zone):
    for start in STARTS:
        begun = localtime.minute(localtime.to_utc(date.fromisoformat(start), time(0, 30), zone))
        thread = lifecycle.enroll(
            thread_of({"timezone": zone, **OPEN}),
            LIBRARY.sequences["TALK"],
            enrollment_id="1",
            now=begun,
            policy=POLICY,
        )
        back = localtime.minute(localtime.plus_wall(begun, zone, days=7))
        after = lifecycle.resume(lifecycle.pause(thread, None, begun), back, POLICY).enrollments[0]
        assert local(after.started_at, zone) == local(begun, zone) + timedelta(days=7)


def test_a_session_that_moves_over_a_change_is_reminded_two_days_before_at_its_hour():
    family = {"timezone": "America/Chicago", **OPEN}
    for session in ("2025-03-10T10:00", "2025-11-03T10:00"):
        start = (datetime.fromisoformat(session) - timedelta(days=6)).strftime("%Y-%m-%dT09:00")
        found = stream(family, {"session": [session]}, ("REMIND",), start=start, days=7)
        day = datetime.fromisoformat(session) - timedelta(days=2)
        assert sends(found) == [f"RM-1 {day.strftime('%a %m-%d')} 10:00"]


def test_a_look_in_the_hour_that_comes_twice_decides_once():
    """01:30 comes twice on the second of November: a talk gap that ends there ends at its first one, for good."""
    zone = "America/Chicago"
    once = localtime.minute(localtime.to_utc(date(2025, 11, 2), time(1, 30), zone))
    again = localtime.minute(once + timedelta(hours=1))
    thread = lifecycle.enroll(
        thread_of({"timezone": zone, **OPEN}),
        LIBRARY.sequences["TALK"],
        enrollment_id="1",
        now=localtime.minute(once - timedelta(days=2)),
        policy=POLICY,
    )
    assert local(once, zone) == local(again, zone)
    assert plan.look(thread, POLICY, once).next == plan.look(thread, POLICY, again).next
