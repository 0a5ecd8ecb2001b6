"""From matches and scores to one answer: level, tier, severity and the sentence that explains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nudges.crisis.values import Hit, Level, Screening, Suppression, Tier

# Which danger the reply leads with when several hold (what cannot wait a minute comes first).
LEAD = (
    Tier.OVERDOSE_POISON,
    Tier.SUICIDE_SELFHARM,
    Tier.HARM_OTHERS,
    Tier.RUNAWAY_MISSING,
    Tier.ABUSE_DV,
    Tier.UNSAFE_BEHAVIOUR,
    Tier.PARENT_DISTRESS,
)
_TIER_SEVERITY = {Tier.UNSAFE_BEHAVIOUR: 2, Tier.PARENT_DISTRESS: 2}
_URGENT = frozenset(
    "now tonight right_now bleeding unconscious breathing ahora ahorita hoy anoche hace_rato sangrando".split()
)
_SHOWN = 3  # spans quoted in `why`; a page is read in seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What the second layer thinks: the chance of a crisis (0 to 1), and where the two thresholds stand."""

    crisis: float
    crisis_at: float
    check_at: float
    tier: Tier | None
    tier_margin: float = 0.0


def live(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    return tuple(h for h in hits if h.suppressed_by is None)


def facts(hits: Sequence[Hit], trust: Mapping[str, float]) -> tuple[float, ...]:
    """What the rules say, as the seven numbers that the second layer weighs. Order and meaning are part of the model.

    `trust` is the log-odds that a match of a pattern is a crisis, learned from the training texts.
    """
    odds = sorted((trust.get(h.pattern, 0.0) for h in live(hits)), reverse=True)
    masked = {h.suppressed_by for h in hits}
    best = odds[0] if odds else 0.0
    return (
        max(best, 0.0),
        min(best, 0.0),
        sum(max(o, 0.0) for o in odds[1:3]),
        float(Suppression.NEGATION in masked),
        float(bool(masked & {Suppression.IDIOM, Suppression.ROUTINE})),
        float(Suppression.EDUCATION in masked),
        float(Suppression.PAST in masked),
    )


def decide(
    hits: Sequence[Hit], scores: Scores | None, words: Sequence[str], *, open_episode: bool, version: str
) -> Screening:
    """The most cautious answer that rules and scores support."""
    counted = live(hits)
    level, reason = _level(counted, scores)
    if level is Level.ORDINARY and any(h.sure and h.suppressed_by is Suppression.PHRASE for h in hits):
        level, reason = Level.CHECK, "a phrase covers plain words of danger, which are never passed over"
    if open_episode and level is Level.CHECK:
        level, reason = Level.CRISIS, "an episode is open for this family and " + reason
    tiers = _tiers(counted, scores, level)
    return Screening(
        level=level,
        tier=tiers[0] if tiers else None,
        severity=_severity(level, counted, tiers, words, open_episode),
        why=_why(level, reason, counted, hits),
        hits=counted,
        suppressed=tuple(h for h in hits if h.suppressed_by is not None),
        also_tiers=tuple(tiers[1:]),
        score=round(scores.crisis, 4) if scores else 0.0,
        version=version,
    )


def _level(counted: Sequence[Hit], scores: Scores | None) -> tuple[Level, str]:
    if any(h.severity >= 4 and h.sure for h in counted):
        return Level.CRISIS, "it calls for emergency help"
    if any(h.decisive and h.level is Level.CRISIS for h in counted):
        return Level.CRISIS, "a phrase that always means a crisis here matched"
    if scores is None:
        return _level_of_rules(counted)
    if scores.crisis >= scores.crisis_at:
        return Level.CRISIS, "its wording is close to texts about real danger"
    if any(h.sure for h in counted):
        return Level.CHECK, "a rule for plain statements of danger matched"
    if any(h.decisive for h in counted):
        return Level.CHECK, "a phrase or rule that always asks for a safety check here matched"
    if scores.crisis >= scores.check_at:
        return Level.CHECK, "its wording is close to texts that may mean danger"
    return Level.ORDINARY, "its wording is close to everyday texts"


def _level_of_rules(counted: Sequence[Hit]) -> tuple[Level, str]:
    if any(h.level is Level.CRISIS for h in counted):
        return Level.CRISIS, "a rule matched"
    if counted:
        return Level.CHECK, "a rule for unclear signs matched"
    return Level.ORDINARY, "no rule matched"


def _tiers(counted: Sequence[Hit], scores: Scores | None, level: Level) -> list[Tier]:
    """Every danger named, the one to answer first at the head."""
    if level is Level.ORDINARY:
        return []
    named = {h.tier for h in counted if h.tier is not None and h.level is Level.CRISIS}
    named = named or {h.tier for h in counted if h.tier is not None}
    told = any(h.decisive and h.tier is not None for h in counted)  # people here named the danger
    if scores and scores.tier and not told and (not named or scores.tier_margin > 0):
        rest = [t for t in LEAD if t in named and t is not scores.tier]
        return [scores.tier, *rest]
    return [t for t in LEAD if t in named]


def _severity(
    level: Level, counted: Sequence[Hit], tiers: Sequence[Tier], words: Sequence[str], open_episode: bool
) -> int:
    """0 to 4. Saying that it happens now, or an open episode, raises a crisis by one."""
    if level is Level.ORDINARY:
        return 0
    if level is Level.CHECK:
        return 1
    base = max((h.severity for h in counted), default=0)
    base = max(base, _TIER_SEVERITY.get(tiers[0], 3) if tiers else 3)
    raised = open_episode or not _URGENT.isdisjoint(words)
    return min(4, base + 1) if raised else base


def _why(level: Level, reason: str, counted: Sequence[Hit], hits: Sequence[Hit]) -> str:
    """One sentence for the person who is paged."""
    sentence = f"{level.value.capitalize()}: {reason}"
    spans = list(dict.fromkeys(f"“{' '.join(h.words.split())}” ({h.rule})" for h in counted))[:_SHOWN]
    if spans:
        sentence += "; matched " + ", ".join(spans)
    masked = [h for h in hits if h.suppressed_by][:1]
    if masked and not spans:
        reason_off = masked[0].suppressed_by
        sentence += f"; “{' '.join(masked[0].words.split())}” did not count ({reason_off})"
    return sentence + "."
