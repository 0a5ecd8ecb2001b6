"""The nouns of the core: sequences as written, a parent's thread as it stands, decisions with their reasons.

All frozen. The nouns of sequences (sequences.py) are named here too: who works with a thread needs both.
Instants are aware UTC; `time`, `date` and minutes are wall clock in the family's zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import Any, TypeAlias

from schedules.localtime import Minute
from schedules.sequences import EVENTS as EVENTS
from schedules.sequences import PLACES as PLACES
from schedules.sequences import Anchor as Anchor
from schedules.sequences import Answer as Answer
from schedules.sequences import Budget as Budget
from schedules.sequences import Effect as Effect
from schedules.sequences import Kind as Kind
from schedules.sequences import Limit as Limit
from schedules.sequences import Sequence as Sequence
from schedules.sequences import Silence as Silence
from schedules.sequences import Slot as Slot
from schedules.sequences import Step as Step
from schedules.sequences import Texts as Texts
from schedules.sequences import Thinning as Thinning
from schedules.sequences import Topic as Topic
from schedules.sequences import Traits as Traits
from schedules.sequences import Variant as Variant
from schedules.sequences import When as When


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Wall-clock minutes after midnight, end excluded; `end` may pass 1440 (over midnight)."""

    start: int
    end: int


Week: TypeAlias = tuple[tuple[Span, ...], ...]  # seven entries, Monday first
WeekTimes: TypeAlias = tuple[time | None, ...]  # seven entries, Monday first


