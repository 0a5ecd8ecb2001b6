"""Reading the words by which a parent leaves, joins, comes back or asks for help. Pure; the words are data.

Exact carrier words come first, then a written list of slips, then a small phrase grammar for plain words ("please
stop texting me"). Nothing here is fuzzy: a text that is not understood goes to a person, never to a guess.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml

from schedules import carrier_words

LEXICON = Path(__file__).with_name("lexicon.yaml")

How: TypeAlias = Literal["keyword", "phrase", "typo"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OptOut:
    """The parent wants no more texts. `matched` is the folded word or words that said so."""

    how: How
    matched: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Help:
    """The parent sent the carriers' help word."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Join:
    """Somebody wants to sign up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Somebody who left wants to come back."""


Intent: TypeAlias = OptOut | Help | Join | Start


def read(text: str) -> Intent | None:
    """What the text asks of the service itself; None for everything else (an answer, a service word, a story)."""
    lexicon = _lexicon()
    whole = " ".join(fold(text))
    if not whole:
        return None
    for word in dict.fromkeys((whole, _spelled_out(whole), _unstretched(whole), _bare(whole, lexicon))):
        if (intent := _keyword(word, lexicon)) is not None:
            return intent
    return _phrase(text, lexicon)


def leaves(text: str, in_danger: bool) -> bool:
    """Does this text opt out? In one with danger a word of leaving beside the danger counts too."""
    return isinstance(read(text), OptOut) or (in_danger and leaving_clause(text) is not None)


def is_answered_by_carrier(text: str) -> bool:
    """Whether a carrier's default filter has blocked and answered this text by itself: the bare word only."""
    return text.strip().lower() in carrier_words.CARRIER_OPT_OUT


def is_spanish(text: str) -> bool:
    """Whether the whole text is one of our Spanish words, such as UNIRME: too short for a guess by other means."""
    return " ".join(fold(text)) in carrier_words.SPANISH


def fold(text: str) -> list[str]:
    """The words of a text: lower case, no accents, no apostrophes; emoji and punctuation only separate.

    >>> fold("Ya NO más, ¡gracias! 🙏")
    ['ya', 'no', 'mas', 'gracias']
    """
    flat = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in flat if not unicodedata.combining(c) and c not in _DROPPED)
    return re.findall(r"[a-z0-9]+", kept)


# Apostrophes (so that "don't" is one word) and characters without width, which some phones add.
_DROPPED = frozenset("'’‘ʼ`´\u200b\u200c\u200d\u2060\ufe0f\ufeff\u00ad")


# ---------------------------------------------------------------- whole messages

_OTHERS: Mapping[str, Intent] = {
    **dict.fromkeys(carrier_words.HELP, Help()),
    **dict.fromkeys(carrier_words.JOIN, Join()),
    **dict.fromkeys(carrier_words.START, Start()),
}
# In a dangerous text only words that mean leaving and nothing else.
_LEAVES_IN_DANGER = carrier_words.OPT_OUT - carrier_words.AMBIGUOUS


def _keyword(word: str, lexicon: _Lexicon) -> Intent | None:
    if word in carrier_words.OPT_OUT:
        return OptOut(how="keyword", matched=word)
    if word in lexicon.typos:
        return OptOut(how="typo", matched=word)
    return _OTHERS.get(word)


def _spelled_out(whole: str) -> str:
    """ "s t o p" is one word; every other text stays as it is."""
    words = whole.split()
    return "".join(words) if len(words) > 2 and all(len(w) == 1 for w in words) else whole


def _unstretched(whole: str) -> str:
    """ "stooooop" said once; doubled letters stay, for they are spelling."""
    return re.sub(r"(.)\1{2,}", r"\1", whole)


def _bare(whole: str, lexicon: _Lexicon) -> str:
    """The text without courtesies at its ends. HELP stays exact: "please help" is a plea, not a keyword."""
    words = whole.split()
    while words and words[0] in lexicon.polite:
        words.pop(0)
    while words and words[-1] in lexicon.polite:
        words.pop()
    bare = " ".join(words)
    return "" if isinstance(_OTHERS.get(bare), Help) else bare


# ---------------------------------------------------------------- plain words


def _phrase(text: str, lexicon: _Lexicon) -> OptOut | None:
    unquoted = _without_quotes(text)
    whole = _bare(" ".join(fold(unquoted)), lexicon) + " "
    clauses = [" ".join(words) + " " for part in _CLAUSE_ENDS.split(unquoted) if (words := fold(part))]
    for grammar in lexicon.grammars:
        if match := _first(grammar.whole, whole):
            return OptOut(how="phrase", matched=match)
        for clause in clauses:
            if match := _asked(clause, grammar):
                return OptOut(how="phrase", matched=match)
    return None


_CLAUSE_ENDS = re.compile(r"[.!?;:,\n()…—–]+|\s-\s")
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”|«[^»]*»')


