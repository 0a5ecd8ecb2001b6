"""The page that shows lanes and the days ahead, and the pages of a parent's data: for admins of the program alone."""

from __future__ import annotations

from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from nudges.models.family import Parent
from nudges.models.program import Lane
from nudges.models.safety import LedgerEntry
from nudges.upkeep import backups
from tests.web.conftest import MONDAY, World


def pause(db: sessionmaker[Session], reason: str) -> int:
    with db.begin() as session:
        lane = session.scalars(select(Lane)).one()
        lane.paused_until, lane.paused_reason = MONDAY + timedelta(days=2), reason
        return lane.id


def test_the_page_shows_lanes_and_the_days_ahead(dee: FlaskClient) -> None:
    page = dee.get("/admin/sending").text
    assert "50 segments a second" in page and "Sends</span>" in page
    assert page.count("<rect") == 14 and "for 2 parents" in page
    assert "+1312555" not in page


def test_a_paused_lane_says_why_and_can_be_resumed(dee: FlaskClient, db: sessionmaker[Session]) -> None:
    lane_id = pause(db, "daily cap of the carrier")
    assert "daily cap of the carrier" in dee.get("/admin/sending").text
    assert "sends again" in dee.post(f"/admin/sending/lanes/{lane_id}/resume", follow_redirects=True).text
    with db() as session:
        assert session.get(Lane, lane_id).paused_until is None
        assert "lane.resumed" in session.scalars(select(LedgerEntry.action)).all()


def test_the_fence_of_a_restored_backup_is_not_lifted_here(dee: FlaskClient, db: sessionmaker[Session]) -> None:
    lane_id = pause(db, backups.FENCED)
    assert "nudges restored" in dee.post(f"/admin/sending/lanes/{lane_id}/resume", follow_redirects=True).text
    with db() as session:
        assert session.get(Lane, lane_id).paused_until is not None


def test_counselors_and_strangers_stay_outside(ana: FlaskClient, nobody: FlaskClient, world: World) -> None:
    data = f"/admin/families/{world.lopez}/parents/{world.maria}/data"
    assert ana.get("/admin/sending").status_code == ana.get(data).status_code == 403
    assert ana.post(f"{data}/json").status_code == ana.post(f"{data}/erase", data={"code": "F-1042"}).status_code == 403
    assert nobody.get(data).status_code == 302


def test_an_admin_hands_over_a_parents_data(dee: FlaskClient, world: World, db: sessionmaker[Session]) -> None:
    data = f"/admin/families/{world.lopez}/parents/{world.maria}/data"
    assert data in dee.get(f"/families/{world.lopez}").text
    answer = dee.post(f"{data}/json")
    assert "Maria Lopez" in answer.text and "Joy" not in answer.text
    assert (
        answer.headers["Content-Disposition"].startswith("attachment") and answer.headers["Cache-Control"] == "no-store"
    )
    assert "Maria Lopez" in dee.post(f"{data}/html").text
    with db() as session:
        assert "parent.exported" in session.scalars(select(LedgerEntry.action)).all()


def test_erasing_asks_for_the_code(dee: FlaskClient, world: World, db: sessionmaker[Session]) -> None:
    data = f"/admin/families/{world.lopez}/parents/{world.maria}/data"
    assert "Write F-1042" in dee.post(f"{data}/erase", data={"code": "F-1"}).text
    dee.post(f"{data}/erase", data={"code": "f-1042"})
    with db() as session:
        parent = session.get(Parent, world.maria)
        assert parent.erased_at is not None and parent.name == ""
    assert dee.get(f"/families/{world.lopez}").status_code == 200, "the family page still opens"
    assert "Erased" in dee.get(data).text
