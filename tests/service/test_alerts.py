"""Alerts: one for each episode, paged without a word of the text, climbing until a person answers, never resuming."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from nudges.alerts import acknowledging, escalation, judging, ladder, on_call, paging, raising
from nudges.db import blind_index
from nudges.models.messages import Outbox
from nudges.models.safety import Alert, AlertEvent, Hold, LedgerEntry
from tests.support import factories
from tests.support.factories import a_parent
from tests.support.on_call import an_alert
from tests.support.on_call import events as events_of

ANA, BEN, CAL = "+13125550171", "+13125550172", "+13125550173"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def people(session, now):
    """Ana is called first, Ben second, Cal third."""
    people = factories.people(session, now=now)
    for rank, (person, phone) in enumerate(((people.ana, ANA), (people.ben, BEN), (people.cal, CAL)), start=1):
        person.on_call_phone, person.on_call_phone_index, person.on_call_rank = phone, blind_index(phone), rank
    session.flush()
    return people


@pytest.fixture
def parent(session, people, now):
    return a_parent(session, people.family, now=now, name="Rosa Invented")


def pages(session):
    """That somebody was paged, each time: a page that still waits takes the next one in."""
    return session.scalars(select(AlertEvent).where(AlertEvent.event == "paged").order_by(AlertEvent.id)).all()


def page_texts(session):
    return session.scalars(select(Outbox).where(Outbox.category == "staff_page").order_by(Outbox.id)).all()


def paged_people(session):
    return [page.staff_id for page in pages(session)]


# ---------------------------------------------------------------- raising


def test_a_second_text_of_an_open_episode_joins_its_alert(session, people, parent, now):
    first = an_alert(session, people, now, parent=parent)
    second = an_alert(session, people, now + MINUTE, parent=parent)
    assert second.alert.id == first.alert.id
    assert (first.is_new, second.is_new, second.is_worse) == (True, False, False)
    assert session.scalar(select(func.count(Alert.id))) == 1
    events = [event.event for event in events_of(session, first.alert)]
    assert events == ["raised", "paged", "text"]


def test_after_a_resolved_episode_a_new_text_is_a_new_alert(session, people, parent, now):
    first = an_alert(session, people, now, parent=parent)
    assert acknowledging.resolve(session, first.alert, people.ana.id, "safe", "", now)
    assert an_alert(session, people, now + MINUTE, parent=parent).is_new


def test_two_parents_of_one_family_have_an_alert_each(session, people, parent, now):
    other = a_parent(session, people.family, now=now, name="Leo Invented")
    assert (
        an_alert(session, people, now, parent=parent).alert.id != an_alert(session, people, now, parent=other).alert.id
    )


def test_strangers_share_no_alert_but_one_number_does(session, people, now):
    first = an_alert(session, people, now, number="+13125550181")
    again = an_alert(session, people, now, number="+13125550181")
    other = an_alert(session, people, now, number="+13125550182")
    assert first.alert.id == again.alert.id != other.alert.id
    assert "unknown number" in first.alert.title


@pytest.mark.parametrize(
    ("severity", "tier"),
    [(4, "suicide_selfharm"), (3, "overdose_poison")],
    ids=["more severe", "another danger"],
)
def test_a_worse_text_starts_the_ladder_again_even_after_an_acknowledgement(
    session, people, parent, now, severity, tier
):
    first = an_alert(session, people, now, parent=parent)
    acknowledging.acknowledge(session, first.alert, people.ana.id, "", now)
    worse = an_alert(session, people, now + MINUTE, parent=parent, severity=severity, tier=tier)
    assert worse.is_worse
    assert (worse.alert.status, worse.alert.severity) == ("open", severity)
    assert len(pages(session)) > 1


def test_a_milder_text_does_not_lower_an_alert(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent, severity=4).alert
    an_alert(session, people, now, parent=parent, severity=1, level="check", tier=None)
    assert (alert.level, alert.severity, alert.tier) == ("crisis", 4, "suicide_selfharm")


def test_titles_and_pages_name_nobody_and_quote_nothing(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    assert alert.title == f"Crisis, {people.family.code}: suicide or self-harm"
    (page,) = page_texts(session)
    for private in ("Rosa", "Invented", parent.phone, parent.phone[-4:], "wants to die"):
        assert private not in alert.title
        assert private not in page.body
    assert people.family.code in page.body
    assert page.segments == 1


def test_open_alerts_are_seen_by_those_who_answer_for_them(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    people.cal.on_call_rank = None
    session.flush()
    seen_by = {
        name: alert in raising.open_alerts(session, getattr(people, name), now=now)
        for name in ("ana", "ben", "cal", "dee")
    }
    assert seen_by == {"ana": True, "ben": True, "cal": False, "dee": True}
    people.cal.on_call_rank = 3
    session.flush()
    assert alert in raising.open_alerts(session, people.cal, now=now)


# ---------------------------------------------------------------- the ladder


def climb(session, alert, now, minutes):
    """Who is paged at each minute until then, as {minute: number of pages}."""
    paged = {}
    for minute in range(1, minutes + 1):
        before = len(pages(session))
        escalation.escalate_due(session, now + minute * MINUTE)
        if len(pages(session)) > before:
            paged[minute] = len(pages(session)) - before
    return paged


LADDERS = {
    "emergency": (
        4,
        "overdose_poison",
        3,
        {**dict.fromkeys((2, 4, 6, 8, 10, 12), 3), 15: 3, **dict.fromkeys(range(16, 30, 2), 3), 31: 3},
    ),
    "danger": (3, "suicide_selfharm", 1, {5: 2, 10: 3, 15: 3, 30: 3}),
    "missing": (3, "runaway_missing", 1, {5: 2, 10: 3, 15: 3, 30: 3}),
    "unsafe, its two counselors first": (2, "unsafe_behaviour", 2, {30: 1}),
    "an exhausted parent": (2, "parent_distress", 2, {}),
    "doubt": (1, None, 0, {30: 1}),
}


@pytest.mark.parametrize(("severity", "tier", "at_once", "later"), LADDERS.values(), ids=LADDERS)
def test_each_danger_climbs_its_own_ladder(session, people, parent, now, severity, tier, at_once, later):
    alert = an_alert(session, people, now, parent=parent, severity=severity, tier=tier).alert
    assert len(pages(session)) == at_once
    assert climb(session, alert, now, 31) == later


def test_the_ladder_stops_when_somebody_acknowledges(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    assert acknowledging.acknowledge(session, alert, people.ben.id, "calling them", now)
    assert climb(session, alert, now, 60) == {}


def test_after_an_outage_the_missed_rungs_page_once_and_the_widest_circle(session, people, parent, now):
    an_alert(session, people, now, parent=parent)
    people.dee.on_call_phone, people.dee.on_call_phone_index = "+13125550174", blind_index("+13125550174")
    session.flush()
    assert escalation.escalate_due(session, now + 40 * MINUTE) == 1
    assert len(pages(session)) == 1 + 4
    assert escalation.escalate_due(session, now + 40 * MINUTE) == 0


def test_two_watches_at_once_page_once(sessions, engine, now):
    with sessions.begin() as session:
        people = factories.people(session, now=now)
        people.ana.on_call_phone, people.ana.on_call_rank = ANA, 1
        parent = a_parent(session, people.family, now=now)
        session.flush()
        an_alert(session, people, now, parent=parent)
    start = threading.Barrier(2)

    def watch():
        start.wait()
        with sessions.begin() as session:
            escalation.escalate_due(session, now + 5 * MINUTE)

    threads = [threading.Thread(target=watch) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    with sessions() as session:
        assert len(pages(session)) == 2


@pytest.mark.parametrize("tier", [None, "abuse_dv", "parent_distress"])
@pytest.mark.parametrize("severity", [1, 2, 3, 4])
def test_every_ladder_is_in_order_and_never_stops(severity, tier):
    minutes = [ladder.rung(ladder.ladder_of(severity, tier), number).after_minutes for number in range(40)]
    assert minutes == sorted(set(minutes))


def test_a_fault_of_the_service_climbs_no_ladder():
    assert ladder.rung(ladder.ladder_of(0, None), 0) is None


# ---------------------------------------------------------------- nobody there, nothing delivered


def test_with_nobody_on_call_the_title_and_an_alert_of_the_system_say_so(session, people, parent, now):
    for person in (people.ana, people.ben, people.cal):
        person.on_call_rank = None
    session.flush()
    raised = an_alert(session, people, now, parent=parent)
    assert raised.paged == ()
    assert "nobody is on call" in raised.alert.title
    an_alert(session, people, now, parent=a_parent(session, people.family, now=now))
    system = session.scalars(select(Alert).where(Alert.level == "system")).all()
    assert [alert.title for alert in system] == [paging.NOBODY]
    people.ana.on_call_rank = 1
    session.flush()
    escalation.escalate_due(session, now + 5 * MINUTE)
    assert "nobody is on call" not in raised.alert.title


def a_crisis_reply(session, parent, alert, now):
    row = factories.a_text(session, parent, now=now, category="crisis_reply", alert_id=alert.id)
    row.status = "undelivered"
    return row


def test_an_undelivered_crisis_reply_reopens_the_alert_and_pages_again(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    acknowledging.acknowledge(session, alert, people.ana.id, "", now)
    paging.report_undelivered(session, a_crisis_reply(session, parent, alert, now), now + MINUTE)
    assert alert.status == "open"
    assert "NOT delivered" in alert.title
    assert len(pages(session)) == 1 + 2


def test_a_lost_page_calls_the_next_people_at_once(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    (page,) = page_texts(session)
    paging.report_undelivered(session, page, now + MINUTE)
    assert paged_people(session) == [people.ana.id, people.ana.id, people.ben.id]
    assert "page_undelivered" in [event.event for event in events_of(session, alert)]


def test_a_warning_about_a_lost_reply_outlives_a_worse_text(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    paging.report_undelivered(session, a_crisis_reply(session, parent, alert, now), now)
    an_alert(session, people, now + MINUTE, parent=parent, severity=4)
    assert "NOT delivered" in alert.title


def test_a_lost_nudge_is_no_alert(session, people, parent, now):
    assert paging.report_undelivered(session, factories.a_text(session, parent, now=now), now) is None


# ---------------------------------------------------------------- a person answers


def test_the_second_to_acknowledge_is_told_and_their_note_is_kept(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    assert acknowledging.acknowledge(session, alert, people.ana.id, "I call", now)
    assert not acknowledging.acknowledge(session, alert, people.ben.id, "me too", now)
    assert alert.acknowledged_by == people.ana.id
    assert [e.note for e in events_of(session, alert)][-1] == "me too"


@pytest.mark.parametrize(
    ("outcome", "note", "named"), [("fine", "", "safe, "), ("false_alarm", " ", "note"), ("not_reached", "", "note")]
)
def test_an_alert_is_not_ended_without_a_proper_outcome(session, people, parent, now, outcome, note, named):
    alert = an_alert(session, people, now, parent=parent).alert
    with pytest.raises(acknowledging.AlertError, match=named):
        acknowledging.resolve(session, alert, people.ana.id, outcome, note, now)
    assert alert.status == "open"


def test_an_empty_note_is_refused(session, people, parent, now):
    with pytest.raises(acknowledging.AlertError, match="empty"):
        acknowledging.add_note(session, an_alert(session, people, now, parent=parent).alert, people.ana.id, " ", now)


def test_a_digit_takes_the_alert_that_this_person_was_paged_about_last(session, people, parent, now):
    first = an_alert(session, people, now, parent=parent).alert
    second = an_alert(session, people, now).alert
    assert acknowledging.acknowledge_by_phone(session, people.ana, now).id == second.id
    assert acknowledging.acknowledge_by_phone(session, people.ana, now).id == first.id
    assert acknowledging.acknowledge_by_phone(session, people.ana, now) is None


def test_what_staff_did_is_in_the_ledger_without_personal_data(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    acknowledging.acknowledge(session, alert, people.ana.id, "Rosa is calm", now)
    acknowledging.resolve(session, alert, people.ana.id, "safe", "", now)
    entries = session.scalars(select(LedgerEntry).where(LedgerEntry.subject == f"alert:{alert.id}")).all()
    assert [entry.action for entry in entries] == ["alert.raised", "alert.acknowledged", "alert.resolved"]
    assert "Rosa" not in str([entry.details for entry in entries])


# ---------------------------------------------------------------- holds


def test_alert_words_are_sealed_at_rest(session, people, parent, now):
    an_alert(session, people, now, parent=parent)
    raw = session.connection().exec_driver_sql("SELECT why FROM alerts").scalar()
    note = session.connection().exec_driver_sql("SELECT note FROM alert_events WHERE note IS NOT NULL").scalar()
    assert raw.startswith("v1.")
    assert note.startswith("v1.")
    assert session.scalars(select(AlertEvent.note).where(AlertEvent.note.is_not(None))).first() == "the words"


# ---------------------------------------------------------------- another danger than the screen named


def test_another_danger_pages_its_own_people_from_the_start(session, people, parent, now):
    raised = an_alert(session, people, now, parent=parent)
    acknowledging.acknowledge(session, raised.alert, people.ana.id, "", now + MINUTE)
    on_call.set_duties(
        session, people.cal, is_safeguarding_lead=True, is_trained_in_aftercare=False, by="staff:1", now=now
    )
    at = now + 2 * MINUTE
    assert judging.change_danger(session, raised.alert, people.ana.id, "abuse_dv", "She named her uncle", at)
    alert = raised.alert
    assert (alert.tier, alert.severity, alert.status, alert.acknowledged_by) == ("abuse_dv", 3, "open", None)
    assert alert.title.endswith(": abuse")
    assert alert.escalate_at == at + 5 * MINUTE
    paged = session.scalars(select(AlertEvent.staff_id).where(AlertEvent.event == "paged", AlertEvent.at == at)).all()
    assert paged == [people.cal.id]
    kinds = session.scalars(select(Hold.kind).where(Hold.family_id == people.family.id)).all()
    assert "safeguarding" in kinds


def test_the_same_danger_again_and_an_ended_alert_change_nothing(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    assert not judging.change_danger(session, alert, people.ana.id, "suicide_selfharm", "As the screen says", now)
    acknowledging.resolve(session, alert, people.ana.id, "safe", "", now)
    assert not judging.change_danger(session, alert, people.ana.id, "emergency", "Too late", now)
    assert alert.status == "resolved"
    assert alert.escalate_at is None


def test_a_change_keeps_the_warning_that_texts_cannot_reach_them(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    paging.mark(alert, paging.OPTED_OUT_MARK)
    judging.change_danger(session, alert, people.ana.id, "emergency", "On the roof now", now)
    assert alert.severity == 4
    assert paging.OPTED_OUT_MARK in alert.title
