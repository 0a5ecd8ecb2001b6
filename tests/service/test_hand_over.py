"""Queued is not frozen: words and permission are made at the hand-over, for the family as it is then.

What hung on a date or a setting that has changed since is planned anew, and a text goes until its last useful minute.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from nudges.channels.base import Action, Receipt
from nudges.families import care, enrolling, snapshots
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Lane, Program
from nudges.models.safety import Task
from nudges.models.sequences import StepOutcome
from nudges.outbound import planner, receipts, send_check, sender
from nudges.outbox import queue
from schedules import render
from tests.support.factories import LIBRARY, a_parent, a_text

SESSION = datetime(2025, 3, 13, 21, 0, tzinfo=UTC)  # Thursday 4 pm in Chicago
TWO_WEEKS_ON = SESSION + timedelta(days=14)


class Life:
    """A parent before their first session, and the service around them."""

    def __init__(self, sessions, channel, clock, parent_id):
        self.sessions, self.channel, self.clock, self.parent_id = sessions, channel, clock, parent_id

    def plan(self):
        return planner.plan_due(self.sessions, now=self.clock.now(), library=LIBRARY)

    def drain(self):
        with self.sessions() as session:
            lane_id = session.scalars(select(Lane.id)).one()
        return sender.drain(
            self.sessions,
            self.channel,
            lane_id,
            clock=self.clock,
            owner="tests",
            sleep=self.clock.sleep,
            library=LIBRARY,
        )

    def look(self):
        """Go on to the next moment at which anything is due. False when there is none."""
        with self.sessions() as session:
            at = session.scalar(select(Parent.next_at).where(Parent.id == self.parent_id))
        if at is None:
            return False
        self.clock.at = max(self.clock.at, at + timedelta(milliseconds=3))
        self.plan()
        return True

    def until_queued(self, step):
        """Live on until a step is queued. Its row."""
        for _ in range(60):
            if found := self.rows(step, "queued"):
                return found[0]
            self.drain()
            assert self.look(), f"{step} was never queued"
        raise AssertionError(f"{step} was not queued in sixty looks")

    def until(self, at):
        """Live on until an instant."""
        for _ in range(200):
            with self.sessions() as session:
                due = session.scalar(select(Parent.next_at).where(Parent.id == self.parent_id))
                waits = session.scalar(select(func.min(Outbox.not_before)).where(Outbox.status == "queued"))
            following = min((one for one in (due, waits) if one is not None), default=at)
            if following >= at:
                self.clock.at = at
                return
            self.clock.at = max(self.clock.at + timedelta(seconds=1), following)
            self.plan()
            self.drain()
        raise AssertionError("two hundred looks led nowhere")

    def rows(self, step, *statuses):
        with self.sessions() as session:
            found = session.scalars(select(Outbox).where(Outbox.step_id == step).order_by(Outbox.id)).all()
        return [row for row in found if not statuses or row.status in statuses]

    def change(self, act, *args, **values):
        with self.sessions.begin() as session:
            act(session, session.get(Parent, self.parent_id), *args, now=self.clock.now(), **values)

    def said(self):
        return [text.body for text in self.channel.sent]


@pytest.fixture
def enrolled(sessions, people, channel, clock, now):
    with sessions.begin() as session:
        parent = a_parent(session, people.family, now=now, sequences=("DRIVE",))
        care.set_key_date(session, parent, "session", 1, SESSION, now=now)
        return Life(sessions, channel, clock, parent.id)


@pytest.fixture
def life(enrolled):
    """The same after the welcome: the questions of the sign-up exchange, which nothing goes before, are left out."""
    enrolled.plan()
    enrolled.drain()
    enrolled.change(
        lambda session, parent, *, now: enrolling.stop_sequence(session, parent, "ONBOARD", now=now, reason="a test")
    )
    return enrolled


def planned_anew(life, step):
    """The text was taken back, with its reason, and the step's outcome says the same."""
    (row, *_) = life.rows(step)
    assert (row.status, row.status_reason) == ("cancelled", send_check.PLANNED_ANEW)
    with life.sessions() as session:
        outcome = session.scalars(
            select(StepOutcome).where(StepOutcome.step_id == step, StepOutcome.cycle == row.cycle)
        ).one()
        assert (outcome.outcome, outcome.code) == ("dropped", "planned_anew")
    return True


