"""Varied families, what they are enrolled in and what they answer, for tests that hold over many simulated calendars."""

from __future__ import annotations

import random
from datetime import timedelta
from functools import cache

from schedules import policy, script, simulate
from tests.core.timelines import LIBRARY, danger, thread_of

SCREENED = {
    "protective_order": "false",
    "abuse_concern": "false",
    "child_fear": "false",
    "contact_plan": "unsupervised",
}
OPEN = {**SCREENED, "court_ordered": "no"}
SESSIONS = [f"2025-03-{day}T16:00" for day in (13, 20, 27)] + [f"2025-04-{day:02}T16:00" for day in (3, 10, 17)]
DATES = {
    "session": SESSIONS,
    "break_start": "2025-03-03",
    "crisis_report": "2025-03-02T22:40",
    "visit": "2025-03-10T09:00",
    "consult": "2025-03-14T15:00",
    "next_review": "2025-05-01",
}
NO_CRISIS = {kind: at for kind, at in DATES.items() if kind != "crisis_report"}
FAMILIES = {
    "plain": ({"timezone": "America/Chicago", **OPEN}, {}),
    "nine to five": ({"timezone": "America/New_York", "busy_hours": {"mon-fri": ["09:00-17:30"]}, **OPEN}, NO_CRISIS),
    "few hours": (
        {
            "timezone": "America/Boise",
            "age_band": "13-17",
            "contact_hours": {"mon-fri": ["17:55-20:00"], "sat-sun": ["10:00-12:00"]},
        },
        {},
    ),
    "two homes, less": (
        {
            "timezone": "America/New_York",
            "custody": {"pattern": "2-2-3", "anchor_date": "2025-03-03"},
            "volume": "less",
            **OPEN,
        },
        NO_CRISIS,
    ),
    "all dates": ({"timezone": "Europe/Madrid", "pref_lang": "es", **OPEN}, DATES),
    "weekends only": ({"timezone": "America/Denver", "contact_hours": {"sat-sun": ["09:00-20:00"]}, **OPEN}, DATES),
    "half an hour": ({"timezone": "Australia/Lord_Howe", **OPEN}, NO_CRISIS),
    "no summer time": ({"timezone": "America/Phoenix", "dinner_time": "null", **OPEN}, NO_CRISIS),
    "window too short": ({"timezone": "America/Chicago", "calm_windows": {"sat": ["10:00-10:30"]}, **OPEN}, {}),
    "one late window": ({"timezone": "America/St_Johns", "calm_windows": {"fri": ["19:35-20:30"]}, **OPEN}, NO_CRISIS),
    "little ones, firm": ({"timezone": "Pacific/Honolulu", "age_band": "5-8", "profile": "firm", **OPEN}, DATES),
    "quiet and hard days": (
        {
            "timezone": "America/Los_Angeles",
            "quiet_days": ["sun", "2025-03-20..2025-03-28"],
            "hard_dates": ["2025-03-18"],
            "state": "TX",
            **OPEN,
        },
        NO_CRISIS,
    ),
}
USUAL = (
    ("ONBOARD", "TALK"),
    ("TALK", "CARE"),
    ("ONBOARD", "CARE"),
    ("AFTERCRISIS", "CARE"),
    ("DRIVE", "REMIND"),
    ("BREAK", "RECONNECT"),
    ("DEMYST", "CHOICE", "ALT"),
)
KEYS = (*((key,) for key in LIBRARY.sequences), *USUAL)
STEPS = [step for sequence in LIBRARY.sequences.values() for step in sequence.steps if step.answers]


def stream(data, dates, keys, *, acts=(), lag=0.0, days=75, start="2025-03-03T09:00"):
    """All events of a calendar; `acts` is YAML or what was read from it."""
    zone = data["timezone"]
    return list(
        simulate.run(
            thread_of(data, dates),
            library=LIBRARY,
            sequences=keys,
            policy=policy.DEFAULT,
            start=script.instant(start, zone)[0],
            days=days,
            script=script.script(acts, zone, where="script") if isinstance(acts, str) else acts,
            screen=danger,
            lag=timedelta(seconds=lag),
        )
    )


@cache
def answering(seed):
    """A script that answers most questions, with digits and delays of its own; none for seed 0."""
    chosen = random.Random(seed)
    asked = [(step, nth) for step in STEPS for nth in range(1, 5)] if seed else []
    return tuple(
        script.Act(
            order=order,
            on=step.id,
            nth=nth,
            after=timedelta(minutes=chosen.choice((30, 90, 60 * 26, 60 * 80))),
            text=chosen.choice([*sorted(step.answers), "1 2", "LESS", "hello"]),
        )
        for order, (step, nth) in enumerate(asked)
        if chosen.random() < 0.8
    )
