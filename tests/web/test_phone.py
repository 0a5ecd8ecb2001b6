"""The simulated phones: typing goes through the real door, moving the clock skips nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from nudges.channels.registry import PROVIDERS
from nudges.db import blind_index
from nudges.factory import create_app
from nudges.models.family import Parent
from nudges.models.messages import Inbound, Outbox, SimulatedText
from nudges.models.program import Program
from nudges.wiring import Wiring
from tests.web.conftest import HTMX, MONDAY, World


def texts_on(db: sessionmaker[Session], number: str = "+13125550142") -> list[str]:
    """What a phone shows, oldest first."""
    mine = select(SimulatedText).where(SimulatedText.phone_index == blind_index(number))
    with db() as session:
        return [text.body for text in session.scalars(mine.order_by(SimulatedText.id))]


def test_the_page_shows_parents_the_person_on_call_and_a_stranger(nobody: FlaskClient) -> None:
    page = nobody.get("/phone").text
    assert all(name in page for name in ("Maria Lopez", "Joy Adams", "Dee", "Somebody new"))


def test_there_is_no_such_page_with_a_real_channel(wired: Wiring) -> None:
    real = replace(wired, settings=replace(wired.settings, provider=PROVIDERS["twilio"]))
    app = create_app(real)
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    assert client.get("/phone").status_code == 404
    assert client.post("/phone/clock", data={"by": "day"}).status_code == 404


def test_outside_the_demo_it_is_for_admins(
    nobody: FlaskClient, ana: FlaskClient, dee: FlaskClient, db: sessionmaker[Session]
) -> None:
    with db.begin() as session:
        session.scalars(select(Program)).one().is_demo = False
    assert nobody.get("/phone").status_code == 302
    assert ana.get("/phone").status_code == 403
    assert dee.get("/phone").status_code == 200


def test_the_next_text_arrives_and_its_ticks_follow(nobody: FlaskClient, db: sessionmaker[Session]) -> None:
    nobody.post("/phone/clock", data={"by": "next"})
    assert any("you are signed up" in body for body in texts_on(db))
    nobody.post("/phone/clock", data={"by": "hour"})
    with db() as session:
        assert session.scalars(select(Outbox.status).order_by(Outbox.id)).first() == "delivered"


def test_a_typed_text_is_handled_like_a_real_one(nobody: FlaskClient, db: sessionmaker[Session], world: World) -> None:
    nobody.post(f"/phone/parent-{world.maria}/texts", data={"body": "STOP"})
    with db() as session:
        assert session.get_one(Parent, world.maria).status == "opted_out"
        assert session.scalars(select(Inbound.handled_as)).one().endswith("opt_out")
    typed, answered = texts_on(db)
    assert typed == "STOP" and "STOP" not in answered.split()[:1]


def test_a_stranger_is_heard_too(nobody: FlaskClient, db: sessionmaker[Session]) -> None:
    nobody.post("/phone/unknown/texts", data={"body": "my son took all his pills"})
    assert "911" in texts_on(db, "+13125550199")[1]


@pytest.mark.parametrize("slot", ["parent-999", "staff-999", "parent-x", "lane-1", "parent-"])
def test_a_phone_that_is_not_on_the_page_cannot_text(nobody: FlaskClient, slot: str) -> None:
    assert nobody.post(f"/phone/{slot}/texts", data={"body": "hi"}).status_code == 404


def test_a_day_is_lived_through_and_not_jumped(
    nobody: FlaskClient, db: sessionmaker[Session], wired: Wiring, world: World
) -> None:
    nobody.post("/phone/clock", data={"by": "day"})
    assert wired.clock.now() >= MONDAY + timedelta(days=1)
    with db() as session:
        sent = session.scalars(select(Outbox).where(Outbox.parent_id == world.maria).order_by(Outbox.id)).all()
    assert [row.step_id for row in sent][:2] == ["ON-1", "ON-2"]
    for row in sent:
        assert row.attempted_at - row.not_before < timedelta(minutes=1), "each left at its own moment"


@pytest.mark.parametrize("by", ["", "-1", "year", "1e9"])
def test_the_clock_moves_only_by_its_buttons(nobody: FlaskClient, wired: Wiring, by: str) -> None:
    assert nobody.post("/phone/clock", data={"by": by}).status_code == 400
    assert wired.clock.now() - MONDAY < timedelta(minutes=1)


def test_the_screens_are_sent_again_only_when_something_changed(nobody: FlaskClient, world: World) -> None:
    first = nobody.get("/phone/screens", headers=HTMX).text
    seen = first.split("seen=")[1].split('"')[0]
    assert nobody.get(f"/phone/screens?seen={seen}", headers=HTMX).status_code == 204
    nobody.post(f"/phone/parent-{world.maria}/texts", data={"body": "hello"}, headers=HTMX)
    again = nobody.get(f"/phone/screens?seen={seen}", headers=HTMX)
    assert again.status_code == 200 and "hello" in again.text and "hx-swap-oob" in again.text
