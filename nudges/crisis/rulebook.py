"""Loads the rule files once and finds what they say about a text: hits, and what suppresses them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from nudges.crisis.grammar import (
    Match,
    Matcher,
    Pattern,
    RuleError,
    Words,
    compile_pattern,
    expand_classes,
    words_of,
)
from nudges.crisis.normalise import Folded, Speller, fold
from nudges.crisis.values import Hit, Level, Suppression, Tier

_RULES = Path(__file__).parent / "rules"
_TIER_FILES = ("suicide", "harm", "abuse", "poison", "missing", "unsafe", "distress", "general")
# Words looked back; a longer reach silences true statements sooner than it saves false alarms.
_NEGATION_REACH = 3
_OF_THE_SAME_WORDS = (Suppression.IDIOM, Suppression.ROUTINE, Suppression.PHRASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of a rule file with its examples. `sure` rules alone make a text a crisis."""

    id: str
    level: Level
    tier: Tier | None
    severity: int
    sure: bool
    patterns: tuple[Pattern, ...]
    examples: tuple[str, ...] = ()
    counterexamples: tuple[str, ...] = ()
    decisive: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A rule with a place in the text where one of its patterns matched."""

    rule: Rule
    match: Match
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """One group of suppressing patterns with its examples."""

    kind: Suppression
    patterns: tuple[Pattern, ...]
    examples: tuple[str, ...]
    counterexamples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """Everything the rule files say, compiled. `digest` changes when any rule does."""

    rules: tuple[Rule, ...]
    covers: tuple[Cover, ...]
    negations: frozenset[tuple[str, ...]]
    pseudo: frozenset[tuple[str, ...]]
    barriers: frozenset[str]
    digest: str
    classes: Mapping[str, Words]
    speller: Speller
    rule_matcher: Matcher
    cover_matcher: Matcher
    rule_of: tuple[Rule, ...]
    cover_of: tuple[Suppression, ...]

    def fold(self, text: str) -> Folded:
        return fold(text, self.speller)

    def find(self, folded: Folded) -> list[Found]:
        """Every match of a rule, suppressed or not."""
        source = self.rule_matcher.source
        return [Found(self.rule_of[index], match, source(index)) for index, match in self.rule_matcher.find(folded)]

    def read(self, text: str, folded: Folded, *, more: Sequence[Found] = (), covers: Sequence[Match] = ()) -> list[Hit]:
        """Every match in the text, each with what suppresses it, most severe first.

        `more` and `covers` come from the installation's phrases: further matches, and words that count for nothing
        by themselves.
        """
        every_cover = [(self.cover_of[i], m) for i, m in self.cover_matcher.find(folded)]
        every_cover += [(Suppression.PHRASE, match) for match in covers]
        negated = self._negated(folded.words)
        hits: dict[tuple[str, int], Hit] = {}
        for found in (*self.find(folded), *more):
            hit = _hit(found, text, folded)
            hit = replace(hit, suppressed_by=self._suppression(found.match, folded, every_cover, negated))
            key = (hit.rule, hit.start)
            if key not in hits or (hits[key].suppressed_by and not hit.suppressed_by):
                hits[key] = hit
        return sorted(hits.values(), key=lambda h: (h.suppressed_by is not None, -h.severity, h.start, h.rule))

    def _suppression(
        self, match: Match, folded: Folded, covers: Sequence[tuple[Suppression, Match]], negated: frozenset[int]
    ) -> Suppression | None:
        """The narrowest reason first: an idiom or routine on the same words, negation, then the sentence's
        frame.
        """
        sentence = folded.sentence[match.start]
        for kind, cover in covers:
            if kind in _OF_THE_SAME_WORDS and match.taken & cover.taken:
                return kind
        if self._is_negated(match, folded, negated):
            return Suppression.NEGATION
        for kind, cover in covers:
            if kind in (Suppression.EDUCATION, Suppression.PAST) and folded.sentence[cover.start] == sentence:
                return kind
        return None

    def _is_negated(self, match: Match, folded: Folded, negated: frozenset[int]) -> bool:
        inside = set(range(match.start, match.end)) - match.taken
        if inside & negated:
            return True
        sentence = folded.sentence[match.start]
        for back in range(match.start - 1, max(match.start - 1 - _NEGATION_REACH, -1), -1):
            if folded.sentence[back] != sentence or folded.words[back] in self.barriers:
                return False
            if back in negated:
                return True
        return False

    def _negated(self, words: tuple[str, ...]) -> frozenset[int]:
        """Places of words that truly negate: `not`, but not the one in `not joking`."""
        places = _places(words, self.negations)
        return places - _places(words, self.pseudo)


def _hit(found: Found, text: str, folded: Folded) -> Hit:
    rule, match = found.rule, found.match
    start, end = folded.tokens[match.start].start, folded.tokens[match.end - 1].end
    return Hit(
        rule=rule.id,
        level=rule.level,
        tier=rule.tier,
        severity=rule.severity,
        start=start,
        end=end,
        words=text[start:end],
        sure=rule.sure,
        pattern=found.pattern,
        decisive=rule.decisive,
    )


def _places(words: tuple[str, ...], phrases: frozenset[tuple[str, ...]]) -> frozenset[int]:
    longest = max((len(p) for p in phrases), default=0)
    found: set[int] = set()
    for start in range(len(words)):
        for length in range(1, longest + 1):
            if words[start : start + length] in phrases:
                found.update(range(start, start + length))
    return frozenset(found)


def _rule(raw: dict[str, Any], tier: str | None, classes: dict[str, Words]) -> Rule:
    level = Level(raw.get("level", "crisis"))
    named = raw.get("tier", tier)
    if not raw.get("hits") or not raw.get("misses"):
        raise RuleError(f"rule {raw['id']!r}: needs `hits` and `misses` examples")
    return Rule(
        id=raw["id"],
        level=level,
        tier=Tier(named) if named else None,
        severity=int(raw.get("severity", 3 if level is Level.CRISIS else 1)),
        sure=bool(raw.get("sure", False)),
        patterns=tuple(compile_pattern(str(line), classes) for line in raw["match"]),
        examples=tuple(str(x) for x in raw["hits"]),
        counterexamples=tuple(str(x) for x in raw["misses"]),
    )


def _phrases(line: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(p.split()) for p in line.split(", ") if p.strip())


@cache
def load() -> Rulebook:
    """The rules as shipped. Raises RuleError naming the rule that cannot be read."""
    sources = {p.stem: p.read_text(encoding="utf-8") for p in sorted(_RULES.glob("*.yaml"))}
    raw = {name: yaml.safe_load(text) for name, text in sources.items()}
    classes = expand_classes(raw["classes"])
    rules = tuple(_rule(line, raw[f]["tier"], classes) for f in _TIER_FILES for line in raw[f]["rules"])
    covers = tuple(
        Cover(
            kind=Suppression(group["kind"]),
            patterns=tuple(compile_pattern(line, classes) for line in group["match"]),
            examples=tuple(group["hits"]),
            counterexamples=tuple(group["misses"]),
        )
        for group in raw["suppress"]["suppress"]
    )
    rule_patterns = [p for rule in rules for p in rule.patterns]
    cover_patterns = [p for cover in covers for p in cover.patterns]
    return Rulebook(
        rules=rules,
        covers=covers,
        negations=_phrases(raw["suppress"]["negations"]),
        pseudo=_phrases(raw["suppress"]["pseudo"]),
        barriers=frozenset(w for phrase in _phrases(raw["suppress"]["barriers"]) for w in phrase),
        digest=hashlib.sha256("".join(sources[name] for name in sorted(sources)).encode()).hexdigest()[:12],
        classes=classes,
        speller=Speller(vocabulary=words_of(rule_patterns)),
        rule_matcher=Matcher(rule_patterns),
        cover_matcher=Matcher(cover_patterns),
        rule_of=tuple(rule for rule in rules for _ in rule.patterns),
        cover_of=tuple(cover.kind for cover in covers for _ in cover.patterns),
    )
