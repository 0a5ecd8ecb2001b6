"""A process that dies between a text and its reply: after Twilio's retry one alert, and the reply at least once."""

from __future__ import annotations

import base64
import signal

import pytest
from sqlalchemy import select

from nudges.alerts import unconfirmed
from nudges.models.messages import Inbound, Outbox
from nudges.models.on_call import AlertPage
from nudges.models.safety import Alert, Hold
from tests.support import factories
from tests.support.factories import a_parent
from tests.support.on_call import on_the_rota

CRISIS = "my daughter says she wants to kill herself"
SID = "SM" + "c" * 32


@pytest.fixture
def environ(engine, tmp_path):
    return {
        "NUDGES_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "NUDGES_CHANNEL": "twilio",
        "NUDGES_PUBLIC_URL": "https://nudges.example.org",
        "NUDGES_SPOOL_DIR": str(tmp_path / "spool"),
        "NUDGES_ENCRYPTION_KEYS": base64.urlsafe_b64encode(b"t" * 32).decode(),
        "NUDGES_INDEX_KEY": base64.urlsafe_b64encode(b"i" * 32).decode(),
        "TWILIO_ACCOUNT_SID": "AC" + "1" * 32,
        "TWILIO_AUTH_TOKEN": "a-token",
        "TWILIO_FROM_NUMBER": factories.SENDER,
    }


@pytest.fixture
def parent(sessions, now):
    with sessions.begin() as session:
        people = factories.people(session, now=now)
        on_the_rota(session, people, now, first="ana")
        return a_parent(session, people.family, now=now)


@pytest.fixture
def text_in(forks, environ, parent):
    """Twilio posts the text to a process that dies `where`. Returns how it ended and what it answered."""

    def post(where):
        ended = forks.run("tests.support.killed", where, CRISIS, parent.phone, SID, environ=environ)
        return ended.returncode, ended.output

    return post


def count(sessions, table, *where):
    with sessions() as session:
        return len(session.scalars(select(table.id).where(*where)).all())


@pytest.mark.parametrize("where", ["before_commit", "before_answer"])
def test_a_process_killed_between_text_and_reply_loses_nothing_and_doubles_nothing(text_in, sessions, where):
    code, answer = text_in(where)
    assert (code, answer) == (-signal.SIGKILL, "")
    assert count(sessions, Alert) == (1 if where == "before_answer" else 0)

    code, answer = text_in("never")  # Twilio asks again, with the same id
    assert code == 0
    assert "988" in answer and answer.count("<Message") == 1

    assert count(sessions, Inbound) == count(sessions, Alert) == count(sessions, Hold) == 1
    assert count(sessions, Outbox, Outbox.category == "crisis_reply") == 1
    assert count(sessions, AlertPage) == 1


def test_if_nobody_asks_again_the_missing_receipt_pages_a_person(text_in, sessions, now):
    """The reply that died with its process stands as handed over, and no receipt for it ever comes."""
    text_in("before_answer")
    with sessions.begin() as session:
        reply = session.scalars(select(Outbox).where(Outbox.category == "crisis_reply")).one()
        unconfirmed.look(session, reply.attempted_at + unconfirmed.NO_WORD * 2)
        assert "NOT delivered" in session.scalars(select(Alert).where(Alert.level == "crisis")).one().title
