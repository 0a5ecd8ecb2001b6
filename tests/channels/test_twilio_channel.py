from __future__ import annotations

import json
import logging
import socket
import threading
from pathlib import Path

import pytest
from twilio.base.exceptions import TwilioException

import nudges.channels.twilio_errors as twilio_errors
from nudges.channels.base import Accepted, Action, ChannelError
from nudges.channels.twilio import TwilioChannel
from nudges.channels.twilio_errors import ACTION_OF_CODE, ACTION_OF_WORD, is_permanent
from nudges.channels.twilio_http import GuardedHttpClient, UnsafeEndpoint
from tests.channels.cast import (
    OTHER_PARENT,
    PARENT,
    SENDER,
    SERVICE,
    START,
    HandClock,
    a_text,
)
from tests.channels.conftest import MakeChannel
from tests.support.fake_twilio import behaviour
from tests.support.fake_twilio.server import FakeTwilio

TABLE = json.loads(
    Path(twilio_errors.__file__).with_name("error_actions.json").read_text(encoding="utf-8"),
)["codes"]


def refused(channel: TwilioChannel, **changes: object) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        channel.send(a_text(**changes))
    return caught.value


# Sending


def test_a_text_reaches_the_phone_and_comes_back_accepted(channel: TwilioChannel, fake: FakeTwilio) -> None:
    accepted = channel.send(a_text(body="¿Cómo va? 😊"))
    (text,) = fake.texts.all()
    assert accepted == Accepted(provider_id=text.sid, status="accepted")
    assert fake.received(PARENT) == ["¿Cómo va? 😊"]


def test_a_text_carries_its_validity_its_attempt_and_nothing_that_changes_its_words(
    channel: TwilioChannel, fake: FakeTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = []
    check = fake.fault_of
    monkeypatch.setattr(fake, "fault_of", lambda form: forms.append(dict(form)) or check(form))
    channel.send(a_text(attempt_id="7 / ü", validity_seconds=90))
    assert forms == [
        {
            "To": PARENT,
            "Body": "Tonight, try one short walk together.",
            "MessagingServiceSid": SERVICE,
            "ValidityPeriod": "90",
            "StatusCallback": "https://texts.example.org/twilio/status?attempt=7+%2F+%C3%BC",
        }
    ]


@pytest.mark.parametrize(
    ("sender", "from_", "service"),
    [
        pytest.param(SERVICE, None, SERVICE, id="messaging-service"),
        pytest.param(SENDER, SENDER, None, id="number"),
        pytest.param("", SENDER, None, id="none-named-so-the-configured-one"),
    ],
)
def test_the_sender_of_the_text_is_the_sender_at_twilio(
    make_channel: MakeChannel, fake: FakeTwilio, sender: str, from_: str | None, service: str | None
) -> None:
    make_channel(messaging_service_sid=None, from_number=SENDER).send(a_text(sender=sender))
    (text,) = fake.texts.all()
    assert (text.from_, text.service) == (from_, service)


def test_each_thread_has_a_client_of_its_own(make_channel: MakeChannel, fake: FakeTwilio) -> None:
    made = []

    def make(*args: object, **settings: object) -> GuardedHttpClient:
        made.append(threading.get_ident())
        return GuardedHttpClient(*args, **settings)

    channel = make_channel(make_http_client=make)
    gate = threading.Barrier(4)

    def work(name: int) -> None:
        gate.wait()
        for turn in range(5):
            channel.send(a_text(attempt_id=f"{name}-{turn}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == len(made) == 4
    assert len(fake.received(PARENT)) == 20


# Refusals


@pytest.mark.parametrize("code", sorted(code for code, row in TABLE.items() if "create_response" in row["seen_in"]))
@pytest.mark.parametrize("problem_json", [False, True], ids=["classic", "rfc9457"])
def test_every_code_of_a_refused_text_asks_for_what_the_table_says(
    channel: TwilioChannel, fake: FakeTwilio, code: str, problem_json: bool
) -> None:
    fake.next(behaviour.refuse(int(code), problem_json=problem_json))
    error = refused(channel)
    expected = ACTION_OF_CODE.get(code) or ACTION_OF_WORD[TABLE[code]["action"]]
    assert (error.action, error.code, error.permanent) == (expected, code, is_permanent(expected))
    assert fake.received(PARENT) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"validity_seconds": 0}, "21624", id="no-validity"),
        pytest.param({"validity_seconds": 36_001}, "21624", id="validity-over-ten-hours"),
        pytest.param({"body": ""}, "21602", id="no-words"),
        pytest.param({"body": "x" * 1601}, "21617", id="too-many-words"),
    ],
)
def test_a_form_that_twilio_refuses_is_our_bug(
    make_channel: MakeChannel, changes: dict[str, object], code: str
) -> None:
    channel = make_channel(make_http_client=GuardedHttpClient)  # the contract would stop it before Twilio does
    error = refused(channel, **changes)
    assert (error.action, error.code, error.permanent) == (Action.BUG, code, True)


