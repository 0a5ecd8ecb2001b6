"""`python -m nudges drill`: says which program, sends its own page where no service runs, and fails loudly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from nudges.cli import drill as command
from nudges.families.staff import set_on_call
from tests.support import factories


@pytest.fixture
def run(wiring, monkeypatch):
    """Runs the command on the test's own service."""
    monkeypatch.setattr(command, "ready", lambda: replace(wiring))
    monkeypatch.setattr(command.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(type(wiring.engine), "dispose", lambda self, close=True: None)

    def _run(*arguments: str) -> Result:
        return CliRunner().invoke(command.drill, ["--wait", "0", *arguments])

    return _run


def test_without_a_program_it_says_how_to_make_one(run) -> None:
    result = run()
    assert result.exit_code == 1
    assert "create-admin" in result.output


def test_it_pages_whoever_is_on_call_and_says_that_nobody_has_answered(run, sessions, people, channel, now) -> None:
    with sessions.begin() as session:
        set_on_call(session, session.merge(people.ana), phone="+13125550161", rank=1, by="system:test", now=now)
    result = run()
    assert "No service is running beside this command" in result.output
    assert "seen as                 crisis" in result.output
    assert "page handed over after  0.0 s" in result.output
    assert "acknowledged after      by nobody yet" in result.output
    assert result.exit_code == 1
    assert [("DRILL" in text.body, text.to) for text in channel.sent] == [(True, "+13125550161")]


def test_with_nobody_on_call_it_says_so(run, people) -> None:
    assert "nobody is on call" in run().output


def test_a_name_that_there_is_not_lists_those_that_there_are(run, people) -> None:
    result = run("--program", "Nowhere")
    assert result.exit_code == 1
    assert people.program.name in result.output


def test_with_two_programs_it_asks_which(run, sessions, people, now) -> None:
    with sessions.begin() as session:
        factories.a_program(session, now=now, name="Second", sender="+13125550199")
    assert "--program" in run().output
    assert "under way" in run("--program", "Second").output
