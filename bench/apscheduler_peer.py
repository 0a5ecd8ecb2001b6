"""APScheduler 3 with one date job for each message: what people reach for first. Each send is one durable row.

`misfire_grace_time=None`, or most of a burst would be dropped.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Engine, create_engine, event, text

_AS_OURS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"
_here = threading.local()
_sends: list[Engine] = []
_sent = threading.Semaphore(0)


def send(message: int) -> None:
    """What a job does: record that the message went."""
    connection = getattr(_here, "connection", None)
    if connection is None:
        connection = _here.connection = _sends[-1].connect()
    connection.execute(text("INSERT INTO went (message) VALUES (:message)"), {"message": message})
    connection.commit()
    _sent.release()


def rates(kind: str, url: str, *, due: int) -> tuple[float, float]:
    """Jobs added a second, and jobs run a second."""
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    engine = create_engine(url, connect_args={"timeout": 60} if kind == "sqlite" else {})
    if kind == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.executescript(_AS_OURS))
    _sends.append(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE went (message integer NOT NULL)"))
    scheduler = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(engine=engine)},
        executors={"default": ThreadPoolExecutor(10)},
        job_defaults={"misfire_grace_time": None},
        timezone=UTC,
    )
    scheduler.start(paused=True)
    at = datetime.now(UTC) - timedelta(minutes=1)
    began = time.perf_counter()
    for message in range(due):
        scheduler.add_job(send, "date", run_date=at, args=[message], id=str(message))
    adding = due / (time.perf_counter() - began)
    began = time.perf_counter()
    scheduler.resume()
    for _ in range(due):
        _sent.acquire()
    running = due / (time.perf_counter() - began)
    scheduler.shutdown(wait=True)
    engine.dispose()
    return adding, running