def test_a_queued_nudge_has_no_words_and_gets_them_with_its_claim(life):
    row = life.until_queued("DR-2")
    assert (row.body, row.segments) == (None, None)
    life.drain()
    (row,) = life.rows("DR-2")
    assert row.body == life.said()[-1]
    assert row.body.startswith("The plan is Thursday at 4 pm")
    assert row.segments == 2


def test_a_reminder_of_a_session_that_was_moved_is_planned_anew(life):
    life.until_queued("DR-2")
    life.change(care.move_key_date, "session", 1, TWO_WEEKS_ON)
    life.drain()
    assert planned_anew(life, "DR-2")
    assert not [text for text in life.said() if "The plan is" in text]
    again = life.until_queued("DR-2")
    assert again.created_at > TWO_WEEKS_ON - timedelta(days=3), "for the new day, not at once"
    life.drain()
    assert life.said()[-1].startswith("The plan is Thursday at 4 pm")


def test_a_reminder_of_a_session_that_was_cancelled_does_not_go(life):
    life.until_queued("DR-2")
    life.change(care.mark_key_date, "session", 1, "cancelled")
    life.drain()
    assert planned_anew(life, "DR-2")
    life.until(SESSION + timedelta(days=1))
    assert not [text for text in life.said() if "The plan is" in text]


def test_a_phone_that_was_made_quiet_gets_no_plain_words(life):
    life.until_queued("DR-1")
    life.change(care.change_profile, {"discreet": True})
    life.drain()
    assert planned_anew(life, "DR-1")
    life.until(life.clock.now() + timedelta(days=1))
    with life.sessions() as session:
        profile = snapshots.profile_of(session.get(Parent, life.parent_id))
    texts = render.choose(LIBRARY.sequences["DRIVE"].step("DR-1"), profile)
    assert texts.discreet_en in life.said()
    assert texts.en not in life.said()


def test_a_language_that_was_changed_is_the_language_of_what_waited(life):
    life.until_queued("DR-2")
    life.change(care.set_language, "es")
    life.drain()
    life.until(SESSION - timedelta(hours=30))
    (text,) = [text for text in life.said() if text.startswith(("The plan is", "El plan es"))]
    assert text.startswith("El plan es el jueves, 4 pm")


def test_a_dinner_that_was_moved_over_it_keeps_a_text_until_after_it(life):
    life.until_queued("DR-2")
    local = life.clock.now() - timedelta(hours=5)
    busy = {"mon-sun": [f"{local:%H}:00-{(local + timedelta(hours=2)):%H}:00"]}
    life.change(care.change_profile, {"busy_hours": busy})
    at = life.clock.now()
    life.drain()
    assert planned_anew(life, "DR-2")
    life.until(at + timedelta(minutes=30))
    assert not [text for text in life.said() if "The plan is" in text]
    life.until(SESSION - timedelta(hours=24))
    assert [text for text in life.said() if "The plan is" in text]


def test_what_the_carrier_gave_back_goes_through_the_same_door_again(life):
    """A reminder waits for its second try, and the session is moved: the old day is told once, not twice."""
    life.until_queued("DR-2")
    life.drain()
    (row,) = life.rows("DR-2")
    with life.sessions.begin() as session:
        for status, code, action in (("sent", None, None), ("undelivered", "30003", Action.RETRY_LATER)):
            receipt = Receipt(
                provider_id=row.provider_id, status=status, error_code=code, action=action, attempt_id=None, raw={}
            )
            receipts.apply(session, receipt, now=life.clock.now())
    (row,) = life.rows("DR-2")
    assert (row.status, row.body) == ("queued", None), "it waits for another try without the words of the first"
    life.change(care.move_key_date, "session", 1, TWO_WEEKS_ON)
    life.until(SESSION - timedelta(hours=18))
    assert len([text for text in life.said() if "The plan is" in text]) == 1
    assert planned_anew(life, "DR-2")
    assert life.until_queued("DR-2").cycle > row.cycle


def test_what_has_not_changed_goes_whatever_else_was_written(life):
    row = life.until_queued("DR-2")
    with life.sessions.begin() as session:
        session.execute(update(Parent).values(revision=Parent.revision + 1))
        session.execute(update(Program).values(name="Hillside"))
    life.drain()
    assert [one.status for one in life.rows("DR-2")] == ["accepted"]
    assert row.id


