"""`nudges serve` is killed while texts and receipts are coming in. Twilio asks again, and nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections import Counter

from sqlalchemy import func, select

from nudges.models.family import Consent, Parent
from nudges.models.messages import Inbound
from tests.support.fake_twilio.webhooks import post_over_http
from tests.support.workers import wait_for

PARENTS = 8
ANSWERED_BEFORE = 5  # calls that are answered before the kill


def serve(service) -> int:
    """Start a web process, and let Twilio call it. Returns its process id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = service.environ | {"NUDGES_RUN_SCHEDULER": "false"}
    pid = service.forks.start("tests.support.served", str(port), environ=environ)
    wait_for(lambda: is_up(port), seconds=120, what="the web process")
    service.fake.webhooks.app_url, service.fake.webhooks._post = f"http://127.0.0.1:{port}", post_over_http
    return pid


def is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError):
        return False


class Calls:
    """Every call that Twilio has to make: an answer or a STOP of each parent, and what became of each text."""

    def __init__(self, service) -> None:
        self.fake, self.answered = service.fake, 0
        with service.sessions() as session:
            self.phones = {parent.id: parent.phone for parent in session.scalars(select(Parent).order_by(Parent.id))}
        self.stopping = set(list(self.phones)[::2])
        for text in self.fake.texts.all():
            self.fake.texts.move(text, "delivered")

    def make(self, pid: int | None = None) -> None:
        """All of them, each in its own thread; with `pid` that process is killed in the middle of them."""
        jobs = [lambda id_=id_: self.text_in(id_) for id_ in self.phones]
        jobs += [lambda text=text: self.call_back(text.sid) for text in self.fake.texts.all() if text.status_callback]
        threads = [threading.Thread(target=self.one, args=(job, pid)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def one(self, job, pid) -> None:
        try:
            assert job() in (200, 204)
        except OSError:
            assert pid is not None, "nobody was killed, and the call failed"
            return
        self.answered += 1
        if pid is not None and self.answered == ANSWERED_BEFORE:
            os.kill(pid, signal.SIGKILL)

    def text_in(self, id_: int) -> int:
        body = "STOP" if id_ in self.stopping else "How do I start?"
        return self.fake.text_in(self.phones[id_], body, sid=f"SM7{id_:031d}")[0]

    def call_back(self, sid: str) -> int:
        answers = self.fake.call_back(sid, "sent", "delivered")
        return max(status for status, _ in answers)


def test_a_served_process_that_is_killed_among_webhooks_loses_and_doubles_nothing(service):
    service.queue(PARENTS)
    service.send()
    calls = Calls(service)
    first = serve(service)
    calls.make(first)
    assert service.forks.end_of(first).returncode == -signal.SIGKILL
    assert calls.answered >= ANSWERED_BEFORE

    # Twilio asks again about all: an answer that was given may have been lost on the way too.
    second = serve(service)
    calls.make()
    os.kill(second, signal.SIGTERM)
    ended = service.forks.end_of(second)
    assert ended.returncode == 0, ended.output[-2000:]

    with service.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Inbound)) == PARENTS
        statuses = dict(session.execute(select(Parent.id, Parent.status)).all())
        ended_by = Counter(session.scalars(select(Consent.parent_id).where(Consent.event == "revoked")))
    assert {id_ for id_, status in statuses.items() if status == "opted_out"} == calls.stopping
    assert ended_by == Counter(calls.stopping), "each STOP was taken once"
    service.fake.webhooks.app_url, service.fake.webhooks._post = "http://127.0.0.1", service.hear
    service.live_on()
    service.must_agree()
    assert {row.status for row in service.rows() if row.category == "person"} == {"delivered"}
