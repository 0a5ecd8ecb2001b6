"""The one table of what we know of a family: each field with its words, its notation and its doors.

From it come the enrollment form, the profile page, the columns of a file of families and docs/family-fields.md. What
is stored under a key, and when it is valid, is said by schedules.profile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from nudges.families import notation
from nudges.families.consent import STAFF_MEDIA, WORDING_VERSION
from nudges.families.notation import Notation

ENROLLMENT, PROFILE, FILE = "enrollment form", "profile page", "file"
_EVERYWHERE: Final = frozenset({ENROLLMENT, PROFILE, FILE})
_LATER: Final = frozenset({PROFILE, FILE})  # what nobody needs to know on the first day


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of the forms. What is for staff only never stands in a text."""

    key: str
    title: str
    words: str
    staff_only: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One value of a profile. `name` is the form's field and the file's column.

    `shown` is the text where nothing is stored, `emptied` what is stored for a field that somebody cleared (none:
    back to what the core takes by itself). `part` names the place inside a stored mapping such as custody.
    """

    name: str
    label: str
    notation: Notation
    section: str
    help: str = ""
    example: str = ""
    shown: str = ""
    emptied: Any = None
    key: str = ""
    part: str = ""
    doors: Collection[str] = _EVERYWHERE

    @property
    def stored_under(self) -> str:
        return self.key or self.name


@dataclass(frozen=True, kw_only=True, slots=True)
class DateField:
    """A date that steps hang on, known at enrollment. `kind` and `nth` as in families.care."""

    name: str
    label: str
    kind: str
    nth: int = 1
    has_time: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of a file of families that is no field of the profile."""

    name: str
    words: str
    example: str
    is_needed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class DateGiven:
    """A date that somebody gave; `on_date` when it has no time of day."""

    kind: str
    nth: int
    at: datetime
    on_date: date | None


_ROLES: Final = (
    ("resident", "Parent the child lives with"),
    ("other_parent", "The other parent"),
    ("shared", "Parent with shared time"),
    ("foster_kin", "Foster or kin caregiver"),
    ("guardian", "Guardian"),
)
_STAGES: Final = (
    ("not_raised", "Therapy was never raised"),
    ("raised_no", "It was raised, the child said no"),
    ("choosing", "Choosing a therapist"),
    ("trial", "First visits"),
    ("ongoing", "Going"),
    ("alt", "Another way than therapy"),
    ("patience", "Waiting after a firm no"),
    ("break", "On a break"),
    ("after_crisis", "After a crisis"),
    ("open_door", "The door stays open"),
    ("done", "Done"),
)
_PATTERNS: Final = (
    ("every_day", "Every day"),
    ("alternate_weeks", "Every other week"),
    ("alternate_weekends", "Every other weekend"),
    ("2-2-3", "2-2-3"),
    ("5-2-2-5", "5-2-2-5"),
    ("supervised", "Supervised visits only"),
    ("none", "None"),
)

