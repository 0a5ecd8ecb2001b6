"""A family, a script and a start as a test writes them; the sends that follow, in local time."""

from __future__ import annotations

from datetime import datetime

from nudges.inbound import intents
from schedules import catalog, policy_file, profile, script, simulate
from schedules.values import Thread

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


def thread_of(data, dates=None):
    zone = data["timezone"]
    faults: list[str] = []
    key_dates = script.key_dates(dates or {}, zone, where="test", faults=faults)
    assert not faults
    return Thread(profile=profile.parse(data), key_dates=key_dates)


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
