"""The drill: a marked crisis through the real path, timed. It texts no parent, and its alert counts in no figure.

The drill family has a number that nobody has. Its text goes in where every text does; the answer is handed to nobody,
but the page goes to whoever is really on call, and a person really has to acknowledge it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from nudges import tasks
from nudges.alerts import acknowledging, figures, holds
from nudges.clock import Clock, ticking
from nudges.db import blind_index
from nudges.inbound import handle
from nudges.inbound.texts import Deps, IncomingText
from nudges.ledger import record
from nudges.models.family import Family, Parent
from nudges.models.messages import Outbox
from nudges.models.on_call import AlertPage, StaffNotice
from nudges.models.phrases import DRILL_CODE, DRILL_TEXTS, Drill
from nudges.models.program import Lane, Program, Staff
from nudges.models.safety import Alert, Hold
from nudges.outbox import queue
from nudges.outbox.status import ACCEPTED, DELIVERED

CODE: Final = DRILL_CODE  # on the alert, the page and the family's page: nobody takes it for a family
NAME: Final = "Nobody (drill)"
TEXT: Final = "DRILL, not real: my daughter says she wants to kill herself"
LASTS: Final = timedelta(minutes=14)  # before the ladder would call everyone
EVERY: Final = timedelta(days=31)
REMINDER: Final = "drill_due"


class DrillError(RuntimeError):
    """A drill cannot be held; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How long each part took, in seconds from the text; None for what has not happened."""

    drill_id: int
    alert_id: int | None
    started_at: datetime
    level: str
    answered: float
    paged: float | None
    handed_over: float | None
    acknowledged: float | None
    pages: int
    is_over: bool

    @property
    def is_complete(self) -> bool:
        return self.level == "crisis" and self.handed_over is not None and self.acknowledged is not None


def hold_one(
    sessions: sessionmaker[Session], deps: Deps, *, program_id: int, staff_id: int | None, clock: Clock
) -> int:
    """Send the drill text through the inbound path. Returns the drill's id. Raises DrillError.

    1. a drill that is still open ends first: one at a time
    2. the text is screened, received, answered, alerted and held for like any other
    3. its reply is marked as taken by nobody, so that no missing receipt raises an alarm
    """
    now = clock.now()
    with sessions.begin() as session:
        program = session.get_one(Program, program_id)
        end_open(session, program_id, now=now)
        parent, sender = _ready(session, program, now=now)
    incoming = IncomingText(
        provider_id=f"{DRILL_TEXTS}{uuid.uuid4().hex}", from_number=parent.phone, to_number=sender, body=TEXT
    )
    began = ticking()
    alone = handle.read_alone(incoming, deps=deps)
    with sessions.begin() as session:
        handle.receive(session, incoming, now=now, deps=deps, alone=alone)
        alert = session.scalar(
            select(Alert).where(Alert.parent_id == parent.id, Alert.status != "resolved").order_by(Alert.id.desc())
        )
        drill = Drill(
            program_id=program_id,
            alert_id=alert.id if alert is not None else None,
            staff_id=staff_id,
            started_at=now,
            answered_ms=0,
        )
        session.add(drill)
        _take_reply(session, parent, now=now)
        actor = f"staff:{staff_id}" if staff_id is not None else "system:cli"
        record.append(session, at=now, actor=actor, action="drill.started", subject=f"drill:{drill.id}")
    with sessions.begin() as session:  # only a committed answer is one
        session.get_one(Drill, drill.id).answered_ms = round((ticking() - began) * 1000)
    return drill.id


def _ready(session: Session, program: Program, *, now: datetime) -> tuple[Parent, str]:
    sender = session.scalar(select(Lane.sender).where(Lane.program_id == program.id).order_by(Lane.id).limit(1))
    if sender is None:
        raise DrillError("This program has no sender, so no text can come in or go out. Set one first.")
    found = parent_of(session, program.id)
    return (found if found is not None else _make(session, program, now=now)), sender


def parent_of(session: Session, program_id: int) -> Parent | None:
    """The one who is nobody."""
    return session.scalar(
        select(Parent)
        .join(Family, Family.id == Parent.family_id)
        .where(Family.program_id == program_id, Family.code == CODE)
    )


def _make(session: Session, program: Program, *, now: datetime) -> Parent:
    """The drill family. Paused and in no sequence: nothing is ever planned for it."""
    number = f"+1201555{100 + program.id % 100:04d}"  # 555-01xx: given to nobody
    family = Family(program_id=program.id, code=CODE, created_at=now)
    session.add(family)
    session.flush()
    parent = Parent(
        program_id=program.id,
        family_id=family.id,
        name=NAME,
        phone=number,
        phone_index=blind_index(number),
        language="en",
        profile={"timezone": program.timezone},
        status="paused",
        created_at=now,
    )
    session.add(parent)
    session.flush()
    return parent


def _take_reply(session: Session, parent: Parent, *, now: datetime) -> None:
    """Nobody reads the answer, so no receipt will ever come."""
    session.flush()
    rows = session.scalars(
        select(Outbox.id).where(
            Outbox.parent_id == parent.id, Outbox.category == "crisis_reply", Outbox.status == ACCEPTED
        )
    )
    for row_id in rows.all():
        reason = "a drill: nobody has this number"
        queue.move(session, row_id, from_status=ACCEPTED, to_status=DELIVERED, reason=reason, now=now)


def report(session: Session, drill: Drill) -> Report:
    """What has happened so far."""
    alert = session.get(Alert, drill.alert_id) if drill.alert_id is not None else None
    times = figures.times_of(session, [alert])[0] if alert is not None else None
    handed_over, pages = _pages(session, drill.alert_id)

    def since(at: datetime | None) -> float | None:
        return (at - drill.started_at).total_seconds() if at is not None else None

    return Report(
        drill_id=drill.id,
        alert_id=drill.alert_id,
        started_at=drill.started_at,
        level=alert.level if alert is not None else "ordinary",
        answered=drill.answered_ms / 1000,
        paged=since(times.paged_at) if times is not None else None,
        handed_over=since(handed_over),
        acknowledged=since(alert.acknowledged_at) if alert is not None else None,
        pages=pages,
        is_over=drill.ended_at is not None,
    )


def _pages(session: Session, alert_id: int | None) -> tuple[datetime | None, int]:
    """When the first page was handed to a provider, and how many there were."""
    rows = session.execute(
        select(Outbox.attempted_at, Outbox.provider_id, StaffNotice.settled_at, StaffNotice.status)
        .select_from(AlertPage)
        .outerjoin(Outbox, Outbox.id == AlertPage.outbox_id)
        .outerjoin(StaffNotice, StaffNotice.id == AlertPage.notice_id)
        .where(AlertPage.alert_id == alert_id)
    ).all()
    texts = [row.attempted_at for row in rows if row.attempted_at is not None and row.provider_id is not None]
    notices = [row.settled_at for row in rows if row.status == "delivered" and row.settled_at is not None]
    return min([*texts, *notices], default=None), len(rows)


def history(session: Session, program_id: int, *, limit: int = 24) -> Sequence[Drill]:
    """Newest first."""
    rows = select(Drill).where(Drill.program_id == program_id).order_by(Drill.id.desc()).limit(limit)
    return session.scalars(rows).all()


def last_at(session: Session, program_id: int) -> datetime | None:
    """When the last one was that a person acknowledged: one that nobody answered has shown nothing."""
    return session.scalar(
        select(func.max(Drill.started_at))
        .join(Alert, Alert.id == Drill.alert_id)
        .where(Drill.program_id == program_id, Alert.acknowledged_at.is_not(None))
    )


def end_open(session: Session, program_id: int, *, now: datetime) -> int:
    """End every open drill: alert resolved, hold released. Returns how many."""
    return sum(_end(session, drill, now=now) for drill in _open(session) if drill.program_id == program_id)


def _open(session: Session) -> Sequence[Drill]:
    return session.scalars(select(Drill).where(Drill.ended_at.is_(None)).with_for_update(skip_locked=True)).all()


def tidy(session: Session, *, now: datetime) -> int:
    """End drills that somebody has acknowledged, and those that nobody has for 14 minutes. Returns how many."""
    ended = 0
    for drill in _open(session):
        alert = session.get(Alert, drill.alert_id) if drill.alert_id is not None else None
        is_answered = alert is not None and alert.acknowledged_at is not None
        if is_answered or now - drill.started_at >= LASTS:
            ended += _end(session, drill, now=now)
            if not is_answered:
                _say_unanswered(session, drill.program_id, now=now)
    return ended


def _end(session: Session, drill: Drill, *, now: datetime) -> int:
    drill.ended_at = now
    alert = session.get(Alert, drill.alert_id) if drill.alert_id is not None else None
    by = _somebody(session, drill, alert)
    if alert is None or by is None:
        return 1
    acknowledging.resolve(session, alert, by, "safe", "The drill is over.", now)
    for hold in session.scalars(select(Hold).where(Hold.family_id == alert.family_id, Hold.released_at.is_(None))):
        holds.release_hold(session, hold, by, "The drill is over.", holds.Release(path="finish"), now)
    return 1


def _somebody(session: Session, drill: Drill, alert: Alert | None) -> int | None:
    """In whose name a drill ends: whoever took it, else whoever started it, else an admin."""
    if alert is not None and alert.acknowledged_by is not None:
        return alert.acknowledged_by
    admin = select(Staff.id).where(Staff.program_id == drill.program_id, Staff.role == "admin", Staff.is_active)
    return drill.staff_id or session.scalar(admin.order_by(Staff.id).limit(1))


def remind(session: Session, *, now: datetime) -> int:
    """A task for every program that has rehearsed nothing for 31 days; one at a time. Returns how many are new."""
    made = 0
    for program in session.scalars(select(Program)):
        last = last_at(session, program.id) or program.created_at
        if now - last < EVERY or tasks.waiting(session, REMINDER, program_id=program.id) is not None:
            continue
        words = f"No crisis drill was acknowledged for {EVERY.days} days. Hold one under Program, Crisis desk."
        tasks.open_task(session, program_id=program.id, kind=REMINDER, words=words, now=now)
        made += 1
    return made


def _say_unanswered(session: Session, program_id: int, *, now: datetime) -> None:
    words = "A crisis drill was not acknowledged within 14 minutes."
    tasks.open_task(session, program_id=program_id, kind=REMINDER, words=words, now=now, priority=tasks.NOW)


def upkeep(session: Session, *, now: datetime) -> dict[str, int]:
    """What each beat does about drills."""
    return {"drills_ended": tidy(session, now=now), "drills_due": remind(session, now=now)}
