"""The replies to danger, held to the language rules as far as danger lets them be gentle."""

from __future__ import annotations

import pytest

from nudges.crisis import replies
from schedules import segments
from schedules.lint import lint

# What danger has to be called: poison help, a child who is somebody's son or daughter, now.
SAID_PLAINLY = {"SIDE-1": ("poison", "envenenamiento"), "NEUTRAL-1": ("su hijo",), "ULTIM-2": ("right now",)}
NOT_HELD_TO = {"READ-EN", "READ-ES", "CRISIS", "LOCK-1"}

TEXTS = [
    (country, kind, "es" if label.startswith("Spanish") else "en", words)
    for country in ("US", "CA")
    for kind, forms in replies.for_sign_off(country).items()
    for label, words in forms
]


@pytest.mark.parametrize(
    ("country", "kind", "lang", "words"), TEXTS, ids=[f"{c}-{k}-{w[-12:]}" for c, k, _, w in TEXTS]
)
def test_no_reply_to_danger_promises_blames_diagnoses_or_names(country: str, kind: str, lang: str, words: str) -> None:
    found = [fault for fault in lint.faults_of(words, lang, kind="reply") if fault.rule not in NOT_HELD_TO]
    if country == "CA":  # other countries' lines are kept in resources.yaml, with source and date
        found = [fault for fault in found if fault.rule != "PII"]
    assert [fault for fault in found if fault.tripped not in SAID_PLAINLY.get(fault.rule, ())] == []


@pytest.mark.parametrize(
    ("country", "kind", "lang", "words"), TEXTS, ids=[f"{c}-{k}-{w[-12:]}" for c, k, _, w in TEXTS]
)
def test_every_reply_is_in_the_cheap_alphabet_and_two_parts_at_most(
    country: str, kind: str, lang: str, words: str
) -> None:
    cost = segments.count(words)
    assert (cost.encoding, cost.parts <= 2) == ("gsm7", True)
