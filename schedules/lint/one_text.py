"""The checks that need nothing but one text, its language and its kind.

Source: content.md §4.4 (SEG, ACCENT, NAME, PII, SKIP, ONE, CRISIS, NDA, GATE-SILENCE, TEEN).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from schedules import carrier_words, reader, render, segments
from schedules import words as service_words
from schedules.lint.findings import Fault
from schedules.lint.rulebook import rulebook
from schedules.lint.words import normalise

_MOST_PARTS: Final = 2
# Never shorter than the reader's, so that what passes here is not refused there.
_WORST: Final[Mapping[str, Mapping[str, str]]] = {
    "en": reader.WORST_CASE | {f"w{n}": "Wednesday 10:30 pm" for n in range(1, 5)},
    "es": reader.WORST_CASE | {f"w{n}": "miércoles 10:30 pm" for n in range(1, 5)},
}
_CALM_KINDS: Final = ("talk", "gate", "crisis")
_PHONE: Final = re.compile(r"(?<![\d{])\+?\(?\d[\d ().-]{5,}\d")
_SHORTEST_PHONE: Final = 7  # digits
_CAPITAL: Final = re.compile(r"(?<=[a-záéíóúñü,] )[A-ZÁÉÍÓÚÑ][a-záéíóúñü]+(?:'s)?")
_WORD: Final = re.compile(r"[^\W\d_]+")
_SHOUTED: Final = re.compile(r"\b[A-ZÁÉÍÓÚÑ]{2,}\b")
_SERVICE_WORDS: Final = frozenset(
    word.upper() for name, forms in service_words.WORDS.items() for word in (name, *forms)
) | frozenset(word.upper() for word in carrier_words.RESERVED)


def filled(text: str, lang: str) -> str:
    """The text with the longest value in every placeholder; an unknown one counts as twenty letters."""
    return re.sub(r"\{([a-z0-9_]+)\}", lambda m: _WORST[lang].get(m[1], "x" * 20), text)


def length(text: str, lang: str) -> list[Fault]:
    """SEG: at most two parts on the longest values; ACCENT: letters that halve the room."""
    cost = segments.count(filled(text, lang))
    forced = f"; {' '.join(cost.forced_by)} cost more" if cost.forced_by else ""
    if cost.parts > _MOST_PARTS:
        return [Fault(rule="SEG", words=f"takes {cost.parts} parts of {cost.encoding}, at most {_MOST_PARTS}{forced}")]
    if cost.forced_by:
        words = f"is sent as UCS-2 because of {' '.join(cost.forced_by)}: 134 characters at most"
        return [Fault(rule="ACCENT", words=words, tripped=cost.forced_by[0], severity="warning")]
    return []


def idea_room(text: str) -> list[Fault]:
    """SEG: an idea goes into other texts, which keep so much room for it."""
    room = len(reader.WORST_CASE["idea"])
    if len(text) <= room:
        return []
    return [Fault(rule="SEG", words=f"has {len(text)} characters; an idea has {room} at most")]


def spelling(text: str) -> list[Fault]:
    """ACCENT: Spanish words that are wrong or turn their meaning without the accent they need."""
    plain = re.sub(r"\b[A-ZÑ]{2,}\b", "", re.sub(r"\{\w+\}", "", text))
    hits = (match.group().strip() for pattern in rulebook().bare for match in pattern.finditer(plain))
    return [
        Fault(rule="ACCENT", words=f"'{word}' needs its accent, or another word", tripped=word)
        for word in dict.fromkeys(hits)
    ]


def names(text: str) -> list[Fault]:
    """NAME: placeholders beyond the known ones, and capitalised words that nobody knows."""
    unknown = sorted(render.placeholders(text) - set(render.PLACEHOLDERS))
    found = [Fault(rule="NAME", words=f"{{{name}}} is no placeholder", tripped=name) for name in unknown]
    known, allowed = rulebook().words["first_names"], rulebook().words["capitals_ok"]
    capitals = [word for word in _WORD.findall(text) if normalise(word).capitalize() in known and word[0].isupper()]
    capitals += [match.group().removesuffix("'s") for match in _CAPITAL.finditer(text)]
    suspects = [word for word in dict.fromkeys(capitals) if word not in allowed]
    return found + [Fault(rule="NAME", words=f"'{word}' may be a name", tripped=word) for word in suspects]


def private(text: str) -> list[Fault]:
    """PII: phones but for the verified lines, links, addresses, dates of birth, schools, case numbers."""
    words = rulebook().words
    found = [
        Fault(rule="PII", words=f"'{number}' is a phone number that is no verified line", tripped=number)
        for number in (match.group() for match in _PHONE.finditer(text))
        if number not in words["verified_lines"] and len(re.sub(r"\D", "", number)) >= _SHORTEST_PHONE
    ]
    hits = ((what, match.group().strip()) for what, pattern in rulebook().private for match in pattern.finditer(text))
    return found + [
        Fault(rule="PII", words=f"'{hit}' looks like {what}", tripped=hit)
        for what, hit in hits
        if hit not in words["links_ok"]
    ]


def one_thing(text: str, *, kind: str, is_firm: bool) -> list[Fault]:
    """ONE: one question at most, and no shouting."""
    found: list[Fault] = []
    if text.count("?") > 1:
        found.append(_warning("ONE", f"asks {text.count('?')} questions, at most one", "?"))
    if "!" in text and (kind in _CALM_KINDS or is_firm):
        found.append(_warning("ONE", "has an exclamation mark", "!"))
    allowed = rulebook().words["shouting_ok"] | _SERVICE_WORDS
    shouted = dict.fromkeys(word for word in _SHOUTED.findall(text) if word not in allowed)
    return found + [_warning("ONE", f"'{word}' is in capitals and no service word", word) for word in shouted]


def skip_marker(text: str, lang: str) -> list[Fault]:
    """SKIP: a talk or a gate says that it is fine to leave it."""
    if rulebook().markers[lang].search(normalise(text)):
        return []
    return [Fault(rule="SKIP", words=rulebook().advise("SKIP").wrong)]


def crisis(text: str, lang: str) -> list[Fault]:
    """CRISIS: the lines come first, without a link, in one part if possible."""
    found = [Fault(rule="CRISIS", words=f"lacks {line}") for line in ("911", "988") if line not in text]
    first = min((text.find(line) for line in ("911", "988") if line in text), default=len(text))
    asked = re.search(r"[?¿]", text)
    if asked and asked.start() < first:
        found.append(Fault(rule="CRISIS", words="asks before it gives the lines", tripped="?"))
    if link := re.search(r"https?://|www\.", text):
        found.append(Fault(rule="CRISIS", words="holds a link", tripped=link.group()))
    parts = segments.count(filled(text, lang)).parts
    if parts == _MOST_PARTS:
        found.append(_warning("CRISIS", "takes two parts; one is better", ""))
    return found


def legal_line(text: str, lang: str) -> list[Fault]:
    """NDA: a legal answer ends by saying that it is none."""
    if normalise(text).rstrip(" .").endswith(rulebook().legal_line[lang]):
        return []
    return [Fault(rule="NDA", words=f"does not end with '{rulebook().legal_line[lang]}'")]


def gate_silence(text: str, lang: str) -> list[Fault]:
    """GATE-SILENCE: nothing says that a gate stayed closed."""
    hit = rulebook().gate_silence[lang].search(normalise(text))
    words = rulebook().advise("GATE-SILENCE").wrong
    return [Fault(rule="GATE-SILENCE", words=f"'{hit.group()}' {words}", tripped=hit.group())] if hit else []


def teen(text: str, lang: str) -> list[Fault]:
    """TEEN: no question about what was said in a session."""
    asked = (question for question in _questions(normalise(text)))
    return [
        _warning("TEEN", rulebook().advise("TEEN").wrong, question.strip())
        for question in asked
        if all(pattern.search(question) for pattern in rulebook().teen[lang])
    ]


def _questions(plain: str) -> Iterator[str]:
    """Questions, and requests to ask the child or to tell us, which ask as well."""
    for sentence in re.findall(r"[^.!?]+[.!?]?", plain):
        if rulebook().teen_asks.search(sentence):
            yield sentence


def _warning(rule: str, words: str, tripped: str) -> Fault:
    return Fault(rule=rule, words=words, tripped=tripped, severity="warning")
