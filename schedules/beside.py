"""Sequences side by side: which ones switch others off, and which must wait for their turn.

Sources: content.md §2.1 (suppression matrix, cap.active).
"""

from __future__ import annotations

from collections.abc import Mapping

from schedules.policy import Policy
from schedules.values import Enrollment, Thread

# While a parent is in the key's sequence, the listed ones are off.
SUPPRESSED: Mapping[str, frozenset[str]] = {
    "AFTERCRISIS": frozenset(("TALK", "DEMYST", "CHOICE", "PATIENCE", "OPENDOOR")),
    "BREAK": frozenset(("TALK", "DEMYST", "CHOICE", "DRIVE", "MATCH", "REMIND")),
    "DRIVE": frozenset(("TALK", "DEMYST")),
}
_WITH_OPENDOOR = frozenset(("OPENDOOR", "CARE", "RESOURCE", "REPAIR", "ONBOARD", "AFTERCRISIS", "REMIND", "SYSTEM"))
WAITS_SINCE = "waits_since"  # the instant since which an enrollment has waited for its turn
IN_LINE = "in_line_since"  # a sequence that another leads to takes that one's place in the line
_NO_CONTENT = frozenset(("CARE", "REMIND", "REPAIR", "ONBOARD", "AFTERCRISIS"))  # not among the two


def switched_off_by(sequence: str, thread: Thread) -> str | None:
    """The running sequence that keeps `sequence` silent, if one does."""
    for other in thread.enrollments:
        key = other.sequence.key
        if sequence in SUPPRESSED.get(key, ()) or (key == "OPENDOOR" and sequence not in _WITH_OPENDOOR):
            return key
    return None


def waiting(thread: Thread, policy: Policy) -> frozenset[str]:
    """Ids of the enrollments that wait because enough others run that began before them.

    One that is switched off anyway takes nobody's place, and a single step (an idea in place of a talk) needs none.
    """
    if len(thread.enrollments) <= policy.active_sequences:
        return frozenset()
    content = [e for e in thread.enrollments if _takes_a_place(e, thread)]
    content.sort(key=lambda e: (e.instants.get(IN_LINE, e.started_at), WAITS_SINCE in e.instants))
    return frozenset(e.id for e in content[policy.active_sequences :])


def _takes_a_place(enrollment: Enrollment, thread: Thread) -> bool:
    key = enrollment.sequence.key
    return key not in _NO_CONTENT and not enrollment.facts.get("only") and switched_off_by(key, thread) is None
