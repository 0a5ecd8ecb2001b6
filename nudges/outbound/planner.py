"""Planning: what is due for each parent, decided by the core, stored in one transaction a batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from nudges.families import readings, snapshots
from nudges.families.readings import Reading
from nudges.families.snapshots import StaleParent
from nudges.families.wording import People
from nudges.library import places
from nudges.models.family import Parent
from nudges.models.program import Program
from nudges.outbound import carrying, course, outbox
from nudges.outbound.carrying import Carrier, Form
from schedules.catalog import Library

logger = logging.getLogger(__name__)

BATCH: Final = 500  # parents in one transaction: a STOP waits no longer than one batch takes
MOST: Final = 5000  # parents in one beat, so that its heartbeat is not late
SIDE_BY_SIDE: Final = 2  # batches under way on PostgreSQL: it stores one while we decide the other
POISONED: Final = timedelta(hours=1)  # until a parent whose plan failed is looked at again


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What one beat did: parents looked at, texts queued, parents whose plan failed."""

    parents: int = 0
    queued: int = 0
    failed: int = 0

    def __add__(self, other: Planned) -> Planned:
        return Planned(
            parents=self.parents + other.parents,
            queued=self.queued + other.queued,
            failed=self.failed + other.failed,
        )


def due_ids(session: Session, now: datetime, limit: int = 500) -> list[int]:
    """Parents whose moment has come, the longest overdue first."""
    return list(
        session.scalars(
            select(Parent.id)
            .where(Parent.status.in_(("active", "paused")), Parent.next_at.is_not(None), Parent.next_at <= now)
            .order_by(Parent.next_at)
            .limit(limit)
        )
    )


def plan_due(
    sessions: sessionmaker[Session], *, now: datetime, library: Library, limit: int = MOST, batch: int = BATCH
) -> Planned:
    """Plan everybody whose moment has come, `batch` parents in one transaction, at most `limit` in all.

    Somebody else planning the same parents is harmless: they are left out, or one of the two is rolled back. A parent
    whose plan fails is looked at again an hour later, and the others go on. On PostgreSQL two batches are under way at
    a time.
    """
    beat = _Beat(sessions, limit, batch, now=now, library=library)
    done = beat.one()
    if not beat.goes_on or not _stores_apart(sessions):
        return done + beat.rest()
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="plan") as threads:
        others = [threads.submit(beat.rest) for _ in range(SIDE_BY_SIDE)]
    return sum((other.result() for other in others), done)


def _stores_apart(sessions: sessionmaker[Session]) -> bool:
    """Does the database store in a process of its own, and for several of us at a time? SQLite does neither."""
    with sessions() as session:
        return session.get_bind().dialect.name == "postgresql"


class _Beat:
    """Batch after batch, until nobody is left whose moment has come, or as many were planned as one beat may."""

    def __init__(
        self, sessions: sessionmaker[Session], limit: int, batch: int, *, now: datetime, library: Library
    ) -> None:
        self.sessions, self.left, self.batch, self.now, self.library = sessions, limit, batch, now, library
        self.forms = _Forms()
        self.goes_on = limit > 0
        self.turn = Lock()

    def rest(self) -> Planned:
        """All batches that are left, or, where others of the same beat run beside it, a share of them."""
        done = Planned()
        while self.goes_on:
            done += self.one()
        return done

    def one(self) -> Planned:
        """The next batch."""
        with self.turn:
            size = min(self.batch, self.left)
            self.left -= size
        if not size:
            self.goes_on = False
            return Planned()
        planned = _batch(self.sessions, size, self.forms, now=self.now, library=self.library)
        if planned.parents < self.batch:
            self.goes_on = False
        return planned


def plan_one(session: Session, parent_id: int, *, now: datetime, library: Library) -> int:
    """Carry out all that the core decides for this parent now. Returns how many texts were queued.

    Raises what the core raises, and StaleParent when somebody else wrote the parent meanwhile.
    """
    session.flush()
    reading = readings.claim(session, parent_id)
    if reading is None:
        return 0
    carrier = _Batch(session, [reading], _Forms(), now=now, library=library).carry()
    session.expire_all()  # what this session holds of the parent was written past it
    return len(carrier.texts)


