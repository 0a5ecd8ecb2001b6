"""What all channels have in common, and the two that live in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from nudges.channels.base import Action, Channel, ChannelError, Found, Outgoing
from nudges.channels.fake import FakeChannel
from nudges.channels.phone import PhoneChannel, phone_id, receipts_of
from nudges.channels.twilio import TwilioChannel
from tests.channels.cast import OTHER_PARENT, PARENT, HandClock, a_text


class Drawer:
    """Keeps simulated texts, as the table does in the service."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.kept: list[tuple[Outgoing, Found]] = []

    def deliver(self, outgoing: Outgoing) -> str:
        found = Found(
            provider_id=phone_id(outgoing.attempt_id),
            body=outgoing.body,
            status="accepted",
            created_at=self.clock.now(),
        )
        self.kept.append((outgoing, found))
        return found.provider_id

    def list_since(self, to: str, since: datetime) -> Sequence[Found]:
        return [found for text, found in reversed(self.kept) if text.to == to and found.created_at >= since]


@pytest.fixture
def phone(clock: HandClock) -> PhoneChannel:
    drawer = Drawer(clock)
    return PhoneChannel(deliver=drawer.deliver, list_since=drawer.list_since)


@pytest.fixture(params=["twilio", "phone", "fake"])
def any_channel(
    request: pytest.FixtureRequest, channel: TwilioChannel, phone: PhoneChannel, clock: HandClock
) -> Channel:
    return {"twilio": channel, "phone": phone, "fake": FakeChannel(clock)}[request.param]


def test_an_accepted_text_is_found_again_by_the_same_id(any_channel: Channel, clock: HandClock) -> None:
    any_channel.send(a_text(attempt_id="old", body="old"))
    clock.move(minutes=5)
    since = clock.now()
    any_channel.send(a_text(attempt_id="other", to=OTHER_PARENT))
    first = any_channel.send(a_text(attempt_id="a1", body="first"))
    clock.move(minutes=1)
    second = any_channel.send(a_text(attempt_id="a2", body="second"))

    assert (first.status, second.status) == ("accepted", "accepted")
    assert any_channel.find_sent(PARENT, since=since) == [
        Found(provider_id=second.provider_id, body="second", status="accepted", created_at=clock.now()),
        Found(provider_id=first.provider_id, body="first", status="accepted", created_at=since),
    ]
    assert any_channel.find_sent(PARENT, since=clock.now() + timedelta(seconds=1)) == []


def test_every_channel_has_a_name_of_its_own(phone: PhoneChannel, channel: TwilioChannel, clock: HandClock) -> None:
    assert [each.name for each in (channel, phone, FakeChannel(clock))] == ["twilio", "phone", "fake"]


def test_an_attempt_has_the_same_simulated_id_always_and_another_attempt_another() -> None:
    assert phone_id("a1") == phone_id("a1") != phone_id("a2")
    assert len(phone_id("a1")) == 34


def test_the_simulated_carrier_reports_sent_then_delivered_about_the_accepted_text(phone: PhoneChannel) -> None:
    accepted = phone.send(a_text(attempt_id="a1"))
    receipts = receipts_of("a1")
    assert [receipt.status for receipt in receipts] == ["sent", "delivered"]
    assert {(receipt.provider_id, receipt.attempt_id) for receipt in receipts} == {(accepted.provider_id, "a1")}


def test_the_fake_channel_refuses_loses_and_accepts_as_told(clock: HandClock) -> None:
    fake = FakeChannel(clock)
    opted_out = ChannelError("opted out", permanent=True, code="21610", action=Action.SUPPRESS)
    fake.accept_next()
    fake.refuse_next(opted_out)
    fake.lose_next()
    fake.lose_next(taken=False)

    fake.send(a_text(body="accepted"))
    for body, action in [("refused", Action.SUPPRESS), ("lost", Action.RECONCILE), ("gone", Action.RECONCILE)]:
        with pytest.raises(ChannelError) as caught:
            fake.send(a_text(body=body))
        assert caught.value.action is action
    fake.send(a_text(body="accepted again"))

    assert [text.body for text in fake.sent] == ["accepted", "lost", "accepted again"]
    assert [text.body for text in fake.find_sent(PARENT, since=clock.now())] == [
        "accepted again",
        "lost",
        "accepted",
    ]
