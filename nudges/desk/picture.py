"""How the safety net does, for the figures page and for monitors: the alerts' figures and what the desk knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.alerts.figures import Figures, figures
from nudges.crisis import edition
from nudges.desk import drill, lines, versions
from nudges.models.messages import Inbound
from nudges.models.program import Program
from schedules import localtime

WINDOW: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Of one program, over the last 30 days. `would_be_silenced` counts texts by the phrase on trial."""

    figures: Figures
    due: tuple[tuple[str, str, str], ...]
    last_drill: datetime | None
    version: int
    in_force: int
    would_be_silenced: Mapping[str, int]


def picture(session: Session, program_id: int, *, now: datetime) -> Picture:
    """Everything for the page and for /metrics."""
    program = session.get_one(Program, program_id)
    newest = versions.newest(session)
    return Picture(
        figures=figures(session, program_id, since=now - WINDOW, now=now),
        due=lines.due(edition.in_force(), today=localtime.local_date(now, program.timezone)),
        last_drill=drill.last_at(session, program_id),
        version=newest.number if newest is not None else 0,
        in_force=edition.in_force().number,
        would_be_silenced=silenced(session, since=now - WINDOW),
    )


def silenced(session: Session, *, since: datetime) -> Mapping[str, int]:
    """How many texts each phrase on trial would have made milder, in every program."""
    rows = session.scalars(select(Inbound.screening).where(Inbound.at >= since))
    return Counter(name for screening in rows for name in screening.get("shadow", ()))
