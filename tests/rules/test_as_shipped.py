"""What tests replace in their own process, because it costs time, is in the product as it must be."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

_AS_SHIPPED = """
import json, sys
from nudges import db, wiring
from nudges.crisis import screen
from nudges.families import staff
from schedules import catalog
engine = db.make_engine("sqlite:///" + sys.argv[1])
with engine.connect() as connection:
    synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar()
print(json.dumps({
    "synchronous": synchronous,
    "memory": staff._hasher.memory_cost,
    "rounds": staff._hasher.time_cost,
    "budget": screen.BUDGET_SECONDS,
    "reads_the_library": wiring.load_library is catalog.load_library,
}))
"""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """What a process of the service has, that no fixture has touched."""
    path = tmp_path_factory.mktemp("shipped") / "some.sqlite3"
    done = subprocess.run(
        [sys.executable, "-c", _AS_SHIPPED, str(path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def test_what_is_committed_to_a_file_survives_a_power_cut(shipped):
    assert shipped["synchronous"] == 2, "FULL"


def test_a_stolen_password_hash_is_dear_to_guess(shipped):
    """RFC 9106, second recommendation: 3 rounds over 64 MiB."""
    assert shipped["memory"] >= 64 * 1024 and shipped["rounds"] >= 3


def test_the_service_reads_the_library_that_its_settings_name(shipped):
    assert shipped["reads_the_library"]


def test_a_text_that_takes_too_long_to_screen_is_a_doubt_after_a_quarter_of_a_second(shipped):
    """The time-out itself is in tests/core/test_crisis_screen.py."""
    assert shipped["budget"] == 0.25
