"""What an edit does to families that are on their way: their next texts before and after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from nudges.families import snapshots
from nudges.models.family import Family, Parent
from nudges.models.program import Program
from nudges.models.sequences import Enrollment, SequenceRow
from nudges.studio.versions import running
from schedules import lifecycle, localtime, run
from schedules.policy import Policy
from schedules.values import Sequence, Thread

MOST = 200  # enrollments looked into: more than anybody reads, and each is planned twice
NEXT_TEXTS = 8  # over all sequences: an edit of one may move the texts of another


@dataclass(frozen=True, kw_only=True, slots=True)
class Coming:
    """A text to come: its step, its moment, and whether its words differ between the two versions."""

    step: str
    at: datetime
    words_change: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyImpact:
    """One parent's next texts, on the version they have and on the new one."""

    family_id: int
    code: str
    zone: str
    before: tuple[Coming, ...]
    after: tuple[Coming, ...]

    @property
    def is_changed(self) -> bool:
        moments = [(text.step, text.at) for text in self.before], [(text.step, text.at) for text in self.after]
        return moments[0] != moments[1] or any(text.words_change for text in self.after)


def on_running(session: Session, row: SequenceRow, sequence: Sequence, *, now: datetime) -> list[FamilyImpact]:
    """Running enrollments of `row` under `sequence`, the first MOST of them, those that change first."""
    policy = snapshots.policy_of(session.get_one(Program, row.program_id))
    found = [_impact(session, enrollment, sequence, policy, now) for enrollment in running(session, row, most=MOST)]
    return sorted(found, key=lambda impact: (not impact.is_changed, impact.code))


def _impact(
    session: Session, enrollment: Enrollment, sequence: Sequence, policy: Policy, now: datetime
) -> FamilyImpact:
    parent = session.get_one(Parent, enrollment.parent_id)
    family = session.get_one(Family, parent.family_id)
    thread = snapshots.thread_of(session, parent)
    value = thread.enrollment(str(enrollment.id))
    assert value is not None  # it is active, so it is part of the thread
    moved = thread.with_enrollment(lifecycle.upgrade(value, sequence))
    return FamilyImpact(
        family_id=family.id,
        code=family.code,
        zone=thread.profile.timezone,
        before=_coming(thread, value.sequence, sequence, policy, now),
        after=_coming(moved, value.sequence, sequence, policy, now),
    )


def _coming(thread: Thread, old: Sequence, new: Sequence, policy: Policy, now: datetime) -> tuple[Coming, ...]:
    forecasts = run.forecast(thread, policy, localtime.minute(now), count=NEXT_TEXTS)
    return tuple(
        Coming(
            step=forecast.step.id,
            at=forecast.at,
            words_change=forecast.sequence == new.key and _words_change(old, new, forecast.step.id),
        )
        for forecast in forecasts
    )


def _words_change(old: Sequence, new: Sequence, step_id: str) -> bool:
    before, after = old.step(step_id), new.step(step_id)
    if before is None or after is None:
        return before is not after
    return (before.texts, before.variants) != (after.texts, after.variants)
