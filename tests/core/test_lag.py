"""However late each look comes, the same texts go in the same order, each at its mark or one lag later."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.streams import FAMILIES, KEYS, answering, stream

LAGS = (0.003, 1, 59, 300)


def signature(found):
    """What happened, in order: texts, what was given up and why, what began and ended, what people were told."""
    return [
        (e["event"], e.get("sequence"), e.get("step"), e.get("state"), e.get("code") if e["event"] != "send" else None)
        for e in found
        if e["event"] in ("send", "drop", "expire", "state", "staff") and "reply_to" not in e
    ]


def sent_at(found):
    return [datetime.fromisoformat(e["at"]) for e in found if e["event"] == "send" and "reply_to" not in e]


def agrees(base, other, lag):
    """The late calendar is the punctual one, some seconds later."""
    one, two = signature(base), signature(other)
    differs = next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    assert one == two, (lag, differs, one[differs : differs + 2], two[differs : differs + 2])
    for at, late in zip(sent_at(base), sent_at(other), strict=True):
        apart = (late - at).total_seconds()
        assert abs(apart) < 0.002 or abs(apart - lag) < 0.002, (lag, at.isoformat(), late.isoformat())
    assert base[-1]["state"] == other[-1]["state"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_late_look_changes_nothing_but_the_second(name):
    """Every shipped sequence and the usual ones together, in silence; each in three of the families."""
    data, dates = FAMILIES[name]
    place = list(FAMILIES).index(name)
    for n, keys in enumerate(KEYS):
        if n % 4 == place % 4:
            base = stream(data, dates, keys)
            for lag in {300, LAGS[(n + place // 4) % len(LAGS)]}:
                agrees(base, stream(data, dates, keys, lag=lag), lag)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(FAMILIES)),
    st.sampled_from(KEYS),
    st.sampled_from(LAGS),
    st.integers(0, 50),
    st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 1)),
)
def test_a_late_look_changes_nothing_for_parents_who_answer(name, keys, lag, seed, start):
    """Answers come some time after a text's mark, or after the late look that sent it."""
    data, dates = FAMILIES[name]
    moved = start.strftime("%Y-%m-%dT%H:%M")
    base = stream(data, dates, keys, acts=answering(seed), start=moved)
    agrees(base, stream(data, dates, keys, acts=answering(seed), start=moved, lag=lag), lag)


def test_a_moment_that_has_begun_is_used_until_its_last_minute_and_not_longer():
    """A talk of 18:05 may still go at 18:14:59; at 18:15 dinner's quiet begins, and it is planned anew."""
    family = {"timezone": "America/Chicago", "dinner_time": "18:30", "busy_hours": {"mon-fri": ["09:00-17:30"]}}
    in_time = stream(family, {}, ("TALK",), lag=9 * 60 + 59, days=14)
    late = stream(family, {}, ("TALK",), lag=10 * 60, days=14)

    def talks(found):
        return [(e["event"], e["local"][5:16]) for e in found if e.get("step") == "TK-4"]

    assert talks(in_time)[0] == ("send", "03-14T18:14")
    assert talks(late)[0][0] in ("expire", "drop")
