"""The status table: what the docs draw is what the code allows, and ends are ends."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from nudges.channels import twilio_webhooks
from nudges.models.messages import STATUSES, Outbox
from nudges.outbox import queue
from nudges.outbox.status import ALLOWED, TERMINAL, may_move, of_provider
from nudges.outbox.withdraw import withdraw_queued
from tests.conftest import ROOT
from tests.support.factories import a_claim, a_parent, a_text


def test_the_diagram_in_the_docs_is_the_table():
    page = (ROOT / "docs" / "outbox.md").read_text(encoding="utf-8")
    arrows = re.findall(r"^ {4}(\S+) --> (\S+)$", page, re.MULTILINE)
    moves = {(a, b) for a, b in arrows if "[*]" not in (a, b)}
    assert moves == {(a, b) for a, following in ALLOWED.items() for b in following}
    assert {a for a, b in arrows if b == "[*]"} == TERMINAL


def test_the_database_knows_the_same_statuses():
    assert set(STATUSES) == set(ALLOWED)


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_an_end_is_never_left(status):
    assert not any(may_move(status, other) for other in ALLOWED)


def test_every_status_can_reach_an_end():
    reached = set(TERMINAL)
    while more := {a for a, following in ALLOWED.items() if following & reached} - reached:
        reached |= more
    assert reached == set(ALLOWED)


@pytest.mark.parametrize("word", sorted(twilio_webhooks._OUR_STATUSES))
def test_every_word_of_the_provider_has_a_place(word):
    assert of_provider(word) in ALLOWED


def test_a_word_that_says_nothing_moves_nothing():
    assert of_provider(twilio_webhooks.UNKNOWN_STATUS) is None


@pytest.fixture
def row(session, people, now):
    return a_text(session, a_parent(session, people.family, now=now), now=now)


def test_a_move_that_the_table_does_not_have_is_a_bug(session, row, now):
    with pytest.raises(ValueError, match="from queued to delivered"):
        queue.move(session, row.id, from_status="queued", to_status="delivered", reason="", now=now)


def test_a_row_that_has_moved_on_is_not_moved_again(session, row, now):
    assert a_claim(session, row, claimed_by="a:1", now=now)
    cancelled = {"from_status": "queued", "to_status": "cancelled", "reason": "", "now": now}
    assert not queue.move(session, row.id, **cancelled)
    assert not queue.reword(session, row.id, "Something else.")


def test_the_database_refuses_a_second_text_for_one_step(session, people, now):
    parent = a_parent(session, people.family, now=now)
    enrollment_id = session.scalar(text("SELECT id FROM enrollments"))
    a_text(session, parent, now=now, enrollment_id=enrollment_id, step_id="ON-1", cycle=1)
    with pytest.raises(IntegrityError):
        a_text(session, parent, now=now, enrollment_id=enrollment_id, step_id="ON-1", cycle=1)


def test_an_empty_text_is_refused(session, people, now):
    with pytest.raises(ValueError, match="empty"):
        a_text(session, a_parent(session, people.family, now=now), now=now, body="")


def test_withdrawing_takes_back_what_is_queued_and_nothing_else(session, people, row, now):
    parent_id = row.parent_id
    sending = a_text(session, a_parent(session, people.family, now=now), now=now)
    assert a_claim(session, sending, claimed_by="a:1", now=now)
    assert withdraw_queued(session, parent_id, reason="asked to stop", now=now + timedelta(seconds=1)) == 1
    assert withdraw_queued(session, sending.parent_id, reason="asked to stop", now=now) == 0
    assert set(session.scalars(select(Outbox.status))) == {"cancelled", "sending"}
