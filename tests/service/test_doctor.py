"""The doctor: every line says what is wrong and how to mend it, shows no secret, and never breaks itself."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from nudges.alerts import on_call as rota
from nudges.cli.main import main
from nudges.config import load
from nudges.families import staff
from nudges.models.program import Program, Staff
from nudges.upkeep import examining
from nudges.wiring import build
from tests.support.factories import PASSWORD
from tests.support.fake_twilio.server import FakeTwilio

SERVICE = "MG" + "a" * 32
KEY = "dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHQ="
PUBLIC = "https://nudges.clinic.test"
OURS = {
    "inbound_request_url": f"{PUBLIC}/twilio/inbound#rc=2&rp=all&rt=4000&ct=2000",
    "fallback_url": f"{PUBLIC}/twilio/fallback",
    "status_callback": "",
    "smart_encoding": False,
    "use_inbound_webhook_on_number": False,
}


@pytest.fixture
def env(tmp_path, monkeypatch):
    monkeypatch.setenv("NUDGES_DATABASE_URL", f"sqlite:///{tmp_path}/nudges.sqlite3")
    monkeypatch.setenv("NUDGES_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("NUDGES_SECRET_KEY", "a-very-secret-word")
    return monkeypatch


def doctor() -> tuple[int, dict[str, tuple[str, str]], str]:
    """Exit code, (status, words) by name, and everything that was printed."""
    answer = CliRunner().invoke(main, ["doctor"])
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    lines = {}
    for line in answer.output.splitlines():
        lines[line[6:26].strip() or line[6:].split(" ")[0]] = (line[:4].strip(), line[26:].strip())
    return answer.exit_code, lines, answer.output


def set_up():
    runner = CliRunner()
    words = ["--program", "Riverbend", "--name", "Dee", "--email", "dee@clinic.example", "--password", PASSWORD]
    assert runner.invoke(main, ["create-admin", *words]).exit_code == 0


def test_a_database_without_tables_is_a_line_with_its_mend(env):
    code, _, output = doctor()
    assert code == 1 and "python -m nudges migrate" in output and "Traceback" not in output


def test_a_fresh_program_is_told_what_is_missing(env):
    set_up()
    code, lines, output = doctor()
    assert code == 1
    assert lines["on call"][0] == "fail" and "Program, Staff" in lines["on call"][1]
    assert lines["backups"][0] == "warn" and "nudges backup" in lines["backups"][1]
    assert lines["migrations"][0] == lines["ledger"][0] == lines["time zones"][0] == lines["keys"][0] == "ok"
    assert lines["clock"][0] == "ok"


def on_call(**duty):
    """Dee takes pages, and what the rota says of her."""
    built = build(load())
    with built.sessions.begin() as session:
        dee = session.scalars(select(Staff)).one()
        now = built.clock.now()
        staff.set_on_call(session, dee, phone=duty.get("phone", "312 555 0101"), rank=1, by="system:test", now=now)
        if "weekday" in duty:
            program = session.get_one(Program, dee.program_id)
            day = {"role": "first", "weekday": duty["weekday"], "start_minute": 0, "end_minute": 0}
            rota.add_shift(session, program, **day, staff_id=dee.id, by="system:test", now=now)
    today = built.clock.now().astimezone(ZoneInfo("America/Chicago")).weekday()
    built.engine.dispose()
    return today


def test_one_person_on_call_is_a_warning(env):
    set_up()
    on_call()
    assert doctor()[1]["on call"][0] == "warn"


def test_a_rota_that_names_nobody_now_is_a_failure_although_somebody_takes_pages(env):
    """The alerts go by the rota: the doctor must not say that all is well while they say that nobody is on call."""
    set_up()
    today = on_call()
    on_call(weekday=(today + 3) % 7)
    status, words = doctor()[1]["on call"]
    assert status == "fail" and "nobody is paged now" in words


def test_a_gap_to_come_is_a_warning_with_its_beginning(env):
    set_up()
    today = on_call()
    on_call(weekday=today)
    status, words = doctor()[1]["on call"]
    assert status == "warn" and "nobody from" in words


def test_whoever_is_on_call_and_cannot_be_reached_is_a_failure(env):
    set_up()
    on_call()
    built = build(load())
    with built.sessions.begin() as session:
        person = session.scalars(select(Staff)).one()
        rota.duty_of(session, person.id).phone_stopped_at = built.clock.now()
    built.engine.dispose()
    status, words = doctor()[1]["on call"]
    assert status == "fail" and "takes pages" in words


def test_no_secret_is_printed(env):
    env.setenv("NUDGES_ENCRYPTION_KEYS", KEY)
    env.setenv("NUDGES_PING_URL", "https://ping.test/secret-check")
    set_up()
    _, lines, output = doctor()
    assert "a-very-secret-word" not in output and KEY not in output and "secret-check" not in output
    assert lines["NUDGES_SECRET_KEY"] == ("ok", "set")


def test_a_placeholder_shows(env):
    env.setenv("NUDGES_SECRET_KEY", "changeme-please")
    assert doctor()[1]["NUDGES_SECRET_KEY"][0] == "warn"


def test_a_backup_is_noted(env, tmp_path):
    set_up()
    assert CliRunner().invoke(main, ["backup", "--to", str(tmp_path / "b.sqlite3")]).exit_code == 0
    assert doctor()[1]["backups"][0] == "ok"


def test_a_key_that_is_gone_shows(env):
    set_up()
    env.setenv("NUDGES_ENCRYPTION_KEYS", KEY)
    _, lines, _ = doctor()
    assert lines["keys"][0] == "fail" and "put the old key behind" in lines["keys"][1]


def test_all_bad_settings_are_lines(env):
    env.setenv("NUDGES_CHANNEL", "pigeon")
    env.setenv("NUDGES_TICK_SECONDS", "soon")
    code, _, output = doctor()
    assert code == 1 and output.count("fail") == 2


def test_a_check_that_breaks_is_a_line(env, monkeypatch):
    monkeypatch.setattr(examining, "disk_lines", lambda settings: 1 / 0)
    _, _, output = doctor()
    assert "could not be examined (ZeroDivisionError)" in output


# ---------------------------------------------------------------- Twilio


@pytest.mark.parametrize(
    ("off", "status"), [((), "ok"), (("synchronous_commit",), "fail"), (("fsync", "full_page_writes"), "fail")]
)
def test_a_postgresql_that_forgets_in_a_crash_shows(off, status):
    settings = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"} | dict.fromkeys(off, "off")
    line = examining.durability(settings)
    assert line.status == status and all(name in line.words for name in off)


def test_a_postgresql_server_is_asked_what_it_keeps(env, postgres_engine):
    """The tests' own server keeps nothing: it is thrown away."""
    env.setenv("NUDGES_DATABASE_URL", postgres_engine.url.render_as_string(hide_password=False))
    _, lines, printed = doctor()
    assert "durability" in lines, printed
    status, words = lines["durability"]
    assert status == "fail" and "fsync" in words


