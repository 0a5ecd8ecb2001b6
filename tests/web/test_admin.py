"""Staff accounts, settings, the ledger, delivery."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from nudges.families import snapshots
from nudges.models.family import FamilyStaff, Parent
from nudges.models.program import Program, Staff
from nudges.models.safety import LedgerEntry
from nudges.web.admin import staff_accounts
from tests.web.conftest import World

SETTINGS = {
    "name": "Riverbend",
    "timezone": "America/Denver",
    "contact_hours": "mon-fri 10:00-19:00",
    "cap_week": "2",
    "cap_day": "1",
    "gap_hours": "48",
    "cool_hours": "72",
    "talk_gap_days": "7",
    "conversation_hours": "12",
}


def test_a_new_counselor_can_sign_in_and_sees_only_what_is_assigned(
    app: Flask, dee: FlaskClient, db: sessionmaker[Session], world: World
) -> None:
    data = {"name": "Eva", "email": "Eva@clinic.example", "role": "counselor", "password": "a good long one"}
    dee.post("/admin/staff", data=data)
    with db() as session:
        eva = session.scalars(select(Staff).where(Staff.email == "eva@clinic.example")).one()
    client = app.test_client()
    client.post("/sign-in", data={"email": "eva@clinic.example", "password": "a good long one"})
    assert "F-1042" not in client.get("/families").text
    dee.post(f"/admin/staff/{eva.id}/families", data={"families": [str(world.lopez)]})
    assert "F-1042" in client.get("/families").text
    dee.post(f"/admin/staff/{eva.id}/families", data={})
    with db() as session:
        assert session.get(FamilyStaff, (world.lopez, eva.id)) is None


def test_a_counselor_with_more_families_than_a_page_keeps_those_it_does_not_show(
    dee: FlaskClient, db: sessionmaker[Session], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staff_accounts, "SHOWN", 1)
    url = f"/admin/staff/{world.ana}"
    dee.post(f"{url}/families", data={"families": [str(world.lopez), str(world.adams)]})
    assert "F-1042" in dee.get(url).text and "F-1043" not in dee.get(url).text
    assert "F-1043" in dee.get(f"{url}?code=f-1043").text
    dee.post(f"{url}/families", data={})
    with db() as session:
        assert session.get(FamilyStaff, (world.lopez, world.ana)) is None
        assert session.get(FamilyStaff, (world.adams, world.ana)) is not None
    dee.post(f"{url}/families?code=F-1043", data={})
    with db() as session:
        assert session.get(FamilyStaff, (world.adams, world.ana)) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "ana@clinic.example"}, "email"),
        ({"email": "nonsense"}, "email"),
        ({"password": "short"}, "password"),
        ({"role": "boss"}, "role"),
        ({"name": " "}, "name"),
    ],
    ids=lambda value: str(value),
)
def test_an_account_with_a_fault_is_not_made(
    dee: FlaskClient, db: sessionmaker[Session], changes: dict[str, str], field: str
) -> None:
    data = {"name": "Eva", "email": "eva@clinic.example", "role": "counselor", "password": "a good long one"}
    assert f'id="{field}-fault"' in dee.post("/admin/staff", data={**data, **changes}).text
    with db() as session:
        assert session.query(Staff).count() == 4


def test_the_on_call_order_needs_a_phone_that_exists(dee: FlaskClient, db: sessionmaker[Session], world: World) -> None:
    url = f"/admin/staff/{world.ana}/on-call"
    assert 'id="phone-fault"' in dee.post(url, data={"phone": "12", "rank": "1"}).text
    assert 'id="rank-fault"' in dee.post(url, data={"phone": "", "rank": "1"}).text
    dee.post(url, data={"phone": "312 555 0102", "rank": "2"})
    with db() as session:
        ana = session.get_one(Staff, world.ana)
        assert (ana.on_call_phone, ana.on_call_rank) == ("+13125550102", 2)


def test_nobody_closes_their_own_account(dee: FlaskClient, db: sessionmaker[Session], world: World) -> None:
    dee.post(f"/admin/staff/{world.dee}/active", data={"active": "no"})
    with db() as session:
        assert session.get_one(Staff, world.dee).is_active


def test_a_lost_password_is_replaced_and_sessions_end(
    app: Flask, ana: FlaskClient, dee: FlaskClient, world: World
) -> None:
    dee.post(f"/admin/staff/{world.ana}/password", data={"password": "another long one"})
    assert ana.get("/families").status_code == 302
    fresh = app.test_client()
    assert fresh.post("/sign-in", data={"email": "ana@clinic.example", "password": "another long one"}).location


def test_settings_are_stored_as_overrides_and_keep_what_the_page_does_not_show(
    dee: FlaskClient, db: sessionmaker[Session]
) -> None:
    with db.begin() as session:
        session.scalars(select(Program)).one().policy = {"lead_minutes": 45}
    dee.post("/admin/settings", data=SETTINGS)
    with db() as session:
        program = session.scalars(select(Program)).one()
    assert (program.name, program.timezone) == ("Riverbend", "America/Denver")
    assert program.policy["lead_minutes"] == 45 and program.policy["cap_week"] == 2
    assert program.policy["contact_hours"] == {"mon-fri": ["10:00-19:00"]}
    assert "mon-fri 10:00-19:00" in dee.get("/admin/settings").text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 31}, "name"),
        ({"contact_hours": "always"}, "contact_hours"),
        ({"cap_week": "many"}, "cap_week"),
        ({"cap_week": "70"}, "cap_week"),
        ({"timezone": "Mars"}, "timezone"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_bad_setting_is_named_and_changes_nothing(
    dee: FlaskClient, db: sessionmaker[Session], changes: dict[str, str], field: str
) -> None:
    page = dee.post("/admin/settings", data={**SETTINGS, **changes}).text
    assert f'id="{field}-fault"' in page
    with db() as session:
        assert session.scalars(select(Program.name)).one() == "Family Support"


def test_the_ledger_shows_who_did_what_and_proves_itself(
    ana: FlaskClient, dee: FlaskClient, db: sessionmaker[Session], world: World
) -> None:
    ana.post(f"/families/{world.lopez}/parents/{world.maria}/pause", data={"until": ""})
    page = dee.get("/admin/ledger").text
    assert "parent paused" in page and "Ana" in page and "F-1042" in page
    assert "Unbroken" in dee.get("/admin/ledger/proof").text
    with db.begin() as session:
        first = session.scalars(select(LedgerEntry.id).order_by(LedgerEntry.id)).first()
        session.execute(update(LedgerEntry).where(LedgerEntry.id == first).values(actor="staff:99"))
    assert "chain is broken" in dee.get("/admin/ledger/proof").text


def test_delivery_shows_texts_by_status_without_their_words(nobody: FlaskClient, dee: FlaskClient) -> None:
    nobody.post("/phone/clock", data={"by": "next"})
    nobody.post("/phone/clock", data={"by": "hour"})
    page = dee.get("/admin/outbox").text
    assert "F-1042" in page and "ON-1" in page and "Delivered" in page
    assert "signed up" not in page
    assert "No texts here" in dee.get("/admin/outbox?status=failed").text


def holidays_of(db: sessionmaker[Session]) -> dict[str, str]:
    with db() as session:
        return session.scalars(select(Program.holidays)).one()


def test_an_admin_chooses_holidays_from_the_calendar_and_adds_days_of_the_programs_own(
    dee: FlaskClient, db: sessionmaker[Session]
) -> None:
    page = dee.get("/admin/settings?region=IL").text
    assert "Casimir Pulaski Day" in page and 'value="2025-11-27"' in page and "No day is kept free yet" in page
    sent = {
        "region": "IL",
        "pick": ["2025-03-03", "2025-11-27"],
        "own_days": "2025-12-24 to 2026-01-02",
        "own_name": "Winter break",
    }
    assert dee.post("/admin/settings/holidays", data=sent).status_code == 303
    assert set(holidays_of(db)) == {"2025-03-03", "2025-11-27", "2025-12-24..2026-01-02"}
    page = dee.get("/admin/settings?region=IL").text
    assert 'id="pick-2025-11-27"' not in page, "what counts is not proposed again"
    assert "Wed 24 Dec 2025 to Fri 2 Jan 2026" in page
    dee.post("/admin/settings/holidays/remove", data={"days": "2025-11-27"})
    assert set(holidays_of(db)) == {"2025-03-03", "2025-12-24..2026-01-02"}


def test_a_holiday_reaches_what_the_family_page_plans(
    dee: FlaskClient, ana: FlaskClient, db: sessionmaker[Session], world: World
) -> None:
    with db() as session:
        before = session.get_one(Parent, world.maria).revision
    dee.post("/admin/settings/holidays", data={"own_days": "2025-03-03..2025-03-09", "own_name": "Closed"})
    with db() as session:
        assert session.get_one(Parent, world.maria).revision > before, "everybody is planned anew"
        thread = snapshots.thread_of(session, session.get_one(Parent, world.maria))
    assert len(thread.profile.quiet_dates) == len(thread.profile.no_school) == 1


@pytest.mark.parametrize(
    ("sent", "field", "says"),
    [
        ({}, "own_days", "Tick a day"),
        ({"own_days": "Christmas", "own_name": "x"}, "own_days", "write 2025-03-17"),
        ({"own_days": "2025-12-24"}, "own_name", "a name"),
        ({"own_name": "Closed"}, "own_days", "Write a date"),
        ({"own_days": "2025-01-01..2026-01-01", "own_name": "x"}, "own_days", "At most 31 days"),
    ],
)
def test_a_bad_day_is_named_and_nothing_typed_is_lost(
    dee: FlaskClient, db: sessionmaker[Session], sent: dict[str, str], field: str, says: str
) -> None:
    page = dee.post("/admin/settings/holidays", data={**sent, "pick": "2025-11-27"} if sent else {}).text
    assert says in page.split(f'id="{field}-fault"')[1].split("</p>")[0]
    assert all(f'value="{typed}"' in page for typed in sent.values())
    if sent:
        assert "checked" in page.split('id="pick-2025-11-27"')[1].split(">")[0]
    assert holidays_of(db) == {}


def test_only_an_admin_changes_holidays(ana: FlaskClient, db: sessionmaker[Session]) -> None:
    for url in ("/admin/settings/holidays", "/admin/settings/holidays/remove"):
        assert ana.post(url, data={"own_days": "2025-12-24", "own_name": "x"}).status_code == 403
    assert holidays_of(db) == {}


def test_a_zone_in_no_short_list_stays_when_settings_are_saved(dee: FlaskClient, db: sessionmaker[Session]) -> None:
    with db.begin() as session:
        session.scalars(select(Program)).one().timezone = "America/Boise"
    page = dee.get("/admin/settings").text
    assert 'value="America/Boise" autocomplete' in page
    dee.post("/admin/settings", data={**SETTINGS, "timezone": "America/Boise"})
    with db() as session:
        assert session.scalars(select(Program.timezone)).one() == "America/Boise"
