"""How instants, statuses and enumerations read on a page. Local time exists in the service only here."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Flask
from markupsafe import Markup

STATUS_WORDS = {
    "invited": "Waiting for their OK",
    "active": "Active",
    "paused": "Paused",
    "opted_out": "Stopped",
    "ended": "Ended",
}
DELIVERY_WORDS = {
    "queued": "Queued",
    "sending": "Sending",
    "accepted": "Handed over",
    "sent": "Sent",
    "delivered": "Delivered",
    "undelivered": "Not delivered",
    "unconfirmed": "Sent, no receipt",
    "failed": "Failed",
    "unknown": "Unknown",
    "expired": "Expired unsent",
    "cancelled": "Cancelled",
}
STANDING_WORDS = {
    "planned": "Next text planned",
    "awaiting": "Waiting for an answer or a date",
    "staff": "Waiting for you",
    "held": "Held",
    "paused": "Paused",
    "stopped": "Stopped",
    "said_goodbye": "Said goodbye",
}
TIER_WORDS = {
    "suicide_selfharm": "Suicide or self-harm",
    "harm_others": "Harm to others",
    "abuse_dv": "Abuse or fear at home",
    "overdose_poison": "Overdose or poisoning",
    "runaway_missing": "Child missing",
    "unsafe_behaviour": "Unsafe behaviour",
    "parent_distress": "Parent in distress",
}


def register(app: Flask) -> None:
    """Make the filters known to the templates."""
    for function in (moment, clock_time, day, date_words, stamp, input_moment, input_day, ago):
        app.add_template_filter(function)
    app.add_template_filter(lambda word: STATUS_WORDS.get(word, word), "status_words")
    app.add_template_filter(lambda word: DELIVERY_WORDS.get(word, word), "delivery_words")
    app.add_template_filter(lambda word: STANDING_WORDS.get(word, word), "standing_words")
    app.add_template_filter(lambda word: TIER_WORDS.get(word or "", "Needs a look"), "tier_words")


def _local(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone))


def moment(at: datetime, zone: str) -> Markup:
    """`Fri 7 Mar, 18:10` as a <time> element."""
    local = _local(at, zone)
    words = f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"
    return Markup('<time datetime="{}">{}</time>').format(at.astimezone(UTC).isoformat(), words)


def clock_time(at: datetime, zone: str) -> Markup:
    """`18:10`."""
    return Markup('<time datetime="{}">{}</time>').format(at.astimezone(UTC).isoformat(), f"{_local(at, zone):%H:%M}")


def day(at: datetime, zone: str) -> str:
    """`Friday 7 March 2025`."""
    local = _local(at, zone)
    return f"{local:%A} {local.day} {local:%B %Y}"


def date_words(on: date) -> str:
    """`Thu 27 Nov 2025`: a day that is the same in every zone."""
    return f"{on:%a} {on.day} {on:%b %Y}"


def stamp(at: datetime, zone: str) -> str:
    """`2025-03-07 18:10` for tables that people sort by eye."""
    return f"{_local(at, zone):%Y-%m-%d %H:%M}"


def input_moment(at: datetime, zone: str) -> str:
    """The value of an <input type=datetime-local>."""
    return f"{_local(at, zone):%Y-%m-%dT%H:%M}"


def input_day(at: datetime, zone: str) -> str:
    """The value of an <input type=date>."""
    return f"{_local(at, zone):%Y-%m-%d}"


def ago(at: datetime, now: datetime) -> str:
    """`4 min ago`, `3 h ago`, `2 days ago`; or `in 4 min` for what is to come."""
    gap = now - at
    words = _span(abs(gap))
    if words == "a moment":
        return "just now"
    return f"{words} ago" if gap >= timedelta() else f"in {words}"


def _span(gap: timedelta) -> str:
    minutes = int(gap.total_seconds() // 60)
    if minutes < 1:
        return "a moment"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} days"
