"""The enrollment form and the profile page: what was typed becomes a profile, a consent and dates.

Both are built from the table in families.fields; every fault finds its field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import MultiDict

from nudges import languages
from nudges.families import fields, profile_texts, zones
from nudges.families.consent import STAFF_MEDIA
from nudges.families.fields import DateGiven, Field, Section
from nudges.families.phones import PhoneError, to_e164
from nudges.families.profile_texts import Changes
from nudges.models.program import Program
from nudges.web.forms import Form
from schedules.profile import Fault

SHOWN = "shown"  # the hidden field with what the profile page showed


_FOLDED = ("days",)  # sections that the first day seldom needs


@dataclass(frozen=True, kw_only=True, slots=True)
class ParentGiven:
    """A form without faults."""

    name: str
    phone: str
    language: str
    profile: Mapping[str, Any]
    medium: str
    sequences: tuple[str, ...]
    dates: tuple[DateGiven, ...]


def fresh(program: Program) -> MultiDict[str, str]:
    """What the enrollment form shows at first."""
    shown = profile_texts.as_text({}, fields.ENROLLMENT)
    return MultiDict({**shown, "timezone": program.timezone, "language": "en", "medium": "in_person"})


def of_profile(profile: Mapping[str, Any], language: str) -> MultiDict[str, str]:
    """A stored profile as its page shows it."""
    shown = profile_texts.as_text(profile)
    return MultiDict({**shown, "language": language, SHOWN: json.dumps({**shown, "language": language})})


def words(door: str, country: str) -> dict[str, Any]:
    """What the templates need beside the form."""
    return {
        "sections": tuple(_sections(door)),
        "folded": _FOLDED if door == fields.ENROLLMENT else (),
        "zones": zones.offered(country),
        "labels": fields.labels(),
        "media": STAFF_MEDIA,
        "dates": fields.DATES,
    }


def _sections(door: str) -> Iterator[tuple[Section, Sequence[Field]]]:
    for section in fields.SECTIONS:
        own = [field for field in fields.at_door(door) if field.section == section.key]
        if own:
            yield section, own


def read_parent(form: Form, *, country: str, keys: tuple[str, ...]) -> ParentGiven | None:
    """Everything at once; none when there are faults, which are then in the form."""
    name = form.required("name", "Write the parent's name.")
    phone = _phone(form, country)
    language = read_language(form)
    changed = _changes(form, {}, None, country=country)
    profile = {key: value for key, value in changed.values.items() if value is not None}
    medium = form.one_of("medium", dict(STAFF_MEDIA), "Choose how they agreed.")
    if form.get("agreed") != "yes":
        form.fault("agreed", "Nobody is texted without their own yes. Tick this once they have agreed.")
    sequences = tuple(key for key in form.all("sequences") if key in keys)
    dates = read_dates(form, profile.get("timezone"), country=country)
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


def read_language(form: Form) -> str:
    return form.one_of("language", languages.LANGUAGES, f"Choose {languages.named()}.")


def language_wanted(form: Form, stored: str) -> str:
    """The language that somebody chose on the profile page; the stored one when they left it as it was shown."""
    left_as_shown = form.get("language") == (_was_shown(form) or {}).get("language")
    return stored if left_as_shown or "language" not in form.values else read_language(form)


def read_profile(form: Form, stored: Mapping[str, Any], *, country: str) -> Mapping[str, Any]:
    """The keys that somebody changed on the profile page; faults are put beside their fields."""
    was = _was_shown(form)
    changed = _changes(form, stored, was, country=country)
    if was is not None:
        form.values = MultiDict(form.values.items(multi=True))
        form.values[SHOWN] = json.dumps({**was, **changed.was})
    return changed.values


def _was_shown(form: Form) -> dict[str, str] | None:
    """What the form showed when it was opened; none when it does not say so."""
    try:
        told = json.loads(form.get(SHOWN) or "null")
    except ValueError:
        return None
    return {str(name): str(text) for name, text in told.items()} if isinstance(told, dict) else None


def _changes(form: Form, stored: Mapping[str, Any], was: Mapping[str, str] | None, *, country: str) -> Changes:
    typed = {field.name: form.get(field.name) for field in fields.FIELDS if field.name in form.values}
    changed = profile_texts.changes(stored, typed, was=was, country=country)
    for name, fault in changed.faults:
        form.fault(name, fault)
    return changed


def read_dates(form: Form, zone: str | None, *, country: str) -> tuple[DateGiven, ...]:
    """The dates that were filled in, read in the family's own zone; none when the zone itself is at fault."""
    found = []
    for asked in fields.DATES:
        text = form.get(asked.name)
        if not text or zone is None:
            continue
        try:
            found.append(profile_texts.date_given(asked, text, zone, country=country))
        except Fault as fault:
            form.fault(asked.name, profile_texts.sentence(str(fault)))
    return tuple(found)