def test_an_opted_out_phone_is_refused_at_once_from_a_number(channel: TwilioChannel, fake: FakeTwilio) -> None:
    fake.texts.opted_out.add(PARENT)
    error = refused(channel, sender=SENDER)
    assert (error.action, error.permanent) == (Action.SUPPRESS, True)


@pytest.mark.parametrize(
    ("sent", "heard"),
    [("7", 7.0), (None, None), ("Mon, 02 Mar 2026 15:00:07 GMT", None), ("-3", None), ("²", None)],
    ids=["seconds", "absent", "date", "negative", "not-ascii"],
)
def test_too_many_requests_says_when_to_come_back(
    make_channel: MakeChannel, fake: FakeTwilio, sent: str | None, heard: float | None
) -> None:
    channel = make_channel(make_http_client=GuardedHttpClient)
    encoded = None if sent is None else sent.encode().decode("latin-1")
    fake.next(behaviour.too_many(retry_after=encoded))
    error = refused(channel)
    assert (error.action, error.permanent, error.retry_after_seconds) == (Action.RETRY_BACKOFF, False, heard)


def test_a_refusal_does_not_inherit_the_delay_of_the_one_before(channel: TwilioChannel, fake: FakeTwilio) -> None:
    fake.next(behaviour.too_many(retry_after="30"), behaviour.refuse(21211))
    assert refused(channel).retry_after_seconds == 30
    assert refused(channel).retry_after_seconds is None


def test_wrong_credentials_stop_everything(make_channel: MakeChannel) -> None:
    error = refused(make_channel(auth_token="another"))
    assert (error.action, error.code, error.permanent) == (Action.STOP_ALL, "20003", False)


def test_a_call_that_the_library_itself_refuses_is_our_bug(make_channel: MakeChannel) -> None:
    class Refusing(GuardedHttpClient):
        def request(self, *args: object, **more: object) -> object:
            raise TwilioException("the library's own words, with +13125550142")

    error = refused(make_channel(make_http_client=Refusing))
    assert (error.action, error.code, error.permanent) == (Action.BUG, "library", True)
    assert "5550142" not in str(error)


# Outcomes that nobody knows

UNKNOWN = [
    pytest.param(behaviour.server_error(stored=True), True, "20500", id="500-after-storing"),
    pytest.param(behaviour.server_error(stored=False), False, "20500", id="500-before-storing"),
    pytest.param(behaviour.server_error(stored=True, status=503, code=20503), True, "20503", id="503"),
    pytest.param(behaviour.page_of_a_proxy(stored=True), True, "502", id="page-of-a-proxy"),
    pytest.param(behaviour.page_of_a_proxy(stored=True, status=201), True, "unreadable", id="accepted-unreadably"),
    pytest.param(behaviour.page_of_a_proxy(stored=True, status=201, page=""), True, "unreadable", id="empty-201"),
    pytest.param(behaviour.page_of_a_proxy(stored=True, status=201, page="[]"), True, "unreadable", id="201-list"),
    pytest.param(behaviour.page_of_a_proxy(stored=True, status=307), True, "307", id="redirect"),
    pytest.param(behaviour.close(stored=True), True, "no_answer", id="closed-after-storing"),
    pytest.param(behaviour.close(stored=False), False, "no_answer", id="closed-before-storing"),
    pytest.param(behaviour.hang(stored=True), True, "no_answer", id="time-out-after-storing"),
    pytest.param(behaviour.hang(stored=False), False, "no_answer", id="time-out-before-storing"),
]


