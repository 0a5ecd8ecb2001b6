"""The rota by the wall clock: nights over midnight and clock changes, exceptions on top, gaps between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nudges.alerts import rota
from nudges.models.on_call import RotaOverride, RotaShift

ZONE = "America/Chicago"
ANA, BEN, CAL = 1, 2, 3


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shift(weekday, start, end, staff_id=ANA, role="first"):
    return RotaShift(role=role, weekday=weekday, start_minute=start * 60, end_minute=end * 60, staff_id=staff_id)


def exception(number, start, end, staff_id, cancelled_at=None):
    return RotaOverride(
        id=number, role="first", starts_at=at(start), ends_at=at(end), staff_id=staff_id, cancelled_at=cancelled_at
    )


def turns(pattern, overrides=(), *, since, until):
    found = rota.turns("first", pattern, overrides, zone=ZONE, since=at(since), until=at(until))
    return [(f"{turn.starts_at:%d %H:%M}", f"{turn.ends_at:%d %H:%M}", turn.staff_id) for turn in found]


EVERY_NIGHT = [shift(day, 17, 8) for day in range(7)]
ALWAYS = [shift(day, 8, 17, BEN) for day in range(7)] + EVERY_NIGHT


@pytest.mark.parametrize(
    ("night", "hours"),
    [
        pytest.param("2025-03-04T20:00", 15, id="an ordinary night"),
        pytest.param("2025-03-09T02:00", 14, id="the night that loses an hour"),
        pytest.param("2025-11-02T02:00", 16, id="the night that has one more"),
    ],
)
def test_a_night_starts_and_ends_by_the_wall_clock(night, hours):
    (turn,) = [
        turn
        for turn in rota.turns(
            "first", EVERY_NIGHT, (), zone=ZONE, since=at(night), until=at(night) + timedelta(hours=14)
        )
        if turn.staff_id and turn.covers(at(night) + timedelta(hours=4))
    ]
    assert turn.ends_at - turn.starts_at == timedelta(hours=hours)


@pytest.mark.parametrize("month", ["2025-03", "2025-11"])
def test_a_rota_without_gaps_has_none_in_the_month_of_a_clock_change(month):
    found = rota.turns("first", ALWAYS, (), zone=ZONE, since=at(f"{month}-01T00:00"), until=at(f"{month}-28T00:00"))
    assert all(turn.staff_id is not None for turn in found)
    assert all(before.ends_at == after.starts_at for before, after in zip(found, found[1:], strict=False))


def test_a_turn_in_the_hour_that_does_not_exist_begins_when_it_is_over():
    (turn, *_) = rota.turns(
        "first", [shift(6, 2, 10)], (), zone=ZONE, since=at("2025-03-09T08:00"), until=at("2025-03-09T12:00")
    )
    assert turn.starts_at == at("2025-03-09T08:00")  # 03:00 daylight time: 02:00 to 03:00 was skipped


def test_a_turn_that_has_begun_is_whole_and_gaps_are_cut():
    found = turns([shift(1, 8, 17)], since="2025-03-04T18:00", until="2025-03-05T12:00")
    assert found == [("04 14:00", "04 23:00", ANA), ("04 23:00", "05 12:00", None)]


def test_an_exception_takes_its_stretch_and_leaves_the_rest():
    found = turns(
        [shift(1, 8, 17)],
        [exception(1, "2025-03-04T16:00", "2025-03-04T18:00", BEN)],
        since="2025-03-04T14:00",
        until="2025-03-04T23:00",
    )
    assert found == [("04 14:00", "04 16:00", ANA), ("04 16:00", "04 18:00", BEN), ("04 18:00", "04 23:00", ANA)]


def test_the_newest_exception_wins_and_a_cancelled_one_counts_no_more():
    first = exception(1, "2025-03-04T14:00", "2025-03-04T23:00", BEN)
    second = exception(2, "2025-03-04T14:00", "2025-03-04T23:00", CAL)
    window = {"since": "2025-03-04T14:00", "until": "2025-03-04T23:00"}
    assert turns([shift(1, 8, 17)], [second, first], **window) == [("04 14:00", "04 23:00", CAL)]
    second.cancelled_at = at("2025-03-01T00:00")
    assert turns([shift(1, 8, 17)], [second, first], **window) == [("04 14:00", "04 23:00", BEN)]


def test_an_exception_may_say_that_nobody_is_on_call():
    holiday = exception(1, "2025-03-04T16:00", "2025-03-04T18:00", None)
    found = turns([shift(1, 8, 17)], [holiday], since="2025-03-04T14:00", until="2025-03-04T23:00")
    assert found[1] == ("04 16:00", "04 18:00", None)


def test_of_two_overlapping_turns_the_later_one_counts():
    found = turns([shift(1, 8, 17), shift(1, 12, 20, BEN)], since="2025-03-04T14:00", until="2025-03-05T01:30")
    assert found == [("04 14:00", "04 18:00", ANA), ("04 18:00", "05 02:00", BEN)]


def test_two_nights_of_one_person_are_two_turns():
    found = turns([shift(day, 8, 8) for day in range(7)], since="2025-03-04T20:00", until="2025-03-05T20:00")
    assert [turn[2] for turn in found] == [ANA, ANA]


def test_an_empty_rota_is_one_gap():
    assert turns([], since="2025-03-04T14:00", until="2025-03-05T14:00") == [("04 14:00", "05 14:00", None)]
