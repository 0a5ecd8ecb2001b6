"""What a decision costs, and that it costs the same after 500 texts as after 5; and what reading a thread costs."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from schedules import catalog, lifecycle, pacing, plan, policy, profile, simulate, state
from schedules.values import Enrollment, KeyDate, Kind, Mark, Sequence, Thread, Topic

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


def microseconds(work: Callable[[int], object]) -> float:
    """Median of `work`, called with 0, 1, 2 ... so that no two calls ask the same."""
    samples = []
    for n in range(ROUNDS):
        began = time.perf_counter()
        work(n)
        samples.append((time.perf_counter() - began) * 1e6)
    return statistics.median(samples)


def deciding(thread: Thread) -> Callable[[int], object]:
    """One decision a minute after the other."""
    return lambda n: plan.decide(thread, POLICY, NOW + timedelta(minutes=n))


def reading(thread: Thread) -> Callable[[int], object]:
    """The thread from its stored JSON, as the planner reads it from a row."""
    pace = json.dumps(state.pace_to_json(thread.pace))
    rows = [(json.dumps(state.enrollment_to_json(e)), e.id, e.sequence, e.started_at) for e in thread.enrollments]

    def enrollment(stored: str, known: str, sequence: Sequence, started_at: datetime) -> Enrollment:
        return state.enrollment_from_json(json.loads(stored), id=known, sequence=sequence, started_at=started_at)

    def read(n: int) -> Thread:
        return Thread(
            profile=thread.profile,
            pace=state.pace_from_json(json.loads(pace)),
            enrollments=tuple(enrollment(*row) for row in rows),
        )

    return read


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
    microseconds(deciding(few))  # fills the caches of windows and zones, as a running service has them
    for bench, work in (("decide", deciding), ("read_thread", reading)):
        first, second = microseconds(work(few)), microseconds(work(many))
        figures = {"after_5_texts_us": round(first), "after_500_texts_us": round(second)}
        print(json.dumps({"bench": bench, **figures, "ratio": round(second / first, 2)}))
    print(json.dumps({"bench": "simulate_year", "seconds": round(year_seconds(), 3)}))


if __name__ == "__main__":
    main()
