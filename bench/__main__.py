"""Runs every benchmark."""

from __future__ import annotations

from bench import pacing

pacing.main()