def test_a_nudge_goes_to_the_number_that_the_parent_has_now(life):
    life.until_queued("DR-2")
    with life.sessions.begin() as session:
        session.get(Parent, life.parent_id).phone = "+13125550177"
    life.drain()
    assert life.channel.sent[-1].to == "+13125550177"
    assert life.rows("DR-2")[0].to == "+13125550177"


def test_a_text_without_a_value_fails_with_a_task_and_never_as_half_a_sentence(enrolled):
    enrolled.plan()
    with enrolled.sessions.begin() as session:
        session.execute(update(Program).values(name=""))
    assert enrolled.drain().ended == 1
    (row,) = enrolled.rows("ON-1", "failed")
    assert "{org}" in row.status_reason
    assert enrolled.said() == []
    with enrolled.sessions() as session:
        outcome = session.scalars(select(StepOutcome).where(StepOutcome.step_id == "ON-1")).first()
        assert (outcome.outcome, outcome.code) == ("failed", "not_sent")
        assert "{org}" in session.scalars(select(Task.words).where(Task.kind == "step")).one()
        assert session.get(Parent, enrolled.parent_id).next_at is not None


# ---------------------------------------------------------------- until the last useful minute


@pytest.mark.parametrize("left", [59.5, 30.0, 1.0])
def test_a_text_goes_in_its_last_minute_for_as_long_as_is_left(life, left):
    row = life.until_queued("DR-2")
    life.clock.at = life.clock.at.replace(second=0, microsecond=0)
    with life.sessions.begin() as session:
        end = life.clock.at + timedelta(seconds=60)
        gate = {**row.gate, "expires_at": end.isoformat()}
        session.execute(update(Outbox).where(Outbox.id == row.id).values(expires_at=end, gate=gate))
    life.clock.at = end - timedelta(seconds=left)
    assert life.drain().handed_over == 1
    assert life.channel.sent[-1].validity_seconds == pytest.approx(left, abs=0.5)


def test_at_its_end_it_is_over(life):
    row = life.until_queued("DR-2")
    with life.sessions.begin() as session:
        session.execute(update(Outbox).where(Outbox.id == row.id).values(expires_at=life.clock.at))
    assert life.drain().handed_over == 0
    assert life.rows("DR-2")[0].status == "expired"


@pytest.mark.parametrize(("left", "status"), [(29, "accepted"), (31, "queued")])
def test_the_gap_between_two_texts_to_one_phone_lets_no_text_miss_its_moment(enrolled, left, status):
    now = enrolled.clock.now()
    with enrolled.sessions.begin() as session:
        session.execute(update(Lane).values(segments_per_second=225.0))
        parent = session.get(Parent, enrolled.parent_id)
        parent.next_at = None
        first = a_text(session, parent, now=now, category="person", body="First.")
        first.expires_at = now + timedelta(hours=1)
    enrolled.drain()
    with enrolled.sessions.begin() as session:
        parent = session.get(Parent, enrolled.parent_id)
        second = a_text(session, parent, now=now, category="person", body="Second.")
        second.expires_at = now + timedelta(seconds=left)
        second_id = second.id
    enrolled.drain()
    with enrolled.sessions() as session:
        assert session.get(Outbox, second_id).status == status


def test_a_text_without_words_must_say_what_it_was_planned_on(life):
    with life.sessions.begin() as session, pytest.raises(ValueError, match="planned on"):
        text = queue.NewText(category="nudge", to="+13125550101", expires_at=SESSION)
        queue.enqueue(session, text, program_id=session.scalars(select(Program.id)).one(), now=life.clock.now())


def test_the_line_that_says_how_to_stop_is_added_when_it_is_due_and_remembered(life):
    life.until_queued("DR-2")
    long_ago = (life.clock.now() - timedelta(days=40)).replace(second=0, microsecond=0)
    with life.sessions.begin() as session:
        parent = session.get(Parent, life.parent_id)
        parent.state = {**parent.state, "notice_at": long_ago.isoformat()}
    life.drain()
    with life.sessions() as session:
        said_at = datetime.fromisoformat(session.get(Parent, life.parent_id).state["notice_at"])
    line = LIBRARY.system["stop_notice"].en.strip()
    assert line in life.said()[-1]
    assert said_at > long_ago
