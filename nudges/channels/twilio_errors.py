"""What a Twilio error code asks of us: one table (`error_actions.json`), read by both doors, create and callback.

Twilio's own specification says that codes may change, so the HTTP status decides first and a code that
the table does not know is held for a person instead of being guessed at.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, TypedDict

from nudges.channels.base import Action


class _Row(TypedDict):
    title: str
    action: str


_ROWS: Final[dict[str, _Row]] = json.loads(Path(__file__).with_name("error_actions.json").read_text(encoding="utf-8"))[
    "codes"
]

ACTION_OF_WORD: Final[dict[str, Action]] = {
    "suppress_recipient": Action.SUPPRESS,
    "suppress_and_review": Action.BLOCKED,
    "mark_number_invalid": Action.NUMBER_INVALID,
    "mark_number_landline": Action.NUMBER_LANDLINE,
    "retry_backoff": Action.RETRY_BACKOFF,
    "slow_down_and_retry": Action.SLOW_DOWN,
    "retry_later": Action.PAUSE_LANE,  # a full queue: slow down, then resend
    "retry_later_limited": Action.RETRY_LATER,
    "pause_sender": Action.PAUSE_LANE,
    "pause_all_and_alert": Action.PAUSE_ALL,
    "stop_all_and_alert": Action.STOP_ALL,
    "stop_sender_and_alert": Action.STOP_LANE,
    "alert_no_retry": Action.ALERT,
    "alert_operator": Action.ALERT,
    "break_loop_and_alert": Action.BREAK_LOOP,
    "bug_no_retry": Action.BUG,
    "resend_if_still_relevant": Action.EXPIRED,
    "reconcile_then_retry": Action.RECONCILE,
    "accept_state": Action.RECONCILE,  # too late to cancel: the state at Twilio is the truth
}

# Where the table's `detail` asks for more than its word says.
ACTION_OF_CODE: Final[dict[str, Action]] = {
    "21606": Action.ALERT_AND_REST,  # wrong sender, or a number that is being ported: pause the sender
    "30007": Action.FILTERED,  # pause that template when it repeats
    "30008": Action.RETRY_ONCE,  # one retry
    "30023": Action.CAPPED_TODAY,  # until midnight in US Pacific
    "30027": Action.CAPPED_TODAY,
}

_ACCOUNT_CAPS: Final = frozenset({"60728", "63038"})  # seen with HTTP 429, where seconds do not help
_PERMANENT: Final = frozenset(
    {Action.SUPPRESS, Action.BLOCKED, Action.NUMBER_INVALID, Action.NUMBER_LANDLINE, Action.BUG},
)


def action_for(code: int | str | None, *, http_status: int | None = None) -> Action:
    """Say what to do about `code`; with `http_status` for the answer to a call, without for a callback.

    Never raises: an unknown code is `HOLD`.
    """
    word = None if code is None else str(code)
    if http_status is not None:
        return _action_for_answer(word, http_status)
    return _action_in_table(word)


def _action_for_answer(code: str | None, http_status: int) -> Action:
    if http_status == 429:
        return _action_in_table(code) if code in _ACCOUNT_CAPS else Action.RETRY_BACKOFF
    if not 400 <= http_status < 500 or http_status == 408:
        return Action.RECONCILE  # neither an acceptance nor a refusal: creating is not idempotent
    if http_status == 401 and code not in _ROWS:
        return Action.STOP_ALL
    return _action_in_table(code)


def _action_in_table(code: str | None) -> Action:
    row = _ROWS.get(code) if code is not None else None
    if code is None or row is None:
        return Action.HOLD
    return ACTION_OF_CODE.get(code) or ACTION_OF_WORD[row["action"]]


def is_permanent(action: Action) -> bool:
    """Whether the same call can never succeed: the person, the number or our own request must change."""
    return action in _PERMANENT


def title_of(code: int | str | None) -> str:
    """The code in a few words, for a log line or a page; never holds a number or a text."""
    row = _ROWS.get(str(code))
    return "unknown code" if row is None else row["title"]
