"""What every response and every change goes through."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.web.conftest import World

TEMPLATES = Path(__file__).parents[2] / "nudges/web/templates"
PERSONAL = ("Maria", "Lopez", "5550142")


def test_each_response_has_a_strict_policy(nobody: FlaskClient) -> None:
    policy = nobody.get("/sign-in").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_pages_with_names_are_not_kept_by_shared_computers(ana: FlaskClient) -> None:
    assert ana.get("/families").headers["Cache-Control"] == "no-store"


def test_no_template_has_inline_script_style_or_handlers() -> None:
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text()
        assert "<style" not in text and ' style="' not in text, path.name
        assert " onclick" not in text and "hx-on" not in text and "hx-vals='js" not in text, path.name
        assert text.count("<script ") == text.count("<script src="), path.name


@pytest.mark.parametrize(
    "url",
    ["/sign-in", "/sign-out", "/families/search", "/families/new", "/alerts/1/acknowledge", "/phone/clock"],
)
def test_a_change_without_its_token_is_refused(app: Flask, ana: FlaskClient, url: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    assert ana.post(url, data={"q": "x"}).status_code == 400


def test_webhooks_are_not_asked_for_a_token_but_for_a_signature(app: Flask, nobody: FlaskClient) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    assert nobody.post("/phone/inbound", data={"Body": "hi"}).status_code == 403
    assert nobody.post("/twilio/inbound", data={"Body": "hi"}).status_code == 404, "the channel is the simulated phones"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(nobody: FlaskClient) -> None:
    cookie = nobody.get("/sign-in").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie


def test_titles_and_urls_hold_no_name_and_no_number(ana: FlaskClient, world: World) -> None:
    page = ana.get(f"/families/{world.lopez}")
    title = page.text.split("<title>")[1].split("</title>")[0]
    assert "F-1042" in title
    links = [part.split('"')[0] for part in page.text.split('href="')[1:] if not part.startswith("tel:")]
    assert not [word for word in PERSONAL for text in (title, *links) if word in text]


def test_a_page_that_breaks_logs_where_and_not_what(
    app: Flask, ana: FlaskClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("Maria Lopez wrote from +13125550142")

    monkeypatch.setitem(app.view_functions, "families.index", broken)
    with caplog.at_level(logging.ERROR):
        response = ana.get("/families")
    assert response.status_code == 500
    assert "ValueError" in caplog.text
    assert not [word for word in PERSONAL if word in caplog.text + response.text]
