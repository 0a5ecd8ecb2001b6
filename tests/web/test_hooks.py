"""Twilio's doors, through a real Flask client, with real signatures over the public address."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import logging
import xml.etree.ElementTree as ElementTree
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from nudges import config
from nudges.channels.registry import PROVIDERS
from nudges.inbound import handle, spool
from nudges.inbound.texts import IncomingText
from nudges.models.messages import Inbound, Outbox, ProviderEvent
from nudges.models.safety import Alert
from nudges.web import hooks
from nudges.web.context import WIRING
from schedules import segments
from tests.support import factories
from tests.support.factories import a_parent

ACCOUNT = "AC" + "1" * 32
TOKEN, OLD_TOKEN = "primary-token", "token-being-rotated-out"
PUBLIC = "https://nudges.example.org"
CRISIS = "she swallowed the whole bottle of pills and wont wake up"
INBOUND, STATUS, FALLBACK = "/twilio/inbound", "/twilio/status", "/twilio/fallback"


@pytest.fixture
def settings(engine, tmp_path):
    return config.load(
        {
            "NUDGES_DATABASE_URL": engine.url.render_as_string(hide_password=False),
            "NUDGES_CHANNEL": "twilio",
            "NUDGES_PUBLIC_URL": PUBLIC,
            "NUDGES_SPOOL_DIR": str(tmp_path / "spool"),
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": f"{TOKEN},{OLD_TOKEN}",
            "TWILIO_FROM_NUMBER": factories.SENDER,
        }
    )


@pytest.fixture
def app(wiring, settings):
    app = Flask("nudges.web")
    app.config["TESTING"] = False
    app.extensions[WIRING] = dataclasses.replace(wiring, settings=settings)
    app.register_blueprint(hooks.hooks)
    return app


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def parent(sessions, people, now):
    with sessions.begin() as session:
        ana = session.merge(people.ana)
        ana.on_call_phone, ana.on_call_phone_index = "+13125550171", factories.index_of("+13125550171")
        ana.on_call_rank = 1
        return a_parent(session, people.family, now=now)


def sign(path, form, *, token=TOKEN):
    """Twilio's own recipe, written out once more: the address, then each name and value in order of names."""
    signed = PUBLIC + path + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def text_form(body, *, sender="+13125550188", sid="SM" + "a" * 32, **more):
    return {
        "MessageSid": sid,
        "AccountSid": ACCOUNT,
        "From": sender,
        "To": factories.SENDER,
        "Body": body,
        "NumMedia": "0",
        "FromCity": "",
        **more,
    }


def post(client, path, form, **kwargs):
    headers = {"X-Twilio-Signature": kwargs.pop("signature", None) or sign(path, form, **kwargs)}
    return client.post(path, data=form, headers=headers)


def said(response):
    """The texts in a TwiML answer; fails on anything that Twilio would not read."""
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/xml")
    root = ElementTree.fromstring(response.data)
    assert root.tag == "Response"
    assert all(child.tag == "Message" for child in root)
    return [child.text for child in root]


def rows(sessions, table):
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(table))


# ---------------------------------------------------------------- who may knock


BAD = {
    "no signature": lambda form: "",
    "garbage": lambda form: "nonsense",
    "another token": lambda form: sign(INBOUND, form, token="somebody else's"),
    "another address": lambda form: sign("/twilio/other", form),
    "a changed body": lambda form: sign(INBOUND, {**form, "Body": "STOP"}),
    "a field left out": lambda form: sign(INBOUND, {k: v for k, v in form.items() if k != "FromCity" and k != "To"}),
}


@pytest.mark.parametrize("forge", BAD.values(), ids=BAD)
def test_an_unsigned_text_is_refused_and_leaves_no_trace(client, sessions, parent, settings, forge):
    form = text_form(CRISIS, sender=parent.phone)
    response = client.post(INBOUND, data=form, headers={"X-Twilio-Signature": forge(form)})
    assert response.status_code == 403
    assert ElementTree.fromstring(response.data).tag == "Response"
    assert rows(sessions, Inbound) == rows(sessions, Alert) == 0
    assert not settings.spool_dir.exists()


