"""SQLite has one writer at a time: those of one process queue here, first come, first served."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque


def in_turn(seconds: float) -> type[Connection]:
    """A kind of connection for one engine: who begins a transaction on one waits at most so long for its turn."""
    return type("ConnectionInTurn", (Connection,), {"turns": Turns(seconds)})


class Turns:
    """The queue of an engine's writers.

    SQLite lets whoever waits ask again after ever longer pauses, and whoever comes just then goes first: in a burst the
    unlucky waited for seconds. The lock of the database itself stays the guarantee, also between processes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._guard = threading.Lock()
        self._queue: deque[threading.Event] = deque()
        self._writer: int | None = None  # the thread that has the turn

    def take(self) -> bool:
        """False when this thread has the turn already or did not get it in time: then the database decides."""
        with self._guard:
            if self._writer == threading.get_ident():
                return False
            if self._writer is None:
                self._writer = threading.get_ident()
                return True
            mine = threading.Event()
            self._queue.append(mine)
        if not mine.wait(self._seconds) and self._leave(mine):
            return False
        self._writer = threading.get_ident()
        return True

    def give_back(self) -> None:
        with self._guard:
            self._writer = None if not self._queue else 0  # of whoever is called now
            if self._queue:
                self._queue.popleft().set()

    def _leave(self, mine: threading.Event) -> bool:
        """False when the turn came at the last moment."""
        with self._guard:
            if mine.is_set():
                return False
            self._queue.remove(mine)
            return True


class Connection(sqlite3.Connection):
    """A connection whose transactions wait for their turn."""

    turns: Turns
    has_turn = False

    def wait_for_turn(self) -> None:
        self.has_turn = self.turns.take() or self.has_turn

    def give_turn_back(self) -> None:
        if self.has_turn and not self.in_transaction:
            self.has_turn = False
            self.turns.give_back()

    def commit(self) -> None:
        try:
            super().commit()
        finally:
            self.give_turn_back()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self.give_turn_back()

    def close(self) -> None:
        super().close()
        if self.has_turn:
            self.has_turn = False
            self.turns.give_back()
