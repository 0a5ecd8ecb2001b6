"""A process dies by SIGKILL, anywhere. Another one goes on, and no parent gets a text twice."""

from __future__ import annotations

from itertools import count

import pytest

from nudges.outbound import reconcile
from tests.support.dying import STEPS
from tests.support.fake_twilio import behaviour

TEXTS = 6
SENDING = [step for step in STEPS if "came in" not in step]


@pytest.mark.parametrize("step", SENDING)
def test_killed_at_any_step_of_a_send_nothing_is_doubled_and_nothing_stays(service, step):
    service.queue(TEXTS, pace=4.0)
    service.dies(step)
    before = len(service.fake.texts.all())
    service.live_on()
    # Only what was claimed and never called may be given up: nobody can know that the provider has not got it.
    service.must_agree(may_be_lost=0 if step == "before the claim" else TEXTS)
    assert len(service.fake.texts.all()) >= before
    lost = [row for row in service.rows() if row.status == "failed"]
    assert all(service.fake.received(row.to) == [] for row in lost)


ENDINGS = {
    "stored, cut off": behaviour.close(stored=True),
    "not stored, cut off": behaviour.close(stored=False),
    "stored, 500": behaviour.server_error(stored=True),
    "not stored, 500": behaviour.server_error(stored=False),
    "stored, a proxy's page": behaviour.page_of_a_proxy(stored=True),
    "stored, never answered": behaviour.hang(stored=True),
    "not stored, never answered": behaviour.hang(stored=False),
    "called back before the answer, then cut off": behaviour.Behaviour(ending="close", callbacks_first=("sent",)),
}


@pytest.mark.parametrize("ending", list(ENDINGS))
def test_whatever_the_provider_does_ledger_and_provider_agree(service, ending):
    service.queue(3)
    service.fake.next(ENDINGS[ending])
    service.live_on()
    service.must_agree(may_be_lost=int(ending.startswith("not stored")))


@pytest.mark.parametrize("order", ["in order", "reversed", "doubled", "missing"])
def test_whatever_the_order_of_callbacks_everything_ends_as_the_provider_says(service, order):
    service.queue(4)
    service.fake.carrier.order = order
    service.live_on()
    service.must_agree()
    assert {row.status for row in service.rows()} == {"delivered"}


def test_a_carrier_that_reports_nothing_leaves_texts_unconfirmed_and_nothing_open(service):
    service.queue(2)
    service.send()
    for text in service.fake.texts.all():
        service.fake.texts.move(text, "sent")
    for _ in range(12):
        service.clock.move(minutes=10)
        service.send()
        reconcile.look(service.sessions, service.channel, clock=service.clock)
    assert {row.status for row in service.rows()} == {"unconfirmed"}
    service.must_agree()


def test_forged_callbacks_move_nothing(service):
    service.queue(1)
    service.send()
    (text,) = service.fake.texts.all()
    with pytest.raises(AssertionError):  # our door, `hear`, refuses what is not signed by our account
        service.fake.call_back(text.sid, "delivered", token="another")
    service.fake.webhooks.about_a_stranger("failed", sid="SM" + "9" * 32, attempt="nobody")
    service.fake.webhooks.about_a_stranger("failed", sid="SM" + "9" * 32, attempt=service.rows()[0].attempt_id)
    assert service.rows()[0].status == "accepted"


@pytest.mark.parametrize("hours", [1, -1], ids=["forward", "back"])
def test_a_clock_that_is_set_by_an_hour_in_the_middle_doubles_nothing(service, hours):
    service.queue(6, hours=3.0)
    service.fake.next(*[behaviour.accept()] * 2, behaviour.close(stored=True))
    service.send()
    service.clock.move(hours=hours)
    service.live_on()
    service.clock.move(hours=3)
    service.live_on()
    service.must_agree()


@pytest.mark.parametrize("hours", [1, -1], ids=["forward", "back"])
def test_a_clock_that_is_set_by_an_hour_while_a_lane_is_calling_doubles_nothing(service, monkeypatch, hours):
    service.queue(8, pace=4.0, hours=3.0)
    send, calls = service.channel.send, count(1)

    def send_and_set_the_clock(outgoing):
        accepted = send(outgoing)
        if next(calls) == 3:
            service.clock.move(hours=hours)
        return accepted

    monkeypatch.setattr(service.channel, "send", send_and_set_the_clock)
    service.send(stay_seconds=5.0)
    assert next(calls) > 3, "the clock was set while texts were still to be called"
    service.live_on()
    service.clock.move(hours=3)
    service.live_on()
    service.must_agree()


def test_a_lane_that_rests_until_after_their_moment_leaves_nothing_waiting(service):
    service.queue(3)
    service.fake.next(*[behaviour.refuse(20003, status=401)] * 50)
    service.live_on()
    assert {row.status for row in service.rows()} == {"expired"}
    service.must_agree()


def test_a_provider_that_cannot_even_be_asked_leaves_nothing_unknown_for_ever(service):
    service.queue(2)
    service.fake.next(*[behaviour.server_error(stored=False)] * 400)
    service.live_on()
    assert {row.status for row in service.rows()} <= {"failed", "expired"}
    service.must_agree(may_be_lost=2)


def test_texts_that_cannot_be_looked_up_do_not_hold_up_the_others(service):
    """A look that fails is not asked again in the same beat, and goes to the end of the row."""
    service.queue(3)
    service.fake.next(*[behaviour.close(stored=True)] * 3)
    for _ in range(3):
        service.send()
        service.clock.move(minutes=1)
    service.clock.move(minutes=2)
    service.fake.next(behaviour.refuse(20001))
    reconcile.look(service.sessions, service.channel, clock=service.clock)
    service.clock.move(seconds=10)
    reconcile.look(service.sessions, service.channel, clock=service.clock)
    statuses = [row.status for row in service.rows()]
    assert statuses.count("unknown") <= 1
