"""The words in which the screen answers: how urgent, what about, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """What has to happen now. `crisis` answers and pages, `check` asks and queues for review, `ordinary` goes
    on.
    """

    CRISIS = "crisis"
    CHECK = "check"
    ORDINARY = "ordinary"


class Tier(StrEnum):
    """What the danger is about; picks the reply and who is paged."""

    SUICIDE_SELFHARM = "suicide_selfharm"
    HARM_OTHERS = "harm_others"
    ABUSE_DV = "abuse_dv"
    OVERDOSE_POISON = "overdose_poison"
    RUNAWAY_MISSING = "runaway_missing"
    UNSAFE_BEHAVIOUR = "unsafe_behaviour"
    PARENT_DISTRESS = "parent_distress"


class Suppression(StrEnum):
    """Why a match did not count by itself. Always narrow: it covers its own words, never the whole text."""

    IDIOM = "idiom"
    NEGATION = "negation"
    EDUCATION = "education"
    PAST = "past"
    ROUTINE = "routine"
    PHRASE = "phrase"  # of the installation: "never an alarm on its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One rule that matched. `start` and `end` are offsets into the text as it was sent, `pattern` the rule's line.

    `decisive` hits hold at least their level whatever the second layer thinks: phrases of the installation.
    """

    rule: str
    level: Level
    tier: Tier | None
    severity: int
    start: int
    end: int
    words: str
    suppressed_by: Suppression | None = None
    sure: bool = False
    pattern: str = ""
    decisive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """The answer of the screen for one text.

    `severity` is 0 (nothing) to 4 (emergency in progress); `why` is one plain sentence for the person who is
    paged;
    `also_tiers` are other dangers in the same text, most urgent first; `version` names rules, model and
    thresholds. `shadow` names phrases on trial that would have made the level lower.
    """

    level: Level
    tier: Tier | None
    severity: int
    why: str
    hits: tuple[Hit, ...] = ()
    suppressed: tuple[Hit, ...] = ()
    also_tiers: tuple[Tier, ...] = ()
    score: float = 0.0
    version: str = ""
    shadow: tuple[str, ...] = ()
