"""Common questions by text: plain ones are answered, unclear ones and stories go to a person."""

from __future__ import annotations

import pytest

from schedules import catalog, faq

FAQS = catalog.load_library().faqs

ASKED = [
    pytest.param("How many sessions will it take?", "FAQ-05", id="how many"),
    pytest.param("¿Cuántas sesiones son?", "FAQ-05", id="how many, in Spanish"),
    pytest.param("does insurance pay for this?", "FAQ-03", id="insurance"),
    pytest.param("what is reunification therapy", "FAQ-08", id="longest trigger wins"),
    pytest.param("What do I say to them?", "FAQ-15", id="what to say"),
]
FOR_A_PERSON = [
    pytest.param("when we got home the judge had called", id="a story that starts like a question"),
    pytest.param("The court was hard today.", id="one word, nothing asked"),
    pytest.param("He won't pay attention", id="a word in another sense"),
    pytest.param("thanks", id="thanks"),
    pytest.param("", id="empty"),
    pytest.param("what " + "and then he said no " * 12 + "how many?", id="a long story"),
]


@pytest.mark.parametrize(("text", "expected"), ASKED)
def test_a_plain_question_has_its_answer(text, expected):
    found = faq.find(text, FAQS)
    assert found is not None and found.id == expected


@pytest.mark.parametrize("text", FOR_A_PERSON)
def test_what_is_no_plain_question_is_for_a_person(text):
    assert faq.find(text, FAQS) is None


@pytest.mark.parametrize("asked", FAQS, ids=lambda f: f.id)
@pytest.mark.parametrize("language", ["en", "es"])
def test_every_answer_can_be_reached_in_both_languages(asked, language):
    found = {getattr(faq.find(f"{trigger}?", FAQS), "id", None) for trigger in asked.triggers[language]}
    assert asked.id in found


def test_a_question_that_fits_two_answers_equally_is_for_a_person():
    two = [faq.Faq(id=name, triggers={"en": (name,), "es": ()}, texts=FAQS[0].texts) for name in ("insurance", "judge")]
    assert faq.find("insurance or judge?", two) is None


def test_triggers_are_whole_words():
    one = [faq.Faq(id="cost", triggers={"en": ("cost",), "es": ()}, texts=FAQS[0].texts)]
    assert faq.find("is a costume needed?", one) is None
    assert faq.find("what does it COST?", one) is not None
