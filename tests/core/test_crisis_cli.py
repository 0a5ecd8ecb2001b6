"""`python -m nudges screen`: one JSON line in, one out, whatever is in it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from nudges.cli.screen import screen


def run(*lines: str, options: tuple[str, ...] = ()) -> list[dict]:
    result = CliRunner().invoke(screen, options, input="\n".join(lines))
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_answers_come_in_the_order_of_the_lines() -> None:
    first, second, third = run(
        '{"text": "she wants to kill herself"}', '{"text": "STOP"}', '{"text": "mi hija se quiere matar"}'
    )
    assert (first["level"], first["tier"], first["severity"]) == ("crisis", "suicide_selfharm", 3)
    assert first["reply"].startswith("Call 988 now.")
    assert second == {"level": "ordinary", "tier": None, "severity": 0, "why": second["why"], "reply": None}
    assert third["reply"].startswith("Llame al 988 ahora.")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{not json", "not JSON"),
        ('["text"]', '"text"'),
        ('{"text": 5}', '"text"'),
        ('{"text": "hi", "recent": "no"}', '"recent"'),
        ('{"text": "hi", "open_episode": "yes"}', '"open_episode"'),
    ],
)
def test_a_line_that_cannot_be_read_says_why_and_the_next_one_is_answered(line: str, told: str) -> None:
    wrong, fine = run(line, '{"text": "ok"}')
    assert told in wrong["error"] and wrong["line"] == 1
    assert fine["level"] == "ordinary"


def test_context_given_on_the_line_is_used() -> None:
    (joined,) = run('{"text": "ll herself", "recent": ["she wants to ki"]}')
    assert joined["level"] == "crisis"


def test_language_and_country_can_be_set() -> None:
    (said,) = run('{"text": "she wants to kill herself"}', options=("--lang", "es", "--country", "XX"))
    assert "su numero local de emergencias" in said["reply"] and "988" not in said["reply"]
