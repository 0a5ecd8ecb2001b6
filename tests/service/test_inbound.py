"""One inbound text, from the door to the answer: the order of things, and what each kind of text does."""

from __future__ import annotations

import threading
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import func, select

from nudges.alerts import holds, raising
from nudges.crisis.values import Level, Screening
from nudges.db import blind_index
from nudges.families import consent
from nudges.inbound import handle
from nudges.inbound.texts import Deps, IncomingText
from nudges.models.family import Consent, Parent
from nudges.models.messages import Inbound, Outbox
from nudges.models.safety import Alert, AlertEvent, Hold, LedgerEntry, Task
from nudges.models.sequences import Enrollment
from schedules import segments
from tests.support import factories
from tests.support.factories import LIBRARY, SENDER, a_parent

ANA = "+13125550171"
CRISIS = "she swallowed the whole bottle of pills and wont wake up"
SELF_HARM = "my daughter says she wants to kill herself"
MINUTE = timedelta(minutes=1)
_sids = count(1)


@pytest.fixture
def people(session, now):
    people = factories.people(session, now=now)
    people.ana.on_call_phone, people.ana.on_call_phone_index, people.ana.on_call_rank = ANA, blind_index(ANA), 1
    session.flush()
    return people


@pytest.fixture
def parent(session, people, now):
    return a_parent(session, people.family, now=now)


@pytest.fixture
def text(session, now):
    """Receive a text from somebody, a parent or a number, as the phone channel would."""

    def receive(sender, body, *, at=now, sid=None, deps=None, **values):
        incoming = IncomingText(
            provider_id=sid or f"SM{next(_sids):032d}",
            from_number=sender.phone if isinstance(sender, Parent) else sender,
            to_number=SENDER,
            body=body,
            **values,
        )
        answer = handle.receive(session, incoming, now=at, deps=deps or Deps(library=LIBRARY))
        if isinstance(sender, Parent):
            session.refresh(sender)
        for reply in answer.texts:
            counted = segments.count(reply)
            assert counted.encoding == "gsm7", reply
            assert counted.parts <= 2, reply
        return answer

    return receive


def last_inbound(session):
    return session.scalars(select(Inbound).order_by(Inbound.id.desc()).limit(1)).one()


def alerts(session, *levels):
    return session.scalars(select(Alert).where(Alert.level.in_(levels or ("crisis", "check"))).order_by(Alert.id)).all()


def tasks(session, kind=None):
    rows = session.scalars(select(Task).order_by(Task.id)).all()
    return [task for task in rows if kind is None or task.kind == kind]


def queue_a_nudge(session, parent, now):
    return factories.a_text(session, parent, now=now)


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
    assert [event.event for event in raising.events_of(session, alert)].count("text") == 4


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
    assert raising.events_of(session, alert)[-1].inbound_id == last_inbound(session).id
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


# ---------------------------------------------------------------- leaving and coming back


OPT_OUTS = {
    "keyword": ("STOP", {}, True),
    "spanish keyword": ("ALTO", {}, True),
    "two words": ("OPT OUT", {}, True),
    "plain words": ("please stop texting me", {}, True),
    "slip": ("stpo", {}, True),
    "carrier has answered": ("STOP", {"opt_out_type": "STOP"}, False),
    "carrier's own list": ("NO MAS POR FAVOR", {"opt_out_type": "STOP"}, False),
}


@pytest.mark.parametrize(("body", "values", "confirms"), OPT_OUTS.values(), ids=OPT_OUTS)
def test_leaving_stops_everything_at_once(session, parent, text, now, body, values, confirms):
    queued = queue_a_nudge(session, parent, now)
    answer = text(parent, body, **values)
    session.refresh(queued)
    assert (parent.status, parent.next_at) == ("opted_out", None)
    assert queued.status == "cancelled"
    revoked = session.scalars(select(Consent).where(Consent.event == "revoked")).one()
    assert revoked.inbound_id == last_inbound(session).id
    assert revoked.how_recognised
    assert len(answer.texts) == confirms
    assert all("START" in reply for reply in answer.texts)