def _without_quotes(text: str) -> str:
    """Reported speech taken out: what the child said is not a request to us. A text that is all quote is kept."""
    rest = _QUOTED.sub(" . ", text)
    return rest if fold(rest) else text


def _first(patterns: Sequence[re.Pattern[str]], text: str) -> str | None:
    found = (pattern.fullmatch(text) for pattern in patterns)
    return next((m[0].strip() for m in found if m), None)


def _asked(clause: str, grammar: _Grammar) -> str | None:
    """The words of a request to stop in this clause, or None.

    Not a request: when somebody else does the texting or the saying, and when only an hour or an amount is meant.
    """
    lead = grammar.lead.match(clause)
    for start in (m.start() for m in re.finditer(r"\S+", clause)):
        patterns = grammar.anywhere if lead is None or start > lead.end() else grammar.opens + grammar.anywhere
        matches = [m for pattern in patterns if (m := pattern.match(clause, start))]
        is_limited = any(grammar.limits.match(clause, m.end()) for m in matches)
        if matches and not is_limited and not grammar.other.search(" " + clause[:start]):
            return matches[0][0].strip()
    return None


# ---------------------------------------------------------------- leaving in the middle of danger


def leaving_clause(text: str) -> OptOut | None:
    """The word of leaving that a dangerous text holds besides: "stop, I want to die", "STOP he will kill me".

    Both hold: the danger is answered, and the texts stop. Only for texts in danger; in others "stop she is crying"
    would be a guess. Words that mean other things too (end, quit) do not count, nor what somebody else said.
    """
    rules = _lexicon().in_danger
    clauses = [words for part in _CLAUSE_ENDS.split(_without_quotes(text)) if (words := fold(part))]
    for before, words in zip([[], *clauses], clauses, strict=False):
        if " ".join(words) in _LEAVES_IN_DANGER and not (before and before[-1] in rules.said):
            return OptOut(how="keyword", matched=" ".join(words))
    opening = " ".join(clauses[0]) + " " if clauses else ""
    found = (pattern.match(opening) for pattern in rules.statements)
    return next((OptOut(how="phrase", matched=match[0].strip()) for match in found if match), None)


# ---------------------------------------------------------------- the lexicon


@dataclass(frozen=True, kw_only=True, slots=True)
class _Grammar:
    whole: tuple[re.Pattern[str], ...]
    opens: tuple[re.Pattern[str], ...]
    anywhere: tuple[re.Pattern[str], ...]
    lead: re.Pattern[str]
    other: re.Pattern[str]
    limits: re.Pattern[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _InDanger:
    said: frozenset[str]
    statements: tuple[re.Pattern[str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lexicon:
    typos: frozenset[str]
    polite: frozenset[str]
    in_danger: _InDanger
    grammars: tuple[_Grammar, ...]


@cache
def _lexicon() -> _Lexicon:
    # The base loader keeps every scalar a text: "no" and "off" are words here, not truth values.
    data = yaml.load(LEXICON.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return _Lexicon(
        typos=frozenset(data["typos"]),
        polite=frozenset(data["polite"]),
        in_danger=_in_danger(data["in_danger"]),
        grammars=tuple(_grammar(data[language]) for language in ("en", "es")),
    )


def _in_danger(data: Mapping[str, Any]) -> _InDanger:
    return _InDanger(
        said=frozenset(data["said"]),
        statements=tuple(
            _compile(pattern, {**data["classes"], "word": sorted(_LEAVES_IN_DANGER)}) for pattern in data["statement"]
        ),
    )


def _grammar(data: Mapping[str, Any]) -> _Grammar:
    compiled = {
        scope: tuple(_compile(pattern, data["classes"]) for pattern in data[scope])
        for scope in ("whole", "opens", "anywhere")
    }
    return _Grammar(
        **compiled,
        lead=re.compile(f"(?:{_any_of(data['lead'])})*"),
        other=re.compile(f" (?:{_any_of(data['other'])})"),
        limits=re.compile(_any_of(data["limits"])),
    )


def _compile(pattern: str, classes: Mapping[str, Sequence[str]]) -> re.Pattern[str]:
    """One pattern as an expression over words that are each followed by a space; repetition is bounded."""
    return re.compile("".join(_slot(slot, classes) for slot in pattern.split()))


def _slot(slot: str, classes: Mapping[str, Sequence[str]]) -> str:
    if slot in _SPECIAL:
        return _SPECIAL[slot]
    count = {"?": "?", "*": "{0,4}"}.get(slot[-1], "")
    body = slot[:-1] if count else slot
    words = classes[body[1:-1]] if body.startswith("<") else body.split("|")
    return f"(?:{_any_of(words)}){count}"


_SPECIAL = {"$": "$", "_": "[a-z0-9]+ "}  # the end of the clause; any one word


def _any_of(words: Sequence[str]) -> str:
    longest_first = sorted(words, key=len, reverse=True)
    return "(?:" + "|".join(re.escape(word) + " " for word in longest_first) + ")"
