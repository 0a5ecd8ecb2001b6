"""The core counts in whole minutes: what it is asked at any second of a minute has one answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schedules import answers, entry, lifecycle, localtime, plan, policy, run, standing
from schedules.values import Hold, Send, Thread
from tests.core.streams import DATES, FAMILIES, KEYS, NO_CRISIS
from tests.core.timelines import LIBRARY, thread_of

POLICY = policy.DEFAULT
SECONDS = st.floats(0, 59.999).map(lambda seconds: timedelta(seconds=round(seconds, 3)))
TEXTS = ("1", "2", "3", "1 2", "READY", "LATER", "LESS", "HARD", "PAUSE 3", "IDEA")
CHECK = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
START = localtime.minute(datetime.fromisoformat("2025-03-03T15:00:00+00:00"))


@cache
def threads(name: str, keys: tuple[str, ...]) -> tuple[tuple[Thread, datetime], ...]:
    """The thread of a silent family before each look of two months, with the minute of the look."""
    data, dates = FAMILIES[name]
    thread = thread_of(data, dates)
    for n, key in enumerate(keys):
        if entry.refusal(LIBRARY.sequences[key], thread, POLICY, START) is None:
            thread = lifecycle.enroll(thread, LIBRARY.sequences[key], enrollment_id=str(n), now=START, policy=POLICY)
    found, at = [], START
    while at is not None and at < START + timedelta(days=60):
        found.append((thread, at))
        look = run.until_wait(thread, POLICY, at, library=LIBRARY.sequences, new_id=lambda key: f"next {key}")
        thread, at = look.thread, look.look.at and localtime.minute(look.look.at)
    return tuple(found)


@st.composite
def reached(draw: st.DrawFn) -> tuple[Thread, datetime]:
    found = threads(draw(st.sampled_from(sorted(FAMILIES))), draw(st.sampled_from(KEYS)))
    return draw(st.sampled_from(found)) if found else (thread_of(FAMILIES["plain"][0]), START)


def at_second(at: datetime, by: timedelta):
    """The door of the core, some seconds into a minute."""
    return localtime.minute(at + by)


@CHECK
@given(reached(), SECONDS)
def test_what_is_decided_and_planned_is_the_same_at_any_second_of_a_minute(known, by):
    thread, at = known
    now, late = localtime.minute(at), at_second(at, by)
    assert now == late
    assert plan.decide(thread, POLICY, now) == plan.decide(thread, POLICY, late)
    assert plan.look(thread, POLICY, now) == plan.look(thread, POLICY, late)
    assert plan.noted(thread, POLICY, now) == plan.noted(thread, POLICY, late)
    assert standing.standing(thread, POLICY, now) == standing.standing(thread, POLICY, late)
    assert run.forecast(thread, POLICY, now, count=2) == run.forecast(thread, POLICY, late, count=2)


@CHECK
@given(reached(), SECONDS, st.sampled_from(TEXTS))
def test_what_an_answer_a_pause_or_a_hold_does_is_the_same_at_any_second_of_a_minute(known, by, text):
    thread, at = known
    now, late = localtime.minute(at), at_second(at, by)
    library = LIBRARY.sequences
    assert answers.apply(thread, text, POLICY, now, library=library) == answers.apply(
        thread, text, POLICY, late, library=library
    )
    assert lifecycle.pause(thread, None, now) == lifecycle.pause(thread, None, late)
    held = replace(thread, holds=(Hold(kind="crisis", since=START),))
    for path in (lifecycle.Path.RESUME, lifecycle.Path.FINISH):
        assert lifecycle.released(held, path, now, POLICY, since=START) == lifecycle.released(
            held, path, late, POLICY, since=START
        )
    for sequence in library.values():
        assert entry.refusal(sequence, thread, POLICY, now) == entry.refusal(sequence, thread, POLICY, late)


@CHECK
@given(reached(), st.integers(0, 9))
def test_a_text_that_may_go_at_its_mark_may_go_in_the_nine_minutes_after_it(known, minutes):
    """A moment lasts ten minutes at least: the same text goes, and what follows counts from its mark."""
    thread, at = known
    thread, _ = plan.noted(thread, POLICY, localtime.minute(at))
    first = plan.decide(thread, POLICY, localtime.minute(at))
    late = plan.decide(thread, POLICY, localtime.minute(at + timedelta(minutes=minutes, seconds=59)))
    if isinstance(first, Send):
        assert isinstance(late, Send)
        assert (late.step.id, late.cycle, late.mark) == (first.step.id, first.cycle, first.mark)


def test_every_second_has_its_minute_and_the_streams_dates_stand_on_minutes():
    for dates in (DATES, NO_CRISIS):
        assert all(key.at == localtime.minute(key.at) for key in thread_of(FAMILIES["plain"][0], dates).key_dates)
    odd = datetime.fromisoformat("2025-03-03T15:00:59.999999+00:00")
    assert localtime.minute(odd) == START
