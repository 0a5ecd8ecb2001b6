"""Processes that are ready at once: one process loads the service, and forks for each one that a test wants to kill.

    with Forks() as forks:
        ended = forks.run("tests.support.dying", "before the call", "20", environ={...})

Loading takes seconds, forking milliseconds. Each fork is a process of its own, with its own connections: nothing but
imported modules is there before it. `python -m tests.support.forks` is the process that forks; it reads one JSON
line for each, and writes one with how it ended.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from nudges.crisis.screen import screen
from tests.support.workers import ROOT

MODULES = ("tests.support.dying", "tests.support.killed", "tests.support.served")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a process ended: its code (minus the signal that killed it), and what it wrote."""

    returncode: int
    output: str


class Forks:
    """Calls `main(*words)` of a module in a process of its own. A context manager that leaves none behind."""

    def __init__(self) -> None:
        # One thread: a library with several would fork only one of them.
        environ = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._loaded = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forks"],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, module: str, *words: str, environ: Mapping[str, str]) -> Ended:
        """Start and wait for its end."""
        pid = self.start(module, *words, environ=environ)
        return self.end_of(pid)

    def start(self, module: str, *words: str, environ: Mapping[str, str]) -> int:
        """Start, and return the process id."""
        return int(self._ask({"module": module, "words": words, "environ": dict(environ)})["pid"])

    def end_of(self, pid: int) -> Ended:
        """Wait for the end of a process that was started."""
        return Ended(**self._ask({"end_of": pid}))

    def _ask(self, question: Mapping[str, object]) -> dict[str, object]:
        assert self._loaded.stdin is not None and self._loaded.stdout is not None
        self._loaded.stdin.write(json.dumps(question) + "\n")
        self._loaded.stdin.flush()
        answer = self._loaded.stdout.readline()
        assert answer, "the process that forks has ended"
        return json.loads(answer)

    def __enter__(self) -> Forks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loaded.stdin is not None and self._loaded.stdout is not None
        self._loaded.stdin.close()  # it kills what still runs, and ends
        self._loaded.stdout.close()
        self._loaded.wait(timeout=60)


def main() -> None:
    for module in MODULES:
        importlib.import_module(module)
    screen("warm up the encoder")
    written: dict[int, str] = {}  # process id → the file that it writes to
    for line in sys.stdin:
        question = json.loads(line)
        if "end_of" in question:
            answer = _end(question["end_of"], written)
        else:
            handle, path = tempfile.mkstemp(prefix="nudges-fork-")
            pid = os.fork()
            if pid == 0:
                _be(question, handle)
            os.close(handle)
            written[pid] = path
            answer = {"pid": pid}
        print(json.dumps(answer), flush=True)
    for pid in list(written):
        os.kill(pid, 9)
        _end(pid, written)


def _end(pid: int, written: dict[int, str]) -> dict[str, object]:
    _, status = os.waitpid(pid, 0)
    path = written.pop(pid)
    with open(path, encoding="utf-8") as file:
        output = file.read()
    os.unlink(path)
    return {"returncode": os.waitstatus_to_exitcode(status), "output": output}


def _be(question: dict[str, object], handle: int) -> None:
    """From here on this is the process that was asked for; it does not come back."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    code = 0
    try:
        os.environ.update(question["environ"])  # type: ignore[call-overload]
        sys.modules[str(question["module"])].main(*question["words"])  # type: ignore[attr-defined]
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
