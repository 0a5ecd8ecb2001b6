"""Sequences side by side: which ones switch others off, and which must wait for their turn.

All of it is written in the files, as traits. Sources: content.md §2.1 (suppression matrix, cap.active).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from schedules.policy import Policy
from schedules.values import Budget, Enrollment, Thread

WAITS_SINCE = "waits_since"  # the instant since which an enrollment has waited for its turn
IN_LINE = "in_line_since"  # a sequence that another leads to takes that one's place in the line


def switched_off_by(sequence: str, thread: Thread) -> str | None:
    """The running sequence that keeps `sequence` silent, if one does."""
    for other in thread.enrollments:
        traits, key = other.sequence.traits, other.sequence.key
        if key == sequence or not thread.in_sequence(sequence):
            continue
        if sequence in traits.suppresses or (traits.only_beside and sequence not in traits.only_beside):
            return key
    return None


def waiting(thread: Thread, policy: Policy, at: datetime) -> frozenset[str]:
    """Ids of the enrollments that wait: for one that goes first (signing up), or since enough others run that began
    before them. What is tied to dates waits for nobody.

    One that is switched off anyway takes nobody's place, and a single step (an idea in place of a talk) needs none.
    """
    first = [e for e in thread.enrollments if _goes_first(e, policy, at)]
    if first:
        return frozenset(e.id for e in thread.enrollments if e not in first and _is_comfort(e))
    if len(thread.enrollments) <= policy.active_sequences:
        return frozenset()
    content = [e for e in thread.enrollments if _takes_a_place(e, thread)]
    content.sort(key=lambda e: (e.instants.get(IN_LINE, e.started_at), WAITS_SINCE in e.instants))
    return frozenset(e.id for e in content[policy.active_sequences :])


def _goes_first(enrollment: Enrollment, policy: Policy, at: datetime) -> bool:
    """One whose question nobody answers does not keep the others waiting for ever."""
    patience = timedelta(days=policy.first_days)
    return enrollment.sequence.traits.goes_first and at < enrollment.started_at + patience


def _is_comfort(enrollment: Enrollment) -> bool:
    traits = enrollment.sequence.traits
    is_begun_by_a_person = traits.staff_only  # a break that has begun waits for no signing up
    return traits.budget in (None, Budget.COMFORT) and not is_begun_by_a_person and not enrollment.facts.get("only")


def _takes_a_place(enrollment: Enrollment, thread: Thread) -> bool:
    sequence = enrollment.sequence
    if sequence.traits.helper or enrollment.facts.get("only"):
        return False
    return switched_off_by(sequence.key, thread) is None
