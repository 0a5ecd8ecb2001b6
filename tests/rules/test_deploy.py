"""The recipes to deploy: the Dockerfile is performed in a clean virtualenv; compose and units name what is there."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from nudges.cli.main import COMMANDS
from nudges.upkeep.examining import SETTINGS
from tests.conftest import ROOT

UNITS = sorted((ROOT / "deploy").glob("*.service"))
KNOWN = {name for name, _, _ in SETTINGS} | {f"{name}_FILE" for name, _, _ in SETTINGS}


def steps() -> list[tuple[str, str]]:
    """Instruction and rest of each line of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in lines]


def registry_answers() -> bool:
    index = os.environ.get("PIP_INDEX_URL") or os.environ.get("UV_INDEX_URL") or "https://pypi.org/simple"
    try:
        urllib.request.urlopen(index.rstrip("/") + "/click/", timeout=10).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


def test_the_image_is_slim_pinned_and_runs_as_nobody_special():
    found = steps()
    assert all("slim" in rest for name, rest in found if name == "FROM")
    installs = [rest for name, rest in found if name == "RUN" and "pip install" in rest]
    assert installs and all("--require-hashes" in rest for rest in installs)
    last_user = [index for index, (name, _) in enumerate(found) if name == "USER"][-1]
    assert found[last_user][1] == "nudges"
    assert all(name not in ("RUN", "COPY") for name, _ in found[last_user:]), "nothing is made after the user is set"
    assert any(name == "HEALTHCHECK" and "/healthz" in rest for name, rest in found)


def test_everything_that_is_copied_is_there_and_not_ignored():
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    for name, rest in steps():
        if name == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists() and f"!{source}" in ignore, source


def test_the_dockerfiles_steps_make_a_service_that_answers(tmp_path):
    """FROM is this Python, /srv is a folder of ours, useradd is left out; every other step is done as it is written."""
    if not registry_answers():
        pytest.skip("no package registry can be reached from here: the pinned requirements cannot be installed")
    srv = tmp_path / "srv"
    work = srv / "nudges"
    work.mkdir(parents=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    environment |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
    for name, rest in steps():
        rest = rest.replace("/srv/", f"{srv}/")
        if name == "ENV":
            for pair in shlex.split(rest):
                key, _, value = pair.partition("=")
                environment[key] = value.replace("$PATH", environment["PATH"])
        elif name == "COPY" and "--from" not in rest:
            copy(rest.split(), work)
        elif name == "RUN":
            perform(rest, work, environment)
    command = json_of("ENTRYPOINT") + ["migrate"]
    subprocess.run(command, cwd=work, env=environment, check=True, capture_output=True, timeout=300)
    listed = subprocess.run(
        [*json_of("ENTRYPOINT"), "--help"], cwd=work, env=environment, check=True, capture_output=True
    )
    assert b"serve" in listed.stdout
    answer(work, environment)


def json_of(instruction: str) -> list[str]:
    return json.loads(next(rest for name, rest in steps() if name == instruction))


def copy(words: list[str], work: Path) -> None:
    for source in words[:-1]:
        target = work / source
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)


def perform(command: str, work: Path, environment: dict[str, str]) -> None:
    if command.startswith("useradd"):
        return
    command = re.sub(r"^python -m venv (\S+)", rf"{shlex.quote(sys.executable)} -m venv \1", command)
    # uv does in seconds what pip does in minutes, from the same file with the same hashes.
    command = re.sub(
        r"(\S+/python) -m pip install .*--require-hashes -r requirements.txt",
        rf"{shlex.quote(sys.executable)} -m uv pip install -q --python \1 --require-hashes -r requirements.txt",
        command,
    )
    done = subprocess.run(command, shell=True, cwd=work, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"


def answer(work: Path, environment: dict[str, str]) -> None:
    """Start what CMD starts, on a free port, and do what HEALTHCHECK does."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [*json_of("ENTRYPOINT"), *json_of("CMD"), "--port", port]
    check = json.loads(next(rest for name, rest in steps() if name == "HEALTHCHECK").partition(" CMD ")[2])
    check[-1] = check[-1].replace("8000", port)
    with subprocess.Popen(
        command, cwd=work, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            patience = time.monotonic() + 120
            while time.monotonic() < patience:
                done = subprocess.run(check, cwd=work, env=environment, capture_output=True)
                if done.returncode == 0 or process.poll() is not None:
                    break
                time.sleep(0.5)
            assert done.returncode == 0, (
                process.stderr.read1()[-2000:] if process.poll() is not None else done.stderr[-500:]
            )
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_compose_has_web_worker_and_a_database_with_volumes_and_checks():
    found = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = found["services"]
    assert {"web", "worker", "database"} <= set(services)
    assert services["database"]["healthcheck"] and services["database"]["volumes"]
    assert "worker" in services["worker"]["command"] and services["web"]["volumes"] == services["worker"]["volumes"]
    for name, service in services.items():
        for command in service.get("command", []) if name != "database" else []:
            assert command in COMMANDS, command
        if name != "database":
            assert set(service["environment"]) <= KNOWN, name
            assert set(service["secrets"]) <= set(found["secrets"])
    assert services["web"]["ports"] == ["127.0.0.1:8000:8000"], "a proxy that ends TLS stands before it"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_run_our_commands_without_rights_they_do_not_need(path):
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(path)
    service = unit["Service"]
    assert re.search(r"-m nudges (\S+)", service["ExecStart"])[1] in COMMANDS
    assert service["User"] == "nudges" and service["NoNewPrivileges"] == "true"
    assert service["ReadWritePaths"] == "/srv/nudges/var"


def test_the_backup_timer_names_its_service():
    assert (ROOT / "deploy/nudges-backup.timer").is_file() and (ROOT / "deploy/nudges-backup.service") in UNITS
