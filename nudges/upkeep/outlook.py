"""What lies ahead: is sending behind its plan, and will the lanes carry what the next two weeks bring?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nudges import tasks
from nudges.db import unindexed
from nudges.families import snapshots
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Heartbeat, Lane, Program
from nudges.upkeep import beats
from nudges.upkeep.readiness import MOST_BACKLOG, backlog_age
from schedules import localtime, run

DAYS: Final = 14
SAMPLE: Final = 100  # parents whose plan is looked into; a larger program is scaled up from them
MOST_TEXTS: Final = 20  # of one parent in the days ahead
RECENT: Final = 1000  # texts that say how long a text is
SENDING_HOURS: Final = 8  # of a day, in which texts of one zone can go: families are not awake all day
SEGMENTS: Final = 1.6  # of a text, until the program has sent some of its own
FRESH_FOR: Final = timedelta(hours=24)
DUTY: Final = "forecast"  # the heartbeat that keeps the last one
_CAP: Final = 2000  # segments a day to one carrier that an ordinary registered brand may send
BEHIND: Final = "behind"  # kind of the task


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """How many texts are expected on one local day, and how many the lane carries in its sending hours."""

    on: date
    texts: int
    capacity: int

    @property
    def is_over(self) -> bool:
        return self.texts > self.capacity


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """The days ahead of one program. `sampled` parents of `parents` were looked into."""

    days: tuple[Day, ...]
    parents: int
    sampled: int

    @property
    def is_estimate(self) -> bool:
        return self.sampled < self.parents

    @property
    def is_over_carrier_cap(self) -> bool:
        return any(day.texts * SEGMENTS > _CAP for day in self.days)


def forecast(session: Session, program: Program, now: datetime) -> Outlook:
    """Ask the plan itself what goes out if nothing is answered: all parents of a small program, a sample else."""
    parents, sample = _sample(session, program)
    counts = _expected(session, program, sample, now)
    today = localtime.local(now, program.timezone).date()
    capacity = daily_capacity(session, program)
    scale = parents / len(sample) if sample else 0.0
    days = tuple(
        Day(on=on, texts=round(counts[on] * scale), capacity=capacity)
        for on in (today + timedelta(days=ahead) for ahead in range(DAYS))
    )
    return Outlook(days=days, parents=parents, sampled=len(sample))


def _sample(session: Session, program: Program) -> tuple[int, Sequence[int]]:
    """How many active parents there are, and ids of all of them or of SAMPLE spread over the years of enrollment."""
    active = (Parent.program_id == program.id, Parent.status == "active")
    count, first, last = session.execute(
        select(func.count(), func.min(Parent.id), func.max(Parent.id)).where(*active)
    ).one()
    if count <= SAMPLE:
        return count, session.scalars(select(Parent.id).where(*active).order_by(Parent.id)).all()
    # The first from each of so many even places on: a list of all ids would cost a large program too much memory.
    table = Parent.metadata.tables[Parent.__tablename__]
    mine = (unindexed(table.c.program_id) == program.id, table.c.status == "active")
    ids = select(table.c.id).where(*mine).order_by(table.c.id).limit(1)
    places = (first + (last - first) * place // SAMPLE for place in range(SAMPLE))
    found = (session.scalar(ids.where(table.c.id >= place)) for place in places)
    return count, sorted({id_ for id_ in found if id_ is not None})


def _expected(session: Session, program: Program, ids: Sequence[int], now: datetime) -> Counter[date]:
    counts: Counter[date] = Counter()
    policy = snapshots.policy_of(program)
    parents = session.scalars(select(Parent).where(Parent.id.in_(ids))).all()
    for thread in snapshots.threads_of(session, parents).values():
        for text in run.forecast(thread, policy, localtime.minute(now), count=MOST_TEXTS):
            if text.at > now + timedelta(days=DAYS):
                break
            counts[localtime.local(text.at, program.timezone).date()] += 1
    return counts


def daily_capacity(session: Session, program: Program) -> int:
    """Texts that the program's lane can hand over in the sending hours of one day."""
    pace = session.scalar(
        select(Lane.segments_per_second).where(Lane.program_id == program.id).order_by(Lane.id).limit(1)
    )
    newest = select(Outbox.segments, Outbox.category).order_by(Outbox.id.desc()).limit(RECENT).subquery()
    recent = select(func.avg(newest.c.segments)).where(newest.c.category == "nudge")
    segments = float(session.scalar(recent) or SEGMENTS)
    return int((pace or 0.0) * SENDING_HOURS * 3600 / segments)


# ---------------------------------------------------------------- kept for pages and the watch


def kept(session: Session, program: Program, now: datetime) -> Outlook:
    """The last forecast, made anew when it is a day old: a page must not wait for it twice."""
    row = session.get(Heartbeat, _duty(program))
    if row is None or now - row.at > FRESH_FOR or row.at > now:
        outlook = forecast(session, program, now)
        beats.note(session, _duty(program), now, _plain(outlook))
        return outlook
    return _from(row.detail)


def _duty(program: Program) -> str:
    return f"{DUTY}:{program.id}"


def _plain(outlook: Outlook) -> dict[str, object]:
    days = [[day.on.isoformat(), day.texts, day.capacity] for day in outlook.days]
    return {"days": days, "parents": outlook.parents, "sampled": outlook.sampled}


def _from(detail: Mapping[str, object]) -> Outlook:
    days = detail["days"]
    assert isinstance(days, list)
    return Outlook(
        days=tuple(Day(on=date.fromisoformat(on), texts=texts, capacity=capacity) for on, texts, capacity in days),
        parents=int(str(detail["parents"])),
        sampled=int(str(detail["sampled"])),
    )


def watch(session: Session, now: datetime) -> int:
    """Tell staff, once, when sending is behind or will not carry what is ahead. How many programs are behind."""
    behind = 0
    for program in session.scalars(select(Program)).all():
        words = reasons(session, program, now)
        behind += bool(words)
        if words and tasks.waiting(session, BEHIND, program_id=program.id) is None:
            told = " ".join(words) + " See Program, Sending."
            tasks.open_task(session, program_id=program.id, kind=BEHIND, words=told, now=now)
    return behind


def reasons(session: Session, program: Program, now: datetime) -> list[str]:
    """Why texts of this program go out late, or will; empty when all is well."""
    words = []
    lanes = session.scalars(select(Lane).where(Lane.program_id == program.id)).all()
    for lane in lanes:
        age = backlog_age(session, now, lane_id=lane.id)
        if age > MOST_BACKLOG:
            words.append(f"Sending is behind: a text has been due for {age.total_seconds() / 60:.0f} minutes.")
    outlook = kept(session, program, now)
    over = [day for day in outlook.days if day.is_over]
    if over:
        words.append(
            f"On {over[0].on:%d %B} about {over[0].texts} texts are planned and the lane carries {over[0].capacity}: "
            "raise its pace with the carrier, or spread new families over more days."
        )
    return words


# ---------------------------------------------------------------- the last day


def outcomes(session: Session, program: Program, now: datetime) -> dict[str, int]:
    """What became of the texts that were created in the last 24 hours."""
    lanes = select(Lane.id).where(Lane.program_id == program.id)
    # The newest of those before: no index has the time alone, and ids rise with it.
    older = select(Outbox.id).where(Outbox.created_at <= now - timedelta(hours=24)).order_by(Outbox.id.desc()).limit(1)
    rows = session.execute(
        select(Outbox.status, func.count())
        .where(Outbox.lane_id.in_(lanes), Outbox.id > (session.scalar(older) or 0))
        .group_by(Outbox.status)
    )
    return {row[0]: row[1] for row in rows}
