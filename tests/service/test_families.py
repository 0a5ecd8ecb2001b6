"""Families: who may be enrolled, what a STOP does, and what is written down about it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from nudges.families import care, consent, enrolling, phones, snapshots, staff, timeline
from nudges.families.consent import ConsentGiven
from nudges.families.enrolling import EnrollError
from nudges.families.phones import PhoneError
from nudges.families.timeline import EntryKind
from nudges.ledger import record
from nudges.models.family import KeyDate, Parent
from nudges.models.messages import Inbound, Outbox
from nudges.models.program import Staff
from nudges.models.safety import LedgerEntry, Task
from nudges.models.sequences import Enrollment
from nudges.outbound import planner
from schedules.profile import ProfileError
from tests.support.factories import LIBRARY, PASSWORD, a_parent, a_text, fresh_phone
from tests.support.factories import people as make_people


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("312 555 0142", "+13125550142"),
        ("(312) 555-0142", "+13125550142"),
        ("+1 312 555 0142", "+13125550142"),
        ("1-312-555-0142", "+13125550142"),
        ("604.555.0199", "+16045550199"),
        ("202-456-1111", "+12024561111"),
    ],
)
def test_a_number_is_stored_one_way_however_it_is_written(written, stored):
    assert phones.to_e164(written) == stored


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "not a phone number"),
        ("call me", "not a phone number"),
        ("555 0142", "ten digits"),
        ("312 555 0142 ext 9", "extension"),
        ("+44 20 7946 0958", "United States and Canada"),
        ("+1 876 555 2345", "No phone has this number"),
        ("000 000 0000", "No phone has this number"),
    ],
)
def test_a_number_that_cannot_be_texted_is_refused_with_a_reason(written, why):
    with pytest.raises(PhoneError, match=why) as refused:
        phones.to_e164(written)
    assert not any(part in str(refused.value) for part in written.split() if part.isdigit() and len(part) > 3)


def test_a_parent_who_agreed_on_paper_is_active_and_welcomed(session, people, now):
    parent = a_parent(session, people.family, now=now)
    assert (parent.status, parent.next_at is not None) == ("active", True)
    assert [row.event for row in consent.history(session, parent)] == ["granted"]
    assert session.scalars(select(Enrollment.sequence_key)).all() == ["ONBOARD"]


def test_a_parent_who_joined_by_text_waits_for_the_confirming_digit(session, people, now):
    parent = a_parent(session, people.family, now=now, medium="text")
    assert parent.status == "invited"
    given = ConsentGiven(medium="text", wording_version="2025-01", language="en")
    assert care.revive(session, parent, given=given, now=now)
    assert session.get(Parent, parent.id).status == "active"


@pytest.mark.parametrize(
    ("values", "why"),
    [({"name": "  "}, "name is missing"), ({"language": "fr"}, "en, es")],
    ids=["no name", "unknown language"],
)
def test_a_parent_who_cannot_be_enrolled_is_refused_with_a_reason(session, people, now, values, why):
    with pytest.raises(EnrollError, match=why):
        a_parent(session, people.family, now=now, **values)


def test_a_profile_with_faults_names_them_all(session, people, now):
    with pytest.raises(ProfileError) as refused:
        a_parent(session, people.family, now=now, profile={"timezone": "Mars", "age_band": "40"})
    assert len(refused.value.faults) == 2


def test_one_phone_belongs_to_one_parent(session, people, now):
    a_parent(session, people.family, now=now, phone="312 555 0142")
    with pytest.raises(EnrollError, match="enrolled already"):
        a_parent(session, people.family, now=now, phone="+1 (312) 555-0142")


def test_family_codes_count_up(session, people, now):
    family = enrolling.create_family(session, program=people.program, staff_id=people.ana.id, now=now)
    assert (people.family.code, family.code) == ("F-1001", "F-1002")
    with pytest.raises(EnrollError, match="F-1002"):
        enrolling.create_family(session, program=people.program, staff_id=people.ana.id, code="F-1002", now=now)


def test_a_stop_ends_everything_at_once(session, people, now):
    parent = a_parent(session, people.family, now=now, sequences=("TALK",))
    planner.plan_one(session, parent.id, now=now, library=LIBRARY)
    a_text(session, parent, now=now)
    assert care.opt_out(session, parent, how="keyword STOP", now=now, by=f"parent:{parent.id}") == 2
    parent = session.get(Parent, parent.id)
    assert (parent.status, parent.next_at) == ("opted_out", None)
    assert set(session.scalars(select(Outbox.status))) == {"cancelled"}
    assert planner.due_ids(session, now + timedelta(days=400)) == []
    revoked = consent.history(session, parent)[-1]
    assert (revoked.event, revoked.how_recognised) == ("revoked", "keyword STOP")


def test_after_a_start_nothing_is_caught_up_on(sessions, people, now):
    with sessions.begin() as session:
        parent = a_parent(session, people.family, now=now, sequences=("TALK",))
        care.opt_out(session, parent, how="keyword STOP", now=now + timedelta(hours=1))
    later = now + timedelta(days=40)
    given = ConsentGiven(medium="text", wording_version="2025-01", language="en")
    with sessions.begin() as session:
        assert care.revive(session, session.get(Parent, parent.id), given=given, now=later)
    planner.plan_due(sessions, now=later, library=LIBRARY)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Outbox)) <= 1


def test_a_parent_who_did_not_stop_is_not_revived(session, people, now):
    parent = a_parent(session, people.family, now=now)
    given = ConsentGiven(medium="text", wording_version="2025-01", language="en")
    assert not care.revive(session, parent, given=given, now=now)


def test_a_pause_rests_and_a_resume_goes_on(session, people, now):
    parent = a_parent(session, people.family, now=now)
    care.pause(session, parent, until=now + timedelta(days=7), now=now, staff_id=people.ana.id)
    parent = session.get(Parent, parent.id)
    assert (parent.status, parent.next_at) == ("paused", now + timedelta(days=7))
    care.resume(session, parent, now=now + timedelta(days=1), staff_id=people.ana.id)
    assert session.get(Parent, parent.id).status == "active"
    with pytest.raises(EnrollError, match="in the future"):
        care.pause(session, parent, until=now, now=now)


def test_a_date_that_moves_keeps_its_first_day_and_is_planned_anew(session, people, now):
    parent = a_parent(session, people.family, now=now)
    session.get(Parent, parent.id).next_at = None
    care.set_key_date(session, parent, "session", 1, now + timedelta(days=3), now=now, staff_id=people.ana.id)
    care.move_key_date(session, parent, "session", 1, now + timedelta(days=9), now=now, staff_id=people.ana.id)
    row = session.scalars(select(KeyDate)).one()
    assert (row.first_at, row.at) == (now + timedelta(days=3), now + timedelta(days=9))
    assert session.get(Parent, parent.id).next_at == now
    care.mark_key_date(session, parent, "session", 1, "cancelled", now=now)
    assert row.status == "cancelled"
    with pytest.raises(EnrollError, match="no session 2"):
        care.move_key_date(session, parent, "session", 2, now, now=now)


def test_leaving_a_sequence_takes_its_texts_along(session, people, now):
    parent = a_parent(session, people.family, now=now)
    planner.plan_one(session, parent.id, now=now, library=LIBRARY)
    assert enrolling.stop_sequence(session, parent, "ONBOARD", now=now, reason="moved away")
    assert set(session.scalars(select(Outbox.status))) == {"cancelled"}
    assert not enrolling.stop_sequence(session, parent, "ONBOARD", now=now, reason="moved away")


def test_what_staff_did_is_in_the_ledger_without_any_personal_word(session, people, now):
    parent = a_parent(session, people.family, now=now, name="Rosa Invented", phone="312 555 0142")
    care.change_profile(session, parent, {"age_band": "13-17"}, now=now, staff_id=people.ana.id)
    care.set_language(session, parent, "es", now=now, staff_id=people.ana.id)
    staff.assign(session, people.family, people.cal, by="staff:4", now=now)
    entries = session.scalars(select(LedgerEntry)).all()
    assert {"profile.changed", "language.changed", "family.assigned", "parent.enrolled"} <= {e.action for e in entries}
    written = " ".join(f"{e.actor} {e.action} {e.subject} {e.details}" for e in entries)
    assert not any(word in written for word in ("Rosa", "Invented", "5550142", "13-17"))
    assert record.verify(session) == []


def test_names_numbers_and_words_are_unreadable_at_rest(session, people, now):
    parent = a_parent(session, people.family, now=now, name="Rosa Invented", phone="312 555 0142")
    a_text(session, parent, now=now, body="Calm words for a calm evening.")
    session.add(
        Inbound(
            provider_id="SM1",
            from_number=parent.phone,
            from_index="x",
            to_number="+13125550100",
            body="He cried.",
            at=now,
        )
    )
    session.flush()
    stored = ""
    for table in ("parents", "outbox", "inbound", "families", "staff", "ledger", "consents"):
        stored += str([tuple(row) for row in session.execute(text(f"SELECT * FROM {table}"))])
    for secret in ("Rosa", "Invented", "5550142", "Calm words", "He cried", "Ana Example"):
        assert secret not in stored
    assert enrolling.parent_by_phone(session, people.program.id, "+13125550142").name == "Rosa Invented"


def test_each_parent_has_a_thread_of_their_own(session, people, now):
    one = a_parent(session, people.family, now=now, name="Rosa Invented")
    two = a_parent(session, people.family, now=now, name="Hugo Invented")
    a_text(session, one, now=now, body="Only for Rosa.")
    hers, his = (timeline.for_parent(session, parent, now=now) for parent in (one, two))
    assert "Only for Rosa." in [entry.body for entry in hers]
    assert {entry.parent_id for entry in hers} == {one.id}
    assert {entry.parent_id for entry in his} == {two.id}


def test_the_timeline_ends_with_what_comes_next_and_why(session, people, now):
    parent = a_parent(session, people.family, now=now, sequences=("TALK",))
    planner.plan_one(session, parent.id, now=now, library=LIBRARY)
    entries = timeline.for_parent(session, session.get(Parent, parent.id), now=now)
    coming = [e for e in entries if e.kind is EntryKind.PLANNED]
    assert coming == entries[-len(coming) :]
    assert all(e.reason and e.body and e.at >= now for e in coming)


def test_a_thread_read_back_is_the_thread_that_was_saved(session, people, now):
    parent = a_parent(session, people.family, now=now, sequences=("TALK", "DRIVE"))
    planner.plan_one(session, parent.id, now=now, library=LIBRARY)
    before = snapshots.thread_of(session, parent)
    assert snapshots.save(session, parent, before, now=now)
    assert snapshots.thread_of(session, parent) == before


def test_signing_in_needs_the_right_password_and_an_open_account(session, now):
    group = make_people(session, now=now, with_passwords=True)
    assert staff.verify_password(session, " ANA@clinic.example ", PASSWORD).id == group.ana.id
    assert staff.verify_password(session, "ana@clinic.example", "wrong") is None
    assert staff.verify_password(session, "nobody@clinic.example", PASSWORD) is None
    staff.change_password(session, group.ana, "another long password", by="staff:1", now=now)
    assert group.ana.session_epoch == 1
    staff.set_active(session, group.ana, False, by="staff:4", now=now)
    assert staff.verify_password(session, "ana@clinic.example", "another long password") is None


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"email": "ana"}, "e-mail should look like"),
        ({"role": "boss"}, "counselor, admin"),
        ({"password": "short"}, "12 characters"),
        ({"email": "dee@clinic.example"}, "already"),
        ({"name": " "}, "name is missing"),
    ],
    ids=["e-mail", "role", "password", "taken", "name"],
)
def test_an_account_that_cannot_be_made_is_refused_with_a_reason(session, people, now, values, why):
    asked = {"email": "eve@clinic.example", "name": "Eve", "role": "counselor", "password": PASSWORD, **values}
    with pytest.raises(staff.StaffError, match=why):
        staff.create_staff(session, program=people.program, now=now, **asked)


def test_whoever_is_on_call_is_listed_in_order(session, people, now):
    for person, rank in ((people.ben, 2), (people.ana, 1)):
        person = session.get(Staff, person.id)
        staff.set_on_call(session, person, phone=fresh_phone(), rank=rank, by="staff:4", now=now)
    assert [p.id for p in staff.on_call(session, people.program.id)] == [people.ana.id, people.ben.id]
    with pytest.raises(staff.StaffError, match="needs a phone"):
        staff.set_on_call(session, people.ben, phone=None, rank=1, by="staff:4", now=now)


def test_a_sequence_that_hangs_on_an_unknown_date_asks_staff_for_it(session, now):
    people = make_people(session, now=now)
    parent = a_parent(session, people.family, now=now, sequences=("DRIVE",))
    words = [task.words for task in session.scalars(select(Task).where(Task.parent_id == parent.id))]
    assert words == ["DRIVE waits for a date: session. Ask once, then enter it."]


def test_a_program_with_a_million_families_goes_on_counting(session, people, now):
    enrolling.create_family(session, program=people.program, staff_id=people.ana.id, code="F-999999", now=now)
    family = enrolling.create_family(session, program=people.program, staff_id=people.ana.id, now=now)
    assert family.code == "F-1000000"


@pytest.mark.parametrize(
    "code", ["F-²", "<script>", "Maria", "+13125550142", "F-" + "9" * 4400, "F-3125550142", "f-1", "F 1"]
)
def test_a_family_code_holds_no_name_no_number_and_no_trick(session, now, code):
    people = make_people(session, now=now)
    with pytest.raises(EnrollError, match="should look like F-1042"):
        enrolling.create_family(session, program=people.program, staff_id=people.ana.id, code=code, now=now)
