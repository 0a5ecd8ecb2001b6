"""Recognises a thumbs-up on our own text, which phones send as a text that quotes ours.

Without this every heart on a crisis reply would be a new crisis. Only the quoted part is taken out, and only
when we wrote it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# iPhone in English and Spanish, then the form of Google Messages (an emoji, "to", the quote; with zero-width
# marks).
_VERBS = (
    "liked", "loved", "disliked", "laughed at", "emphasized", "questioned", "reacted",
    "removed a like from", "removed a heart from", "removed a dislike from", "removed a laugh from",
    "removed an exclamation from", "removed a question mark from", "removed",
    "le gusto", "le encanto", "no le gusto", "se rio de", "dio enfasis a", "enfatizo", "cuestiono", "pregunto",
    "reacciono", "me gusta", "me encanta", "quito", "elimino",
)  # fmt: skip
_UNEASY = ("questioned", "emphasized", "cuestiono", "enfatizo", "dio enfasis a", "disliked", "no le gusto")
_QUOTED = re.compile(r'["“«]([^"”»]*)["”»]?')
_NOTHING_QUOTED = re.compile(
    r"^(liked|loved|laughed at|emphasized|questioned|disliked) an? (image|video|photo|audio message)\.?$"
)
_LONGEST_LEAD = 60
_LEAST_LIKE = 0.9
_LEAST_WORDS = 3


@dataclass(frozen=True, slots=True)
class Reaction:
    """What is left of the text without our own words, and whether the reaction itself is uneasy (a question
    mark, a thumb down).
    """

    rest: str
    uneasy: bool


def may_be_one(text: str) -> bool:
    """Whether what we sent lately could make a reaction of `text`. A word or two quote nothing."""
    return len(_bag(text)) >= _LEAST_WORDS


def read(text: str, own_texts: Sequence[str]) -> Reaction | None:
    """The reaction in `text`, or None when it is not one, or quotes words that are not ours."""
    plain = _plain(text)
    if _NOTHING_QUOTED.match(plain):
        return Reaction("", plain.startswith(_UNEASY))
    quoted = _QUOTED.search(text)
    if quoted and _is_lead(_plain(text[: quoted.start()])) and _is_ours(quoted.group(1), own_texts):
        return Reaction(text[quoted.end() :].strip(), plain.startswith(_UNEASY))
    if _is_ours(text, own_texts):
        return Reaction("", False)
    return None


def _is_lead(lead: str) -> bool:
    """`Liked`, `Ana reacted 👍 to`, or only an emoji and `to`."""
    if len(lead) > _LONGEST_LEAD:
        return False
    letters = "".join(c for c in lead if c.isalpha() or c == " ").strip()
    return letters in ("to", "a", "") or any(verb in lead for verb in _VERBS)


def _is_ours(quote: str, own_texts: Sequence[str]) -> bool:
    """True when the quote is one of our texts, or its beginning: phones cut long quotes."""
    told = _bag(quote)
    if len(told) < _LEAST_WORDS:
        return False
    return any(_alike(told, _bag(own)) for own in own_texts)


def _alike(quote: Sequence[str], own: Sequence[str]) -> bool:
    if quote[0] != own[0] if own else True:
        return False
    same = sum(1 for a, b in zip(quote, own, strict=False) if a == b)
    return same >= _LEAST_LIKE * len(quote) and len(quote) <= len(own) + 2


@lru_cache(maxsize=1024)
def _bag(text: str) -> tuple[str, ...]:
    return tuple(_plain(text).rstrip(". ").split())


def _plain(text: str) -> str:
    if not text.isascii():
        kept = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in kept if unicodedata.category(c) not in ("Cf", "Mn"))
    return " ".join(text.casefold().split())
