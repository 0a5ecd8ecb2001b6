"""What Twilio says to us, and how we answer: signatures, inbound texts, status callbacks, TwiML."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # ships no types
from twilio.twiml.messaging_response import MessagingResponse  # type: ignore[import-untyped]  # ships no types

from nudges.channels.base import Receipt
from nudges.channels.provider import Incoming
from nudges.channels.twilio_errors import action_for

logger = logging.getLogger(__name__)

_OUR_STATUSES: Final = frozenset(
    "accepted scheduled queued sending sent delivered undelivered failed canceled read".split()
)
FAILED: Final = frozenset({"failed", "undelivered"})
UNKNOWN_STATUS: Final = "unknown"
MOST_MEDIA: Final = 10  # Twilio carries no more; a text must not be lost for a number that no column holds

# All that XML 1.0 cannot carry, escaped or not: one such character makes the whole answer unreadable.
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_signed(
    url: str,
    params: Mapping[str, str],
    signature: str | None,
    tokens: Sequence[str],
    raw_body: bytes | None = None,
) -> bool:
    """Whether Twilio signed this request with one of `tokens` (two during a rotation). Never raises.

    `url` is the public address with its query exactly as sent and without fragment. `params` is the whole
    form, a MultiDict so that repeated names count. `raw_body` is for a JSON request only, whose URL must carry
    `bodySHA256`. Source: twilio.com/docs/usage/security.
    """
    if not signature:
        return False
    try:
        content = params if raw_body is None else _hashed_body(url, raw_body)
        return any(RequestValidator(token).validate(url, content, signature) for token in tokens if token)
    except Exception as error:
        # Whoever can reach the port can send anything at all; a request that cannot be checked is unsigned.
        logger.info("a webhook could not be checked: %s", type(error).__name__, extra={"action": "refuse"})
        return False


def _hashed_body(url: str, raw_body: bytes) -> str:
    if "bodySHA256" not in parse_qs(urlsplit(url).query):
        raise ValueError("no hash of the body")  # else the signature would cover the address alone
    return raw_body.decode("utf-8")


def our_status(word: str | None) -> str:
    """Twilio's status as one of ours; UNKNOWN_STATUS for a word that no text of ours should ever have."""
    return word if word in _OUR_STATUSES and word is not None else UNKNOWN_STATUS


def receipt_from(form: Mapping[str, str], attempt_id: str | None) -> Receipt:
    """Read a status callback; `attempt_id` is that of its query. Never raises for a missing field.

    `action` is set only when the text has failed. Callbacks come late, twice and in any order, so the
    reader must rank statuses, never just store the last.
    """
    status = our_status(form.get("MessageStatus") or form.get("SmsStatus"))
    code = form.get("ErrorCode") or None
    return Receipt(
        attempt_id=attempt_id or None,
        provider_id=_message_sid(form),
        status=status,
        error_code=code,
        action=action_for(code) if status in FAILED else None,
        raw=_plain(form),
    )


def incoming_from(form: Mapping[str, str]) -> Incoming:
    """Read an inbound webhook. Raises ValueError if it names no message or no sender."""
    provider_id, sender = _message_sid(form), form.get("From", "")
    if not provider_id or not sender:
        raise ValueError("not an inbound text of Twilio: MessageSid and From must both be given")
    return Incoming(
        provider_id=provider_id,
        from_=sender,
        to=form.get("To", ""),
        body=form.get("Body", ""),
        num_media=_count(form.get("NumMedia", "")),
        opt_out_type=form.get("OptOutType", "").strip().upper() or None,
        received=_plain(form),
    )


def twiml(messages: Sequence[str], *, status_callbacks: Sequence[str | None] = ()) -> str:
    """The answer that makes Twilio text `messages` back, in order; none of them is `<Response />`.

    `status_callbacks` has, for each message, the address that Twilio tells about its delivery, or None; leaving it
    out asks for no reports. Send it as text/xml: Twilio texts a text/plain answer to the parent word for word.
    """
    response = MessagingResponse()
    callbacks = [*status_callbacks, *[None] * (len(messages) - len(status_callbacks))]
    for message, callback in zip(messages, callbacks, strict=True):
        words = _NOT_XML.sub("", message)
        if words.strip():  # an empty <Message> is an error that loses the others too
            response.message(words, status_callback=callback)
    return str(response)


def _message_sid(form: Mapping[str, str]) -> str:
    return form.get("MessageSid") or form.get("SmsMessageSid") or form.get("SmsSid") or ""


def _count(digits: str) -> int:
    return min(int(digits[:9]), MOST_MEDIA) if digits.isascii() and digits.isdigit() else 0


def _plain(form: Mapping[str, str]) -> dict[str, str]:
    return {name: form[name] for name in form}  # dict(MultiDict) would hold lists
