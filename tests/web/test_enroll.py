"""Enrolling: the form, its faults, what is stored."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker

from nudges.channels.provider import Stage
from nudges.families import fields
from nudges.families.hours import hours_text, week
from nudges.families.snapshots import profile_of
from nudges.models.family import Consent, Family, FamilyStaff, KeyDate, Parent
from nudges.models.library import SignOff
from nudges.models.safety import LedgerEntry
from nudges.models.sequences import Enrollment
from nudges.web.context import WIRING
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
    "school_hours": "08:00-15:15",
    "contact_hours": "mon-fri 10:00-20:00\nsat-sun 12:00-19:00",
    "busy_hours": "mon-fri 09:00-17:30",
    "court_ordered": "no",
    "custody": "every_day",
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
        ({"school_hours": "08:00"}, "school_hours", "HH:MM-HH:MM"),
        ({"contact_hours": "someday 09:00-10:00"}, "contact_hours", "no day"),
        ({"busy_hours": "mon 9-5"}, "busy_hours", "HH:MM"),
        ({"custody": "2-2-3"}, "custody", "anchor_date"),
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


def test_a_day_without_hours_says_so() -> None:
    assert hours_text({"default": ["09:00-20:00"], "sun": []}) == "daily 09:00-20:00\nsun none"
    assert week("daily 09:00-20:00\nSundays none") == {"default": ["09:00-20:00"], "sun": []}


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


class Fields(HTMLParser):
    """What a browser would send of a form that nobody touched."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sent: dict[str, list[str]] = {}
        self._area: str | None = None
        self._select: tuple[str, list[tuple[str, bool]]] | None = None
        self.feed(html.split("</main>")[0].split("<main")[1])

    def _add(self, name: str | None, value: str) -> None:
        if name:
            self.sent.setdefault(name, []).append(value)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag == "textarea":
            self._area = given["name"]
            self.sent[self._area] = [""]
        elif tag == "select":
            self._select = (given["name"], [])
        elif tag == "option" and self._select:
            self._select[1].append((given["value"], "selected" in given))
        elif tag == "input" and (given.get("type") not in ("checkbox", "radio") or "checked" in given):
            self._add(given.get("name"), _as_typed(given))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self._select:
            name, options = self._select
            self._add(name, next((value for value, chosen in options if chosen), options[0][0]))
            self._select = None
        self._area = None if tag == "textarea" else self._area

    def handle_data(self, data: str) -> None:
        if self._area:
            self.sent[self._area][0] += data.replace("\n", "\r\n")


def _as_typed(given: dict[str, str]) -> str:
    """A browser drops what its own fields for times and days cannot hold."""
    value, form = given.get("value", ""), {"time": r"\d\d:\d\d", "date": r"\d{4}-\d\d-\d\d"}.get(given.get("type", ""))
    return value if form is None or re.fullmatch(form, value) else ""


FULL = {
    "timezone": "America/Boise",
    "age_band": "9-12",
    "discreet": "true",  # as the core stores it after a QUIET
    "dinner_time": {"mon-fri": "18:30", "sat": None},
    "bedtime_school": "7:45",
    "contact_hours": {"default": ["09:00-12:00", "13:00-20:00"], "sun": []},
    "activities": {"tue": "17:00-18:30"},
    "calm_windows": {"sat": ["10:30-12:00"], "sun": ["10:30-12:00"]},
    "quiet_days": ["sun", "2025-04-13..2025-04-20"],
    "no_school": "2025-03-17..2025-03-21",
    "hard_dates": ["2025-05-11"],
    "custody": {"pattern": "2-2-3", "anchor_date": "2025-03-07", "exchange_times": ["fri 18:00"]},
    "protective_order": False,
    "child_fear": "unknown",
    "stage": "trial",
    "reasons": ["1", "3"],
    "volume": "less",
}


@pytest.mark.parametrize("profile", [FULL, {"timezone": "America/Indiana/Knox"}], ids=["full", "bare"])
def test_the_profile_page_saved_without_a_change_changes_nothing(
    ana: FlaskClient, db: sessionmaker[Session], world: World, profile: dict[str, object]
) -> None:
    with db.begin() as session:
        session.get_one(Parent, world.maria).profile = profile
    url = f"/families/{world.lopez}/parents/{world.maria}/profile"
    sent = Fields(ana.get(url).text).sent
    assert {field.name for field in fields.FIELDS} <= set(sent), "every field is on the page"
    assert ana.post(url, data=sent).status_code == 303
    with db() as session:
        assert session.get_one(Parent, world.maria).profile == profile
        acts = session.scalars(select(LedgerEntry.action).where(LedgerEntry.parent_id == world.maria)).all()
    assert "profile.changed" not in acts, "nothing changed, so nothing is recorded"


