"""What the documents tell people to type is typed here, in order, in a scratch copy of the release.

A fence of `sh` is run to its end and must succeed. One of `sh background` is started, must say that it is ready, and is
ended where its section (`##`) ends. `console` and `text` are for reading. Each block finds what earlier ones exported.
Ports and the PostgreSQL server of the text are exchanged for free ones; Twilio is the fake that the text itself starts.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from nudges.channels.registry import PROVIDERS
from nudges.db import make_engine
from nudges.upkeep.examining import SETTINGS
from tests.conftest import ROOT

DOCUMENTS = ("README.md", "docs/quickstart.md", "docs/running.md")
KINDS = {"sh", "sh background", "console", "text"}
READY = re.compile(r"(?:Nudges is at|Fake Twilio on) (http://[\w.:]+\d)|engine is at work")
PATIENCE_SECONDS = 180
PASSWORD = "a password for the documents\n"


@dataclass(frozen=True)
class Block:
    """One fence: the section that it stands in, its kind, its first line in the file, its words."""

    section: str
    kind: str
    line: int
    words: str


def blocks(path: Path) -> list[Block]:
    found, section, opened = [], "", None
    lines: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"\s*```(.*)", line)
        if fence and opened is None:
            opened, lines = (fence[1].strip(), number + 1), []
        elif fence:
            found.append(Block(section, *opened, "\n".join(lines)))
            opened = None
        elif opened is not None:
            lines.append(line.removeprefix("   ") if line.startswith("   ") else line)
        elif line.startswith("## "):
            section = line
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_stands_in_a_block_that_says_what_it_is(name):
    found = blocks(ROOT / name)
    assert found and {block.kind for block in found} <= KINDS
    outside = re.sub(r"(?ms)^\s*```.*?^\s*```$", "", (ROOT / name).read_text(encoding="utf-8"))
    assert not re.search(r"(?m)^\n {4,}\S", outside), "an indented block would not be run"


def test_the_settings_of_the_document_are_those_that_there_are():
    table = (ROOT / "docs/running.md").read_text(encoding="utf-8").partition("## Settings")[2].partition("\n## ")[0]
    told = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])
    }
    theirs = {name for provider in PROVIDERS.values() for name, _ in provider.variables}
    assert told == {name for name, _, _ in SETTINGS} | theirs


@pytest.fixture
def release(tmp_path) -> Path:
    """The checkout as a release would be unpacked, with a virtualenv that `make` finds up to date."""
    release = tmp_path / "release"
    release.mkdir()
    for path in ROOT.iterdir():
        if path.name not in (".git", ".venv", "var") and not path.name.startswith("."):
            (release / path.name).symlink_to(path)
    venv = release / ".venv"
    venv.mkdir()
    for name in ("bin", "lib", "include"):
        (venv / name).symlink_to(Path(sys.prefix) / name)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", venv)
    for kind, requirements in (("runtime", "requirements.txt"), ("dev", "requirements-dev.txt")):
        shutil.copy(ROOT / requirements, venv / f"{kind}.stamp")
    return release


@pytest.fixture
def exchanged(request) -> dict[str, str]:
    """What the text says → what it is here."""
    ports = {f"{number}": str(free_port()) for number in (8000, 9010)}
    return {f"127.0.0.1:{said}": f"127.0.0.1:{here}" for said, here in ports.items()}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@dataclass
class Reader:
    """Somebody who types what a document says."""

    release: Path
    exchanged: dict[str, str]
    background: list[subprocess.Popen[str]] = field(default_factory=list)

    def follow(self, name: str) -> None:
        section = ""
        for block in blocks(ROOT / name):
            if block.section != section:
                self.end_background()
                section = block.section
            where = f"{name}:{block.line}"
            if block.kind == "sh":
                self.run(block, where)
            elif block.kind == "sh background":
                self.start(block, where)

    def run(self, block: Block, where: str) -> None:
        try:
            done = subprocess.run(
                ["bash", "-c", self.script(block)],
                **self.surroundings(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                input=PASSWORD * 8,
                timeout=PATIENCE_SECONDS,
            )
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"{where} does not end: {late.output!r}") from None
        assert done.returncode == 0, f"{where} ends with {done.returncode}:\n{block.words}\n{done.stdout}"

    def start(self, block: Block, where: str) -> None:
        process = subprocess.Popen(
            ["bash", "-c", self.script(block)],
            **self.surroundings(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.background.append(process)
        printed: list[str] = []
        is_ready = threading.Event()
        threading.Thread(target=self.read, args=(process, printed, is_ready), daemon=True).start()
        assert is_ready.wait(PATIENCE_SECONDS) and process.poll() is None, (
            f"{where}:\n{block.words}\n{''.join(printed)}"
        )
        for address in (found[1] for found in map(READY.search, printed) if found):
            if address:
                urllib.request.urlopen(address.replace("0.0.0.0", "127.0.0.1"), timeout=30).close()

    @staticmethod
    def read(process: subprocess.Popen[str], printed: list[str], is_ready: threading.Event) -> None:
        assert process.stdout
        with process.stdout as lines:  # closed here alone, at its end: not under the feet of who still reads
            for line in lines:
                printed.append(line)
                if READY.search(line):
                    is_ready.set()
        is_ready.set()  # it has ended; `start` sees that

    def script(self, block: Block) -> str:
        words = block.words
        for said, here in self.exchanged.items():
            words = words.replace(said, here)
        state = shlex.quote(str(self.release / ".exported"))
        return f"set -euo pipefail\n[ ! -e {state} ] || . {state}\n{words}\nexport -p > {state}\n"

    def surroundings(self) -> dict[str, object]:
        """A small environment, in a group of its own and without a terminal."""
        port, fake = (here.rpartition(":")[2] for here in list(self.exchanged.values())[:2])
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.release.parent),
            "LANG": "C.UTF-8",
            "PORT": port,
            "FAKE_PORT": fake,
            "PYTHONUNBUFFERED": "1",
        }
        return {"cwd": self.release, "env": environment, "text": True, "start_new_session": True}

    def end_background(self) -> None:
        for process in self.background:
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.background:
            process.wait(timeout=40)
        self.background.clear()


@pytest.fixture
def reader(release, exchanged) -> Iterator[Reader]:
    reader = Reader(release, exchanged)
    yield reader
    reader.end_background()


@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md"])
def test_a_newcomer_gets_what_the_document_promises(reader, name):
    reader.follow(name)


def test_an_operator_gets_what_the_document_promises(reader, postgres_server_url):
    server = make_url(postgres_server_url)
    admin = make_engine(postgres_server_url).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE documents"))
    admin.dispose()
    url = server.set(database="documents", drivername="postgresql").render_as_string(hide_password=False)
    reader.exchanged["postgresql://nudges@127.0.0.1/nudges"] = url
    reader.follow("docs/running.md")
