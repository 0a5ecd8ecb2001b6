"""The on-call pages: everybody sees the rota and swaps turns, admins edit it and add ways to page."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from nudges.alerts import acknowledging, holds, on_call
from nudges.db import blind_index
from nudges.models.on_call import RotaOverride, RotaShift, RotaSwap, StaffAddress, StaffDuty, StaffNotice
from nudges.models.program import Staff
from nudges.models.safety import Alert, Hold
from tests.web.conftest import MONDAY, World

CRISIS = "I want to kill myself"
ALWAYS = {
    "turn_role": "first",
    "turn_days": ["0", "1", "2", "3", "4", "5", "6"],
    "turn_start": "08:00",
    "turn_end": "08:00",
}


@pytest.fixture
def phones(db: sessionmaker[Session], world: World) -> None:
    """Ana and Ben can be paged."""
    with db.begin() as session:
        for staff_id, number in ((world.ana, "+13125550171"), (world.ben, "+13125550172")):
            person = session.get_one(Staff, staff_id)
            person.on_call_phone, person.on_call_phone_index = number, blind_index(number)


@pytest.fixture
def rota(dee: FlaskClient, world: World, phones: None) -> None:
    """Ana is first on call, day and night."""
    assert dee.post("/admin/on-call/turns", data={**ALWAYS, "turn_person": str(world.ana)}).status_code == 303


def test_without_a_pattern_the_page_says_that_the_standing_order_counts(ana: FlaskClient) -> None:
    page = ana.get("/on-call").text
    assert "standing order" in page and "Dee" in page


def test_an_admin_sets_turns_and_everybody_sees_them(ana: FlaskClient, dee: FlaskClient, rota: None) -> None:
    for client, url in ((ana, "/on-call"), (dee, "/admin/on-call")):
        page = client.get(url).text
        assert "First on call, the next four weeks" in page and "Ana" in page
        assert "Gap: nobody" not in page


def test_a_gap_is_marked_in_words_and_can_be_filled(
    ben: FlaskClient, dee: FlaskClient, db: sessionmaker[Session], world: World, rota: None
) -> None:
    with db() as session:
        sunday = session.scalars(select(RotaShift.id).where(RotaShift.weekday == 6)).one()
    dee.post(f"/admin/on-call/turns/{sunday}/remove")
    page = ben.get("/on-call").text
    assert "Gap: nobody" in page and "Nobody is first on call" in page
    with db() as session:
        (gap, *_) = on_call.gaps(session, _program(session), since=MONDAY, until=MONDAY + on_call.LOOK_AHEAD)
    ben.post("/on-call/fill", data={"role": "first", "starts_at": gap.starts_at.isoformat()})
    with db() as session:
        assert session.scalars(select(RotaOverride)).one().staff_id == world.ben


def _program(session: Session):  # type: ignore[no-untyped-def]
    return session.get_one(on_call.Program, 1)


def test_a_turn_changes_hands_by_offer_and_acceptance(
    ana: FlaskClient, ben: FlaskClient, db: sessionmaker[Session], world: World, rota: None
) -> None:
    with db() as session:
        turns = on_call.turns_of(session, _program(session), "first", since=MONDAY, until=MONDAY + on_call.LOOK_AHEAD)
    ana.post("/on-call/offer", data={"role": "first", "starts_at": turns[3].starts_at.isoformat()})
    assert "Take this turn" in ben.get("/on-call").text
    with db() as session:
        offer = session.scalars(select(RotaSwap)).one()
    ben.post(f"/on-call/offers/{offer.id}/take")
    with db() as session:
        assert session.scalars(select(RotaOverride)).one().staff_id == world.ben


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"turn_days": []}, "turn_days"),
        ({"turn_start": "25:00"}, "turn_start"),
        ({"turn_person": ""}, "turn_person"),
        ({"turn_role": "boss"}, "turn_role"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_turn_that_cannot_be_comes_back_with_what_is_wrong(
    dee: FlaskClient, db: sessionmaker[Session], world: World, phones: None, changes: dict[str, object], field: str
) -> None:
    page = dee.post("/admin/on-call/turns", data={**ALWAYS, "turn_person": str(world.ana), **changes}).text
    assert f'id="{field}-fault"' in page
    with db() as session:
        assert session.scalars(select(RotaShift)).all() == []


def test_whoever_cannot_be_paged_is_refused_at_the_field(dee: FlaskClient, world: World) -> None:
    page = dee.post("/admin/on-call/turns", data={**ALWAYS, "turn_person": str(world.cal)}).text
    assert "no phone and no address" in page


def test_an_exception_is_in_the_programs_local_time(
    dee: FlaskClient, db: sessionmaker[Session], world: World, rota: None
) -> None:
    data = {
        "exception_role": "first",
        "exception_from": "2025-03-10T09:00",
        "exception_to": "2025-03-10T17:00",
        "exception_person": "0",
    }
    dee.post("/admin/on-call/exceptions", data=data)
    with db() as session:
        row = session.scalars(select(RotaOverride)).one()
        assert (row.starts_at.hour, row.staff_id) == (14, None)  # daylight time since the day before
    assert "Gap: nobody" in dee.get("/on-call").text
    dee.post(f"/admin/on-call/exceptions/{row.id}/cancel")
    assert "Gap: nobody" not in dee.get("/on-call").text


def test_an_address_is_never_shown_again_and_can_be_tested_and_removed(
    dee: FlaskClient, db: sessionmaker[Session], world: World
) -> None:
    url = "json://someone:hunter2@127.0.0.1:9/secret-channel"
    page = dee.post("/admin/on-call/addresses", data={"address_person": "0", "address_url": url}, follow_redirects=True)
    assert "JSON" in page.text
    assert not any(word in page.text for word in ("hunter2", "secret-channel", "127.0.0.1"))
    with db() as session:
        address_id = session.scalars(select(StaffAddress.id)).one()
    dee.post(f"/admin/on-call/addresses/{address_id}/test")
    with db() as session:
        assert session.scalars(select(StaffNotice.kind)).one() == "test"
    dee.post(f"/admin/on-call/addresses/{address_id}/remove")
    assert "None yet." in dee.get("/admin/on-call").text


def test_a_bad_address_is_refused_without_repeating_it(dee: FlaskClient) -> None:
    page = dee.post("/admin/on-call/addresses", data={"address_person": "0", "address_url": "nosuch://secret"}).text
    assert "mailto://" in page and "nosuch://secret" not in page


@pytest.mark.parametrize("path", ["turns", "exceptions", "duties/1", "addresses", "addresses/1/test"])
def test_only_admins_edit_the_rota(ana: FlaskClient, path: str) -> None:
    assert ana.post(f"/admin/on-call/{path}").status_code == 403


def test_duties_are_kept(dee: FlaskClient, db: sessionmaker[Session], world: World) -> None:
    dee.post(f"/admin/on-call/duties/{world.ana}", data={"duties": ["lead", "aftercare"]})
    with db() as session:
        duty = session.get_one(StaffDuty, world.ana)
        assert (duty.is_safeguarding_lead, duty.is_trained_in_aftercare) == (True, True)


# ---------------------------------------------------------------- the alert


@pytest.fixture
def alert_id(nobody: FlaskClient, db: sessionmaker[Session], world: World) -> int:
    nobody.post(f"/phone/parent-{world.maria}/texts", data={"body": CRISIS})
    with db() as session:
        return session.scalars(select(Alert.id).where(Alert.family_id == world.lopez)).one()


def test_an_alert_shows_its_times(ana: FlaskClient, alert_id: int) -> None:
    page = ana.get(f"/alerts/{alert_id}").text
    assert "Text came in" in page and "Reply handed over" in page and "not yet" in page


def test_aftercare_is_offered_on_the_page_only_to_somebody_trained(
    ana: FlaskClient, ben: FlaskClient, dee: FlaskClient, db: sessionmaker[Session], world: World, alert_id: int
) -> None:
    dee.post(f"/admin/on-call/duties/{world.ben}", data={"duties": ["aftercare"]})
    assert "Start aftercare" not in ben.get(f"/alerts/{alert_id}").text
    with db.begin() as session:
        alert = session.get_one(Alert, alert_id)
        acknowledging.resolve(session, alert, world.ana, "in_care", "", MONDAY)
        for hold in session.scalars(select(Hold).where(Hold.released_at.is_(None))):
            holds.release_hold(session, hold, world.dee, "spoke with them", holds.Release(path="resume"), MONDAY)
    assert "Start aftercare" not in ana.get(f"/alerts/{alert_id}").text
    assert "Start aftercare" in ben.get(f"/alerts/{alert_id}").text
    refused = ana.post(f"/alerts/{alert_id}/aftercare", follow_redirects=True).text
    assert "trained in aftercare" in refused
