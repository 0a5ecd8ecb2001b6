"""Whatever a parent does or a person decides, there is a next thing, and the thread says which."""

from __future__ import annotations

import pytest

from schedules import standing
from tests.core.streams import FAMILIES, KEYS, NO_CRISIS, OPEN, answering, stream
from tests.core.timelines import LIBRARY

CHICAGO = {"timezone": "America/Chicago", **OPEN}
OWNERS = {"counselor", "parent", "on call", "safeguarding lead"}


def stands(found):
    """The last event of a stream, which must be a legal standing."""
    last = found[-1]
    assert last["event"] == "standing"
    assert last["state"] in standing.STATES
    if last["state"] == "planned":
        assert last["next"]["at"] >= last["local"] and last["next"]["sequence"], last
        assert "nothing_pending" not in last.get("code", "")
    else:
        assert last["next"] is None and last["owner"] in OWNERS, last
    if last["state"] == "awaiting":
        assert last["by"] is not None, last
    return last


def steps(found):
    return [e["step"] for e in found if e["event"] == "send" and "reply_to" not in e]


def staff(found):
    return [e for e in found if e["event"] == "staff"]


def sent_on(found, step):
    return [e["local"][:10] for e in found if e["event"] == "send" and e.get("step") == step and "reply_to" not in e]


@pytest.fixture(autouse=True)
def nobody_is_left_without_anything(monkeypatch):
    """The daily duty would find no thread of these tests: `is_right` is true wherever the simulator looks."""
    known, wrong = standing.standing, []

    def checked(thread, policy, now):
        found = known(thread, policy, now)
        if not found.is_right:
            wrong.append(found)
        return found

    monkeypatch.setattr(standing, "standing", checked)
    yield
    assert wrong == []


# ------------------------------------------------------------------ what parents do

WAYS = {
    "never answers": "[]",
    "stops": "[{at: 2025-03-12T12:00, text: STOP}]",
    "stops and starts": "[{at: 2025-03-12T12:00, text: STOP}, {at: 2025-04-12T12:00, text: START}]",
    "pauses for three weeks": "[{at: 2025-03-12T12:00, text: PAUSE 3}]",
    "wants less": "[{at: 2025-03-04T12:00, text: LESS}]",
    "wants to be done": "[{at: 2025-03-12T12:00, text: DONE}]",
    "reports a hard moment": "[{at: 2025-03-12T12:00, text: HARD}]",
    "is held and nobody comes": "[{at: 2025-03-12T12:00, text: she wants to die}]",
    **{
        f"is held, then {path}": "[{at: 2025-03-12T12:00, text: she wants to die}, {at: 2025-03-20T12:00, staff: release, "
        f"path: {path}{', to: 2025-04-20T09:00' if path == 'rest' else ''}}}]"
        for path in ("aftercare", "resume", "rest", "finish")
    },
    "every session is cancelled": "["
    + ", ".join(f"{{at: 2025-03-04T12:00, staff: cancel, key: session, nth: {n}}}" for n in range(1, 7))
    + "]",
}


@pytest.mark.parametrize("way", WAYS)
def test_sequences_end_with_a_standing_whatever_the_parent_does(way):
    """Each way with a third of the sequences and combinations, the thirds in turn."""
    for keys in KEYS[list(WAYS).index(way) % 3 :: 3]:
        stands(stream(CHICAGO, NO_CRISIS, keys, acts=WAYS[way], days=90))


@pytest.mark.parametrize("seed", range(1, 5))
def test_random_answers_late_ones_and_two_digits_at_once_end_with_a_standing(seed):
    for n, keys in enumerate(KEYS[seed % 2 :: 2]):
        data, dates = list(FAMILIES.values())[(n + 3 * seed) % len(FAMILIES)]
        stands(stream(data, dates, keys, acts=answering(seed), days=120))


@pytest.mark.parametrize("key", LIBRARY.sequences)
def test_holds_pauses_and_cancellations_at_every_step_end_with_a_standing(key):
    """An hour after each text that a silent parent gets: the same stream, cut there by each of them."""
    dates = {**NO_CRISIS, "crisis_report": "2025-03-02T22:40"} if key == "AFTERCRISIS" else NO_CRISIS
    seen = steps(stream(CHICAGO, dates, (key,), days=60))
    for n, step in enumerate(dict.fromkeys(seen)):
        if "-" not in step:
            continue
        path = ("aftercare", "resume", "rest", "finish")[n % 4]
        to = ", to: 2025-06-20T09:00" if path == "rest" else ""
        for acts in (
            f'[{{on: {step}, after: 1h, text: "she wants to die"}}, {{at: 2025-05-20T12:00, staff: release, path: {path}{to}}}]',
            f"[{{on: {step}, after: 1h, text: PAUSE 3}}]",
            "["
            + ", ".join(f"{{on: {step}, after: 1h, staff: cancel, key: session, nth: {k}}}" for k in range(1, 7))
            + "]",
        ):
            stands(stream(CHICAGO, dates, (key,), acts=acts, days=110))


# ------------------------------------------------------------------ dead ends that were found, by name


def test_a_talk_whose_question_is_unanswered_leads_on():
    found = stream(CHICAGO, {}, ("TALK",), days=300)
    assert sent_on(found, "TK-4")[1:] and "OD-1" in steps(found)
    stands(found)


def test_a_talk_whose_question_is_answered_after_80_hours_finds_it():
    found = stream(CHICAGO, {}, ("TALK",), acts='[{on: TK-5, after: 80h, text: "1"}]', days=40)
    assert [e for e in found if e.get("effect") == "go"]
    stands(found)


