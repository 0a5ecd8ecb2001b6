"""Alerts: the banner on every page, taking one, ending it."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from nudges.models.safety import Alert, Hold
from tests.web.conftest import HTMX, World

CRISIS = "I want to kill myself"


@pytest.fixture
def alert_id(nobody: FlaskClient, db: sessionmaker[Session], world: World) -> int:
    """Raised the real way: by a text from the parent's phone."""
    nobody.post(f"/phone/parent-{world.maria}/texts", data={"body": CRISIS})
    with db() as session:
        return session.query(Alert).filter_by(family_id=world.lopez).one().id


def test_the_banner_shows_an_alert_to_who_answers_for_it(
    ana: FlaskClient, cal: FlaskClient, dee: FlaskClient, alert_id: int
) -> None:
    assert "F-1042" in ana.get("/alerts/banner", headers=HTMX).text
    assert "F-1042" in dee.get("/alerts/banner", headers=HTMX).text
    assert cal.get("/alerts/banner", headers=HTMX).text.strip() == ""


def test_every_page_asks_for_the_banner(ana: FlaskClient, world: World) -> None:
    for url in ("/families", f"/families/{world.lopez}", "/inbox", "/alerts", "/families/new"):
        assert 'hx-get="/alerts/banner"' in ana.get(url).text, url


def test_the_alert_shows_the_text_and_what_was_answered_at_once(ana: FlaskClient, alert_id: int) -> None:
    page = ana.get(f"/alerts/{alert_id}").text
    assert CRISIS in page and "988" in page
    assert CRISIS not in page.split("</title>")[0]


def test_taking_an_alert_is_kept_with_its_note_and_only_one_takes_it(
    ana: FlaskClient, ben: FlaskClient, db: sessionmaker[Session], world: World, alert_id: int
) -> None:
    ana.post(f"/alerts/{alert_id}/acknowledge", data={"note": "Calling them now"})
    page = ben.post(f"/alerts/{alert_id}/acknowledge", data={"note": "Me too"}, follow_redirects=True).text
    assert "Somebody was faster" in page and "Calling them now" in page and "Me too" in page
    with db() as session:
        assert session.get_one(Alert, alert_id).acknowledged_by == world.ana


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"outcome": ""}, "outcome"),
        ({"outcome": "false_alarm"}, "resolve_note"),
    ],
    ids=["no outcome", "false alarm without a note"],
)
def test_an_alert_cannot_be_ended_without_saying_how(
    ana: FlaskClient, db: sessionmaker[Session], alert_id: int, data: dict[str, str], field: str
) -> None:
    assert f'id="{field}-fault"' in ana.post(f"/alerts/{alert_id}/resolve", data=data).text
    with db() as session:
        assert session.get_one(Alert, alert_id).status == "open"


def test_a_resolved_alert_leaves_the_banner_but_the_texts_stay_held(
    ana: FlaskClient, db: sessionmaker[Session], world: World, alert_id: int
) -> None:
    ana.post(f"/alerts/{alert_id}/resolve", data={"outcome": "in_care", "resolve_note": "At the clinic"})
    assert ana.get("/alerts/banner", headers=HTMX).text.strip() == ""
    assert "In care with a clinician" in ana.get("/alerts").text
    with db() as session:
        assert session.query(Hold).filter_by(family_id=world.lopez, released_at=None).count() == 1
    assert "Held after a crisis text" in ana.get(f"/families/{world.lopez}").text
