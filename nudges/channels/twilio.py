"""Texts by Twilio's Messages API. A call ends as accepted, refused, or unknown; it is never repeated here."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

from requests.exceptions import ConnectTimeout, RequestException
from twilio.base.exceptions import TwilioException  # type: ignore[import-untyped]  # ships no types
from twilio.rest import Client  # type: ignore[import-untyped]  # ships no types
from urllib3.exceptions import NewConnectionError
from urllib3.exceptions import SSLError as HandshakeError

from nudges.channels.base import Accepted, Action, ChannelError, Found, Outgoing
from nudges.channels.twilio_errors import action_for, is_permanent, title_of
from nudges.channels.twilio_http import Answer, Endpoint, GuardedHttpClient
from nudges.channels.twilio_webhooks import FAILED, our_status

logger = logging.getLogger(__name__)

T = TypeVar("T")

_PAGE_SIZE: Final = 1000  # the most Twilio gives; a parent's whole history is nearly always one page
_OURS: Final = "outbound-api"  # not TwiML replies, not what the parent wrote


class MakeHttpClient(Protocol):
    def __call__(self, endpoint: Endpoint, *, timeout_seconds: float) -> GuardedHttpClient: ...


class TwilioChannel:
    """A `Channel` over one Twilio account.

    Exactly one of `messaging_service_sid` and `from_number` is the sender of a text that names none.
    `status_callback_url` is the public https address of the status webhook, without query; each text
    adds its attempt id. `api_base` sends everything to a local fake. Raises ValueError or UnsafeEndpoint
    for a configuration that cannot work. Safe to share between threads: each has its own client.
    """

    name = "twilio"

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        status_callback_url: str,
        production: bool,
        messaging_service_sid: str | None = None,
        from_number: str | None = None,
        api_base: str | None = None,
        timeout_seconds: float = 10.0,
        make_http_client: MakeHttpClient = GuardedHttpClient,
    ) -> None:
        if not account_sid or not auth_token:
            raise ValueError("Twilio needs an account SID and an auth token; one of them is empty")
        if bool(messaging_service_sid) == bool(from_number):
            raise ValueError("give Twilio a Messaging Service SID or a from number, one of the two")
        self._status_callback_url = _checked_callback(status_callback_url, production=production)
        self._account = (account_sid, auth_token)
        self._sender = messaging_service_sid or from_number or ""
        self._endpoint = Endpoint(api_base=api_base, production=production)
        self._timeout_seconds = timeout_seconds
        self._make_http_client = make_http_client
        self._per_thread = threading.local()

    def send(self, outgoing: Outgoing) -> Accepted:
        """Hand one text over. Raises ChannelError; one with `Action.RECONCILE` may have been sent."""
        form = self._form(outgoing)
        return self._ask(lambda client: _accepted(client.messages.create(**form)), outgoing.attempt_id)

    def find_sent(self, to: str, *, since: datetime) -> Sequence[Found]:
        """Our texts to `to` that Twilio created at or after `since`, newest first. Raises ChannelError.

        Lists by `To` only: Twilio's date filter looks at the sending date, which is empty until a text has
        left, and the sender is empty until the Messaging Service has chosen one.
        """
        second = since.replace(microsecond=0)  # Twilio's dates have no fractions
        found = self._ask(lambda client: _created_since(client, to, second))
        return sorted(found, key=lambda text: text.created_at, reverse=True)

    def _form(self, outgoing: Outgoing) -> dict[str, object]:
        sender = outgoing.sender or self._sender
        attempt = urlencode({"attempt": outgoing.attempt_id})
        return {
            "to": outgoing.to,
            "body": outgoing.body,
            "messaging_service_sid" if sender.startswith("MG") else "from_": sender,
            "validity_period": outgoing.validity_seconds,
            "status_callback": f"{self._status_callback_url}?{attempt}",
        }

    def _ask(self, question: Callable[[Any], T], attempt_id: str | None = None) -> T:
        client = self._client()
        try:
            return question(client)
        except RequestException as error:
            problem = _network_problem(error)
        except TwilioException:
            problem = _refusal(client.http_client.answer)
        except (ValueError, TypeError, LookupError, AttributeError):  # how the SDK trips over a strange body
            problem = _unknown("Twilio's answer could not be read", code="unreadable")
        # Raised outside the handlers, so that no exception of the SDK rides along as its context: their
        # words and local variables hold the number and the text, and tracebacks end up in logs.
        logger.warning(
            "Twilio did not accept a call",
            extra={"action": problem.action.value, "code": problem.code, "attempt_id": attempt_id},
        )
        raise problem

    def _client(self) -> Any:
        if not hasattr(self._per_thread, "client"):
            http_client = self._make_http_client(self._endpoint, timeout_seconds=self._timeout_seconds)
            # The SDK would read an edge and a region from the environment and change the host by them.
            fixed = {"TWILIO_EDGE": "", "TWILIO_REGION": ""}
            self._per_thread.client = Client(*self._account, http_client=http_client, environment=fixed)
        return self._per_thread.client


def _checked_callback(url: str, *, production: bool) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and (production or parts.scheme != "http"):
        raise ValueError("the status callback must be a public https address, e.g. https://texts.example.org")
    if not parts.hostname or "_" in parts.hostname or parts.query or parts.fragment:
        raise ValueError("the status callback needs a host without underscore, and no query or fragment")
    return url


def _accepted(message: Any) -> Accepted:
    if not message.sid:
        raise ValueError("no sid")
    return Accepted(provider_id=message.sid, status=our_status(message.status))


def _created_since(client: Any, to: str, since: datetime) -> list[Found]:
    """Read every page. The order of the list is not documented, so no page says that the rest is older."""
    messages = chain.from_iterable(_pages(client, to))
    return [_found(message) for message in messages if message.date_created >= since and message.direction == _OURS]


def _pages(client: Any, to: str) -> Iterator[list[Any]]:
    page = client.messages.page(to=to, page_size=_PAGE_SIZE)
    while page is not None:
        yield list(page)
        page = page.next_page()


def _found(message: Any) -> Found:
    status = our_status(message.status)
    code = None if message.error_code is None else str(message.error_code)
    return Found(
        provider_id=message.sid,
        body=message.body or "",
        status=status,
        created_at=message.date_created,
        error_code=code,
        action=action_for(code) if status in FAILED else None,
    )


def _refusal(answer: Answer | None) -> ChannelError:
    if answer is None:
        return _problem("the Twilio library refused the call", code="library", action=Action.BUG)
    code = answer.code or str(answer.status)
    return _problem(
        f"Twilio answered HTTP {answer.status}, code {code} ({title_of(code)})",
        code=code,
        action=action_for(answer.code, http_status=answer.status),
        retry_after_seconds=answer.retry_after_seconds,
    )


def _network_problem(error: RequestException) -> ChannelError:
    cause = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, ConnectTimeout) or isinstance(cause, NewConnectionError):
        return _problem("Twilio could not be reached", code="unreachable", action=Action.RETRY_BACKOFF)
    if isinstance(cause, HandshakeError) and isinstance(cause.args[0], ssl.SSLCertVerificationError):
        return _problem("Twilio's certificate is not trusted here", code="certificate", action=Action.STOP_ALL)
    return _unknown("the connection to Twilio broke before an answer", code="no_answer")


def _unknown(message: str, *, code: str) -> ChannelError:
    return _problem(message, code=code, action=Action.RECONCILE)


def _problem(message: str, *, code: str, action: Action, retry_after_seconds: float | None = None) -> ChannelError:
    return ChannelError(
        message,
        permanent=is_permanent(action),
        code=code,
        action=action,
        retry_after_seconds=retry_after_seconds,
    )
