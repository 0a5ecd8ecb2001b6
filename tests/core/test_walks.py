"""Each sequence walked along its answers: every question and every digit is reached, and no way ends in silence."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from schedules import script
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
OPEN = {"BREAK", "REMIND"}  # these last as long as there are dates, or until staff end them


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
    return events(FAMILY, [key], days=240, dates=dates, acts=answers(seed, always))


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


@pytest.fixture(scope="module")
def walks():
    """Random walks of each sequence, and for each digit that they miss one that comes to it."""
    found = {key: [walk(key, seed) for seed in range(WALKS)] for key in LIBRARY.sequences}
    reached = set().union(*(told(one) for all_of in found.values() for one in all_of))
    for pair in sorted(PAIRS - reached):
        key = OWNERS[pair[0]]
        for seed in () if pair in reached else range(WALKS, MOST_TRIES):
            one = walk(key, seed, pair)
            if pair in told(one):
                found[key].append(one)
                reached |= told(one)
                break
    return found


def test_every_digit_of_every_question_is_reached(walks):
    reached = set().union(*(told(found) for all_of in walks.values() for found in all_of))
    assert reached >= PAIRS


def test_every_step_is_sent_on_some_walk(walks):
    seen = {event.get("step") for all_of in walks.values() for found in all_of for event in found}
    assert set(OWNERS) - seen == set()


@pytest.mark.parametrize("key", LIBRARY.sequences)
def test_no_walk_ends_in_a_sequence_that_neither_ends_nor_waits_for_anybody(walks, key):
    for seed, found in enumerate(walks[key]):
        running = set()
        for event in found:
            if event.get("state") == "started":
                running.add(event["sequence"])
            if event.get("state") == "ended":
                running.discard(event["sequence"])
        rests = [e for e in found if e["event"] == "hold" or e.get("state") in ("paused", "opted_out")]
        needs_date = {e["sequence"] for e in found if e["event"] == "staff" and "waits for a date" in e["reason"]}
        late = [e["sequence"] for e in found if e.get("state") == "started" and e["at"] > "2025-04-25"]
        stuck = running - OPEN - needs_date - set(late)
        assert rests or not stuck, (seed, stuck)
