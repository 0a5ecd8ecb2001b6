"""One inbound text: leaving, joining, a person's inbox, service words, staff phones, shapes of text."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from nudges.alerts import holds
from nudges.channels.registry import PROVIDERS
from nudges.families import consent
from nudges.inbound import handle
from nudges.inbound.texts import Deps, IncomingText
from nudges.models.family import Consent, Parent
from nudges.models.messages import Inbound
from nudges.models.sequences import Enrollment
from tests.support import factories
from tests.support.factories import LIBRARY, SENDER, a_parent
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
    answer = text(parent, body, deps=handle.deps_for(LIBRARY, provider=PROVIDERS["twilio"]))
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


def test_a_join_after_a_stop_is_told_the_word_that_brings_texts_back(parent, text):
    text(parent, "STOP")
    (reply,) = text(parent, "JOIN").texts
    assert "START" in reply


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


def test_ideas_asked_for_one_after_another_are_different_and_of_the_familys_rung(session, parent, text, now):
    rungs = {idea.texts.en: idea.rung for idea in LIBRARY.ideas}
    said = [text(parent, "IDEA", at=now + n * MINUTE).texts[0] for n in range(3)]
    assert len(set(said)) == 3 and {rungs[words] for words in said} == {1}


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
