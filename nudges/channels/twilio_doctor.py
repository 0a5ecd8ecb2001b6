"""What Twilio itself says about an account: credentials, the Messaging Service with its webhooks, its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests

from nudges.channels.provider import Remark
from nudges.channels.twilio_http import Endpoint, UnsafeEndpoint

WEBHOOK_OPTIONS: Final = (
    "#rc=2&rp=all&rt=4000&ct=2000"  # try again on errors and slow answers, not only on no connection
)
TIMEOUT_SECONDS: Final = 10.0
_SERVICES: Final = "https://messaging.twilio.com/v1/Services/"
_ACCOUNTS: Final = "https://api.twilio.com/2010-04-01/Accounts/"


def examine(
    *, account_sid: str, auth_token: str, service: str | None, api_base: str | None, webhooks: str, production: bool
) -> Iterator[Remark]:
    """Ask, and say what is well. `webhooks` is the address that ours begin with."""
    asking = _Asking((account_sid, auth_token), Endpoint(api_base=api_base, production=production))
    account = asking.get(f"{_ACCOUNTS}{account_sid}.json")
    yield from asking.credentials(account)
    if account is None or account.status_code != 200:
        return
    if service is not None:
        yield from asking.service(service, webhooks)
    else:
        yield _warn("twilio sender", "a single number: use a Messaging Service with Advanced Opt-Out")
    if api_base is not None:
        yield _warn(
            "TWILIO_API_BASE", f"{api_base} is asked instead of Twilio: no text reaches a phone unless it passes it on"
        )
    yield _warn(
        "10DLC",
        "cannot be seen from here: is the brand registered, is the campaign approved for this use case, are its "
        "numbers in the Messaging Service? Unregistered texts to the US are blocked (30034); T-Mobile takes 2,000 "
        "segments a day from an ordinary brand",
    )


def _ok(name: str, words: str, *, clock: datetime | None = None) -> Remark:
    return Remark(status="ok", name=name, words=words, clock=clock)


def _warn(name: str, words: str) -> Remark:
    return Remark(status="warn", name=name, words=words)


def _fail(name: str, words: str, *, clock: datetime | None = None) -> Remark:
    return Remark(status="fail", name=name, words=words, clock=clock)


class _Asking:
    """Questions to Twilio: read only, by https, or to a local fake."""

    def __init__(self, credentials: tuple[str, str], endpoint: Endpoint) -> None:
        self._credentials, self._endpoint = credentials, endpoint
        self.trouble = ""

    def get(self, url: str) -> requests.Response | None:
        """The answer, or none with `trouble` said."""
        try:
            return requests.get(
                self._endpoint.target(url),
                auth=self._credentials,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except (requests.RequestException, UnsafeEndpoint) as error:
            self.trouble = type(error).__name__
            return None

    def credentials(self, account: requests.Response | None) -> Iterator[Remark]:
        if account is None:
            yield _fail("twilio", f"cannot be reached ({self.trouble}): check the network and TWILIO_API_BASE")
            return
        clock = _http_date(account.headers["Date"]) if "Date" in account.headers else None
        if account.status_code in (401, 403, 404):
            words = "refuses TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN: copy both from the console's first page"
            yield _fail("twilio", words, clock=clock)
        elif account.status_code != 200:
            words = f"answers {account.status_code}: try again later, see status.twilio.com"
            yield _fail("twilio", words, clock=clock)
        elif _body(account).get("status", "active") != "active":
            yield _fail("twilio", "the account is suspended or closed: see the console", clock=clock)
        else:
            yield _ok("twilio", "accepts the credentials", clock=clock)

    def service(self, sid: str, webhooks: str) -> Iterator[Remark]:
        answer = self.get(f"{_SERVICES}{sid}")
        if answer is None or answer.status_code != 200:
            trouble = self.trouble if answer is None else answer.status_code
            yield _fail(
                "twilio service",
                f"TWILIO_MESSAGING_SERVICE_SID is not known there ({trouble}): copy it from the console",
            )
            return
        found = _body(answer)
        yield from _webhook(found, "inbound_request_url", f"{webhooks}/inbound{WEBHOOK_OPTIONS}")
        yield from _webhook(found, "fallback_url", f"{webhooks}/fallback")
        if found.get("status_callback"):
            yield _warn(
                "twilio status", "the service has a status callback of its own: leave it empty, each text names ours"
            )
        if found.get("use_inbound_webhook_on_number"):
            yield _fail(
                "twilio inbound",
                "the service leaves inbound texts to each number: choose “Send a webhook” for the service",
            )
        if found.get("smart_encoding"):
            yield _warn("twilio encoding", "Smart Encoding changes texts after they were signed off: switch it off")
        numbers = self.get(f"{_SERVICES}{sid}/PhoneNumbers")
        count = (
            len(_body(numbers).get("phone_numbers", ())) if numbers is not None and numbers.status_code == 200 else 0
        )
        yield (
            _ok("twilio numbers", f"{count} in the service")
            if count
            else _fail("twilio numbers", "the service has no number: add one")
        )


def _webhook(found: Mapping[str, Any], field: str, wanted: str) -> Iterator[Remark]:
    name = f"twilio {field.partition('_')[0]}"
    has = str(found.get(field) or "")
    if has == wanted:
        yield _ok(name, "is ours")
    elif has.partition("#")[0] == wanted.partition("#")[0]:
        yield _warn(name, f"has other retries than {wanted.partition('#')[2]}: a text that meets a restart may be lost")
    else:
        yield _fail(name, f"should be {wanted}; Twilio has {has or 'nothing'}")


def _body(answer: requests.Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _http_date(written: str) -> datetime:
    return parsedate_to_datetime(written).astimezone(UTC)
