"""A family, a script and a start as a test writes them; the sends that follow, in local time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from nudges.inbound import intents
from schedules import catalog, policy_file, profile, script, simulate
from schedules.values import Budget, Enrollment, Kind, Pace, Thread

LIBRARY = catalog.load_library()
FAMILY_1 = {
    "timezone": "America/Chicago",
    "dinner_time": "18:30",
    "bedtime_school": "21:30",
    "bedtime_free": "22:30",
    "school_hours": "08:00-15:15",
    "contact_hours": "09:00-20:00",
    "busy_hours": {"mon-fri": ["09:00-17:30"]},
    "court_ordered": "no",
    "protective_order": "false",
    "abuse_concern": "false",
    "child_fear": "false",
    "contact_plan": "unsupervised",
}


LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


def welcomed(**pace):
    """The pace of somebody who has had the welcome, as everybody has whose texts are looked at."""
    return Pace(**{"welcomed_at": LONG_AGO, **pace})


def within(thread, proposal):
    """The thread that is in the proposal's sequence, whose traits the gate reads there."""
    sequence = LIBRARY.sequences.get(proposal.sequence)
    if sequence is None or thread.enrollment(proposal.enrollment) is not None:
        return thread
    begun = Enrollment(id=proposal.enrollment, sequence=sequence, started_at=LONG_AGO)
    return replace(thread, enrollments=(*thread.enrollments, begun))


def budget_of(sequence, step, kind, *, closes_talk=False):
    """Whose limits a text obeys: what its file says of the step, else what its kind does."""
    known = LIBRARY.sequences.get(sequence)
    written = known.step(step) if known is not None else None
    if written is not None and written.kind is kind:
        return known.budget_of(written)
    if known is not None and known.traits.budget is not None:
        return known.traits.budget
    return Budget.EVENT if closes_talk or kind in (Kind.FOLLOWUP, Kind.REMINDER) else Budget.COMFORT


def thread_of(data, dates=None):
    """The thread of a welcomed parent."""
    zone = data["timezone"]
    faults: list[str] = []
    key_dates = script.key_dates(dates or {}, zone, where="test", faults=faults)
    assert not faults
    return Thread(profile=profile.parse(data), key_dates=key_dates, pace=welcomed())


def danger(text):
    if "die" in text:
        return simulate.Danger(
            level="crisis", tier="suicide_selfharm", why="she wants to die", reply="Call 911 or 988."
        )
    return None


def events(data, sequences, *, start="2025-03-03T09:00", days=60, acts="[]", dates=None, overrides=None):
    """All events; `acts` is the YAML of a script, or what was read from one."""
    zone = data["timezone"]
    return list(
        simulate.run(
            thread_of(data, dates),
            library=LIBRARY,
            sequences=sequences,
            policy=policy_file.parse(overrides or {}),
            start=script.instant(start, zone)[0],
            days=days,
            script=script.script(acts, zone, where="script") if isinstance(acts, str) else acts,
            screen=danger,
            leaves=intents.leaves,
        )
    )


def sends(found, *, replies=False):
    """ "TK-1 Tue 03-04 17:30" for each proactive text."""
    return [
        f"{e['step']} {datetime.fromisoformat(e['local']).strftime('%a %m-%d %H:%M')}"
        for e in found
        if e["event"] == "send" and (replies or "reply_to" not in e)
    ]
