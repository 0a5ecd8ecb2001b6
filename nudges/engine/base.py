"""What an engine is: it makes ticks run. It holds no calendar and gives no guarantee; our tables do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """Whether the engine triggers at all. How late a duty is, the heartbeats say."""

    is_running: bool
    duties: tuple[str, ...]


class Engine(Protocol):
    """The seam: four calls."""

    def every(self, seconds: float, duty: str, fn: Callable[[], None]) -> None:
        """Run `fn` each so many seconds, never twice at once in this process."""
        ...

    def wake(self, duty: str) -> None:
        """Run a duty soon, after a commit that gave it something to do. Haste only: the tick is the guarantee."""
        ...

    def run_forever(self) -> None:
        """Trigger until the process is told to stop."""
        ...

    def health(self) -> Health:
        """Whether it triggers."""
        ...
