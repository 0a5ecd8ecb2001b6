"""What the fake does with texts that it took: queues, pace, validity, failures later, callbacks in any order, retries."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import pytest

from nudges.channels.base import ChannelError
from nudges.channels.twilio import TwilioChannel
from tests.channels.cast import PARENT, SENDER, HandClock, a_text
from tests.channels.conftest import MakeChannel
from tests.support.fake_twilio import behaviour
from tests.support.fake_twilio.server import FakeTwilio

HEARING = "http://127.0.0.1"


class Listener:
    """An app that writes down what it is called with, and answers as scripted, 204 without a script."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str]] = []
        self.script: list[int] = []

    def post(self, url: str, form: dict[str, str], headers: dict[str, str]) -> tuple[int, str]:
        word = form.get("MessageStatus") or form.get("Body", "")
        self.heard.append((url.removeprefix(HEARING), word, form.get("ErrorCode", "")))
        status = self.script.pop(0) if self.script else 204
        if status == 0:
            raise ConnectionError
        return status, ""


@pytest.fixture
def app(fake: FakeTwilio) -> Listener:
    listener = Listener()
    fake.webhooks.app_url = fake.webhooks.public_url = HEARING
    fake.webhooks._post = listener.post
    return listener


@pytest.fixture
def paced(clock: HandClock) -> Iterator[FakeTwilio]:
    with FakeTwilio(clock=clock, pace=1.0) as running:
        yield running


@pytest.fixture
def paced_channel(make_channel: MakeChannel, paced: FakeTwilio) -> TwilioChannel:
    return make_channel(api_base=paced.url)


def words(app: Listener) -> list[str]:
    return [f"{status} {code}".strip() for _, status, code in app.heard]


def test_a_sender_lets_texts_go_at_its_pace_in_segments(
    paced: FakeTwilio, paced_channel: TwilioChannel, clock: HandClock
) -> None:
    for body in ("x" * 300, "second", "third"):
        paced_channel.send(a_text(body=body, sender=SENDER))
    left = []
    for _ in range(4):
        left.append(paced.carrier.carry(clock.now()))
        clock.move(seconds=1)
    assert left == [1, 0, 1, 1], "the first has two segments"


def test_each_number_has_a_queue_of_its_own(paced: FakeTwilio, paced_channel: TwilioChannel, clock: HandClock) -> None:
    for sender in (SENDER, "+13125550101"):
        paced_channel.send(a_text(sender=sender))
    assert paced.carrier.carry(clock.now()) == 2


def test_what_waits_beyond_its_validity_fails_with_30036(
    paced: FakeTwilio, paced_channel: TwilioChannel, clock: HandClock
) -> None:
    paced_channel.send(a_text(body="x" * 1500, sender=SENDER))
    late = paced_channel.send(a_text(body="late", sender=SENDER, validity_seconds=5)).provider_id
    clock.move(seconds=4)
    paced.carrier.carry(clock.now())
    assert paced.texts.find(late).status == "queued"
    clock.move(seconds=1)
    paced.carrier.carry(clock.now())
    text = paced.texts.find(late)
    assert (text.status, text.error_code, paced.received(PARENT)) == ("failed", 30036, ["x" * 1500])


@pytest.mark.parametrize(("sender", "is_service"), [(SENDER, False), ("", True)], ids=["number", "service"])
def test_a_queue_of_ten_hours_is_full(
    paced: FakeTwilio, paced_channel: TwilioChannel, clock: HandClock, sender: str, is_service: bool
) -> None:
    paced.carrier.pace = 10 / 36_000  # ten segments fill it
    paced_channel.send(a_text(body="x" * 1500, sender=sender))
    if not is_service:
        with pytest.raises(ChannelError, match="21611"):
            paced_channel.send(a_text(sender=sender))
        return
    overflowed = paced_channel.send(a_text(sender=sender)).provider_id
    paced.carrier.carry(clock.now())
    assert paced.texts.find(overflowed).error_code == 30001


def test_a_service_picks_its_number_only_when_the_text_leaves(channel: TwilioChannel, fake: FakeTwilio) -> None:
    sid = channel.send(a_text()).provider_id
    before = fake.texts.find(sid).resource()
    fake.move(sid, "sent")
    after = fake.texts.find(sid).resource()
    assert (before["from"], before["num_segments"], before["status"]) == (None, "0", "accepted")
    assert after["from"] in {"+13125550100", "+13125550101"}
    assert after["num_segments"] == "1"


