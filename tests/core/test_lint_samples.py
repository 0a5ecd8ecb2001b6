"""Texts as outsiders write them, good and bad, in both languages; and each rule with texts that trip it and texts that
do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from schedules.lint import lint, words
from schedules.lint.rulebook import Rule, rulebook

DATA = Path(__file__).parents[1] / "data"


def read(name: str) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = yaml.safe_load((DATA / name).read_text(encoding="utf-8"))
    return loaded


SAMPLES, PHRASES = read("language_samples.yaml"), read("language_phrases.yaml")
BAD = [(lang, family, text) for lang, kinds in SAMPLES.items() for family, text in kinds["bad"]]
GOOD = [(lang, text) for lang, kinds in SAMPLES.items() for text in kinds["good"]]


@pytest.mark.parametrize(("lang", "family", "text"), BAD, ids=[f"{lang}-{text}" for lang, _, text in BAD])
def test_a_bad_text_is_named_by_the_family_that_it_offends(lang: str, family: str, text: str) -> None:
    found = lint.faults_of(text, lang)
    assert [fault for fault in found if fault.rule.rsplit("-", 1)[0] == family or fault.rule == family]


@pytest.mark.parametrize(("lang", "text"), GOOD, ids=[f"{lang}-{text}" for lang, text in GOOD])
def test_a_good_text_has_no_error_but_that_of_a_locked_screen(lang: str, text: str) -> None:
    errors = [fault for fault in lint.faults_of(text, lang) if fault.severity == "error"]
    assert [fault for fault in errors if not fault.rule.startswith("LOCK")] == []


def bad_texts(lang: str) -> list[str]:
    return [text for _, text in (*SAMPLES[lang]["bad"], *PHRASES[lang]["flag"])]


def good_texts(lang: str) -> list[str]:
    return [*SAMPLES[lang]["good"], *PHRASES[lang]["pass"], *PHRASES[lang]["lockpass"]]


@pytest.mark.parametrize("rule", rulebook().rules, ids=lambda rule: f"{rule.id}-{rule.lang}")
def test_every_rule_is_tripped_by_a_bad_text_and_by_no_good_one(rule: Rule) -> None:
    def trips(text: str) -> bool:
        return any(fault.rule == rule.id for fault in words.faults(text, rule.lang, discreet=True))

    assert any(trips(text) for text in bad_texts(rule.lang))
    if rule.severity == "error" and rule.family != "LOCK":
        assert not [text for text in good_texts(rule.lang) if trips(text)]


@pytest.mark.parametrize(
    ("lang", "bad", "good"),
    [
        ("en", "Push your teen a little.", "Do not push your teen."),
        ("en", "Take the phone for a week.", "No need to take the phone."),
        ("en", "This will help.", "No one can say that this will help."),
        ("en", "Sneak them in.", "Never sneak them in."),
        ("en", "We promise you a calm home.", "We cannot promise you a calm home."),
        ("es", "Presione a su adolescente.", "No presione a su adolescente."),
        ("es", "Quite el celular una semana.", "Sin quitar el celular."),
        ("es", "Esto va a ayudar.", "Nadie sabe si va a ayudar."),
        ("es", "Use mentiras piadosas.", "Nunca use mentiras piadosas."),
    ],
)
def test_a_negated_form_says_the_contrary_and_passes(lang: str, bad: str, good: str) -> None:
    assert [fault for fault in words.faults(bad, lang, discreet=False) if fault.severity == "error"]
    assert [fault for fault in words.faults(good, lang, discreet=False) if fault.severity == "error"] == []
