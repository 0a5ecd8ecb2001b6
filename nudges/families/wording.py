"""The values that placeholders stand for, for one parent at one instant: the thread's own, and the program's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from nudges.families import snapshots, staff
from nudges.library import places
from nudges.library.places import Directory
from nudges.models.family import Parent
from nudges.models.program import Program
from schedules import fillings
from schedules.catalog import Idea
from schedules.policy import Policy
from schedules.values import Thread

# The core's words for dates, hours and small ideas, for callers that write a sentence of their own.
date_words = fillings.date_words
clock_words = fillings.clock_words
next_idea = fillings.next_idea
session_of = fillings.session_of


def values_for(
    session: Session,
    parent: Parent,
    thread: Thread,
    *,
    now: datetime,
    ideas: Sequence[Idea] = (),
) -> dict[str, str]:
    """Every placeholder that has a value. What is missing makes rendering fail by name, never an empty word."""
    program = session.get_one(Program, parent.program_id)
    people = People(
        org=program.name,
        staff=_first_name(session, parent.family_id),
        places=places.directory(session, program, now=now),
    )
    return values_of(people, thread, snapshots.policy_of(program), now, ideas=ideas)


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """What the program calls itself, the first name of the family's counselor (or nothing), and the places nearby."""

    org: str
    staff: str
    places: Directory = field(default_factory=Directory)


def values_of(
    people: People,
    thread: Thread,
    policy: Policy,
    now: datetime,
    *,
    ideas: Sequence[Idea] = (),
    session_at: datetime | None = None,
    wanted: Collection[str] = fillings.LOOKED_FOR,
) -> dict[str, str]:
    """The same for a caller that has read everything already. `session_at`: the session that the text is about;
    `wanted`: what the text asks for (see fillings.of_thread)."""
    found = {"org": people.org, "staff": people.staff, **people.places.values(thread.profile)}
    found |= fillings.of_thread(thread, policy, now, ideas=ideas, session_at=session_at, wanted=wanted)
    return {name: words for name, words in found.items() if words}


def _first_name(session: Session, family_id: int) -> str:
    counselors = staff.counselors_of(session, family_id)
    return counselors[0].name.split()[0] if counselors else ""
