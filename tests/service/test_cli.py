"""The commands that an installation starts with."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from nudges.cli.main import main
from nudges.config import load
from nudges.families import staff
from nudges.upkeep import versions
from nudges.wiring import build
from tests.support.factories import PASSWORD


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("NUDGES_DATABASE_URL", f"sqlite:///{tmp_path}/new/nudges.sqlite3")
    monkeypatch.setenv("NUDGES_SPOOL_DIR", str(tmp_path / "spool"))

    def invoke(*words, **options):
        return CliRunner().invoke(main, list(words), **options)

    return invoke


def admin(run, **options):
    asked = {"name": "Dee", "email": "dee@clinic.example", "password": PASSWORD, "program": "Riverbend", **options}
    return run("create-admin", *(word for key, value in asked.items() for word in (f"--{key}", value)))


def test_migrate_makes_the_database_and_its_folder(run):
    assert versions.head() in run("migrate").output


def test_doctor_before_the_database_says_how_to_mend_it(run):
    run("migrate")
    answer = run("doctor")
    assert answer.exit_code == 0, answer.output
    assert "ledger" in answer.output


def test_doctor_names_a_bad_setting(run, monkeypatch):
    monkeypatch.setenv("NUDGES_CHANNEL", "pigeon")
    answer = run("doctor")
    assert answer.exit_code == 1
    assert "NUDGES_CHANNEL" in answer.output


def test_the_first_admin_brings_the_program_and_can_sign_in(run):
    assert admin(run).exit_code == 0
    built = build(load())
    with built.sessions() as session:
        assert staff.verify_password(session, "dee@clinic.example", PASSWORD).role == "admin"
    built.engine.dispose()


@pytest.mark.parametrize(
    ("options", "why"),
    [({"password": "short"}, "12 characters"), ({"timezone": "Mars"}, "no time zone"), ({"email": "dee"}, "e-mail")],
    ids=["password", "time zone", "e-mail"],
)
def test_an_admin_who_cannot_be_made_is_refused_with_a_reason(run, options, why):
    answer = admin(run, **options)
    assert answer.exit_code == 1
    assert why in answer.output


def test_the_demo_prints_its_sign_ins_and_refuses_a_real_program(run):
    answer = run("demo")
    assert "ana@riverbend.example" in answer.output
    assert run("demo").exit_code == 0


def test_the_demo_refuses_a_database_with_a_real_program(run):
    admin(run)
    answer = run("demo")
    assert answer.exit_code == 1
    assert "real program" in answer.output


def test_a_second_admin_joins_the_program_and_none_is_joined_silently(run):
    admin(run)
    again = {"name": "Eve", "email": "eve@clinic.example", "password": PASSWORD}
    refused = admin(run, **again | {"program": "Lakeside"})
    assert refused.exit_code == 1 and "Riverbend" in refused.output and "of its own" in refused.output
    assert "America/Chicago" in admin(run, **again, timezone="America/Denver").output
    assert admin(run, **again).exit_code == 0
    assert (
        run(
            "create-admin", *(w for k, v in (again | {"email": "fay@clinic.example"}).items() for w in (f"--{k}", v))
        ).exit_code
        == 0
    )


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_the_demos_families_are_never_texted_through_a_provider(run, monkeypatch, command):
    """Their numbers belong to nobody today, and a demo's clock, sign-offs and consents are invented too."""
    run("demo")
    for name, value in TWILIO.items():
        monkeypatch.setenv(name, value)
    answer = run(command)
    assert answer.exit_code == 1
    assert "invented families" in answer.output and "NUDGES_DATABASE_URL" in answer.output


TWILIO = {
    "NUDGES_CHANNEL": "twilio",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "token",
    "TWILIO_FROM_NUMBER": "+13125550100",
    "TWILIO_API_BASE": "http://127.0.0.1:9",
}


def test_a_database_that_is_away_is_a_sentence_and_no_traceback(run, monkeypatch):
    monkeypatch.setenv("NUDGES_DATABASE_URL", "postgresql://nudges:secret@127.0.0.1:9/nudges")
    answer = run("migrate")
    assert answer.exit_code == 1 and answer.exception.__class__ is SystemExit
    assert "cannot be reached" in answer.output and "secret" not in answer.output
