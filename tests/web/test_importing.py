"""The page that imports a file of families: look first, then import; the rows with faults come back."""

from __future__ import annotations

import io

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from nudges.models.family import Parent
from tests.service.test_intake import GOOD, a_file
from tests.web.conftest import World

ROW = {**GOOD, "counselor": "ana@clinic.example"}
BAD = {**ROW, "external_id": "b", "phone": "12"}


def choose(client: FlaskClient, content: bytes) -> str:
    return client.post("/families/import", data={"file": (io.BytesIO(content), "families.csv")}).text


def parents(db: sessionmaker[Session]) -> int:
    with db() as session:
        return session.scalar(select(func.count()).select_from(Parent))


def test_a_file_is_looked_at_before_anything_changes(ana: FlaskClient, db: sessionmaker[Session]) -> None:
    page = choose(ana, a_file(ROW, BAD))
    assert "Import 1 parent<" in page and "Check the area code" in page
    assert parents(db) == 2


def test_the_rows_that_are_well_are_imported(ana: FlaskClient, db: sessionmaker[Session]) -> None:
    answer = ana.post("/families/import/apply", data={"content": a_file(ROW, BAD).decode()}, follow_redirects=True)
    assert "1 parents imported" in answer.text and "1 rows with faults were left out" in answer.text
    assert parents(db) == 3


def test_the_rows_with_faults_come_back_as_a_file(ana: FlaskClient) -> None:
    answer = ana.post("/families/import/rejected.csv", data={"content": a_file(ROW, BAD).decode()})
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.text.count("\n") == 2 and "problem" in answer.text


def test_a_counselor_imports_their_own_families_only(cal: FlaskClient, dee: FlaskClient) -> None:
    page = choose(cal, a_file(ROW))
    assert "colleague" in page and "Import 1" not in page
    assert "Import 1 parent<" in choose(dee, a_file(ROW))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 400_000], ids=["none", "spreadsheet", "large"])
def test_no_such_file_says_what_to_do(ana: FlaskClient, content: bytes) -> None:
    assert 'role="alert"' in choose(ana, content)


def test_the_template_can_be_downloaded_and_strangers_see_nothing(
    ana: FlaskClient, nobody: FlaskClient, world: World
) -> None:
    assert ana.get("/families/import/template.csv").text.startswith("external_id,")
    assert nobody.get("/families/import").status_code == 302
