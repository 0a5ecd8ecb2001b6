"""Enrolling: the form, its faults, what is stored."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker

from nudges.channels.provider import Stage
from nudges.families.snapshots import profile_of
from nudges.models.family import Consent, Family, FamilyStaff, KeyDate, Parent
from nudges.models.library import SignOff
from nudges.models.sequences import Enrollment
from nudges.web.context import WIRING
from nudges.web.counselor.enroll_form import hours_text, week
from nudges.wiring import Wiring
from tests.web.conftest import World

GOOD = {
    "name": "Rosa Diaz",
    "phone": "(312) 555-0177",
    "language": "es",
    "timezone": "America/Denver",
    "role": "resident",
    "age_band": "13-17",
    "dinner_time": "19:00",
    "school_from": "08:00",
    "school_to": "15:15",
    "contact_hours": "mon-fri 10:00-20:00\nsat-sun 12:00-19:00",
    "busy_hours": "mon-fri 09:00-17:30",
    "court_ordered": "no",
    "custody_pattern": "every_day",
    "discreet": "yes",
    "session_1": "2025-03-13T16:00",
    "break_start": "2025-04-01",
    "medium": "phone",
    "agreed": "yes",
    "sequences": ["TALK", "DRIVE"],
}


def stored(db: sessionmaker[Session]) -> Parent:
    with db() as session:
        return next(parent for parent in session.scalars(select(Parent)) if parent.name == "Rosa Diaz")


def test_one_form_enrolls_a_family_with_everything(ana: FlaskClient, db: sessionmaker[Session], world: World) -> None:
    response = ana.post("/families/new", data=GOOD)
    parent = stored(db)
    assert response.location == f"/families/{parent.family_id}"
    assert parent.phone == "+13125550177" and parent.language == "es" and parent.status == "active"
    assert parent.profile["contact_hours"] == {"mon-fri": ["10:00-20:00"], "sat-sun": ["12:00-19:00"]}
    assert parent.profile["discreet"] is True and "bedtime_school" not in parent.profile
    with db() as session:
        assert session.get(Family, parent.family_id).code == "F-1044"
        assert session.get(FamilyStaff, (parent.family_id, world.ana)) is not None
        consent = session.scalars(select(Consent).where(Consent.parent_id == parent.id)).one()
        assert (consent.medium, consent.staff_id, consent.language) == ("phone", world.ana, "es")
        running = session.scalars(select(Enrollment.sequence_key).where(Enrollment.parent_id == parent.id))
        assert set(running) == {"ONBOARD", "TALK", "DRIVE"}
        dates = session.scalars(select(KeyDate).where(KeyDate.parent_id == parent.id)).all()
        # Wall time in Denver: 16:00 is 22:00 UTC after the clock change of 9 March.
        assert {(d.kind, d.at.isoformat()) for d in dates} == {
            ("session", "2025-03-13T22:00:00+00:00"),
            ("break_start", "2025-04-01T06:00:00+00:00"),
        }


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"name": ""}, "name", "Write the parent"),
        ({"phone": "12"}, "phone", "area code"),
        ({"phone": "312 555 0142"}, "phone", "enrolled already"),
        ({"agreed": ""}, "agreed", "own yes"),
        ({"medium": "text"}, "medium", "how they agreed"),
        ({"timezone": "Mars/Base"}, "timezone", "no time zone"),
        ({"dinner_time": "late"}, "dinner_time", "HH:MM"),
        ({"school_to": ""}, "school_hours", "both times"),
        ({"contact_hours": "someday 09:00-10:00"}, "contact_hours", "no day"),
        ({"busy_hours": "mon 9-5"}, "busy_hours", "HH:MM"),
        ({"custody_pattern": "2-2-3"}, "custody", "anchor_date"),
        ({"session_1": "soon"}, "session_1", "date and time"),
        ({"code": "F-1042"}, "code", "already"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_fault_stands_beside_its_field_and_nothing_typed_is_lost(
    ana: FlaskClient, db: sessionmaker[Session], changes: dict[str, str], field: str, says: str
) -> None:
    page = ana.post("/families/new", data={**GOOD, **changes}).text
    fault = page.split(f'id="{field}-fault"')[1].split("</p>")[0]
    assert says in fault
    for typed in ("19:00", "mon-fri 09:00-17:30" if field != "busy_hours" else "mon 9-5", 'value="2025-04-01"'):
        if typed != "19:00" or field != "dinner_time":
            assert typed in page
    with db() as session:
        assert session.query(Family).count() == 2, "nothing of a faulty form is stored"


def test_all_faults_show_at_once(ana: FlaskClient) -> None:
    page = ana.post("/families/new", data={**GOOD, "name": "", "phone": "", "agreed": "", "dinner_time": "x"}).text
    assert "A few things need a look" in page
    assert all(f'id="{field}-fault"' in page for field in ("name", "phone", "agreed", "dinner_time"))


def test_the_wording_that_is_agreed_to_is_shown_with_its_version(ana: FlaskClient) -> None:
    page = ana.get("/families/new").text
    assert "Family Support: support texts for parents" in page
    assert "Wording 20" in page


def test_a_second_parent_joins_the_same_family(ana: FlaskClient, db: sessionmaker[Session], world: World) -> None:
    ana.post(f"/families/{world.lopez}/parents/new", data=GOOD)
    assert stored(db).family_id == world.lopez


def test_a_profile_comes_back_as_it_was_typed_and_changes(ana: FlaskClient, db: sessionmaker[Session]) -> None:
    ana.post("/families/new", data=GOOD)
    parent = stored(db)
    url = f"/families/{parent.family_id}/parents/{parent.id}/profile"
    page = ana.get(url).text
    assert "mon-fri 09:00-17:30" in page and 'value="19:00"' in page
    ana.post(url, data={**GOOD, "busy_hours": "", "dinner_time": "", "language": "en"})
    changed = stored(db)
    assert "busy_hours" not in changed.profile
    assert profile_of(changed).dinner_time == (None,) * 7, "no fixed dinner, not the default one"
    assert changed.language == "en"


@pytest.mark.parametrize(
    ("typed", "stored_as"),
    [
        ("mon-fri 09:00-17:30", {"mon-fri": ["09:00-17:30"]}),
        ("sat: 10:00-11:00, 12:00-13:00", {"sat": ["10:00-11:00", "12:00-13:00"]}),
        ("09:00-20:00", {"default": ["09:00-20:00"]}),
        ("daily 09:00-20:00", {"default": ["09:00-20:00"]}),
        ("mon 09:00–10:00; tue 11:00-12:00", {"mon": ["09:00-10:00"], "tue": ["11:00-12:00"]}),
    ],
)
def test_hours_are_read_as_people_write_them(typed: str, stored_as: dict[str, list[str]]) -> None:
    assert week(typed) == stored_as
    assert week(hours_text(stored_as)) == stored_as


REAL = Stage(production=True, is_rehearsal=False)


def test_in_production_nobody_is_enrolled_before_the_replies_to_danger_are_signed(
    app: Flask, ana: FlaskClient, wired: Wiring, db: sessionmaker[Session]
) -> None:
    with db.begin() as session:
        session.execute(delete(SignOff))
    app.extensions[WIRING] = replace(wired, settings=replace(wired.settings, stage=REAL))
    refused = ana.post("/families/new", data=GOOD).get_data(as_text=True)
    assert "before the replies to danger are signed off" in refused and "Rosa Diaz" in refused, "nothing typed is lost"
    app.extensions[WIRING] = wired
    assert ana.post("/families/new", data={**GOOD, "sequences": ["TALK"]}).status_code == 303, "a trial may go on"
