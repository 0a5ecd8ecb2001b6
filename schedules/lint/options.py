"""The digits that a text offers and what stands behind them, listed in lines or in a row.

Source: check ANSWERS of content.md §4.4.
"""

from __future__ import annotations

import re
from itertools import count

from schedules import carrier_words
from schedules.lint.findings import Fault
from schedules.lint.passages import FORMS, Passage
from schedules.lint.rulebook import rulebook
from schedules.lint.words import normalise

_LISTED = re.compile(r"^\s*(\d)[.):=-]?\s+(\S.*)$", re.MULTILINE)
_ASKED = re.compile(r"(?i)\b(?:reply|text|send|responda|escriba|mande|envie) (?:with |con )?(?:a |un )?(\d)\b")
_ASKING = ("checkin", "followup", "gate", "ask")
_FEWEST, _MOST = 2, 5


def options(text: str) -> dict[str, str]:
    """Digit → words of each option, in the order shown; words are empty for "Reply 2 to move it"."""
    listed = {digit: words.strip() for digit, words in _LISTED.findall(text)}
    return listed or _in_a_row(text) or dict.fromkeys(_ASKED.findall(text), "")


def _in_a_row(text: str) -> dict[str, str]:
    """Options such as "1 ok 2 mixed 3 hard": digits that climb from 1, at least two of them."""
    found: list[tuple[str, int, int]] = []
    position = 0
    for number in count(1):
        match = re.compile(rf"(?<![\w:.{{-]){number}[.):=-]?\s+(?=[^\W\d])").search(text, position)
        if match is None:
            break
        found.append((str(number), match.start(), match.end()))
        position = match.end()
    if len(found) < _FEWEST:
        return {}
    ends = [start for _, start, _ in found[1:]] + [len(text)]
    return {digit: text[begin:end].strip(" ,;.") for (digit, _, begin), end in zip(found, ends, strict=True)}


def faults(passage: Passage) -> list[tuple[str, Fault]]:
    """ANSWERS for a passage, with the form that each fault is in."""
    shown = {form: options(passage.form(form)) for form in FORMS if passage.form(form)}
    found = [(form, _carrier(words)) for form, offered in shown.items() for words in offered.values()]
    faults = [(form, fault) for form, fault in found if fault]
    faults += [(form, fault) for form, offered in shown.items() if (fault := _mismatch(passage, form, offered))]
    if passage.kind in _ASKING:
        faults += [(form, fault) for form, offered in shown.items() for fault in _question(offered, form)]
    return faults


def _carrier(words: str) -> Fault | None:
    said = normalise(words).strip(" .,")
    if said not in carrier_words.RESERVED:
        return None
    return Fault(rule="ANSWERS", words=f"'{words}' is a word that carriers or the service read", tripped=words)


def _mismatch(passage: Passage, form: str, offered: dict[str, str]) -> Fault | None:
    """Steps only: what is offered is what has an effect, in the same order."""
    text = passage.form(form)
    if not passage.answers and not (_LISTED.search(text) or _ASKED.search(text)):
        return None  # "1 small step and 2 deep breaths" offers nothing
    is_of_a_step = passage.kind not in ("system", "faq", "reply", "banked")
    if not is_of_a_step or tuple(offered) == passage.answers:
        return None
    wanted, has = ", ".join(passage.answers) or "none", ", ".join(offered) or "none"
    return Fault(rule="ANSWERS", words=f"offers the digits {has}, but the answers are {wanted}")


def _question(offered: dict[str, str], form: str) -> list[Fault]:
    found = []
    if not _FEWEST <= len(offered) <= _MOST:
        found.append(Fault(rule="ANSWERS", words=f"offers {len(offered)} answers; a question has {_FEWEST} to {_MOST}"))
    pattern = rulebook().way_out[form.removeprefix("discreet_")]
    if offered and not any(pattern.search(normalise(words)) for words in offered.values()):
        found.append(Fault(rule="ANSWERS", words="has no way out among its answers, such as 'not yet'"))
    return found