@pytest.mark.parametrize(("played", "taken", "code"), UNKNOWN)
def test_an_answer_that_proves_nothing_is_unknown_and_is_not_repeated(
    make_channel: MakeChannel, fake: FakeTwilio, played: behaviour.Behaviour, taken: bool, code: str
) -> None:
    channel = make_channel(timeout_seconds=0.5)
    fake.next(played)
    error = refused(channel)
    assert (error.action, error.code, error.permanent) == (Action.RECONCILE, code, False)
    assert len(fake.calls) == 1
    found = channel.find_sent(PARENT, since=START)
    assert [text.body for text in found] == ([a_text().body] if taken else [])


def test_a_slow_answer_within_the_time_out_is_an_acceptance(channel: TwilioChannel, fake: FakeTwilio) -> None:
    fake.next(behaviour.slow(0.2))
    assert channel.send(a_text()).status == "accepted"


def test_a_refused_connection_never_reached_twilio_and_may_be_tried_again(make_channel: MakeChannel) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: nobody else can take the port meanwhile
        error = refused(make_channel(api_base=f"http://127.0.0.1:{closed.getsockname()[1]}"))
    assert (error.action, error.code, error.permanent) == (Action.RETRY_BACKOFF, "unreachable", False)


def test_an_untrusted_certificate_stops_everything(make_channel: MakeChannel, tls_port: int) -> None:
    error = refused(make_channel(api_base=f"https://127.0.0.1:{tls_port}"))
    assert (error.action, error.code) == (Action.STOP_ALL, "certificate")


# Reconciliation


def test_find_sent_gives_our_own_texts_since_the_attempt_newest_first(
    channel: TwilioChannel, fake: FakeTwilio, clock: HandClock
) -> None:
    channel.send(a_text(body="before"))
    clock.move(seconds=10)
    since = clock.now()
    channel.send(a_text(body="first"))
    channel.send(a_text(to=OTHER_PARENT, body="someone else's"))
    fake.texts.add(direction="outbound-reply", to=PARENT, from_=SENDER, body="a reply", status="delivered")
    clock.move(seconds=5)
    failed = channel.send(a_text(body="second"))
    fake.move(failed.provider_id, "failed", error_code=30006)

    found = channel.find_sent(PARENT, since=since)
    assert [(text.body, text.status, text.error_code) for text in found] == [
        ("second", "failed", "30006"),
        ("first", "accepted", None),
    ]
    assert [text.created_at for text in found] == [clock.now(), since]


def test_a_text_created_within_the_second_of_the_attempt_is_found(channel: TwilioChannel, clock: HandClock) -> None:
    clock.move(milliseconds=900)
    channel.send(a_text())
    assert len(channel.find_sent(PARENT, since=clock.now())) == 1


@pytest.mark.parametrize("is_newest_first", [True, False], ids=["newest-first", "oldest-first"])
def test_find_sent_reads_every_page_because_the_order_of_the_list_is_nowhere_promised(
    channel: TwilioChannel,
    fake: FakeTwilio,
    clock: HandClock,
    monkeypatch: pytest.MonkeyPatch,
    is_newest_first: bool,
) -> None:
    monkeypatch.setattr("nudges.channels.twilio._PAGE_SIZE", 2)
    listed = fake.texts.listed
    monkeypatch.setattr(fake.texts, "listed", lambda to: listed(to)[:: 1 if is_newest_first else -1])
    for number in range(9):
        fake.texts.add(direction="outbound-api", to=PARENT, body=f"{number}", status="queued", service=SERVICE)
        clock.move(minutes=1)
    channel.send(a_text(body="sought"))
    fake.calls.clear()
    since = START.replace(minute=6)
    assert [text.body for text in channel.find_sent(PARENT, since=since)] == ["sought", "8", "7", "6"]
    assert len(fake.calls) == 5
    assert len(channel.find_sent(PARENT, since=START)) == 10


