"""Every page at the width of a phone and of a desk, light and dark: no fault that axe knows, nothing sticks out."""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Page

from tests.browser.test_story import sign_in

pytestmark = pytest.mark.browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
PAGES = (
    "/families",
    "/families/new",
    "/families/import",
    "/families/1",
    "/families/1/parents/new",
    "/families/1/parents/1/profile",
    "/inbox",
    "/alerts",
    "/alerts/1",
    "/on-call",
    "/admin/sequences",
    "/admin/sequences/TALK",
    "/admin/sequences/TALK/draft",
    "/admin/sequences/TALK/draft/publish",
    "/admin/sequences/TALK/history",
    "/admin/sequences/TALK/versions/1/changes",
    "/sign-off/",
    "/sign-off/TALK",
    "/admin/places",
    "/admin/crisis",
    "/admin/crisis/bench",
    "/admin/crisis/phrases",
    "/admin/crisis/phrases/new",
    "/admin/crisis/versions",
    "/admin/crisis/lines",
    "/admin/crisis/lines/US/suicide",
    "/admin/crisis/replies",
    "/admin/crisis/replies/es/check",
    "/admin/crisis/drill",
    "/admin/staff",
    "/admin/staff/1",
    "/admin/on-call",
    "/admin/settings",
    "/admin/sending",
    "/admin/outbox",
    "/admin/ledger",
    "/account/password",
    "/phone",
)
STICKS_OUT = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


# What a change of scheme can break; axe's other rules read the page, which is the same in both.
COLOURS = ("color-contrast", "link-in-text-block")


@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_has_a_fault(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/phone")
    typing = page.locator("#parent-1-body")
    typing.fill("I want to kill myself")
    typing.press("Enter")
    page.locator("#parent-1-screen").get_by_text("988").first.wait_for()
    faults = [*_faults(page, "/sign-in")]
    sign_in(page, "dee")
    page.wait_for_url("**/families")
    for url in PAGES:
        faults += _faults(page, url)
    assert not faults


def _faults(page: Page, url: str) -> list[str]:
    page.emulate_media(color_scheme="light")
    response = page.goto(url)
    assert response is not None and response.status == 200, url
    page.evaluate(AXE)
    in_light = page.evaluate("axe.run({resultTypes: ['violations'], selectors: false})")["violations"]
    page.emulate_media(color_scheme="dark")
    in_dark = page.evaluate(
        "rules => axe.run({runOnly: rules, resultTypes: ['violations'], selectors: false})", list(COLOURS)
    )["violations"]
    faults = [f"{url}: {v['id']} at {v['nodes'][0]['html'][:120]}" for v in (*in_light, *in_dark)]
    return [*faults, f"{url}: sticks out"] if page.evaluate(STICKS_OUT) else faults
