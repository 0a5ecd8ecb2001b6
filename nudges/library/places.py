"""The directory of places near a program's families: dated, and never named in a text once nobody vouches for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges import tasks
from nudges.ledger import record
from nudges.models.library import LocalResource
from nudges.models.program import Program
from schedules import localtime, reader, segments
from schedules.lint import words as language
from schedules.render import place_value
from schedules.values import PLACES, Profile

GOOD_FOR: Final = timedelta(days=180)  # after a check; content.md §2.15
AGES: Final = ("5-8", "9-12", "13-17")
MOST_CHARACTERS: Final = len(reader.WORST_CASE["resource"])  # the texts keep so much room for it
_TASK: Final = "directory"


class PlaceError(ValueError):
    """A place cannot be kept so; `faults` is field → what to mend."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(" ".join(faults.values()))
        self.faults = dict(faults)


@dataclass(frozen=True, kw_only=True, slots=True)
class Details:
    """What staff enter about a place. `next_review` none: 180 days after the check."""

    name: str
    kind: str
    about: str = ""
    phone: str = ""
    url: str = ""
    in_english: bool = True
    in_spanish: bool = False
    ages: tuple[str, ...] = ()
    area: str = ""
    next_review: date | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory:
    """The places of one program that may be named on one day, the last checked first."""

    places: tuple[LocalResource, ...] = ()

    def values(self, profile: Profile) -> dict[str, str]:
        """What {resource} stands for to this family, for each kind of place that there is; `resource` is any kind."""
        found: dict[str, str] = {}
        for place in self.places:
            if _fits(place, profile):
                found.setdefault(place_value(place.kind), in_a_text(place))
                found.setdefault("resource", in_a_text(place))
        return found


def directory(session: Session, program: Program, *, now: datetime) -> Directory:
    """What may be named now. One query."""
    day = today(program, now)
    return Directory(places=tuple(place for place in listed(session, program.id) if is_fresh(place, day)))


def listed(session: Session, program_id: int) -> Sequence[LocalResource]:
    """Every place that was not taken off the list, the last checked first."""
    return session.scalars(
        select(LocalResource)
        .where(LocalResource.program_id == program_id, LocalResource.retired_at.is_(None))
        .order_by(LocalResource.checked_on.desc(), LocalResource.id)
    ).all()


def today(program: Program, now: datetime) -> date:
    return localtime.local_date(now, program.timezone)


def is_fresh(place: LocalResource, day: date) -> bool:
    """Does somebody vouch for it on that day: checked at most 180 days ago, and its review not yet due?"""
    return place.retired_at is None and day <= place.next_review and day - place.checked_on <= GOOD_FOR


def in_a_text(place: LocalResource) -> str:
    """As a text names it: "Riverbend Health Center 312-555-0142"."""
    return f"{place.name} {place.phone or place.url}"


def _fits(place: LocalResource, profile: Profile) -> bool:
    speaks = place.in_spanish if profile.pref_lang == "es" else place.in_english
    for_age = not place.ages or profile.age_band is None or profile.age_band in place.ages.split()
    return speaks and for_age and (_may_be_seen(place) or not profile.discreet)


def _may_be_seen(place: LocalResource) -> bool:
    """On a shared phone neither a link nor a name that tells what the program is about."""
    named = (language.faults(place.name, lang, discreet=True) for lang in ("en", "es"))
    return bool(place.phone) and not any(fault.rule.startswith("LOCK") for faults in named for fault in faults)


# ---------------------------------------------------------------- keeping it


def add(
    session: Session, program: Program, details: Details, *, staff_id: int | None, now: datetime, by: str
) -> LocalResource:
    """A new place, checked now by whoever enters it. Raises PlaceError with every fault."""
    day = today(program, now)
    columns = _checked(details, day)
    place = LocalResource(program_id=program.id, checked_on=day, checked_by=staff_id, created_at=now, **columns)
    session.add(place)
    session.flush()
    _note(session, place, "place.added", by=by, now=now)
    return place


def change(
    session: Session, program: Program, place: LocalResource, details: Details, *, now: datetime, by: str
) -> None:
    """Other details of the same place; when it was checked stays as it is. Raises PlaceError with every fault."""
    for name, value in _checked(details, place.checked_on).items():
        setattr(place, name, value)
    session.flush()
    _note(session, place, "place.changed", by=by, now=now)
    remind(session, program, now=now)


