from __future__ import annotations

import json
from pathlib import Path

import pytest

import nudges.channels.twilio_errors as twilio_errors
from nudges.channels.base import Action
from nudges.channels.twilio_errors import ACTION_OF_CODE, ACTION_OF_WORD, action_for, is_permanent, title_of

TABLE = json.loads(
    Path(twilio_errors.__file__).with_name("error_actions.json").read_text(encoding="utf-8"),
)["codes"]


def test_the_table_and_the_words_match_exactly() -> None:
    assert {row["action"] for row in TABLE.values()} == set(ACTION_OF_WORD)


@pytest.mark.parametrize("code", sorted(TABLE))
def test_each_code_of_the_table_has_its_action_in_a_callback(code: str) -> None:
    expected = ACTION_OF_CODE.get(code) or ACTION_OF_WORD[TABLE[code]["action"]]
    assert action_for(code) is expected
    assert action_for(int(code)) is expected
    assert title_of(code) == TABLE[code]["title"]


@pytest.mark.parametrize("code", sorted(code for code in TABLE if code != "20003"))
def test_each_code_of_the_table_has_its_action_in_a_refusal(code: str) -> None:
    expected = ACTION_OF_CODE.get(code) or ACTION_OF_WORD[TABLE[code]["action"]]
    assert action_for(code, http_status=400) is expected


# Written out by hand, so that a wrong row in the table is caught and not repeated.
CRITICAL = [
    ("21610", Action.SUPPRESS),
    ("30004", Action.BLOCKED),
    ("21211", Action.NUMBER_INVALID),
    ("30005", Action.NUMBER_INVALID),
    ("21614", Action.NUMBER_LANDLINE),
    ("30006", Action.NUMBER_LANDLINE),
    ("30003", Action.RETRY_LATER),
    ("30008", Action.RETRY_ONCE),
    ("30036", Action.EXPIRED),
    ("21611", Action.PAUSE_LANE),
    ("63038", Action.PAUSE_ALL),
    ("30023", Action.CAPPED_TODAY),
    ("30022", Action.SLOW_DOWN),
    ("20003", Action.STOP_ALL),
    ("30034", Action.STOP_LANE),
    ("30007", Action.FILTERED),
    ("21617", Action.BUG),
]


@pytest.mark.parametrize(("code", "action"), CRITICAL)
def test_the_codes_that_touch_families_do_what_they_must(code: str, action: Action) -> None:
    assert action_for(code) is action


@pytest.mark.parametrize("code", [99999, "nonsense", "", None])
def test_an_unknown_code_is_held_for_a_person(code: int | str | None) -> None:
    assert action_for(code) is Action.HOLD
    assert action_for(code, http_status=400) is Action.HOLD
    assert not is_permanent(Action.HOLD)
    assert title_of(code) == "unknown code"


STATUS_FIRST = [
    pytest.param(500, 20500, Action.RECONCILE, id="server-error"),
    pytest.param(503, None, Action.RECONCILE, id="page-of-a-proxy"),
    pytest.param(500, 21610, Action.RECONCILE, id="a-code-does-not-outweigh-a-5xx"),
    pytest.param(302, None, Action.RECONCILE, id="redirect"),
    pytest.param(408, None, Action.RECONCILE, id="request-time-out"),
    pytest.param(429, 20429, Action.RETRY_BACKOFF, id="too-many"),
    pytest.param(429, None, Action.RETRY_BACKOFF, id="too-many-without-code"),
    pytest.param(429, 21610, Action.RETRY_BACKOFF, id="too-many-with-a-stray-code"),
    pytest.param(429, 63038, Action.PAUSE_ALL, id="daily-cap-as-429"),
    pytest.param(429, 60728, Action.PAUSE_ALL, id="hourly-cap-as-429"),
    pytest.param(401, None, Action.STOP_ALL, id="no-credentials-and-no-code"),
    pytest.param(401, 20003, Action.STOP_ALL, id="bad-credentials"),
    pytest.param(403, None, Action.HOLD, id="forbidden-without-code"),
]


@pytest.mark.parametrize(("http_status", "code", "action"), STATUS_FIRST)
def test_the_http_status_decides_before_the_code(http_status: int, code: int | None, action: Action) -> None:
    assert action_for(code, http_status=http_status) is action


def test_only_the_person_the_number_or_our_own_request_make_a_refusal_permanent() -> None:
    permanent = {action for action in Action if is_permanent(action)}
    assert permanent == {
        Action.SUPPRESS,
        Action.BLOCKED,
        Action.NUMBER_INVALID,
        Action.NUMBER_LANDLINE,
        Action.BUG,
    }
