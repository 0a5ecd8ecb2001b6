"""What a family would get from a sequence: the real moments of the core, the real words."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from nudges.families import snapshots, wording
from nudges.models.family import Parent
from nudges.models.program import Program
from schedules import lifecycle, localtime, render, run
from schedules.catalog import Idea
from schedules.policy import Policy
from schedules.values import Reason, Sequence, Step, Thread

PREVIEWED = "preview"  # an enrollment id that no row has
SHOWN = 14


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewText:
    """One text to come: when, why then, and its words, or why it could not be written."""

    at: datetime
    zone: str
    step: Step
    reason: Reason
    text: str | None
    parts: int
    missing: str | None


def for_parent(
    session: Session, sequence: Sequence, parent: Parent, *, ideas: Many[Idea], now: datetime
) -> list[PreviewText]:
    """The texts of `sequence`, were this parent enrolled now and never answered."""
    policy = snapshots.policy_of(session.get_one(Program, parent.program_id))
    thread = preview(sequence, snapshots.thread_of(session, parent), policy, now)
    coming = run.forecast(thread, policy, localtime.minute(now), count=SHOWN, ideas=tuple(ideas))
    people = wording.PeopleOf(session, [parent], now=now).of(parent)
    mine = (forecast for forecast in coming if forecast.sequence == sequence.key)
    return [_preview_text(forecast, people, policy, ideas) for forecast in mine]


def preview(sequence: Sequence, thread: Thread, policy: Policy, now: datetime) -> Thread:
    """The thread with `sequence` begun at `now`: as it stands otherwise, so that caps and gaps count."""
    fresh = lifecycle.leave(thread, sequence.key)
    return lifecycle.enroll(fresh, sequence, enrollment_id=PREVIEWED, now=localtime.minute(now), policy=policy)


def _preview_text(forecast: run.Forecast, people: wording.People, policy: Policy, ideas: Many[Idea]) -> PreviewText:
    text, parts, missing = None, 0, None
    if forecast.step.texts is not None:
        try:
            rendered = wording.of_forecast(people, forecast, policy, ideas=ideas)
            text, parts = rendered.text, rendered.segments.parts
        except render.MissingValue as error:
            missing = str(error)
    return PreviewText(
        at=forecast.at,
        zone=forecast.thread.profile.timezone,
        step=forecast.step,
        reason=forecast.reason,
        text=text,
        parts=parts,
        missing=missing,
    )
