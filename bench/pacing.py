"""What a decision costs, and that it costs the same after 500 texts as after 5."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from schedules import catalog, lifecycle, pacing, plan, policy, profile, simulate
from schedules.values import KeyDate, Kind, Mark, Thread, Topic

NOW = datetime(2025, 3, 3, 15, 0, tzinfo=UTC)
POLICY = policy.DEFAULT
LIBRARY = catalog.load_library()
FAMILY = {"timezone": "America/Chicago", "busy_hours": {"mon-fri": ["09:00-17:30"]}, "court_ordered": "no"}
ROUNDS = 300


def thread_after(texts: int) -> Thread:
    """A parent in TALK who has had `texts` texts, one every three days."""
    thread = Thread(profile=profile.parse(FAMILY))
    pace = thread.pace
    for n in range(texts, 0, -1):
        at = NOW - timedelta(days=3 * n)
        mark = Mark(at=at, kind=Kind.TIP, topic=Topic.CARE, sequence="CARE", step="CA-1", cycle=n, counted=True)
        pace = pacing.remember(pace, mark)
    return lifecycle.enroll(
        replace(thread, pace=pace), LIBRARY.sequences["TALK"], enrollment_id="1", now=NOW, policy=POLICY
    )


def microseconds(thread: Thread) -> float:
    """Median of one `decide` at a minute that has not been asked about before."""
    samples = []
    for n in range(ROUNDS):
        now = NOW + timedelta(minutes=n)
        began = time.perf_counter()
        plan.decide(thread, POLICY, now)
        samples.append((time.perf_counter() - began) * 1e6)
    return statistics.median(samples)


def year_seconds() -> float:
    began = time.perf_counter()
    thread = Thread(
        profile=profile.parse(FAMILY), key_dates=(KeyDate(kind="break_start", nth=1, at=NOW, date_only=True),)
    )
    for _ in simulate.run(thread, library=LIBRARY, sequences=("BREAK",), policy=POLICY, start=NOW, days=365):
        pass
    return time.perf_counter() - began


def main() -> None:
    few, many = thread_after(5), thread_after(500)
    microseconds(few)  # fills the caches of windows and zones, as a running service has them
    first, second = microseconds(few), microseconds(many)
    print(
        json.dumps(
            {
                "bench": "decide",
                "after_5_texts_us": round(first),
                "after_500_texts_us": round(second),
                "ratio": round(second / first, 2),
            }
        )
    )
    print(json.dumps({"bench": "simulate_year", "seconds": round(year_seconds(), 3)}))


if __name__ == "__main__":
    main()
