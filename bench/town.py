"""Programs of any size. A few dozen families are enrolled and live some days through the real service; the rest are
copies of them, made in SQL at some ten thousand a second, each with ids, a phone and (if wanted) instants of its own.

    python -m bench.town URL PARENTS      a migrated database with so many enrolled parents, a million for instance
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, TextClause, func, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from bench import places
from nudges.db import Base, make_engine, make_sessions
from nudges.families import enrolling, programs, snapshots
from nudges.families.consent import ConsentGiven
from nudges.models.family import Family, FamilyStaff, Parent
from nudges.models.program import Lane, Program, Staff
from nudges.models.sequences import Enrollment
from nudges.outbound import planner
from schedules import plan
from schedules.catalog import load_library
from schedules.values import Send
from tests.support.factories import sign_what_must_be

START = datetime(2025, 3, 3, 19, 0, tzinfo=UTC)  # a Monday, midday or afternoon in every zone below
LIBRARY = load_library()
ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
AGES = ("5-8", "9-12", "13-17")
LANGUAGES = ("en", "es")
SENDER = "+13125550100"


@dataclass(frozen=True, kw_only=True, slots=True)
class Town:
    """`now` is when `due` of the parents have a text that should go."""

    engine: Engine
    sessions: sessionmaker[Session]
    program_id: int
    lane_id: int
    parents: int
    due: int
    now: datetime


def build(engine: Engine, *, parents: int, due: int, days: int = 0, each_different: bool = False) -> Town:
    """A program with `parents`, `due` of them with a text to send at `Town.now`, the others with one some day later.

    With `days` 0 they have just been enrolled and get their welcome; otherwise they have lived with the service so
    long. `each_different` gives every copy instants of its own, so that no two parents stand alike.
    """
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        program = _program(session)
        models = _models(session, program)
        program_id = program.id
        lane_id = session.scalars(select(Lane.id)).one()
    now = _live(sessions, days) if days else START
    senders = _who_would_get_a_text(sessions, models, now)
    if not senders:
        raise RuntimeError(f"nobody of the town has a text to get after {days} days")
    for offset, (count, at) in enumerate(((due, now), (parents - due, now + timedelta(days=3)))):
        _copies(engine, senders, count, at, first=1_000_000 * (1 + 10 * offset), each_different=each_different)
    _put_models_to_rest(sessions, models)
    _raise_sequences(engine)
    places.analyze(engine)
    return Town(
        engine=engine,
        sessions=sessions,
        program_id=program_id,
        lane_id=lane_id,
        parents=parents,
        due=due,
        now=now,
    )


def _program(session: Session) -> Program:
    program = programs.create_program(session, name="Riverbend", sender=SENDER, shipped=LIBRARY.sources, now=START)
    ana = Staff(
        program_id=program.id,
        email="ana@clinic.example",
        name="Ana Example",
        role="counselor",
        password_hash="not a hash",
        created_at=START,
    )
    session.add(ana)
    session.flush()
    sign_what_must_be(session, program, ana, now=START)
    return program


def _models(session: Session, program: Program) -> list[int]:
    """Families as an intake brings them: zones, ages and languages in every mixture."""
    staff_id = session.scalars(select(Staff.id)).one()
    made = []
    for n, (zone, age, language) in enumerate(itertools.product(ZONES, AGES, LANGUAGES)):
        family = enrolling.create_family(session, program=program, staff_id=staff_id, now=START)
        parent = enrolling.add_parent(
            session,
            family=family,
            name="Rosa Invented",
            phone=f"+1212555{100 + n:04d}",
            language=language,
            profile={"timezone": zone, "age_band": age, "court_ordered": "no"},
            consent=ConsentGiven(medium="paper", wording_version="2025-01", language=language),
            now=START,
        )
        made.append(parent.id)
    return made


def _live(sessions: sessionmaker[Session], days: int) -> datetime:
    """Plan through some days; the moment after them at which most have a text to get."""
    end = START + timedelta(days=days)
    while True:
        with sessions() as session:
            at = session.scalar(select(func.min(Parent.next_at)))
        if at is None or at >= end:
            break
        planner.plan_due(sessions, now=at, library=LIBRARY)
    with sessions() as session:
        coming = sorted(at for at in session.scalars(select(Parent.next_at)) if at is not None)
    first = coming[0]
    return max(at for at in coming if at < first + timedelta(hours=8))


def _who_would_get_a_text(sessions: sessionmaker[Session], ids: Sequence[int], now: datetime) -> list[int]:
    with sessions() as session:
        rows = [session.get_one(Parent, id_) for id_ in ids]
        threads = snapshots.threads_of(session, rows)
        policy = snapshots.policy_of(session.scalars(select(Program)).one())
    return [row.id for row in rows if isinstance(plan.decide(threads[row.id], policy, now), Send)]


def _put_models_to_rest(sessions: sessionmaker[Session], models: Sequence[int]) -> None:
    with sessions.begin() as session:
        session.execute(update(Parent).where(Parent.id.in_(models)).values(status="ended", next_at=None))


def _copies(
    engine: Engine, models: Sequence[int], count: int, at: datetime, *, first: int, each_different: bool
) -> None:
    for place, model in enumerate(models):
        share = len(range(place, count, len(models)))
        if share:
            _copy(engine, model, share, at, first=first + place, step=len(models), each_different=each_different)


def _copy(engine: Engine, model: int, count: int, at: datetime, *, first: int, step: int, each_different: bool) -> None:
    """Rows `first`, `first + step` … like those of one parent."""
    pg = engine.dialect.name == "postgresql"
    with make_sessions(engine)() as session:
        family_id = session.get_one(Parent, model).family_id
        found = session.execute(select(Enrollment.id, Enrollment.state).where(Enrollment.parent_id == model))
        enrollments = {row.id: row.state["started_at"] for row in found}
    state = "CAST(t.state AS TEXT)"
    for position, id_ in enumerate(enrollments):
        new = f"'\"enrollment\": \"' || ({_new_id(position)}) || '\"'"
        state = f'replace({state}, \'"enrollment": "{id_}"\', {new})'
    state = f"({state})::json" if pg else state
    spread = "i % 7200" if each_different else "0"
    started = (
        f"t.started_at - make_interval(secs => {spread})"
        if pg
        else f"strftime('%Y-%m-%d %H:%M:%f000', t.started_at, '-' || ({spread}) || ' seconds')"
    )
    given = {"model": model, "family": family_id, "count": count, "first": first, "step": step, "at": _bound(at, pg)}
    with engine.begin() as connection:
        connection.execute(_like(Family, {"id": "i", "code": "'F-' || i"}, "t.id = :family"), given)
        connection.execute(_like(FamilyStaff, {"family_id": "i"}, "t.family_id = :family"), given)
        own = {"id": "i", "family_id": "i", "phone_index": "'bench ' || i", "state": state, "next_at": _at(pg)}
        connection.execute(_like(Parent, own, "t.id = :model"), given)
        for position, (id_, began) in enumerate(enrollments.items()):
            agenda = f"replace(CAST(t.state AS TEXT), '\"{began}\"', '\"' || {_iso(started, pg)} || '\"')"
            own = {"id": _new_id(position), "parent_id": "i", "started_at": started}
            own["state"] = f"({agenda})::json" if pg else agenda
            connection.execute(_like(Enrollment, own, f"t.id = {id_}"), given)


def _iso(at: str, pg: bool) -> str:
    """An instant as the core writes it."""
    if pg:
        return f"to_char(({at}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"')"
    return f"strftime('%Y-%m-%dT%H:%M:%S+00:00', {at})"


def _new_id(position: int) -> str:
    return f"i + {position} * 100000000"


def _at(pg: bool) -> str:
    return "CAST(:at AS timestamptz)" if pg else ":at"


def _bound(at: datetime, pg: bool) -> object:
    return at if pg else at.strftime("%Y-%m-%d %H:%M:%S.%f")


def _like(model: type[Base], own: dict[str, str], where: str) -> TextClause:
    """An insert of rows numbered i like one that is there, but for `own` columns."""
    table = model.metadata.tables[model.__tablename__]
    names = [column.name for column in table.columns]
    chosen = ", ".join(own.get(name, f't."{name}"') for name in names)
    columns = ", ".join(f'"{name}"' for name in names)
    return text(
        f"INSERT INTO {table.name} ({columns}) "
        f"WITH RECURSIVE n(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM n WHERE k + 1 < :count), "
        f"s AS (SELECT :first + k * :step AS i FROM n) "
        f"SELECT {chosen} FROM s CROSS JOIN {table.name} t WHERE {where}"
    )


def _raise_sequences(engine: Engine) -> None:
    """PostgreSQL counts ids by itself: let it go on after ours."""
    if engine.dialect.name != "postgresql":
        return
    with engine.begin() as connection:
        for table in ("families", "parents", "enrollments"):
            connection.execute(text(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"))


def main() -> None:
    url, count = sys.argv[1], int(sys.argv[2])
    places.prepare()
    places.migrate(url)
    town = build(make_engine(url), parents=count, due=0)
    print(f"{town.parents} parents; the next are due at {town.now + timedelta(days=3)}")


if __name__ == "__main__":
    main()
