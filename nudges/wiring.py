"""Composition: settings in, the objects that everything uses out. Plain calls, once per process."""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session, sessionmaker

from nudges.channels.base import Channel
from nudges.channels.messengers import AppriseMessenger, Messenger
from nudges.channels.provider import Surroundings
from nudges.clock import Clock, SharedClock, ShiftedClock, SystemClock
from nudges.config import Settings
from nudges.db import Cipher, make_engine, make_sessions, use_cipher
from nudges.desk.live import LiveScreen
from nudges.families import programs
from nudges.inbound.texts import Screen
from nudges.library import signing
from nudges.models.program import Program
from nudges.outbound import simulated_carrier
from schedules.catalog import Library, load_library


@dataclass(frozen=True, kw_only=True, slots=True)
class Wiring:
    """What the service is made of. `owner` names this process where it takes leases."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    clock: Clock
    channel: Channel
    library: Library
    screen: Screen
    owner: str
    messenger: Messenger = field(default_factory=AppriseMessenger)  # pages that are no texts


def build(settings: Settings) -> Wiring:
    """Make the objects; opens no connection yet. Raises CatalogError for a bad sequence file."""
    use_cipher(Cipher(settings.encryption_keys, settings.index_key))
    engine = make_engine(settings.database_url)
    sessions = make_sessions(engine)
    clock = clock_of(settings, engine)
    return Wiring(
        settings=settings,
        engine=engine,
        sessions=sessions,
        clock=clock,
        channel=channel_of(settings, sessions, clock),
        library=load_library(settings.sequences_dir),
        screen=LiveScreen(engine),
        owner=f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
    )


def clock_of(settings: Settings, engine: Engine) -> Clock:
    """The database's clock, or the machine's where the database is a file; with simulated phones the demo moves it."""
    clock = shared_clock(engine) if engine.dialect.name == "postgresql" else SystemClock()
    return ShiftedClock(lambda: demo_offset(engine), clock) if settings.provider.is_simulated else clock


def shared_clock(engine: Engine) -> SharedClock:
    """The clock of a PostgreSQL server, read now and then on connections that are being taken out anyway.

    So asking for the time never waits for a database: while it is away, the seconds are counted on.
    """
    clock = SharedClock()

    def read(connection: psycopg.Connection, record: object, proxy: object) -> None:
        if not clock.is_due():
            return
        with suppress(psycopg.Error):  # whoever takes the connection will see what is wrong with it
            row = connection.execute("SELECT clock_timestamp()").fetchone()
            if row is not None:
                clock.read(row[0])
            connection.rollback()

    event.listen(engine, "checkout", read)
    return clock


def demo_offset(engine: Engine) -> float:
    """By how many seconds the demo program's clock was moved. A real program's clock never is.

    Read on a bare connection: our SQLite sessions take the write lock as they begin, and a clock must be readable
    while a transaction is open.
    """
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT clock_offset_seconds FROM programs WHERE is_demo LIMIT 1")
        row = cursor.fetchone()
        cursor.close()
    return float(row[0]) if row is not None else 0.0


def channel_of(settings: Settings, sessions: sessionmaker[Session], clock: Clock) -> Channel:
    """Where texts go: to the provider of the settings, or to phones that exist only in our own table."""
    around = Surroundings(
        public_url=settings.public_url,
        stage=settings.stage,
        deliver=simulated_carrier.deliver_into(sessions, clock),
        list_since=simulated_carrier.list_from(sessions),
    )
    return settings.account.connect(around)


def publish_shipped(session: Session, library: Library, *, now: datetime) -> None:
    """Give every program the shipped sequences that it does not have yet. What was edited is never touched.

    A demo's shipped texts are marked as signed, those that came with this release too.
    """
    for program in session.scalars(select(Program)).all():
        programs.publish_shipped(session, program, library.sources, now=now)
        if program.is_demo:
            signing.sign_demo(session, program, now=now)
