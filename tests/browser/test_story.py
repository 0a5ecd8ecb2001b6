"""The whole story, as a newcomer lives it, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import PASSWORD

pytestmark = pytest.mark.browser
expect.set_options(timeout=15_000)  # a busy machine


def sign_in(page: Page, name: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(f"{name}@clinic.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_from_enrolling_to_a_crisis_text_answered(page: Page, shots: Path) -> None:
    sign_in(page, "ana")
    page.get_by_role("link", name="Enroll a family").click()
    page.get_by_label("Name", exact=True).fill("Rosa Diaz")
    page.get_by_label("Mobile number").fill("312 555 0177")
    page.get_by_label("Child's age").select_option("9-12")
    page.get_by_label("First talk, good timing").check()
    page.get_by_label("They have agreed").check()
    page.get_by_role("button", name="Enroll").click()
    expect(page.get_by_role("heading", name="Family F-1044")).to_be_visible()
    expect(page.get_by_text("Planned").first).to_be_visible()

    # The welcome and the first question arrive at once and ten minutes later.
    page.get_by_role("link", name="Their phones").click()
    screen = page.get_by_role("log", name="Texts of Rosa Diaz")
    next_text = page.get_by_role("button", name="To the next text")
    next_text.click()
    expect(screen).to_contain_text("you are signed up for support texts")
    while "Who sees this phone?" not in screen.inner_text():
        next_text.click()
        expect(next_text).to_be_enabled()

    # An answer changes something: a shared phone gets discreet wording from now on.
    phone = page.locator(".phone", has=page.get_by_role("heading", name="Rosa Diaz"))
    phone.get_by_role("button", name="2", exact=True).click()
    expect(screen).to_contain_text("Thank", ignore_case=True)
    page.screenshot(path=shots / "phone.png")

    phone.get_by_label("Text as Rosa Diaz").fill("He says he wants to kill himself")
    phone.get_by_label("Text as Rosa Diaz").press("Enter")
    expect(screen).to_contain_text("988")
    expect(phone.get_by_label("Text as Rosa Diaz")).to_have_value("")

    alert = page.locator("#alerts-banner").get_by_role("link", name=re.compile("F-1044"))
    expect(alert).to_be_visible(timeout=10_000)
    alert.click()
    expect(page.get_by_text("He says he wants to kill himself").first).to_be_visible()
    page.get_by_label("Note", exact=True).first.fill("Calling them now.")
    page.get_by_role("button", name="Acknowledge: I have it").click()
    expect(page.get_by_text("You have it. Paging has stopped.")).to_be_visible()
    expect(page.get_by_text("Calling them now.")).to_be_visible()

    page.get_by_role("link", name="Family F-1044").click()
    expect(page.get_by_text("Held after a crisis text")).to_be_visible()
    expect(page.get_by_text("What their answer changed")).to_be_visible()
    page.screenshot(path=shots / "family.png", full_page=True)


def test_a_fault_in_a_draft_shows_beside_its_line_while_typing(page: Page) -> None:
    sign_in(page, "dee")
    page.goto("/admin/sequences/TALK/draft")
    expect(page.get_by_text("No faults")).to_be_visible()
    editor = page.get_by_label("Sequence as YAML")
    editor.fill(editor.input_value().replace("kind: tip", "kind: shout", 1))
    expect(page.locator("#findings [data-severity=error]")).to_have_count(1, timeout=10_000)
    line = page.locator("#findings [data-line]").first.get_attribute("data-line")
    expect(page.locator("[data-gutter] .error")).to_have_text(str(line))
    page.get_by_role("button", name=f"Line {line}").click()
    expect(editor).to_be_focused()
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text("Saved, with 1 to mend")).to_be_visible()


def test_the_search_finds_while_typing_and_the_url_holds_no_name(page: Page) -> None:
    sign_in(page, "dee")
    page.get_by_label("Search by code, name or number").press_sequentially("maria")
    expect(page.get_by_text("F-1043")).to_have_count(0)
    expect(page.get_by_text("F-1042")).to_be_visible()
    assert "maria" not in page.url


def test_the_keyboard_reaches_the_content_first(page: Page) -> None:
    sign_in(page, "ana")
    page.goto("/families")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Enroll a family")).to_be_focused()
