"""The webhook against a bare Flask route that checks the same signature: same server, same requests, same run.

Each runs in a process of its own (waitress, as `nudges serve` runs), and so do the clients, because two cores are all
there is: a signed text is stored, screened, answered and committed, on PostgreSQL.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import http.client
import os
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import psutil
import waitress  # type: ignore[import-untyped]
from flask import Flask, Response, request
from sqlalchemy import select, update
from twilio.request_validator import RequestValidator

from bench import places, town
from bench.figures import say
from bench.sending import NoSender, Shifted
from nudges import config
from nudges import wiring as composition
from nudges.db import blind_index, make_engine
from nudges.engine import ticks
from nudges.engine.embedded import EmbeddedEngine
from nudges.factory import create_app
from nudges.models.family import Parent
from nudges.models.program import Lane
from nudges.outbound import planner

TOKEN, ACCOUNT, PUBLIC = "t" * 32, "AC" + "0" * 32, "https://nudges.example"
PORT = 8931
NOW = "BENCH_NOW"
SECONDS = 8.0
CLIENTS = 4
THREADS = 8
BACKLOG = 50_000
BODIES = (
    "2",
    "thanks, that went better than i thought",
    "he talked about school tonight for the first time in weeks",
    "ok",
    "TIME",
    "she slammed the door again and will not come to dinner",
    "1",
    "we tried the walk. he said maybe next week",
)


def environment(url: str) -> dict[str, str]:
    return {
        "NUDGES_DATABASE_URL": url,
        "NUDGES_CHANNEL": "twilio",
        "NUDGES_PUBLIC_URL": PUBLIC,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_FROM_NUMBER": town.SENDER,
        "NUDGES_SECRET_KEY": "s" * 48,
        "NUDGES_ENCRYPTION_KEYS": base64.b64encode(b"b" * 32).decode(),
        "NUDGES_INDEX_KEY": base64.b64encode(b"i" * 32).decode(),
    }


# ---------------------------------------------------------------- servers, each in a process of its own


def bare() -> Flask:
    """Checks the signature and answers; nothing else."""
    app, validator = Flask("bare"), RequestValidator(TOKEN)

    @app.post("/twilio/inbound")
    def inbound() -> Response:
        signature = request.headers.get("X-Twilio-Signature", "")
        if not validator.validate(f"{PUBLIC}{request.path}", request.form, signature):
            return Response(status=403)
        return Response("<?xml version='1.0'?><Response><Message>Thank you.</Message></Response>", mimetype="text/xml")

    return app


def serve(which: str) -> None:
    """`bare`, `ours`, or `busy`: ours with the scheduler at work beside it, through a channel that takes all, at the
    moment that NOW names: at night nothing would drain."""
    if which == "bare":
        waitress.serve(bare(), host="127.0.0.1", port=PORT, threads=THREADS, _quiet=True)
        return
    wiring = composition.build(config.load(os.environ))
    wiring.screen("warm up the encoder", recent=(), own_texts=(), open_episode=False)
    if which == "busy":
        clock = Shifted(datetime.fromisoformat(os.environ[NOW]) - wiring.clock.now())
        wiring = replace(wiring, channel=NoSender(), clock=clock)
        engine = EmbeddedEngine()
        ticks.attach(engine, wiring)
        engine.start()
    waitress.serve(create_app(wiring), host="127.0.0.1", port=PORT, threads=THREADS, _quiet=True)


@contextmanager
def served(which: str, url: str, **more: str) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "bench.door", "--serve", which]
    with subprocess.Popen(command, env={**os.environ, **environment(url), **more}) as process:
        try:
            _wait_until_open(process)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def _wait_until_open(process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=1)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the server did not start")


# ---------------------------------------------------------------- clients


def signed(n: int, phone: str) -> tuple[bytes, dict[str, str]]:
    form = {
        "MessageSid": f"SM{n:032d}",
        "AccountSid": ACCOUNT,
        "From": phone,
        "To": town.SENDER,
        "Body": BODIES[n % len(BODIES)],
        "NumMedia": "0",
    }
    content = f"{PUBLIC}/twilio/inbound" + "".join(key + form[key] for key in sorted(form))
    digest = hmac.new(TOKEN.encode(), content.encode(), hashlib.sha1).digest()
    headers = {
        "X-Twilio-Signature": base64.b64encode(digest).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return urllib.parse.urlencode(form).encode(), headers


def load(
    phones: list[str], *, start: int, seconds: float, per_second: float | None = None
) -> tuple[float, list[float]]:
    """Requests answered a second, and how long each took in ms; as fast as it goes, or at a steady rate."""
    taken: list[float] = []
    numbers = iter(range(start, start + 10_000_000))
    lock = threading.Lock()
    began = time.perf_counter()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        while time.perf_counter() - began < seconds:
            with lock:
                n = next(numbers)
            due = began + (n - start) / per_second if per_second else time.perf_counter()
            time.sleep(max(0.0, due - time.perf_counter()))
            body, headers = signed(n, phones[n % len(phones)])
            connection.request("POST", "/twilio/inbound", body=body, headers=headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"answered {response.status}")
            taken.append((time.perf_counter() - due) * 1000)

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    return len(taken) / (time.perf_counter() - began), sorted(taken)


def measure(postgres: str, *, backlog: int = BACKLOG) -> None:
    """Throughput of both; then latency at half of ours, and of the goal, while a backlog drains."""
    places.prepare()
    with places.migrated("postgres", postgres) as engine:
        town.build(engine, parents=2_500, due=0)
        url = engine.url.render_as_string(hide_password=False)
        phones = _give_phones(url)
        with served("bare", url):
            load(phones, start=0, seconds=1.0)
            of_bare, _ = load(phones, start=1_000_000, seconds=SECONDS)
        with served("ours", url) as process:
            load(phones, start=2_000_000, seconds=1.0)
            ours, taken = load(phones, start=3_000_000, seconds=SECONDS)
            resident = process.memory_info().rss / 2**20
    say("webhook", ours, "texts/s", peer="bare Flask route", peer_value=of_bare, least=0.5, p99_ms=_p99(taken))
    say("memory of a serving process, the screen loaded", resident, "MiB", most=350.0)
    with places.migrated("postgres", postgres) as engine:
        place = town.build(engine, parents=backlog + 2_500, due=backlog)
        url = engine.url.render_as_string(hide_password=False)
        phones = _give_phones(url)
        _queue(place)
        with served("busy", url, **{NOW: place.now.isoformat()}):
            load(phones, start=5_000_000, seconds=1.0, per_second=ours / 2)
            _, taken = load(phones, start=6_000_000, seconds=SECONDS, per_second=ours / 2)
            rate, crowded = load(phones, start=7_000_000, seconds=SECONDS, per_second=of_bare / 4)
    half = round(ours / 2)
    say("webhook p99 at half its rate, a backlog draining", _p99(taken), "ms", most=100.0, at_per_second=half)
    say("webhook p99 at half its goal, a backlog draining", _p99(crowded), "ms", most=100.0, at_per_second=round(rate))


def _p99(taken: list[float]) -> float:
    return round(taken[int(len(taken) * 0.99)], 1)


def _give_phones(url: str, count: int = 2_000) -> list[str]:
    """Numbers of their own for some of the parents, so that what they text is theirs. So many that nobody texts twice
    within the minutes in which two texts are read as one: parents seldom do."""
    phones = [f"+1{313 + n // 100}55501{n % 100:02d}" for n in range(count)]
    with town.make_sessions(make_engine(url)).begin() as session:
        newest = select(Parent.id).where(Parent.status == "active").order_by(Parent.id.desc()).limit(count)
        ids = session.scalars(newest).all()
        for id_, phone in zip(ids, phones, strict=True):
            session.execute(update(Parent).where(Parent.id == id_).values(phone=phone, phone_index=blind_index(phone)))
    return phones


def _queue(place: town.Town) -> None:
    """Plan everybody who is due: the outbox holds the backlog, and the lane has its fastest pace."""
    while planner.plan_due(place.sessions, now=place.now, library=town.LIBRARY).parents:
        pass
    with place.sessions.begin() as session:
        session.execute(update(Lane).values(segments_per_second=225.0))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", choices=("bare", "ours", "busy"))
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve)
        return
    with places.server() as postgres:
        measure(postgres)


if __name__ == "__main__":
    main()
