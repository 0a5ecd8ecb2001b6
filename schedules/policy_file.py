"""A program's own numbers over the defaults of the pacing rules: all faults at once, each with its mend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import time
from typing import Any

from schedules import profile as families
from schedules.policy import DEFAULT, WALL, Policy
from schedules.values import Span, Week

_MOST = 10_000  # no number of this policy has a meaning beyond: days, hours or minutes
_AT_LEAST_ONE = (
    "cap_week_days",
    "event_week",
    "talk_tries",
    "date_days",
    "tell_again_days",
    "gate_asks",
    "says_a_year",
    "silence_monthly_days",
    "silence_answer_days",
    "reply_window_hours",
    "reask_hours",
    "ttl_followup_hours",
    "ttl_default_days",
    "ttl_resource_days",
    "ttl_reply_hours",
    "volume_less_week",
    "volume_more_week",
    "break_streak",
    "break_pulse_days",
    "conversation_hours",
    "closed_days",
    "stop_notice_days",
    "idea_rungs",
)


class PolicyError(ValueError):
    """The overrides have faults; `faults` lists all of them."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def parse(overrides: Mapping[str, Any], *, where: str = "policy") -> Policy:
    """Defaults with `overrides` laid over. Raises PolicyError with all faults, each with its mend."""
    if not isinstance(overrides, Mapping):
        raise PolicyError([f"{where}: should be a mapping of policy keys, such as talk_gap_days: 10"])
    faults: list[str] = []
    values: dict[str, Any] = {}
    known = {f.name: f for f in fields(Policy)}
    for key, raw in overrides.items():
        if key not in known:
            faults.append(f"{where}: unknown key {key!r}; known keys are {', '.join(sorted(known))}")
            continue
        try:
            values[key] = _read(getattr(DEFAULT, key), raw)
        except families.Fault as fault:
            faults.append(f"{where}: {key}: {fault}")
    if not faults:
        policy = Policy(**values)
        faults = [f"{where}: {fault}" for fault in _contradictions(policy)]
    if faults:
        raise PolicyError(faults)
    return policy


def _read(default: Any, raw: Any) -> Any:
    """Read an override in the form of its default."""
    if isinstance(default, int):
        return _whole_number(raw)
    if isinstance(default, time):
        return families.clock(raw)
    if isinstance(default, Span):
        return families.span(raw)
    if isinstance(default, Mapping):
        return _states(raw)
    if default and isinstance(default[0], str):
        return tuple(str(item) for item in families.items(raw))
    if default and isinstance(default[0], int):
        return tuple(_whole_number(item) for item in families.items(raw))
    return families.by_weekday(raw, families.spans, ())


def _states(raw: Any) -> dict[str, Week]:
    if not isinstance(raw, Mapping):
        raise families.Fault("write a mapping from a state's two letters to its hours")
    return {str(k).upper(): families.by_weekday(v, families.spans, ()) for k, v in raw.items()}


def _whole_number(raw: Any) -> int:
    try:
        number = int(str(raw))
    except ValueError:
        number = -1
    if not 0 <= number <= _MOST:
        raise families.Fault(f"{raw!r} should be a whole number from 0 to {_MOST}")
    return number


def _contradictions(policy: Policy) -> list[str]:
    checks = (
        (
            policy.lead_least_minutes <= policy.lead_minutes <= policy.lead_most_minutes,
            "lead_minutes should lie between lead_least_minutes and lead_most_minutes",
        ),
        (1 <= policy.cap_week <= 3, "cap_week should be 1, 2 or 3: more texts help nobody"),
        (policy.cap_day == 1, "cap_day should be 1"),
        (policy.active_sequences >= 1, "active_sequences should be 1 or more"),
        (policy.window_least_minutes >= 1, "window_least_minutes should be 1 or more"),
        (
            5 < policy.moment_least_minutes <= 60,
            "moment_least_minutes should be 6 to 60: a beat may come five minutes late",
        ),
        (policy.gap_hours >= 20, "gap_hours should be 20 or more"),
        (policy.step_minutes in (1, 5, 10, 15), "step_minutes should be 1, 5, 10 or 15"),
        (
            policy.outer_wall.start >= WALL.start and policy.outer_wall.end <= WALL.end,
            "outer_wall should lie inside 08:00-21:00",
        ),
        (any(policy.contact_hours), "contact_hours should leave some time on some day"),
        (len(policy.notyet_days) >= 1, "notyet_days should hold at least one wait"),
        (
            1 <= policy.silence_halve_after <= policy.silence_monthly_after <= policy.silence_ask_after,
            "silence_halve_after, silence_monthly_after and silence_ask_after should be 1 or more, in this order",
        ),
        *((getattr(policy, name) >= 1, f"{name} should be 1 or more") for name in _AT_LEAST_ONE),
    )
    return [message for holds, message in checks if not holds]
