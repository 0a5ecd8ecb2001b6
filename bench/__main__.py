"""Runs the benchmarks, one JSON line each: `python -m bench [--only NAME …] [--database KIND …] [--parents N]`.

Peers and bounds are measured in the same run, since absolute figures are worth little on a machine that others use.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from bench import bursts, door, engine, idle, importing, pacing, places, sending

PARENTS = 50_000  # a million takes minutes to make: --parents 1000000


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--database", nargs="+", choices=places.KINDS, default=list(places.KINDS))
    parser.add_argument(
        "--only", nargs="+", choices=("core", "sending", "pace", "idle", "bursts", "importing", "door", "engine")
    )
    parser.add_argument("--parents", type=int, default=PARENTS, help="how many are enrolled where size must not count")
    chosen = parser.parse_args()
    places.prepare()
    with places.server() as postgres:
        for name, run in jobs(chosen.database, chosen.parents, postgres):
            if not chosen.only or name in chosen.only:
                run()


def jobs(kinds: list[str], parents: int, postgres: str) -> list[tuple[str, Callable[[], None]]]:
    """What there is to run, in order."""
    found: list[tuple[str, Callable[[], None]]] = [("core", pacing.main)]
    for kind in kinds:
        found += [
            ("sending", partial(sending.measure, kind, postgres)),
            ("pace", partial(sending.measure_pace, kind, postgres)),
            ("idle", partial(idle.measure, kind, postgres, parents=parents)),
            ("bursts", partial(bursts.measure, kind, postgres)),
            ("importing", partial(importing.measure, kind, postgres)),
        ]
    if "postgres" in kinds:
        found += [("door", partial(door.measure, postgres)), ("engine", partial(engine.main, []))]
    return found


if __name__ == "__main__":
    main()