def test_what_a_form_does_not_show_stays_as_it_is(ana: FlaskClient, db: sessionmaker[Session], world: World) -> None:
    with db.begin() as session:
        session.get_one(Parent, world.maria).profile = FULL
    url = f"/families/{world.lopez}/parents/{world.maria}/profile"
    ana.post(url, data={"bedtime_free": "22:15"})
    with db() as session:
        assert session.get_one(Parent, world.maria).profile == {**FULL, "bedtime_free": "22:15"}


def test_the_days_that_families_really_have_are_entered_on_the_page(
    ana: FlaskClient, db: sessionmaker[Session], world: World
) -> None:
    url = f"/families/{world.lopez}/parents/{world.maria}/profile"
    sent = Fields(ana.get(url).text).sent
    sent |= {
        "quiet_days": ["Sundays\r\n2025-04-13 to 2025-04-20"],
        "no_school": ["2025-03-17..2025-03-21"],
        "hard_dates": ["2025-05-11"],
        "activities": ["tue 5pm-6:30pm"],
        "calm_windows": ["sat 10:30-12:00"],
        "slot_pref": ["16:00"],
        "custody": ["alternate_weeks"],
        "custody_anchor": ["2025-03-07"],
        "exchange_times": ["fri 18:00"],
        "timezone": ["Boise"],
    }
    assert ana.post(url, data=sent).status_code == 303
    with db() as session:
        known = profile_of(session.get_one(Parent, world.maria))
    assert known.quiet_weekdays == {6} and known.quiet_dates[0][0].isoformat() == "2025-04-13"
    assert known.no_school and known.hard_dates and known.activities[1] and known.calm_windows[5]
    assert known.custody.exchange_times[0][0] == 4 and known.timezone == "America/Boise"


def test_a_fault_on_the_profile_page_loses_nothing_that_was_typed(
    ana: FlaskClient, db: sessionmaker[Session], world: World
) -> None:
    url = f"/families/{world.lopez}/parents/{world.maria}/profile"
    sent = Fields(ana.get(url).text).sent | {"quiet_days": ["someday"], "activities": ["tue 17:00-18:00"]}
    page = ana.post(url, data=sent).text
    assert "sun, sat-sun" in page.split('id="quiet_days-fault"')[1].split("</p>")[0]
    assert Fields(page).sent == sent
    with db() as session:
        assert "activities" not in session.get_one(Parent, world.maria).profile


def test_a_colleagues_change_is_not_overwritten_by_a_page_that_was_open(
    ana: FlaskClient, ben: FlaskClient, db: sessionmaker[Session], world: World
) -> None:
    url = f"/families/{world.lopez}/parents/{world.maria}/profile"
    opened = Fields(ana.get(url).text).sent
    ben.post(url, data={"bedtime_school": "21:30", "dinner_time": "17:30"})
    page = ana.post(url, data=opened | {"bedtime_school": ["20:45"]}).text
    assert "Somebody changed this while the form was open: it is “21:30” now" in page
    ana.post(url, data=Fields(page).sent)
    with db() as session:
        profile = session.get_one(Parent, world.maria).profile
    assert (profile["bedtime_school"], profile["dinner_time"]) == ("20:45", "17:30")


def test_a_language_that_the_parent_chose_meanwhile_stays(
    ana: FlaskClient, db: sessionmaker[Session], world: World
) -> None:
    url = f"/families/{world.lopez}/parents/{world.maria}/profile"
    opened = Fields(ana.get(url).text).sent
    with db.begin() as session:
        session.get_one(Parent, world.maria).language = "es"  # their own text said so
    ana.post(url, data=opened | {"bedtime_school": ["20:45"]})
    with db() as session:
        parent = session.get_one(Parent, world.maria)
    assert (parent.language, parent.profile["bedtime_school"]) == ("es", "20:45")


@pytest.mark.parametrize("zone", ["EST", "localtime", "US/Pacific-New", "Etc/GMT+6"])
def test_a_zone_that_is_no_place_is_refused(ana: FlaskClient, dee: FlaskClient, world: World, zone: str) -> None:
    for client, url in (
        (ana, f"/families/{world.lopez}/parents/{world.maria}/profile"),
        (ana, "/families/new"),
        (dee, "/admin/settings"),
    ):
        page = client.post(url, data=Fields(client.get(url).text).sent | {"timezone": zone}).text
        assert "write a place" in page.split('id="timezone-fault"')[1].split("</p>")[0] and f'value="{zone}"' in page


def test_zones_are_offered_by_place_and_by_name(ana: FlaskClient) -> None:
    page = ana.get("/families/new").text
    assert '<option value="America/Boise">Boise — Mountain time' in page
    assert '<option value="EST">' not in page and "localtime" not in page
