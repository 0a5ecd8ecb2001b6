"""`python -m nudges screen`: JSON lines in, what the crisis screen says out, in the same order."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from nudges import languages
from nudges.crisis import replies
from nudges.crisis.screen import screen as screen_text
from nudges.crisis.values import Level


@click.command("screen")
@click.option(
    "--lang",
    type=click.Choice(["auto", *languages.WRITTEN]),
    default="auto",
    show_default=True,
    help="Language of the reply.",
)
@click.option("--country", default="US", show_default=True, help="Country whose numbers the reply gives.")
def screen(lang: str, country: str) -> None:
    """Screen texts: JSON lines {"text": ...} on stdin, one JSON line each on stdout.

    A line may also carry "recent" (list of texts), "own_texts" (list) and "open_episode" (true or false).
    A line that cannot be read gets {"error": ..., "line": N}, and the rest goes on.
    """
    for number, line in enumerate(sys.stdin, start=1):
        if line.strip():
            click.echo(json.dumps(_answer(line, number, lang, country), ensure_ascii=False))


def _answer(line: str, number: int, lang: str, country: str) -> dict[str, Any]:
    try:
        asked = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        return {"error": f'not JSON ({error}); write {{"text": "..."}}', "line": number}
    if not isinstance(asked, dict) or not isinstance(asked.get("text"), str):
        return {"error": 'needs a "text" that is a string', "line": number}
    if wrong := _wrong_field(asked):
        return {"error": wrong, "line": number}
    text = asked["text"]
    found = screen_text(
        text,
        recent=asked.get("recent", ()),
        own_texts=asked.get("own_texts", ()),
        open_episode=asked.get("open_episode", False),
    )
    chosen = languages.as_written(lang) or replies.guess_lang(text)
    said = None if found.level is Level.ORDINARY else replies.reply(found, lang=chosen, country=country, alerted=False)
    return {"level": found.level, "tier": found.tier, "severity": found.severity, "why": found.why, "reply": said}


def _wrong_field(asked: dict[str, Any]) -> str | None:
    for name in ("recent", "own_texts"):
        value = asked.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return f'"{name}" must be a list of strings'
    if not isinstance(asked.get("open_episode", False), bool):
        return '"open_episode" must be true or false'
    return None
