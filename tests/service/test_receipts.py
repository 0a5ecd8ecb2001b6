"""Status callbacks: late, twice, reversed, early, unknown or forged, they never do harm."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest
from sqlalchemy import func, select

from nudges.channels.base import Action, Receipt
from nudges.models.family import Consent, Parent
from nudges.models.messages import Outbox, OutboxEvent, ProviderEvent
from nudges.models.sequences import StepOutcome
from nudges.outbound import planner, receipts, sender
from tests.support.factories import LIBRARY, a_claim, a_parent, a_text


def receipt(row, status, *, code=None, action=None, provider_id=None, attempt=True):
    return Receipt(
        attempt_id=row.attempt_id if attempt else None,
        provider_id=provider_id or row.provider_id or "SM1",
        status=status,
        error_code=code,
        action=action,
    )


@pytest.fixture
def row(sessions, people, clock, channel):
    """A nudge that the provider has taken."""
    with sessions.begin() as session:
        a_parent(session, people.family, now=clock.now())
    planner.plan_due(sessions, now=clock.now(), library=LIBRARY)
    with sessions() as session:
        lane_id = session.scalars(select(Outbox.lane_id)).one()
    sender.drain(sessions, channel, lane_id, clock=clock, owner="tests", library=LIBRARY)
    with sessions() as session:
        return session.scalars(select(Outbox)).one()


def status_of(sessions, row):
    with sessions() as session:
        return session.get(Outbox, row.id).status


@pytest.mark.parametrize("order", list(permutations(["sent", "delivered", "delivered", "sent"])), ids="-".join)
def test_whatever_their_order_delivered_is_the_end(sessions, row, order, now):
    with sessions.begin() as session:
        for status in order:
            receipts.apply(session, receipt(row, status), now=now)
    assert status_of(sessions, row) == "delivered"


def test_the_same_callback_twice_moves_once(sessions, row, now):
    with sessions.begin() as session:
        assert receipts.apply(session, receipt(row, "sent"), now=now)
        assert not receipts.apply(session, receipt(row, "sent"), now=now)
        assert session.scalar(select(func.count()).select_from(ProviderEvent)) == 1
        moves = session.scalars(select(OutboxEvent.to_status).order_by(OutboxEvent.id)).all()
    assert moves == ["sending", "accepted", "sent"]


def test_the_attempt_finds_a_text_whose_sender_died_before_it_learned_the_id(sessions, people, now):
    with sessions.begin() as session:
        text = a_text(session, a_parent(session, people.family, now=now), now=now)
        a_claim(session, text, claimed_by="dead:1", now=now)
    with sessions.begin() as session:
        text = session.get(Outbox, text.id)
        assert receipts.apply(session, receipt(text, "delivered", provider_id="SM9"), now=now)
    with sessions() as session:
        text = session.get(Outbox, text.id)
        assert (text.status, text.provider_id) == ("delivered", "SM9")


def test_a_callback_without_attempt_that_comes_before_the_answer_is_taken_in_with_it(sessions, people, now):
    with sessions.begin() as session:
        text = a_text(session, a_parent(session, people.family, now=now), now=now)
        a_claim(session, text, claimed_by="a:1", now=now)
    with sessions.begin() as session:
        assert not receipts.apply(session, receipt(text, "delivered", provider_id="SM9", attempt=False), now=now)
        receipts.adopt(session, text.id, "SM9", "accepted", reason="accepted", now=now)
    assert status_of(sessions, text) == "delivered"


def test_one_about_a_text_that_we_do_not_know_is_kept(sessions, row, now):
    stranger = Receipt(attempt_id="forged", provider_id="SM404", status="delivered", error_code=None, action=None)
    with sessions.begin() as session:
        assert not receipts.apply(session, stranger, now=now)
        assert session.scalars(select(ProviderEvent.outbox_id)).one() is None
    assert status_of(sessions, row) == "accepted"


def test_one_whose_ids_contradict_each_other_moves_nothing(sessions, row, now):
    with sessions.begin() as session:
        assert not receipts.apply(session, receipt(row, "delivered", provider_id="SMother"), now=now)
    assert status_of(sessions, row) == "accepted"


def test_a_carrier_that_reports_an_opt_out_later_opts_out(sessions, row, now):
    with sessions.begin() as session:
        receipts.apply(session, receipt(row, "failed", code="21610", action=Action.SUPPRESS), now=now)
    with sessions() as session:
        assert session.get(Parent, row.parent_id).status == "opted_out"
        assert session.scalars(select(Consent.event).order_by(Consent.id)).all() == ["granted", "revoked"]


def test_a_nudge_that_came_back_too_late_to_try_again_is_a_failed_step_with_the_reason(sessions, row):
    late = row.expires_at - timedelta(hours=1)
    with sessions.begin() as session:
        receipts.apply(session, receipt(row, "undelivered", code="30003", action=Action.RETRY_LATER), now=late)
    with sessions() as session:
        outcome = session.scalars(select(StepOutcome)).one()
        assert outcome.outcome == "failed"
        assert "30003" in outcome.reason


def test_a_text_that_the_provider_held_too_long_has_expired(sessions, row, now):
    with sessions.begin() as session:
        receipts.apply(session, receipt(row, "failed", code="30036", action=Action.EXPIRED), now=row.expires_at)
    assert status_of(sessions, row) == "expired"


def test_a_dead_number_reported_later_stops_contact(sessions, row, now):
    with sessions.begin() as session:
        receipts.apply(session, receipt(row, "undelivered", code="30005", action=Action.NUMBER_INVALID), now=now)
    with sessions() as session:
        assert session.get(Parent, row.parent_id).phone_problem == "invalid"


@pytest.mark.parametrize(
    ("category", "ends"), [("crisis_reply", "undelivered"), ("staff_page", "undelivered"), ("person", "queued")]
)
def test_what_cannot_wait_is_not_tried_again_when_the_carrier_returns_it(
    sessions, people, channel, clock, category, ends
):
    """A person finds another way at once; ordinary words can go again later."""
    with sessions.begin() as session:
        sent = a_text(session, a_parent(session, people.family, now=clock.now()), now=clock.now(), category=category)
        lane_id = sent.lane_id
    sender.drain(sessions, channel, lane_id, clock=clock, owner="tests", library=LIBRARY)
    with sessions.begin() as session:
        row = session.get_one(Outbox, sent.id)
        back = receipt(row, "undelivered", code="30003", action=Action.RETRY_LATER)
        receipts.apply(session, back, now=clock.now())
    assert status_of(sessions, row) == ends
