"""Hours of the week as people write them: `mon-fri 09:00-17:30, 19:00-20:00`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def week(text: str) -> dict[str, list[str]]:
    """Lines such as `mon-fri 09:00-17:30, 19:00-20:00` as the profile keeps them. The core checks the words."""
    found: dict[str, list[str]] = {}
    for line in re.split(r"[\n;]+", text):
        days, _, spans = line.strip().replace("–", "-").partition(" ")
        if not days:
            continue
        if days[0].isdigit():  # hours alone hold for every day
            days, spans = "default", line
        key = "default" if days.lower().rstrip(":") in ("daily", "every", "default") else days.lower().rstrip(":")
        found.setdefault(key, []).extend(
            part.strip().replace("–", "-") for part in spans.removeprefix("day ").split(",") if part.strip()
        )
    return found


def hours_text(stored: Any) -> str:
    """The inverse of `week`."""
    if not isinstance(stored, Mapping):
        return ", ".join(stored or ()) if isinstance(stored, list) else str(stored or "")
    lines = []
    for days, spans in stored.items():
        hours = ", ".join(spans) if isinstance(spans, list) else str(spans or "")
        lines.append(f"{'daily' if days == 'default' else days} {hours}".strip())
    return "\n".join(lines)
