"""What an engine is: it makes duties run. It holds no calendar and gives no guarantee; our tables do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One run of a duty: all of it, or its part for one lane. `stopping` is set once the process must leave."""

    lane_id: int | None = None
    stopping: threading.Event = field(default_factory=threading.Event)


# Does a duty; returns in how many seconds it would like the next turn, when that is sooner than its beat.
Run: TypeAlias = Callable[[Turn], float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """Whether the engine triggers at all. How late a duty is, the heartbeats say."""

    is_running: bool
    duties: tuple[str, ...]


class Engine(Protocol):
    """The seam: four calls."""

    def every(self, seconds: float, duty: str, run: Run) -> None:
        """Run a duty each so many seconds, and sooner when its last turn asked for it. Never twice at once here."""
        ...

    def wake(self, duty: str, lane_id: int | None = None) -> None:
        """Run a duty soon, or its part for one lane, after a commit that gave it something to do.

        Haste only: the beat is the guarantee. Never call it inside a transaction. Raises nothing.
        """
        ...

    def run_forever(self) -> None:
        """Trigger until the process is told to stop."""
        ...

    def health(self) -> Health:
        """Whether it triggers."""
        ...
