"""The language rules run on one text: normalised, with the negation window, by where a rule applies.

Source: content.md §4.1.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from schedules.lint.findings import Fault
from schedules.lint.rulebook import Rule, rulebook

_LOCK_SCREEN = 60  # characters that a phone shows before it is unlocked
_NEGATION_WINDOW = 28  # characters before a match in which "don't" or "sin" takes it back
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")


@lru_cache(maxsize=8192)
def normalise(text: str) -> str:
    """Lower case without accents (n for n with tilde), straight quotes, single spaces."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(bare.translate(_QUOTES).lower().split())


def faults(
    text: str, lang: str, *, discreet: bool, proactive: bool = True, firm: bool = False, lock_free: bool = False
) -> list[Fault]:
    """Every place where the filled `text` trips a language rule, rule by rule."""
    plain = normalise(text)
    seen = "" if lock_free else plain if discreet else plain[:_LOCK_SCREEN]
    hits = [*_hits(plain, lang, lock=False), *_hits(seen, lang, lock=True)]
    return [
        Fault(
            rule=rule.id,
            words=f"'{tripped}' {rulebook().advise(rule.id).wrong}",
            tripped=tripped,
            severity="warning" if firm and rule.firm_ok else rule.severity,
        )
        for rule, tripped in hits
        if not (rule.where == "proactive" and not proactive) and not (rule.family == "ULTIM" and lock_free)
    ]


@lru_cache(maxsize=16384)
def _hits(plain: str, lang: str, *, lock: bool) -> tuple[tuple[Rule, str], ...]:
    """All matches of the lock-screen rules, or of the others. Kept: an ordinary and a discreet text often agree."""
    return tuple(
        (rule, match.group().strip())
        for rule in rulebook().rules
        if rule.lang == lang and (rule.where == "lock") == lock
        for match in rule.pattern.finditer(plain)
        if not (rule.negatable and _negated(plain, match.start(), lang))
    )


def _negated(plain: str, start: int, lang: str) -> bool:
    sentence = re.split(r"[.!?]", plain[:start])[-1]
    return bool(rulebook().negation[lang].search(sentence[-_NEGATION_WINDOW:]))
