"""Who signed which text: kept by its words, asked for before anything that could harm goes out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from nudges.families import care, enrolling, programs
from nudges.families.enrolling import EnrollError
from nudges.library import signing, texts
from nudges.library.signing import CannotSign
from nudges.models.library import SignOff
from nudges.models.messages import Outbox
from nudges.models.safety import LedgerEntry, Task
from nudges.models.sequences import SequenceRow
from nudges.outbound import planner, sender
from nudges.publishing import Refused
from nudges.studio import drafts, sign_offs, versions
from nudges.studio.drafts import live_text
from tests.support import factories
from tests.support.factories import LIBRARY, a_parent
from tests.support.texting import texting

AFTERCRISIS = "AFTERCRISIS"


def of_aftercrisis(session, program):
    row = session.scalars(
        select(SequenceRow).where(SequenceRow.program_id == program.id, SequenceRow.key == AFTERCRISIS)
    ).one()
    return row, texts.of_sequence(AFTERCRISIS, live_text(session, row))


def without(session, program, *places):
    """The program as it is before anybody signed these chapters."""
    for place in places:
        session.execute(delete(SignOff).where(SignOff.program_id == program.id, SignOff.place.like(f"{place}/%")))


@pytest.fixture
def people(session, now):
    return factories.people(session, now=now)


@pytest.fixture
def parent(session, people, now):
    return a_parent(session, people.family, now=now, profile={"court_ordered": "no"})


def in_aftercrisis(session, parent, now):
    care.set_key_date(session, parent, "crisis_report", 1, now - timedelta(hours=20), now=now, staff_id=None)
    return enrolling.start_sequence(session, parent, AFTERCRISIS, now=now)


def test_who_signs_needs_the_role_and_an_admin_does_not_have_it_by_being_one(session, people, now):
    without(session, people.program, AFTERCRISIS)
    _, found = of_aftercrisis(session, people.program)
    with pytest.raises(CannotSign, match="may not sign as a clinician"):
        signing.sign(session, people.program.id, found, "clinician", staff_id=people.dee.id, note="", now=now)
    signing.set_roles(session, people.ana, ["clinician"], by="staff:4", now=now)
    signed = signing.sign(session, people.program.id, found, "clinician", staff_id=people.ana.id, note="Read.", now=now)
    assert signed == len(found)
    states = signing.states(session, people.program.id, found)
    assert {state.missing for state in states} == {("native_reader",)}
    assert (states[0].signatures[0].by, states[0].signatures[0].note) == ("Ana Example", "Read.")
    entry = session.scalars(select(LedgerEntry).where(LedgerEntry.action == "texts.signed")).one()
    assert entry.details["texts"]["AFTERCRISIS/AC-1"] == found[0].digest[:16]


def test_signing_twice_changes_nothing(session, people, now):
    _, found = of_aftercrisis(session, people.program)
    signing.set_roles(session, people.ana, ["clinician"], by="staff:4", now=now)
    assert signing.sign(session, people.program.id, found, "clinician", staff_id=people.ana.id, note="", now=now) == 0


@pytest.mark.parametrize("form", range(4), ids=["en", "es", "discreet_en", "discreet_es"])
def test_one_changed_letter_in_any_form_is_a_text_that_nobody_signed(session, people, form):
    row, found = of_aftercrisis(session, people.program)
    words = found[0].forms[form][1].split()[0]
    source = live_text(session, row)
    at = source.index(
        words, [m for m in range(len(source)) if source.startswith(("en:", "es:")[form % 2], m)][form // 2]
    )
    changed = texts.of_sequence(AFTERCRISIS, source[:at] + words + "s" + source[at + len(words) :])
    assert [state.text.name for state in signing.waiting(session, people.program.id, changed)] == ["AC-1"]
    assert signing.waiting(session, people.program.id, found) == []


def test_aftercrisis_does_not_begin_unsigned_and_the_words_say_what_is_missing(session, people, parent, now):
    without(session, people.program, AFTERCRISIS)
    with pytest.raises(EnrollError) as refused:
        enrolling.start_sequence(session, parent, AFTERCRISIS, now=now)
    assert "AC-1 needs a clinician and a native reader of Spanish" in str(refused.value)
    assert "and 15 more." in str(refused.value)
    assert enrolling.start_sequence(session, parent, "TALK", now=now).id, "what needs no sign-off begins"


def test_an_unsigned_text_is_stopped_at_the_last_moment_and_staff_are_told(wiring, people_committed, now):
    sessions = wiring.sessions
    with sessions.begin() as session:
        parent = a_parent(session, session.merge(people_committed.family), now=now)
        enrolling.stop_sequence(session, parent, "ONBOARD", now=now, reason="for the test")
        in_aftercrisis(session, parent, now)
        care.note_welcome(session, parent, now=now)
        parent_id = parent.id
    for hour in range(30):
        planner.plan_due(sessions, now=now + timedelta(hours=hour), library=LIBRARY)
        with sessions() as session:
            if session.scalar(select(Outbox.id).where(Outbox.step_id == "AC-1")) is not None:
                break
    wiring.clock.at = now + timedelta(hours=hour)
    with sessions.begin() as session:
        without(session, people_committed.program, AFTERCRISIS)
        lane_id = session.scalars(select(Outbox.lane_id).limit(1)).one()
    sender.drain(sessions, wiring.channel, lane_id, clock=wiring.clock, owner="test", library=LIBRARY)
    with sessions() as session:
        row = session.scalars(select(Outbox).where(Outbox.step_id == "AC-1")).one()
        assert row.status == "cancelled"
        assert row.status_reason.startswith("Not sent: AC-1 is not signed off. AC-1 needs a clinician")
        told = session.scalars(select(Task.words).where(Task.parent_id == parent_id, Task.kind == "step")).all()
        assert [words for words in told if "AC-1 is not signed off" in words]


@pytest.fixture
def people_committed(sessions, now):
    with sessions.begin() as session:
        return factories.people(session, now=now)


def test_unsigned_replies_to_danger_are_named_to_whoever_would_enroll_a_family(session, people, now):
    without(session, people.program, texts.CRISIS)
    with pytest.raises(
        EnrollError, match="before the replies to danger are signed off: US emergency needs a clinician"
    ):
        enrolling.refuse_unsigned_crisis(session, people.program.id)


def test_a_real_program_begins_with_nothing_signed_and_a_demo_with_demo_marks(session, now):
    make = {"shipped": LIBRARY.sources, "now": now}
    real = programs.create_program(session, name="Real", sender="+13125550111", **make)
    demo = programs.create_program(session, name="Demo", sender="+13125550112", is_demo=True, **make)
    found = texts.shipped()
    assert not any(state.signatures for state in signing.states(session, real.id, found))
    states = signing.states(session, demo.id, found)
    assert all(state.is_signed and state.is_demo for state in states)
    demo.is_demo = False
    session.flush()
    assert len(signing.waiting(session, demo.id, found)) == len(texts.gated(found)), (
        "a demo's yes counts in a demo only"
    )


def test_a_sign_off_of_one_program_counts_in_no_other(session, people, now):
    other = programs.create_program(session, name="Other", sender="+13125550111", shipped=LIBRARY.sources, now=now)
    _, found = of_aftercrisis(session, people.program)
    assert signing.waiting(session, people.program.id, found) == []
    assert len(signing.waiting(session, other.id, found)) == len(found)


def test_a_changed_text_is_published_only_after_its_draft_was_signed(session, people, now):
    row, _ = of_aftercrisis(session, people.program)
    drafts.save_draft(
        session,
        row,
        live_text(session, row).replace("You acted, and that mattered.", "You acted, and it mattered."),
        expected_revision=0,
        staff_id=people.dee.id,
        now=now,
    )
    publish = {"note": "Plainer.", "move": versions.NEW_ONLY, "staff_id": people.dee.id}
    publish["looked"] = versions.looked_at(session, row)
    with pytest.raises(Refused, match="need a sign-off before they can be published: AC-1 needs a clinician"):
        versions.publish(session, row, now=now, **publish)
    chapter = sign_offs.chapter(session, people.program, LIBRARY, AFTERCRISIS)
    assert chapter.is_draft and [state.text.name for state in chapter.unsigned] == ["AC-1"]
    signing.set_roles(session, people.ana, ["clinician", "native_reader"], by="staff:4", now=now)
    seen = {(state.text.place, state.text.digest) for state in chapter.states}
    for role in ("clinician", "native_reader"):
        sign_offs.sign(session, people.program, chapter, role, seen=seen, staff_id=people.ana.id, note="", now=now)
    assert versions.publish(session, row, now=now, **publish).number == 2


def test_only_the_words_that_were_in_view_are_signed(session, people, now):
    without(session, people.program, AFTERCRISIS)
    signing.set_roles(session, people.ana, ["clinician"], by="staff:4", now=now)
    chapter = sign_offs.chapter(session, people.program, LIBRARY, AFTERCRISIS)
    seen = {
        (chapter.states[0].text.place, chapter.states[0].text.digest),
        (chapter.states[1].text.place, "other words"),
    }
    by = {"seen": seen, "staff_id": people.ana.id, "note": "", "now": now}
    assert sign_offs.sign(session, people.program, chapter, "clinician", **by) == 1


def test_a_sign_off_can_be_taken_back_by_who_may_give_it(session, people, now):
    _, found = of_aftercrisis(session, people.program)
    given = signing.states(session, people.program.id, found)[0].signatures[0]
    with pytest.raises(CannotSign):
        signing.take_back(session, people.program.id, given.id, staff_id=people.cal.id, now=now)
    signing.set_roles(session, people.ana, [given.role], by="staff:4", now=now)
    assert signing.take_back(session, people.program.id, given.id, staff_id=people.ana.id, now=now)
    assert [state.missing for state in signing.waiting(session, people.program.id, found)] == [(given.role,)]


def test_what_answers_speak_of_the_law_goes_to_a_person_until_a_lawyer_has_signed(session, people, parent, now):
    text = texting(session, now)
    assert text(parent, "can they refuse by law?").handled_as == "faq"
    without(session, people.program, "faq")
    answer = text(parent, "can they refuse by law?", at=now + timedelta(hours=7))
    assert answer.handled_as == "person" and len(answer.texts) == 1


def test_an_answer_that_leads_to_an_unsigned_text_is_a_task_and_an_honest_reply(session, people, parent, now):
    without(session, people.program, "faq")
    faq = next(faq for faq in LIBRARY.faqs if faq.id == "FAQ-26")
    text = texts.answer(faq.id, faq.texts, is_legal=faq.is_legal)
    assert signing.in_words(signing.waiting(session, people.program.id, [text])) == (
        "FAQ-26 needs a clinician and a native reader of Spanish"
    )


def test_every_gated_text_says_who_must_sign_it():
    gated = texts.gated(texts.shipped())
    assert {text.chapter for text in gated} == {"AFTERCRISIS", "faq"}
    assert all(len(text.needs) > 1 for text in gated)
    legal = {text.name for text in gated if "legal" in text.needs}
    assert legal == {"FAQ-01", "FAQ-02", "FAQ-22", "FAQ-25", "FAQ-30"}
    assert len({text.place for text in texts.shipped()}) == len(texts.shipped())
