"""The 51 language rules on phrases: what must trip, what must pass, what a locked screen may show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from schedules.lint import lint, words
from schedules.lint.rulebook import RULES, rulebook

PHRASES = [
    (lang, kind, phrase)
    for lang, groups in yaml.safe_load(
        (Path(__file__).parents[1] / "data" / "language_phrases.yaml").read_text(encoding="utf-8")
    ).items()
    for kind, group in groups.items()
    for phrase in group
]


@pytest.mark.parametrize(("lang", "kind", "phrase"), PHRASES, ids=[f"{r[0]}-{r[1]}-{r[2]}" for r in PHRASES])
def test_every_bad_phrase_trips_its_family_and_no_good_one_is_an_error(lang: str, kind: str, phrase: Any) -> None:
    if kind == "flag":
        family, text = phrase
        assert any(fault.rule.startswith(family) for fault in lint.faults_of(text, lang, discreet=True))
        return
    found = lint.faults_of(phrase, lang, discreet=kind == "lockpass")
    errors = [fault for fault in found if fault.severity == "error"]
    assert [fault for fault in errors if kind == "lockpass" or not fault.rule.startswith("LOCK")] == []


def test_there_are_51_rules_and_122_phrases_and_advice_for_each_rule() -> None:
    assert len(yaml.safe_load(RULES.read_text(encoding="utf-8"))["rules"]) == 51
    assert len(rulebook().rules) == 82
    assert len(PHRASES) == 122
    assert all(rulebook().advise(rule.id).mend for rule in rulebook().rules)


UNSEEN = [
    ("en", "You need to get them to agree by Friday", "COERCE"),
    ("en", "They should go this time", "COERCE"),
    ("en", "No therapy, no phone", "THREAT"),
    ("en", "Tell your teen they may lose their phone", "THREAT"),
    ("en", "They will be happier soon", "PROMISE"),
    ("es", "Tiene que llevarlo a la cita", "COERCE"),
    ("es", "Sin terapia no hay celular", "THREAT"),
    ("es", "Pronto se sentirá mejor", "PROMISE"),
]


@pytest.mark.parametrize(("lang", "text", "family"), UNSEEN, ids=[row[1] for row in UNSEEN])
def test_other_ways_of_saying_the_same_trip_too(lang: str, text: str, family: str) -> None:
    assert any(fault.rule.startswith(family) for fault in words.faults(text, lang, discreet=False))


NEGATED = [
    ("en", "Do not force them.", set()),
    ("en", "Force them.", {"COERCE-2"}),
    ("en", "No. Force them.", {"COERCE-2"}),
    ("en", "It is not the time of the year, I think, to force them.", {"COERCE-2"}),
    ("en", "THEY HAVE TO GO", {"COERCE-1"}),
    ("en", "Don\u2019t force them", set()),
    ("es", "Sin forzar nada.", set()),
    ("es", "Hay que forzar.", {"COERCE-2"}),
    ("es", "Presi\u00f3ne mucho", {"COERCE-2"}),
    ("es", "Los ni\u00f1os necesitan ir", {"COERCE-1"}),
]


@pytest.mark.parametrize(("lang", "text", "expected"), NEGATED, ids=[row[1] for row in NEGATED])
def test_a_negation_just_before_in_the_same_sentence_takes_a_match_back(
    lang: str, text: str, expected: set[str]
) -> None:
    found = {fault.rule for fault in words.faults(text, lang, discreet=False)}
    assert {rule for rule in found if rule.startswith("COERCE")} == expected


def test_a_locked_screen_shows_sixty_characters_and_a_discreet_text_all() -> None:
    late = "A calm time is near. Only if it feels right, you could bring up the therapy."
    assert not [f for f in words.faults(late, "en", discreet=False) if f.rule == "LOCK-1"]
    assert [f.tripped for f in words.faults(late, "en", discreet=True)] == ["therapy"]
    assert [f.tripped for f in words.faults("Therapy: " + late, "en", discreet=False)] == ["therapy"]


def test_what_a_parent_asked_for_may_say_at_once() -> None:
    text = "Call them right away."
    assert [f.rule for f in words.faults(text, "en", discreet=False)] == ["ULTIM-2"]
    assert words.faults(text, "en", discreet=False, proactive=False) == []


def test_firm_wording_is_only_a_warning_after_a_crisis() -> None:
    text = "They have to see the doctor."
    assert [f.severity for f in words.faults(text, "en", discreet=False)] == ["error"]
    assert [f.severity for f in words.faults(text, "en", discreet=False, firm=True)] == ["warning"]
