"""Whom an alert pages: by tier and rota, around phones that cannot be reached, in few texts however many alerts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from nudges.alerts import acknowledging, escalation, on_call, paging, raising, unconfirmed
from nudges.models.messages import Outbox
from nudges.models.on_call import AlertPage
from nudges.models.safety import Alert
from tests.support import factories
from tests.support.factories import a_parent
from tests.support.on_call import (
    PHONES,
    all_sent,
    an_alert,
    events,
    give_phone,
    on_the_rota,
    paged,
    texts_to_staff,
)

MINUTE = timedelta(minutes=1)
SUNDAY_NIGHT = timedelta(hours=-9)  # of the tests' Monday, 09:00 in Chicago


@pytest.fixture
def people(session, now):
    """Ana is first, Ben backup, Cal supervisor; Dee is the safeguarding lead."""
    people = factories.people(session, now=now)
    on_the_rota(session, people, now, first="ana", backup="ben", supervisor="cal", safeguarding="dee")
    return people


@pytest.fixture
def parent(session, people, now):
    return a_parent(session, people.family, now=now)


def stop_phone(session, people, name, now):
    on_call.duty_of(session, getattr(people, name).id).phone_stopped_at = now
    session.flush()


# ---------------------------------------------------------------- by tier


@pytest.mark.parametrize(
    ("severity", "tier", "at", "called"),
    [
        pytest.param(4, "overdose_poison", 0, ["ana", "ben", "cal"], id="an emergency calls three at once"),
        pytest.param(4, "abuse_dv", 0, ["ana", "ben", "cal", "dee"], id="an emergency of abuse calls the lead too"),
        pytest.param(3, "suicide_selfharm", 0, ["ana"], id="danger calls the first"),
        pytest.param(3, "harm_others", 5, ["ana", "ana", "ben"], id="and the backup after five minutes"),
        pytest.param(3, "abuse_dv", 0, ["dee"], id="abuse calls the safeguarding lead"),
        pytest.param(3, "abuse_dv", 5, ["dee", "ana", "dee"], id="and the first after five minutes"),
        pytest.param(3, "runaway_missing", 15, ["ana", "ana", "ben", "cal", "dee"], id="everyone after a quarter hour"),
        pytest.param(2, "unsafe_behaviour", 0, ["ana", "ben"], id="unsafe behavior calls the family's counselors"),
        pytest.param(1, None, 29, [], id="a doubt calls nobody for half an hour"),
        pytest.param(1, None, 30, ["ana"], id="and then the first"),
    ],
)
def test_each_danger_calls_its_people(session, people, parent, now, severity, tier, at, called):
    level = "check" if severity == 1 else "crisis"
    alert = an_alert(session, people, now, parent=parent, severity=severity, tier=tier, level=level).alert
    if at:
        escalation.escalate_due(session, now + at * MINUTE)
    assert paged(session, alert, people) == called


def test_outside_office_hours_whoever_is_on_call_answers_for_the_counselors(session, people, parent, now):
    alert = an_alert(session, people, now + SUNDAY_NIGHT, parent=parent, severity=2, tier="unsafe_behaviour").alert
    assert paged(session, alert, people) == ["ana"]


def test_abuse_behind_another_danger_still_calls_the_safeguarding_lead(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent, tier="suicide_selfharm", also=["abuse_dv"]).alert
    assert paged(session, alert, people) == ["ana", "dee"]
    assert alert.title == f"Crisis, {people.family.code}: suicide or self-harm, abuse"


def test_the_title_names_every_danger_of_the_episode(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent, tier="runaway_missing").alert
    an_alert(session, people, now + MINUTE, parent=parent, tier="overdose_poison")
    assert alert.title.endswith(": overdose or poison, missing")


# ---------------------------------------------------------------- who cannot be paged


def test_a_phone_that_said_stop_is_shown_and_replaced(session, people, parent, now):
    stop_phone(session, people, "ana", now)
    alert = an_alert(session, people, now, parent=parent).alert
    assert paged(session, alert, people) == ["ben"]
    assert paging.SHUT_MARK in alert.title
    (event,) = events(session, alert, "unreachable")
    assert event.staff_id == people.ana.id


def test_a_carrier_that_refuses_pages_shuts_the_phone_for_the_next_alert(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    (page,) = texts_to_staff(session)
    paging.report_undelivered(session, page, now, has_opted_out=True)
    assert paged(session, alert, people) == ["ana", "ben", "cal"]  # Cal in place of Ana
    other = an_alert(session, people, now, number="+13125550188").alert
    assert paged(session, other, people) == ["ben"]


def test_a_new_phone_is_open_again(session, people, parent, now):
    stop_phone(session, people, "ana", now)
    factories.staff.set_on_call(session, people.ana, phone="312 555 0161", rank=None, by="staff:4", now=now)
    assert paged(session, an_alert(session, people, now, parent=parent).alert, people) == ["ana"]


def test_with_nobody_on_duty_everyone_is_asked_and_nothing_is_promised(session, now):
    people = factories.people(session, now=now)
    give_phone(session, people, "ben", "dee")
    raised = an_alert(session, people, now, number="+13125550188")
    assert paged(session, raised.alert, people) == ["ben", "dee"]
    assert raised.paged == ()
    assert paging.NOBODY_MARK in raised.alert.title


def test_whoever_is_in_danger_is_not_paged_about_themselves(session, people, now):
    alert = an_alert(session, people, now, number=PHONES["ana"], severity=4).alert
    assert paged(session, alert, people) == ["ben", "cal", "dee"]
    escalation.escalate_due(session, now + 15 * MINUTE)
    assert "ana" not in paged(session, alert, people)


def test_danger_from_the_phone_of_the_only_one_on_call_goes_to_the_others(session, now):
    people = factories.people(session, now=now)
    on_the_rota(session, people, now, first="ana")
    give_phone(session, people, "dee")
    raised = an_alert(session, people, now, number=PHONES["ana"])
    assert paged(session, raised.alert, people) == ["dee"]
    assert raised.paged == ()
    assert paging.NOBODY_MARK in raised.alert.title


# ---------------------------------------------------------------- few texts for many alerts


def test_alerts_that_come_together_are_one_page(session, people, now):
    alerts = [an_alert(session, people, now, number=f"+1312555018{n}").alert for n in range(5)]
    (page,) = texts_to_staff(session)
    assert page.staff_id == people.ana.id
    assert "5 alerts wait" in page.body
    assert all(paged(session, alert, people) == ["ana"] for alert in alerts)


def test_two_hundred_alerts_in_ten_seconds_are_a_handful_of_pages_and_none_is_forgotten(session, people, now):
    for n in range(200):
        if n % 20 == 0:
            all_sent(session, at=now + timedelta(seconds=n // 20))  # the sender runs each second
        an_alert(session, people, now + timedelta(seconds=n // 20), number=f"+1{212 + n // 100}55501{n % 100:02d}")
    mine = [page for page in texts_to_staff(session) if page.staff_id == people.ana.id]
    assert len(mine) <= 6
    told = session.scalars(select(AlertPage.alert_id).where(AlertPage.staff_id == people.ana.id)).all()
    assert len(set(told)) == 200


def test_repeated_pages_of_many_open_alerts_are_gathered(session, people, now):
    for n in range(12):
        an_alert(session, people, now, severity=4, number=f"+131255501{n + 80:02d}")
    sent = []
    for minute in (2, 4, 6, 8):
        all_sent(session)
        before = len(texts_to_staff(session))
        escalation.escalate_due(session, now + minute * MINUTE)
        sent.append(len(texts_to_staff(session)) - before)
    assert sent == [3, 3, 3, 3]  # one for each of three people, not thirty-six


def test_a_new_emergency_does_not_wait_behind_a_burst(session, people, now):
    for n in range(6):
        an_alert(session, people, now, number=f"+1312555018{n}")
        all_sent(session)
    an_alert(session, people, now, severity=4, number="+13125550199")
    assert texts_to_staff(session)[-1].not_before <= now
    assert {page.staff_id for page in texts_to_staff(session) if page.status == "queued"} >= {people.ben.id}


def test_the_digit_takes_the_gravest_alert_of_a_gathered_page(session, people, now):
    an_alert(session, people, now, number="+13125550181")
    grave = an_alert(session, people, now, number="+13125550182", severity=4).alert
    an_alert(session, people, now, number="+13125550183")
    assert f"alert {grave.id}" in texts_to_staff(session)[0].body
    assert acknowledging.acknowledge_by_phone(session, people.ana, now).id == grave.id


def test_a_lost_page_about_several_alerts_is_shown_on_each(session, people, now):
    alerts = [an_alert(session, people, now, number=f"+1312555018{n}").alert for n in range(3)]
    (page,) = texts_to_staff(session)
    paging.report_undelivered(session, page, now)
    assert [len(events(session, alert, "page_undelivered")) for alert in alerts] == [1, 1, 1]
    assert {page.staff_id for page in texts_to_staff(session)} == {people.ana.id, people.ben.id}


def test_whoever_the_ladder_called_may_see_the_alert(session, people, now):
    alert = an_alert(session, people, now, number="+13125550181").alert
    for shift in session.scalars(select(on_call.RotaShift).where(on_call.RotaShift.staff_id == people.cal.id)):
        session.delete(shift)
    session.flush()
    assert alert not in raising.open_alerts(session, people.cal, now=now)
    escalation.escalate_due(session, now + 15 * MINUTE)
    assert alert in raising.open_alerts(session, people.cal, now=now)


# ---------------------------------------------------------------- no receipt


def a_reply(session, people, alert, parent, now, status="accepted"):
    row = factories.a_text(session, parent, now=now, category="crisis_reply", alert_id=alert.id)
    row.status, row.attempted_at = status, now
    session.flush()
    return row


@pytest.mark.parametrize(
    ("status", "seconds", "is_lost"),
    [
        ("accepted", 59, False),
        ("accepted", 61, True),
        ("queued", 61, True),
        ("sending", 61, True),
        ("unknown", 61, True),
        ("sent", 61, False),
        ("sent", 301, True),
        ("delivered", 3600, False),
    ],
)
def test_a_crisis_reply_without_a_receipt_counts_as_lost(session, people, parent, now, status, seconds, is_lost):
    alert = an_alert(session, people, now, parent=parent).alert
    all_sent(session)
    a_reply(session, people, alert, parent, now, status)
    acknowledging.acknowledge(session, alert, people.ana.id, "", now)
    unconfirmed.look(session, now + timedelta(seconds=seconds))
    assert (paging.REPLY_LOST_MARK in alert.title) is is_lost
    assert (alert.status == "open") is is_lost
    assert ("ben" in paged(session, alert, people)) is is_lost


def test_a_lost_reply_is_said_once_and_a_late_receipt_takes_it_back(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    all_sent(session)
    reply = a_reply(session, people, alert, parent, now)
    for minute in (2, 3, 4):
        unconfirmed.look(session, now + minute * MINUTE)
    assert len(events(session, alert, "reply_unconfirmed")) == 1
    reply.status = "delivered"
    session.flush()
    unconfirmed.look(session, now + 5 * MINUTE)
    assert paging.REPLY_LOST_MARK not in alert.title
    assert len(events(session, alert, "reply_delivered")) == 1


def test_a_page_of_which_nothing_is_heard_calls_the_next_once(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    all_sent(session, status="accepted")
    for seconds in (30, 61, 62, 90):
        unconfirmed.look(session, now + timedelta(seconds=seconds))
    assert paged(session, alert, people) == ["ana", "ana", "ben"]
    assert len(events(session, alert, "page_undelivered")) == 1


def test_a_lost_reply_of_an_ended_alert_wakes_nobody(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    all_sent(session)
    a_reply(session, people, alert, parent, now)
    acknowledging.resolve(session, alert, people.ana.id, "safe", "", now)
    assert unconfirmed.look(session, now + 5 * MINUTE) == 0
    assert session.get_one(Alert, alert.id).status == "resolved"
    assert session.scalars(select(Outbox).where(Outbox.category == "staff_page", Outbox.status == "queued")).all() == []
