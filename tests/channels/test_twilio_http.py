from __future__ import annotations

import pytest
from requests.exceptions import RequestException

from nudges.channels.twilio import TwilioChannel
from nudges.channels.twilio_http import Answer, Endpoint, GuardedHttpClient, UnsafeEndpoint, is_loopback
from tests.channels.cast import a_text
from tests.support.fake_twilio.server import FakeTwilio

TWILIO = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json?To=%2B13125550142"


@pytest.mark.parametrize(
    ("api_base", "production", "target"),
    [
        pytest.param(None, True, TWILIO, id="real-in-production"),
        pytest.param(None, False, TWILIO, id="real-on-trial"),
        pytest.param(
            "http://127.0.0.1:9010",
            False,
            TWILIO.replace("https://api.twilio.com", "http://127.0.0.1:9010"),
            id="fake",
        ),
        pytest.param(
            "http://[::1]:9010", False, TWILIO.replace("https://api.twilio.com", "http://[::1]:9010"), id="ipv6"
        ),
        pytest.param(
            "https://gateway.example.org",
            True,
            TWILIO.replace("api.twilio.com", "gateway.example.org"),
            id="gateway-in-production",
        ),
    ],
)
def test_requests_go_where_the_configuration_says(api_base: str | None, production: bool, target: str) -> None:
    assert Endpoint(api_base=api_base, production=production).target(TWILIO) == target


@pytest.mark.parametrize(
    ("api_base", "production"),
    [
        pytest.param("http://127.0.0.1:9010", True, id="plain-http-in-production"),
        pytest.param("http://gateway.example.org", True, id="plain-http-gateway-in-production"),
        pytest.param("https://gateway.example.org", False, id="elsewhere-outside-production"),
        pytest.param("http://127.0.0.1.example.org", False, id="a-name-that-looks-local"),
        pytest.param("http://10.0.0.5:9010", False, id="another-machine"),
        pytest.param("127.0.0.1:9010", False, id="no-scheme"),
        pytest.param("ftp://127.0.0.1", False, id="another-scheme"),
        pytest.param("", False, id="empty"),
    ],
)
def test_an_unsafe_base_is_refused_before_anything_can_be_sent(api_base: str, production: bool) -> None:
    with pytest.raises(UnsafeEndpoint):
        Endpoint(api_base=api_base, production=production)


def test_even_the_library_cannot_leave_by_plain_http() -> None:
    with pytest.raises(UnsafeEndpoint):
        Endpoint(api_base=None, production=False).target(TWILIO.replace("https", "http"))


def test_a_forbidden_address_is_refused_before_the_network() -> None:
    client = GuardedHttpClient(Endpoint(api_base=None, production=True), timeout_seconds=1)
    with pytest.raises(UnsafeEndpoint):
        client.request("GET", "http://127.0.0.1:9/")
    assert client.answer is None


def test_each_call_makes_its_own_connection(channel: TwilioChannel, fake: FakeTwilio) -> None:
    for turn in range(3):
        channel.send(a_text(attempt_id=f"a{turn}"))
    assert len(set(fake.peers)) == 3


def test_a_call_without_an_answer_leaves_none_of_the_call_before(fake: FakeTwilio) -> None:
    client = GuardedHttpClient(Endpoint(api_base=fake.url, production=False), timeout_seconds=5)
    client.request("GET", "https://api.twilio.com/nowhere")
    assert client.answer == Answer(status=404, code="20404", retry_after_seconds=None)
    with pytest.raises(RequestException):
        client.request("GET", "https://api.twilio.com/nowhere", headers={"Broken": "a\nb"})
    assert client.answer is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("api.twilio.com", False)]
    + [("0.0.0.0", False), ("", False), (None, False)],
)
def test_only_this_machine_is_loopback(host: str | None, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_an_answer_that_names_another_host_for_the_next_page_does_not_lead_there() -> None:
    endpoint = Endpoint(api_base="http://127.0.0.1:9010", production=False)
    assert endpoint.target("https://evil.example.org/next?Page=1") == "http://127.0.0.1:9010/next?Page=1"
