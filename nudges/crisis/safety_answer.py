"""Reads the answer to "reply SAFE or NOT SAFE". Anything but a clear yes counts against safety."""

from __future__ import annotations

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
_NEGATIVE = frozenset("not no unsafe never nunca ni".split())


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
    if said in _SAFE:
        return "safe"
    core = " ".join(w for w in words if w not in _FILLER)
    if core in _UNSURE:
        return "unsure"
    if core in _NOT_SAFE or (
        _NEGATIVE.intersection(words) and {"safe", "seguro", "segura", "seguros"}.intersection(words)
    ):
        return "not_safe"
    return "safe" if core in _SAFE else None
