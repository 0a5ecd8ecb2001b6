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
from schedules import fillings, render, run
from schedules.catalog import Idea
from schedules.policy import Policy
from schedules.values import Proposal, Thread

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
    people = PeopleOf(session, [parent], now=now).of(parent)
    return values_of(people, thread, snapshots.policy_of(program), now, ideas=ideas)


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """What the program calls itself, the first name of the family's counselor (or nothing), and the places nearby."""

    org: str
    staff: str
    places: Directory = field(default_factory=Directory)


def of_forecast(
    people: People, forecast: run.Forecast, policy: Policy, *, ideas: Sequence[Idea] = ()
) -> render.Rendered:
    """The words of a text to come, with the choices, the idea and the turn that were planned with it: what a page shows
    is what the phone will. Raises MissingValue."""
    thread, proposal = forecast.thread, forecast.proposal
    values = values_of(people, thread, policy, forecast.at, ideas=ideas, proposal=proposal)
    return render.for_step(forecast.step, thread.profile, values, proposal.turn, is_plain=proposal.is_plain)


class PeopleOf:
    """`People` of some parents' families, read in a query for each program and one for all counselors."""

    def __init__(self, session: Session, parents: Sequence[Parent], *, now: datetime) -> None:
        self._session, self._now = session, now
        self._staff = staff.first_names(session, {parent.family_id for parent in parents})
        self._programs: dict[int, tuple[str, Directory]] = {}

    def of(self, parent: Parent) -> People:
        """Who writes to this parent."""
        if parent.program_id not in self._programs:
            program = self._session.get_one(Program, parent.program_id)
            self._programs[program.id] = program.name, places.directory(self._session, program, now=self._now)
        org, directory = self._programs[parent.program_id]
        return People(org=org, staff=self._staff.get(parent.family_id, ""), places=directory)


def values_of(
    people: People,
    thread: Thread,
    policy: Policy,
    now: datetime,
    *,
    ideas: Sequence[Idea] = (),
    session_at: datetime | None = None,
    wanted: Collection[str] = fillings.LOOKED_FOR,
    proposal: Proposal | None = None,
) -> dict[str, str]:
    """The same for a caller that has read everything already. `session_at`: the session that the text is about;
    `wanted`: what the text asks for; `proposal`: the planned text (see fillings.of_thread)."""
    found = {"org": people.org, "staff": people.staff, **people.places.values(thread.profile)}
    found |= fillings.of_thread(
        thread, policy, now, ideas=ideas, session_at=session_at, wanted=wanted, proposal=proposal
    )
    return {name: words for name, words in found.items() if words}
