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
