"""What a parent's short text says to the program: digits, or a service word in either language.

Source: content.md §1.7 (service words). Carrier words (STOP, HELP, START…) are not read here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

WORDS: Mapping[str, tuple[str, ...]] = {
    "PAUSE": ("pause", "pausa", "pausar"),
    "RESUME": ("resume", "seguir", "reanudar"),
    "LESS": ("less", "menos"),
    "MORE": ("more", "mas"),
    "TIME": ("time", "hora"),
    "HARD": ("hard", "dificil"),
    "READY": ("ready", "listo", "lista"),
    "LATER": ("later", "luego", "despues"),
    "MOVE": ("move", "mover", "cambiar"),
    "SESSION": ("session", "cita"),
    "IDEA": ("idea", "ideas"),
    "RESOURCES": ("resources", "resource", "recursos", "recurso"),
    "ENGLISH": ("english", "ingles"),
    "ESPANOL": ("espanol", "spanish"),
    "QUIET": ("quiet", "discreto", "discreta"),
    "PERSON": ("person", "persona"),
    "BREAK": ("break", "descanso"),
}
_BY_FORM = {form: word for word, forms in WORDS.items() for form in forms}
_KEYCAP = "\u20e3"
_DIGITS = re.compile(r"\W*[1-9](?:\W+(?:(?:and|y|e)\W+)?[1-9]|[1-9]{1,3})*\W*")
_LED = re.compile(r"\W*([1-9])\s*[.):,\-]*\s+(\D.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Digits:
    """One or more digits, in the order typed; `rest` are words that followed a single one."""

    digits: tuple[str, ...]
    rest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """A service word, by its English name, with its number (PAUSE 3)."""

    name: str
    number: int | None = None


Read: TypeAlias = Digits | Word | None


def fold(text: str) -> str:
    """Lower case, no accents, no keycaps, single spaces."""
    plain = unicodedata.normalize("NFKD", text.replace(_KEYCAP, "").replace("\ufe0f", ""))
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).casefold().split())


def read(text: str) -> Read:
    """Digits, a service word, or none: then it is a person's words, for a person."""
    folded = fold(text)
    if re.fullmatch(_DIGITS, folded):
        return Digits(digits=tuple(re.findall(r"[1-9]", folded)))
    if match := _LED.fullmatch(folded):
        return Digits(digits=(match[1],), rest=match[2].strip())
    match = re.fullmatch(r"\W*([a-z]+)\W*(\d{1,2})?(?:\s*(?:weeks?|semanas?))?\W*", folded)
    if match and match[1] in _BY_FORM:
        return Word(name=_BY_FORM[match[1]], number=int(match[2]) if match[2] else None)
    return None
