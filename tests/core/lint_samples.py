"""A small sequence to try the lint on: one step, whose texts and keys a test changes."""

from __future__ import annotations

from datetime import date
from typing import Any

import yaml

from schedules.lint import lint
from schedules.lint.findings import Finding

TODAY = date(2026, 11, 22)
GOOD_TEXT = {
    "en": "A calm time is near. Only if it feels right, ask one small thing and then listen.",
    "es": "Viene un rato tranquilo. Solo si le parece, haga una pregunta corta y luego escuche.",
    "discreet_en": "A calm time is near. Only if it feels right, start that talk and then listen.",
    "discreet_es": "Viene un rato tranquilo. Solo si le parece, empiece esa charla y luego escuche.",
}
GOOD_QUESTION = {
    "en": "How was this week at home?\n1 closer\n2 the same\n3 harder",
    "es": "¿Qué tal la semana en casa?\n1 mejor\n2 igual\n3 más duro",
    "discreet_en": "How was this week at home?\n1 closer\n2 the same\n3 harder",
    "discreet_es": "¿Qué tal la semana en casa?\n1 mejor\n2 igual\n3 más duro",
}
ANSWERS = {digit: {"means": "so", "then": ["next"]} for digit in "123"}


def step(**changes: Any) -> dict[str, Any]:
    """A talk that no rule objects to, with `changes`; `text` may be a few of the four forms."""
    good = {
        "id": "ZZ-1",
        "when": "day 1, window",
        "kind": "talk",
        "topic": "therapy",
        "intent": "a calm try",
        "seeds": ["T-TONE-1"],
    }
    text = GOOD_TEXT | changes.pop("text", {})
    return good | changes | {"text": text}


def tip(**text: str) -> dict[str, Any]:
    return step(kind="tip", when="day 1", text=text)


def question(**changes: Any) -> dict[str, Any]:
    text = GOOD_QUESTION | changes.pop("text", {})
    return step(**({"kind": "checkin", "when": "day 1", "answers": ANSWERS} | changes), text=text)


def sequence(*steps: dict[str, Any], **changes: Any) -> str:
    """The YAML of a sequence of `steps`."""
    whole = {"key": "ZEST", "title": "A try", "purpose": "To try the lint.", "at_most": "2 a week"}
    return yaml.safe_dump(whole | changes | {"steps": list(steps)}, sort_keys=False, allow_unicode=True, width=1000)


def findings(*steps: dict[str, Any], **changes: Any) -> list[Finding]:
    return lint.check(sequence(*steps, **changes), name="zest.yaml", today=TODAY)


def rules(found: list[Finding], severity: str | None = None) -> set[str]:
    return {finding.rule for finding in found if severity in (None, finding.severity)}
