"""Twilio's doors: inbound texts, status callbacks, and the fallback for when the first door does not open.

Nothing is read or written before the signature holds. An answer is always TwiML: Twilio texts a plain-text page to
the parent word for word. No route here has a session, a cookie or a page.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from flask import Blueprint, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response

from nudges.channels import twilio_webhooks
from nudges.crisis.fallback import stateless_reply
from nudges.crisis.values import Screening
from nudges.families.snapshots import StaleParent
from nudges.inbound import handle, spool
from nudges.inbound.texts import Answer, Deps, IncomingText
from nudges.ledger import record
from nudges.outbound import receipts
from nudges.web.context import wiring

hooks = Blueprint("hooks", __name__, url_prefix="/twilio")
logger = logging.getLogger(__name__)

TRIES: Final = 3
TRY_AGAIN_WITHIN: Final = timedelta(seconds=4)  # Twilio hangs up after 15 seconds, and then asks the fallback


@hooks.post("/inbound")
def inbound() -> Response:
    """One text from a phone: handled in one transaction, answered in this response."""
    incoming = _incoming()
    if isinstance(incoming, Response):
        return incoming
    now = wiring().clock.now()
    try:
        return _twiml(_receive(incoming, now))
    except Exception as error:
        # A database that is away, or a fault of ours: either way danger is answered, and the text is not lost.
        logger.error("an inbound text was spooled: %s", type(error).__name__, extra={"action": "inbound"})
        return _without_database(incoming, now)


@hooks.post("/status")
def status() -> Response:
    """What became of a text that we sent. Unknown ones are stored; a failure asks Twilio to tell us again."""
    if not _is_from_twilio():
        return _refused()
    receipt = twilio_webhooks.receipt_from(request.form, request.args.get("attempt"))
    now = wiring().clock.now()
    try:
        with wiring().sessions.begin() as session, record.gathered(session):  # alerts before the ledger, as a text
            receipts.apply(session, receipt, now=now)
    except (SQLAlchemyError, StaleParent) as error:
        logger.error("a status callback waits: %s", type(error).__name__, extra={"action": "status"})
        return Response(status=503)
    return Response(status=204)


@hooks.post("/fallback")
def fallback() -> Response:
    """Twilio comes here when the first door failed or was too slow. No database: instructions, and the spool."""
    incoming = _incoming()
    if isinstance(incoming, Response):
        return incoming
    return _without_database(incoming, wiring().clock.now())


def _receive(incoming: IncomingText, now: datetime) -> Answer:
    """Handle the text, again when somebody else was faster: nothing of a failed try stays."""
    deps = handle.deps_for(wiring().library, channel=wiring().settings.channel, screen=wiring().screen)
    alone = handle.read_alone(incoming, deps=deps)
    for _ in range(TRIES - 1):
        try:
            return _once(incoming, now, deps, alone)
        except (SQLAlchemyError, StaleParent):
            if wiring().clock.now() - now > TRY_AGAIN_WITHIN:
                raise
    return _once(incoming, now, deps, alone)


def _once(incoming: IncomingText, now: datetime, deps: Deps, alone: Screening) -> Answer:
    with wiring().sessions.begin() as session:
        session.connection()  # may wait for its turn: that wait belongs to the time to reply
        incoming = replace(incoming, received_at=now)
        return handle.receive(session, incoming, now=wiring().clock.now(), deps=deps, alone=alone)


def _without_database(incoming: IncomingText, now: datetime) -> Response:
    """Answer a dangerous text from the words alone, and keep every text on disk until it can be handled.

    A text that could neither be answered nor kept is refused with 503, so that Twilio tries again.
    """
    reply = stateless_reply(incoming.body, today=now.date())
    try:
        spool.of(wiring().settings).keep(incoming, at=now, was_answered=reply is not None)
    except OSError as error:
        logger.critical("a text could not be spooled: %s", type(error).__name__, extra={"action": "spool"})
        if reply is None:
            return _twiml(Answer(), status=503)
    return _twiml(Answer(texts=(reply,) if reply is not None else ()))


def _incoming() -> IncomingText | Response:
    """The text of this request, or the answer to a request that is not Twilio's or holds none."""
    if not _is_from_twilio():
        return _refused()
    try:
        form = twilio_webhooks.incoming_from(request.form)
    except ValueError:
        return _twiml(Answer(), status=400)
    return IncomingText(
        provider_id=form.provider_id,
        from_number=form.from_,
        to_number=form.to,
        body=form.body,
        media_count=form.num_media,
        opt_out_type=form.opt_out_type,
    )


def _is_from_twilio() -> bool:
    """Signed with one of our tokens over the public address, and about our account."""
    settings = wiring().settings
    if settings.twilio is None:
        return False
    signature = request.headers.get("X-Twilio-Signature")
    if not twilio_webhooks.is_signed(_signed_url(), request.form, signature, settings.twilio.auth_tokens):
        return False
    return request.form.get("AccountSid") == settings.twilio.account_sid


def _signed_url() -> str:
    # Behind a proxy the app sees another scheme, host and port, and a parsed query loses how it was spelled.
    query = request.environ.get("QUERY_STRING", "")
    return f"{wiring().settings.public_url}{request.path}{'?' + query if query else ''}"


def _refused() -> Response:
    logger.info("an unsigned webhook was refused", extra={"action": "refuse"})
    return _xml(twilio_webhooks.twiml(()), status=403)


def _twiml(answer: Answer, *, status: int = 200) -> Response:
    """The answer; a crisis reply asks for its receipts, because one that is lost is an alert of its own."""
    door = f"{wiring().settings.public_url}/twilio/status?attempt="
    callbacks = [f"{door}{attempt}" if attempt is not None else None for attempt in answer.attempts]
    return _xml(twilio_webhooks.twiml(answer.texts, status_callbacks=callbacks), status=status)


def _xml(body: str, *, status: int) -> Response:
    return Response(body, status=status, content_type="text/xml; charset=utf-8")
