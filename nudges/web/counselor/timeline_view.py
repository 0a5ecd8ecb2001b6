"""A parent's timeline as the page shows it: each text with the reason for its moment, staff acts in words.

Newest first, with what is still to come above the line that says "now".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nudges.families.timeline import Entry, EntryKind

ACTS: Final[Mapping[str, str]] = {
    "parent.enrolled": "Enrolled, with consent on record",
    "parent.paused": "Paused",
    "parent.resumed": "Resumed",
    "parent.opted_out": "Stopped: they asked for no more texts",
    "parent.revived": "Texts are back on: they said START",
    "parent.phone_problem": "A problem with the number",
    "answer.applied": "What their answer changed",
    "sequence.started": "Sequence started",
    "sequence.stopped": "Sequence stopped",
    "date.set": "Date recorded",
    "date.moved": "Date moved",
    "date.done": "Date marked as done",
    "date.missed": "Date marked as missed",
    "date.cancelled": "Date cancelled",
    "profile.changed": "Profile changed",
    "week.quiet": "Not this week: quiet until Sunday",
    "week.open_again": "Not this week: taken back",
    "language.changed": "Language changed",
    "alert.acknowledged": "Alert taken",
    "alert.resolved": "Alert resolved",
    "hold.placed": "Texts held",
    "hold.released": "Hold released",
    "task.done": "Task done",
}
SILENT: Final = frozenset({"person.wrote"})  # the text itself stands there
OUTCOMES: Final[Mapping[str, str]] = {
    "dropped": "Not sent",
    "expired": "Not sent: its moment passed",
    "failed": "Could not be sent",
    "held": "Held",
    "staff": "Became a task for staff",
}
CATEGORIES: Final[Mapping[str, str]] = {
    "nudge": "Nudge",
    "reply": "Reply",
    "crisis_reply": "Crisis instructions",
    "person": "Written by a counselor",
    "system": "Service text",
    "staff_page": "Page",
}


# What happened in one instant, in the order of cause and effect. Entries of one kind come newest first.
_WITHIN_AN_INSTANT: Final = (
    EntryKind.ANSWER,
    EntryKind.ACT,
    EntryKind.OUTCOME,
    EntryKind.TEXT,
    EntryKind.REPLY,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One line: `css` places it (sent, in, coming, crisis, quiet), `who` heads it, `why` explains it."""

    at: datetime
    css: str
    who: str
    body: str | None = None
    label: str = ""
    status: str = ""
    why: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineView:
    """What is to come, farthest first, and what was, newest first."""

    coming: Sequence[Moment]
    past: Sequence[Moment]


def view(entries: Sequence[Entry], names: Mapping[int, str]) -> TimelineView:
    """`entries` of one parent, `names` of staff by id."""
    planned = [_planned(entry) for entry in entries if entry.kind is EntryKind.PLANNED]
    past = [entry for entry in entries if entry.kind is not EntryKind.PLANNED]
    reasons = _reasons(past)
    newest_first = sorted(
        enumerate(past), key=lambda pair: (pair[1].at, _WITHIN_AN_INSTANT.index(pair[1].kind), -pair[0]), reverse=True
    )
    moments = (_moment(entry, past, reasons, names) for _, entry in newest_first)
    return TimelineView(coming=list(reversed(planned)), past=[moment for moment in moments if moment])


def _reasons(entries: Sequence[Entry]) -> dict[int, str]:
    """Why each text went when it did, by outbox id: each sent step's outcome belongs to one text."""
    outcomes = [e for e in entries if e.kind is EntryKind.OUTCOME and e.status == "sent"]
    found: dict[int, str] = {}
    for text in sorted((e for e in entries if e.kind is EntryKind.TEXT and e.step), key=lambda e: e.at):
        match = next((o for o in outcomes if o.step == text.step and o.at <= text.at), None)
        if match is not None and text.outbox_id is not None:
            outcomes.remove(match)
            found[text.outbox_id] = match.reason
    return found


def _planned(entry: Entry) -> Moment:
    return Moment(
        at=entry.at,
        css="coming",
        who="Planned",
        body=entry.body,
        label=f"{entry.sequence} {entry.step}",
        why=entry.reason,
    )


def _moment(
    entry: Entry, entries: Sequence[Entry], reasons: Mapping[int, str], names: Mapping[int, str]
) -> Moment | None:
    match entry.kind:
        case EntryKind.TEXT:
            return _text(entry, reasons)
        case EntryKind.ANSWER:
            return _answer(entry)
        case EntryKind.REPLY:
            return _reply(entry, entries)
        case EntryKind.OUTCOME:
            return _outcome(entry)
        case _:
            return _act(entry, names)


def _text(entry: Entry, reasons: Mapping[int, str]) -> Moment:
    category = entry.category or ""
    failed = entry.status in ("failed", "undelivered", "expired", "cancelled", "unknown")
    why = entry.reason if failed else reasons.get(entry.outbox_id or 0, "")
    if entry.about:
        words = "" if failed else " The words are made when it is sent."
        why = f"{entry.about.rstrip('.')}.{words} {why}".strip()
    return Moment(
        at=entry.at,
        css="crisis" if category == "crisis_reply" else "sent",
        who=CATEGORIES.get(category, category),
        body=entry.body,
        label=f"{entry.sequence} {entry.step}" if entry.step else "",
        status=entry.status,
        why=why,
    )


def _answer(entry: Entry) -> Moment:
    in_danger = entry.details.get("level") in ("crisis", "check")
    return Moment(
        at=entry.at,
        css="crisis" if in_danger else "in",
        who="They wrote",
        body=entry.body,
        status="",
        label="",
        why="Screened as danger: instructions went back at once." if in_danger else "",
    )


def _reply(entry: Entry, entries: Sequence[Entry]) -> Moment | None:
    """The reply that went back in the same breath; one that the outbox follows stands there already."""
    if any(e.kind is EntryKind.TEXT and e.body and entry.body and e.body in entry.body for e in entries):
        return None
    return Moment(at=entry.at, css="sent", who="Answered at once", body=entry.body)


def _outcome(entry: Entry) -> Moment | None:
    words = OUTCOMES.get(entry.status)
    if words is None:
        return None
    return Moment(at=entry.at, css="quiet", who=words, label=f"{entry.sequence} {entry.step}", why=entry.reason)


def _act(entry: Entry, names: Mapping[int, str]) -> Moment | None:
    action = entry.action or ""
    if action in SILENT:
        return None
    kind, _, row_id = (entry.actor or "").partition(":")
    by = names.get(int(row_id), "") if kind == "staff" and row_id.isdigit() else ""
    words = ACTS.get(action, action.replace(".", " ").replace("_", " ").capitalize())
    subject = str(entry.details.get("subject", "")).removeprefix("sequence:")
    detail = subject if action.startswith("sequence.") else str(entry.details.get("kind", "")).replace("_", " ")
    effects = " ".join(str(effect) for effect in entry.details.get("effects", ()))
    return Moment(at=entry.at, css="quiet", who=words, label=detail, why=effects or (f"By {by}." if by else ""))
