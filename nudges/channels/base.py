"""What a channel is: hand over one text, get back an acceptance, a refusal, or "nobody knows"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """One text to hand over.

    `to` and `sender` are E.164 (the sender may be a Messaging Service id); `attempt_id` comes back in the
    status callback; `validity_seconds` is how long the provider may hold the text (1 to 36,000).
    """

    to: str
    body: str
    attempt_id: str
    sender: str
    validity_seconds: int = 14_400


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The provider has taken the text; `provider_id` names it from now on."""

    provider_id: str
    status: str  # the provider's first status in our words: see outbound.status


class Action(StrEnum):
    """What a refusal asks of us. Provider codes are mapped to these in one table beside each client.

    outbound.refusals says what each of them does.
    """

    SUPPRESS = "suppress"  # the person has opted out: record it, never retry
    BLOCKED = "blocked"  # a carrier blocks us, perhaps for the person: stop as after an opt-out, and tell staff
    NUMBER_INVALID = "number_invalid"  # no such number any more, or somebody else's
    NUMBER_LANDLINE = "number_landline"  # cannot receive texts
    RETRY_BACKOFF = "retry_backoff"  # never processed: safe to try again after `retry_after_seconds`
    SLOW_DOWN = "slow_down"  # too fast for this sender: try again, at a lower pace
    RETRY_LATER = "retry_later"  # a passing fault: at most two more tries, hours apart, if still relevant
    RETRY_ONCE = "retry_once"  # the same, but one more try only
    PAUSE_LANE = "pause_lane"  # this sender is full or not ready: it rests for an hour
    CAPPED_TODAY = "capped_today"  # this sender has used up a carrier's day
    PAUSE_ALL = "pause_all"  # the account has used up an hour or a day: every sender rests
    STOP_LANE = "stop_lane"  # this sender is not allowed to text: keep its queue, alert the operator
    STOP_ALL = "stop_all"  # account or configuration: keep the queue, send nothing, alert the operator
    ALERT = "alert"  # do not retry, tell the operator
    ALERT_AND_REST = "alert_and_rest"  # the same, and this sender rests: the next text would fare no better
    FILTERED = "filtered"  # the words were filtered: do not retry; a step that it happens to again is held back
    HOLD = "hold"  # a code that nobody knows: do not retry, a person decides
    BREAK_LOOP = "break_loop"  # two machines answer each other: replies to this number rest, tell the operator
    BUG = "bug"  # our own mistake: do not retry, tell the operator
    EXPIRED = "expired"  # the provider held it past its validity
    RECONCILE = "reconcile"  # outcome unknown: look before anything else


class ChannelError(Exception):
    """A text was not accepted, or nobody knows whether it was.

    `permanent` means that the same call can never succeed. `code` is the provider's code as text, for
    logs and counts only. An unknown outcome has `action=Action.RECONCILE`.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        code: str,
        action: Action,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.code = code
        self.action = action
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A text that the provider remembers, as listed for reconciliation."""

    provider_id: str
    body: str
    status: str
    created_at: datetime
    error_code: str | None = None
    action: Action | None = None  # what a failure asks of us


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """A status callback in our words. `raw` keeps what came, for the record."""

    attempt_id: str | None
    provider_id: str
    status: str
    error_code: str | None
    action: Action | None
    raw: dict[str, str] = field(default_factory=dict)


class Channel(Protocol):
    """Sends texts and recognises what the provider says about them."""

    name: str

    def send(self, outgoing: Outgoing) -> Accepted:
        """Hand one text over. Raises ChannelError. Never called with a database session open."""
        ...

    def find_sent(self, to: str, *, since: datetime) -> Sequence[Found]:
        """Texts to `to` that the provider created at or after `since`, newest first. Raises ChannelError."""
        ...
