"""`python -m nudges`."""

from __future__ import annotations

from nudges.cli.main import main

main()
