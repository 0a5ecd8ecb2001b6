"""Alerts: the banner on every page, taking one, ending it."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from nudges.models.safety import Alert, AlertEvent, Hold
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


def _events(db: sessionmaker[Session], alert_id: int) -> list[str]:
    with db() as session:
        rows = session.query(AlertEvent).filter_by(alert_id=alert_id).order_by(AlertEvent.id)
        return [row.event for row in rows]


@pytest.mark.parametrize(
    ("door", "data", "event"),
    [
        ("acknowledge", {"note": "On it"}, "acknowledged"),
        ("note", {"note": "No answer"}, "note"),
        ("act", {"act": "called_family", "act_note": "No answer"}, "called_family"),
        ("act", {"act": "called_emergency"}, "called_emergency"),
        ("false-alarm", {"false_reason": "A film title"}, "resolved"),
        ("resolve", {"outcome": "in_care", "resolve_note": "Clinic tomorrow"}, "resolved"),
        ("danger", {"danger": "abuse_dv", "danger_reason": "She named her uncle"}, "danger_changed"),
    ],
    ids=["acknowledge", "note", "called family", "called emergency", "false alarm", "resolve", "another danger"],
)
def test_a_button_that_is_clicked_twice_does_its_deed_once(
    ana: FlaskClient, db: sessionmaker[Session], alert_id: int, door: str, data: dict[str, str], event: str
) -> None:
    for _ in range(2):
        assert ana.post(f"/alerts/{alert_id}/{door}", data=data).status_code == 303
    assert _events(db, alert_id).count(event) == 1
    page = ana.get(f"/alerts/{alert_id}").text
    assert all(words in page for key, words in data.items() if key.endswith(("note", "reason")))


@pytest.mark.parametrize(
    ("door", "data", "field"),
    [
        ("false-alarm", {"false_reason": " "}, "false_reason"),
        ("danger", {"danger": "abuse_dv"}, "danger_reason"),
        ("danger", {"danger": "boredom", "danger_reason": "because"}, "danger"),
    ],
    ids=["false alarm without a reason", "danger without a reason", "no such danger"],
)
def test_what_needs_a_reason_does_nothing_without(
    ana: FlaskClient, db: sessionmaker[Session], alert_id: int, door: str, data: dict[str, str], field: str
) -> None:
    before = _events(db, alert_id)
    assert f'id="{field}-fault"' in ana.post(f"/alerts/{alert_id}/{door}", data=data).text
    assert _events(db, alert_id) == before


def test_an_alert_of_nobodys_family_and_an_unknown_act_are_refused(
    ana: FlaskClient, cal: FlaskClient, db: sessionmaker[Session], alert_id: int
) -> None:
    before = _events(db, alert_id)
    for door in ("act", "false-alarm", "danger"):
        data = {"act": "called_family", "false_reason": "x", "danger": "abuse_dv", "danger_reason": "x"}
        assert cal.post(f"/alerts/{alert_id}/{door}", data=data).status_code == 404
    assert "should be one of" in ana.post(f"/alerts/{alert_id}/act", data={"act": "went_home"}).text
    assert _events(db, alert_id) == before


def test_the_plan_and_the_safety_notes_stand_on_the_alert_sealed_and_for_staff_only(
    ana: FlaskClient, cal: FlaskClient, db: sessionmaker[Session], world: World, alert_id: int
) -> None:
    door = f"/families/{world.lopez}/parents/{world.maria}/emergency-plan"
    kept = {"plan": "12 Invented Street. ER: Example Hospital.", "notes": "Father must not be called."}
    assert cal.post(door, data=kept).status_code == 404
    assert "None on file" in ana.get(f"/alerts/{alert_id}").text
    ana.post(door, data=kept)
    page = ana.get(f"/alerts/{alert_id}").text
    assert all(words in page for words in (*kept.values(), "Country", "US"))
    assert all(words in ana.get(f"/families/{world.lopez}").text for words in kept.values())
    with db() as session:
        stored = session.execute(text("SELECT emergency_plan, notes FROM parents, families")).all()
    assert not any("Invented Street" in str(row) or "Father" in str(row) for row in stored)


def test_the_alert_shows_the_last_ten_messages_of_both_sides(
    ana: FlaskClient, nobody: FlaskClient, db: sessionmaker[Session], world: World, alert_id: int
) -> None:
    for n in range(12):
        nobody.post(f"/phone/parent-{world.maria}/texts", data={"body": f"the {n}. thing that happened today"})
    thread = ana.get(f"/alerts/{alert_id}").text.split('id="thread-title"')[1].split("</section>")[0]
    assert thread.count('class="bubble') == 10
    assert "the 11. thing" in thread and "the 0. thing" not in thread
