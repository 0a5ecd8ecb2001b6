"""The rota in use: who is on duty, who takes whose turn, what happens when nobody has it."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from nudges.alerts import escalation, on_call, rota_watch, swaps
from nudges.alerts.on_call import RotaError
from nudges.families import staff
from nudges.models.on_call import RotaShift, RotaSwap
from nudges.models.program import Program, Staff
from nudges.models.safety import Alert, LedgerEntry
from tests.support import factories
from tests.support.on_call import PHONES, WHOLE_DAY, give_phone, on_the_rota, texts_to_staff

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def people(session, now):
    return factories.people(session, now=now)


def on_duty(session, people, at):
    duty = on_call.on_duty(session, people.program.id, at=at)
    names = {getattr(people, name).id: name for name in PHONES}
    return [names.get(person.id) if person else None for person in (duty.first, duty.backup, duty.supervisor)]


def stand_in_order(session, people, *names):
    for rank, name in enumerate(names, start=1):
        give_phone(session, people, name)
        getattr(people, name).on_call_rank = rank
    session.flush()


# ---------------------------------------------------------------- who is on duty


def test_a_program_without_a_rota_has_its_standing_order(session, people, now):
    stand_in_order(session, people, "ben", "ana")
    assert on_duty(session, people, now) == ["ben", "ana", None]


def test_a_role_of_the_rota_is_what_the_rota_says_and_the_others_come_from_the_standing_order(session, people, now):
    stand_in_order(session, people, "ben", "ana")
    on_the_rota(session, people, now, first="ana")
    assert on_duty(session, people, now) == ["ana", "ben", None]


def test_a_gap_of_the_rota_is_not_filled_from_the_standing_order(session, people, now):
    stand_in_order(session, people, "ben")
    give_phone(session, people, "ana")
    night = {"role": "first", "weekday": 0, "start_minute": 17 * 60, "end_minute": 8 * 60}
    on_call.add_shift(session, people.program, **night, staff_id=people.ana.id, by="staff:4", now=now)
    assert on_duty(session, people, now)[0] is None
    assert on_duty(session, people, now + 9 * HOUR)[0] == "ana"


def test_an_exception_applies_to_the_standing_order_too(session, people, now):
    stand_in_order(session, people, "ben")
    give_phone(session, people, "cal")
    on_call.add_override(
        session,
        people.program,
        role="first",
        starts_at=now,
        ends_at=now + DAY,
        staff_id=people.cal.id,
        by_id=people.dee.id,
        now=now,
    )
    assert on_duty(session, people, now) == ["cal", "ben", None]
    assert on_duty(session, people, now + 2 * DAY) == ["ben", None, None]


def test_the_turns_of_a_closed_account_are_gaps(session, people, now):
    on_the_rota(session, people, now, first="ana")
    staff.set_active(session, people.ana, False, by="staff:4", now=now)
    session.flush()
    assert on_duty(session, people, now) == [None, None, None]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"role": "boss"}, "role"),
        ({"weekday": 7}, "day of the week"),
        ({"end_minute": 1440}, "between 00:00"),
        ({"staff_id": 99}, "account is open"),
        ({"role": "safeguarding"}, "safeguarding lead"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_a_turn_that_cannot_be_is_refused_in_words(session, people, now, changes, named):
    give_phone(session, people, "ana")
    turn = {"role": "first", "weekday": 0, **WHOLE_DAY, "staff_id": people.ana.id, **changes}
    with pytest.raises(RotaError, match=named):
        on_call.add_shift(session, people.program, **turn, by="staff:4", now=now)


def test_whoever_cannot_be_paged_cannot_be_on_call(session, people, now):
    with pytest.raises(RotaError, match="no phone and no address"):
        on_call.add_shift(
            session, people.program, role="first", weekday=0, **WHOLE_DAY, staff_id=people.ana.id, by="staff:4", now=now
        )


def test_a_turn_that_starts_then_is_replaced_not_doubled(session, people, now):
    on_the_rota(session, people, now, first="ana")
    on_the_rota(session, people, now, first="ben")
    assert len(session.scalars(select(RotaShift)).all()) == 7
    assert on_duty(session, people, now)[0] == "ben"


def test_changes_of_the_rota_are_in_the_ledger(session, people, now):
    on_the_rota(session, people, now, first="ana")
    shift = session.scalars(select(RotaShift)).first()
    assert on_call.remove_shift(session, people.program, shift.id, by="staff:4", now=now)
    actions = session.scalars(select(LedgerEntry.action)).all()
    assert actions.count("rota.turn_set") == 7
    assert actions[-1] == "rota.turn_removed"


# ---------------------------------------------------------------- swaps


@pytest.fixture
def rota(session, people, now):
    on_the_rota(session, people, now, first="ana")
    give_phone(session, people, "ben", "cal")
    return swaps.rota_of(session, people.program, now=now)["first"]


def test_an_offered_turn_stays_with_its_owner_until_a_colleague_takes_it(session, people, rota, now):
    turn = rota[2]
    offer = swaps.offer(session, people.program, people.ana, role="first", starts_at=turn.starts_at, now=now)
    assert on_duty(session, people, turn.starts_at)[0] == "ana"
    swaps.take(session, people.program, offer, people.ben, now=now)
    assert on_duty(session, people, turn.starts_at)[0] == "ben"
    assert on_duty(session, people, turn.ends_at)[0] == "ana"


def test_a_turn_that_has_begun_changes_hands_from_now_on(session, people, rota, now):
    offer = swaps.offer(session, people.program, people.ana, role="first", starts_at=rota[0].starts_at, now=now)
    swaps.take(session, people.program, offer, people.ben, now=now + HOUR)
    assert [on_duty(session, people, at)[0] for at in (now, now + HOUR)] == ["ana", "ben"]


def test_nobody_gives_away_a_turn_that_is_not_theirs_or_twice(session, people, rota, now):
    with pytest.raises(RotaError, match="not yours"):
        swaps.offer(session, people.program, people.ben, role="first", starts_at=rota[1].starts_at, now=now)
    swaps.offer(session, people.program, people.ana, role="first", starts_at=rota[1].starts_at, now=now)
    with pytest.raises(RotaError, match="already"):
        swaps.offer(session, people.program, people.ana, role="first", starts_at=rota[1].starts_at, now=now)


def test_an_offer_that_was_taken_back_cannot_be_taken(session, people, rota, now):
    offer = swaps.offer(session, people.program, people.ana, role="first", starts_at=rota[1].starts_at, now=now)
    with pytest.raises(RotaError, match="whoever offered"):
        swaps.withdraw(session, offer, people.ben, now=now)
    swaps.withdraw(session, offer, people.ana, now=now)
    with pytest.raises(RotaError, match="faster, or the offer"):
        swaps.take(session, people.program, offer, people.ben, now=now)


def test_a_safeguarding_turn_goes_only_to_another_lead(session, people, now):
    on_the_rota(session, people, now, safeguarding="ana")
    give_phone(session, people, "ben")
    turn = swaps.rota_of(session, people.program, now=now)["safeguarding"][1]
    offer = swaps.offer(session, people.program, people.ana, role="safeguarding", starts_at=turn.starts_at, now=now)
    with pytest.raises(RotaError, match="safeguarding lead"):
        swaps.take(session, people.program, offer, people.ben, now=now)


def test_two_who_take_a_turn_at_once_do_not_both_get_it(sessions, now):
    with sessions.begin() as session:
        people = factories.people(session, now=now)
        on_the_rota(session, people, now, first="ana")
        give_phone(session, people, "ben", "cal")
        turn = swaps.rota_of(session, people.program, now=now)["first"][3]
        offer_id = swaps.offer(session, people.program, people.ana, role="first", starts_at=turn.starts_at, now=now).id
    start, refused = threading.Barrier(2), []

    def take(person_id):
        start.wait()
        try:
            with sessions.begin() as session:
                swaps.take(
                    session,
                    session.get_one(Program, people.program.id),
                    session.get_one(RotaSwap, offer_id),
                    session.get_one(Staff, person_id),
                    now=now,
                )
        except RotaError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=take, args=(person.id,)) for person in (people.ben, people.cal)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(refused) == 1


def test_anybody_who_can_be_paged_may_fill_a_gap_and_only_a_gap(session, people, now):
    give_phone(session, people, "ben")
    gap = swaps.rota_of(session, people.program, now=now)["first"][0]
    assert gap.staff_id is None
    swaps.fill_gap(session, people.program, people.ben, role="first", starts_at=gap.starts_at, now=now)
    assert on_duty(session, people, now + DAY)[0] == "ben"
    with pytest.raises(RotaError, match="Somebody has"):
        swaps.fill_gap(session, people.program, people.ben, role="first", starts_at=gap.starts_at, now=now)


# ---------------------------------------------------------------- nobody


def open_titles(session):
    rows = select(Alert).where(Alert.level == "system", Alert.status != "resolved").order_by(Alert.id)
    return [alert.title for alert in session.scalars(rows)]


def test_nobody_on_call_now_is_an_alert_that_pages_whoever_can_be_reached_once(session, people, now):
    give_phone(session, people, "ben", "dee")
    for minute in range(3):
        escalation.watch(session, now + timedelta(minutes=minute))
    assert rota_watch.GAP_NOW in open_titles(session)
    assert sorted(row.staff_id for row in texts_to_staff(session)) == [people.ben.id, people.dee.id]


def test_a_gap_in_the_coming_week_is_an_alert_that_ends_when_it_is_filled(session, people, now):
    on_the_rota(session, people, now, first="ana")
    escalation.watch(session, now)
    assert open_titles(session) == []
    sunday = session.scalars(select(RotaShift).where(RotaShift.weekday == 6)).one()
    on_call.remove_shift(session, people.program, sunday.id, by="staff:4", now=now)
    escalation.watch(session, now)
    assert open_titles(session) == [rota_watch.GAP_AHEAD]
    assert texts_to_staff(session) == []
    (gap,) = on_call.gaps(session, people.program, since=now, until=now + 7 * DAY)
    swaps.fill_gap(session, people.program, people.ana, role="first", starts_at=gap.starts_at, now=now)
    escalation.watch(session, now)
    assert open_titles(session) == []


def test_a_gap_beyond_a_week_is_no_alert_yet(session, people, now):
    on_the_rota(session, people, now, first="ana")
    on_call.add_override(
        session,
        people.program,
        role="first",
        starts_at=now + 9 * DAY,
        ends_at=now + 10 * DAY,
        staff_id=None,
        by_id=people.dee.id,
        now=now,
    )
    escalation.watch(session, now)
    assert open_titles(session) == []
