"""A small program for page tests: Ana and Ben look after the Lopez family, Cal after another one, Dee is the admin.

The world is made once, in one file, and copied for each test: hashing four passwords takes a while.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from nudges import wiring as composition
from nudges.config import load
from nudges.db import make_engine, make_sessions
from nudges.desk.live import LiveScreen
from nudges.engine import ticks
from nudges.factory import create_app
from nudges.families import care, enrolling, programs, staff
from nudges.families.consent import WORDING_VERSION, ConsentGiven
from nudges.models.program import Lane, Staff
from nudges.web import context, phone, security
from nudges.wiring import Wiring
from schedules.catalog import load_library

MONDAY = datetime(2025, 3, 3, 16, 0, tzinfo=UTC)  # 10:00 in Chicago
PASSWORD = "correct horse battery"


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Ids of the people in the template database."""

    ana: int  # counselor of the Lopez family
    ben: int  # her colleague, of the same family
    cal: int  # counselor of the Adams family: a stranger to the Lopez family
    dee: int  # admin, on call
    lopez: int
    maria: int
    adams: int
    joy: int


class DemoClock:
    """A Monday morning, from there as far as the demo's clock was moved, and a moment more at each reading.

    It has to pass: a lane that hands over one text a second waits for it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readings = 0

    def now(self) -> datetime:
        self._readings += 1
        return MONDAY + timedelta(seconds=composition.demo_offset(self._engine), milliseconds=50 * self._readings)


@pytest.fixture(scope="session")
def world_template(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, _cipher: None
) -> tuple[Path, World]:
    path = tmp_path_factory.mktemp("web") / "world.sqlite3"
    shutil.copy(sqlite_template, path)
    engine = make_engine(f"sqlite:///{path}")
    with make_sessions(engine).begin() as session:
        world = _people(session)
    engine.dispose()
    return path, world


def _people(session: Session) -> World:
    program = programs.create_program(
        session,
        name="Family Support",
        sender="+13125550100",
        shipped=load_library().sources,
        now=MONDAY,
        is_demo=True,
    )

    session.scalars(select(Lane)).one().segments_per_second = 50.0  # tests do not wait for a carrier

    def person(name: str, role: str) -> Staff:
        email = f"{name.lower()}@clinic.example"
        return staff.create_staff(
            session, program=program, email=email, name=name, role=role, password=PASSWORD, now=MONDAY
        )

    ana, ben = person("Ana", "counselor"), person("Ben", "counselor")
    cal, dee = person("Cal", "counselor"), person("Dee", "admin")
    staff.set_on_call(session, dee, phone="312 555 0101", rank=1, by="system:test", now=MONDAY)
    lopez = enrolling.create_family(session, program=program, staff_id=ana.id, code="F-1042", now=MONDAY)
    staff.assign(session, lopez, ben, by="system:test", now=MONDAY)
    adams = enrolling.create_family(session, program=program, staff_id=cal.id, code="F-1043", now=MONDAY)

    def parent(family: enrolling.Family, name: str, phone: str, owner: Staff) -> int:
        consent = ConsentGiven(medium="in_person", wording_version=WORDING_VERSION, language="en", staff_id=owner.id)
        row = enrolling.add_parent(
            session,
            family=family,
            name=name,
            phone=phone,
            language="en",
            profile={"timezone": "America/Chicago", "age_band": "9-12"},
            consent=consent,
            now=MONDAY,
        )
        care.set_key_date(session, row, "session", 1, MONDAY + timedelta(days=9), staff_id=owner.id, now=MONDAY)
        return row.id

    return World(
        ana=ana.id,
        ben=ben.id,
        cal=cal.id,
        dee=dee.id,
        lopez=lopez.id,
        maria=parent(lopez, "Maria Lopez", "312 555 0142", ana),
        adams=adams.id,
        joy=parent(adams, "Joy Adams", "312 555 0143", cal),
    )


@pytest.fixture
def world(world_template: tuple[Path, World]) -> World:
    return world_template[1]


@pytest.fixture
def wired(world_template: tuple[Path, World], tmp_path: Path) -> Iterator[Wiring]:
    """The real wiring over a copy of the world, with simulated phones and a clock that stands still."""
    path = tmp_path / "web.sqlite3"
    shutil.copy(world_template[0], path)
    settings = load(
        {
            "NUDGES_DATABASE_URL": f"sqlite:///{path}",
            "NUDGES_RUN_SCHEDULER": "false",
            # The keys of the tests' own cipher: `build` puts these in use for the whole process.
            "NUDGES_ENCRYPTION_KEYS": base64.urlsafe_b64encode(b"t" * 32).decode(),
            "NUDGES_INDEX_KEY": base64.urlsafe_b64encode(b"i" * 32).decode(),
        }
    )
    engine = make_engine(settings.database_url)
    sessions, clock = make_sessions(engine), DemoClock(engine)
    built = composition.build(settings)
    built.engine.dispose()
    yield replace(
        built,
        engine=engine,
        sessions=sessions,
        clock=clock,
        channel=composition.channel_of(settings, sessions, clock),
        screen=LiveScreen(engine),
    )
    engine.dispose()


@pytest.fixture(scope="session")
def app_of() -> Callable[[Wiring], Flask]:
    """The application around a test's wiring. Built once: a request asks the app for its wiring, so each test puts
    its own in, and the routes and templates are compiled for the first only."""
    built: list[Flask] = []

    def around(wiring: Wiring) -> Flask:
        app = built[0] if built else create_app(wiring)
        built[:] = [app]
        app.extensions[context.WIRING] = wiring
        app.extensions[phone.BEAT] = partial(ticks.run_all, wiring)
        app.config.update(TESTING=False, WTF_CSRF_ENABLED=False)
        security.limiter.reset()
        return app

    return around


@pytest.fixture
def app(app_of: Callable[[Wiring], Flask], wired: Wiring) -> Flask:
    return app_of(wired)


@pytest.fixture
def db(wired: Wiring) -> sessionmaker[Session]:
    return wired.sessions


@pytest.fixture
def nobody(app: Flask) -> FlaskClient:
    return app.test_client()


def signed_in(app: Flask, staff_id: int) -> FlaskClient:
    """A client that has signed in as this person."""
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"], session["_fresh"] = f"{staff_id}.0", True
    return client


@pytest.fixture
def ana(app: Flask, world: World) -> FlaskClient:
    """Counselor of the Lopez family."""
    return signed_in(app, world.ana)


@pytest.fixture
def ben(app: Flask, world: World) -> FlaskClient:
    """Ana's colleague, who looks after the same family."""
    return signed_in(app, world.ben)


@pytest.fixture
def cal(app: Flask, world: World) -> FlaskClient:
    """Counselor of another family: a stranger to the Lopez family."""
    return signed_in(app, world.cal)


@pytest.fixture
def dee(app: Flask, world: World) -> FlaskClient:
    """Admin."""
    return signed_in(app, world.dee)


HTMX = {"HX-Request": "true"}
