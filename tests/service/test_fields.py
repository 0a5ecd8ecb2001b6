"""The table of fields: every key has a door, and what somebody did not change stays exactly as it is stored."""

from __future__ import annotations

import re
from dataclasses import fields as attributes_of
from datetime import date, timedelta

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nudges.cli.importing import import_families
from nudges.families import fields, intake_file, notation, profile_texts, zones
from nudges.families.fields import BY_NAME, FIELDS
from schedules import profile
from schedules.values import Custody, Profile
from tests.conftest import ROOT

NOT_IN_THE_TABLE = {"pref_lang"}  # the parent's own language: a field and a column beside the profile
STORED_AS = {"quiet_weekdays": "quiet_days", "quiet_dates": "quiet_days"}


def test_every_key_of_a_profile_has_a_door_on_a_page_and_in_a_file():
    keys = {STORED_AS.get(one.name, one.name) for one in attributes_of(Profile) if one.init} - NOT_IN_THE_TABLE
    assert keys == {field.stored_under for field in FIELDS} == set(profile.READERS) - NOT_IN_THE_TABLE
    parts = {field.part for field in FIELDS if field.key == "custody"}
    assert parts == {one.name for one in attributes_of(Custody)}
    for field in FIELDS:
        assert {fields.PROFILE, fields.FILE} <= set(field.doors), field.name
    assert {field.name for field in FIELDS} <= set(intake_file.COLUMNS)


def test_no_name_stands_twice():
    names = [one.name for one in (*FIELDS, *fields.DATES, *fields.COLUMNS)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_the_example_of_a_field_can_be_written_in_it(field):
    custody = {"custody": "2-2-3", "custody_anchor": "2025-03-07"} if field.key == "custody" else {}
    changed = profile_texts.changes(
        {"timezone": "America/Denver"}, {**custody, field.name: field.example}, country="US"
    )
    assert not changed.faults
    assert changed.values or field.example == field.shown


def test_the_documentation_is_made_from_the_table():
    printed = CliRunner().invoke(import_families, ["--fields"])
    mend = "run `python -m nudges import-families --fields > docs/family-fields.md`"
    assert printed.output == (ROOT / "docs" / "family-fields.md").read_text(encoding="utf-8"), mend
    assert all(f"`{column}`" in printed.output for column in intake_file.COLUMNS)


# ---------------------------------------------------------------- a save without a change

_minutes = st.integers(0, 24 * 60 - 1)
_times = st.builds(
    lambda m, pad: f"{m // 60:02d}:{m % 60:02d}" if pad else f"{m // 60}:{m % 60:02d}", _minutes, st.booleans()
)
_spans = st.builds(lambda a, b: f"{a // 60:02d}:{a % 60:02d}-{b // 60:02d}:{b % 60:02d}", _minutes, _minutes).filter(
    lambda text: text[:5] != text[6:]
)
_day_keys = st.sampled_from(["default", "mon", "sun", "mon-fri", "sat,sun", "fri-mon", "tue", "Wed"])
_days = st.dates(date(2024, 1, 1), date(2027, 12, 31))
_ranges = st.one_of(
    _days.map(date.isoformat),
    st.builds(lambda day, n: f"{day}..{day + timedelta(days=n)}", _days, st.integers(0, 30)),
)
_span_lists = st.one_of(st.lists(_spans, max_size=3), _spans, st.none())
_weeks = st.one_of(
    st.dictionaries(_day_keys, _span_lists, max_size=4), st.lists(_spans, min_size=1, max_size=2), _spans
)
_maybe = st.sampled_from([True, False, "yes", "no", "true", "False", "unknown", ""])
_several = st.one_of(st.lists(_ranges, max_size=4), _ranges)


@st.composite
def _custodies(draw):
    pattern = draw(st.sampled_from(profile.PATTERNS))
    exchanges = st.lists(
        st.builds(lambda days, wall: f"{days} {wall}", st.sampled_from(["fri", "fri,sun", "mon-wed"]), _times),
        max_size=2,
    )
    needs_anchor = pattern in ("alternate_weeks", "alternate_weekends", "2-2-3", "5-2-2-5")
    if not needs_anchor and draw(st.booleans()):
        return pattern
    anchor = {"anchor_date": draw(_ranges)} if needs_anchor or draw(st.booleans()) else {}
    return {"pattern": pattern, **anchor, **draw(st.fixed_dictionaries({}, optional={"exchange_times": exchanges}))}


PROFILES = st.fixed_dictionaries(
    {"timezone": st.sampled_from(["America/Boise", "US/Central", "America/Argentina/Ushuaia", "Asia/Kolkata"])},
    optional={
        "pref_lang": st.sampled_from(["en", "es"]),
        "role": st.sampled_from(profile.ROLES),
        "discreet": _maybe,
        "age_band": st.sampled_from(["5-8", "9-12", "13-17", "null", ""]),
        "state": st.sampled_from(["TX", "il", ""]),
        "contact_hours": _weeks,
        "busy_hours": _weeks,
        "dinner_time": st.one_of(
            _times, st.just(""), st.dictionaries(_day_keys, st.one_of(_times, st.none()), max_size=3)
        ),
        "bedtime_school": _times,
        "bedtime_free": _times,
        "school_hours": st.one_of(_spans, st.just("")),
        "no_school": _several,
        "activities": _weeks,
        "calm_windows": _weeks,
        "slot_pref": _times,
        "quiet_days": st.lists(st.one_of(_ranges, st.sampled_from(["sun", "sat-sun", "mon,wed"])), max_size=4),
        "hard_dates": _several,
        "custody": _custodies(),
        "court_ordered": st.sampled_from(["no", "yes", "unknown", True, False]),
        "break_ok_by": st.sampled_from(["court", "lawyer", "therapist", ""]),
        "protective_order": _maybe,
        "abuse_concern": _maybe,
        "child_fear": _maybe,
        "contact_plan": st.sampled_from(["unsupervised", "supervised", "remote", "none"]),
        "therapist_told": _maybe,
        "stage": st.sampled_from(profile.STAGES),
        "profile": st.sampled_from(["gentle", "firm", "ordered"]),
        "volume": st.sampled_from(["less", "normal", "more"]),
        "reasons": st.lists(st.sampled_from("123456"), max_size=3),
        "second_reminder": _maybe,
    },
)


def as_a_browser_sends_it(field: fields.Field, text: str) -> str:
    """What comes back of a field that nobody touched."""
    widget, choices = field.notation.widget, [key for key, _ in field.notation.choices]
    if widget == "choice":
        return text if text in choices else choices[0]  # a browser chooses the first one
    if widget == "time":
        return text if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text) else ""
    if widget == "date":
        return text if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else ""
    if widget == "tick":
        return "yes" if text == "yes" else "no"
    return text.replace("\n", "\r\n" if widget == "area" else "")


