"""What the core made of an answer, carried out and stored: the same for a parent's own text and for a person's word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from nudges.families import care, enrolling, snapshots
from nudges.models.family import Parent
from nudges.outbox.withdraw import withdraw_queued
from schedules.answers import End, Outcome, Start


@dataclass(frozen=True, kw_only=True, slots=True)
class Keeper:
    """Stores what an answer does; each act finds the thread as the one before left it.

    `add_task` opens a task of a priority, in these words. `staff_id` is who acts for the parent, if somebody does.
    """

    session: Session
    parent: Parent
    now: datetime
    add_task: Callable[[int, str], None]
    staff_id: int | None = None

    def keep(self, outcome: Outcome) -> None:
        """1. what ends, the thread, what starts; 2. profile and tasks. The words and a hold are left to the caller."""
        for end in outcome.ends:
            self._end(end)
        snapshots.save_or_raise(self.session, self.parent, outcome.thread, now=self.now)
        for start in outcome.starts:
            self._start(start)
        self._change_profile(outcome.profile_changes)
        for task in outcome.tasks:
            self.add_task(task.priority, task.words)
        snapshots.look_again(self.parent, now=self.now)
        self.session.flush()

    def _end(self, end: End) -> None:
        """Close an enrollment, and take back what it had queued."""
        enrollment_id = int(end.enrollment)
        enrolling.end_enrollment(
            self.session, enrollment_id, status="stopped", reason=end.reason, now=self.now, left=end.left
        )
        withdraw_queued(self.session, self.parent.id, reason=end.reason, now=self.now, enrollment_id=enrollment_id)

    def _start(self, start: Start) -> None:
        """Begin a sequence; what safety, an order or the program stands against becomes a person's task."""
        try:
            enrolling.start_sequence(
                self.session,
                self.parent,
                start.sequence,
                now=self.now,
                at_step=start.at_step,
                only=start.only,
                spacing_days=start.spacing_days,
                in_line_since=start.in_line_since,
            )
        except enrolling.EnrollError as error:
            self.add_task(2, f"An answer leads to {start.sequence}. {error}")

    def _change_profile(self, changes: Mapping[str, Any]) -> None:
        rest = {key: value for key, value in changes.items() if key != "pref_lang"}
        who: dict[str, Any] = {"now": self.now, "staff_id": self.staff_id}
        if "pref_lang" in changes:
            care.set_language(self.session, self.parent, str(changes["pref_lang"]), **who)
        if rest:
            care.change_profile(self.session, self.parent, rest, **who)
