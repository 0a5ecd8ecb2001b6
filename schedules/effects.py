"""The words in which authors say what an answer does. One table: pattern, arguments, meaning.

Source: the effects of content.md §2.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from schedules.values import Effect


class EffectError(ValueError):
    """Words that are no effect; the message says what would be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verb:
    """One effect. `written` shows the form; `pattern` captures its arguments."""

    name: str
    written: str
    pattern: re.Pattern[str]


_STEP = r"([A-Z]{2}-[A-Z0-9]+)"
_SEQ = r"([A-Z]{3,12})"
_N = r"(\d{1,3})"


def _verb(name: str, written: str, pattern: str) -> Verb:
    return Verb(name=name, written=written, pattern=re.compile(pattern))


VERBS: tuple[Verb, ...] = (
    _verb("next", "next", r"next"),
    _verb("wait", "wait N days", rf"wait {_N} days?"),
    _verb("cool", "cool down", r"cool down"),
    _verb("cool_talks", "cool down N hours", rf"cool down {_N} hours?"),
    _verb("soften", "soften", r"soften"),
    _verb("stretch", "stretch", r"stretch"),
    _verb("not_yet", "not yet STEP", rf"not yet(?: {_STEP})?"),
    _verb("again", "again STEP", rf"again {_STEP}"),
    _verb("again_after", "again STEP after N sessions", rf"again {_STEP} after {_N} sessions?"),
    _verb("ask_again", "ask again STEP [in N hours]", rf"ask again {_STEP}(?: in {_N} hours?)?"),
    _verb("ask_again_days", "ask again STEP in N days", rf"ask again {_STEP} in {_N} days?"),
    _verb("go", "go STEP", rf"go {_STEP}"),
    _verb("ask", "ask STEP", rf"ask {_STEP}"),
    _verb("reply", "reply STEP", rf"reply {_STEP}"),
    _verb("withdraw", "withdraw STEP", rf"withdraw {_STEP}"),
    _verb("next_window", "send STEP at the next window", rf"send {_STEP} at the next window"),
    _verb("move_every", "move SEQUENCE one in N days", rf"move {_SEQ} one in {_N} days"),
    _verb("move", "move SEQUENCE [at STEP]", rf"move {_SEQ}(?: at {_STEP})?"),
    _verb("start", "start SEQUENCE [at STEP]", rf"start {_SEQ}(?: at {_STEP})?"),
    _verb("offer", "offer SEQUENCE", rf"offer {_SEQ}"),
    _verb("talk_gap", "talk gap N days", rf"talk gap {_N} days?"),
    _verb("pulse", "pulse closer|same|harder", r"pulse (closer|same|harder)"),
    _verb("pulse_every", "pulse every N days", rf"pulse every {_N} days?"),
    _verb("widen_pulse", "widen pulse", r"widen pulse"),
    _verb("gate_wait", "gate wait N days", rf"gate wait {_N} days?"),
    _verb("staff", "staff p1|p2|p3: words", r"staff p([123]): (.+)"),
    _verb("hold", "hold", r"hold"),
    _verb("safety_hold", "safety hold", r"safety hold"),
    _verb("crisis", "crisis", r"crisis"),
    _verb("faq", "faq FAQ-NN", r"faq (FAQ-\d\d)"),
    _verb("exit", "exit words", r"exit(?: (.+))?"),
    _verb("discreet_on", "set discreet on", r"set discreet on"),
    _verb("stage", "set stage X", r"set stage ([a-z_]+)"),
    _verb("windows", "set windows", r"set windows"),
    _verb("reason", "set reason", r"set reason"),
    _verb("ask_date", "ask date session|review|consult|visit", r"ask date (session|review|consult|visit)"),
    _verb("refusal", "count refusal", r"count refusal"),
    _verb("child_led", "child led", r"child led"),
    _verb("streak_0", "streak 0", r"streak 0"),
    _verb("score", "score 0|1|2", r"score ([012])"),
    _verb("judge", "judge N STEP, N STEP, 0 STEP", rf"judge {_N} {_STEP}, {_N} {_STEP}, 0 {_STEP}"),
    _verb("rung", "rung up|same|shorter|down", r"rung (up|same|shorter|down)"),
    _verb("lower_pace", "lower pace N days", rf"lower pace {_N} days?"),
    _verb("ask_for_gate", "ask for the gate", r"ask for the gate"),
    _verb("to_choice", "move the talk to this choice", r"move the talk to this choice"),
    _verb("not_this_week", "not this week", r"not this week"),
    _verb("thin_line", "keep the door open", r"keep the door open"),
)


def parse(written: str) -> Effect:
    """Read one effect. Raises EffectError naming the forms that begin alike, or all of them."""
    words = " ".join(written.split())
    for verb in VERBS:
        if match := verb.pattern.fullmatch(words):
            args = tuple(arg for arg in match.groups() if arg is not None)
            return Effect(verb=verb.name, args=args, written=words)
    first = words.split(" ", 1)[0]
    near = [v.written for v in VERBS if v.written.split(" ", 1)[0] == first] or [v.written for v in VERBS]
    raise EffectError(f'"{words}" is not an effect; write one of: {" · ".join(near)}')
