"""The library is whole: no idea is lost, every step and answer can be reached, every answer does something."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from schedules import catalog, reader, segments
from schedules.lint import one_text
from schedules.lint.options import options
from schedules.lint.passages import FORMS, Passage, passages
from schedules.nodes import compose
from schedules.render import placeholders
from schedules.values import Anchor, Budget, Effect, Kind, Sequence, Slot, Step

ROOT = Path(__file__).parents[2]
LIBRARY = catalog.load_library()


@cache
def seed_ids() -> dict[str, set[str]]:
    written = yaml.safe_load((ROOT / "tests" / "data" / "seed_ids.yaml").read_text(encoding="utf-8"))
    return {name: set(ids) for name, ids in written.items()}


@cache
def faq() -> list[dict[str, Any]]:
    path = catalog.LIBRARY / "faq.yaml"
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)["faq"]


def all_passages() -> list[tuple[str, Passage]]:
    found = []
    for path in sorted(catalog.LIBRARY.glob("*.yaml")):
        root = compose(path.read_text(encoding="utf-8"))
        assert root is not None
        found += [(f"{path.name}:{passage.where}", passage) for passage in passages(root)]
    return found


PASSAGES = all_passages()
EVERY = pytest.mark.parametrize("passage", [p for _, p in PASSAGES], ids=[name for name, _ in PASSAGES])


def effects_of(step: Step) -> list[Effect]:
    answers = [
        effect for answer in step.answers.values() for effect in (*answer.then, *answer.twice, *answer.if_ordered)
    ]
    others = [effect for then in (*step.words.values(), *step.refusals.values()) for effect in then]
    return [*answers, *others, *step.then]


def steps() -> list[tuple[Sequence, Step]]:
    return [(sequence, step) for sequence in LIBRARY.sequences.values() for step in sequence.steps]


def arguments(pattern: str) -> set[str]:
    """What all effects of the library name that looks like `pattern`."""
    everything = [effect for _, step in steps() for effect in effects_of(step)]
    everything += [effect for sequence in LIBRARY.sequences.values() for effect in sequence.if_worse_twice]
    return {arg for effect in everything for arg in effect.args if re.fullmatch(pattern, arg)}


# ------------------------------------------------------------------ nothing is lost


def test_every_idea_of_the_sources_is_carried_by_a_text() -> None:
    carried = {seed for _, step in steps() for seed in step.seeds} | {seed for row in faq() for seed in row["seeds"]}
    assert seed_ids()["sent"] - carried == set()
    assert carried - seed_ids()["sent"] - seed_ids()["kept"] == set()


def test_the_list_of_ideas_is_whole() -> None:
    assert {name: len(ids) for name, ids in seed_ids().items()} == {"sent": 143, "kept": 8}


# ------------------------------------------------------------------ everything can be reached


def leads(sequence: Sequence) -> dict[str, set[str]]:
    """Step → steps of the same sequence that it can lead to, by its effects or because they count from it."""
    known = {step.id for step in sequence.steps}
    found = {step.id: {arg for e in effects_of(step) for arg in e.args} & known for step in sequence.steps}
    for step in sequence.steps:
        for moment in step.when:
            if moment.step in known:
                found[moment.step].add(step.id)
    return found


def begins(step: Step) -> bool:
    """Due by itself: from enrollment, a date, a session, the gate, or at once when its sequence begins."""
    return any(w.step is None and (w.anchor is not Anchor.ANSWER or w.slot is Slot.AT_ONCE) for w in step.when)


@pytest.mark.parametrize("key", LIBRARY.sequences)
def test_every_step_can_be_reached(key: str) -> None:
    sequence = LIBRARY.sequences[key]
    reached = {step.id for step in sequence.steps if begins(step)} | arguments(r"[A-Z]{2}-[A-Z0-9]+")
    edges = leads(sequence)
    frontier = reached & set(edges)
    while frontier:
        frontier = {target for step in frontier for target in edges[step]} - reached
        reached |= frontier
    assert {step.id for step in sequence.steps} - reached == set()


@pytest.mark.parametrize("key", LIBRARY.sequences)
def test_every_sequence_can_begin(key: str) -> None:
    by_people = {"self", "staff", "clinician"} & set(LIBRARY.sequences[key].enrolled_by)
    assert by_people or key in arguments(r"[A-Z]{3,12}")


def test_every_step_sequence_and_answer_that_an_effect_names_is_there() -> None:
    ids = {step.id for _, step in steps()}
    assert arguments(r"[A-Z]{2}-[A-Z0-9]+") - ids == set()
    assert arguments(r"[A-Z]{3,12}") - set(LIBRARY.sequences) == set()
    assert arguments(r"FAQ-\d\d") - {row["id"] for row in faq()} == set()


def test_every_answer_to_a_question_has_a_trigger_of_its_own_in_both_languages() -> None:
    for lang in ("en", "es"):
        owners: dict[str, set[str]] = {}
        for row in faq():
            for trigger in row["triggers"][lang]:
                owners.setdefault(trigger, set()).add(row["id"])
        alone = {next(iter(ids)) for ids in owners.values() if len(ids) == 1}
        assert {row["id"] for row in faq()} - alone == set()


def test_every_variant_fits_a_family_that_no_earlier_one_takes() -> None:
    for _, step in steps():
        seen: list[dict[str, str]] = []
        for variant in step.variants:
            applies = dict(variant.applies_to)
            shadows = [earlier for earlier in seen if earlier.items() <= applies.items()]
            assert not shadows, f"{step.id}: {applies} is never read, {shadows[0]} comes first"
            seen.append(applies)


# ------------------------------------------------------------------ talks and what comes again


def talks() -> list[Step]:
    return [step for _, step in steps() if step.kind is Kind.TALK]


@pytest.mark.parametrize("talk", [t for t in talks() if t.windows_shown], ids=lambda talk: talk.id)
def test_a_talk_offers_two_hours_and_not_this_week(talk: Step) -> None:
    verbs = {digit: [effect.verb for effect in answer.then] for digit, answer in talk.answers.items()}
    assert verbs == {"1": ["next"], "2": ["to_choice"], "3": ["not_this_week"]}
    assert all(answer.reply for answer in talk.answers.values())
    texts = [talk.texts, *talk.repeats, *(variant.texts for variant in talk.variants)]
    assert {placeholders(form) for text in texts if text for form in (text.en, text.es)} == {frozenset(("w1", "w2"))}


def test_only_the_test_of_two_visits_asks_something_else() -> None:
    assert [talk.id for talk in talks() if not talk.windows_shown] == ["CH-6"]


def test_a_talk_and_its_closing_question_have_words_for_another_try() -> None:
    closing = [step for _, step in steps() if step.closes_talk]
    assert [step.id for step in (*talks(), *closing) if not step.repeats] == []


def test_no_words_are_said_more_than_three_times_a_year() -> None:
    for sequence, step in steps():
        for when in step.when:
            if when.every_days and sequence.budget_of(step) is Budget.COMFORT and step.kind in (Kind.CHECKIN, Kind.TIP):
                days = min(sequence.lasts_days or 365, 365)
                sendings = (days - when.offset_days) // when.every_days + 1
                assert sendings <= 3 * (1 + len(step.repeats)), step.id


def test_all_wordings_of_a_step_differ() -> None:
    for _, step in steps():
        said = [text.en for text in (step.texts, *step.repeats) if text]
        assert len(set(said)) == len(said), step.id


# ------------------------------------------------------------------ everything does something


def test_every_answer_has_an_effect_and_every_effect_is_understood() -> None:
    for _, step in steps():
        for answer in step.answers.values():
            assert answer.means and answer.then, f"{step.id} answer {answer.digit}"
            assert all(effect.verb for effect in answer.then)


# Effects that send a text of their own at once, or one of the service's that fits (REPAIR's, a date, an apology).
SPEAKS = {"ask_date", "faq", "reply", "ask", "crisis", "judge", "cool"}


def speaks(effect: Effect) -> bool:
    return effect.verb in SPEAKS or (effect.verb, effect.args[:1]) == ("start", ("REPAIR",))


def test_every_answer_is_answered_in_words_that_fit_it() -> None:
    silent = [
        f"{step.id}.{answer.digit}"
        for _, step in steps()
        for answer in step.answers.values()
        if answer.reply is None and not any(speaks(effect) for effect in answer.then)
    ]
    assert silent == []


@EVERY
def test_four_texts_with_the_same_placeholders_and_digits(passage: Passage) -> None:
    texts = [passage.form(form) for form in FORMS]
    assert all(texts)
    assert len({placeholders(text) for text in texts}) == 1
    assert len({tuple(options(text)) for text in texts}) == 1


@EVERY
def test_no_text_takes_more_than_two_parts(passage: Passage) -> None:
    costs = [segments.count(one_text.filled(passage.form(form), form.removeprefix("discreet_"))) for form in FORMS]
    assert max(cost.parts for cost in costs) <= 2


def test_the_longest_idea_is_within_the_room_that_is_kept_for_it() -> None:
    longest = max(len(getattr(idea.texts, form)) for idea in LIBRARY.ideas for form in FORMS)
    assert longest <= len(reader.WORST_CASE["idea"])


def test_all_sixteen_sequences_are_there():
    keys = (
        "ONBOARD TALK REPAIR DEMYST CHOICE DRIVE MATCH ALT PATIENCE BREAK RECONNECT AFTERCRISIS CARE RESOURCE "
        "OPENDOOR REMIND"
    )
    assert set(LIBRARY.sequences) == set(keys.split())


def test_there_are_at_least_six_ideas_in_each_of_five_families():
    families = [idea.family for idea in LIBRARY.ideas]
    assert {family for family in families if families.count(family) >= 6} == {1, 2, 3, 4, 5}
