"""Finds a Chromium for the browser tests, and installs one where none is: `python -m tests.support.chromium`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def executable() -> str | None:
    """The browser of the machine: CHROMIUM names one, else the usual names. None: Playwright's own."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def playwrights_own() -> bool:
    """Has Playwright downloaded a browser of its own?"""
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    homes = (
        [Path(folder)]
        if folder
        else [Path.home() / ".cache/ms-playwright", Path.home() / "Library/Caches/ms-playwright"]
    )
    return any(home.glob("chromium*") for home in homes if home.exists())


def install() -> int:
    """Get a browser by the machine's packages (as root), else by Playwright."""
    if executable() or playwrights_own():
        return 0
    print("Installing Chromium for the browser tests…")
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        found = subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=False, env=environment)
        if found.returncode == 0 and executable():
            return 0
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    if playwrights_own():
        return 0
    print("No Chromium found. Debian, Ubuntu: apt install chromium. Or set CHROMIUM to a browser's path.")
    return 1


if __name__ == "__main__":
    sys.exit(install())