@pytest.fixture
def fake(env):
    with FakeTwilio() as fake:
        fake.account.services[SERVICE] = dict(OURS)
        env.setenv("NUDGES_CHANNEL", "twilio")
        env.setenv("NUDGES_PUBLIC_URL", PUBLIC)
        env.setenv("TWILIO_ACCOUNT_SID", fake.account_sid)
        env.setenv("TWILIO_AUTH_TOKEN", fake.auth_token)
        env.setenv("TWILIO_MESSAGING_SERVICE_SID", SERVICE)
        env.setenv("TWILIO_API_BASE", fake.url)
        set_up()
        yield fake


def test_twilio_as_it_should_be(fake):
    _, lines, output = doctor()
    named = {name: line[0] for name, line in lines.items() if name.startswith(("twilio", "clock"))}
    assert set(named.values()) == {"ok"}, output
    assert {"twilio", "twilio inbound", "twilio fallback", "twilio numbers", "clock, twilio"} <= set(named)
    assert lines["10DLC"][0] == "warn", "nobody but a person can see that"
    assert fake.auth_token not in output


@pytest.mark.parametrize(
    ("changes", "name", "status", "says"),
    [
        ({"inbound_request_url": "https://old.test/sms"}, "twilio inbound", "fail", f"should be {PUBLIC}/twilio/inbound"),
        ({"inbound_request_url": None}, "twilio inbound", "fail", "Twilio has nothing"),
        ({"inbound_request_url": f"{PUBLIC}/twilio/inbound"}, "twilio inbound", "warn", "other retries"),
        ({"fallback_url": ""}, "twilio fallback", "fail", "/twilio/fallback"),
        ({"status_callback": "https://x.test"}, "twilio status", "warn", "leave it empty"),
        ({"use_inbound_webhook_on_number": True}, "twilio inbound", "fail", "Send a webhook"),
        ({"smart_encoding": True}, "twilio encoding", "warn", "switch it off"),
    ],
    ids=["other", "none", "retries", "fallback", "status", "on number", "encoding"],
)  # fmt: skip
def test_what_twilio_has_is_held_against_what_it_should_have(fake, changes, name, status, says):
    fake.account.services[SERVICE].update(changes)
    _, lines, _ = doctor()
    assert lines[name][0] == status and says in lines[name][1]


def test_wrong_credentials_an_unknown_service_and_no_numbers(fake, env):
    fake.account.numbers = ()
    assert doctor()[1]["twilio numbers"][0] == "fail"
    fake.account.services.clear()
    assert doctor()[1]["twilio service"][0] == "fail"
    env.setenv("TWILIO_AUTH_TOKEN", "wrong")
    assert "copy both" in doctor()[1]["twilio"][1]


def test_twilio_out_of_reach_is_a_line(fake, env):
    env.setenv("TWILIO_API_BASE", "http://127.0.0.1:9")
    _, lines, _ = doctor()
    assert lines["twilio"][0] == "fail" and "cannot be reached" in lines["twilio"][1]
