"""A channel for tests: remembers what it was given, and refuses or loses texts when told to."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime

from nudges.channels.base import Accepted, Action, ChannelError, Found, Outgoing
from nudges.clock import Clock


class FakeChannel:
    """A `Channel` in memory. `sent` holds what the phones really received, oldest first.

    Outcomes queued by `refuse_next` and `lose_next` are used up one a text; without one a text is accepted.
    """

    name = "fake"

    def __init__(self, clock: Clock) -> None:
        self.sent: list[Outgoing] = []
        self._clock = clock
        self._created: list[Found] = []
        self._outcomes: deque[tuple[ChannelError | None, bool]] = deque()

    def accept_next(self) -> None:
        """The next text is taken."""
        self._outcomes.append((None, True))

    def refuse_next(self, error: ChannelError) -> None:
        """The next text is not taken, and `error` says why."""
        self._outcomes.append((error, False))

    def lose_next(self, *, taken: bool = True) -> None:
        """Nobody knows about the next text; `taken` says whether the phone got it all the same."""
        unknown = ChannelError("no answer", permanent=False, code="no_answer", action=Action.RECONCILE)
        self._outcomes.append((unknown, taken))

    def send(self, outgoing: Outgoing) -> Accepted:
        """Take, refuse or lose one text."""
        error, taken = self._outcomes.popleft() if self._outcomes else (None, True)
        if taken:
            self._take(outgoing)
        if error is not None:
            raise error
        return Accepted(provider_id=self._created[-1].provider_id, status="accepted")

    def find_sent(self, to: str, *, since: datetime) -> Sequence[Found]:
        """Texts taken for `to` since an instant, newest first."""
        pairs = zip(reversed(self.sent), reversed(self._created), strict=True)
        return [found for text, found in pairs if text.to == to and found.created_at >= since]

    def _take(self, outgoing: Outgoing) -> None:
        self.sent.append(outgoing)
        self._created.append(
            Found(
                provider_id=f"FK{len(self.sent):032d}",
                body=outgoing.body,
                status="accepted",
                created_at=self._clock.now(),
            ),
        )
