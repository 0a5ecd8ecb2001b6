"""The life of an outgoing text: which status may follow which. docs/outbox.md draws this table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

QUEUED: Final = "queued"  # waits for its turn
SENDING: Final = "sending"  # the call is about to be made, under way, or was cut off
ACCEPTED: Final = "accepted"  # the provider has it
SENT: Final = "sent"  # the carrier has it
DELIVERED: Final = "delivered"
UNDELIVERED: Final = "undelivered"  # the carrier gave it back
UNCONFIRMED: Final = "unconfirmed"  # the provider has had it for its whole moment; nobody said what became of it
FAILED: Final = "failed"  # refused, or given up
UNKNOWN: Final = "unknown"  # nobody knows yet whether the provider has it
EXPIRED: Final = "expired"  # its moment passed
CANCELLED: Final = "cancelled"  # a person, a STOP or a hold took it back

# What a provider may say became of a text that it had, or may have had.
_REPORTED: Final = frozenset({SENT, DELIVERED, UNDELIVERED, FAILED, EXPIRED})

ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    QUEUED: frozenset({SENDING, CANCELLED, EXPIRED, FAILED}),
    # Back to queued only when the phone certainly has not got it: a definite refusal, now or later, or no call made.
    SENDING: _REPORTED | {QUEUED, ACCEPTED, UNKNOWN},
    ACCEPTED: _REPORTED | {QUEUED, UNCONFIRMED},
    SENT: _REPORTED - {SENT} | {QUEUED, UNCONFIRMED},
    UNKNOWN: _REPORTED | {QUEUED, ACCEPTED},
    DELIVERED: frozenset(),
    UNDELIVERED: frozenset(),
    UNCONFIRMED: frozenset(),
    FAILED: frozenset(),
    EXPIRED: frozenset(),
    CANCELLED: frozenset(),
}
TERMINAL: Final = frozenset(status for status, following in ALLOWED.items() if not following)

# What providers call it → what we call it. Words that are not here move nothing.
_OF_PROVIDER: Final[Mapping[str, str]] = {
    "accepted": ACCEPTED,
    "scheduled": ACCEPTED,
    "queued": ACCEPTED,
    "sending": ACCEPTED,
    "sent": SENT,
    "delivered": DELIVERED,
    "read": DELIVERED,
    "undelivered": UNDELIVERED,
    "failed": FAILED,
    "canceled": FAILED,
}


def may_move(from_status: str, to_status: str) -> bool:
    """Whether the table has this move."""
    return to_status in ALLOWED[from_status]


def of_provider(word: str) -> str | None:
    """A provider's status as one of ours; none for a word that says nothing about the text's way."""
    return _OF_PROVIDER.get(word)