@pytest.mark.parametrize(
    ("body", "confirms"), [("STOP", 0), ("quit", 0), ("STOP!", 1), ("ALTO", 1), ("stop texting me", 1)]
)
def test_where_the_carrier_answers_its_own_words_we_do_not(session, parent, text, body, confirms):
    answer = text(parent, body, deps=handle.deps_for(LIBRARY, channel="twilio"))
    assert parent.status == "opted_out"
    assert len(answer.texts) == confirms


@pytest.mark.parametrize("body", ["START", "unstop"])
def test_start_brings_texts_back(session, parent, text, body):
    text(parent, "STOP")
    answer = text(parent, body)
    assert parent.status == "active"
    assert parent.next_at is not None
    assert len(answer.texts) == 1
    assert [row.event for row in consent.history(session, parent)] == ["granted", "revoked", "confirmed"]


@pytest.mark.parametrize("body", ["JOIN", "YES", "hello again", "1", "PAUSE", "HELP"])
def test_nothing_but_start_revives(session, parent, text, body):
    text(parent, "STOP")
    text(parent, body)
    assert parent.status == "opted_out"


@pytest.mark.parametrize("body", ["hello again", "1", "we are fine", "PERSON"])
def test_who_has_left_gets_no_automatic_text_but_a_person_reads_theirs(session, parent, text, body):
    text(parent, "STOP")
    assert text(parent, body).texts == ()
    assert [task.kind for task in tasks(session)] == ["reply"]


def test_a_carrier_start_revives_without_a_second_answer(session, parent, text):
    text(parent, "STOP")
    assert text(parent, "JOIN", opt_out_type="START").texts == ()
    assert parent.status == "active"


@pytest.mark.parametrize(("language", "body"), [("en", "HELP"), ("en", "info"), ("es", "AYUDA")])
def test_help_always_carries_the_crisis_line(session, people, text, now, language, body):
    parent = a_parent(session, people.family, now=now, language=language)
    (reply,) = text(parent, body).texts
    assert "911" in reply
    assert "988" in reply


def test_help_that_the_carrier_answered_is_not_answered_twice(parent, text):
    assert text(parent, "HELP", opt_out_type="HELP").texts == ()


# ---------------------------------------------------------------- joining


def test_an_invited_parent_joins_with_the_confirming_digit(session, people, text, now):
    parent = a_parent(session, people.family, now=now, medium="text")
    assert parent.status == "invited"
    assert "Reply 1" in text(parent, "JOIN").texts[0]
    assert parent.status == "invited"
    (welcome,) = text(parent, "1").texts
    assert parent.status == "active"
    assert all(words in welcome for words in ("Riverbend", "HELP", "STOP", "rates", "988"))
    events = consent.history(session, parent)
    assert [row.event for row in events] == ["granted", "granted", "confirmed"]
    assert events[-1].inbound_id == last_inbound(session).id
    enrollment = session.scalars(select(Enrollment).where(Enrollment.parent_id == parent.id)).one()
    assert (enrollment.sequence_key, enrollment.status) == ("ONBOARD", "active")


def test_a_parent_who_confirms_while_the_family_is_held_is_welcomed_alike_and_a_person_starts_the_texts(
    session, people, parent, text, now
):
    invited = a_parent(session, people.family, now=now, medium="text")
    text(parent, SELF_HARM)
    (welcome,) = text(invited, "1", at=now + MINUTE).texts
    assert "Riverbend" in welcome
    assert invited.status == "active"
    assert [task.parent_id for task in tasks(session, "join")] == [invited.id]
    assert session.scalar(select(func.count(Enrollment.id)).where(Enrollment.parent_id == invited.id)) == 0


@pytest.mark.parametrize("body", ["YES", "ok", "2", "11", "join", "START"])
def test_nothing_but_the_digit_confirms(session, people, text, now, body):
    parent = a_parent(session, people.family, now=now, medium="text")
    text(parent, body)
    assert parent.status == "invited"


