"""Who runs now in this process: a duty never twice at once, and no trigger lost while it runs."""

from __future__ import annotations

import logging
import threading
from enum import Enum
from typing import TypeAlias

from nudges.engine.base import Run, Turn

logger = logging.getLogger(__name__)

Key: TypeAlias = tuple[str, int | None]  # a duty, and the lane when only its part for one lane is meant


class _Stage(Enum):
    ASKED = "asked"
    RUNNING = "running"
    ASKED_AGAIN = "asked again"  # while it ran: what it was asked for may have come too late for that run


class Turns:
    """Lets each key run once at a time. Many triggers before a run are one; one during a run is one more run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: dict[Key, _Stage] = {}

    def ask(self, key: Key) -> bool:
        """Note a trigger. True when the caller must see to it that `take` is called for it."""
        with self._lock:
            stage = self._stages.get(key)
            if stage is None:
                self._stages[key] = _Stage.ASKED
            elif stage is _Stage.RUNNING:
                self._stages[key] = _Stage.ASKED_AGAIN
            return stage is None

    def take(self, key: Key, run: Run, turn: Turn) -> float | None:
        """Run what was asked for. In how many seconds the next turn is wanted: at once (0.0) when asked meanwhile."""
        with self._lock:
            self._stages[key] = _Stage.RUNNING
        wanted = None
        try:
            wanted = run(turn)
        except Exception as error:
            # The class only: an error's words may quote a family's.
            logger.error("a turn failed: %s", type(error).__name__, extra={"action": key[0]})
        with self._lock:
            stage = self._stages.pop(key)
        return 0.0 if stage is _Stage.ASKED_AGAIN else wanted
