"""What is stored about a parent, as files that a person and a program can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any, Final

TITLES: Final = {
    "parents": "The parent",
    "consents": "Agreements and withdrawals",
    "key_dates": "Dates",
    "enrollments": "Sequences",
    "step_outcomes": "What became of each step",
    "outbox": "Texts to them",
    "outbox_events": "On the way of these texts",
    "provider_events": "What the carrier reported",
    "inbound": "Texts from them",
    "alerts": "Alerts",
    "alert_events": "What happened to alerts",
    "tasks": "Tasks for staff",
    "ledger": "The record of what was done",
    "simulated_texts": "The simulated phone",
}
_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 2rem 1rem; color: #222; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #ccc; }
dl { display: grid; grid-template-columns: minmax(6rem, auto) 1fr; gap: .15rem 1rem; margin: 0 0 1.2rem; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
"""


def as_json(found: Mapping[str, Any]) -> str:
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def as_page(found: Mapping[str, Any], *, made_at: datetime) -> str:
    """One HTML file that needs nothing beside it."""
    sections = "".join(_section(name, rows) for name, rows in found.items() if name != "family")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>What Nudges keeps about one parent</title><style>{_STYLE}</style></head>\n<body>"
        "<h1>What Nudges keeps about one parent</h1>\n"
        f"<p>Made on {made_at:%Y-%m-%d %H:%M} UTC for family {escape(str(found['family']['code']))}. It holds a name, "
        "a phone number and texts: keep it as you would keep a letter.</p>\n"
        f"{sections}</body></html>\n"
    )


def _section(name: str, rows: list[Mapping[str, Any]]) -> str:
    title = TITLES.get(name, name.replace("_", " ").capitalize())
    return f"<h2>{escape(title)} ({len(rows)})</h2>\n" + "".join(_row(row) for row in rows)


def _row(row: Mapping[str, Any]) -> str:
    shown = ((key, value) for key, value in row.items() if value not in (None, "", {}, []))
    cells = "".join(f"<dt>{escape(key.replace('_', ' '))}</dt><dd>{escape(_words(value))}</dd>" for key, value in shown)
    return f"<dl>{cells}</dl>\n"


def _words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
