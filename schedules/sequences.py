"""The nouns of a sequence as its author wrote it: steps, moments, texts, answers, limits. All frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

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


class Budget(StrEnum):
    """Whose limits a proactive text obeys.

    Comfort texts share the parent's caps, gaps and wishes for less. Events (tied to a date, a session, a report, or
    the question that closes a talk) have a small budget of their own. Safety has none but contact hours.
    """

    SAFETY = "safety"
    EVENT = "event"
    COMFORT = "comfort"


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


EVENTS = (Anchor.SESSION, Anchor.NEXT_REVIEW, Anchor.VISIT, Anchor.CONSULT)  # what happens on a day of its own


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


@dataclass(frozen=True, kw_only=True)
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
    budget: Budget | None = None  # in place of what kind and sequence say
    uncounted: bool = False  # outside every cap, and starts no gap
    until_settled: bool = False  # its question stays open until it is answered or a person settles it
    repeats: tuple[Texts, ...] = ()  # the words of the second, third ... sending to one parent
    plain: Texts | None = None  # its words while another question must be settled first: they ask nothing

    @cached_property
    def windows_shown(self) -> int:
        """How many calm windows the words offer to choose from, as {w1} to {w4}."""
        return 0 if self.texts is None else sum("{w" + str(n) + "}" in self.texts.en for n in range(1, 5))


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
class Traits:
    """What sets a sequence apart from others, as its file says it. No rule knows a sequence by its key.

    Keys of other sequences are data here: one that a program does not have is no fault.
    """

    budget: Budget | None = None  # of all its texts
    priority: int | None = None  # in place of its kinds' priority; lower goes first
    suppresses: frozenset[str] = frozenset()  # sequences that are off while this one runs
    only_beside: frozenset[str] = frozenset()  # while this one runs, nothing but these may speak; empty: no such rule
    helper: bool = False  # takes none of the few places for content sequences
    goes_first: bool = False  # content sequences wait until it is over
    counts_from: str | None = None  # the kind of date from which its length and its thinning count
    needs_date: str | None = None  # the kind of date without which it cannot text at all
    keeps_pace: bool = False  # the parent's silence does not slow it
    eases_others: bool = False  # while it runs, the others have one comfort text a week fewer
    shares_limit: frozenset[str] = frozenset()  # their texts count in this one's own limit, and its in theirs
    no_gap: bool = False  # its texts need no distance from the last one
    speaks_in_cool_down: bool = False
    under_safeguarding: bool = False  # asks nothing of the child and of no contact: goes after an abuse disclosure
    needs_screening: bool = False  # off until the safety screen is complete and clear
    touches_contact: bool = False  # its talks and gates are off while a safety flag is set
    needs_order_ok: bool = False  # under an order: only with the court's or lawyer's OK
    staff_only: bool = False  # a person enrolls, no answer of the parent's
    not_after_crisis: bool = False  # does not begin for a month after a crisis, nor in a cool-down
    firm: bool = False  # while it runs, to stop is no choice that a text leaves to the family
    shuts_gates: bool = False  # while it runs, no gate is asked
    thin_line: bool = False  # the few texts that keep a door open after a no
    offers_ideas: bool = False  # its first step is an idea for time together
    begun_by: frozenset[str] = frozenset()  # service words that begin it


@dataclass(frozen=True, kw_only=True)
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
    traits: Traits = Traits()
    words: Mapping[str, tuple[Effect, ...]] = field(default_factory=dict)  # what a service word means while it runs
    leads_to: tuple[str, ...] = ()  # what begins when it was the last one and has run its course; the first that fits
    at_end: tuple[Effect, ...] = ()  # whom it tells when it has run its course
    version: int = 0
    by_id: Mapping[str, Step] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {step.id: step for step in reversed(self.steps)})

    def step(self, step_id: str) -> Step | None:
        return self.by_id.get(step_id)

    def budget_of(self, step: Step) -> Budget:
        """Whose limits a text of this step obeys."""
        chosen = step.budget or self.traits.budget
        if chosen is not None:
            return chosen
        on_an_event = step.closes_talk or step.kind in (Kind.FOLLOWUP, Kind.REMINDER)
        on_an_event = on_an_event or (bool(step.when) and all(when.anchor in EVENTS for when in step.when))
        return Budget.EVENT if on_an_event else Budget.COMFORT

    @cached_property
    def led_to(self) -> frozenset[str]:
        """Steps that only an answer or a word leads to."""
        effects = [e for s in self.steps for a in s.answers.values() for e in (*a.then, *a.twice, *a.if_ordered)]
        return frozenset(arg for e in effects if e.verb in ("go", "ask", "reply") for arg in e.args)

    @cached_property
    def followers(self) -> Mapping[str, tuple[tuple[str, int], ...]]:
        """By step, what hangs on its sending: a step, and which of its moments. Not what an answer leads to."""
        found: dict[str, list[tuple[str, int]]] = {}
        for step in self.steps:
            for which, when in enumerate(step.when):
                if when.anchor is Anchor.STEP and when.step is not None and step.id not in self.led_to:
                    found.setdefault(when.step, []).append((step.id, which))
        return {step_id: tuple(hanging) for step_id, hanging in found.items()}

    @cached_property
    def by_session(self) -> tuple[tuple[Step, int, When], ...]:
        """The steps that hang on sessions, with the moment that does."""
        moments = ((step, which, when) for step in self.steps for which, when in enumerate(step.when))
        return tuple((step, which, when) for step, which, when in moments if when.anchor is Anchor.SESSION)

    @cached_property
    def welcomes(self) -> frozenset[str]:
        """The steps that say who writes and how to stop."""
        return frozenset(step.id for step in self.steps if step.kind is Kind.SYSTEM)

    def closers_of(self, talk: str) -> frozenset[str]:
        """The questions that close this talk: they and it are one unit."""
        return frozenset(s.id for s in self.steps if s.closes_talk and any(w.step == talk for w in s.when))

    def talk_closed_by(self, step: Step) -> Step | None:
        """The talk that this question closes."""
        found = (self.step(w.step) for w in step.when if w.step) if step.closes_talk else ()
        return next((talk for talk in found if talk is not None and talk.kind is Kind.TALK), None)
