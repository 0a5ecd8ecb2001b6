"""Phrases of an installation: how they are read, what they do to a text, and what they can never do."""

from __future__ import annotations

import pytest

from nudges.crisis import edition, phrases, rulebook
from nudges.crisis.edition import EditionError, build
from nudges.crisis.phrases import Phrase, PhraseError
from nudges.crisis.screen import core_version, screen
from nudges.crisis.values import Level, Suppression, Tier

BOOK = rulebook.load()


def an_edition(**own: object) -> edition.Edition:
    """One phrase, p1."""
    return build(1, {"phrase:p1": {"kind": "crisis", "tier": "suicide_selfharm", **own}})


@pytest.mark.parametrize(
    ("words", "source"),
    [
        ("[child] off the pier", "@child off the pier"),
        ("[child] [any 3] pier/bridge", "@child ..3 pier|bridge"),
        ("[Child]  [ANY]   pier", "@child ..3 pier"),
        ("can't wake him", "can_not wake him"),
        ("[a lot] cloro", "@lots cloro"),
        ("jumped[any 2]pier", "jumped ..2 pier"),
    ],
)  # fmt: skip
def test_words_and_slots_become_a_pattern_of_the_grammar(words: str, source: str) -> None:
    phrase = Phrase(kind="crisis", words=words, tier=Tier.SUICIDE_SELFHARM)
    assert phrases.compiled(phrase, BOOK.fold, BOOK.classes).source == source


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("[chld] pier", "There is no slot [chld]"),
        ("[any 9] pier", "[any 1] to [any 6]"),
        ("[any 3]", "at least one word or slot"),
        ("[any 3] pier", "Begin and end with a word"),
        ("[child pier", "not closed"),
        ("x" * 201, "at most 200"),
        ("a b c d e f g h i j k l m n o", "at most 14"),
        ("… pier", "no letter"),
    ],
)  # fmt: skip
def test_a_phrase_that_cannot_be_read_says_what_to_mend(words: str, said: str) -> None:
    with pytest.raises(PhraseError) as refused:
        phrases.parts_of(Phrase(kind="crisis", words=words), BOOK.fold)
    assert refused.value.faults[0][0] == "words"
    assert said in refused.value.faults[0][1]


def test_every_slot_names_classes_that_there_are() -> None:
    assert all(name in BOOK.classes for names in phrases.SLOTS.values() for name in names)
    assert phrases.EMPTY_SLOTS <= phrases.SLOTS.keys()


def test_a_phrase_survives_being_stored() -> None:
    phrase = Phrase(kind="check", words="[child] pier", tier=Tier.ABUSE_DV, must=("a", "b"), must_not=("c", "d"))
    assert phrases.from_json(phrases.to_json(phrase)) == phrase


def test_an_added_phrase_is_a_crisis_of_its_own_topic_whatever_the_model_thinks() -> None:
    text = "the red violin lay on the porch"
    assert screen(text).level is Level.ORDINARY
    found = screen(text, by=an_edition(words="violin [any 3] porch"))
    assert (found.level, found.tier, found.severity) == (Level.CRISIS, Tier.SUICIDE_SELFHARM, 3)
    assert "“violin lay on the porch” (p1)" in found.why


def test_an_added_check_asks_and_does_not_page_at_once() -> None:
    found = screen(
        "the red violin lay on the porch", by=an_edition(kind="check", tier=None, words="violin [any 3] porch")
    )
    assert (found.level, found.severity) == (Level.CHECK, 1)


def test_a_negated_phrase_is_still_a_safety_check() -> None:
    by = an_edition(words="saw [any 1] violin")
    assert screen("she did not saw the violin", by=by).level is Level.CHECK
    assert screen("she saw the violin", by=by).level is Level.CRISIS


@pytest.mark.parametrize(
    ("typos", "whole", "text", "level"),
    [
        (True, True, "quaxolit tonight", Level.CRISIS),
        (True, True, "quaxoliit tonight", Level.CRISIS),
        (False, True, "quaxoliit tonight", Level.ORDINARY),
        (False, True, "quaxolits tonight", Level.ORDINARY),
        (False, False, "quaxolits tonight", Level.CRISIS),
    ],
)  # fmt: skip
def test_typos_and_beginnings_count_only_where_they_are_allowed(
    typos: bool, whole: bool, text: str, level: Level
) -> None:
    assert screen(text, by=an_edition(words="quaxolit", typos=typos, whole_words=whole)).level is level


