"""The simulate command: files read as written, faults named, formats kept, pictures drawn."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner

from nudges.cli.simulate import simulate
from tests.conftest import ROOT

EXAMPLES = ROOT / "docs/examples"


def run(*args):
    return CliRunner().invoke(simulate, [str(a) for a in args])


def events(*args):
    result = run(*args, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


FAMILY = ("--profile", EXAMPLES / "family.yaml", "--start", "2025-03-03T09:00", "--days", "40")


def test_the_example_family_gets_its_texts_with_every_key_of_the_format():
    found = events(*FAMILY)
    first = next(e for e in found if e["event"] == "send")
    wanted = {
        "at",
        "local",
        "event",
        "sequence",
        "step",
        "kind",
        "topic",
        "lang",
        "text",
        "segments",
        "expires_at",
        "reason",
    }
    assert wanted <= set(first)
    assert first["at"].endswith("Z") and first["local"] == "2025-03-08T16:00:00-06:00"
    assert all({"at", "local", "event", "reason"} <= set(e) for e in found)


def test_a_crisis_text_in_a_script_is_answered_at_once_by_the_real_screen():
    found = events(*FAMILY, "--script", EXAMPLES / "script.yaml")
    crisis = next(n for n, e in enumerate(found) if e.get("kind") == "crisis")
    assert "988" in found[crisis]["text"] and found[crisis]["reply_to"] == "she says she wants to die"
    assert found[crisis + 1]["event"] == "hold"
    assert not [e for e in found[crisis:] if e["event"] == "send" and "reply_to" not in e]


def test_a_moved_session_takes_its_texts_along():
    found = events(*FAMILY, "--script", EXAMPLES / "script.yaml")
    assert {e["step"]: e["local"][:16] for e in found if e.get("step")}["DR-6"] == "2025-03-28T17:30"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dinnertime: 18:30", "unknown key 'dinnertime'"),
        ("dinner_time: 1110", "dinner_time: '1110' is no time of day; write HH:MM"),
        ("timezone: Chicago", "is no time zone that people live in; write a place"),
        ("key_dates: {birthday: 2025-03-03}", "unknown kind 'birthday'"),
        ("custody: alternate_weeks", "needs anchor_date"),
    ],
)
def test_a_fault_in_a_profile_names_file_key_and_mend(tmp_path, line, message):
    path = tmp_path / "bad.yaml"
    path.write_text(
        ("" if line.startswith("timezone") else "timezone: America/Chicago\n") + line + "\nsequences: [TALK]\n"
    )
    result = run("--profile", path, "--start", "2025-03-03T09:00", "--days", "3")
    assert result.exit_code == 1
    assert "bad.yaml" in result.output and message in result.output


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('{on: TK-5, text: "1", mood: x}', "unknown key 'mood'"),
        ('{text: "1"}', "give either `on` (a step) or `at` (an instant)"),
        ("{at: 2025-03-05T10:00}", "give exactly one of `text`, `staff` or `outage`"),
        ("{at: 2025-03-05T10:00, staff: dance}", "should be one of: move, cancel, set, release"),
        ("{at: soon, text: hi}", "is no date"),
        ("{at: 2025-03-05T10:00, outage: long}", "is no duration"),
    ],
)
def test_a_fault_in_a_script_names_file_entry_and_mend(tmp_path, entry, message):
    path = tmp_path / "bad-script.yaml"
    path.write_text(f"- {entry}\n")
    result = run(*FAMILY, "--script", path)
    assert result.exit_code == 1
    assert "bad-script.yaml: entry 1" in result.output and message in result.output


def test_a_policy_file_changes_the_numbers_and_a_contradiction_is_refused(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("cap_week: 9\n")
    assert "cap_week should be 1, 2 or 3" in run(*FAMILY, "--policy", path).output
    path.write_text('slot_late: "10:00"\n')
    assert "unknown key 'slot_late'" in run(*FAMILY, "--policy", path).output
    path.write_text('contact_hours: {default: ["18:00-20:00"]}\n')
    profile = tmp_path / "family.yaml"
    profile.write_text("timezone: America/Chicago\ndinner_time: null\nsequences: [TALK]\n")
    found = events("--profile", profile, "--start", "2025-03-03T09:00", "--days", "9", "--policy", path)
    sent = [e["local"][11:16] for e in found if e["event"] == "send"]
    assert sent and all("18:00" <= at < "20:00" for at in sent)


def test_an_unknown_sequence_is_named_with_those_that_there_are():
    result = run(*FAMILY[:2], "--sequence", "DANCE", *FAMILY[2:])
    assert result.exit_code == 1 and "no sequence 'DANCE'" in result.output and "TALK" in result.output


def test_a_folder_of_families_gives_a_table_and_a_picture_each(tmp_path):
    result = run(
        "--families", EXAMPLES / "families", "--start", "2025-03-03T09:00", "--days", "60", "--pictures", tmp_path
    )
    assert result.exit_code == 0, result.output
    assert "night-shift" in result.output and "talks" in result.output
    drawn = sorted(path.stem for path in tmp_path.glob("*.svg"))
    assert drawn == ["evening-talks", "night-shift", "on-a-break"]
    root = ET.fromstring((tmp_path / "evening-talks.svg").read_text(encoding="utf-8"))
    circles = root.findall("{http://www.w3.org/2000/svg}circle")
    assert len([c for c in circles if c.find("{http://www.w3.org/2000/svg}title") is not None]) >= 4
