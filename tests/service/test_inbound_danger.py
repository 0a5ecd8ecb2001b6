"""One inbound text: stored once, screened before all else, answered in danger, sealed from the other parent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from nudges.alerts import holds, paging
from nudges.crisis.values import Level, Screening
from nudges.inbound.texts import Deps
from nudges.models.family import Consent
from nudges.models.messages import Inbound, Outbox
from nudges.models.safety import Alert, AlertEvent, Hold, LedgerEntry, Task
from nudges.models.sequences import Enrollment
from tests.support import factories
from tests.support.factories import LIBRARY, a_parent
from tests.support.on_call import events as events_of
from tests.support.texting import ANA, alerts, last_inbound, people_with_ana_on_call, queue_a_nudge, tasks, texting

CRISIS = "she swallowed the whole bottle of pills and wont wake up"
SELF_HARM = "my daughter says she wants to kill herself"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def people(session, now):
    return people_with_ana_on_call(session, now)


@pytest.fixture
def parent(session, people, now):
    return a_parent(session, people.family, now=now)


@pytest.fixture
def text(session, now):
    return texting(session, now)


# ---------------------------------------------------------------- stored first, and once


def test_a_text_is_stored_as_it_came_and_ends_with_what_was_done(session, parent, text):
    body = "  Hola,  “todo”  bien 🙂\n"
    text(parent, body)
    row = last_inbound(session)
    assert (row.body, row.from_number, row.parent_id) == (body, parent.phone, parent.id)
    assert row.handled_as != "received"


def test_numbers_and_words_are_sealed_and_the_log_of_the_screen_quotes_nothing(session, parent, text):
    text(parent, SELF_HARM)
    raw = session.connection().exec_driver_sql("SELECT from_number, body, reply, screening FROM inbound").one()
    assert all(value.startswith("v1.") for value in raw[:3])
    assert "herself" not in str(raw[3])


@pytest.mark.parametrize("body", ["HELP", "please stop texting me", SELF_HARM, "we had a good day"])
def test_a_second_copy_of_the_same_webhook_gets_the_same_answer_and_changes_nothing(session, parent, text, body):
    def everything():
        return [
            session.scalar(select(func.count()).select_from(t))
            for t in (Inbound, Outbox, Alert, AlertEvent, Hold, Task, Consent, LedgerEntry)
        ]

    first = text(parent, body, sid="SM-same")
    before = everything()
    again = text(parent, body, sid="SM-same")
    assert again.texts == first.texts
    assert everything() == before


# ---------------------------------------------------------------- danger comes first


def test_a_crisis_text_is_answered_alerted_and_held_at_once(session, people, parent, text, now):
    answer = text(parent, SELF_HARM)
    (reply,) = answer.texts
    assert "988" in reply[:90] or "911" in reply[:90]
    (alert,) = alerts(session)
    assert (alert.level, alert.family_id, alert.parent_id) == ("crisis", people.family.id, parent.id)
    (hold,) = holds.open_holds(session, family_id=people.family.id, now=now)
    assert (hold.kind, hold.scope, hold.alert_id) == ("crisis", "family", alert.id)
    page = session.scalars(select(Outbox).where(Outbox.category == "staff_page")).one()
    assert (page.staff_id, page.status) == (people.ana.id, "queued")
    assert last_inbound(session).handled_as == "crisis"


def test_the_crisis_reply_is_on_record_as_on_its_way(session, parent, text):
    answer = text(parent, SELF_HARM)
    row = session.scalars(select(Outbox).where(Outbox.category == "crisis_reply")).one()
    assert (row.status, row.body, row.parent_id) == ("accepted", answer.texts[0], parent.id)
    assert row.attempt_id == answer.attempts[0]
    assert row.alert_id == alerts(session)[0].id
    assert row.reply_to_id == last_inbound(session).id


def test_a_reply_says_that_somebody_was_alerted_only_when_somebody_was(session, people, parent, text):
    other = a_parent(session, people.family, now=parent.created_at)
    alerted = text(parent, SELF_HARM).texts[0]
    people.ana.on_call_rank = None
    session.flush()
    alone = text(other, SELF_HARM).texts[0]
    assert "alerted" in alerted
    assert "alerted" not in alone


SENDERS = ("active", "opted_out", "paused", "invited", "ended", "unknown", "staff")


@pytest.mark.parametrize("who", SENDERS)
def test_danger_is_answered_whoever_sends_it(session, people, parent, text, who):
    if who in ("unknown", "staff"):
        sender = "+13125550188" if who == "unknown" else ANA
    else:
        parent.status, sender = who, parent
        session.flush()
    answer = text(sender, CRISIS)
    assert "911" in answer.texts[0]
    assert [alert.level for alert in alerts(session)] == ["crisis"]


def test_an_opted_out_parent_in_danger_stays_opted_out_and_the_alert_says_phone(session, parent, text):
    parent.status = "opted_out"
    session.flush()
    text(parent, SELF_HARM)
    assert parent.status == "opted_out"
    assert "phone" in alerts(session)[0].title


@pytest.mark.parametrize("extra", ["STOP", "stop texting me", "please stop texting me"])
def test_a_text_that_is_danger_and_opt_out_does_both(session, parent, text, extra, now):
    queued = queue_a_nudge(session, parent, now)
    answer = text(parent, f"{extra}. {SELF_HARM}" if extra != "STOP" else f"{SELF_HARM}. please stop texting me")
    session.refresh(queued)
    assert parent.status == "opted_out"
    assert queued.status == "cancelled"
    assert [alert.level for alert in alerts(session)] == ["crisis"]
    assert "opted out" in alerts(session)[0].title
    assert "988" in answer.texts[0] or "911" in answer.texts[0]
    assert "START" in answer.texts[1]
    assert last_inbound(session).handled_as == "crisis+opt_out"


def test_a_digit_with_danger_is_stored_and_moves_nothing(session, parent, text):
    before = session.scalars(select(Enrollment.state)).all()
    text(parent, "2 she wants to die")
    assert last_inbound(session).handled_as == "crisis"
    assert session.scalars(select(Enrollment.state)).all() == before
    assert not session.scalars(select(LedgerEntry).where(LedgerEntry.action == "answer.applied")).all()


def test_danger_split_over_two_texts_is_seen(session, parent, text, now):
    text(parent, "my daughter says she wants to ki")
    text(parent, "ll herself", at=now + timedelta(seconds=20))
    assert [alert.level for alert in alerts(session)][-1:] == ["crisis"]


def test_a_screen_that_fails_is_a_doubt_and_never_silence(session, parent, text):
    def broken(text, *, recent, own_texts, open_episode):
        raise RuntimeError("no rules")

    answer = text(parent, "we had a quiet day", deps=Deps(library=LIBRARY, screen=broken))
    assert answer.texts
    assert [alert.level for alert in alerts(session)] == ["check"]


def test_a_heart_on_our_own_crisis_reply_is_no_new_crisis(session, parent, text, now):
    reply = text(parent, SELF_HARM).texts[0]
    answer = text(parent, f"Loved “{reply}”", at=now + 10 * MINUTE)
    assert answer.texts == ()
    assert last_inbound(session).handled_as == "reaction"
    assert len(alerts(session)) == 1


def test_a_like_on_a_text_that_names_stop_does_not_opt_out(session, parent, text, now):
    reply = text(parent, "HELP").texts[0]
    text(parent, f"Liked “{reply}”", at=now + MINUTE)
    assert parent.status == "active"


# ---------------------------------------------------------------- second and later texts of an episode


def test_the_same_danger_again_gets_a_short_reply_at_most_every_five_minutes(session, parent, text, now):
    bodies = [text(parent, CRISIS, at=now + minutes * MINUTE).texts for minutes in (0, 1, 2, 7, 8)]
    # The second is graver because it is the second; its instructions are the same, so they are not said twice.
    assert [len(texts) for texts in bodies] == [1, 1, 0, 1, 0]
    assert bodies[1] == bodies[3] != bodies[0]
    (alert,) = alerts(session)
    assert [event.event for event in events_of(session, alert)].count("text") == 4


def test_a_worse_text_is_answered_at_once(session, parent, text, now):
    text(parent, SELF_HARM)
    worse = text(parent, CRISIS, at=now + MINUTE)
    assert worse.texts
    assert "911" in worse.texts[0]


def test_the_emergency_is_never_silenced_by_the_loop_breaker(session, parent, text, now):
    for minute in range(12):
        text(parent, "HELP", at=now + timedelta(seconds=20 * minute))
    assert text(parent, CRISIS, at=now + 5 * MINUTE).texts


@pytest.mark.parametrize(
    ("words", "level"), [("not safe", "crisis"), ("no", "crisis"), ("2", "crisis"), ("safe", "check")]
)
def test_the_safety_question_takes_only_a_clear_yes(session, parent, text, now, words, level):
    def doubtful(text, *, recent, own_texts, open_episode):
        return Screening(level=Level.CHECK, tier=None, severity=1, why="Check: unclear.")

    text(parent, "something is very wrong", deps=Deps(library=LIBRARY, screen=doubtful))
    assert [alert.level for alert in alerts(session)] == ["check"]
    text(parent, words, at=now + 2 * MINUTE)
    assert [alert.level for alert in alerts(session)] == [level]
    assert holds.open_holds(session, family_id=parent.family_id, now=now + 3 * MINUTE)


def test_an_ordinary_text_during_an_episode_is_on_the_alert_and_moves_no_sequence(session, parent, text, now):
    text(parent, SELF_HARM)
    answer = text(parent, "we are on our way to the hospital", at=now + 20 * MINUTE)
    (alert,) = alerts(session)
    assert events_of(session, alert)[-1].inbound_id == last_inbound(session).id
    assert all("911" in reply for reply in answer.texts)
    assert tasks(session) == []


def test_stop_within_two_hours_of_a_resolved_crisis_is_looked_at(session, people, parent, text, now):
    text(parent, SELF_HARM)
    alert = alerts(session)[0]
    alert.status, alert.resolution = "resolved", "safe"
    session.flush()
    text(parent, "STOP", at=now + 60 * MINUTE)
    assert parent.status == "opted_out"
    assert [a.level for a in alerts(session)] == ["crisis", "check"]


def test_a_text_is_screened_together_with_those_of_the_last_three_minutes(session, parent, text, now):
    seen = []

    def remembers(text, *, recent, own_texts, open_episode):
        seen.append(tuple(recent))
        return Screening(level=Level.ORDINARY, tier=None, severity=0, why="")

    deps = Deps(library=LIBRARY, screen=remembers)
    for number, seconds in enumerate((0, 170, 175, 178, 179, 185)):
        text(parent, f"text {number}", at=now + timedelta(seconds=seconds), deps=deps)
    assert seen[0] == ()
    assert seen[1] == ("text 0",)
    assert seen[4] == ("text 0", "text 1", "text 2", "text 3")
    assert seen[5] == ("text 1", "text 2", "text 3", "text 4")


# ---------------------------------------------------------------- sealed from the other parent


@pytest.mark.parametrize("body", ["HELP", "PERSON", "PAUSE 2", "how are you", "1", "JOIN", "we had a good talk"])
def test_one_parents_reply_is_the_same_whatever_the_other_parent_wrote(session, people, parent, text, now, body):
    other = a_parent(session, people.family, now=now, name="Leo Invented")
    alone_family = factories.enrolling.create_family(session, program=people.program, staff_id=people.ana.id, now=now)
    alone = a_parent(session, alone_family, now=now)
    text(other, SELF_HARM)
    answer = text(parent, body, at=now + MINUTE)
    expected = text(alone, body, at=now + MINUTE)
    assert answer.texts == expected.texts
    assert answer.handled_as == expected.handled_as


@pytest.mark.parametrize(
    "body",
    [
        "stop, I want to die",
        "I want to die. STOP",
        "Stop\nshe wants to kill herself",
        "quiero morirme. ALTO",
        "STOP he will kill me",
        "STOP mi esposo me va a matar",
    ],
)
def test_a_word_of_leaving_beside_danger_stops_the_texts_too(session, parent, text, body):
    answer = text(parent, body)
    assert answer.handled_as.startswith("crisis") and "opt_out" in answer.handled_as
    assert "988" in answer.texts[0]
    assert parent.status == "opted_out"
    assert alerts(session, "crisis")


@pytest.mark.parametrize("body", ["she can't stop crying and says she wants to die", "stop him he is going to kill me"])
def test_what_else_should_stop_is_no_wish_to_leave(parent, text, body):
    text(parent, body)
    assert parent.status == "active"


def test_pause_counts_while_an_alert_is_open(parent, text, now):
    text(parent, SELF_HARM)
    text(parent, "PAUSE 2", at=now + MINUTE)
    assert parent.status == "paused"


def test_a_repeated_webhook_still_follows_the_delivery_of_its_crisis_reply(parent, text):
    first = text(parent, SELF_HARM, sid="SM" + "7" * 32)
    again = text(parent, SELF_HARM, sid="SM" + "7" * 32)
    assert again == first


def test_a_dead_on_call_phone_calls_the_next_people_once_and_makes_no_storm(session, people, parent, text, now):
    text(parent, SELF_HARM)
    alert = session.scalars(select(Alert)).one()
    for n in range(5):
        page = session.scalars(
            select(Outbox)
            .where(Outbox.category == "staff_page", Outbox.staff_id == people.ana.id)
            .order_by(Outbox.id.desc())
        ).first()
        paging.report_undelivered(session, page, now + n * MINUTE)
    rounds = session.scalar(select(func.count()).select_from(Outbox).where(Outbox.category == "staff_page"))
    assert rounds <= 2
    assert alert.status == "open"
