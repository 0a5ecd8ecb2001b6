"""The answer when nothing else works: no database, no family record, only the words that came in."""

from __future__ import annotations

from datetime import date

from nudges.crisis import replies
from nudges.crisis.screen import screen
from nudges.crisis.values import Level


def stateless_reply(text: str, *, country: str = "US", today: date | None = None) -> str | None:
    """Instructions for a text that shows danger, else None. Says nothing of an alert: nobody could be told."""
    found = screen(text)
    if found.level is Level.ORDINARY:
        return None
    return replies.reply(found, lang=replies.guess_lang(text), country=country, alerted=False, today=today)
