"""Importing families from a file: every fault at once, nobody twice, the same rows as the enrollment form makes."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, text

from nudges.cli import importing
from nudges.families import enrolling, intake, intake_file, snapshots
from nudges.families.consent import ConsentGiven
from nudges.families.intake_file import IntakeError
from nudges.ledger import record
from nudges.models.family import Consent, Family, FamilyStaff, KeyDate, Parent
from nudges.models.safety import Task
from nudges.models.sequences import Enrollment
from nudges.outbound import planner
from tests.support import factories

GOOD = {
    "external_id": "case-1",
    "counselor": "ana@clinic.example",
    "name": "Rosa Invented",
    "phone": "(312) 555-0151",
    "language": "es",
    "consent": "paper",
    "consent_on": "2025-02-20",
    "family": "F-4411",
    "sequences": "TALK",
    "child_born": "2014",
    "contact_hours": "mon-fri 10:00-20:00; sat 12:00-19:00",
    "dinner_time": "18:45",
}


def a_file(*rows, columns=intake_file.COLUMNS) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def read(content: bytes, now) -> intake_file.Reading:
    return intake_file.read(content, country="US", timezone="America/Chicago", today=now.date())


def imported(sessions, people, content, now) -> int:
    reading = read(content, now)
    with sessions() as session:
        checked = intake.check(session, people.program, reading.rows, now=now)
    assert not reading.faults and not checked.faults
    stored = 0
    for rows in intake.batches(checked.ready):
        with sessions.begin() as session:
            stored += intake.store(
                session, people.program, rows, by=None, now=now, above=intake_file.highest_code(reading)
            )
    return stored


def test_the_template_can_be_imported_as_it_is(sessions, people, now):
    assert imported(sessions, people, intake_file.template().encode(), now) == 2
    with sessions() as session:
        parents = session.scalars(select(Parent).order_by(Parent.id)).all()
        assert [parent.name for parent in parents] == ["Rosa Invented", "Luis Invented"]
        assert parents[0].family_id == parents[1].family_id, "caregivers of one family, on separate rows"
        assert session.get(Family, parents[0].family_id).code == "F-4411"


def test_a_row_becomes_what_the_enrollment_form_would_have_made(sessions, people, now):
    imported(sessions, people, a_file({**GOOD, "session_1": "2025-03-13 16:00"}), now)
    with sessions.begin() as session:
        by_hand = enrolling.add_parent(
            session,
            family=session.get_one(Family, people.family.id),
            name="Rosa Invented",
            phone="312 555 0152",
            language="es",
            profile={
                "timezone": "America/Chicago",
                "age_band": "9-12",
                "contact_hours": {"mon-fri": ["10:00-20:00"], "sat": ["12:00-19:00"]},
                "dinner_time": "18:45",
            },
            consent=ConsentGiven(medium="paper", wording_version="2025-01", language="es"),
            now=now,
        )
        enrolling.start_sequence(session, by_hand, "TALK", now=now)
        hand_id = by_hand.id
    with sessions() as session:
        row = session.scalars(select(Parent).where(Parent.id != hand_id)).one()
        hand = session.get_one(Parent, hand_id)
        assert (row.status, row.language, row.name) == (hand.status, hand.language, hand.name)
        assert snapshots.profile_of(row) == snapshots.profile_of(hand)
        assert row.phone == "+13125550151" and row.phone_index == factories.index_of(row.phone)
        assert session.get(FamilyStaff, (row.family_id, people.ana.id)) is not None

        def running(parent_id):
            rows = select(Enrollment).where(Enrollment.parent_id == parent_id).order_by(Enrollment.sequence_key)
            return [(one.sequence_key, one.version_id, one.state, one.status) for one in session.scalars(rows)]

        assert running(row.id) == running(hand.id)
        consent = session.scalars(select(Consent).where(Consent.parent_id == row.id)).one()
        assert (consent.event, consent.medium, consent.language) == ("granted", "paper", "es")
        assert consent.at == datetime(2025, 2, 20, 6, 0, tzinfo=UTC), "the day on which they agreed, in their own zone"
        date = session.scalars(select(KeyDate).where(KeyDate.parent_id == row.id)).one()
        assert date.at == datetime(2025, 3, 13, 21, 0, tzinfo=UTC)
        assert record.verify(session) == []


def test_an_imported_parent_is_welcomed_at_the_same_beat_as_one_from_the_form(sessions, people, now):
    imported(sessions, people, a_file({**GOOD, "contact_hours": ""}), now)
    done = planner.plan_due(sessions, now=now, library=factories.LIBRARY)
    assert (done.queued, done.failed) == (1, 0)


def test_the_same_file_again_imports_nobody(sessions, people, now):
    content = a_file(GOOD, {**GOOD, "external_id": "case-2", "phone": "312 555 0153", "family": ""})
    assert imported(sessions, people, content, now) == 2
    assert imported(sessions, people, content, now + timedelta(days=1)) == 0
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Parent)) == 2


def test_an_import_that_was_cut_off_goes_on_where_it_stopped(sessions, people, now):
    rows = [{**GOOD, "external_id": f"c{n}", "phone": f"312 555 01{n}", "family": ""} for n in range(60, 70)]
    assert imported(sessions, people, a_file(*rows[:4]), now) == 4
    assert imported(sessions, people, a_file(*rows), now) == 6


def test_a_code_that_the_file_names_is_not_given_to_another_family(sessions, people, now):
    free = {**GOOD, "external_id": "a", "family": ""}
    named = {**GOOD, "external_id": "b", "phone": "312 555 0154", "family": "F-1002"}
    faulty = {**GOOD, "external_id": "c", "phone": "12", "family": "F-1003"}
    reading = read(a_file(free, named, faulty), now)
    with sessions.begin() as session:
        checked = intake.check(session, people.program, reading.rows, now=now)
        above = intake_file.highest_code(reading)
        assert intake.store(session, people.program, checked.ready, by=None, now=now, above=above) == 2
    with sessions() as session:
        codes = {row.code for row in session.scalars(select(Family))}
    assert codes == {people.family.code, "F-1002", "F-1004"}


def test_a_sequence_that_needs_a_date_makes_one_task(sessions, people, now):
    imported(sessions, people, a_file({**GOOD, "sequences": "REMIND"}), now)
    with sessions() as session:
        assert ["session" in task.words for task in session.scalars(select(Task))] == [True]


@pytest.mark.parametrize(
    ("changes", "column", "says"),
    [
        ({"external_id": ""}, "external_id", "Nothing is there"),
        ({"name": " "}, "name", "parent's name"),
        ({"phone": "12"}, "phone", "area code"),
        ({"phone": ""}, "phone", "mobile number"),
        ({"phone": "+44 20 7946 0958"}, "phone", "United States and Canada"),
        ({"language": "fr"}, "language", "en, es"),
        ({"consent": "text"}, "consent", "paper, phone, in_person, web_form"),
        ({"consent": ""}, "consent", "Nothing is there"),
        ({"consent_on": "yesterday"}, "consent_on", "no date"),
        ({"consent_on": "2026-01-01"}, "consent_on", "before they have agreed"),
        ({"family": "Invented"}, "family", "look like F-1042"),
        ({"timezone": "Mars/Base"}, "timezone", "no time zone"),
        ({"age_band": "3-4", "child_born": ""}, "age_band", "5-8, 9-12, 13-17"),
        ({"child_born": "12"}, "child_born", "no year"),
        ({"child_born": "2024"}, "child_born", "from 5 to 17"),
        ({"child_born": "2014", "age_band": "5-8"}, "child_born", "Leave one"),
        ({"contact_hours": "someday 09:00-10:00"}, "contact_hours", "no day"),
        ({"dinner_time": "late"}, "dinner_time", "HH:MM"),
        ({"custody": "2-2-3"}, "custody", "anchor_date"),
        ({"quiet_days": "someday"}, "quiet_days", "sun, sat-sun"),
        ({"no_school": "spring"}, "no_school", "2025-03-17..2025-03-21"),
        ({"exchange_times": "friday"}, "exchange_times", "fri 18:00"),
        ({"session_1": "2025-03-13"}, "session_1", "16:00"),
        ({"break_start": "soon"}, "break_start", "2025-03-13"),
        ({"counselor": ""}, "counselor", "Nothing is there"),
        ({"counselor": "zoe@clinic.example"}, "counselor", "Nobody here"),
        ({"sequences": "NOPE"}, "sequences", "no published sequence NOPE"),
        ({"sequences": "RECONNECT"}, "sequences", "safety screen"),
        ({"phone": "312 555 0149"}, "phone", "enrolled already"),
        ({"family": "F-1001", "counselor": "cal@clinic.example"}, "family", "does not look after it"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_fault_names_line_column_what_is_wrong_and_how_to_mend_it(sessions, people, now, changes, column, says):
    with sessions.begin() as session:
        factories.a_parent(session, session.merge(people.family), now=now, phone="312 555 0149")
    reading = read(a_file({**GOOD, "external_id": "fine", "phone": "312 555 0155"}, {**GOOD, **changes}), now)
    with sessions() as session:
        faults = [*reading.faults, *intake.check(session, people.program, reading.rows, now=now).faults]
    assert [(fault.line, fault.column) for fault in faults] == [(3, column)]
    assert says in faults[0].in_words()
    assert GOOD["phone"][-4:] not in faults[0].in_words() and "Rosa" not in faults[0].in_words()


def test_all_faults_of_all_rows_show_at_once(sessions, people, now):
    reading = read(a_file({**GOOD, "name": "", "phone": "1", "consent": ""}, {**GOOD, "language": "xx"}), now)
    assert [(fault.line, fault.column) for fault in reading.faults] == [
        (2, "name"),
        (2, "phone"),
        (2, "consent"),
        (3, "external_id"),
        (3, "language"),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "template"),
        (b"name,phone\nx,y\n", "missing: external_id"),
        (b"PK\x03\x04rest", "Save it as CSV"),
        ("name,é\n".encode("latin-1"), "Line 1 is not UTF-8"),
        (b"a\0b", "zero bytes"),
        (a_file(GOOD, columns=[*GOOD]).replace(b"dinner_time", b"diner_time"), "not known: 'diner_time'"),
        (a_file(GOOD, columns=[*GOOD]).replace(b"dinner_time", b"name"), "twice: name"),
        (a_file(GOOD, columns=[*GOOD]) + b'"open\n', ""),
    ],
    ids=["empty", "columns", "spreadsheet", "latin", "binary", "unknown", "twice", "quote"],
)
def test_a_file_that_is_none_says_how_to_make_one(content, says, now):
    try:
        reading = read(content, now)
    except IntakeError as error:
        assert says in str(error)
    else:
        assert content.endswith(b'"open\n') and reading.faults, "an unclosed quotation mark is a short row"


def test_a_file_with_semicolons_and_a_mark_at_its_beginning_is_read_too(now):
    content = "\ufeff".encode() + a_file(GOOD, columns=[*GOOD]).replace(b",", b";").replace(b"sat;", b"sat,")
    content = content.replace(b"10:00-20:00; sat", b"10:00-20:00 ").replace(b'"', b"").replace(b" 12:00-19:00", b"")
    assert not read(content, now).faults


_PLAIN_HEADER = "external_id,counselor,name,phone,language,consent,consent_on"
_PLAIN_ROW = "c1,ana@clinic.example,Rosa Invented,312 555 0142,en,paper,2025-02-20"


@pytest.mark.parametrize(
    "content",
    [
        f"{_PLAIN_HEADER}\n{_PLAIN_ROW.replace('2025-02-20', '2/20/2025')}\n",
        f"{_PLAIN_HEADER},,\n{_PLAIN_ROW},,\n",
        f"sep=;\n{_PLAIN_HEADER}\n{_PLAIN_ROW}\n".replace(",", ";"),
        f"{_PLAIN_HEADER}\n{_PLAIN_ROW}\n".replace(",", "\t"),
        f"\n{_PLAIN_HEADER}\n{_PLAIN_ROW}\n",
        f"\r\n{_PLAIN_HEADER},session_1,break_start,slot_pref\r\n{_PLAIN_ROW},3/13/2025 4:00 PM,3/20/2025,6:30:00 PM\r\n",
    ],
    ids=["us dates", "empty columns", "sep", "tabs", "blank first line", "us times"],
)
def test_what_excel_makes_of_the_template_is_read(content, now):
    reading = read(content.encode(), now)
    assert not reading.faults and [row.name for row in reading.rows] == ["Rosa Invented"]


def test_a_fault_names_the_line_of_the_file_also_after_empty_first_lines(now):
    reading = read(f"sep=,\n\n{_PLAIN_HEADER}\n{_PLAIN_ROW}\n{_PLAIN_ROW}\n".encode(), now)
    assert {fault.line for fault in reading.faults} == {5}


@pytest.mark.parametrize(
    ("zone", "kept"),
    [
        ("US/Central", "America/Chicago"),
        ("America/Boise", "America/Boise"),
        ("Eastern", "America/New_York"),
        *((name, None) for name in ("US/Pacific-New", "localtime", "posixrules", "EST", "Factory")),
    ],
)
def test_a_zone_is_a_place_where_people_live(zone, kept, now):
    reading = read(f"{_PLAIN_HEADER},timezone\n{_PLAIN_ROW},{zone}\n".encode(), now)
    assert [row.profile["timezone"] for row in reading.rows] == ([kept] if kept else [])
    assert [fault.column for fault in reading.faults] == ([] if kept else ["timezone"])


def test_the_days_that_families_really_have_come_in_by_file(sessions, people, now):
    days = {
        "activities": "tue 17:00-18:30",
        "calm_windows": "sat 10:30-12:00",
        "quiet_days": "sun, 2025-04-13..2025-04-20",
        "no_school": "2025-03-17..2025-03-21",
        "hard_dates": "5/11/2025",
        "slot_pref": "16:00",
        "custody": "alternate_weeks",
        "custody_anchor": "2025-03-07",
        "exchange_times": "fri 18:00",
    }
    imported(sessions, people, a_file({**GOOD, **days}), now)
    with sessions() as session:
        known = snapshots.profile_of(session.scalars(select(Parent)).one())
    assert known.quiet_weekdays == {6} and len(known.quiet_dates) == len(known.no_school) == len(known.hard_dates) == 1
    assert known.activities[1] and known.calm_windows[5] and not known.calm_windows[0]
    assert known.custody.exchange_times[0][0] == 4 and known.slot_pref.hour == 16


def test_rejected_rows_come_back_as_they_were_with_the_reason(now):
    reading = read(a_file({**GOOD, "phone": "1", "name": 'Ana, "the" Invented'}, GOOD), now)
    text = intake_file.rejected(reading, reading.faults)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["external_id"] for row in rows] == ["case-1", "case-1"]
    assert rows[0]["name"] == 'Ana, "the" Invented' and rows[0]["problem"].startswith("phone: ")
    mended = text.replace("case-1", "case-9", 1).replace(",1,es", ",312 555 0159,es")
    assert not read(mended.encode(), now).faults, "the file of rejected rows can be mended and imported"


def test_a_family_on_hold_waits(sessions, people, now):
    with sessions.begin() as session:
        parent = factories.a_parent(session, session.merge(people.family), now=now)
        session.add(
            intake.Hold(family_id=people.family.id, kind="safety", scope="family", placed_at=now, parent_id=parent.id)
        )
    reading = read(a_file({**GOOD, "family": people.family.code}), now)
    with sessions() as session:
        faults = intake.check(session, people.program, reading.rows, now=now).faults
    assert [fault.column for fault in faults] == ["family"]


# ---------------------------------------------------------------- the command


@pytest.fixture
def run(wiring, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "ready", lambda: wiring)

    def invoke(content: bytes, *words: str):
        path = tmp_path / "families.csv"
        path.write_bytes(content)
        return CliRunner().invoke(importing.import_families, [str(path), *words]), tmp_path / "families.rejected.csv"

    return invoke


def test_without_apply_nothing_changes(run, sessions, people):
    answer, rejected = run(a_file(GOOD))
    assert answer.exit_code == 0 and "1 ready" in answer.output and not rejected.exists()
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Parent)) == 0


def test_apply_imports_what_is_well_and_keeps_the_rest_in_a_file(run, sessions, people):
    answer, rejected = run(a_file(GOOD, {**GOOD, "external_id": "b", "phone": "7"}), "--apply")
    assert answer.exit_code == 1 and "line 3, phone" in answer.output and "1 parents imported" in answer.output
    assert "problem" in rejected.read_text() and rejected.read_text().count("\n") == 2
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Parent)) == 1


def test_the_command_records_the_consents_in_the_name_of_whoever_imports(run, sessions, people):
    answer, _ = run(a_file(GOOD), "--apply", "--by", people.ana.email.upper())
    assert answer.exit_code == 0, answer.output
    with sessions() as session:
        assert session.scalars(select(Consent.staff_id)).all() == [people.ana.id]


def test_whoever_imports_must_be_able_to_sign_in(run, people):
    answer, _ = run(a_file(GOOD), "--apply", "--by", "nobody@clinic.example")
    assert answer.exit_code == 1 and "Nobody signs in as nobody@clinic.example" in answer.output


def test_a_file_that_cannot_be_read_is_a_sentence(run, people):
    answer, _ = run(b"name\n")
    assert answer.exit_code == 1 and "missing" in answer.output and "Traceback" not in answer.output


def test_a_large_import_tells_postgresql_that_its_tables_have_grown(sessions, people, now):
    with sessions() as session:
        if session.get_bind().dialect.name != "postgresql":
            pytest.skip("on SQLite a row is checked by index, whatever it knows of the table")
    example = next(csv.DictReader(io.StringIO(intake_file.template())))
    rows = [
        example | {"external_id": f"n-{n}", "family": f"F-{50_000 + n}", "phone": f"+131255501{n}"}
        for n in range(20, 60)
    ]
    assert imported(sessions, people, a_file(*rows, columns=list(example)), now) == 40
    with sessions() as session:
        known = text("SELECT reltuples FROM pg_class WHERE oid = CAST(:name AS regclass)")
        for name in ("families", "parents"):
            assert session.scalar(known, {"name": name}) >= 40, (
                f"each row that points at {name} is checked by reading all"
            )