@pytest.mark.parametrize("path", [INBOUND, STATUS, FALLBACK])
def test_every_door_asks_for_a_signature_and_for_our_account(client, sessions, path, people):
    assert client.post(path, data=text_form("hi")).status_code == 403
    foreign = text_form("hi", AccountSid="AC" + "2" * 32)
    assert post(client, path, foreign).status_code == 403
    assert client.get(path).status_code == 405
    assert rows(sessions, Inbound) == 0


@pytest.mark.parametrize("token", [TOKEN, OLD_TOKEN], ids=["primary", "while it is being rotated"])
def test_each_accepted_token_opens_the_door(client, parent, token):
    assert said(post(client, INBOUND, text_form("HELP", sender=parent.phone), token=token))


def test_without_twilio_there_are_no_doors(wiring, sessions):
    app = Flask("nudges.web")
    app.extensions[WIRING] = wiring
    app.register_blueprint(hooks.hooks)
    for path in (INBOUND, STATUS, FALLBACK, "/phone/inbound"):
        assert post(app.test_client(), path, text_form("hi")).status_code in (403, 404)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Inbound)) == 0


def test_no_answer_carries_a_cookie(client, parent):
    assert "Set-Cookie" not in post(client, INBOUND, text_form("HELP", sender=parent.phone)).headers


def test_a_signed_form_that_is_no_text_is_refused(client, people):
    form = {"AccountSid": ACCOUNT, "Body": "hi"}
    assert post(client, INBOUND, form).status_code == 400


# ---------------------------------------------------------------- inbound


def test_danger_is_answered_in_the_same_response(client, sessions, parent):
    (reply,) = said(post(client, INBOUND, text_form(CRISIS, sender=parent.phone)))
    assert "911" in reply
    assert segments.count(reply).encoding == "gsm7"
    assert segments.count(reply).parts <= 2
    assert rows(sessions, Alert) == 1


def test_a_repeated_webhook_is_answered_alike_and_handled_once(client, sessions, parent):
    form = text_form(CRISIS, sender=parent.phone)
    assert said(post(client, INBOUND, form)) == said(post(client, INBOUND, form))
    assert rows(sessions, Inbound) == rows(sessions, Alert) == 1


