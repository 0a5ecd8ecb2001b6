"""The fake's calls to the app under test, signed like Twilio's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.fake_twilio.texts import Text

Post = Callable[[str, Mapping[str, str], Mapping[str, str]], tuple[int, str]]


def sign(url: str, form: Mapping[str, str], token: str) -> str:
    """Twilio's documented algorithm, written without Twilio's library so that the two check each other."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def post_over_http(url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, str]:
    """POST a form and return status and body; proxies of the environment are not used."""
    request = urllib.request.Request(url, data=urlencode(form).encode(), headers=dict(headers))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def post_to_flask(client: object) -> Post:
    """Post to a Flask test client instead of a socket."""

    def post(url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, str]:
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        response = client.post(target, data=dict(form), headers=dict(headers))
        return response.status_code, response.get_data(as_text=True)

    return post


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """Connection overrides: how often (`rc`, default 1) and after what (`rp`, default only when no connection came)."""

    count: int = 1
    after: frozenset[str] = frozenset({"ct"})

    @classmethod
    def of(cls, fragment: str) -> Retries:
        asked = dict(parse_qsl(fragment))
        return cls(count=int(asked.get("rc", "1")), after=frozenset(asked.get("rp", "ct").split(",")))

    def again(self, status: int) -> bool:
        """After this answer (0: none)?"""
        kind = "ct" if status == 0 else f"{status // 100}xx"
        return (status == 0 or status >= 400) and bool(self.after & {kind, "all"})


class Webhooks:
    """Calls `app_url`, signing with `public_url`: between the two sits the proxy that ends TLS."""

    def __init__(
        self, *, account_sid: str, auth_token: str, app_url: str | None, public_url: str | None, post: Post
    ) -> None:
        self._account_sid = account_sid
        self._auth_token = auth_token
        self.app_url = app_url
        self.public_url = public_url or app_url
        self._post = post
        self.inbound_url: str | None = None  # as configured at Twilio, with or without #rc=..&rp=..
        self.fallback_url: str | None = None
        self.tries: list[str] = []  # the idempotency token of each try, in order
        self._tries = itertools.count(1)

    def status(
        self, text: Text, status: str, *, error_code: int | None = None, token: str | None = None
    ) -> tuple[int, str] | None:
        """Report a status; None when the text asked for no callback or no app is known."""
        if text.status_callback is None or self.app_url is None:
            return None
        form = self._status_form(text, status)
        if error_code is not None:
            form["ErrorCode"] = str(error_code)
        return self._call(text.status_callback, form, token)

    def _status_form(self, text: Text, status: str) -> dict[str, str]:
        form = {
            "AccountSid": self._account_sid,
            "ApiVersion": "2010-04-01",
            "From": text.from_ or "",
            "MessageSid": text.sid,
            "MessageStatus": status,
            "SmsSid": text.sid,
            "SmsStatus": status,
            "To": text.to,
        }
        return form | ({"MessagingServiceSid": text.service} if text.service else {})

    def inbound(self, text: Text, *, opt_out_type: str | None = None, token: str | None = None) -> tuple[int, str]:
        """Hand an inbound text to the app. Returns status and TwiML."""
        form = {
            "AccountSid": self._account_sid,
            "ApiVersion": "2010-04-01",
            "Body": text.body,
            "From": text.from_ or "",
            "MessageSid": text.sid,
            "NumMedia": "0",
            "NumSegments": "1",
            "SmsMessageSid": text.sid,
            "SmsSid": text.sid,
            "SmsStatus": "received",
            "To": text.to,
            "ToCity": "",
        }
        if opt_out_type is not None:
            form["OptOutType"] = opt_out_type
        url = self.inbound_url or f"{self.public_url}/twilio/inbound"
        return self._call(url, form, token, fallback=self.fallback_url)

    def about_a_stranger(self, status: str, *, sid: str, attempt: str, token: str | None = None) -> tuple[int, str]:
        """A status of a text that this account never had."""
        form = {"AccountSid": self._account_sid, "MessageSid": sid, "MessageStatus": status}
        return self._call(f"{self.public_url}/twilio/status?attempt={attempt}", form, token)

    def _call(
        self, url: str, form: Mapping[str, str], token: str | None, fallback: str | None = None
    ) -> tuple[int, str]:
        """One call, its retries as the fragment of the URL asks for them, then the fallback."""
        retries = Retries.of(urlsplit(url).fragment)
        answer: tuple[int, str] = (0, "")
        for _ in range(retries.count + 1):
            try:
                answer = self._try(url, form, token)
            except OSError:
                answer = (0, "")
            if not retries.again(answer[0]):
                break
        if fallback is not None and not 200 <= answer[0] < 400:
            return self._try(fallback, form, token)
        if answer == (0, ""):
            raise ConnectionError("the app could not be reached")
        return answer

    def _try(self, url: str, form: Mapping[str, str], token: str | None) -> tuple[int, str]:
        parts, app = urlsplit(url), urlsplit(self.app_url or "")
        signed = parts._replace(fragment="").geturl()
        headers = {
            "X-Twilio-Signature": sign(signed, form, token or self._auth_token),
            "I-Twilio-Idempotency-Token": f"try-{next(self._tries)}",
        }
        self.tries.append(headers["I-Twilio-Idempotency-Token"])
        target = parts._replace(scheme=app.scheme, netloc=app.netloc, fragment="").geturl()
        return self._post(target, form, headers)