@dataclass(frozen=True, kw_only=True, slots=True)
class Custody:
    """Which days the child is with this parent. `anchor_date` opens a turn with this parent."""

    pattern: str  # every_day alternate_weeks alternate_weekends 2-2-3 5-2-2-5 supervised none
    anchor_date: date | None = None
    exchange_times: tuple[tuple[int, time], ...] = ()  # (weekday, time)


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What the core may know of a family (content.md §5.1). Built and checked by profile.parse."""

    timezone: str
    pref_lang: str = "en"
    role: str = "resident"
    discreet: bool = False
    age_band: str | None = None
    state: str | None = None  # US state of the parent: chooses stricter contact hours
    contact_hours: Week | None = None
    busy_hours: Week = ((),) * 7
    dinner_time: WeekTimes = (time(18, 30),) * 7
    bedtime_school: time = time(21, 0)
    bedtime_free: time = time(22, 0)
    school_hours: Span | None = Span(start=480, end=915)
    no_school: tuple[tuple[date, date], ...] = ()
    activities: Week = ((),) * 7
    calm_windows: Week | None = None
    slot_pref: time = time(10, 0)
    quiet_weekdays: frozenset[int] = frozenset()
    quiet_dates: tuple[tuple[date, date], ...] = ()
    hard_dates: tuple[tuple[date, date], ...] = ()
    custody: Custody = field(default_factory=lambda: Custody(pattern="every_day"))
    court_ordered: str = "unknown"  # no | yes | unknown
    break_ok_by: str | None = None
    protective_order: bool | None = None
    abuse_concern: bool | None = None
    child_fear: bool | None = None
    contact_plan: str | None = None
    therapist_told: bool = True
    stage: str = "not_raised"
    profile: str = "gentle"
    volume: str = "normal"
    reasons: tuple[str, ...] = ()
    second_reminder: bool = False  # a reminder on the morning of the visit too
    phone_seen_by: str = "unknown"  # private | shared | unknown: signing up asks by text only what nobody knows
    days: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)  # windows.py's notes

    @property
    def phone_unknown(self) -> bool:
        """Does nobody know yet who sees this phone?"""
        return self.phone_seen_by == "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyDate:
    """A date that steps hang on. `at` is an instant; date-only ones are at local midnight."""

    kind: str
    nth: int
    at: Minute
    status: str = "set"  # set | done | missed | cancelled
    date_only: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A proactive text that went out, as far as caps and gaps care."""

    at: datetime
    kind: Kind
    topic: Topic
    sequence: str
    step: str
    cycle: int
    budget: Budget = Budget.COMFORT
    counted: bool = True  # in caps and gaps at all
    closes_talk: bool = False
    asked_again: bool = False  # the second asking of an unanswered question


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A calm window that a text offered: local date, minutes after midnight, end excluded."""

    day: date
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenQuestion:
    """A question that a bare digit would answer. `choices`: the windows that were shown with it, digit 1 first."""

    enrollment: str
    sequence: str
    step: str
    cycle: int
    asked_at: datetime
    until: datetime
    counts_as_silence: bool
    choices: tuple[Choice, ...] = ()
    settles: bool = False  # only an answer or a person closes it


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A step that the thread is waiting to send: its moment from the mark `at` until `until`, end excluded.

    Kept so that a beat that comes late counts from the mark, that a missed window shows, and that the reason tells
    what stood in the way while it waited (`waited`: code and words, in order).
    """

    enrollment: str
    step: str
    cycle: int
    at: datetime
    until: datetime
    waited: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class WithStaff:
    """A person has been asked, and that is what this thread waits for."""

    since: datetime
    by: datetime
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """What answers, silence and past texts have done to one phone's pace. Bounded: marks of 29 days at most."""

    marks: tuple[Mark, ...] = ()
    question: OpenQuestion | None = None
    lapsed_question: OpenQuestion | None = None
    planned: tuple[Planned, ...] = ()  # the next text, and the next talk
    cool_until: datetime | None = None
    cool_talks_until: datetime | None = None
    wait_until: datetime | None = None
    talk_gap_until: datetime | None = None
    last_talk_at: datetime | None = None
    last_conflict_at: datetime | None = None
    notyet_level: int = 0
    silence_count: int = 0
    silence_since: datetime | None = None
    stay_asked_at: datetime | None = None
    paused_at: datetime | None = None
    volume: str = "normal"
    lower_until: datetime | None = None
    bad_in_row: int = 0
    soften: bool = False
    no_chance_in_row: int = 0
    refusals: int = 0
    rung: int = 1  # of the ladder of ideas (PR-22)
    ideas_sent: int = 0
    short_ideas: bool = False  # the parent has no time: only the shortest ideas of the rung
    notice_at: datetime | None = None  # when a text last said how to stop
    hours_told_at: datetime | None = None  # since when people know that the family's hours leave no open moment
    said: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)  # by step: its comfort texts of a year
    ideas: Mapping[str, datetime] = field(default_factory=dict)  # by id: when this idea was last sent
    welcomed_at: datetime | None = None  # when a text first said who writes and how to stop
    no_talks_until: datetime | None = None  # after a crisis
    with_staff: WithStaff | None = None
    told: Mapping[str, datetime] = field(default_factory=dict)  # what people were told, and when
    leads_to: tuple[str, ...] = ()  # what the sequence that ended last leads to
    wants_rest: bool = False  # the parent ended it: nothing begins by itself
    goodbye_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """A step that is still to come. `base` is the instant it counts from; none for anchors read from key dates."""

    step: str
    cycle: int
    which: int = 0  # index into Step.when
    base: datetime | None = None
    nth: int = 0  # which key date, for "every session"
    not_before: datetime | None = None
    replans: int = 0
    asked_again: bool = False
    chosen: Choice | None = None  # the calm window that the parent chose for it


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrollment:
    """A parent in a sequence, with what is still to come. `facts` holds streaks, intervals and scores."""

    id: str
    sequence: Sequence
    started_at: datetime
    agenda: tuple[Pending, ...] = ()
    cycles: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, int] = field(default_factory=dict)
    instants: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """Nothing proactive while it stands. Only a `conversation` ends by itself, at `until`.

    `safeguarding` is narrower: it lets sequences with the trait `under_safeguarding` go, and stays when the other
    holds are released.
    """

    kind: str  # crisis | check | safety | safeguarding | conversation
    since: Minute
    until: Minute | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Thread:
    """One parent as the core sees them: the unit of planning."""

    profile: Profile
    status: str = "active"  # invited | active | paused | opted_out | ended
    paused_until: datetime | None = None
    pace: Pace = field(default_factory=Pace)
    enrollments: tuple[Enrollment, ...] = ()
    key_dates: tuple[KeyDate, ...] = ()
    holds: tuple[Hold, ...] = ()
    since: datetime | None = None  # when the parent was invited or enrolled

    def enrollment(self, enrollment_id: str) -> Enrollment | None:
        return next((e for e in self.enrollments if e.id == enrollment_id), None)

    def in_sequence(self, key: str) -> Enrollment | None:
        return next((e for e in self.enrollments if e.sequence.key == key), None)

    def with_enrollment(self, enrollment: Enrollment) -> Thread:
        others = tuple(enrollment if e.id == enrollment.id else e for e in self.enrollments)
        return replace(self, enrollments=others)

    def without_enrollment(self, enrollment_id: str) -> Thread:
        return replace(self, enrollments=tuple(e for e in self.enrollments if e.id != enrollment_id))


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why: a stable code, one sentence in plain words, and the inputs that decided."""

    code: str
    words: str
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """One text that might go, as the gate looks at it. Kept beside the outbox row to ask again."""

    sequence: str
    step: str
    cycle: int
    enrollment: str
    kind: Kind
    topic: Topic
    expires_at: datetime
    budget: Budget = Budget.COMFORT
    counted: bool = True
    closes_talk: bool = False
    asked_again: bool = False
    school_hours: bool = False
    window: tuple[datetime, datetime] | None = None
    idea: str | None = None  # the idea that its words hold
    turn: int = 0  # how many times this parent has had this step's words in a year
    is_plain: bool = False  # another question must be settled first: the words ask nothing
    pending: Pending | None = None  # how it stood in the agenda: a text that is planned anew goes back there


@dataclass(frozen=True, kw_only=True, slots=True)
class Go:
    """It may go at the instant that was asked about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NotYet:
    """Not before `until`; none means that only a person or the parent can open the way."""

    until: datetime | None
    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Never:
    """This text must not go any more."""

    reason: Reason


