"""A language that nobody has heard of is added by one row of nudges/languages.py, and by nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from nudges import languages
from nudges.channels.registry import PROVIDERS
from nudges.families import intake_file, snapshots
from nudges.inbound import handle
from nudges.inbound.texts import IncomingText
from nudges.languages import Language
from nudges.models.family import Consent, Parent
from tests.support import factories
from tests.support.factories import a_parent
from tests.web.test_enroll import GOOD

CREOLE = Language(code="ht", name="Haitian Creole", own_name="Kreyòl ayisyen", texts="es")


@pytest.fixture(autouse=True)
def creole(monkeypatch):
    monkeypatch.setitem(languages.LANGUAGES, "ht", CREOLE)


def test_the_form_offers_it_and_a_family_is_enrolled_in_it(ana, db):
    assert "Kreyòl ayisyen" in ana.get("/families/new").get_data(as_text=True)
    saved = ana.post("/families/new", data={**GOOD, "language": "ht", "sequences": ["TALK"]})
    assert saved.status_code == 303, saved.get_data(as_text=True)
    with db() as session:
        parent = session.scalars(select(Parent).order_by(Parent.id.desc()).limit(1)).one()
        assert parent.language == "ht"
        assert session.scalars(select(Consent.language).where(Consent.parent_id == parent.id)).all() == ["ht"]
    assert "Haitian Creole" in ana.get(saved.headers["Location"]).get_data(as_text=True)


def test_a_code_of_no_row_is_refused_with_the_languages_that_there_are(ana):
    refused = ana.post("/families/new", data={**GOOD, "language": "tlh"}).get_data(as_text=True)
    assert "Choose English, Spanish or Haitian Creole." in refused


@pytest.mark.parametrize("texts", languages.WRITTEN)
def test_both_databases_keep_it_and_its_families_are_texted_in_the_language_that_it_names(
    sessions, people, now, monkeypatch, texts
):
    monkeypatch.setitem(languages.LANGUAGES, "ht", Language(code="ht", name="Creole", own_name="Kreyòl", texts=texts))
    with sessions.begin() as session:
        parent = a_parent(session, people.family, now=now, language="ht")
    with sessions.begin() as session:
        parent = session.get_one(Parent, parent.id)
        assert snapshots.profile_of(parent).pref_lang == texts
        deps = handle.deps_for(factories.LIBRARY, provider=PROVIDERS["phone"])
        text = IncomingText(
            provider_id="SM1",
            from_number=parent.phone,
            to_number=factories.SENDER,
            body="he says he wants to kill himself",
            received_at=now,
        )
        (answer,) = handle.receive(session, text, now=now + timedelta(seconds=1), deps=deps).texts
    assert ("Llame" in answer or "llame" in answer) == (texts == "es"), answer


def test_a_file_may_name_it(now):
    row = dict(intake_file._EXAMPLES[1]) | {"language": "ht"}
    head = ",".join(row)
    read = intake_file.read(
        f"{head}\n{','.join(row.values())}\n".encode(), country="US", timezone="America/Chicago", today=now.date()
    )
    assert [one.language for one in read.rows] == ["ht"]
