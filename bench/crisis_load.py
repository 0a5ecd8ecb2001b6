"""Two hundred crisis texts in ten seconds, in the middle of a backlog of nudges: how soon is each one answered?

The real web server and scheduler in a process of their own, a database on disk, signed webhooks over HTTP as Twilio
sends them, and a channel that takes 100 ms for each text. Prints one JSON line; exits with 1 when a reply or an
alert is missing. How many replies took longer than two seconds stands in the line: that depends on
the machine. `python -m bench.crisis_load [DATABASE_URL]`: an empty database, by default a new SQLite file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import multiprocessing
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nudges import config, factory, wiring
from nudges.channels.base import Accepted, Outgoing
from nudges.channels.fake import FakeChannel
from nudges.clock import SystemClock
from nudges.config import Settings
from nudges.families import enrolling, programs, staff
from nudges.families.consent import WORDING_VERSION, ConsentGiven
from nudges.library import signing, texts
from nudges.models.messages import Inbound, Outbox
from nudges.models.program import Lane
from nudges.models.safety import Alert
from nudges.outbox import queue
from nudges.upkeep import versions

TEXTS, SECONDS, FAMILIES, BACKLOG = 200, 10.0, 100, 2000
TOKEN, ACCOUNT, SENDER, PUBLIC = "load-token", "AC" + "1" * 32, "+13125550100", "https://load.example"
CRISIS = "my daughter says she wants to kill herself, she said it {n} times"  # each is read anew
CALL_SECONDS = 0.1
MOST_SECONDS = 2.0  # to a reply


class SlowChannel(FakeChannel):
    """A carrier that takes its time over each text."""

    def send(self, outgoing: Outgoing) -> Accepted:
        time.sleep(CALL_SECONDS)
        return super().send(outgoing)


def settings_for(url: str, spool: str) -> Settings:
    return config.load(
        {
            "NUDGES_DATABASE_URL": url,
            "NUDGES_CHANNEL": "twilio",
            "NUDGES_PUBLIC_URL": PUBLIC,
            "NUDGES_SPOOL_DIR": spool,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_FROM_NUMBER": SENDER,
        }
    )


def phone(n: int) -> str:
    return f"+1{212 + n // 100}55501{n % 100:02d}"


def prepare(built: wiring.Wiring, now: datetime) -> None:
    """A program with somebody on call, a hundred families, and a backlog that the lane needs half an hour for."""
    versions.migrate(built.settings.database_url)
    with built.sessions.begin() as session:
        program = programs.create_program(session, name="Load", sender=SENDER, shipped=built.library.sources, now=now)
        ana = staff.create_staff(
            session,
            program=program,
            email="ana@clinic.example",
            name="Ana Example",
            role="admin",
            password="only for this load test",
            now=now,
        )
        staff.set_on_call(session, ana, phone="312 555 0171", rank=1, by="system:load", now=now)
        everything = (*texts.gated(texts.shipped()), *texts.of_crisis(program.country))
        wanted = [(text, role) for text in everything for role in text.needs]
        signing.keep(session, program.id, wanted, staff_id=ana.id, note="for this load test", now=now)
        parents = [_enroll(session, program, ana.id, n, now) for n in range(FAMILIES)]
        session.scalars(select(Lane)).one().segments_per_second = 5.0
        for n in range(BACKLOG):
            parent = parents[n % FAMILIES]
            late = queue.NewText(
                category="system",
                to=parent.phone,
                body=f"A quiet evening may be a good moment. ({n})",
                expires_at=now + timedelta(hours=4),
                parent_id=parent.id,
            )
            queue.enqueue(session, late, program_id=program.id, now=now)


def _enroll(session: Session, program, staff_id: int, n: int, now: datetime):  # type: ignore[no-untyped-def]
    family = enrolling.create_family(session, program=program, staff_id=staff_id, now=now)
    return enrolling.add_parent(
        session,
        family=family,
        name="Invented Person",
        phone=phone(n),
        language="en",
        profile={"timezone": "America/Chicago", "age_band": "9-12"},
        consent=ConsentGiven(medium="paper", wording_version=WORDING_VERSION, language="en", staff_id=staff_id),
        now=now,
    )


def serve(url: str, spool: str, port: int) -> None:
    """The web process: server and scheduler, as `nudges serve` runs them, with the slow channel."""
    built = wiring.build(settings_for(url, spool))
    built = replace(built, channel=SlowChannel(built.clock))
    factory.serve(factory.create_app(built), built, host="127.0.0.1", port=port)


@contextmanager
def served(url: str, spool: str) -> Iterator[int]:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(url, spool, port), daemon=True)
    process.start()
    _wait_for(port)
    yield port
    process.kill()
    process.join()


def _wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start within a minute")


def text_in(port: int, n: int) -> tuple[float, bool]:
    """One crisis text over HTTP: how long its answer took, in seconds, and whether it held instructions."""
    form = {
        "MessageSid": f"SM{n:032d}",
        "AccountSid": ACCOUNT,
        "From": phone(n),
        "To": SENDER,
        "Body": CRISIS.format(n=n),
        "NumMedia": "0",
    }
    signed = f"{PUBLIC}/twilio/inbound" + "".join(name + form[name] for name in sorted(form))
    signature = base64.b64encode(hmac.new(TOKEN.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    began = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", "/twilio/inbound", urlencode(form), headers)
        answer = connection.getresponse().read().decode()
    return time.perf_counter() - began, "988" in answer or "911" in answer


def burst(port: int) -> list[tuple[float, bool]]:
    """All texts, evenly over the seconds, however long each takes."""
    turns = threading.Semaphore(0)
    with ThreadPoolExecutor(64) as pool:
        calls = []
        for n in range(TEXTS):
            calls.append(pool.submit(text_in, port, n))
            turns.acquire(timeout=SECONDS / TEXTS)
        return [call.result() for call in calls]


def _wait_until_stored(built: wiring.Wiring) -> None:
    """A text that was answered from the spool is handled at one of the next beats."""
    for _ in range(60):
        with built.sessions() as session:
            if session.scalar(select(func.count(Inbound.id))) == TEXTS:
                return
        time.sleep(0.5)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/load.sqlite3"
        built = wiring.build(settings_for(url, f"{folder}/spool"))
        prepare(built, SystemClock().now())
        with served(url, f"{folder}/spool") as port:
            results = burst(port)
            _wait_until_stored(built)
        with built.sessions() as session:
            alerts = session.scalar(select(func.count(Alert.id)).where(Alert.level != "system")) or 0
            stored = session.scalar(select(func.count(Inbound.id))) or 0
            pages = session.scalar(select(func.count(Outbox.id)).where(Outbox.category == "staff_page")) or 0
        built.engine.dispose()
    seconds = sorted(duration for duration, _ in results)
    answered = sum(is_answered for _, is_answered in results)
    figures = {
        "bench": "crisis_load",
        "texts": TEXTS,
        "backlog": BACKLOG,
        "answered": answered,
        "alerts": alerts,
        "stored": stored,
        "pages_to_one_person": pages,
        "p50_seconds": round(seconds[len(seconds) // 2], 3),
        "p95_seconds": round(seconds[int(len(seconds) * 0.95) - 1], 3),
        "max_seconds": round(seconds[-1], 3),
        "later_than_2_seconds": sum(duration > MOST_SECONDS for duration in seconds),
    }
    print(json.dumps(figures))
    sys.exit(0 if answered == alerts == TEXTS else 1)


if __name__ == "__main__":
    main()