def unchanged(stored) -> dict[str, str]:
    shown = profile_texts.as_text(stored)
    return {name: as_a_browser_sends_it(BY_NAME[name], text) for name, text in shown.items()}


@settings(max_examples=400, deadline=None)
@given(PROFILES)
def test_a_save_without_a_change_changes_nothing(stored):
    profile.parse(stored)
    changed = profile_texts.changes(stored, unchanged(stored), country="US")
    assert (dict(changed.values), changed.faults) == ({}, ())


@settings(max_examples=400, deadline=None)
@given(PROFILES)
def test_what_is_shown_means_what_is_stored(stored):
    """Whoever changes one line of a field keeps the others: its text says all that is stored."""
    texts = {name: text for name, text in profile_texts.as_text(stored).items() if text != BY_NAME[name].shown}
    written = profile_texts.changes({}, texts, country="US")
    assert written.faults == ()
    given_back = {key: value for key, value in written.values.items() if value is not None}
    # Two fields may be cleared, which is another thing than never filled in.
    cleared = {name: "" for name in ("dinner_time", "school_hours") if profile_texts.as_text(stored)[name] == ""}
    kept = {key: stored[key] for key in NOT_IN_THE_TABLE if key in stored}
    assert profile.parse({**given_back, **cleared, **kept}) == profile.parse(_meant(stored))


def _meant(stored):
    """Windows of no day at all are shown as none, which is worked out from the family's rhythm."""
    return {
        key: value
        for key, value in stored.items()
        if profile_texts.as_text(stored).get(key) != "" or key in ("dinner_time", "school_hours")
    }


@settings(max_examples=200, deadline=None)
@given(PROFILES, st.sampled_from(FIELDS))
def test_a_field_that_the_form_did_not_show_is_not_changed(stored, absent):
    typed = {field.name: field.example for field in FIELDS if field.stored_under != absent.stored_under}
    changed = profile_texts.changes(stored, typed, country="US")
    assert absent.stored_under not in changed.values


@settings(max_examples=200, deadline=None)
@given(PROFILES, st.sampled_from(FIELDS))
def test_a_change_of_one_field_leaves_all_others(stored, field):
    changed = profile_texts.changes(stored, {**unchanged(stored), field.name: field.example}, country="US")
    assert set(changed.values) <= {field.stored_under}


def test_a_change_that_a_colleague_made_meanwhile_is_not_overwritten_unseen():
    opened = {"timezone": "America/Boise", "bedtime_school": "20:30"}
    shown = profile_texts.as_text(opened)
    meanwhile = {**opened, "bedtime_school": "21:30", "dinner_time": "17:30"}
    first = profile_texts.changes(meanwhile, {**shown, "bedtime_school": "20:45"}, was=shown, country="US")
    assert dict(first.values) == {}, "their dinner stays"
    assert [name for name, _ in first.faults] == ["bedtime_school"] and "21:30" in first.faults[0][1]
    again = profile_texts.changes(meanwhile, {**shown, "bedtime_school": "20:45"}, was=first.was, country="US")
    assert (dict(again.values), again.faults) == ({"bedtime_school": "20:45"}, ())


# ---------------------------------------------------------------- as people write it


