"""Who is paged, and when: one ladder for each severity, as data.

Severity 4 is an emergency in progress, 3 any other danger to life or safety, 2 unsafe behavior or an exhausted
parent, 1 an uncertain text. A ladder is climbed until somebody acknowledges; its last rung repeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

EVERYONE: Final = 99


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung:
    """`after_minutes` counts from the alert; `reach` is how many people of the on-call order are paged."""

    after_minutes: int
    reach: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Ladder:
    """Rungs in order of time; the last one repeats every `again_minutes`."""

    rungs: tuple[Rung, ...]
    again_minutes: int


_NOT_PAGED: Final = Ladder(rungs=(), again_minutes=0)

LADDERS: Final[Mapping[int, Ladder]] = {
    # First person, backup and supervisor at once, again every two minutes, everyone after a quarter of an hour.
    4: Ladder(
        rungs=(*(Rung(after_minutes=m, reach=3) for m in range(0, 14, 2)), Rung(after_minutes=15, reach=EVERYONE)),
        again_minutes=15,
    ),
    3: Ladder(
        rungs=(
            Rung(after_minutes=0, reach=1),
            Rung(after_minutes=5, reach=2),
            Rung(after_minutes=10, reach=3),
            Rung(after_minutes=15, reach=EVERYONE),
        ),
        again_minutes=15,
    ),
    2: Ladder(
        rungs=(
            Rung(after_minutes=0, reach=1),
            Rung(after_minutes=30, reach=2),
            Rung(after_minutes=60, reach=3),
            Rung(after_minutes=240, reach=EVERYONE),
        ),
        again_minutes=240,
    ),
    # A doubtful text waits half an hour in the review list before it wakes anybody.
    1: Ladder(
        rungs=(
            Rung(after_minutes=30, reach=1),
            Rung(after_minutes=60, reach=2),
            Rung(after_minutes=240, reach=3),
        ),
        again_minutes=240,
    ),
    0: _NOT_PAGED,
}


def rung(severity: int, number: int) -> Rung | None:
    """The rung with this number, from 0. Past the end the last one repeats; None where nobody is paged."""
    ladder = LADDERS[severity]
    if not ladder.rungs:
        return None
    if number < len(ladder.rungs):
        return ladder.rungs[number]
    extra = (number - len(ladder.rungs) + 1) * ladder.again_minutes
    last = ladder.rungs[-1]
    return Rung(after_minutes=last.after_minutes + extra, reach=last.reach)


def due_at(severity: int, number: int, since: datetime) -> datetime | None:
    """When rung `number` is due in an episode that began at `since`."""
    step = rung(severity, number)
    return None if step is None else since + timedelta(minutes=step.after_minutes)