@pytest.mark.parametrize(
    ("played", "action", "code"),
    [
        pytest.param(behaviour.server_error(stored=False), Action.RECONCILE, "20500", id="500"),
        pytest.param(behaviour.too_many(retry_after="4"), Action.RETRY_BACKOFF, "20429", id="429"),
        pytest.param(behaviour.close(stored=False), Action.RECONCILE, "no_answer", id="closed"),
        pytest.param(
            behaviour.page_of_a_proxy(stored=False, status=200), Action.RECONCILE, "unreadable", id="unreadable"
        ),
    ],
)
def test_a_look_that_fails_says_so_instead_of_finding_nothing(
    channel: TwilioChannel, fake: FakeTwilio, played: behaviour.Behaviour, action: Action, code: str
) -> None:
    fake.next(played)
    with pytest.raises(ChannelError) as caught:
        channel.find_sent(PARENT, since=START)
    assert (caught.value.action, caught.value.code) == (action, code)


# Silence about families


def test_neither_logs_nor_errors_hold_a_number_or_a_word(
    channel: TwilioChannel, fake: FakeTwilio, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.next(behaviour.accept(), behaviour.refuse(21211), behaviour.refuse(21610), behaviour.close(stored=True))
    channel.send(a_text())
    errors = [refused(channel) for _ in range(3)]
    channel.find_sent(PARENT, since=START)
    written = [f"{record.getMessage()} {record.__dict__} {record.exc_text}" for record in caplog.records]
    assert [record.code for record in caplog.records] == ["21211", "21610", "no_answer"]
    assert {record.attempt_id for record in caplog.records} == {"a1"}
    for words in [*written, *(f"{error} {error.args}" for error in errors)]:
        assert PARENT.lstrip("+") not in words and "walk" not in words
    assert all(error.__context__ is None and error.__cause__ is None for error in errors)


# Configuration


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"account_sid": ""}, "account SID", id="no-account"),
        pytest.param({"auth_token": ""}, "auth token", id="no-token"),
        pytest.param({"messaging_service_sid": None}, "Messaging Service SID or a from number", id="no-sender"),
        pytest.param({"from_number": SENDER}, "one of the two", id="two-senders"),
        pytest.param({"status_callback_url": "/twilio/status"}, "https", id="callback-without-host"),
        pytest.param({"status_callback_url": "https://a_b.example.org/s"}, "underscore", id="callback-underscore"),
        pytest.param({"status_callback_url": "https://example.org/s?x=1"}, "no query", id="callback-query"),
        pytest.param({"status_callback_url": "https://example.org/s#rc=2"}, "fragment", id="callback-fragment"),
        pytest.param(
            {"status_callback_url": "http://example.org/s", "production": True, "api_base": None},
            "https",
            id="callback-http-in-production",
        ),
    ],
)
def test_a_configuration_that_cannot_work_fails_at_start(
    make_channel: MakeChannel, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        make_channel(**changes)


def test_an_api_base_elsewhere_fails_at_start(make_channel: MakeChannel) -> None:
    with pytest.raises(UnsafeEndpoint, match="this machine"):
        make_channel(api_base="https://api.twilio.example.org")


def test_variables_of_the_environment_change_neither_host_nor_route(
    make_channel: MakeChannel, fake: FakeTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    urls = []

    class Listening(GuardedHttpClient):
        def request(self, method: str, url: str, *args: object, **more: object) -> object:
            urls.append(url)
            return super().request(method, url, *args, **more)

    make_channel(make_http_client=Listening).send(a_text())
    assert [url.split("/")[2] for url in urls] == ["api.twilio.com"]
    assert len(fake.received(PARENT)) == 1
