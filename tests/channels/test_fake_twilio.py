"""The fake must play its parts truly: everything that is tested with it rests on it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator

import pytest
from flask import Flask, Response, request
from twilio.rest import Client
from werkzeug.serving import make_server

from nudges.channels.base import ChannelError
from nudges.channels.twilio import TwilioChannel
from nudges.channels.twilio_http import Endpoint
from nudges.channels.twilio_webhooks import incoming_from, is_signed, receipt_from, twiml
from tests.channels.cast import PARENT, SENDER, HandClock, a_text
from tests.channels.conftest import MakeChannel
from tests.support.contract import ContractHttpClient
from tests.support.fake_twilio import behaviour
from tests.support.fake_twilio.server import FakeTwilio
from tests.support.fake_twilio.webhooks import post_to_flask

PUBLIC = "https://texts.example.org"


def listening_app(token: str) -> tuple[Flask, list[str]]:
    """A small app that checks signatures as the product does, and writes down what it heard."""
    app, heard = Flask("listening"), []

    @app.before_request
    def check() -> Response | None:
        url = PUBLIC + request.full_path.rstrip("?")
        signed = is_signed(url, request.form, request.headers.get("X-Twilio-Signature"), [token])
        return None if signed else Response(status=403)

    @app.post("/twilio/status")
    def status() -> Response:
        receipt = receipt_from(request.form, request.args.get("attempt"))
        heard.append(f"{receipt.attempt_id} {receipt.status} {receipt.error_code or ''}".strip())
        return Response(status=204)

    @app.post("/twilio/inbound")
    def inbound() -> Response:
        text = incoming_from(request.form)
        heard.append(f"{text.provider_id[-2:]} {text.body} {text.opt_out_type}")
        return Response(twiml([] if text.opt_out_type else [f"You wrote: {text.body}"]), mimetype="text/xml")

    return app, heard


@pytest.fixture
def heard(fake: FakeTwilio) -> list[str]:
    """What an app hears; the fake posts straight into it."""
    app, heard = listening_app(fake.auth_token)
    fake.webhooks.app_url, fake.webhooks.public_url = "http://127.0.0.1", PUBLIC
    fake.webhooks._post = post_to_flask(app.test_client())
    return heard


def test_a_text_moves_and_the_app_hears_each_step_signed(
    channel: TwilioChannel, fake: FakeTwilio, heard: list[str], clock: HandClock
) -> None:
    sid = channel.send(a_text()).provider_id
    text = fake.texts.find(sid)
    assert text.resource()["date_sent"] is None
    clock.move(seconds=2)
    fake.move(sid, "queued", "sent", "delivered")
    assert heard == ["a1 queued", "a1 sent", "a1 delivered"]
    assert text.resource()["date_sent"] == "Mon, 02 Mar 2026 15:00:02 +0000"


def test_callbacks_can_come_doubled_and_in_reverse_and_leave_the_text_as_it_is(
    channel: TwilioChannel, fake: FakeTwilio, heard: list[str]
) -> None:
    sid = channel.send(a_text()).provider_id
    fake.call_back(sid, "delivered", "sent", "sent")
    assert heard == ["a1 delivered", "a1 sent", "a1 sent"]
    assert fake.texts.find(sid).status == "accepted"


def test_a_callback_can_come_before_the_answer_to_the_create(
    channel: TwilioChannel, fake: FakeTwilio, heard: list[str]
) -> None:
    fake.next(behaviour.call_back_first("sent"), behaviour.close(stored=True))
    channel.send(a_text(attempt_id="early"))
    assert heard == ["early sent"]


def test_a_callback_with_a_wrong_signature_is_refused_by_the_app(
    channel: TwilioChannel, fake: FakeTwilio, heard: list[str]
) -> None:
    sid = channel.send(a_text()).provider_id
    ((status, _),) = fake.call_back(sid, "sent", token="another")
    assert (status, heard) == (403, [])


def test_an_opted_out_phone_fails_later_through_a_messaging_service(
    channel: TwilioChannel, fake: FakeTwilio, heard: list[str]
) -> None:
    fake.texts.opted_out.add(PARENT)
    sid = channel.send(a_text()).provider_id
    fake.move(sid, "sent", "delivered")
    assert heard == ["a1 failed 21610"]
    assert fake.received(PARENT) == []


def test_a_parent_writes_and_gets_the_reply(fake: FakeTwilio, heard: list[str]) -> None:
    assert fake.text_in(PARENT, "hello & <hi> 😊") == (200, ["You wrote: hello & <hi> 😊"])
    assert fake.received(PARENT) == ["You wrote: hello & <hi> 😊"]


def test_stop_blocks_the_phone_until_start(channel: TwilioChannel, fake: FakeTwilio, heard: list[str]) -> None:
    assert fake.text_in(PARENT, " Stop ") == (200, [])
    with pytest.raises(ChannelError, match="21610"):
        channel.send(a_text(sender=SENDER))
    fake.text_in(PARENT, "are you there?")
    assert fake.received(PARENT) == [], "not even a reply gets through to an opted-out phone"
    fake.text_in(PARENT, "START")
    channel.send(a_text(sender=SENDER))
    assert len(fake.received(PARENT)) == 1
    assert heard == ["01  Stop  STOP", "02 are you there? None", "03 START START"]


def test_a_repeated_inbound_text_keeps_its_id(fake: FakeTwilio, heard: list[str]) -> None:
    fake.text_in(PARENT, "hello")
    (text,) = (text for text in fake.texts.all() if text.direction == "inbound")
    fake.text_in(PARENT, "hello", sid=text.sid)
    assert heard == ["01 hello None", "01 hello None"]


def test_a_text_can_be_fetched_redacted_and_cancelled_until_it_leaves(channel: TwilioChannel, fake: FakeTwilio) -> None:
    client = Client(
        fake.account_sid,
        fake.auth_token,
        http_client=ContractHttpClient(Endpoint(api_base=fake.url, production=False), timeout_seconds=5),
    )
    sid = channel.send(a_text()).provider_id
    assert client.messages(sid).fetch().body == a_text().body
    assert client.messages(sid).update(body="").body == ""
    assert client.messages(sid).update(status="canceled").status == "canceled"
    assert fake.received(PARENT) == []

    left = channel.send(a_text()).provider_id
    fake.move(left, "sent")
    with pytest.raises(Exception, match="refused by the fake") as caught:
        client.messages(left).update(status="canceled")
    assert caught.value.code == 30409
    with pytest.raises(Exception, match="refused by the fake") as caught:
        client.messages("SM" + "f" * 32).fetch()
    assert caught.value.code == 20404


@pytest.fixture
def served() -> Iterator[tuple[str, list[str]]]:
    app, heard = listening_app("a-token-of-the-fake")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_fake_calls_a_served_app_over_http(
    served: tuple[str, list[str]], channel: TwilioChannel, fake: FakeTwilio
) -> None:
    fake.webhooks.app_url, fake.webhooks.public_url = served[0], PUBLIC
    sid = channel.send(a_text()).provider_id
    fake.move(sid, "sent")
    assert fake.text_in(PARENT, "hola") == (200, ["You wrote: hola"])
    assert fake.text_in(PARENT, "hola", token="another") == (403, [])
    assert served[1] == ["a1 sent", "02 hola None"]


def test_the_fake_runs_by_hand(served: tuple[str, list[str]], make_channel: MakeChannel) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.support.fake_twilio",
        "--port",
        "0",
        "--app",
        served[0],
        "--public",
        PUBLIC,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
            channel = make_channel(api_base=url)
            channel.send(a_text())
            order(url, "next", {"kind": "refuse", "code": 21610})
            with pytest.raises(ChannelError, match="21610"):
                channel.send(a_text())
            assert order(url, "text-in", {"from": PARENT, "body": "hola"}) == {
                "status": 200,
                "replies": ["You wrote: hola"],
            }
            assert [text["body"] for text in order(url, "texts", {})] == [
                a_text().body,
                "hola",
                "You wrote: hola",
            ]
        finally:
            process.terminate()  # not SIGINT: a shell that put us into the background has it ignored
            process.wait(10)


def order(url: str, door: str, words: dict[str, object]) -> object:
    asked = urllib.request.Request(
        f"{url}/fake/{door}", data=json.dumps(words).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=10) as response:
        return json.load(response)
