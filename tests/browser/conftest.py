"""A served app with the demo's people, and a real Chromium in front of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from waitress.server import create_server

from nudges.factory import create_app
from nudges.web import security
from nudges.wiring import Wiring
from tests.support import chromium
from tests.web.conftest import World, wired, world, world_template

__all__ = ["wired", "world", "world_template"]  # the same people as in the page tests


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium.executable(), args=list(chromium.FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def served(wired: Wiring, world: World) -> Iterator[str]:
    """The address of the app, on a free port."""
    app = create_app(wired)
    security.limiter.reset()
    server = create_server(app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.trigger.pull_trigger(server.close)  # in its own thread: a socket that closes under its feet is an error
    thread.join(timeout=5)


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def page(browser: Browser, served: str) -> Iterator[Page]:
    """A page whose console must stay silent."""
    # Still pages: a notice that is half faded in has half its contrast.
    context = browser.new_context(base_url=served, viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert not complaints
