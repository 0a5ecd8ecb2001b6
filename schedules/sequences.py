"""The nouns of a sequence as its author wrote it: steps, moments, texts, answers, limits. All frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

# What a place near the family is, in a program's directory and in a step that names one.
PLACES: Mapping[str, str] = {
    "peer_group": "a group for children or teens",
    "health_center": "a health center",
    "parent_group": "a group or a coach for parents",
    "school": "help at school",
    "family_help": "help for whole families",
}


class Kind(StrEnum):
    """Message kinds of content.md §1.1."""

    TALK = "talk"
    TIP = "tip"
    FACT = "fact"
    ENCOURAGE = "encourage"
    IDEA = "idea"
    CHECKIN = "checkin"
    FOLLOWUP = "followup"
    GATE = "gate"
    REMINDER = "reminder"
    RESOURCE = "resource"
    FAQ = "faq"
    CRISIS = "crisis"
    SYSTEM = "system"
    REPLY = "reply"
    ASK = "ask"
    STAFF = "staff"


class Topic(StrEnum):
    """Cool-downs act on topics (content.md §1.1)."""

    THERAPY = "therapy"
    RELATIONSHIP = "relationship"
    CARE = "care"
    LOGISTICS = "logistics"
    SYSTEM = "system"


class Anchor(StrEnum):
    """What a step's moment is counted from."""

    ENROLLED = "enrolled"
    STEP = "step"  # the sending of another step, or the answer that led here
    TRY = "try"  # some days before a talk is tried again
    SESSION = "session"
    BREAK_START = "break_start"
    NEXT_REVIEW = "next_review"
    CRISIS_REPORT = "crisis_report"
    VISIT = "visit"
    CONSULT = "consult"
    GATE = "gate"  # the moment the break's gate holds
    ANSWER = "answer"  # only an answer or a word leads here


class Slot(StrEnum):
    """How the counted moment becomes a time of day."""

    EXACT = "exact"  # that minute, or the next allowed one
    PREFERRED = "preferred"  # that date, at the family's preferred moment
    WINDOW = "window"  # ahead of the next calm window
    WEEKEND = "weekend"  # the next weekend morning
    MORNING = "morning"  # the next morning, some hours later
    AT_ONCE = "at_once"  # an immediate reply


@dataclass(frozen=True, kw_only=True, slots=True)
class When:
    """One moment in the life of a step: `anchor` plus an offset, then `slot`.

    `nth` 0 means every one (each session). `offset_hours` counts wall time; `offset_days` counts dates.
    `latest_hours` closes a span such as +20 to 28 hours. `every_days` repeats. `weekend_first`: of the calm windows
    of the first seven days, those of the weekend come first.
    """

    anchor: Anchor
    slot: Slot
    step: str | None = None
    nth: int = 1
    offset_days: int = 0
    offset_hours: int = 0
    offset_minutes: int = 0
    latest_hours: int | None = None
    every_days: int | None = None
    weekend_first: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One consequence of an answer, as an author wrote it: a verb of effects.VERBS and its arguments."""

    verb: str
    args: tuple[str, ...] = ()
    written: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """One message in two languages, ordinary and discreet, with placeholders unfilled."""

    en: str
    es: str
    discreet_en: str
    discreet_es: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """Other words for some families: every key of `applies_to` must match (age, role, profile, reason)."""

    applies_to: Mapping[str, str]
    texts: Texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one digit means and does."""

    digit: str
    means: str
    then: tuple[Effect, ...]
    twice: tuple[Effect, ...] = ()  # besides, when the step's last answer was this one too
    if_ordered: tuple[Effect, ...] = ()  # in place of `then`, for families under an order or after a crisis
    reply: Texts | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence:
    """What an unanswered question leads to: one asking more after `ask_again_hours`, then (or if it could not be
    asked at all) `then`, which only tells people."""

    ask_again_hours: int
    then: tuple[Effect, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of a sequence. A `staff` step has no texts: it makes a task."""

    id: str
    when: tuple[When, ...]
    kind: Kind
    topic: Topic
    intent: str
    texts: Texts | None
    variants: tuple[Variant, ...] = ()
    answers: Mapping[str, Answer] = field(default_factory=dict)
    words: Mapping[str, tuple[Effect, ...]] = field(default_factory=dict)
    then: tuple[Effect, ...] = ()  # what sending it does, answer or not
    refusals: Mapping[str, tuple[Effect, ...]] = field(default_factory=dict)  # by the count of refusals so far
    seeds: tuple[str, ...] = ()
    closes_talk: bool = False
    combines: bool = False  # several digits may be answered together
    place: str | None = None  # one of PLACES: what {resource} stands for in its texts
    if_silent: Silence | None = None
    school_hours: bool = False  # only in term, on weekdays, in school office hours (PR-24)
    on_wish: str | None = None  # only for families that asked for it: a flag of the profile


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """At most `count` texts in `days` days."""

    count: int
    days: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Thinning:
    """A limit that replaces the sequence's own after `after_day`, counted from the date that it hangs on."""

    after_day: int
    limit: Limit


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """A published sequence. `version` is its number in the program, 0 for the one shipped."""

    key: str
    title: str
    purpose: str
    steps: tuple[Step, ...]
    at_most: Limit
    lasts_days: int | None
    enrolled_by: tuple[str, ...] = ()
    entry: tuple[str, ...] = ()
    exit: tuple[str, ...] = ()
    reviewed: Mapping[str, str] = field(default_factory=dict)
    if_worse_twice: tuple[Effect, ...] = ()
    beside_limit: tuple[str, ...] = ()  # kinds that `at_most` does not count
    thinning: tuple[Thinning, ...] = ()  # by day, earliest first
    version: int = 0
    by_id: Mapping[str, Step] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {step.id: step for step in reversed(self.steps)})

    def step(self, step_id: str) -> Step | None:
        return self.by_id.get(step_id)