@pytest.mark.parametrize(
    ("name", "text", "stored"),
    [
        ("quiet_days", "Sundays, 2025-04-13 to 2025-04-20", ["sun", "2025-04-13..2025-04-20"]),
        ("quiet_days", "weekends\n4/13/2025", ["sat-sun", "2025-04-13"]),
        ("no_school", "2025-03-17..2025-03-21\n2025-05-26", ["2025-03-17..2025-03-21", "2025-05-26"]),
        ("no_school", "3/17/2025 - 3/21/2025", ["2025-03-17..2025-03-21"]),
        ("hard_dates", "2025-05-11", ["2025-05-11"]),
        ("activities", "Tuesday and Thursday 5pm-6:30 pm", {"tue,thu": ["17:00-18:30"]}),
        (
            "busy_hours",
            "monday to friday 9:00-17:00; sat 22:00-06:00",
            {"mon-fri": ["9:00-17:00"], "sat": ["22:00-06:00"]},
        ),
        ("calm_windows", "sat 10:30–12:00", {"sat": ["10:30-12:00"]}),
        ("dinner_time", "mon-fri 18:30; sat none", {"mon-fri": "18:30", "sat": None}),
        ("dinner_time", "none", ""),
        ("school_hours", "none", ""),
        ("school_hours", "8:00 am to 2:45 pm", "08:00-14:45"),
        ("slot_pref", "4:30 PM", "16:30"),
        (
            "exchange_times",
            "Fridays 6 pm, sun 18:00",
            {"pattern": "every_day", "exchange_times": ["fri 18:00", "sun 18:00"]},
        ),
        ("timezone", "boise", "America/Boise"),
        ("timezone", "US/Central", "America/Chicago"),
        ("state", "il", "IL"),
        ("role", "The other parent", "other_parent"),
        ("reasons", "2 3", ["2", "3"]),
    ],
)
def test_values_are_read_as_people_write_them(name, text, stored):
    changed = profile_texts.changes({"timezone": "America/Denver"}, {name: text}, country="US")
    assert (dict(changed.values), changed.faults) == ({BY_NAME[name].stored_under: stored}, ())


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("quiet_days", "someday", "'someday' is no day; write sun"),
        ("no_school", "spring break", "write 2025-03-17"),
        ("no_school", "2025-03-21..2025-03-17", "ends before it starts"),
        ("no_school", "13/45/2025", "write 2025-03-17"),
        ("hard_dates", "2025-02-30", "write 2025-03-17"),
        ("activities", "tue 17-18", "HH:MM"),
        ("calm_windows", "noday 10:00-11:00", "'noday' is no day"),
        ("exchange_times", "fri", "write it like fri 18:00"),
        ("exchange_times", "18:00", "write it like fri 18:00"),
        ("custody_anchor", "next week", "2025-03-07"),
        ("slot_pref", "25:00", "HH:MM"),
        ("dinner_time", "late", "HH:MM"),
        ("timezone", "EST", "write a place such as America/Chicago"),
        ("state", "Illinois", "two letters"),
        ("role", "uncle", "resident, other_parent"),
        ("protective_order", "perhaps", "yes or no"),
    ],
)
def test_what_is_wrong_says_how_to_mend_it(name, text, says):
    changed = profile_texts.changes({"timezone": "America/Denver"}, {name: text}, country="US")
    assert not changed.values
    [(where, words)] = changed.faults
    assert where == name and says in words and words.endswith(".")


@pytest.mark.parametrize(
    "name", ["EST", "localtime", "Factory", "posixrules", "Etc/GMT+6", "UTC", "US/Pacific-New", "GB"]
)
def test_a_zone_that_is_no_place_is_refused_at_every_door(name):
    with pytest.raises(profile.ProfileError, match="no time zone that people live in"):
        profile.parse({"timezone": name})
    assert profile_texts.changes({}, {"timezone": name}, country="US").faults


@pytest.mark.parametrize("old", sorted(profile.OLD_ZONES))
def test_an_old_name_is_read_as_the_place_that_it_means(old):
    place = profile.OLD_ZONES[old]
    assert profile.parse({"timezone": old}).timezone == place == profile.zone_name(place)
    assert profile_texts.changes({}, {"timezone": old}, country="US").values == {"timezone": place}


def test_every_zone_that_is_offered_can_be_chosen_by_its_name_and_the_programs_country_comes_first():
    offered = zones.offered("US")
    assert all(zones.find(name) == name for name, _ in offered)
    assert {"America/Boise", "America/Puerto_Rico", "Pacific/Guam", "Europe/Madrid"} <= {name for name, _ in offered}
    assert offered[0][0] == "America/New_York" and zones.offered("CA")[0][0] == "America/St_Johns"


def test_dates_of_a_spreadsheet_are_read_as_the_country_of_the_program_writes_them():
    assert notation.us_dates("2/20/2025 16:00") == "2025-02-20 16:00"
    elsewhere = profile_texts.changes({"timezone": "America/Toronto"}, {"hard_dates": "3/4/2025"}, country="CA")
    assert elsewhere.faults, "3 April or 4 March: nobody should guess"
