"""What the real API refuses by itself, without being told to."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{5,6}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
# Stricter than Twilio, which ignores names it does not know: a misspelt parameter must not pass a test.
KNOWN = frozenset({"To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ValidityPeriod"})


def fault_of(form: Mapping[str, str], opted_out: Collection[str]) -> int | None:
    """The error code for a create form, None for a good one."""
    if not form.keys() <= KNOWN:
        return 20001
    return _recipient_fault(form, opted_out) or _sender_fault(form) or _content_fault(form)


def _recipient_fault(form: Mapping[str, str], opted_out: Collection[str]) -> int | None:
    if not form.get("To"):
        return 21604
    if not _E164.fullmatch(form["To"]):
        return 21211
    blocked = form["To"] in opted_out and "MessagingServiceSid" not in form
    return 21610 if blocked else None  # a Messaging Service takes the text and fails it later


def _sender_fault(form: Mapping[str, str]) -> int | None:
    if "MessagingServiceSid" in form:
        return None if _SERVICE.fullmatch(form["MessagingServiceSid"]) else 21705
    if not form.get("From"):
        return 21603
    return None if _SENDER.fullmatch(form["From"]) else 21606


def _content_fault(form: Mapping[str, str]) -> int | None:
    if not form.get("Body"):
        return 21602
    if len(form["Body"]) > 1600:
        return 21617
    if not _is_validity(form.get("ValidityPeriod", "36000")):
        return 21624
    return None if _is_callback(form.get("StatusCallback")) else 21609


def is_bad_query(query: Mapping[str, str]) -> bool:
    """Whether a list cannot be made as asked."""
    pages_are_numbers = all(query.get(name, "1").isdecimal() for name in ("PageSize", "Page"))
    return (
        not pages_are_numbers
        or not 1 <= int(query.get("PageSize", "50")) <= 1000
        or int(query.get("Page", "0")) > 10**6
    )


def _is_validity(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) < 6 and 1 <= int(value) <= 36_000


def _is_callback(url: str | None) -> bool:
    if url is None:
        return True
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "_" not in (parts.hostname or "")
