"""The service's own words to one person: in their language, as discreet as they wish, in the cheap alphabet."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from nudges import languages
from nudges.crisis import replies
from nudges.crisis.replies import Lang
from nudges.families import wording
from nudges.families.snapshots import thread_of
from nudges.inbound import intents
from nudges.inbound.texts import Received
from schedules import render, segments
from schedules.values import Texts, Thread


def system(received: Received, text_id: str, values: Mapping[str, str] | None = None) -> str:
    """A text of library/system.yaml, for whoever wrote. Raises KeyError for an unknown id, MissingValue."""
    return rendered(received, received.deps.library.system[text_id], values or {})


def rendered(received: Received, texts: Texts, values: Mapping[str, str], *, thread: Thread | None = None) -> str:
    """`texts` for the person who wrote, with every placeholder filled. Raises MissingValue."""
    profile = received.sender.profile
    found = {"org": received.sender.program.name, **values}
    if not _placeholders(texts) <= set(found):
        found = {**_family_values(received, thread), **found}
    filled = render.fill(
        texts,
        lang=language(received),
        discreet=profile is not None and profile.discreet,
        values={name: plain(value) for name, value in found.items()},
    )
    return filled.text


def _placeholders(texts: Texts) -> frozenset[str]:
    return frozenset().union(
        *(render.placeholders(text) for text in (texts.en, texts.es, texts.discreet_en, texts.discreet_es))
    )


def _family_values(received: Received, thread: Thread | None) -> dict[str, str]:
    parent = received.sender.parent
    if parent is None:
        return {}
    known = thread if thread is not None else thread_of(received.session, parent)
    return wording.values_for(received.session, parent, known, now=received.now, ideas=received.deps.library.ideas)


def language(received: Received) -> Lang:
    """The language that was agreed on; for a stranger the one they seem to write in."""
    parent = received.sender.parent
    if parent is None:
        return "es" if intents.is_spanish(received.text) else replies.guess_lang(received.text)
    return languages.texts_for(parent.language)


def plain(text: str) -> str:
    """The same words in the cheap alphabet: one accent that it lacks would more than halve what fits."""
    costly = segments.count(text).forced_by
    for char in costly:
        bare = "".join(c for c in unicodedata.normalize("NFKD", char) if c.isascii())
        text = text.replace(char, bare or _CHEAP.get(char, ""))
    return text


_CHEAP = {"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " "}
