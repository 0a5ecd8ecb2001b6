"""What is still to come for one parent, in the order in which it falls due; each moment is looked for when it matters.

To find the first moment that everything allows costs more than all else about a step. Few moments matter: those of
steps that are due, and when to look next, the first one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile

from schedules import moments
from schedules.moments import Candidate
from schedules.policy import Policy
from schedules.values import Kind, Thread

_FAR_OFF = datetime(9000, 1, 1, tzinfo=UTC)


class Outlook:
    """The pending steps of one thread at one instant. `coming` has them by due date, their moments not looked for."""

    def __init__(self, thread: Thread, policy: Policy, now: datetime) -> None:
        self.thread, self.policy, self.now = thread, policy, now
        found = (
            moments.coming(pending, enrollment, thread, policy)
            for enrollment in thread.enrollments
            for pending in enrollment.agenda
        )
        self.coming = sorted((c for c in found if c is not None), key=_turn)
        self._reach = timedelta(days=policy.cap_week_days)
        self._placed: dict[int, Candidate] = {}  # by the identity of the one in `coming`

    def placed(self, candidate: Candidate) -> Candidate:
        """One of `coming` with its first possible moment, from now on."""
        found = self._placed.get(id(candidate))
        if found is None:
            found = self._placed[id(candidate)] = moments.placed(candidate, self.thread, self.policy, self.now)
        return found

    def ready(self) -> list[Candidate]:
        """The texts whose moment is now. None goes before it is due, so only those that are due need to be placed."""
        due = takewhile(lambda candidate: candidate.due.at <= self.now, self.coming)
        placed = (self.placed(candidate) for candidate in due if candidate.step.kind is not Kind.STAFF)
        return [candidate for candidate in placed if candidate.at is not None and candidate.at <= self.now]

    def in_reach(self) -> list[Candidate]:
        """All steps with their moments, as far ahead as it can matter.

        What falls due more than a week after the nearest moment can neither be next nor be pushed out by what is.
        """
        found: list[Candidate] = []
        near = _FAR_OFF
        for candidate in self.coming:
            if candidate.due.at - near > self._reach:
                break
            found.append(self.placed(candidate))
            near = min(near, found[-1].at or near)
        return found

    def reaches(self, candidate: Candidate) -> bool:
        """Is this one of `coming` in reach? No moment lies before now, so what is due within a week is."""
        if candidate.due.at - self.now <= self._reach:
            return True
        return any(other.pending is candidate.pending for other in self.in_reach())

    def waited_for(self) -> list[Candidate]:
        """The steps in reach, with the first moment of all and that of the next talk; other moments may be left out.

        Once a moment after now is found, what falls due later cannot come before it.
        """
        found: list[Candidate] = []
        near = talk = _FAR_OFF
        for candidate in self.coming:
            if candidate.due.at - near > self._reach:
                break
            is_talk = candidate.step.kind is Kind.TALK
            if near <= self.now or candidate.due.at <= (talk if is_talk else near):
                candidate = self.placed(candidate)
                near = min(near, candidate.at or near)
                talk = min(talk, candidate.at or talk) if is_talk else talk
            found.append(candidate)
        return found


def _turn(candidate: Candidate) -> tuple[datetime, int, str, str, int]:
    pending = candidate.pending
    return candidate.due.at, candidate.priority, candidate.enrollment.id, pending.step, pending.cycle
