"""Reads the answer to "reply SAFE or NOT SAFE". Anything but a clear yes counts against safety."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nudges.crisis import rulebook

SafetyAnswer = Literal["safe", "not_safe", "unsure"]

_NOT_SAFE = frozenset(
    (
        "not safe",
        "no",
        "n",
        "unsafe",
        "nope",
        "no seguro",
        "no segura",
        "no seguros",
        "not",
        "no safe",
        "nada seguro",
        "no estoy seguro",
        "nah",
        "notsafe",
        "nosafe",
        "noseguro",
        "un safe",
        "not yet",
        "no yet",
        "todavia no",
        "aun no",
        "mal",
        "muy mal",
        "todo mal",
        "bad",
        "not good",
    )
)
_SAFE = frozenset(
    ("safe", "yes", "y", "yes safe", "ok", "okay", "seguro", "segura", "seguros", "si", "all safe", "everyone safe",
     "everyone is safe", "fine", "all good", "bien", "todos bien", "a salvo", "todo bien")
)  # fmt: skip
_UNSURE = frozenset(
    (
        "not really",
        "i do not know",
        "not sure",
        "maybe",
        "no se",
        "mas o menos",
        "tal vez",
        "quizas",
        "kind of",
        "unsure",
    )
)
_FILLER = frozenset(
    "we are i am is it now thanks thank you everybody estamos estoy esta yes si gracias ahora "
    "here at home she he they".split()
)
_NEGATIVE = frozenset("not no unsafe never nunca ni nobody none nadie tampoco".split())
_WELL = frozenset("safe seguro segura seguros seguras salvo bien ok okay fine good well".split())
_ASKING = frozenset(("is", "are", "am"))  # "is he safe" is a question of theirs
# A yes with one of these behind it is none: "safe now but he left", "safe i think", "hardly safe".
_HEDGES = frozenset(
    "but though maybe think guess hope hopefully probably hardly barely almost far kinda kind sort ish until unless if "
    "except for pero aunque creo quizas casi apenas tal vez mientras por espero".split()
)


def read_safety_answer(text: str) -> SafetyAnswer | None:
    """`safe`, `not_safe` or `unsure` (also for a bare number); None when the text says something else."""
    words = [w for w in rulebook.load().fold(text).words if w[0].isalnum()]
    said = " ".join(words)
    if not words or len(words) > 8:
        return None
    if said in _UNSURE or all(w.isdigit() for w in words):
        return "unsure"
    if said in _NOT_SAFE:
        return "not_safe"
    if said in _SAFE and "?" not in text:
        return "safe"
    return _of_clause(words, is_asked="?" in text)


def _of_clause(words: Sequence[str], *, is_asked: bool) -> SafetyAnswer | None:
    core, is_about_safety = " ".join(w for w in words if w not in _FILLER), not _WELL.isdisjoint(words)
    if core in _UNSURE:
        return "unsure"
    if core in _NOT_SAFE or (is_about_safety and not _NEGATIVE.isdisjoint(words)):
        return "not_safe"
    if is_about_safety and (is_asked or words[0] in _ASKING or not _HEDGES.isdisjoint(words)):
        return "unsure"
    return "safe" if core in _SAFE else None
