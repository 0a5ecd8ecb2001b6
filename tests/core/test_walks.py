"""Each sequence walked along its answers: every question and every digit is reached, and no way ends in silence."""

from __future__ import annotations

import random
from datetime import timedelta
from functools import cache

import pytest

from schedules import script, standing
from tests.core.timelines import FAMILY_1, LIBRARY, events

FAMILY = {**FAMILY_1, "busy_hours": {}, "custody": "every_day", "second_reminder": "true"}
DATES = {
    "session": [f"2025-03-{day}T16:00" for day in (13, 20, 27)] + [f"2025-04-{day:02}T16:00" for day in (3, 10, 17)],
    "break_start": "2025-03-03",
    "crisis_report": "2025-03-02T12:00",
    "visit": "2025-03-20T09:00",
    "consult": "2025-03-14T15:00",
    "next_review": "2025-05-01",
}
WALKS = 4
MOST_TRIES = 30


def answers(seed, always=()):
    """A script that answers every question each time, with digits that differ from walk to walk.

    `always` is a step and the digit that it gets on every walk.
    """
    chosen = random.Random(seed)
    steps = [step for sequence in LIBRARY.sequences.values() for step in sequence.steps if step.answers]
    asked = [(step, nth) for step in steps for nth in range(1, 9)]
    return tuple(
        script.Act(
            order=order,
            on=step.id,
            nth=nth,
            after=timedelta(hours=1),
            text=always[1] if step.id in always else chosen.choice(sorted(step.answers)),
        )
        for order, (step, nth) in enumerate(asked)
    )


def walk(key, seed, always=()):
    # The drive of a family whose crisis is past; the others have no report at all.
    dates = {kind: at for kind, at in DATES.items() if kind != "crisis_report" or key == "AFTERCRISIS"}
    if key == "MATCH":  # it begins about the third visit
        dates["session"] = [f"2025-{day}T16:00" for day in ("02-20", "02-27", "03-06", "03-13", "03-20", "03-27")]
    family = {**FAMILY, "profile": "firm"} if seed % 2 else FAMILY  # under an order some answers lead elsewhere
    days = 190 if key == "OPENDOOR" else 130
    return events(family, [key], days=days, dates=dates, acts=answers(seed, always))


def told(found):
    """(step, digit) of each answer in a walk: the answer follows the last question that was asked."""
    asked, pairs = None, set()
    for event in found:
        if event["event"] == "send" and LIBRARY_STEPS.get(event.get("step")):
            asked = event["step"]
        if event["event"] == "in" and asked is not None and event["text"] in LIBRARY_STEPS[asked]:
            pairs.add((asked, event["text"]))
    return pairs


LIBRARY_STEPS = {
    step.id: set(step.answers) for sequence in LIBRARY.sequences.values() for step in sequence.steps if step.answers
}


OWNERS = {step.id: key for key, sequence in LIBRARY.sequences.items() for step in sequence.steps}
PAIRS = {(step, digit) for step, digits in LIBRARY_STEPS.items() for digit in digits}


@cache
def walks_of(key):
    return [walk(key, seed) for seed in range(WALKS)]


def walks():
    """Random walks of each sequence, and for each digit that they miss one that comes to it."""
    found = [one for key in LIBRARY.sequences for one in walks_of(key)]
    reached = set().union(*(told(one) for one in found))
    for pair in sorted(PAIRS - reached):
        for seed in () if pair in reached else range(WALKS, MOST_TRIES):
            one = walk(OWNERS[pair[0]], seed, pair)
            if pair in told(one):
                found.append(one)
                reached |= told(one)
                break
    return found, reached


def test_every_digit_of_every_question_is_reached_and_every_step_is_sent():
    found, reached = walks()
    assert reached >= PAIRS
    assert set(OWNERS) - {event.get("step") for one in found for event in one} == set()


@pytest.mark.parametrize("key", LIBRARY.sequences)
def test_no_walk_ends_without_a_next_thing(key):
    """What runs on waits for a text, a date or a person; what has ended was followed by another, or by a goodbye."""
    for seed, found in enumerate(walks_of(key)):
        last = found[-1]
        assert last["event"] == "standing" and last["state"] in standing.STATES, (seed, last)
        assert (last["state"] == "planned") is (last["next"] is not None), (seed, last)
        assert last["state"] == "planned" or last["owner"], (seed, last)
