"""What `pip install` of this project gives: a wheel that holds everything, and a `nudges` that works from anywhere."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

UV = [sys.executable, "-m", "uv"]
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*UV, "build", "--wheel", "-q", "-o", folder, ROOT], check=True, capture_output=True, timeout=300)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `nudges` command of a clean virtualenv, with what the wheel itself asks for at the pinned versions."""
    venv = tmp_path_factory.mktemp("venv")
    subprocess.run([*UV, "venv", "-q", "--clear", "--python", sys.executable, venv], check=True, timeout=120)
    pinned = ["--constraint", ROOT / "requirements.txt"]
    install = [*UV, "pip", "install", "-q", "--python", venv / "bin/python", *pinned, wheel]
    done = subprocess.run(install, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return venv / "bin/nudges"


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """An environment and a folder that know nothing of this checkout."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PWD": str(tmp_path)}


def run(installed: Path, elsewhere: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [installed, *words],
        cwd=elsewhere["PWD"],
        env=elsewhere,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def test_the_wheel_carries_every_file_of_the_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        carried = set(archive.namelist())
    files = (path for folder in ("nudges", "schedules", "migrations") for path in (ROOT / folder).rglob("*.*"))
    ours = {str(path.relative_to(ROOT)) for path in files if path.is_file() and "__pycache__" not in path.parts}
    assert {re.sub("^migrations/", "nudges/migrations/", name) for name in ours} - carried == set()


def test_the_installed_command_migrates_checks_itself_and_reads_its_own_library(installed, elsewhere):
    migrated = run(installed, elsewhere, "migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert (Path(elsewhere["PWD"]) / "var/nudges.sqlite3").is_file()
    examined = run(installed, elsewhere, "doctor")
    assert examined.returncode == 0, examined.stdout
    assert "ledger" in examined.stdout
    assert run(installed, elsewhere, "lint").returncode == 0


def test_the_installed_service_serves_the_demo_from_another_folder(installed, elsewhere):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [installed, "serve", "--with-demo", "--port", port]
    with subprocess.Popen(
        command, cwd=elsewhere["PWD"], env=elsewhere, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as service:
        try:
            page = first_page(f"http://127.0.0.1:{port}", service)
            style = re.search(r'href="(/static/[^"]+\.css[^"]*)"', page)
            assert style, "the page comes with its styles"
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{style[1]}", timeout=10) as answer:
                assert answer.status == 200
        finally:
            service.terminate()
            service.wait(timeout=30)


def first_page(address: str, service: subprocess.Popen[str]) -> str:
    patience = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < patience:
        try:
            with urllib.request.urlopen(f"{address}/phone", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            if service.poll() is not None:
                break
            time.sleep(0.3)
    service.kill()
    raise AssertionError(f"no page: {service.stdout.read() if service.stdout else ''}")


def test_make_sets_a_fresh_clone_up_says_what_it_does_and_does_it_once(tmp_path):
    for path in ROOT.iterdir():
        if not path.name.startswith(".") and path.name != "var":
            (tmp_path / path.name).symlink_to(path)
    make = ["make", "setup", f"PYTHON={sys.executable}"]
    first = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert first.returncode == 0, first.stderr[-2000:]
    assert "Making a virtualenv" in first.stdout and "packages, each checked against its hash" in first.stdout
    python = tmp_path / ".venv/bin/python"
    done = subprocess.run([python, "-m", "nudges", "migrate"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    again = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0 and "Installing" not in again.stdout