@pytest.mark.parametrize(
    ("code", "heard"),
    [
        (30003, ["sent", "undelivered 30003"]),
        (30006, ["sent", "undelivered 30006"]),
        (30034, ["failed 30034"]),
        (21610, ["failed 21610"]),
    ],
)
def test_a_text_can_be_taken_and_fail_later(
    channel: TwilioChannel, fake: FakeTwilio, app: Listener, code: int, heard: list[str]
) -> None:
    fake.next(behaviour.fail_later(code))
    fake.carrier.deliver(fake.texts.find(channel.send(a_text()).provider_id))
    assert words(app) == heard
    assert fake.received(PARENT) == []


@pytest.mark.parametrize(
    ("order", "heard"),
    [
        ("in order", ["sent", "delivered"]),
        ("reversed", ["delivered", "sent"]),
        ("doubled", ["sent", "sent", "delivered", "delivered"]),
        ("missing", []),
    ],
)
def test_callbacks_come_as_they_were_ordered(
    channel: TwilioChannel, fake: FakeTwilio, app: Listener, order: str, heard: list[str]
) -> None:
    fake.carrier.order = order
    fake.carrier.deliver(fake.texts.find(channel.send(a_text()).provider_id))
    assert words(app) == heard
    assert fake.received(PARENT) == [a_text().body]


def test_a_status_of_a_text_that_the_account_never_had(fake: FakeTwilio, app: Listener) -> None:
    fake.webhooks.about_a_stranger("delivered", sid="SM" + "9" * 32, attempt="nobody")
    assert app.heard == [("/twilio/status?attempt=nobody", "delivered", "")]


@pytest.mark.parametrize(
    ("fragment", "answers", "tries"),
    [
        pytest.param("", [500, 200], 1, id="by-default-an-answer-is-an-answer"),
        pytest.param("", [0, 200], 2, id="by-default-once-more-when-nobody-was-there"),
        pytest.param("#rc=2&rp=all", [500, 500, 200], 3, id="twice-more-after-anything"),
        pytest.param("#rc=5&rp=5xx", [503, 404, 200], 2, id="only-after-5xx"),
    ],
)
def test_webhooks_are_tried_again_as_their_address_asks_each_with_a_token_of_its_own(
    fake: FakeTwilio, app: Listener, fragment: str, answers: list[int], tries: int
) -> None:
    fake.webhooks.inbound_url = f"{HEARING}/twilio/inbound{fragment}"
    app.script = list(answers)
    fake.webhooks.inbound(fake.texts.add(direction="inbound", to=SENDER, from_=PARENT, body="hi", status="received"))
    assert [url for url, _, _ in app.heard] == ["/twilio/inbound"] * tries
    assert len(set(fake.webhooks.tries)) == tries


def test_the_fallback_is_asked_when_the_first_door_does_not_open(fake: FakeTwilio, app: Listener) -> None:
    fake.webhooks.fallback_url = f"{HEARING}/twilio/fallback"
    app.script = [500, 204]
    assert fake.text_in(PARENT, "hi")[0] == 204
    assert [url for url, _, _ in app.heard] == ["/twilio/inbound", "/twilio/fallback"]


def test_twilio_itself_confirms_a_stop_and_a_start_and_leaves_an_opted_out_help_unanswered(
    fake: FakeTwilio, app: Listener
) -> None:
    for body in ("STOP", "HELP", "START", "HELP", "opt out"):
        fake.text_in(PARENT, body)
    assert [said.split()[0:4] for _, said in fake.carrier_said] == [
        ["You", "will", "get", "no"],
        ["You", "will", "get", "texts"],
        ["Reply", "STOP", "to", "get"],
    ]
    assert PARENT not in fake.texts.opted_out, "two words are no keyword of Twilio's"


def test_a_text_is_deleted_only_once_it_has_come_to_its_end(
    channel: TwilioChannel, fake: FakeTwilio, clock: HandClock
) -> None:
    sid = channel.send(a_text()).provider_id
    text = fake.texts.find(sid)
    assert fake.delete(text) == 20009
    fake.move(sid, "sent", "delivered")
    assert fake.delete(text) is None
    assert fake.texts.find(sid) is None
    assert channel.send(a_text()).provider_id != sid, "an id is never given twice"


def test_the_control_page_is_served_and_names_its_doors(fake: FakeTwilio) -> None:
    with urllib.request.urlopen(f"{fake.url}/", timeout=5) as answer:
        page = answer.read().decode()
    assert answer.headers["Content-Type"].startswith("text/html")
    for door in ("text-in", "next", "settings"):
        assert f'data-door="{door}"' in page
