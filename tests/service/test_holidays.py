"""A program's holidays and a family's quiet week: nothing that we start goes out on those days, on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from nudges.families import care, program_holidays, snapshots
from nudges.families.enrolling import EnrollError
from nudges.families.program_holidays import HolidayError
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Lane, Program
from nudges.models.safety import LedgerEntry
from nudges.outbound import planner, sender
from schedules import calendar
from tests.support import factories

TODAY = "2025-03-03"


def queued(sessions, at) -> int:
    planner.plan_due(sessions, now=at, library=factories.LIBRARY)
    with sessions() as session:
        return len(session.scalars(select(Outbox.id)).all())


def enrolled(sessions, people, now, **stored: str) -> None:
    """An enrolled parent whose next text waits for a look, with these days kept free."""
    with sessions.begin() as session:
        program = session.get_one(Program, people.program.id)
        factories.a_parent(session, session.merge(people.family), now=now)
        if stored:
            program_holidays.add(session, program, stored, staff_id=people.dee.id, now=now)


def test_on_a_holiday_nobody_gets_a_text_that_we_start_and_the_day_after_they_do(sessions, people, now):
    enrolled(sessions, people, now, **{TODAY: "Town day"})
    assert queued(sessions, now) == 0
    with sessions() as session:
        next_at = session.scalars(select(Parent.next_at)).one()
    assert next_at >= datetime(2025, 3, 4, 6, 0, tzinfo=UTC), "the day after, in Chicago"
    assert queued(sessions, next_at) == 1


def test_without_a_holiday_they_do(sessions, people, now):
    enrolled(sessions, people, now)
    assert queued(sessions, now) == 1


@pytest.mark.parametrize("is_holiday", [True, False])
def test_a_text_that_was_queued_before_does_not_go_out_on_the_holiday(
    sessions, people, now, channel, clock, is_holiday
):
    """The hand-over asks again, with the days that count by then."""
    enrolled(sessions, people, now)
    assert queued(sessions, now) == 1
    if is_holiday:
        with sessions.begin() as session:
            program = session.get_one(Program, people.program.id)
            program_holidays.add(session, program, {TODAY: "Town day"}, staff_id=people.dee.id, now=now)
    with sessions() as session:
        lane_id = session.scalars(select(Lane.id)).one()
    sender.drain(sessions, channel, lane_id, clock=clock, owner="tests", sleep=clock.sleep, library=factories.LIBRARY)
    assert len(channel.sent) == (0 if is_holiday else 1)


def test_the_familys_own_days_stay_and_the_stored_profile_is_not_touched(sessions, people, now):
    with sessions.begin() as session:
        profile = {"quiet_days": ["2025-04-18"], "no_school": ["2025-03-17"]}
        parent = factories.a_parent(session, session.merge(people.family), now=now, profile=profile)
        program = session.get_one(Program, people.program.id)
        program_holidays.add(session, program, {"2025-12-24..2026-01-02": "Winter"}, staff_id=people.dee.id, now=now)
        stored = dict(parent.profile)
    with sessions() as session:
        row = session.scalars(select(Parent)).one()
        seen = snapshots.thread_of(session, row).profile
        assert row.profile == stored
    assert calendar.is_quiet(seen, date(2025, 4, 18)) and calendar.is_quiet(seen, date(2025, 12, 31))
    assert not calendar.is_term(seen, date(2025, 3, 17)) and not calendar.is_term(seen, date(2026, 1, 2))


def test_a_holiday_that_is_taken_out_counts_no_more_and_both_stand_in_the_ledger(sessions, people, now):
    enrolled(sessions, people, now, **{TODAY: "Town day"})
    with sessions.begin() as session:
        program_holidays.remove(
            session, session.get_one(Program, people.program.id), TODAY, staff_id=people.dee.id, now=now
        )
    assert queued(sessions, now) == 1
    with sessions() as session:
        actions = session.scalars(select(LedgerEntry.action).order_by(LedgerEntry.id)).all()
        assert [action for action in actions if action.startswith("holidays.")] == [
            "holidays.added",
            "holidays.removed",
        ]
        assert record.verify(session) == []


@pytest.mark.parametrize(
    ("days", "name", "says"),
    [
        ("someday", "x", "write 2025-03-17"),
        ("2025-12-24..2025-12-20", "x", "ends before"),
        ("2025-01-01..2035-01-01", "x", "At most 31 days"),
        ("2025-12-24", " ", "a name"),
    ],
)
def test_a_day_that_cannot_count_is_refused_in_words(sessions, people, now, days, name, says):
    with sessions.begin() as session:
        program = session.get_one(Program, people.program.id)
        with pytest.raises(HolidayError, match=says):
            program_holidays.add(session, program, {TODAY: "Fine", days: name}, staff_id=people.dee.id, now=now)
        assert session.get_one(Program, program.id).holidays == {}


def test_the_calendar_proposes_for_country_and_state():
    national = dict(program_holidays.proposed("US", "", date(2025, 3, 3), date(2026, 3, 3)))
    assert national[date(2025, 11, 27)].startswith("Thanksgiving") and date(2025, 3, 4) not in national
    illinois = dict(program_holidays.proposed("US", "IL", date(2025, 3, 3), date(2026, 3, 3)))
    assert "Pulaski" in illinois[date(2025, 3, 3)] and date(2025, 3, 3) not in national
    assert "IL" in program_holidays.regions("US") and program_holidays.regions("XX") == ()
    assert program_holidays.proposed("XX", "", date(2025, 3, 3), date(2026, 3, 3)) == []


# ---------------------------------------------------------------- not this week


@pytest.fixture
def parent(sessions, people, now):
    with sessions.begin() as session:
        return factories.a_parent(session, session.merge(people.family), now=now, profile={"quiet_days": ["sat"]}).id


def act(sessions, parent_id, function, *words, now):
    with sessions.begin() as session:
        return function(session, session.get_one(Parent, parent_id), *words, now=now, staff_id=None)


def test_not_this_week_is_quiet_from_today_to_sunday_and_can_be_taken_back(sessions, parent, now):
    days = act(sessions, parent, care.not_this_week, now=now)
    assert days == "2025-03-03..2025-03-09"
    assert queued(sessions, now) == 0
    assert act(sessions, parent, care.not_this_week, now=now + timedelta(days=2)) == days, "once is enough"
    with sessions() as session:
        row = session.get_one(Parent, parent)
        assert row.profile["quiet_days"] == ["sat", days]
        seen = snapshots.thread_of(session, row).profile
    assert calendar.is_quiet(seen, date(2025, 3, 9)) and not calendar.is_quiet(seen, date(2025, 3, 10))
    act(sessions, parent, care.undo_not_this_week, days, now=now + timedelta(days=2))
    with sessions() as session:
        assert session.get_one(Parent, parent).profile["quiet_days"] == ["sat"]
        actions = session.scalars(select(LedgerEntry.action).order_by(LedgerEntry.id)).all()
        assert [action for action in actions if action.startswith("week.")] == ["week.quiet", "week.open_again"]
    assert queued(sessions, now + timedelta(days=2)) == 1


def test_the_week_is_the_parents_own(sessions, people, parent):
    late_on_sunday = datetime(2025, 3, 10, 3, 0, tzinfo=UTC)  # 22:00 on Sunday in Chicago
    assert act(sessions, parent, care.not_this_week, now=late_on_sunday) == "2025-03-09..2025-03-09"


def test_other_quiet_days_cannot_be_taken_back_as_a_week(sessions, parent, now):
    with pytest.raises(EnrollError, match="not marked as quiet"):
        act(sessions, parent, care.undo_not_this_week, "sat", now=now)