SECTIONS: Final = (
    Section(key="home", title="Life at home", words="Leave a field empty for the default."),
    Section(key="week", title="Their week", words="This decides which moments are calm."),
    Section(key="days", title="Days that are different", words="Dates may be single or from..to, one a line."),
    Section(
        key="safety",
        title="Court, contact, safety",
        words="For staff only; never in a text. Unknown is never read as safe.",
        staff_only=True,
    ),
    Section(key="path", title="Where they stand", words="Their own answers change this too."),
)
FIELDS: Final = (
    Field(
        name="role",
        label="Who is this parent?",
        notation=notation.one_of(_ROLES),
        section="home",
        shown="resident",
        example="resident",
    ),
    Field(
        name="age_band",
        label="Child's age",
        notation=notation.one_of((("", "Not known"), ("5-8", "5 to 8"), ("9-12", "9 to 12"), ("13-17", "13 to 17"))),
        section="home",
        example="9-12",
    ),
    Field(
        name="timezone",
        label="Time zone",
        notation=notation.ZONE,
        section="home",
        help="Type a place or a zone and choose: Boise, Chicago, Eastern.",
        example="America/Chicago",
    ),
    Field(
        name="state",
        label="State",
        notation=notation.STATE,
        section="home",
        help="Two letters. Some states allow fewer hours.",
        example="IL",
    ),
    Field(
        name="dinner_time",
        label="Dinner",
        notation=notation.TIMES,
        section="home",
        help="One time, or such as: mon-fri 18:30; sat 19:00. Empty: no fixed dinner.",
        example="18:30",
        shown="18:30",
        emptied="",
    ),
    Field(
        name="school_hours",
        label="School hours",
        notation=notation.SPAN,
        section="home",
        help="Empty: no school.",
        example="08:00-15:15",
        shown="08:00-15:15",
        emptied="",
    ),
    Field(
        name="bedtime_school",
        label="Bedtime, school nights",
        notation=notation.TIME,
        section="home",
        help="Empty, by age: 20:30, 21:00 or 22:00.",
        example="21:00",
    ),
    Field(
        name="bedtime_free",
        label="Bedtime, other nights",
        notation=notation.TIME,
        section="home",
        help="Empty, by age: 21:00, 22:00 or 23:00.",
        example="22:00",
    ),
    Field(
        name="phone_seen_by",
        label="Who sees this phone?",
        notation=notation.one_of(
            (("unknown", "Not known: ask by text first"), ("private", "Only them"), ("shared", "Others may see it"))
        ),
        section="home",
        help="Ask it beside them: until it is known, nothing else is asked by text. Not safe at all: do not enroll it.",
        example="private",
        shown="unknown",
    ),
    Field(
        name="discreet",
        label="Discreet wording",
        notation=notation.TICK,
        section="home",
        help="For a phone that others may see: nothing telling on the lock screen.",
        example="yes",
        shown="no",
    ),
    Field(
        name="contact_hours",
        label="Hours for texts",
        notation=notation.WEEK,
        section="week",
        help="One line per group of days. Empty: the program's hours.",
        example="mon-fri 10:00-20:00; sat 12:00-19:00",
    ),
    Field(
        name="busy_hours",
        label="Busy hours (work, night shift)",
        notation=notation.WEEK,
        section="week",
        help="Texts wait until they are over.",
        example="mon-fri 09:00-17:30; sat 22:00-06:00",
    ),
    Field(
        name="activities",
        label="Activities (practice, lessons, worship)",
        notation=notation.WEEK,
        section="week",
        help="No talk is suggested then; other texts may come.",
        example="tue 17:00-18:30; sat 09:00-12:00",
    ),
    Field(
        name="calm_windows",
        label="Calm times they named",
        notation=notation.WEEK,
        section="week",
        help="Talks are suggested before these alone. Empty: worked out from dinner, bedtime and school.",
        example="sat 10:30-12:00; wed 19:30-20:15",
        doors=_LATER,
    ),
    Field(
        name="slot_pref",
        label="Best time for other texts",
        notation=notation.TIME,
        section="week",
        help="Empty: 10:00. The first allowed moment from then on.",
        example="10:00",
        doors=_LATER,
    ),
    Field(
        name="quiet_days",
        label="Quiet days",
        notation=notation.QUIET,
        section="days",
        help="No text that we start. Weekdays, dates, holy days.",
        example="sun, 2025-04-13..2025-04-20",
    ),
    Field(
        name="no_school",
        label="Days without school",
        notation=notation.RANGES,
        section="days",
        help="Breaks and teacher days; the school's office is shut too.",
        example="2025-03-17..2025-03-21, 2025-05-26",
    ),
    Field(
        name="hard_dates",
        label="Hard dates (anniversaries, tense days)",
        notation=notation.RANGES,
        section="days",
        help="No talk on these days or beside them.",
        example="2025-05-11",
        doors=_LATER,
    ),
    Field(
        name="court_ordered",
        label="Is therapy ordered by a court?",
        notation=notation.one_of((("unknown", "Not known (worded with care)"), ("no", "No"), ("yes", "Yes"))),
        section="safety",
        shown="unknown",
        example="no",
    ),
    Field(
        name="break_ok_by",
        label="Who has agreed to a break?",
        notation=notation.one_of(
            (("", "Nobody yet"), ("court", "The court"), ("lawyer", "Their lawyer"), ("therapist", "The therapist"))
        ),
        section="safety",
        example="lawyer",
    ),
    Field(
        name="contact_plan",
        label="Contact plan",
        notation=notation.one_of(
            (
                ("", "Not known (most cautious)"),
                ("unsupervised", "Unsupervised"),
                ("supervised", "Supervised"),
                ("remote", "Remote only"),
                ("none", "None"),
            )
        ),
        section="safety",
        example="unsupervised",
    ),
    Field(
        name="protective_order",
        label="Protective order",
        notation=notation.MAYBE,
        section="safety",
        example="no",
    ),
    Field(name="abuse_concern", label="Concern about abuse", notation=notation.MAYBE, section="safety", example="no"),
    Field(
        name="child_fear", label="Child is afraid of a parent", notation=notation.MAYBE, section="safety", example="no"
    ),
    Field(
        name="custody",
        label="Days with this parent",
        notation=notation.one_of(_PATTERNS),
        section="safety",
        shown="every_day",
        key="custody",
        part="pattern",
        example="alternate_weeks",
    ),
    Field(
        name="custody_anchor",
        label="First day of a turn with this parent",
        notation=notation.DAY,
        section="safety",
        help="Only for alternating patterns.",
        key="custody",
        part="anchor_date",
        example="2025-03-07",
    ),
    Field(
        name="exchange_times",
        label="When the child changes homes",
        notation=notation.EXCHANGES,
        section="safety",
        help="No talk on such a day.",
        key="custody",
        part="exchange_times",
        example="fri 18:00, sun 18:00",
    ),
    Field(
        name="therapist_told",
        label="The therapist knows of a break",
        notation=notation.TICK,
        section="safety",
        help="Off: the question whether to start again waits.",
        shown="yes",
        example="yes",
        doors=_LATER,
    ),
    Field(
        name="stage",
        label="Where the family stands",
        notation=notation.one_of(_STAGES),
        section="path",
        shown="not_raised",
        example="raised_no",
        doors=_LATER,
    ),
    Field(
        name="profile",
        label="Wording",
        notation=notation.one_of((("gentle", "Gentle"), ("firm", "Firm and kind"), ("ordered", "Under a court order"))),
        section="path",
        shown="gentle",
        example="gentle",
        doors=_LATER,
    ),
    Field(
        name="volume",
        label="How many texts",
        notation=notation.one_of((("less", "Fewer"), ("normal", "As usual"), ("more", "More"))),
        section="path",
        shown="normal",
        example="less",
        doors=_LATER,
    ),
    Field(
        name="reasons",
        label="What worries the child",
        notation=notation.DIGITS,
        section="path",
        help="1 what happens there, 2 being judged, 3 friends finding out, 4 sides, 5 nothing is wrong, 6 not sure.",
        example="2, 3",
        doors=_LATER,
    ),
    Field(
        name="second_reminder",
        label="Remind them on the morning of a visit too",
        notation=notation.TICK,
        section="path",
        shown="no",
        example="yes",
        doors=_LATER,
    ),
)
DATES: Final = (
    DateField(name="session_1", label="First session", kind="session"),
    DateField(name="session_2", label="Second session", kind="session", nth=2),
    DateField(name="consult", label="Consultation", kind="consult"),
    DateField(name="break_start", label="Start of a break", kind="break_start", has_time=False),
    DateField(name="next_review", label="Next review", kind="next_review", has_time=False),
    DateField(name="court", label="Court date", kind="court", has_time=False),
    DateField(name="crisis_report", label="Crisis report", kind="crisis_report"),
    DateField(name="visit", label="Follow-up visit after a crisis", kind="visit"),
)
COLUMNS: Final = (
    Column(
        name="external_id",
        words="Your own number for the parent: a row that was imported before is left alone.",
        example="case-4411-a",
        is_needed=True,
    ),
    Column(
        name="counselor",
        words="The e-mail that the counselor signs in with.",
        example="ana@clinic.example",
        is_needed=True,
    ),
    Column(name="name", words="The parent's name.", example="Rosa Invented", is_needed=True),
    Column(name="phone", words="Their mobile number.", example="(312) 555-0142", is_needed=True),
    Column(name="language", words="Of the texts: en or es.", example="es", is_needed=True),
    Column(
        name="consent",
        words=f"How they agreed: {', '.join(dict(STAFF_MEDIA))}.",
        example="paper",
        is_needed=True,
    ),
    Column(name="consent_on", words="The day on which they agreed.", example="2025-02-20", is_needed=True),
    Column(
        name="family",
        words="A code that caregivers of one family share. Empty: the next free one.",
        example="F-4411",
    ),
    Column(name="consent_wording", words="The version of the wording that they agreed to.", example=WORDING_VERSION),
    Column(name="sequences", words="What to start with; the welcome comes by itself.", example="TALK DRIVE"),
    Column(name="child_born", words="The year, in place of age_band. Only the age band is kept.", example="2014"),
)
BY_NAME: Final[Mapping[str, Field]] = {field.name: field for field in FIELDS}


def at_door(door: str) -> tuple[Field, ...]:
    return tuple(field for field in FIELDS if door in field.doors)


def labels() -> dict[str, str]:
    """What a list of faults calls each field."""
    return {one.name: one.label for one in (*FIELDS, *DATES)} | {"language": "Language", "medium": "How they agreed"}
