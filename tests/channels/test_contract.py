"""The contract must bite: each of these requests or answers is wrong in one way and must be stopped."""

from __future__ import annotations

import pytest

from nudges.channels.twilio_http import Endpoint
from tests.channels.cast import PARENT, START, a_text
from tests.channels.conftest import MakeChannel
from tests.support.contract import ContractBroken, ContractHttpClient
from tests.support.fake_twilio.server import FakeTwilio
from tests.support.fake_twilio.texts import Text


def mutated(**changes: object) -> type[ContractHttpClient]:
    """The product's real request with form fields replaced, added, or (None) taken away."""

    class Mutated(ContractHttpClient):
        def request(self, method, url, params=None, data=None, *rest, **more):  # type: ignore[no-untyped-def]
            if data is not None:
                data = {name: value for name, value in (data | changes).items() if value is not None}
            return super().request(method, url, params, data, *rest, **more)

    return Mutated


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"Body": None, "Text": "words"}, id="body-renamed"),
        pytest.param({"Body": None, "body": "words"}, id="body-in-lower-case"),
        pytest.param({"To": None, "to": PARENT}, id="to-in-lower-case"),
        pytest.param({"To": "312-555-0142"}, id="national-number"),
        pytest.param({"Body": "x" * 1601}, id="too-long"),
        pytest.param({"MessagingServiceSid": None}, id="no-sender"),
        pytest.param({"MessagingServiceSid": "MG1"}, id="broken-service"),
        pytest.param({"ValidityPeriod": 0}, id="validity-nought"),
        pytest.param({"ValidityPeriod": 36_001}, id="validity-over-the-limit"),
        pytest.param({"ValidityPeriod": "soon"}, id="validity-in-words"),
        pytest.param({"StatusCallback": "http://texts.example.org/s"}, id="callback-by-plain-http"),
        pytest.param({"StatusCallback": "https://my_host.example.org/s"}, id="callback-host-with-underscore"),
        pytest.param({"MaxPrice": "0.01"}, id="obsolete-parameter"),
        pytest.param({"Idempotency": "a1"}, id="parameter-that-does-not-exist"),
    ],
)
def test_a_wrong_form_never_leaves(make_channel: MakeChannel, fake: FakeTwilio, changes: dict[str, object]) -> None:
    with pytest.raises(ContractBroken):
        make_channel(make_http_client=mutated(**changes)).send(a_text())
    assert fake.calls == []


def test_the_same_form_unchanged_passes(make_channel: MakeChannel, fake: FakeTwilio) -> None:
    make_channel(make_http_client=mutated()).send(a_text())
    assert fake.received(PARENT) == [a_text().body]


def test_an_unknown_filter_never_leaves(fake: FakeTwilio) -> None:
    client = client_of(fake)
    with pytest.raises(ContractBroken, match="Status"):
        client.request("GET", messages_url(fake), params={"Status": "failed"}, auth=(fake.account_sid, "x"))
    assert fake.calls == []


def test_a_request_without_credentials_never_leaves(fake: FakeTwilio) -> None:
    with pytest.raises(ContractBroken):
        client_of(fake).request("GET", messages_url(fake), params={"To": PARENT})
    assert fake.calls == []


def test_no_test_can_reach_the_real_twilio(make_channel: MakeChannel) -> None:
    with pytest.raises(ContractBroken, match="not this machine"):
        make_channel(api_base=None).send(a_text())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"sid": None}, id="no-sid"),
        pytest.param({"status": "on its way"}, id="invented-status"),
        pytest.param({"date_created": "2026-03-02T15:00:00Z"}, id="date-in-another-form"),
        pytest.param({"num_segments": 1}, id="number-where-twilio-has-text"),
        pytest.param({"extra": "x"}, id="field-twilio-does-not-have"),
    ],
)
def test_a_fake_that_answers_unlike_twilio_is_caught(
    make_channel: MakeChannel, fake: FakeTwilio, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    true = Text.resource
    monkeypatch.setattr(
        Text,
        "resource",
        lambda text: {
            name: value for name, value in (true(text) | changes).items() if changes.get(name, 0) is not None
        },
    )
    channel = make_channel()
    with pytest.raises(ContractBroken):
        channel.send(a_text())
    with pytest.raises(ContractBroken):
        channel.find_sent(PARENT, since=START)
    assert len(fake.violations) == 2, "the server sees it too, for callers that do not check"
    fake.violations.clear()


def messages_url(fake: FakeTwilio) -> str:
    return f"https://api.twilio.com/2010-04-01/Accounts/{fake.account_sid}/Messages.json"


def client_of(fake: FakeTwilio) -> ContractHttpClient:
    return ContractHttpClient(Endpoint(api_base=fake.url, production=False), timeout_seconds=5)
