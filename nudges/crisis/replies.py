"""The texts that answer danger: instructions first, two message parts at most, nothing of what the parent
wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from string import Formatter
from typing import NamedTuple

from nudges import languages
from nudges.crisis import resources, rulebook
from nudges.crisis.edition import Edition, in_force
from nudges.crisis.edition import Lang as Lang
from nudges.crisis.resources import Country, Line
from nudges.crisis.values import Level, Screening, Tier
from schedules import segments

MOST_UNITS = 306  # two GSM-7 parts
# Said even when nobody has called them again in time: an old emergency number is better than none.
ALWAYS_SAID = frozenset({"emergency", "suicide"})
STATES = frozenset({"alerted", "waiting"})  # endings, no replies of their own
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


def countries(edition: Edition | None = None) -> Mapping[str, Country]:
    """Every country with its lines, by two-letter code; as published, or as `edition` would have them."""
    return (edition or in_force()).countries


def reply(
    screening: Screening,
    *,
    lang: Lang,
    country: str = "US",
    alerted: bool,
    discreet: bool = False,
    by: Edition | None = None,
    today: date | None = None,
) -> str:
    """The text that answers `screening`; "" for an ordinary text.

    `alerted` must be True only when a page is really queued to somebody on shift. `discreet` is for a phone
    that the wrong person
    may read: it names no kind of danger. `by` is an edition that is only tried. With `today`, lines whose review is
    overdue are left out, but for the emergency and the crisis line.
    """
    if screening.level is Level.ORDINARY:
        return ""
    key = "discreet" if discreet else _key(screening)
    edition = by or in_force()
    return _compose(key, lang, country, _state(lang, alerted, edition), edition, today)


def written(key: str, *, lang: Lang, country: str, alerted: bool, by: Edition) -> str:
    """The reply of this name as `by` would send it. Raises KeyError for a name that there is not."""
    return _compose(key, lang, country, _state(lang, alerted, by), by)


def here_still(*, lang: Lang, country: str = "US", alerted: bool, today: date | None = None) -> str:
    """The shorter answer to a second text of the same kind in an open episode."""
    edition = in_force()
    return _compose("here_still", lang, country, _state(lang, alerted, edition), edition, today)


def guess_lang(text: str) -> Lang:
    """Spanish when more of its words are Spanish; used only where the parent's language is not on file."""
    words = rulebook.load().fold(text).words
    spanish = sum(1 for w in words if w in _SPANISH) + 2 * sum(1 for c in text if c in "ñ¿¡áéíóúÑÁÉÍÓÚ")
    return "es" if spanish > sum(1 for w in words if w in _ENGLISH) else "en"


def every_text(edition: Edition | None = None) -> tuple[str, ...]:
    """Every text that this module can write, in every country, language and state."""
    chosen = edition or in_force()
    return _every_text(_Held(chosen.number, chosen.digest, chosen))


def for_sign_off(country: str) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Each kind of reply as (label, words), for the clinician who signs it off: on shift and off, in both languages."""
    edition = in_force()
    states = (("somebody is on shift", True), ("nobody is", False))
    return {
        key: tuple(
            (
                f"{languages.name_of(lang)}, {label}",
                _compose(key, lang, country, _state(lang, alerted, edition), edition),
            )
            for lang in languages.WRITTEN
            for label, alerted in states
        )
        for key in edition.wording["en"]
        if key not in STATES
    }


class _Held(NamedTuple):
    """An edition as a cache key: equal by number and hash, whatever else it holds."""

    number: int
    digest: str
    edition: Edition

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self[:2] == other[:2]

    def __hash__(self) -> int:
        return hash(self[:2])


@lru_cache(maxsize=8)
def _every_text(held: _Held) -> tuple[str, ...]:
    edition, out = held.edition, list[str]()
    for lang, texts in edition.wording.items():
        states = ("", _state(lang, True, edition), _state(lang, False, edition))
        for country in (*edition.countries, "XX"):
            for key in texts.keys() - STATES:
                out += [_compose(key, lang, country, state, edition) for state in states]
    return tuple(dict.fromkeys(out))


def _key(screening: Screening) -> str:
    if screening.level is Level.CHECK:
        return "check"
    if screening.severity >= 4 and screening.tier in (None, Tier.SUICIDE_SELFHARM, Tier.UNSAFE_BEHAVIOUR):
        return "emergency"
    return screening.tier.value if screening.tier else "emergency"


def _state(lang: Lang, alerted: bool, edition: Edition) -> str:
    return str(edition.wording[lang]["alerted" if alerted else "waiting"])


def _compose(key: str, lang: Lang, country: str, ending: str, edition: Edition, today: date | None = None) -> str:
    """Sentences of `key` that the country can fill, fewer optional ones until the text fits."""
    says = _says(country, lang, edition, today)
    lines = [s for s in edition.wording[lang][key] if _names(s) <= says.keys()]
    while True:
        parts = [s.removeprefix("?").format_map(says) for s in lines]
        text = " ".join([*parts, ending] if ending else parts)
        optional = [s for s in lines if s.startswith("?")]
        if segments.count(text).units <= MOST_UNITS or not optional:
            return text
        lines.remove(optional[-1])


def _says(country: str, lang: Lang, edition: Edition, today: date | None) -> dict[str, str]:
    known = edition.countries.get(country)
    if known is None or not known.enabled:
        return {"emergency": resources.generic()[lang]}
    return {
        name: line.say_es if lang == "es" else line.say
        for name, line in known.lines.items()
        if today is None or name in ALWAYS_SAID or not _is_overdue(line, today)
    }


def _is_overdue(line: Line, today: date) -> bool:
    return line.next_review is None or line.next_review <= today


def _names(sentence: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(sentence) if field}
