"""The rules as data: rules.yaml, read and compiled once.

Source: content.md §4.2 (the 51 rules) and §4.4 (the word lists of the other checks).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

_LOADER: Final[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
RULES: Final = Path(__file__).parent / "rules.yaml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One language rule. `where` is all, proactive or lock; `negatable` rules yield to a negation just before."""

    id: str
    lang: str
    severity: str  # error | warning
    where: str
    pattern: re.Pattern[str]
    negatable: bool
    firm_ok: bool

    @property
    def family(self) -> str:
        return self.id.rsplit("-", 1)[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """What is wrong with a text that trips a rule, and how to mend it."""

    wrong: str
    mend: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rulebook:
    """Everything in rules.yaml, compiled."""

    rules: tuple[Rule, ...]
    negation: Mapping[str, re.Pattern[str]]
    advice: Mapping[str, Advice]
    words: Mapping[str, frozenset[str]]  # the plain lists, by their name in the file
    markers: Mapping[str, re.Pattern[str]]  # by language
    legal_line: Mapping[str, str]
    way_out: Mapping[str, re.Pattern[str]]
    gate_silence: Mapping[str, re.Pattern[str]]
    teen_asks: re.Pattern[str]
    teen: Mapping[str, tuple[re.Pattern[str], ...]]  # all of them in one question
    private: tuple[tuple[str, re.Pattern[str]], ...]
    bare: tuple[re.Pattern[str], ...]

    def advise(self, rule: str) -> Advice:
        """The advice for a rule's id, or for its family."""
        return self.advice.get(rule) or self.advice[rule.rsplit("-", 1)[0]]

    def knows(self, rule: str) -> bool:
        """Whether there is such a rule or family."""
        return rule in self.advice or any(rule == known.id for known in self.rules)


@cache
def rulebook() -> Rulebook:
    """The rules of rules.yaml."""
    # Every scalar as text: `no` is a word here, not a false.
    data = yaml.load(RULES.read_text(encoding="utf-8"), Loader=_LOADER)
    return Rulebook(
        rules=tuple(_rule(row) for row in (*data["rules"], *data["more"])),
        negation=_compiled(data["neg"]),
        advice={name: Advice(**words) for name, words in data["advice"].items()},
        words={name: frozenset(words) for name, words in data.items() if _is_list_of_words(words)},
        markers={lang: re.compile("|".join(words)) for lang, words in data["skip_markers"].items()},
        legal_line=data["legal_line"],
        way_out=_compiled(data["way_out"]),
        gate_silence=_compiled(data["gate_silence"]),
        teen_asks=re.compile(data["teen_asks"]),
        teen={lang: tuple(_compiled(parts).values()) for lang, parts in data["teen"].items()},
        private=tuple((row["what"], re.compile(row["re"])) for row in data["private"]),
        bare=tuple(re.compile(pattern, re.IGNORECASE | re.MULTILINE) for pattern in data["bare"]),
    )


def _rule(row: Mapping[str, str]) -> Rule:
    return Rule(
        id=row["id"],
        lang=row["lang"],
        severity="warning" if row["sev"] == "warn" else "error",
        where=row["where"],
        pattern=re.compile(row["re"]),
        negatable=row.get("neg") == "true",
        firm_ok=row.get("firm_ok") == "true",
    )


def _compiled(patterns: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    return {name: re.compile(pattern) for name, pattern in patterns.items()}


def _is_list_of_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)
