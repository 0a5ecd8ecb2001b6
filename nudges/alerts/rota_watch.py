"""Watching the rota itself: a stretch without anybody is an alert before it comes, and once more when it is there."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.alerts import on_call, pages, paging, reach
from nudges.models.on_call import StaffDuty
from nudges.models.program import Program, Staff
from nudges.models.safety import Alert, AlertEvent

GAP_NOW: Final = paging.NOBODY
GAP_AHEAD: Final = "The on-call rota has a gap within seven days"
PHONE_SHUT: Final = "An on-call phone has opted out: its pages cannot be delivered"


def look(session: Session, now: datetime) -> int:
    """Open or end each program's alerts about its rota. Returns how many were opened."""
    return sum(_look(session, program, now) for program in session.scalars(select(Program).order_by(Program.id)))


def _look(session: Session, program: Program, now: datetime) -> int:
    gaps = on_call.gaps(session, program, since=now, until=now + on_call.LOOK_AHEAD)
    is_now = on_call.on_duty(session, program.id, at=now).first is None
    is_ahead = any(gap.starts_at > now for gap in gaps)
    opened = _keep(
        session,
        program,
        GAP_NOW,
        is_now,
        why="Fill the on-call rota, or give somebody a phone and a place in the standing order under Staff.",
        now=now,
    )
    if opened is not None:
        _page_everyone(session, opened, now=now)
    ahead = _keep(session, program, GAP_AHEAD, is_ahead, why="See Program, On call: gaps are marked there.", now=now)
    _keep(session, program, PHONE_SHUT, _is_a_phone_shut(session, program), why=_SHUT_WHY, now=now)
    return (opened is not None) + (ahead is not None)


_SHUT_WHY: Final = "Somebody on call texted STOP. They text START from that phone to be paged again."


def _keep(session: Session, program: Program, title: str, is_so: bool, *, why: str, now: datetime) -> Alert | None:
    """The alert when it was opened just now; none when it stood already, or when there is nothing to say."""
    if not is_so:
        paging.resolve_system_alert(session, program.id, title=title, now=now)
        return None
    known = paging.open_system_alert(session, program.id, title)
    alert = paging.raise_system_alert(session, program.id, title=title, why=why, now=now)
    return alert if known is None else None


def _is_a_phone_shut(session: Session, program: Program) -> bool:
    shut = (
        select(Staff.id)
        .join(StaffDuty, StaffDuty.staff_id == Staff.id)
        .where(Staff.program_id == program.id, Staff.is_active, Staff.on_call_phone.is_not(None))
        .where(StaffDuty.phone_stopped_at.is_not(None))
    )
    return session.scalar(shut.limit(1)) is not None


def _page_everyone(session: Session, alert: Alert, *, now: datetime) -> None:
    """Once: whoever reads it first can fill the gap."""
    roster = reach.roster(session, alert.program_id)
    for ways in sorted(roster.reachable, key=lambda ways: ways.person.id):
        if pages.page_person(session, alert, ways, now=now):
            session.add(AlertEvent(alert_id=alert.id, event="paged", staff_id=ways.person.id, at=now))
    for address in roster.team:
        pages.notify(session, alert, address, now=now)
    session.flush()
