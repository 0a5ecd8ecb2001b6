"""Woken after commit: what a page or a webhook has just queued is sent at once instead of at the next beat."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from nudges.models.messages import Outbox
from nudges.outbox.status import QUEUED

_LANES: Final = "lanes to wake"


class Waker:
    """Calls `wake` for each lane that a committed transaction has queued a text on, in a thread of its own.

    Not inside the transaction: an engine that refuses a second wake-up with an error would abort it. Not in the
    caller's thread: no page waits for an engine. A wake-up that gets lost costs a beat.
    """

    def __init__(self, sessions: sessionmaker[Session], wake: Callable[[int], None]) -> None:
        self._sessions, self._wake = sessions, wake
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="waker")
        self._lock = threading.Lock()
        self._asked: set[int] = set()
        event.listen(sessions, "after_flush", self._note)
        event.listen(sessions, "after_commit", self._committed)
        event.listen(sessions, "after_soft_rollback", self._rolled_back)

    def stop(self) -> None:
        """Listen no more."""
        event.remove(self._sessions, "after_flush", self._note)
        event.remove(self._sessions, "after_commit", self._committed)
        event.remove(self._sessions, "after_soft_rollback", self._rolled_back)
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _note(self, session: Session, context: object) -> None:
        lanes = {row.lane_id for row in session.new if isinstance(row, Outbox) and row.status == QUEUED}
        if lanes:
            session.info[_LANES] = session.info.get(_LANES, set()) | lanes

    def _committed(self, session: Session) -> None:
        if session.in_nested_transaction():
            return  # a savepoint: nobody else sees it yet
        for lane_id in session.info.pop(_LANES, ()):
            with self._lock:
                is_new = lane_id not in self._asked
                self._asked.add(lane_id)
            if is_new:
                self._thread.submit(self._call, lane_id)

    def _rolled_back(self, session: Session, previous: object) -> None:
        if not session.in_transaction():
            session.info.pop(_LANES, None)

    def _call(self, lane_id: int) -> None:
        with self._lock:
            self._asked.discard(lane_id)
        self._wake(lane_id)