@pytest.mark.parametrize(("body", "words"), [("JOIN", "person"), ("UNIRME", "persona")])
def test_an_unknown_number_that_wants_to_join_becomes_a_task_and_no_family(session, people, text, body, words):
    before = session.scalar(select(func.count(Parent.id)))
    (reply,) = text("+13125550188", body).texts
    assert words in reply.casefold()
    assert [task.kind for task in tasks(session)] == ["join"]
    assert session.scalar(select(func.count(Parent.id))) == before


def test_joining_twice_is_said_kindly(parent, text):
    assert "already" in text(parent, "JOIN").texts[0]


# ---------------------------------------------------------------- a person's inbox


def test_free_words_go_to_a_person_with_one_holding_reply_in_six_hours(session, parent, text, now):
    first = text(parent, "he came down for dinner on his own")
    second = text(parent, "and he stayed for the film", at=now + MINUTE)
    late = text(parent, "today was harder", at=now + timedelta(hours=7))
    assert [len(answer.texts) for answer in (first, second, late)] == [1, 0, 1]
    assert "988" in first.texts[0]
    assert len(tasks(session, "reply")) == 1


def test_a_picture_is_not_pretended_to_be_seen(session, parent, text):
    (reply,) = text(parent, "", media_count=1).texts
    assert "picture" in reply
    assert len(tasks(session, "reply")) == 1


def test_an_unknown_number_is_told_once_who_we_are(session, people, text, now):
    first = text("+13125550188", "hola quien es esto")
    again = text("+13125550188", "contesten", at=now + MINUTE)
    assert "UNIRME" in first.texts[0]
    assert again.texts == ()
    assert [task.kind for task in tasks(session)] == ["unknown_sender"]


def test_the_same_words_four_times_are_met_with_silence_and_a_task(session, parent, text, now):
    answers = [text(parent, "HELP", at=now + timedelta(seconds=s)) for s in range(5)]
    assert [len(answer.texts) for answer in answers] == [1, 1, 1, 0, 0]
    assert len(tasks(session, "loop")) == 1


def test_more_than_ten_replies_an_hour_are_met_with_silence(session, parent, text, now):
    words = ("HELP", "INFO", "JOIN", "AYUDA")
    answers = [text(parent, words[n % 4], at=now + timedelta(seconds=n)) for n in range(12)]
    assert [bool(answer.texts) for answer in answers] == [True] * 10 + [False] * 2
    assert text(parent, "INFO", at=now + timedelta(hours=2)).texts


def test_leaving_takes_effect_in_a_loop_too(session, parent, text, now):
    for second in range(12):
        text(parent, "HELP", at=now + timedelta(seconds=second))
    text(parent, "STOP", at=now + MINUTE)
    assert parent.status == "opted_out"


def test_while_a_person_writes_the_automation_is_silent(session, people, parent, text, now):
    holds.open_conversation(session, parent, staff_id=people.ana.id, now=now)
    answer = text(parent, "yes tuesday works", at=now + MINUTE)
    assert (answer.texts, answer.handled_as) == ((), "conversation")
    assert len(tasks(session, "reply")) == 1
    assert text(parent, "STOP", at=now + 2 * MINUTE).texts
    assert parent.status == "opted_out"


def test_after_a_day_of_silence_the_automation_answers_again(session, people, parent, text, now):
    holds.open_conversation(session, parent, staff_id=people.ana.id, now=now)
    assert text(parent, "thank you", at=now + timedelta(hours=25)).handled_as == "person"


# ---------------------------------------------------------------- service words and digits


def test_pause_rests_and_resume_ends_it(session, parent, text, now):
    (reply,) = text(parent, "PAUSE 2").texts
    assert (parent.status, parent.paused_until) == ("paused", now + timedelta(days=14, hours=-1))  # clocks go forward
    assert "March 17" in reply
    text(parent, "RESUME", at=now + timedelta(days=1))
    assert parent.status == "active"


