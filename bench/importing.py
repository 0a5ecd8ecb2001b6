"""Importing families, validation included, against APScheduler's add_job: what it takes to hold that many."""

from __future__ import annotations

import csv
import io
import time
from datetime import timedelta

from sqlalchemy import func, select

from bench import apscheduler_peer, places, town
from bench.figures import say
from nudges.families import intake, intake_file
from nudges.models.family import Parent
from nudges.models.program import Program

ROWS, JOBS = 2_000, 1_000


def measure(kind: str, postgres: str) -> None:
    with places.empty_url(kind, postgres) as url:
        adding, _ = apscheduler_peer.rates(kind, url, due=JOBS)
    with places.migrated(kind, postgres) as engine:
        place = town.build(engine, parents=24, due=0)
        content = _file()
        began = time.perf_counter()
        stored = _import(place, content)
        seconds = time.perf_counter() - began
        with place.sessions() as session:
            enrolled = session.scalar(select(func.count()).select_from(Parent).where(Parent.status == "active")) or 0
    if stored != ROWS or enrolled != ROWS + 24:
        raise RuntimeError(f"{stored} of {ROWS} rows were imported")
    say(f"importing families ({kind})", ROWS / seconds, "parents/s", peer="add_job", peer_value=adding, least=4.0)


def _file() -> bytes:
    """A file such as a clinic would send, from the columns of our own template; each row a phone of its own."""
    example = next(csv.DictReader(io.StringIO(intake_file.template())))
    out = io.StringIO()
    writer = csv.DictWriter(out, example, lineterminator="\n")
    writer.writeheader()
    for n in range(ROWS):
        writer.writerow(example | _own(example, n, f"+1{_AREAS[n // 100]}55501{n % 100:02d}"))
    return out.getvalue().encode()


_AREAS = (205, 206, 207, 208, 209, 210, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229, 231, 234, 239)


def _own(example: dict[str, str], n: int, phone: str) -> dict[str, str]:
    own = {"external_id": f"case-{n}", "family": f"F-{200_000 + n}", "phone": phone}
    if not own.keys() <= example.keys():
        raise RuntimeError("the columns of the template have changed")
    return own


def _import(place: town.Town, content: bytes) -> int:
    """As `nudges import-families --apply` does."""
    now = place.now + timedelta(days=1)
    with place.sessions() as session:
        program = session.scalars(select(Program)).one()
        reading = intake_file.read(content, country=program.country, timezone=program.timezone, today=now.date())
        checked = intake.check(session, program, reading.rows, now=now)
    stored, above = 0, intake_file.highest_code(reading)
    for rows in intake.batches(checked.ready):
        with place.sessions.begin() as session:
            stored += intake.store(session, program, rows, by=None, now=now, above=above)
    return stored
