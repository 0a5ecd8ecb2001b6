"""`python -m nudges`."""

from __future__ import annotations

from nudges.cli import main

main()
