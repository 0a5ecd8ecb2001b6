"""Common questions by text: answered at once, seen by a person, never in front of danger or of an open digit."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from nudges.library import naming
from nudges.models.safety import Alert, Task
from tests.support.factories import a_parent
from tests.support.texting import people_with_ana_on_call, texting


@pytest.fixture
def parent(session, now):
    people = people_with_ana_on_call(session, now)
    return a_parent(session, people.family, now=now)


@pytest.fixture
def text(session, now):
    return texting(session, now)


def test_a_plain_question_has_its_answer_and_a_person_sees_that_it_was_asked(session, parent, text):
    answer = text(parent, "How many sessions will it take?")
    assert answer.handled_as == "faq" and len(answer.texts) == 1
    assert [task.kind for task in session.scalars(select(Task))] == ["question"]


def test_a_fourth_question_in_an_hour_goes_to_a_person(parent, text, now):
    asked = ["How many sessions?", "does insurance pay?", "what do I say?", "is this common?"]
    handled = [text(parent, words, at=now + timedelta(minutes=9 * n)).handled_as for n, words in enumerate(asked)]
    assert handled == ["faq", "faq", "faq", "person"]


def test_danger_in_a_question_is_danger(session, parent, text):
    answer = text(parent, "how many pills did she swallow before she passed out?")
    assert answer.handled_as.startswith("crisis")
    assert session.scalars(select(Alert)).one().level == "crisis"


def test_a_story_with_a_trigger_word_is_for_a_person(parent, text):
    assert text(parent, "The judge was late again and we went home.").handled_as == "person"


def test_an_answer_that_would_name_the_family_is_not_sent_and_a_person_is_told(session, parent, text, now):
    question = "How many sessions will it take?"
    (said,) = text(parent, question).texts
    parent.name = " ".join(said.split()[5:7])  # two words in a row are a name however they are written
    session.flush()
    assert text(parent, question, at=now + timedelta(hours=2)).texts == ()
    assert [task.words for task in session.scalars(select(Task)) if task.kind == "step"] == [
        f"A reply: {naming.NAMED} Answer in person, and mend the text."
    ]
