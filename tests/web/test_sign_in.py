"""Signing in, out, and changing the password."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from freezegun import freeze_time

from tests.web.conftest import HTMX, PASSWORD, World, signed_in


def sign_in(client: FlaskClient, password: str = PASSWORD, email: str = "ana@clinic.example", **more: str):
    return client.post("/sign-in", data={"email": email, "password": password, **more})


def test_the_right_password_opens_the_families(nobody: FlaskClient) -> None:
    assert sign_in(nobody).location == "/families"
    assert nobody.get("/families").status_code == 200


@pytest.mark.parametrize(
    ("email", "password"),
    [("ana@clinic.example", "wrong"), ("nobody@clinic.example", PASSWORD), ("", "")],
    ids=["wrong password", "no such account", "empty"],
)
def test_a_wrong_sign_in_says_the_same_whatever_was_wrong(nobody: FlaskClient, email: str, password: str) -> None:
    page = sign_in(nobody, password, email).text
    assert "do not match an active account" in page
    assert nobody.get("/families").status_code == 302


def test_after_eight_wrong_passwords_the_right_one_has_to_wait(nobody: FlaskClient) -> None:
    for _ in range(8):
        assert sign_in(nobody, "wrong").status_code == 200
    assert sign_in(nobody).status_code == 429
    assert sign_in(nobody, email="ben@clinic.example").status_code == 303, "others are not locked out"


@pytest.mark.parametrize(
    ("target", "lands"),
    [
        ("/alerts", "/alerts"),
        ("https://evil.example/", "/families"),
        ("//evil.example/", "/families"),
        ("/\\evil.example", "/families"),
    ],
)
def test_a_sign_in_leads_back_but_never_away(nobody: FlaskClient, target: str, lands: str) -> None:
    assert sign_in(nobody, next=target).location == lands


def test_signing_out_ends_the_session(ana: FlaskClient) -> None:
    ana.post("/sign-out")
    assert ana.get("/families").status_code == 302


def test_a_new_password_ends_other_sessions_and_keeps_this_one(app: Flask, world: World) -> None:
    here, elsewhere = signed_in(app, world.ana), signed_in(app, world.ana)
    data = {"current": PASSWORD, "new": "four calm words here", "again": "four calm words here"}
    assert here.post("/account/password", data=data).status_code == 303
    assert here.get("/families").status_code == 200
    assert elsewhere.get("/families").status_code == 302
    assert sign_in(app.test_client(), "four calm words here").status_code == 303


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"current": "wrong", "new": "four calm words here", "again": "four calm words here"}, "present password"),
        ({"current": PASSWORD, "new": "short", "again": "short"}, "12 characters"),
        ({"current": PASSWORD, "new": "four calm words here", "again": "other"}, "differ"),
    ],
    ids=["wrong present one", "too short", "two that differ"],
)
def test_a_bad_new_password_changes_nothing(app: Flask, ana: FlaskClient, data: dict[str, str], says: str) -> None:
    assert says in ana.post("/account/password", data=data).text
    assert sign_in(app.test_client()).status_code == 303


def test_a_fragment_for_nobody_sends_the_whole_page_to_the_sign_in(nobody: FlaskClient) -> None:
    response = nobody.get("/alerts/banner", headers=HTMX)
    assert response.status_code == 200
    assert response.headers["HX-Redirect"] == "/sign-in"


def test_a_page_left_open_overnight_asks_for_the_password(nobody: FlaskClient) -> None:
    # The cookie's age is read by Flask itself, so the clock here is the machine's.
    with freeze_time("2025-03-03T08:00:00Z") as machine:
        sign_in(nobody)
        for _ in range(3):  # somebody who works is not thrown out
            machine.tick(timedelta(hours=11))
            assert nobody.get("/families").status_code == 200
        machine.tick(timedelta(hours=12, seconds=2))
        assert nobody.get("/families").location == "/sign-in?next=/families"
