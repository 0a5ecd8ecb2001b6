"""The values that placeholders stand for, for one parent at one instant: the thread's own, and the program's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from nudges.families import snapshots, staff
from nudges.models.family import Parent
from nudges.models.program import Program
from schedules import fillings
from schedules.catalog import Idea
from schedules.policy import Policy
from schedules.values import Thread

# The core's words for hours and small ideas, for callers that write a sentence of their own.
clock_words = fillings.clock_words
idea_for = fillings.idea_for


def values_for(
    session: Session,
    parent: Parent,
    thread: Thread,
    *,
    now: datetime,
    ideas: Sequence[Idea] = (),
    cycle: int = 1,
) -> dict[str, str]:
    """Every placeholder that has a value. What is missing makes rendering fail by name, never an empty word."""
    program = session.get_one(Program, parent.program_id)
    people = People(org=program.name, staff=_first_name(session, parent.family_id))
    return values_of(people, thread, snapshots.policy_of(program), now, ideas=ideas, cycle=cycle)


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """What the program calls itself, and the first name of the family's counselor; empty when there is none."""

    org: str
    staff: str


def values_of(
    people: People, thread: Thread, policy: Policy, now: datetime, *, ideas: Sequence[Idea] = (), cycle: int = 1
) -> dict[str, str]:
    """The same for a caller that has read everything already."""
    found = {"org": people.org, "staff": people.staff}
    found |= fillings.of_thread(thread, policy, now, ideas=ideas, cycle=cycle)
    return {name: words for name, words in found.items() if words}


def _first_name(session: Session, family_id: int) -> str:
    counselors = staff.counselors_of(session, family_id)
    return counselors[0].name.split()[0] if counselors else ""
