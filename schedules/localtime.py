"""Wall clock and UTC. The only place where a zone is applied.

Gap (spring): a wall time that does not exist becomes the first valid minute after it.
Fold (autumn): a wall time that exists twice is its first occurrence.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NewType
from zoneinfo import ZoneInfo

# An instant as the core sees it: aware UTC, floored to the minute. `minute` makes one, and nothing else does.
Minute = NewType("Minute", datetime)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The IANA zone. Raises ZoneInfoNotFoundError (a KeyError) for an unknown name."""
    return ZoneInfo(name)


@lru_cache(maxsize=65536)
def to_utc(day: date, wall: time, zone_name: str) -> datetime:
    """The instant at which the wall clock of `zone_name` shows `day` `wall`."""
    naive = datetime.combine(day, wall)
    instant = naive.replace(tzinfo=zone(zone_name), fold=0).astimezone(UTC)
    shown = instant.astimezone(zone(zone_name)).replace(tzinfo=None)
    if shown == naive:
        return instant
    return _end_of_gap(naive, zone_name)


def _end_of_gap(naive: datetime, zone_name: str) -> datetime:
    """The instant of the change that swallowed `naive`: the first valid minute after the gap.

    PEP 495: in a gap, fold=0 reads the time with the offset before the change and fold=1 with the one after,
    so the true change lies between those two instants.
    """
    place = zone(zone_name)
    later = naive.replace(tzinfo=place, fold=0).astimezone(UTC)
    earlier = naive.replace(tzinfo=place, fold=1).astimezone(UTC)
    offset = earlier.astimezone(place).utcoffset()
    while earlier < later:
        middle = earlier + (later - earlier) / 2
        middle = middle.replace(second=0, microsecond=0)
        if middle <= earlier:
            break
        if middle.astimezone(place).utcoffset() == offset:
            earlier = middle
        else:
            later = middle
    return later


def local(instant: datetime, zone_name: str) -> datetime:
    """`instant` as the wall clock of `zone_name` shows it (aware)."""
    return instant.astimezone(zone(zone_name))


def local_date(instant: datetime, zone_name: str) -> date:
    return local(instant, zone_name).date()


def at_minute(day: date, minute: int, zone_name: str) -> datetime:
    """The instant of `minute` minutes after midnight of `day`; minutes past 1440 fall on the next days."""
    extra, minute = divmod(minute, 1440)
    return to_utc(day + extra * DAY, time(minute // 60, minute % 60), zone_name)


def plus_wall(instant: datetime, zone_name: str, *, days: int = 0, hours: int = 0) -> datetime:
    """Wall-clock arithmetic: the same local time `days` later, or the local time `hours` further on.

    Waits are wall time (a wait over a clock change keeps the hour that people see).
    """
    shown = local(instant, zone_name)
    moved = shown.replace(tzinfo=None) + timedelta(days=days, hours=hours)
    return to_utc(moved.date(), moved.time(), zone_name)


def minute_of_day(instant: datetime, zone_name: str) -> int:
    shown = local(instant, zone_name)
    return shown.hour * 60 + shown.minute


def minute(instant: datetime) -> Minute:
    """The minute that `instant` lies in. A beat comes some milliseconds after its mark, and is still on time."""
    return Minute(instant.replace(second=0, microsecond=0))


def midnight(instant: datetime, zone_name: str) -> datetime:
    """The beginning of the local day of `instant`: what counts weeks counts from days, and no beat makes it creep."""
    return at_minute(local_date(instant, zone_name), 0, zone_name)


def moved(instant: datetime, zone_name: str, by: timedelta) -> datetime:
    """`instant` moved by some wall time: the hour that people see stays, whatever the clocks do in between."""
    shown = local(instant, zone_name).replace(tzinfo=None) + by
    return to_utc(shown.date(), shown.time(), zone_name)
