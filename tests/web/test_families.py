"""The list, its search, one family's page."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from nudges.engine import ticks
from nudges.models.messages import Outbox
from nudges.models.safety import Hold
from nudges.wiring import Wiring
from tests.web.conftest import HTMX, MONDAY, World


def test_a_counselor_sees_the_families_assigned_to_them_and_no_other(ana: FlaskClient) -> None:
    page = ana.get("/families").text
    assert "Maria Lopez" in page and "Joy Adams" not in page


def test_an_admin_sees_all(dee: FlaskClient) -> None:
    page = dee.get("/families").text
    assert "Maria Lopez" in page and "Joy Adams" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("f-1042", True),
        ("maria", True),
        ("LOPEZ", True),
        ("555-0142", True),
        ("(312) 555 0142", True),
        ("", True),
        ("joy", False),
        ("0143", False),
        ("F-9999", False),
        ("14", False),
    ],
)
def test_search_finds_own_families_by_code_name_or_number(ana: FlaskClient, query: str, found: bool) -> None:
    page = ana.post("/families/search", data={"q": query}).text
    assert ("F-1042" in page) is found
    assert "F-1043" not in page


def test_a_search_answers_htmx_with_the_rows_alone(ana: FlaskClient) -> None:
    fragment = ana.post("/families/search", data={"q": "maria"}, headers=HTMX)
    assert "<html" not in fragment.text and "F-1042" in fragment.text
    assert "HX-Request" in fragment.headers["Vary"]
    assert fragment.text.strip() in ana.post("/families/search", data={"q": "maria"}).text


def test_the_page_tells_what_comes_next_and_why(ana: FlaskClient, wired: Wiring, world: World) -> None:
    ticks.plan(wired)
    page = ana.get(f"/families/{world.lopez}").text
    assert "Next text" in page
    assert "Planned" in page and "ONBOARD ON-2" in page


def test_a_sent_text_stands_on_the_page_with_its_delivery_and_its_reason(
    ana: FlaskClient, wired: Wiring, world: World, db: sessionmaker[Session]
) -> None:
    for _ in range(3):  # accepted, sent, delivered
        ticks.run_all(wired)
    with db() as session:
        text = session.query(Outbox).filter_by(parent_id=world.maria).one()
    page = ana.get(f"/families/{world.lopez}/parents/{world.maria}/timeline").text
    assert "Family Support: you are signed up" in page
    assert "✓✓ Delivered" in page and text.status == "delivered"
    assert "nothing stands in the way" in page


def test_a_held_family_says_so_before_all_else(ana: FlaskClient, db: sessionmaker[Session], world: World) -> None:
    with db.begin() as session:
        session.add(Hold(family_id=world.lopez, kind="crisis", scope="family", placed_at=MONDAY))
    page = ana.get(f"/families/{world.lopez}").text
    assert "Held after a crisis text" in page
    assert "Nothing goes out by itself until a person releases the hold" in page
