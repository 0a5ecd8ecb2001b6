"""Settings: read once, all faults at once, and what a message recommends is taken."""

from __future__ import annotations

import base64
import re
import subprocess

import pytest

from nudges.config import ConfigError, load

KEY = base64.urlsafe_b64encode(b"\xfb\xff" * 16).decode()  # holds both characters in which the two alphabets differ
PRODUCTION = {
    "NUDGES_PRODUCTION": "true",
    "NUDGES_DATABASE_URL": "postgresql://nudges@db.test/nudges",
    "NUDGES_SECRET_KEY": "a-long-random-text",
    "NUDGES_ENCRYPTION_KEYS": KEY,
    "NUDGES_INDEX_KEY": KEY,
    "NUDGES_CHANNEL": "twilio",
    "NUDGES_PUBLIC_URL": "https://nudges.clinic.test",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "token",
    "TWILIO_FROM_NUMBER": "+13125550100",
}
LOCAL = {"TWILIO_API_BASE": "http://127.0.0.1:9010"}


def faults(environ):
    with pytest.raises(ConfigError) as raised:
        load(environ)
    return [line.strip() for line in str(raised.value).splitlines()[1:]]


def test_a_whole_production_is_taken():
    settings = load(PRODUCTION)
    assert settings.production and settings.stage.may_text and not settings.provider.is_simulated


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NUDGES_SECRET_KEY", None),
        ("NUDGES_ENCRYPTION_KEYS", None),
        ("NUDGES_ENCRYPTION_KEYS", "too-short"),
        ("NUDGES_INDEX_KEY", None),
        ("NUDGES_INDEX_KEY", "too-short"),
    ],
)
def test_the_command_that_a_message_about_a_key_recommends_makes_a_key_that_is_taken(name, value):
    environ = {key: old for key, old in PRODUCTION.items() if key != name} | ({name: value} if value else {})
    (fault,) = faults(environ)
    made = subprocess.run(re.search(r"\((openssl .+?)\)", fault)[1].split(), capture_output=True, text=True, check=True)
    assert load(environ | {name: made.stdout.strip()}).production


def test_a_key_may_be_in_either_alphabet_and_is_the_same_key():
    plain = load(PRODUCTION | {"NUDGES_INDEX_KEY": KEY.translate(str.maketrans("-_", "+/"))})
    assert plain.index_key == load(PRODUCTION).index_key == b"\xfb\xff" * 16


def test_the_short_name_of_postgresql_is_taken():
    assert load({"NUDGES_DATABASE_URL": "postgres://u@h/n"}).database_url == "postgresql+psycopg://u@h/n"


def test_production_talks_to_no_fake_and_says_how_to_rehearse():
    (fault,) = faults(PRODUCTION | LOCAL)
    assert "TWILIO_API_BASE" in fault and "NUDGES_PRODUCTION=rehearsal" in fault


def test_a_rehearsal_is_production_against_a_fake_on_this_machine():
    settings = load(
        PRODUCTION | LOCAL | {"NUDGES_PRODUCTION": "rehearsal", "NUDGES_PUBLIC_URL": "http://127.0.0.1:8000"}
    )
    assert settings.production and settings.stage.is_rehearsal and not settings.stage.may_text


@pytest.mark.parametrize(
    "missing", ["NUDGES_SECRET_KEY", "NUDGES_ENCRYPTION_KEYS", "NUDGES_DATABASE_URL", "TWILIO_API_BASE"]
)
def test_a_rehearsal_asks_for_what_production_asks_for_and_for_the_fake(missing):
    environ = PRODUCTION | LOCAL | {"NUDGES_PRODUCTION": "rehearsal"}
    del environ[missing]
    (fault,) = faults(environ)
    assert fault.startswith(missing)


def test_a_rehearsal_never_texts_anybody():
    environ = PRODUCTION | {"NUDGES_PRODUCTION": "rehearsal", "TWILIO_API_BASE": "https://gateway.example.org"}
    (fault,) = faults(environ)
    assert fault.startswith("TWILIO_API_BASE") and "this machine" in fault
