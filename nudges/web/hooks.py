"""The provider's doors: inbound texts, status callbacks, and the fallback for when the first door does not open.

They are at /NAME/…, the provider's name. Nothing is read or written before the signature holds. An answer is always
in the provider's own form: Twilio texts a plain-text page to the parent word for word. No route here has a session,
a cookie or a page.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from flask import Blueprint, abort, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response

from nudges.channels.provider import Call
from nudges.crisis.fallback import stateless_reply
from nudges.crisis.values import Screening
from nudges.families.snapshots import StaleParent
from nudges.inbound import handle, spool
from nudges.inbound.texts import Answer, Deps, IncomingText
from nudges.ledger import record
from nudges.outbound import receipts
from nudges.web.context import wiring

hooks = Blueprint("hooks", __name__, url_prefix="/<provider>")
logger = logging.getLogger(__name__)

TRIES: Final = 3
TRY_AGAIN_WITHIN: Final = timedelta(seconds=4)  # Twilio hangs up after 15 seconds, and then asks the fallback


@hooks.url_value_preprocessor
def only_the_one_in_use(endpoint: str | None, values: dict[str, str] | None) -> None:
    """404 for every provider but that of the settings."""
    if values is None or values.pop("provider") != wiring().settings.provider.name:
        abort(404)


@hooks.post("/inbound")
def inbound() -> Response:
    """One text from a phone: handled in one transaction, answered in this response."""
    if not _is_genuine():
        return _refused()
    try:
        incoming = _incoming()
    except ValueError:
        return _answer(Answer(), status=400)
    now = wiring().clock.now()
    try:
        return _answer(_receive(incoming, now))
    except Exception as error:
        # A database that is away, or a fault of ours: either way danger is answered, and the text is not lost.
        logger.error("an inbound text was spooled: %s", type(error).__name__, extra={"action": "inbound"})
        return _without_database(incoming, now)


@hooks.post("/status")
def status() -> Response:
    """What became of a text that we sent. Unknown ones are stored; a failure asks to be told again."""
    if not _is_genuine():
        return _refused()
    receipt = wiring().settings.account.receipt(request.form, request.args.get("attempt"))
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
    """The provider comes here when the first door failed or was too slow. No database: instructions, and the spool."""
    if not _is_genuine():
        return _refused()
    try:
        incoming = _incoming()
    except ValueError:
        return _answer(Answer(), status=400)
    return _without_database(incoming, wiring().clock.now())


def _receive(incoming: IncomingText, now: datetime) -> Answer:
    """Handle the text, again when somebody else was faster: nothing of a failed try stays."""
    deps = handle.deps_for(wiring().library, provider=wiring().settings.provider, screen=wiring().screen)
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

    A text that could neither be answered nor kept is refused with 503, so that the provider tries again.
    """
    reply = stateless_reply(incoming.body, today=now.date())
    try:
        spool.of(wiring().settings).keep(incoming, at=now, was_answered=reply is not None)
    except OSError as error:
        logger.critical("a text could not be spooled: %s", type(error).__name__, extra={"action": "spool"})
        if reply is None:
            return _answer(Answer(), status=503)
    return _answer(Answer(texts=(reply,) if reply is not None else ()))


def _incoming() -> IncomingText:
    """Raises ValueError for a form that is no text."""
    form = wiring().settings.account.incoming(request.form)
    return IncomingText(
        provider_id=form.provider_id,
        from_number=form.from_,
        to_number=form.to,
        body=form.body,
        media_count=form.num_media,
        opt_out_type=form.opt_out_type,
    )


def _is_genuine() -> bool:
    """Made by the provider, about our account."""
    call = Call(url=_signed_url(), form=request.form, header=request.headers.get)
    return wiring().settings.account.is_genuine(call)


def _signed_url() -> str:
    # Behind a proxy the app sees another scheme, host and port, and a parsed query loses how it was spelled.
    query = request.environ.get("QUERY_STRING", "")
    return f"{wiring().settings.public_url}{request.path}{'?' + query if query else ''}"


def _refused() -> Response:
    logger.info("an unsigned webhook was refused", extra={"action": "refuse"})
    return _answer(Answer(), status=403)


def _answer(answer: Answer, *, status: int = 200) -> Response:
    """The answer; a crisis reply asks for its receipts, because one that is lost is an alert of its own."""
    settings = wiring().settings
    door = f"{settings.public_url}/{settings.provider.name}/status?attempt="
    callbacks = [f"{door}{attempt}" if attempt is not None else None for attempt in answer.attempts]
    body = settings.account.answer(answer.texts, callbacks)
    return Response(body, status=status, content_type=settings.provider.media_type)
