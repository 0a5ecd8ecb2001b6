"""The texts that answer danger: instructions first, two message parts at most, nothing of what the parent
wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, Literal

import yaml

from nudges.crisis import rulebook
from nudges.crisis.values import Level, Screening, Tier
from schedules import segments

Lang = Literal["en", "es"]

MOST_UNITS = 306  # two GSM-7 parts
_HERE = Path(__file__).parent
_SPANISH = frozenset(
    "que de la el en mi su se no me un una con por para lo los las le ya si esta es hijo hija "
    "nina nino pero yo todo cuando como "
    "quiere dice muy hoy casa fue tiene al del nos te ella gracias hay voy va esto escuela mama "
    "papa ahora sin porque ayer ayuda "
    "urgente emergencia socorro auxilio".split()
)
_ENGLISH = frozenset(
    "the to and of is in my he she it we they was not for with on at his her have this that you "
    "are but so me no will just said says "
    "son daughter kid today home do be has been out up what when from can all please now school "
    "if them him about".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One help line. `say` is how a reply writes it; `dial` and `text` what a phone needs; dates are None
    when never verified.
    """

    say: str
    say_es: str
    dial: str | None
    text: str | None
    source: str
    verified_on: date | None
    next_review: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """The lines of one country. A country that is not enabled answers with words instead of numbers."""

    enabled: bool
    lines: Mapping[str, Line]


@cache
def countries() -> Mapping[str, Country]:
    """Every country of resources.yaml by its two-letter code."""
    raw = _resources()["countries"]
    return {
        code: Country(enabled=bool(body["enabled"]), lines={n: _line(line) for n, line in body["lines"].items()})
        for code, body in raw.items()
    }


def overdue(today: date) -> tuple[str, ...]:
    """Lines whose review is due, as `US poison`: an admin must call them."""
    return tuple(
        f"{code} {name}"
        for code, country in countries().items()
        for name, line in country.lines.items()
        if country.enabled and (line.next_review is None or line.next_review <= today)
    )


def reply(screening: Screening, *, lang: Lang, country: str = "US", alerted: bool, discreet: bool = False) -> str:
    """The text that answers `screening`; "" for an ordinary text.

    `alerted` must be True only when a page is really queued to somebody on shift. `discreet` is for a phone
    that the wrong person
    may read: it names no kind of danger.
    """
    if screening.level is Level.ORDINARY:
        return ""
    key = "discreet" if discreet else _key(screening)
    return _compose(key, lang, country, _state(lang, alerted))


def here_still(*, lang: Lang, country: str = "US", alerted: bool) -> str:
    """The shorter answer to a second text of the same kind in an open episode."""
    return _compose("here_still", lang, country, _state(lang, alerted))


def help_card(lang: Lang, country: str = "US") -> str:
    """The emergency line that goes with the answer to HELP."""
    return _compose("help_card", lang, country, "")


def safety_check(*, lang: Lang, country: str = "US") -> str:
    """The gentle question of level `check`."""
    return _compose("check", lang, country, _state(lang, False))


def guess_lang(text: str) -> Lang:
    """Spanish when more of its words are Spanish; used only where the parent's language is not on file."""
    words = rulebook.load().fold(text).words
    spanish = sum(1 for w in words if w in _SPANISH) + 2 * sum(1 for c in text if c in "ñ¿¡áéíóúÑÁÉÍÓÚ")
    return "es" if spanish > sum(1 for w in words if w in _ENGLISH) else "en"


def every_text() -> tuple[str, ...]:
    """Every text that this module can write, in every country, language and state."""
    return _every_text()


@cache
def _every_text() -> tuple[str, ...]:
    out: list[str] = []
    for lang in _book():
        for country in (*countries(), "XX"):
            for key in _book()[lang]:
                if key not in ("alerted", "waiting"):
                    out += [
                        _compose(key, lang, country, state) for state in ("", _state(lang, True), _state(lang, False))
                    ]
    return tuple(dict.fromkeys(out))


def for_sign_off(country: str) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Each kind of reply as (label, words), for the clinician who signs it off: on shift and off, in both languages."""
    states = (("somebody is on shift", True), ("nobody is", False))
    return {
        key: tuple(
            (f"{name}, {label}", _compose(key, lang, country, "" if key == "help_card" else _state(lang, alerted)))
            for lang, name in (("en", "English"), ("es", "Spanish"))
            for label, alerted in states
        )
        for key in _book()["en"]
        if key not in ("alerted", "waiting")
    }


def _key(screening: Screening) -> str:
    if screening.level is Level.CHECK:
        return "check"
    if screening.severity >= 4 and screening.tier in (None, Tier.SUICIDE_SELFHARM, Tier.UNSAFE_BEHAVIOUR):
        return "emergency"
    return screening.tier.value if screening.tier else "emergency"


def _state(lang: Lang, alerted: bool) -> str:
    return str(_book()[lang]["alerted" if alerted else "waiting"])


def _compose(key: str, lang: Lang, country: str, ending: str) -> str:
    """Sentences of `key` that the country can fill, fewer optional ones until the text fits."""
    says = _says(country, lang)
    lines = [s for s in _book()[lang][key] if _names(s) <= says.keys()]
    while True:
        parts = [s.removeprefix("?").format_map(says) for s in lines]
        text = " ".join([*parts, ending] if ending else parts)
        optional = [s for s in lines if s.startswith("?")]
        if segments.count(text).units <= MOST_UNITS or not optional:
            return text
        lines.remove(optional[-1])


def _says(country: str, lang: Lang) -> dict[str, str]:
    known = countries().get(country)
    if known is None or not known.enabled:
        return {"emergency": str(_resources()["generic"][lang])}
    return {name: line.say_es if lang == "es" else line.say for name, line in known.lines.items()}


def _names(sentence: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(sentence) if field}


def _line(raw: Mapping[str, Any]) -> Line:
    return Line(
        say=str(raw["say"]),
        say_es=str(raw.get("say_es", raw["say"])),
        dial=raw.get("dial"),
        text=raw.get("text"),
        source=str(raw["source"]),
        verified_on=raw["verified_on"],
        next_review=raw["next_review"],
    )


@cache
def _resources() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((_HERE / "resources.yaml").read_text(encoding="utf-8"))
    return loaded


@cache
def _book() -> dict[Lang, dict[str, Any]]:
    loaded: dict[Lang, dict[str, Any]] = yaml.safe_load((_HERE / "replies.yaml").read_text(encoding="utf-8"))
    return loaded
