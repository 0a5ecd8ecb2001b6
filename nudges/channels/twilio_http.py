"""The one place where a request to Twilio leaves the process: which host, by which scheme, and what came back."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from twilio.http.http_client import TwilioHttpClient  # type: ignore[import-untyped]  # ships no types
from twilio.http.response import Response  # type: ignore[import-untyped]  # ships no types

from nudges.channels.provider import is_loopback

# Both write URLs, and the URL of a list call holds a parent's number.
_LOGGERS_THAT_SHOW_NUMBERS: Final = ("twilio.http_client", "urllib3.connectionpool")


class UnsafeEndpoint(RuntimeError):
    """A request would have left for a place that this configuration forbids. Nothing was sent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where requests may go.

    `api_base` (scheme and host, e.g. http://127.0.0.1:9010) replaces Twilio's own; None leaves it. In
    production everything is https; elsewhere a given `api_base` must be this machine, so that a test or
    a demo cannot text a real parent by a slip in a variable.
    """

    api_base: str | None
    production: bool

    def __post_init__(self) -> None:
        if self.api_base is not None:
            self._check(self.api_base)

    def target(self, url: str) -> str:
        """`url` as it may be called. Raises UnsafeEndpoint."""
        if self.api_base is not None:
            base = urlsplit(self.api_base)
            url = urlsplit(url)._replace(scheme=base.scheme, netloc=base.netloc).geturl()
        self._check(url)
        return url

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        local = is_loopback(parts.hostname)
        if self.production and parts.scheme != "https":
            raise UnsafeEndpoint(f"in production Twilio is called by https only, not {parts.scheme or 'no'}://")
        if not self.production and self.api_base is not None and not local:
            raise UnsafeEndpoint(
                f"outside production the Twilio API base must be this machine, not {parts.hostname or 'no host'}; "
                "give e.g. http://127.0.0.1:9010",
            )
        if parts.scheme != "https" and not (local and parts.scheme == "http"):
            raise UnsafeEndpoint("Twilio is called by https; plain http is for this machine only")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The parts of an HTTP answer that decide. The SDK's exceptions drop the headers and, for lists, the code."""

    status: int
    code: str | None
    retry_after_seconds: float | None


class GuardedHttpClient(TwilioHttpClient):  # type: ignore[misc]  # the base class ships no types
    """Twilio's HTTP client behind the guard. `answer` is the last answer, None until one has come.

    Each call makes its own connection. Nudges leave minutes apart; a kept connection that a router has
    meanwhile dropped would break *after* the request was written, and a text whose fate nobody knows
    must not be sent again. A handshake is cheaper than a lost text.
    """

    def __init__(self, endpoint: Endpoint, *, timeout_seconds: float) -> None:
        super().__init__(timeout=timeout_seconds)
        self.endpoint = endpoint
        self.answer: Answer | None = None
        self.session.trust_env = False  # no proxy and no netrc slip in by the environment
        self.session.headers["Connection"] = "close"
        for name in _LOGGERS_THAT_SHOW_NUMBERS:
            logging.getLogger(name).setLevel(logging.WARNING)

    def request(
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Make the call at the permitted place. Raises UnsafeEndpoint and what `requests` raises."""
        self.answer = None
        response = super().request(
            method, self.endpoint.target(url), params, data, headers, auth, timeout, allow_redirects
        )
        self.answer = _answer(response.status_code, response.text, response.headers)
        return response


def _answer(status: int, text: str, headers: Mapping[str, str]) -> Answer:
    return Answer(status=status, code=_code(text), retry_after_seconds=_seconds(headers.get("Retry-After")))


def _code(text: str) -> str | None:
    """The provider's code, in its old error form and in RFC 9457's; None for a page of a proxy."""
    try:
        payload: Any = json.loads(text)
    except ValueError:
        return None
    code = payload.get("code") if isinstance(payload, dict) else None
    return None if code is None else str(code)


def _seconds(value: str | None) -> float | None:
    # The header may also be a date; the caller's own back-off serves as well as reading a clock here.
    return float(value) if value is not None and value.isascii() and value.isdigit() else None
