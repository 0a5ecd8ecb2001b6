"""What a lane may begin now: a bucket that fills at its pace, and never more than the pace in any one second.

The bucket alone would let a rested lane send its burst and a full second's worth within the same second, which is more
than the provider takes. So what was begun in the last second is counted too, from one drainer to the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

# A little more than a second: calls that begin a moment late must not meet those of the next second.
SECOND: Final = timedelta(seconds=1.02)
_ONE: Final = timedelta(seconds=0.01)  # calls of the same hundredth are kept as one


class Second:
    """Segments that were begun on one lane in the last second, and those that are claimed and not begun yet.

    What is claimed counts as begun now for as long as it waits: however late its call begins, no second of calls
    holds more than `most`.
    """

    def __init__(self, most: float, begun: Iterable[tuple[datetime, int]] = ()) -> None:
        self.most = most
        self._begun = deque(begun)
        self._sum = sum(segments for _, segments in self._begun)
        self._claimed = 0

    def has_room(self, segments: int, now: datetime) -> bool:
        """May so many more be claimed? A text that is longer than a second's worth goes alone."""
        self._forget(now)
        counted = self._sum + self._claimed
        return counted == 0 or counted + segments <= self.most

    def wait(self, segments: float, now: datetime) -> float:
        """In how many seconds there is room for so many, if all that is claimed is begun now."""
        self._forget(now)
        too_many = self._sum + self._claimed + min(segments, self.most) - self.most
        until = now
        for at, each in (*self._begun, (now, self._claimed)):
            if too_many <= 0:
                break
            too_many, until = too_many - each, at + SECOND
        return (until - now).total_seconds()

    def claim(self, segments: int) -> None:
        self._claimed += segments

    def give_back(self, segments: int) -> None:
        """Claimed, and never begun."""
        self._claimed -= segments

    def begin(self, segments: int, now: datetime) -> None:
        """A claimed text's call begins."""
        self._claimed -= segments
        self._sum += segments
        if self._begun and timedelta(0) <= now - self._begun[-1][0] < _ONE:
            _, before = self._begun.pop()
            segments += before
        self._begun.append((now, segments))

    def begun(self, now: datetime) -> list[tuple[datetime, int]]:
        """What the next drainer must know."""
        self._forget(now)
        return list(self._begun)

    def _forget(self, now: datetime) -> None:
        # What a clock that was set back calls the future is forgotten too, or the lane would stand still until then.
        while self._begun and not now - SECOND < self._begun[0][0] <= now + SECOND:
            self._sum -= self._begun.popleft()[1]
