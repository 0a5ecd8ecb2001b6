"""Signing off and the places nearby, through the pages."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker

from nudges.library import signing
from nudges.models.library import LocalResource, SignOff
from nudges.models.program import Program, Staff
from nudges.models.safety import Task
from tests.web.conftest import MONDAY, World

AFTERCRISIS = "/sign-off/AFTERCRISIS"


@pytest.fixture
def real(db: sessionmaker[Session], world: World) -> None:
    """A program that is no demo, with nothing signed; Ana is its clinician."""
    with db.begin() as session:
        session.execute(delete(SignOff))
        session.scalars(select(Program)).one().is_demo = False
        signing.set_roles(session, session.get_one(Staff, world.ana), ["clinician"], by="system:test", now=MONDAY)


def seen(page: str) -> list[str]:
    return re.findall(r'name="seen" value="([^"]+)"', page)


def test_a_demo_says_on_every_page_that_its_sign_offs_approve_nothing(dee: FlaskClient) -> None:
    assert "marked demo: nobody has approved" in dee.get("/sign-off/").text
    assert "Demo: a clinician" in dee.get(AFTERCRISIS).text
    assert "AC-1: demo sign-off" in dee.get("/admin/sequences/AFTERCRISIS").text
    assert "Demo sign-off" in dee.get("/admin/sequences").text


def test_unreviewed_texts_are_marked_on_the_list_the_sequence_and_each_step(dee: FlaskClient, real: None) -> None:
    listed = dee.get("/admin/sequences").text
    assert "Off until signed" in listed and "18 not reviewed" in listed and "no family can be enrolled" in listed
    shown = dee.get("/admin/sequences/AFTERCRISIS").text
    assert "AFTERCRISIS cannot begin, and nothing of it is sent" in shown
    assert "AC-1 needs a clinician and a native reader of Spanish" in shown and "AC-2 not reviewed" in shown
    assert "TK-1 not reviewed" in dee.get("/admin/sequences/TALK").text


def test_the_whole_sequence_is_signed_with_the_list_in_view(
    ana: FlaskClient, real: None, db: sessionmaker[Session], world: World
) -> None:
    page = ana.get(AFTERCRISIS).text
    assert "You acted, and that mattered." in page and 'name="all"' in page
    answer = ana.post(AFTERCRISIS, data={"role": "clinician", "seen": seen(page), "all": "yes", "note": "Read aloud."})
    assert answer.status_code == 303
    with db() as session:
        rows = session.scalars(select(SignOff)).all()
    assert {(row.role, row.staff_id, row.note, row.is_demo) for row in rows} == {
        ("clinician", world.ana, "Read aloud.", False)
    }
    assert len(rows) == len(seen(page))
    again = ana.get(AFTERCRISIS).text
    assert "Off: needs a native reader" in again and "Off: needs a clinician" not in again and "Ana" in again


def test_one_ticked_text_is_signed_alone_and_taken_back(
    ana: FlaskClient, real: None, db: sessionmaker[Session]
) -> None:
    page = ana.get(AFTERCRISIS).text
    ana.post(AFTERCRISIS, data={"role": "clinician", "text": seen(page)[:1], "seen": seen(page)})
    with db() as session:
        [row] = session.scalars(select(SignOff)).all()
    assert row.place == "AFTERCRISIS/AC-1"
    ana.post(f"{AFTERCRISIS}/take-back", data={"sign_off": row.id})
    with db() as session:
        assert session.scalars(select(SignOff)).all() == []


def test_nobody_signs_as_what_they_are_not(ana: FlaskClient, real: None, db: sessionmaker[Session]) -> None:
    page = ana.get(AFTERCRISIS).text
    ana.post(AFTERCRISIS, data={"role": "legal", "seen": seen(page), "all": "yes"})
    assert "You may not sign as a family lawyer" in ana.get("/sign-off/").text
    with db() as session:
        assert session.scalars(select(SignOff)).all() == []


def test_a_counselor_without_a_role_has_no_business_here(ben: FlaskClient, real: None) -> None:
    assert ben.get("/sign-off/").status_code == 403
    assert ben.post(AFTERCRISIS, data={}).status_code == 403


def test_only_an_admin_says_who_may_sign(
    ana: FlaskClient, dee: FlaskClient, real: None, db: sessionmaker[Session], world: World
) -> None:
    assert ana.post(f"/sign-off/people/{world.ana}", data={"role": "legal"}).status_code == 403
    dee.post(f"/sign-off/people/{world.ben}", data={"role": ["legal", "native_reader"]})
    with db() as session:
        assert signing.roles_of(session, world.ben) == {"legal", "native_reader"}


def test_an_admin_without_a_role_may_look_and_not_sign(dee: FlaskClient, real: None) -> None:
    page = dee.get(AFTERCRISIS).text
    assert "You may look." in page and 'name="all"' not in page


# ---------------------------------------------------------------- places

PLACE = {"name": "Lantern Club", "kind": "peer_group", "phone": "312-555-0163", "in_english": "yes"}


def test_a_place_is_added_checked_changed_and_taken_off(dee: FlaskClient, db: sessionmaker[Session]) -> None:
    assert dee.post("/admin/places", data=PLACE).status_code == 303
    page = dee.get("/admin/places").text
    assert (
        "Lantern Club</a>" in page and "312-555-0163" in page and "In use" in page and "2025-03-03</span>, Dee" in page
    )
    with db() as session:
        place_id = session.scalars(select(LocalResource.id)).one()
    dee.post(f"/admin/places/{place_id}", data={**PLACE, "phone": "312-555-0164"})
    assert "312-555-0164" in dee.get("/admin/places").text
    assert dee.post(f"/admin/places/{place_id}/checked").status_code == 303
    dee.post(f"/admin/places/{place_id}/retire")
    assert "Lantern Club" not in dee.get("/admin/places").text.split("On the list")[1]


def test_an_expired_place_is_marked_and_a_task_names_it(
    dee: FlaskClient, nobody: FlaskClient, db: sessionmaker[Session]
) -> None:
    dee.post("/admin/places", data=PLACE)
    with db.begin() as session:
        session.scalars(select(Program)).one().clock_offset_seconds = 190 * 86_400.0
    nobody.post("/phone/clock", data={"by": "day"})
    assert "Expired: not sent" in dee.get("/admin/places").text
    with db() as session:
        [words] = session.scalars(select(Task.words).where(Task.kind == "directory", Task.done_at.is_(None)))
        place_id = session.scalars(select(LocalResource.id)).one()
    assert "Lantern Club (a group for children or teens, checked 2025-03-03)" in words
    dee.post(f"/admin/places/{place_id}/checked")
    with db() as session:
        assert session.scalars(select(Task).where(Task.kind == "directory", Task.done_at.is_(None))).all() == []


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"name": ""}, "name", "The name is missing."),
        ({"name": "A very long name of a very long place"}, "name", "too long for a text"),
        ({"name": "Salón Luz"}, "name", "one such letter halves the room"),
        ({"phone": ""}, "phone", "has to be able to reach it"),
        ({"in_english": ""}, "in_english", "in which language"),
        ({"next_review": "2027-01-01"}, "next_review", "within 180 days"),
    ],
    ids=["name", "long", "costly", "phone", "language", "review"],
)
def test_a_place_that_no_text_could_name_is_refused(
    dee: FlaskClient, db: sessionmaker[Session], changes: dict[str, str], field: str, message: str
) -> None:
    page = dee.post("/admin/places", data={**PLACE, **changes}).text
    assert f'id="{field}-fault"' in page or f'href="#{field}"' in page
    assert message in page
    with db() as session:
        assert session.scalars(select(LocalResource)).all() == []
