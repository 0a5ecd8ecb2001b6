"""Pages to messengers: sealed addresses, handed over with nothing open, a dead one shown and passed by."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import select

from nudges.alerts import notices
from nudges.channels.messengers import AddressError, AppriseMessenger, MessengerError, service_of
from nudges.models.on_call import StaffAddress, StaffNotice
from nudges.models.program import Program
from tests.support import factories
from tests.support.on_call import an_alert, events, give_phone, on_the_rota, paged, texts_to_staff

SECRET = "json://someone:hunter2@127.0.0.1:9/secret-channel"


class Remembering:
    """A messenger that notes what it was given, and fails where told to."""

    def __init__(self, failing=()):
        self.sent, self.failing = [], set(failing)

    def send(self, url, body):
        if url in self.failing:
            raise MessengerError("Slack: refused, or cannot be reached")
        self.sent.append((url, body))


@pytest.fixture
def people(sessions, now):
    """Ana is first on call by an address only, Ben is the backup with a phone."""
    with sessions.begin() as session:
        people = factories.people(session, now=now)
        address(session, people, people.ana, "json://ana.example/one", now)
        on_the_rota(session, people, now, backup="ben")
        on_the_rota(session, people, now, first="ana")
        people.ana.on_call_phone = people.ana.on_call_phone_index = None
        session.merge(people.ana)
        return people


def address(session, people, person, url, now):
    program = session.get_one(Program, people.program.id)
    return notices.add_address(session, program, url=url, person=person, by="staff:4", now=now)


def raise_one(sessions, people, now, **values):
    with sessions.begin() as session:
        return an_alert(session, people, now, number="+13125550188", **values).alert


def statuses(sessions):
    with sessions() as session:
        return list(session.scalars(select(StaffNotice.status).order_by(StaffNotice.id)))


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("not an address", "mailto://"),
        ("nosuch://x", "mailto://"),
        ("syslog://", "server itself"),
        ("DBus://", "server"),
    ],
)
def test_an_address_that_reaches_nobody_is_refused_in_words(url, named):
    with pytest.raises(AddressError, match=named):
        service_of(url)


@pytest.mark.parametrize(
    ("url", "service"),
    [("mailto://user:pass@example.org", "E-Mail"), ("ntfys://ntfy.example.org/topic", "ntfy"), (SECRET, "JSON")],
)
def test_an_address_is_shown_by_its_service_only(url, service):
    assert service_of(url) == service


def test_addresses_are_sealed_at_rest_and_forgotten_when_removed(sessions, people, now):
    with sessions.begin() as session:
        row = address(session, people, people.ben, SECRET, now)
        raw = session.connection().exec_driver_sql(f"SELECT url FROM staff_addresses WHERE id = {row.id}").scalar()
        assert raw.startswith("v1.")
        notices.remove_address(session, row, by="staff:4", now=now)
        assert session.get_one(StaffAddress, row.id, populate_existing=True).url == ""
        assert row.id not in [one.id for one in notices.addresses(session, people.program.id)]


# ---------------------------------------------------------------- handing over


def test_a_page_goes_to_every_address_of_whoever_is_called_and_names_nobody(sessions, people, now, clock):
    with sessions.begin() as session:
        address(session, people, None, "json://team.example/all", now)
    alert = raise_one(sessions, people, now)
    messenger = Remembering()
    assert notices.drain(sessions, messenger, clock=clock) == notices.Notified(delivered=2, failed=0)
    assert {url for url, _ in messenger.sent} == {"json://ana.example/one", "json://team.example/all"}
    assert all(f"alert {alert.id}" in body and "wants to die" not in body for _, body in messenger.sent)
    assert notices.drain(sessions, messenger, clock=clock) == notices.Notified()
    assert statuses(sessions) == ["delivered", "delivered"]


def test_nothing_is_open_while_a_messenger_is_called(sessions, people, now, clock):
    """On SQLite a transaction holds the only write lock: a text of a parent must get through meanwhile."""
    raise_one(sessions, people, now)

    class Asking(Remembering):
        def send(self, url, body):
            with sessions.begin() as session:
                session.get_one(Program, people.program.id).name = "changed meanwhile"
            super().send(url, body)

    assert notices.drain(sessions, Asking(), clock=clock).delivered == 1


def test_a_dead_messenger_is_shown_and_the_next_person_is_paged_at_once(sessions, people, now, clock):
    alert = raise_one(sessions, people, now)
    notices.drain(sessions, Remembering(failing=["json://ana.example/one"]), clock=clock)
    with sessions() as session:
        assert paged(session, alert, people) == ["ana", "ana", "ben"]
        (event,) = events(session, alert, "page_undelivered")
        assert (event.staff_id, event.note) == (people.ana.id, "Slack: refused, or cannot be reached")
        assert session.scalars(select(StaffAddress)).first().fault == "Slack: refused, or cannot be reached"
        assert [page.staff_id for page in texts_to_staff(session)] == [people.ben.id]


def test_a_fault_is_tried_once_more_and_then_given_up_without_a_storm(sessions, people, now, clock):
    alert = raise_one(sessions, people, now)
    dead = Remembering(failing=["json://ana.example/one"])
    for _ in range(6):
        notices.drain(sessions, dead, clock=clock)
        clock.move(seconds=25)
    assert set(statuses(sessions)) == {"failed"}
    with sessions() as session:
        assert paged(session, alert, people) == ["ana", "ana", "ben"]


def test_a_notice_whose_process_died_is_not_sent_again_but_counts_as_lost(sessions, people, now, clock):
    alert = raise_one(sessions, people, now)
    with sessions.begin() as session:
        row = session.scalars(select(StaffNotice)).one()
        row.status, row.attempted_at, row.attempts = "sending", now, 1
    clock.move(seconds=61)
    messenger = Remembering()
    notices.drain(sessions, messenger, clock=clock)
    assert statuses(sessions)[0] == "unknown"
    with sessions() as session:
        assert "ben" in paged(session, alert, people)


def test_two_processes_hand_a_notice_over_once(sessions, people, now, clock):
    raise_one(sessions, people, now)
    messenger, start = Remembering(), threading.Barrier(2)

    def beat():
        start.wait()
        notices.drain(sessions, messenger, clock=clock)

    threads = [threading.Thread(target=beat) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(messenger.sent) == 1


def test_a_notice_of_a_removed_address_or_of_yesterday_is_not_sent(sessions, people, now, clock):
    raise_one(sessions, people, now)
    clock.move(hours=3)
    messenger = Remembering()
    notices.drain(sessions, messenger, clock=clock)
    assert messenger.sent == []
    assert statuses(sessions)[0] == "expired"


def test_a_test_page_says_that_it_is_one_and_pages_nobody_else_when_it_fails(sessions, people, now, clock):
    with sessions.begin() as session:
        give_phone(session, people, "ben")
        row = session.scalars(select(StaffAddress)).one()
        notices.queue_test(session, row, now=now)
    notices.drain(sessions, Remembering(failing=["json://ana.example/one"]), clock=clock)
    with sessions() as session:
        assert session.scalars(select(StaffAddress)).one().fault
        assert texts_to_staff(session) == []
        assert "Test page" in session.scalars(select(StaffNotice)).one().body


# ---------------------------------------------------------------- the real messenger, to a server on this machine


@pytest.fixture
def server():
    """A local web hook: remembers what it got; /slow never answers in time, /no refuses."""
    got, release = [], threading.Event()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/slow":
                release.wait(5)
            got.append(json.loads(body))
            self.send_response(500 if self.path == "/no" else 200)
            self.end_headers()

        def log_message(self, *values):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"json://127.0.0.1:{httpd.server_port}", got
    release.set()
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_apprise_hands_the_words_over(server):
    url, got = server
    AppriseMessenger().send(f"{url}/yes", "Nudges alert 7.")
    assert got[0]["message"] == "Nudges alert 7."


@pytest.mark.parametrize("path", ["/no", "/slow"])
def test_a_refusal_and_a_messenger_that_hangs_are_faults_that_name_no_address(server, path):
    url, _ = server
    with pytest.raises(MessengerError) as caught:
        AppriseMessenger(call_seconds=0.5).send(url.replace("//", "//someone:hunter2@") + path, "Nudges alert 7.")
    assert "JSON" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("hunter2", "127.0.0.1", "someone"))