@pytest.mark.parametrize(
    "body", ["LESS", "MORE", "TIME", "HARD", "READY", "MOVE", "SESSION", "IDEA", "RESOURCES", "PERSON", "LATER"]
)
@pytest.mark.parametrize("language", ["en", "es"])
def test_every_service_word_is_answered_in_two_cheap_segments(session, people, text, now, body, language):
    parent = a_parent(session, people.family, now=now, language=language)
    answer = text(parent, body)
    assert answer.handled_as == "word"
    assert answer.texts


def test_espanol_changes_the_language_of_the_very_reply(session, parent, text):
    (reply,) = text(parent, "ESPAÑOL").texts
    assert parent.language == "es"
    assert "espa" in reply


def test_quiet_makes_texts_discreet(session, parent, text):
    text(parent, "QUIET")
    assert parent.profile["discreet"] == "true"


def test_a_person_word_makes_a_task(session, parent, text):
    text(parent, "PERSON")
    assert len(tasks(session)) == 1


# ---------------------------------------------------------------- staff phones


def test_a_digit_from_the_person_on_call_takes_the_alert(session, people, parent, text, now):
    text(parent, SELF_HARM)
    answer = text(ANA, "1", at=now + MINUTE)
    (alert,) = alerts(session)
    assert (alert.status, alert.acknowledged_by) == ("acknowledged", people.ana.id)
    assert str(alert.id) in answer.texts[0]


def test_a_parent_who_is_on_call_answers_their_page_with_the_digit(session, people, parent, text, now):
    mine = a_parent(session, people.family, now=now, phone=ANA)
    text(parent, SELF_HARM)
    assert text(mine, "1", at=now + MINUTE).handled_as == "acknowledged"
    assert text(mine, "we had a good day", at=now + 2 * MINUTE).handled_as != "staff"


def test_an_on_call_phone_that_opts_out_is_reported(session, people, text):
    text(ANA, "STOP")
    assert "opted out" in alerts(session, "system")[0].title


# ---------------------------------------------------------------- shapes of text


BODIES = {
    "empty": "",
    "emoji": "🙂🙏👍",
    "1,600 characters": "we talked for a while and it went fine. " * 40,
    "spanish": "hoy estuvo más tranquilo y cenó con nosotros, gracias",
    "markup": '<Response><Message>hi</Message></Response> & "quotes"',
    "nothing but marks": "... ?! ...",
    "zero width": "\u200b\u200b",
    "right to left": "مرحبا",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("known", [True, False], ids=["parent", "stranger"])
def test_every_shape_of_text_is_stored_and_handled(session, people, parent, text, body, known):
    answer = text(parent if known else "+13125550188", body)
    row = last_inbound(session)
    assert row.body == body
    assert row.handled_as == answer.handled_as != "received"


def test_two_copies_at_the_same_instant_are_one_text(sessions, now):
    with sessions.begin() as session:
        people = factories.people(session, now=now)
        people.ana.on_call_phone, people.ana.on_call_rank = ANA, 1
        parent = a_parent(session, people.family, now=now)
    incoming = IncomingText(
        provider_id="SM-twice", from_number=parent.phone, to_number=SENDER, body="please stop texting me"
    )
    together = threading.Barrier(2)
    answers = []

    def receive():
        together.wait()
        with sessions.begin() as session:
            answers.append(handle.receive(session, incoming, now=now, deps=Deps(library=LIBRARY)))

    threads = [threading.Thread(target=receive) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(answers) == 2
    assert answers[0].texts == answers[1].texts != ()
    with sessions() as session:
        assert session.scalar(select(func.count(Inbound.id))) == 1
        assert session.scalar(select(func.count(Consent.id)).where(Consent.event == "revoked")) == 1


def test_before_any_program_exists_a_text_is_kept(session, text, now):
    assert text("+13125550188", "hello").handled_as == "no_program"
    assert last_inbound(session).body == "hello"