def _batch(
    sessions: sessionmaker[Session],
    limit: int,
    forms: _Forms,
    *,
    now: datetime,
    library: Library,
) -> Planned:
    """One transaction for the next `limit` parents; when it falls, each of them in one of their own."""
    due: list[Reading] = []
    try:
        with sessions.begin() as session:
            due = readings.claim_due(session, now, limit)
            if not due:
                return Planned()
            batch = _Batch(session, due, forms, now=now, library=library)
            carrier = batch.carry(spare_poisoned=True)
        return Planned(parents=len(due), queued=len(carrier.texts), failed=batch.failed)
    except Exception as error:
        if not due:
            raise
        logger.info("a batch is planned one by one: %s", type(error).__name__, extra={"action": "plan"})
    return sum((_alone(sessions, reading.id, now=now, library=library) for reading in due), Planned())


def _alone(sessions: sessionmaker[Session], parent_id: int, *, now: datetime, library: Library) -> Planned:
    try:
        with sessions.begin() as session:
            return Planned(parents=1, queued=plan_one(session, parent_id, now=now, library=library))
    except StaleParent:
        logger.info("somebody else planned this parent", extra={"action": "plan", "parent_id": parent_id})
        return Planned(parents=1)
    except Exception as error:
        _say_failed(parent_id, error)
        with sessions.begin() as session:
            session.execute(
                update(Parent)
                .where(Parent.id == parent_id)
                .values(next_at=now + POISONED, next_reason=_why(error), revision=Parent.revision + 1)
            )
        return Planned(parents=1, failed=1)


class _Forms:
    """What was worked out lately, by all that the core saw. Whoever holds `turn` decides, so that batches side by side
    leave the processor to whom they share it with, such as a webhook."""

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], Form] = {}
        self.turn = Lock()


class _Batch:
    """Parents that are planned in one transaction."""

    def __init__(
        self,
        session: Session,
        due: Sequence[Reading],
        forms: _Forms,
        *,
        now: datetime,
        library: Library,
    ) -> None:
        self.session, self.due, self.forms = session, due, forms
        self.now, self.library, self.dialect = now, library, session.get_bind().dialect
        self.failed = 0

    def carry(self, *, spare_poisoned: bool = False) -> Carrier:
        """Decide for each and store it all. With `spare_poisoned` a parent whose plan fails is put off, and the
        others go on; without, its exception is the caller's."""
        ids = {reading.program_id for reading in self.due}
        self.programs = {p.id: p for p in self.session.scalars(select(Program).where(Program.id.in_(ids)))}
        self.places = {p.id: places.directory(self.session, p, now=self.now) for p in self.programs.values()}
        self.names = readings.first_names(self.session, {r.staff_id for r in self.due if r.staff_id is not None})
        carrier = Carrier(now=self.now, lanes=outbox.lanes_of(self.session, ids))
        with self.forms.turn:
            for reading in self.due:
                self.plan(reading, carrier, spare_poisoned=spare_poisoned)
        carrier.store(self.session)
        return carrier

    def plan(self, reading: Reading, carrier: Carrier, *, spare_poisoned: bool) -> None:
        try:
            self.take(reading, carrier)
        except Exception as error:
            if not spare_poisoned:
                raise
            self.failed += 1
            _say_failed(reading.id, error)
            carrier.rest(reading, self.dialect, until=self.now + POISONED, why=_why(error))

    def take(self, reading: Reading, carrier: Carrier) -> None:
        if reading.phone_problem is not None:
            carrier.rest(reading, self.dialect, until=None, why="this number cannot be texted")
            return
        carrier.take(reading, self.form(reading))

    def form(self, reading: Reading) -> Form:
        """What to store; worked out once for parents who stand alike, since the core's answer is the same for them."""
        alike = reading.alike()
        form = self.forms.known.get(alike)
        if form is None:
            if len(self.forms.known) >= BATCH:
                self.forms.known.clear()  # where no two stand alike, what is kept costs more than it saves
            program = self.programs[reading.program_id]
            people = People(
                org=program.name,
                staff=self.names.get(reading.staff_id or 0, ""),
                places=self.places[program.id],
            )
            found = course.work_out(
                reading.thread(), snapshots.policy_of(program), self.now, people=people, library=self.library
            )
            form = self.forms.known[alike] = carrying.form_of(found, self.now, self.dialect)
        return form


def _say_failed(parent_id: int, error: Exception) -> None:
    # Not the traceback: an exception of the core may quote a family's profile.
    logger.error(
        "a parent could not be planned: %s",
        type(error).__name__,
        extra={"action": "plan", "parent_id": parent_id},
    )


def _why(error: Exception) -> str:
    return f"could not be planned ({type(error).__name__}); the next try is in an hour"
