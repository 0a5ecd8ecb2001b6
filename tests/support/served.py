"""`nudges serve` on a port, for tests that kill it: `main(port)` with the settings in the environment."""

from __future__ import annotations

from nudges.cli.main import main as nudges


def main(port: str) -> None:
    nudges(["serve", "--port", port])
