"""Every code of the table, end to end: the provider says it at the call, or later by a signed callback.

What must follow is written out here by the words of the table, not by our own actions, so that a wrong row shows.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from nudges.alerts import paging
from nudges.channels import twilio_errors
from nudges.channels.base import Action
from nudges.channels.twilio import TwilioChannel
from nudges.models.family import Consent, Parent
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.models.safety import Alert, Task
from nudges.outbound import receipts, reconcile, sender
from tests.support import factories
from tests.support.contract import ContractHttpClient
from tests.support.factories import LIBRARY, SENDER, a_parent, a_text
from tests.support.fake_twilio import behaviour
from tests.support.fake_twilio.server import FakeTwilio

TABLE = json.loads(Path(twilio_errors.__file__).with_name("error_actions.json").read_text(encoding="utf-8"))["codes"]
DAYS_END = "US Pacific"

# By the table's word: the text's status, whether the lane rests, whether an operator is told, whether staff are.
WORDS = {
    "suppress_recipient": ("ended", False, False, False),
    "suppress_and_review": ("ended", False, False, True),
    "mark_number_invalid": ("ended", False, False, True),
    "mark_number_landline": ("ended", False, False, True),
    "retry_backoff": ("queued", True, False, False),
    "slow_down_and_retry": ("queued", True, True, False),
    "retry_later": ("queued", True, True, False),
    "retry_later_limited": ("queued", False, False, False),
    "pause_sender": ("queued", True, True, False),
    "pause_all_and_alert": ("queued", True, True, False),
    "stop_all_and_alert": ("queued", True, True, False),
    "stop_sender_and_alert": ("queued", True, True, False),
    "alert_no_retry": ("ended", False, True, False),
    "alert_operator": ("ended", False, True, False),
    "break_loop_and_alert": ("ended", False, True, True),
    "bug_no_retry": ("ended", False, True, False),
    "resend_if_still_relevant": ("queued", False, False, False),
    "reconcile_then_retry": ("unknown", False, False, False),
}
PAUSES_TOO = {"21606"}  # alert_no_retry, and its detail says: pause the sender
SYNC = sorted(code for code, row in TABLE.items() if "create_response" in row["seen_in"])
LATER = sorted(code for code, row in TABLE.items() if "status_callback" in row["seen_in"])
UNKNOWN_CODE = "39999"


@pytest.fixture(params=["sqlite"])
def engine(request, tmp_path):
    """One database is enough here: what the two differ in is tested where texts are claimed and settled."""
    import shutil

    from nudges.db import make_engine

    path = tmp_path / "codes.sqlite3"
    shutil.copy(request.getfixturevalue("sqlite_template"), path)
    engine = make_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@pytest.fixture
def fake(clock):
    with FakeTwilio(clock=clock, app_url="http://127.0.0.1", public_url="https://texts.example.org") as running:
        yield running


class World:
    """A parent, a queued text that lives for a week, a lane, and Twilio."""

    def __init__(self, sessions, clock, fake, people):
        self.sessions, self.clock, self.fake = sessions, clock, fake
        self.channel = TwilioChannel(
            account_sid=fake.account_sid,
            auth_token=fake.auth_token,
            from_number=SENDER,
            status_callback_url="https://texts.example.org/twilio/status",
            api_base=fake.url,
            production=False,
            make_http_client=ContractHttpClient,
        )
        fake.webhooks._post = self.hear
        with sessions.begin() as session:
            family = session.merge(people.family)
            self.parent_id = a_parent(session, family, now=clock.now()).id
            parent = session.get(Parent, self.parent_id)
            self.phone = parent.phone
            text = a_text(session, parent, now=clock.now(), expires_at=clock.now() + timedelta(days=7))
            self.row_id, self.lane_id = text.id, text.lane_id

    def hear(self, url, form, headers):
        from urllib.parse import parse_qs, urlsplit

        from nudges.channels.twilio_webhooks import is_signed, receipt_from

        public = url.replace("http://127.0.0.1", "https://texts.example.org")
        assert is_signed(public, form, headers["X-Twilio-Signature"], [self.fake.auth_token])
        attempt = parse_qs(urlsplit(url).query)["attempt"][0]
        with self.sessions.begin() as session:
            receipts.apply(session, receipt_from(form, attempt), now=self.clock.now())
        return 204, ""

    def send(self):
        return sender.drain(
            self.sessions,
            self.channel,
            self.lane_id,
            clock=self.clock,
            owner="codes",
            sleep=self.clock.sleep,
            library=LIBRARY,
        )

    def give_back(self):
        """The carrier comes to the newest text."""
        self.fake.carrier.deliver(self.fake.texts.all()[-1])

    def row(self):
        with self.sessions() as session:
            return session.get(Outbox, self.row_id)

    def parent(self):
        with self.sessions() as session:
            return session.get(Parent, self.parent_id)

    def lane(self):
        with self.sessions() as session:
            return session.get(Lane, self.lane_id)

    def titles(self):
        with self.sessions() as session:
            return session.scalars(select(Alert.title).where(Alert.level == "system")).all()

    def tasks(self):
        with self.sessions() as session:
            return session.scalars(select(Task.kind).where(Task.parent_id == self.parent_id)).all()

    def consents(self):
        with self.sessions() as session:
            return session.scalars(select(Consent.event).order_by(Consent.id)).all()

    def calls(self):
        return [method for method, _ in self.fake.calls].count("POST")


@pytest.fixture
def world(sessions, clock, fake, people):
    return World(sessions, clock, fake, people)


def check_what_the_word_asks(world, code):
    status, rests, operator, staff = WORDS[TABLE[code]["action"]]
    row = world.row()
    assert {"failed": "ended", "undelivered": "ended", "expired": "ended"}.get(row.status, row.status) == status
    assert row.status_reason, "an end or a wait says why"
    assert code in row.status_reason
    assert (world.lane().paused_until is not None) is (rests or code in PAUSES_TOO)
    assert bool(world.titles()) is operator
    assert all(code in title or "filter" in title for title in world.titles()), "the operator sees the code"
    assert bool(world.tasks()) is staff
    assert world.fake.received(world.phone) == []


@pytest.mark.parametrize("code", SYNC)
def test_each_code_at_the_call_does_what_the_table_says(world, code):
    http = {"20429": 429, "20500": 500, "20503": 503, "20003": 401, "20404": 404}.get(code, 400)
    world.fake.next(behaviour.refuse(int(code), status=http))
    world.send()
    check_what_the_word_asks(world, code)


@pytest.mark.parametrize("code", LATER)
def test_each_code_that_comes_later_does_what_the_table_says(world, code):
    world.fake.next(behaviour.fail_later(int(code)))
    world.send()
    assert world.row().status == "accepted"
    world.give_back()
    check_what_the_word_asks(world, code)


RETRIED = sorted(code for code in LATER if TABLE[code]["action"] in ("retry_later_limited",))


@pytest.mark.parametrize("code", RETRIED)
def test_passing_faults_are_tried_again_hours_apart_and_only_so_often(world, code):
    """30008 has one retry, the others two; never a second one within the hour."""
    sent_at = []
    for _ in range(40):
        world.fake.next(behaviour.fail_later(int(code)))
        before = world.calls()
        world.send()
        if world.calls() > before:
            sent_at.append(world.clock.now())
            world.give_back()
        else:
            world.fake._script.clear()
        world.clock.move(minutes=20)
    gaps = [(b - a).total_seconds() / 3600 for a, b in zip(sent_at, sent_at[1:], strict=False)]
    assert len(sent_at) == (2 if code == "30008" else 3)
    assert min(gaps) >= 1
    assert world.row().status in ("failed", "undelivered")


def test_a_retried_text_that_arrives_is_delivered_once(world):
    world.fake.next(behaviour.fail_later(30003))
    world.send()
    world.give_back()
    world.clock.move(hours=2)
    world.send()
    world.give_back()
    assert world.row().status == "delivered"
    assert len(world.fake.received(world.phone)) == 1


def test_a_phone_that_gives_texts_back_on_three_days_in_a_row_is_somebodys_to_ask_about(world, sessions):
    for _ in range(3):
        with sessions.begin() as session:
            parent = session.get(Parent, world.parent_id)
            a_text(session, parent, now=world.clock.now(), expires_at=world.clock.now() + timedelta(minutes=30))
        for _ in range(2):
            world.fake.next(behaviour.fail_later(30003))
            world.send()
            if world.fake.texts.all()[-1].status == "queued":
                world.give_back()
            world.clock.move(minutes=1)
        world.fake._script.clear()
        world.clock.move(days=1)
    assert "phone_unreachable" in world.tasks()


@pytest.mark.parametrize("code", ["30023", "30027"])
def test_a_daily_cap_rests_the_lane_until_midnight_in_us_pacific(world, code):
    world.fake.next(behaviour.fail_later(int(code)))
    world.send()
    world.give_back()
    assert DAYS_END in TABLE[code]["detail"]
    assert world.lane().paused_until.isoformat() == "2025-03-04T08:00:00+00:00"
    world.clock.at = world.lane().paused_until
    assert world.send().handed_over == 1


def test_an_account_cap_rests_every_lane(world, sessions, clock):
    with sessions.begin() as session:
        factories.a_program(session, now=clock.now(), name="Hillside", sender="+13125550109", shipped={})
    world.fake.next(behaviour.too_many(code=63038, retry_after="1"))
    world.send()
    with sessions() as session:
        pauses = session.scalars(select(Lane.paused_until)).all()
    assert len(pauses) == 2
    assert all(until - clock.now() >= timedelta(hours=1) for until in pauses)


def test_one_senders_registration_stops_that_sender_only(world, sessions, clock):
    with sessions.begin() as session:
        factories.a_program(session, now=clock.now(), name="Hillside", sender="+13125550109", shipped={})
    world.fake.next(behaviour.fail_later(30034))
    world.send()
    world.give_back()
    with sessions() as session:
        pauses = session.scalars(select(Lane.paused_until)).all()
    assert sum(until is None for until in pauses) == 1


@pytest.mark.parametrize("seconds", [7, 300])
def test_too_many_calls_waits_as_long_as_the_header_says_with_the_whole_lane(world, seconds):
    world.fake.next(behaviour.too_many(retry_after=str(seconds)))
    world.send()
    assert world.lane().paused_until == world.clock.now() + timedelta(seconds=seconds)
    world.clock.move(seconds=seconds - 1)
    assert world.send().handed_over == 0
    world.clock.move(seconds=1)
    assert world.send().handed_over == 1
    assert len(world.fake.received(world.phone)) == 1


def test_too_many_calls_without_a_header_waits_longer_each_time(world):
    waits = []
    for _ in range(4):
        world.fake.next(behaviour.too_many())
        world.send()
        waits.append((world.row().not_before - world.clock.now()).total_seconds())
        world.clock.at = max(world.row().not_before, world.lane().paused_until)
    assert waits == sorted(waits)
    assert waits[-1] >= 4 * waits[0]


def test_too_fast_for_the_carrier_lowers_the_pace_once_for_a_burst(world, sessions):
    with sessions.begin() as session:
        session.get(Lane, world.lane_id).segments_per_second = 8.0
    world.fake.next(behaviour.fail_later(30022))
    world.send()
    world.give_back()
    assert world.lane().segments_per_second == 6.0


@pytest.mark.parametrize("when", ["at once", "later"])
def test_21610_records_the_opt_out_in_both_of_its_ways_and_takes_back_what_waits(world, sessions, when):
    with sessions.begin() as session:
        a_text(session, session.get(Parent, world.parent_id), now=world.clock.now(), body="A second text.")
    world.fake.next(behaviour.refuse(21610) if when == "at once" else behaviour.fail_later(21610))
    world.send()
    if when == "later":
        world.give_back()
    assert world.parent().status == "opted_out"
    assert world.consents() == ["granted", "revoked"]
    with sessions() as session:
        assert sorted(session.scalars(select(Outbox.status))) == ["cancelled", "failed"]
    world.clock.move(minutes=5)
    world.send()
    assert world.calls() == 1


def test_an_opt_out_that_is_reported_after_the_text_has_ended_still_counts(world, sessions):
    world.fake.next(behaviour.hang(stored=True))
    with sessions.begin() as session:
        row = session.get(Outbox, world.row_id)
        row.status, row.attempt_id, row.attempted_at = "failed", "a1", world.clock.now()
    receipt = receipts.Receipt(
        attempt_id="a1", provider_id="SM1", status="failed", error_code="21610", action=Action.SUPPRESS
    )
    with sessions.begin() as session:
        assert not receipts.apply(session, receipt, now=world.clock.now())
    assert world.parent().status == "opted_out"


@pytest.mark.parametrize(("code", "problem"), [("21211", "invalid"), ("21614", "landline"), ("21635", "landline")])
def test_a_number_that_cannot_be_texted_is_texted_no_more(world, sessions, code, problem):
    world.fake.next(behaviour.refuse(int(code)))
    world.send()
    assert (world.parent().phone_problem, world.tasks()) == (problem, ["phone_problem"])
    with sessions.begin() as session:
        a_text(session, session.get(Parent, world.parent_id), now=world.clock.now(), body="Another text.")
    world.clock.move(minutes=5)
    world.send()
    assert world.calls() == 1


def test_a_number_that_may_be_somebody_elses_voids_the_consent(world):
    world.fake.next(behaviour.fail_later(30005))
    world.send()
    world.give_back()
    assert (world.parent().phone_problem, world.consents()) == ("invalid", ["granted", "revoked"])


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_code_that_nobody_knows_is_held_and_shown(world, when):
    refused = behaviour.refuse if when == "at once" else behaviour.fail_later
    world.fake.next(refused(int(UNKNOWN_CODE)))
    world.send()
    if when == "later":
        world.give_back()
    assert world.row().status == "failed"
    assert UNKNOWN_CODE in world.row().status_reason
    assert [UNKNOWN_CODE in title for title in world.titles()] == [True]
    assert world.tasks() == ["step"]
    world.clock.move(hours=3)
    world.send()
    assert world.calls() == 1


def test_a_step_whose_words_are_filtered_again_is_held_back_until_somebody_has_looked(world, sessions, people):
    def one_of_the_step():
        with sessions.begin() as session:
            parent = a_parent(session, session.merge(people.family), now=world.clock.now())
            return a_text(session, parent, now=world.clock.now(), step_id="ON-9", body="Filtered words.").id

    with sessions.begin() as session:
        session.get(Outbox, world.row_id).step_id = "ON-9"
    for _ in range(2):
        world.fake.next(behaviour.fail_later(30007))
        world.send()
        world.give_back()
        held = one_of_the_step()
        world.clock.move(minutes=1)
    before = world.calls()
    world.send()
    assert world.calls() == before
    with sessions() as session:
        assert session.get(Outbox, held).status == "cancelled"
        assert "filter" in session.get(Outbox, held).status_reason
    with sessions.begin() as session:
        for alert in session.scalars(select(Alert).where(Alert.title.like("Held back%"))):
            paging.resolve_system_alert(session, alert.program_id, title=alert.title, now=world.clock.now())
    one_of_the_step()
    world.send()
    assert world.calls() == before + 1


@pytest.mark.parametrize("code", ["20500", "20503"])
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "not-stored"])
def test_a_server_error_is_looked_up_and_never_blindly_repeated(world, code, stored):
    world.fake.next(behaviour.server_error(stored=stored, code=int(code)))
    world.send()
    for _ in range(4):
        world.clock.move(seconds=95)
        reconcile.look(world.sessions, world.channel, clock=world.clock)
    assert world.row().status == ("accepted" if stored else "failed")
    assert world.calls() == 1
    assert len(world.fake.received(world.phone)) == stored
