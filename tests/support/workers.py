"""Real processes of the service for tests: started as an operator starts them, killed as no operator would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
# The same commands, with a lease that tests can wait for. The rest of the code sees only a shorter number.
_START = """
import sys
from datetime import timedelta
from nudges.outbound import lanes
lanes.LEASE = timedelta(seconds=float(sys.argv.pop(1)))
from nudges.cli.main import main
main()
"""


class Workers:
    """Starts workers; a context manager that leaves none behind."""

    def __init__(self, environ: Mapping[str, str], *, lease_seconds: float, log_dir: Path) -> None:
        self._environ = {**os.environ, "PYTHONWARNINGS": "default", **environ}
        self._lease_seconds = lease_seconds
        self._log_dir = log_dir
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        with open(self._log_dir / f"worker-{len(self.running)}.log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _START, str(self._lease_seconds), "worker"],
                cwd=ROOT,
                env=self._environ,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.running.append(process)
        return process

    def of(self, owner: str) -> subprocess.Popen[bytes]:
        """The process that a lease names: host:pid:…"""
        pid = int(owner.split(":")[1])
        return next(process for process in self.running if process.pid == pid)

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self._log_dir.glob("worker-*.log")))

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(timeout=10)


Seen = TypeVar("Seen")


def wait_for(look: Callable[[], Seen], *, seconds: float = 60.0, what: str = "it") -> Seen:
    """Look until there is something to see, and return it; fail when there never is."""
    until = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < until, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.02)
    return seen