Verdict: TypeAlias = Go | NotYet | Never


@dataclass(frozen=True, kw_only=True, slots=True)
class Send:
    """Send this step now. The caller renders `step` for the family and keeps `proposal` beside the text.

    `mark`: the beginning of its moment, from which what follows is counted, however late the beat came.
    """

    enrollment: str
    step: Step
    cycle: int
    which: int
    due_at: datetime
    mark: datetime
    choices: tuple[Choice, ...] = ()
    proposal: Proposal
    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """Nothing now. Look again at `until`; `step` is what is being waited for."""

    until: datetime
    reasons: tuple[Reason, ...]
    planned: tuple[Planned, ...] = ()
    step: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """This step will not be sent. `outcome` is "dropped" or "expired"; `again` means that it is planned anew, from `at`
    on, when its moment passed."""

    enrollment: str
    step: str
    cycle: int
    outcome: str
    reason: Reason
    again: bool = False
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StaffTask:
    """Something for a person to do. `priority`: 1 this hour, 2 next working day, 3 weekly."""

    enrollment: str | None
    step: str | None
    cycle: int | None
    priority: int
    words: str
    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A text of the service's own that belongs to no enrollment: stay, pause or finish; the welcome; a goodbye."""

    step: str
    proposal: Proposal
    reason: Reason
    mark: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Finish:
    """An enrollment has come to its end; or (`pause`) the thread pauses after unbroken silence."""

    enrollment: str | None
    reason: Reason
    pause: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Onward:
    """The last sequence of a thread is over: begin the first of these that the program has and the parent may enter.

    When none fits, the thread says goodbye.
    """

    sequences: tuple[str, ...]
    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Idle:
    """Nothing to come until something happens; the reasons say what."""

    reasons: tuple[Reason, ...]


Decision: TypeAlias = Send | Wait | Drop | StaffTask | Ask | Finish | Onward | Idle
