"""The daily check that no parent is left without a next thing (schedules.standing), and how each one stands.

Looked at in batches, so that a program of any size costs memory for one batch only. Where nothing is right, a person
gets a task; where the last task about a parent has been done, their thread goes on by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from nudges import tasks
from nudges.families import snapshots
from nudges.models.family import Parent
from nudges.models.program import Program
from nudges.models.safety import Task
from schedules import localtime, progress
from schedules.standing import Standing, standing
from schedules.values import Thread

BATCH: Final = 200  # parents in one transaction
KIND: Final = "standing"
_LOOKED_AT: Final = ("active", "paused", "invited")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What one check did: parents looked at, tasks made, threads that go on after a task was done."""

    parents: int = 0
    tasks: int = 0
    went_on: int = 0

    def __add__(self, other: Checked) -> Checked:
        return Checked(
            parents=self.parents + other.parents,
            tasks=self.tasks + other.tasks,
            went_on=self.went_on + other.went_on,
        )


def check_all(sessions: sessionmaker[Session], *, now: datetime, batch: int = BATCH) -> Checked:
    """Check everybody, a batch in each transaction."""
    done, after = Checked(), 0
    while True:
        with sessions.begin() as session:
            parents = session.scalars(
                select(Parent).where(Parent.id > after, Parent.status.in_(_LOOKED_AT)).order_by(Parent.id).limit(batch)
            ).all()
            if not parents:
                return done
            done += _check(session, parents, now=now)
            after = parents[-1].id


def of_parent(session: Session, parent: Parent, *, now: datetime) -> Standing:
    """How one parent's thread stands now, for their page."""
    policy = snapshots.policy_of(session.get_one(Program, parent.program_id))
    return standing(snapshots.thread_of(session, parent), policy, localtime.minute(now))


def _check(session: Session, parents: Sequence[Parent], *, now: datetime) -> Checked:
    threads = snapshots.threads_of(session, parents)
    asked = _with_open_tasks(session, [parent.id for parent in parents])
    made = went_on = 0
    for parent in parents:
        thread = threads[parent.id]
        if thread.pace.with_staff is not None and parent.id not in asked:
            thread = _goes_on(session, parent, now=now)
            went_on += 1
        policy = snapshots.policy_of(session.get_one(Program, parent.program_id))
        found = standing(thread, policy, localtime.minute(now))
        _store(session, parent, found)
        if not found.is_right and parent.id not in asked and parent.phone_problem is None:
            tasks.ask_about(session, parent, kind=KIND, words=f"{found.reason} Choose what comes next.", now=now)
            made += 1
    return Checked(parents=len(parents), tasks=made, went_on=went_on)


def _with_open_tasks(session: Session, ids: Sequence[int]) -> frozenset[int]:
    """Who of these a person has been asked about and has not dealt with yet."""
    rows = session.scalars(select(Task.parent_id).where(Task.parent_id.in_(ids), Task.done_at.is_(None)))
    return frozenset(parent_id for parent_id in rows if parent_id is not None)


def staff_done(session: Session, parent_id: int, *, now: datetime) -> None:
    """A task about this parent was closed: with no other one open, their thread goes on by itself."""
    session.flush()
    if parent_id not in _with_open_tasks(session, [parent_id]):
        _goes_on(session, session.get_one(Parent, parent_id), now=now)


def _goes_on(session: Session, parent: Parent, *, now: datetime) -> Thread:
    parent = snapshots.locked(session, parent.id)
    thread = progress.staff_done(snapshots.thread_of(session, parent))
    snapshots.save_or_raise(session, parent, thread, now=now)
    return thread


def _store(session: Session, parent: Parent, found: Standing) -> None:
    """Not a change of the thread: the parent's revision stays, and no plan under way fails because of it."""
    session.execute(
        update(Parent)
        .where(Parent.id == parent.id)
        .values(standing=found.state, standing_owner=found.owner, standing_by=found.by)
        .execution_options(synchronize_session=False)
    )
