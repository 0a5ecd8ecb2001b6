"""The enrollment form: what was typed becomes a profile, a consent and dates; every fault finds its field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from werkzeug.datastructures import MultiDict

from nudges import languages
from nudges.families.hours import hours_text, week
from nudges.families.phones import PhoneError, to_e164
from nudges.models.program import Program
from nudges.web.forms import Form
from schedules.profile import PATTERNS, READERS, ProfileError, parse

ZONES = (
    ("America/New_York", "Eastern (New York)"),
    ("America/Chicago", "Central (Chicago)"),
    ("America/Denver", "Mountain (Denver)"),
    ("America/Phoenix", "Arizona (Phoenix)"),
    ("America/Los_Angeles", "Pacific (Los Angeles)"),
    ("America/Anchorage", "Alaska (Anchorage)"),
    ("Pacific/Honolulu", "Hawaii (Honolulu)"),
    ("America/Puerto_Rico", "Puerto Rico"),
)
ROLES = (
    ("resident", "Parent the child lives with"),
    ("other_parent", "The other parent"),
    ("shared", "Parent with shared time"),
    ("foster_kin", "Foster or kin caregiver"),
    ("guardian", "Guardian"),
)
AGES = (("", "Not known"), ("5-8", "5 to 8"), ("9-12", "9 to 12"), ("13-17", "13 to 17"))
MEDIA = (
    ("in_person", "In person"),
    ("phone", "On the phone"),
    ("paper", "On paper"),
    ("web_form", "On our web form"),
)
UNKNOWN = (("", "Not known"), ("no", "No"), ("yes", "Yes"))
COURT = (("unknown", "Not known (worded with care)"), ("no", "No"), ("yes", "Yes"))
BREAK_OK = (("", "Nobody yet"), ("court", "The court"), ("lawyer", "Their lawyer"), ("therapist", "The therapist"))
CONTACT = (
    ("", "Not known (most cautious)"),
    ("unsupervised", "Unsupervised"),
    ("supervised", "Supervised"),
    ("remote", "Remote only"),
    ("none", "None"),
)
CUSTODY = tuple((pattern, pattern.replace("_", " ")) for pattern in PATTERNS)
DATES = (
    # field, kind, nth, label, has a time of day
    ("session_1", "session", 1, "First session", True),
    ("session_2", "session", 2, "Second session", True),
    ("consult", "consult", 1, "Consultation", True),
    ("break_start", "break_start", 1, "Start of a break", False),
    ("next_review", "next_review", 1, "Next review", False),
    ("court", "court", 1, "Court date", False),
    ("crisis_report", "crisis_report", 1, "Crisis report", True),
    ("visit", "visit", 1, "Follow-up visit after a crisis", True),
)
LABELS = {
    "contact_hours": "Hours for texts",
    "busy_hours": "Busy hours",
    "dinner_time": "Dinner",
    "bedtime_school": "Bedtime, school nights",
    "bedtime_free": "Bedtime, other nights",
    "school_hours": "School hours",
    "agreed": "Consent",
    "medium": "How they agreed",
    "age_band": "Child's age",
    **{name: label for name, _, _, label, _ in DATES},
}
PLAIN = (  # profile keys that are one field of the same name; an empty field is left to the defaults
    "timezone",
    "role",
    "age_band",
    "state",
    "bedtime_school",
    "bedtime_free",
    "slot_pref",
    "court_ordered",
    "break_ok_by",
    "protective_order",
    "abuse_concern",
    "child_fear",
    "contact_plan",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyDateGiven:
    """A date from the form; `on_date` when it has no time of day."""

    kind: str
    nth: int
    at: datetime
    on_date: date | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ParentGiven:
    """A form without faults."""

    name: str
    phone: str
    language: str
    profile: Mapping[str, Any]
    medium: str
    sequences: tuple[str, ...]
    dates: tuple[KeyDateGiven, ...]


def fresh(program: Program) -> MultiDict[str, str]:
    """What the form shows at first."""
    return MultiDict(
        {
            "language": "en",
            "timezone": program.timezone,
            "role": "resident",
            "dinner_time": "18:30",
            "school_from": "08:00",
            "school_to": "15:15",
            "court_ordered": "unknown",
            "custody_pattern": "every_day",
            "medium": "in_person",
        }
    )


def of_profile(profile: Mapping[str, Any], language: str) -> MultiDict[str, str]:
    """A stored profile as the form shows it."""
    values: MultiDict[str, str] = MultiDict({"language": language, "dinner_time": "18:30"})
    for key in PLAIN:
        if profile.get(key) not in (None, ""):
            values[key] = _plain_text(profile[key])
    if profile.get("discreet"):
        values["discreet"] = "yes"
    values["dinner_time"] = str(profile.get("dinner_time", "18:30") or "")
    start, _, end = str(profile.get("school_hours", "08:00-15:15") or "").partition("-")
    values["school_from"], values["school_to"] = start, end
    values["contact_hours"] = hours_text(profile.get("contact_hours"))
    values["busy_hours"] = hours_text(profile.get("busy_hours"))
    custody = profile.get("custody") or {}
    values["custody_pattern"] = custody.get("pattern", "every_day")
    values["custody_anchor"] = str(custody.get("anchor_date") or "")
    return values


def _plain_text(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def read_parent(form: Form, *, country: str, keys: tuple[str, ...]) -> ParentGiven | None:
    """Everything at once; none when there are faults, which are then in the form."""
    name = form.required("name", "Write the parent's name.")
    phone = _phone(form, country)
    language = form.one_of("language", languages.LANGUAGES, f"Choose {languages.named()}.")
    profile = read_profile(form)
    medium = form.one_of("medium", [key for key, _ in MEDIA], "Choose how they agreed.")
    if form.get("agreed") != "yes":
        form.fault("agreed", "Nobody is texted without their own yes. Tick this once they have agreed.")
    sequences = tuple(key for key in form.all("sequences") if key in keys)
    dates = read_dates(form)
    if form.faults:
        return None
    return ParentGiven(
        name=name,
        phone=phone,
        language=language,
        profile=profile,
        medium=medium,
        sequences=sequences,
        dates=dates,
    )


def _phone(form: Form, country: str) -> str:
    written = form.required("phone", "Write the parent's mobile number.")
    try:
        return to_e164(written, country=country) if written else ""
    except PhoneError as error:
        form.fault("phone", str(error))
        return ""


def read_profile(form: Form) -> dict[str, Any]:
    """The mapping that schedules.profile reads; its faults are put beside their fields."""
    profile: dict[str, Any] = {key: form.get(key) for key in PLAIN if form.get(key)}
    profile["discreet"] = form.get("discreet") == "yes"
    # Empty, not none: none would bring the default back, and "no fixed dinner" is an answer.
    profile["dinner_time"] = form.get("dinner_time")
    profile["school_hours"] = _school(form)
    for key in ("contact_hours", "busy_hours"):
        if form.get(key):
            profile[key] = week(form.get(key))
    profile["custody"] = _custody(form)
    try:
        parse(profile, where="profile")
    except ProfileError as error:
        form.take(error.faults, READERS, prefix="profile")
    return profile


def _school(form: Form) -> str:
    start, end = form.get("school_from"), form.get("school_to")
    if bool(start) != bool(end):
        form.fault("school_hours", "Give both times, or clear both when there is no school.")
    return f"{start}-{end}" if start and end else ""


def _custody(form: Form) -> dict[str, str]:
    custody = {"pattern": form.get("custody_pattern") or "every_day"}
    if form.get("custody_anchor"):
        custody["anchor_date"] = form.get("custody_anchor")
    return custody


def read_dates(form: Form) -> tuple[KeyDateGiven, ...]:
    """The dates that were filled in, read in the family's own zone."""
    zone = form.get("timezone")
    if zone not in dict(ZONES):
        return ()  # the zone itself is the fault
    found = []
    for name, kind, nth, _, has_time in DATES:
        on = None if has_time else form.on_date(name)
        at = form.instant(name, zone) if has_time else form.midnight(name, zone)
        if at is not None:
            found.append(KeyDateGiven(kind=kind, nth=nth, at=at, on_date=on))
    return tuple(found)
