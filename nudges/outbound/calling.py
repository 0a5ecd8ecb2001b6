"""Calls of one lane that are under way at once: threads that know the channel and nothing else."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TypeAlias

from nudges.channels.base import Accepted, Channel, ChannelError
from nudges.outbound.claiming import Attempt

Answer: TypeAlias = Accepted | ChannelError


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """One call that has come to its end. `broke` is an exception that is no answer: nobody knows what happened."""

    attempt: Attempt
    answer: Answer | None = None
    broke: BaseException | None = None


class Calls:
    """At most `most` calls at once. No session, no row of ours that changes: the threads only ask the channel.

    Used by one drainer: it makes calls and collects what came of them; nothing else waits here.
    """

    def __init__(self, channel: Channel, *, most: int) -> None:
        self._channel, self._most = channel, most
        self._to_make: SimpleQueue[Attempt | None] = SimpleQueue()
        self._made: SimpleQueue[Made] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.under_way = 0

    @property
    def has_room(self) -> bool:
        return self.under_way < self._most

    def make(self, attempt: Attempt) -> None:
        """Begin a call now; only while there is room."""
        self.under_way += 1
        if len(self._threads) < self.under_way:
            thread = threading.Thread(target=self._work, name=f"call-{len(self._threads)}", daemon=True)
            thread.start()
            self._threads.append(thread)
        self._to_make.put(attempt)

    def finished(self, *, within: float) -> list[Made]:
        """What has come to its end: at least one, unless nothing does `within` so many seconds."""
        made: list[Made] = []
        try:
            made.append(self._made.get(timeout=within))
            while len(made) < self.under_way:
                made.append(self._made.get_nowait())
        except Empty:
            pass
        self.under_way -= len(made)
        return made

    def close(self) -> None:
        """Let the threads go; a call that is still under way is nobody's to wait for."""
        for _ in self._threads:
            self._to_make.put(None)

    def _work(self) -> None:
        while (attempt := self._to_make.get()) is not None:
            self._made.put(self._call(attempt))

    def _call(self, attempt: Attempt) -> Made:
        try:
            return Made(attempt=attempt, answer=self._channel.send(attempt.outgoing))
        except ChannelError as error:
            return Made(attempt=attempt, answer=error)
        except BaseException as error:  # the drainer raises it again, where it is seen
            return Made(attempt=attempt, broke=error)
