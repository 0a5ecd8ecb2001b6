"""Who has which turn: the weekly pattern on the program's wall clock, and dated exceptions on top. Pure.

A clock change moves no turn: 17:00 to 08:00 stays that on the wall, and the night is an hour shorter or longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nudges.models.on_call import RotaOverride, RotaShift
from schedules.localtime import DAY, at_minute, local_date

_LONGEST: Final = timedelta(days=2)  # a turn lasts a day at most; its night may be longer by the clock change
_DAY_MINUTES: Final = 1440


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One stretch of one role, in UTC. Without `staff_id` it is a gap: nobody has it."""

    role: str
    starts_at: datetime
    ends_at: datetime
    staff_id: int | None
    is_exception: bool = False

    def covers(self, at: datetime) -> bool:
        return self.starts_at <= at < self.ends_at


def turns(
    role: str,
    pattern: Iterable[RotaShift],
    overrides: Iterable[RotaOverride],
    *,
    zone: str,
    since: datetime,
    until: datetime,
) -> tuple[Turn, ...]:
    """Every turn and every gap of a role that touches `since` to `until`, in order, whole (not cut at `since`).

    Where turns overlap the one that starts later counts; an exception counts before the pattern, the newest first.
    Gaps are cut at `since` and `until`, because they have no edges of their own.
    """
    layers = [*_of_pattern(role, pattern, zone=zone, since=since, until=until), *_of_overrides(role, overrides)]
    found = [turn for turn in _laid_over(layers) if turn.ends_at > since and turn.starts_at < until]
    return tuple(_with_gaps(role, found, since=since, until=until))


def _of_pattern(
    role: str, pattern: Iterable[RotaShift], *, zone: str, since: datetime, until: datetime
) -> Iterator[Turn]:
    shifts = [shift for shift in pattern if shift.role == role]
    found = []
    day, last = local_date(since - _LONGEST, zone), local_date(until, zone)
    while day <= last:
        for shift in shifts:
            if shift.weekday == day.weekday():
                ends = shift.end_minute + (_DAY_MINUTES if shift.end_minute <= shift.start_minute else 0)
                found.append(
                    Turn(
                        role=role,
                        starts_at=at_minute(day, shift.start_minute, zone),
                        ends_at=at_minute(day, ends, zone),
                        staff_id=shift.staff_id,
                    )
                )
        day += DAY
    yield from sorted(found, key=lambda turn: turn.starts_at)


def _of_overrides(role: str, overrides: Iterable[RotaOverride]) -> Iterator[Turn]:
    for row in sorted(overrides, key=lambda row: row.id):
        if row.role == role and row.cancelled_at is None:
            yield Turn(
                role=role, starts_at=row.starts_at, ends_at=row.ends_at, staff_id=row.staff_id, is_exception=True
            )


def _laid_over(layers: Sequence[Turn]) -> list[Turn]:
    """The top layer at every instant. What is left of a layer under another one is a turn of its own."""
    edges = sorted({edge for turn in layers for edge in (turn.starts_at, turn.ends_at)})
    pieces: list[tuple[int, Turn]] = []
    for start, end in zip(edges, edges[1:], strict=False):
        top = next((n for n in reversed(range(len(layers))) if layers[n].covers(start)), None)
        if top is None:
            continue
        layer = layers[top]
        if pieces and pieces[-1][0] == top and pieces[-1][1].ends_at == start:
            start = pieces.pop()[1].starts_at
        pieces.append((top, _cut(layer, start, end)))
    return [turn for _, turn in pieces]


def _cut(turn: Turn, start: datetime, end: datetime) -> Turn:
    return Turn(role=turn.role, starts_at=start, ends_at=end, staff_id=turn.staff_id, is_exception=turn.is_exception)


def _with_gaps(role: str, found: Sequence[Turn], *, since: datetime, until: datetime) -> Iterator[Turn]:
    reached = since
    for turn in found:
        if turn.starts_at > reached:
            yield Turn(role=role, starts_at=reached, ends_at=turn.starts_at, staff_id=None)
        yield turn
        reached = max(reached, turn.ends_at)
    if reached < until:
        yield Turn(role=role, starts_at=reached, ends_at=until, staff_id=None)