def test_a_short_word_is_never_matched_with_a_typo() -> None:
    assert phrases.typo_words(Phrase(kind="crisis", words="kill the quaxolit"), BOOK.fold) == {"quaxolit"}


def test_a_phrase_changes_no_other_words_spelling() -> None:
    text = "my sons fits are bad and she wants to kil herself"
    by = an_edition(words="quaxolit violin")
    assert screen(text, by=by).hits == screen(text).hits


def test_an_idiom_of_the_region_is_silenced_and_what_stands_beside_it_is_not() -> None:
    by = build(1, {"phrase:p1": {"kind": "never_alone", "words": "drowning in paperwork"}})
    alarmed = build(1, {"phrase:p2": {"kind": "check", "words": "drowning [any 1] paperwork"}})
    assert screen("drowning in paperwork", by=alarmed).level is Level.CHECK
    both = build(1, {**by.content, **alarmed.content})
    assert screen("drowning in paperwork", by=both).level is Level.ORDINARY
    found = screen("drowning in paperwork and she wants to kill herself", by=both)
    assert found.level is Level.CRISIS
    assert any(hit.suppressed_by is Suppression.PHRASE for hit in found.suppressed)


def test_plain_words_of_danger_cannot_be_silenced_below_a_check() -> None:
    by = build(1, {"phrase:p1": {"kind": "never_alone", "words": "kill herself"}})
    assert screen("she said she will kill herself").level is Level.CRISIS
    assert screen("she said she will kill herself", by=by).level is Level.CHECK


def test_a_suppression_on_trial_changes_nothing_and_says_what_it_would_have_done() -> None:
    content = {"phrase:p2": {"kind": "check", "words": "drowning [any 1] paperwork"}}
    trial = {"phrase:p1": {"kind": "never_alone", "words": "drowning in paperwork", "shadow": True}}
    found = screen("drowning in paperwork", by=build(1, {**content, **trial}))
    assert (found.level, found.shadow) == (Level.CHECK, ("p1",))


def test_a_lowered_rule_asks_but_no_longer_decides_and_is_never_less_than_a_check() -> None:
    text = "the violin is in the noose"
    rule = next(hit.rule for hit in screen("she wants to kill herself").hits if hit.sure)
    found = screen("kill herself", by=build(1, {f"rule:{rule}": "check"}))
    lowered = [hit for hit in found.hits if hit.rule == rule]
    assert lowered and all((hit.level, hit.severity, hit.sure) == (Level.CHECK, 1, False) for hit in lowered)
    assert found.level is not Level.ORDINARY
    assert screen(text, by=build(1, {f"rule:{rule}": "check"})).level is screen(text).level


@pytest.mark.parametrize(
    "content",
    [
        {"rule:no.such": "check"},
        {"phrase:p1": {"kind": "regex", "words": ".*"}},
        {"country:XY": True},
        {"reply:en.nothing": ["x"]},
        {"line:US.suicide": {"say": "988"}},
        {"colour:blue": 1},
    ],
)  # fmt: skip
def test_content_that_means_nothing_is_refused_by_its_key(content: dict[str, object]) -> None:
    with pytest.raises(EditionError) as refused:
        build(1, content)
    assert next(iter(content)).split(":")[1].split(".")[0] in str(refused.value)


def test_a_decision_names_the_edition_that_made_it() -> None:
    by = an_edition(words="violin [any 3] porch")
    assert screen("we are fine", by=by).version.startswith(core_version())
    found = screen("the violin is on the porch now", by=by)
    assert found.version == f"{core_version()}+desk-1-{by.digest[:8]}"


def test_the_hash_is_of_the_content_and_of_nothing_else() -> None:
    one, two = {"country:GB": True, "country:IE": True}, {"country:IE": True, "country:GB": True}
    assert edition.digest_of(one) == edition.digest_of(two) != edition.digest_of({"country:GB": True})


def test_what_a_new_release_cannot_read_is_left_out_and_the_rest_stays_in_force() -> None:
    good = {"kind": "crisis", "tier": "suicide_selfharm", "words": "violin [any 3] porch"}
    content = {"phrase:p1": good, "phrase:p2": good | {"words": "[gone] porch"}, "rule:no.such": "check"}
    built, skipped = edition.build_what_can(4, content)
    assert skipped == ("phrase:p2", "rule:no.such")
    assert (built.number, built.ids, built.digest) == (4, ("p1",), edition.digest_of(content))