def mark_checked(session: Session, program: Program, place: LocalResource, *, staff_id: int, now: datetime) -> None:
    """Somebody called, or looked: it is there, and the number works. Good for another 180 days."""
    place.checked_on, place.checked_by = today(program, now), staff_id
    place.next_review = place.checked_on + GOOD_FOR
    session.flush()
    _note(session, place, "place.checked", by=f"staff:{staff_id}", now=now)
    remind(session, program, now=now)


def retire(session: Session, program: Program, place: LocalResource, *, by: str, now: datetime) -> None:
    """Take it off the list for good; texts that were sent keep what they said."""
    place.retired_at = now
    session.flush()
    _note(session, place, "place.retired", by=by, now=now)
    remind(session, program, now=now)


def remind(session: Session, program: Program, *, now: datetime) -> None:
    """Keep one open task for staff that says which places nobody vouches for any more; close it when there is none."""
    day = today(program, now)
    stale = [place for place in listed(session, program.id) if not is_fresh(place, day)]
    task = tasks.waiting(session, _TASK, program_id=program.id)
    if not stale:
        if task is not None:
            tasks.close(task, now=now, outcome="Every place on the list has been checked.")
        return
    words = f"No text names these places until somebody checks them: {_named(stale)}. See Places."
    if task is None:
        tasks.open_task(session, program_id=program.id, kind=_TASK, words=words, now=now, priority=tasks.THIS_WEEK)
    elif task.words != words:
        task.words = words
    session.flush()


def _named(stale: Iterable[LocalResource]) -> str:
    return "; ".join(f"{place.name} ({PLACES[place.kind]}, checked {place.checked_on})" for place in stale)


def _note(session: Session, place: LocalResource, action: str, *, by: str, now: datetime) -> None:
    record.append(session, at=now, actor=by, action=action, subject=f"place:{place.id}")


def _checked(details: Details, checked_on: date) -> dict[str, Any]:
    """The columns, once all is well."""
    faults = dict(_faults(details, checked_on))
    if faults:
        raise PlaceError(faults)
    return {
        "name": details.name.strip(),
        "kind": details.kind,
        "about": details.about.strip(),
        "phone": details.phone.strip(),
        "url": details.url.strip(),
        "in_english": details.in_english,
        "in_spanish": details.in_spanish,
        "ages": " ".join(details.ages),
        "area": details.area.strip(),
        "next_review": details.next_review or checked_on + GOOD_FOR,
    }


def _faults(details: Details, checked_on: date) -> Iterable[tuple[str, str]]:
    if not details.name.strip():
        yield "name", "The name is missing."
    if details.kind not in PLACES:
        yield "kind", f"Choose what it is: {', '.join(PLACES.values())}."
    if not details.phone.strip() and not details.url.strip():
        yield "phone", "Give a phone number or a web address: a parent has to be able to reach it."
    if not (details.in_english or details.in_spanish):
        yield "in_english", "Say in which language people are helped there."
    if unknown := [band for band in details.ages if band not in AGES]:
        yield "ages", f"{unknown[0]!r} is no age band; there are {', '.join(AGES)}."
    if details.next_review is not None and not checked_on < details.next_review <= checked_on + GOOD_FOR:
        yield "next_review", f"The next review should be within {GOOD_FOR.days} days of the last check."
    yield from _faults_of_words(details)


def _faults_of_words(details: Details) -> Iterable[tuple[str, str]]:
    """A text keeps room for so much, in the alphabet that costs nothing more."""
    shown = f"{details.name.strip()} {details.phone.strip() or details.url.strip()}"
    costly = segments.count(shown).forced_by
    if costly:
        yield "name", f"Write it without {' '.join(costly)}: one such letter halves the room of every text."
    if len(shown) > MOST_CHARACTERS:
        too_long = len(shown) - MOST_CHARACTERS
        yield "name", f"Name and number are {too_long} characters too long for a text; shorten the name."
    for name, most in (("about", 200), ("area", 200), ("url", 200), ("phone", 40)):
        if len(getattr(details, name)) > most:
            yield name, f"At most {most} characters."