def test_a_talk_whose_question_is_answered_with_two_digits_stays_open_for_one():
    acts = '[{on: TK-5, after: 1h, text: "1 2"}, {on: TK-5, after: 26h, text: "1"}]'
    found = stream(CHICAGO, {}, ("TALK",), acts=acts, days=40)
    assert [e for e in found if e.get("effect") == "go"]
    stands(stream(CHICAGO, {}, ("TALK",), acts='[{on: TK-5, after: 1h, text: "1 2"}]', days=300))


def test_a_pause_during_the_question_of_a_talk_brings_the_talk_again():
    found = stream(CHICAGO, {}, ("TALK",), acts="[{on: TK-5, after: 1h, text: PAUSE 3}]", days=60)
    assert len(sent_on(found, "TK-4")) >= 2 and len(sent_on(found, "TK-5")) >= 2
    stands(found)


def test_less_does_not_lose_a_check_in_to_its_weekly_cap():
    acts = "[{at: 2025-03-04T12:00, text: LESS}]"
    found = stream(CHICAGO, {}, ("DEMYST",), acts=acts, days=150)
    assert {"DM-1", "DM-5", "DM-8"} <= set(steps(found))
    stands(found)


def test_a_hold_longer_than_the_sequence_leaves_its_steps_for_afterwards():
    acts = "[{at: 2025-03-05T12:00, text: she wants to die}, {at: 2025-06-05T12:00, staff: release, talks: yes}]"
    found = stream(CHICAGO, {}, ("TALK",), acts=acts, days=150)
    assert [day for day in sent_on(found, "TK-2") if day > "2025-06-05"]
    assert [day for day in sent_on(found, "TK-4") if day > "2025-06-05"]
    stands(found)


def test_two_cancelled_sessions_are_a_persons_to_enter_anew():
    dates = {"session": ["2025-03-13T16:00", "2025-03-20T16:00"]}
    acts = "[{at: 2025-03-04T12:00, staff: cancel, nth: 1}, {at: 2025-03-04T12:00, staff: cancel, nth: 2}]"
    found = stream(CHICAGO, dates, ("DRIVE",), acts=acts, days=40)
    assert [e for e in staff(found) if "next session" in e["task"]]
    assert stands(found)["owner"] == "counselor"


def test_a_window_too_short_for_a_talk_is_a_persons_to_mend():
    found = stream({**CHICAGO, "calm_windows": {"sat": ["10:00-10:30"]}}, {}, ("TALK",), days=60)
    assert "TK-4" not in steps(found)
    assert [e for e in staff(found) if e["code"] == "parked no_window"]
    stands(found)


def test_office_hours_that_a_parent_at_work_never_has_lose_no_text():
    busy = {**CHICAGO, "busy_hours": {"mon-fri": ["09:00-17:30"]}}
    found = stream(busy, {}, ("RESOURCE",), days=120)
    assert "RS-1" in steps(found) or [e for e in staff(found) if "school" in e["task"]]
    stands(found)


@pytest.mark.parametrize(
    ("sequence", "step"),
    [("DEMYST", "DM-8"), ("OPENDOOR", "OD-4"), ("ALT", "AL-6"), ("CARE", "CA-5"), ("PATIENCE", "PA-9")],
)
def test_the_last_question_of_a_sequence_is_asked_of_quiet_parents_too(sequence, step):
    found = stream(CHICAGO, NO_CRISIS, (sequence,), days=420)
    assert step in steps(found)
    stands(found)


def test_the_third_refusal_in_patience_opens_the_door_or_goes_to_a_person():
    digits = {s.id: d for s in LIBRARY.sequences["PATIENCE"].steps for d, a in s.answers.items() if _refuses(a)}
    assert digits
    acts = "[" + ", ".join(f'{{on: {s}, every: true, after: 1h, text: "{d}"}}' for s, d in digits.items()) + "]"
    found = stream(CHICAGO, NO_CRISIS, ("PATIENCE",), acts=acts, days=120)
    third = [e for e in found if e.get("effect") == "refusal"][2]
    after = [e for e in found if e["at"] == third["at"] and e["event"] in ("state", "staff")]
    assert after
    stands(found)


def _refuses(answer):
    return any(effect.verb == "refusal" for effect in answer.then)


def test_match_lasts_until_its_third_visit():
    late = {"session": [f"2025-{day}T16:00" for day in ("02-20", "02-27", "04-20", "05-20", "06-20", "07-20")]}
    found = stream(CHICAGO, late, ("MATCH",), days=160)
    assert {"MA-1", "MA-2", "MA-3"} <= set(steps(found))
    stands(found)


def test_where_things_stand_is_asked_beside_care():
    acts = '[{on: ON-2, after: 1h, text: "1"}, {on: ON-3, after: 1h, text: "1"}]'
    found = stream(CHICAGO, {}, ("ONBOARD", "CARE"), acts=acts, days=40)
    assert "ON-5" in steps(found)
    stands(found)


def test_an_unsettled_question_is_no_promise_of_the_text_that_waits_behind_it():
    """ON-4 waits for ON-3, which nobody may ask before ON-2 is settled: nothing is planned, a person is asked."""
    found = stream(CHICAGO, {}, ("ONBOARD",), days=45)
    last = stands(found)
    assert set(steps(found)) == {"ON-1", "ON-2"}
    assert last["state"] in ("staff", "awaiting")


def test_a_goodbye_is_said_where_nothing_follows():
    found = stream(CHICAGO, {}, ("OPENDOOR",), days=500)
    assert "goodbye_for_now" in steps(found)
    last = stands(found)
    assert last["state"] == "said_goodbye"