SHAPES = {
    "emoji": "🙂👍🏽",
    "1,600 characters": "a fine day. " * 133 + "yes!",
    "spanish": "¿cómo le digo a mi hijo?",
    "markup": "<Message>&amp; ]]> \"'",
    "empty": "",
    "plus and percent": "100% + a%20b",
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
def test_every_shape_of_body_is_stored_exactly_and_answered_in_xml(client, sessions, parent, body):
    said(post(client, INBOUND, text_form(body, sender=parent.phone)))
    with sessions() as session:
        assert session.scalars(select(Inbound.body)).one() == body


def test_an_answered_keyword_gets_an_empty_response(client, sessions, parent):
    form = text_form("STOP", sender=parent.phone, OptOutType="STOP")
    assert said(post(client, INBOUND, form)) == []
    with sessions() as session:
        assert session.get(type(parent), parent.id).status == "opted_out"


def test_logs_name_no_number_and_no_word_of_the_text(client, parent, caplog):
    caplog.set_level(logging.DEBUG)
    post(client, INBOUND, text_form(CRISIS, sender=parent.phone))
    client.post(INBOUND, data=text_form(CRISIS, sender=parent.phone))
    logged = "".join(f"{record.getMessage()}{record.__dict__}" for record in caplog.records)
    assert parent.phone not in logged
    assert "swallowed" not in logged


# ---------------------------------------------------------------- status callbacks


def test_a_callback_moves_its_text_and_answers_204(client, sessions, parent, now):
    with sessions.begin() as session:
        row = factories.a_text(session, parent, now=now)
        row.status, row.attempt_id = "accepted", "abc123"
        outbox_id = row.id
    path = f"{STATUS}?attempt=abc123"
    form = {"MessageSid": "SM" + "b" * 32, "MessageStatus": "delivered", "AccountSid": ACCOUNT, "To": parent.phone}
    for _ in range(2):
        assert post(client, path, form).status_code == 204
    with sessions() as session:
        assert session.get(Outbox, outbox_id).status == "delivered"
    assert rows(sessions, ProviderEvent) == 1


def test_a_callback_about_an_unknown_text_is_kept(client, sessions, people):
    form = {"MessageSid": "SM" + "c" * 32, "MessageStatus": "sent", "AccountSid": ACCOUNT}
    assert post(client, STATUS, form).status_code == 204
    assert rows(sessions, ProviderEvent) == 1


def test_a_lost_crisis_reply_marks_its_alert(client, sessions, parent):
    """The reply in the TwiML asks for its receipts; the report that it was lost finds the alert."""
    answer = post(client, INBOUND, text_form(CRISIS, sender=parent.phone))
    callback = ElementTree.fromstring(answer.data)[0].attrib["statusCallback"]
    assert callback.startswith(f"{PUBLIC}/twilio/status?attempt=")
    path = callback.removeprefix(PUBLIC)
    form = {"MessageSid": "SM" + "d" * 32, "MessageStatus": "undelivered", "ErrorCode": "30003", "AccountSid": ACCOUNT}
    assert post(client, path, form).status_code == 204
    with sessions() as session:
        assert "NOT delivered" in session.scalars(select(Alert.title)).one()


def test_only_crisis_replies_ask_for_receipts(client, parent):
    answer = post(client, INBOUND, text_form("HELP", sender=parent.phone))
    assert "statusCallback" not in ElementTree.fromstring(answer.data)[0].attrib


# ---------------------------------------------------------------- the database is away


class Away:
    """Sessions of a database that cannot be reached."""

    def __call__(self):
        raise OperationalError("connect", {}, ConnectionError("refused"))

    begin = __call__


@pytest.fixture
def away(app):
    """Take the database away, and give it back by calling `back`."""
    whole = app.extensions[WIRING]
    app.extensions[WIRING] = dataclasses.replace(whole, sessions=Away())

    def back():
        app.extensions[WIRING] = whole

    return back


def replay(sessions, settings, now):
    deps = handle.deps_for(factories.LIBRARY, provider=PROVIDERS["twilio"])
    return spool.replay(sessions, spool.of(settings), deps=deps, now=now)


def test_danger_is_answered_while_the_database_is_away_and_handled_once_when_it_is_back(
    client, sessions, parent, settings, away, now
):
    form = text_form(CRISIS, sender=parent.phone)
    (reply,) = said(post(client, INBOUND, form))
    assert "911" in reply
    assert rows(sessions, Inbound) == 0
    away()
    assert replay(sessions, settings, now + timedelta(minutes=10)) == 1
    assert replay(sessions, settings, now + timedelta(minutes=11)) == 0
    assert rows(sessions, Inbound) == rows(sessions, Alert) == 1
    with sessions() as session:
        assert session.scalars(select(Inbound.at)).one() == now
        replies = session.scalars(select(Outbox).where(Outbox.category == "crisis_reply")).all()
        assert [row.status for row in replies] == ["accepted"]  # it went back at once: not a second time


def test_an_ordinary_text_is_kept_and_its_answer_comes_late(client, sessions, parent, settings, away, now):
    assert said(post(client, INBOUND, text_form("please stop texting me", sender=parent.phone))) == []
    away()
    assert replay(sessions, settings, now + timedelta(minutes=3)) == 1
    with sessions() as session:
        assert session.get(type(parent), parent.id).status == "opted_out"
        late = session.scalars(select(Outbox).where(Outbox.category == "reply")).one()
        assert (late.status, late.parent_id) == ("queued", parent.id)
        assert "START" in late.body


def test_a_text_that_was_handled_before_is_only_cleared_away(client, sessions, parent, settings, now):
    form = text_form(CRISIS, sender=parent.phone)
    post(client, INBOUND, form)
    said(post(client, FALLBACK, form))  # our answer was too slow: Twilio went to the fallback
    assert replay(sessions, settings, now) == 1
    assert rows(sessions, Inbound) == rows(sessions, Alert) == 1
    assert spool.of(settings).waiting() == []


def test_while_the_database_is_still_away_nothing_leaves_the_spool(client, sessions, parent, settings, away, now):
    post(client, INBOUND, text_form("hello", sender=parent.phone))
    assert replay(Away(), settings, now) == 0
    assert len(spool.of(settings).waiting()) == 1


def test_the_spool_holds_no_word_and_no_number_in_the_clear(client, parent, settings, away):
    post(client, INBOUND, text_form(CRISIS, sender=parent.phone))
    (path,) = settings.spool_dir.iterdir()
    assert path.stat().st_mode & 0o077 == 0
    assert path.read_text().startswith("v1.")
    assert parent.phone[-4:] not in path.name


def test_a_text_that_breaks_us_is_set_aside_and_does_not_stop_the_others(
    client, sessions, parent, settings, now, monkeypatch
):
    kept = spool.of(settings)
    for number, body in enumerate(("poison", "HELP")):
        incoming = IncomingText(
            provider_id=f"SM{number}", from_number=parent.phone, to_number=factories.SENDER, body=body
        )
        kept.keep(incoming, at=now + timedelta(seconds=number), was_answered=False)
    (settings.spool_dir / "20250303T150000-forged.text").write_text("v1.AAAA")
    real = handle.receive

    def breaks(session, incoming, **rest):
        if incoming.body == "poison":
            raise ZeroDivisionError
        return real(session, incoming, **rest)

    monkeypatch.setattr(handle, "receive", breaks)
    assert replay(sessions, settings, now) == 1
    assert len(list(settings.spool_dir.glob("*.broken"))) == 2
    assert kept.waiting() == []
    with sessions() as session:
        assert any("could not be handled" in alert.title for alert in session.scalars(select(Alert)))


def test_a_fault_of_our_own_is_answered_and_kept_like_an_outage(client, parent, settings, monkeypatch):
    def breaks(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(handle, "receive", breaks)
    (reply,) = said(post(client, INBOUND, text_form(CRISIS, sender=parent.phone)))
    assert "911" in reply
    assert len(spool.of(settings).waiting()) == 1


def test_a_text_that_can_be_neither_answered_nor_kept_asks_twilio_to_try_again(client, parent, settings, away):
    settings.spool_dir.parent.mkdir(exist_ok=True)
    settings.spool_dir.write_text("a file where the folder should be")
    assert post(client, INBOUND, text_form("hello", sender=parent.phone)).status_code == 503
    assert said(post(client, INBOUND, text_form(CRISIS, sender=parent.phone)))


def test_the_fallback_needs_no_database(client, parent, settings, away):
    (reply,) = said(post(client, FALLBACK, text_form(CRISIS, sender=parent.phone)))
    assert "911" in reply
    assert "alerted" not in reply
    assert said(post(client, FALLBACK, text_form("we had a good day", sid="SM2"))) == []
    assert len(spool.of(settings).waiting()) == 2


def test_a_callback_while_the_database_is_away_is_asked_for_again(client, away, people):
    form = {"MessageSid": "SM1", "MessageStatus": "sent", "AccountSid": ACCOUNT}
    assert post(client, STATUS, form).status_code == 503
