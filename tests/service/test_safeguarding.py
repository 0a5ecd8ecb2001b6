"""After an abuse disclosure, after a STOP, after a crisis: what stays shut, what is remembered, who may open it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from nudges.alerts import acknowledging, aftercare, escalation, holds, on_call, paging
from nudges.crisis.values import Level, Screening, Tier
from nudges.families import enrolling, snapshots
from nudges.inbound.texts import Deps
from nudges.models.messages import Outbox
from nudges.models.on_call import StoppedNumber
from nudges.models.safety import Alert, Hold
from nudges.models.sequences import Enrollment
from schedules import gate, values
from schedules.policy import Policy
from schedules.values import Kind, NotYet, Proposal, Topic
from tests.support import factories
from tests.support.factories import LIBRARY, a_parent
from tests.support.on_call import PHONES, an_alert, on_the_rota, paged
from tests.support.texting import alerts, texting

MINUTE = timedelta(minutes=1)
STRANGER = "+13125550188"


@pytest.fixture
def people(session, now):
    """Ana is first on call, Dee the safeguarding lead."""
    people = factories.people(session, now=now)
    on_the_rota(session, people, now, first="ana", safeguarding="dee")
    people.dee.role = "counselor"
    return people


@pytest.fixture
def parent(session, people, now):
    return a_parent(session, people.family, now=now)


@pytest.fixture
def text(session, now):
    return texting(session, now)


def seen_as(level, tier=None, severity=3, also=()):
    """A screen that answers this, so that these tests do not hang on its wording."""

    def screen(text, *, recent, own_texts, open_episode):
        return Screening(level=level, tier=tier, severity=severity, why="as told", also_tiers=also)

    return Deps(library=LIBRARY, screen=screen)


ABUSE = seen_as(Level.CRISIS, Tier.ABUSE_DV)
DANGER = seen_as(Level.CRISIS, Tier.SUICIDE_SELFHARM)
ORDINARY = seen_as(Level.ORDINARY, None, 0)


def kinds(session, parent):
    rows = select(Hold).where(Hold.family_id == parent.family_id, Hold.released_at.is_(None)).order_by(Hold.id)
    return {hold.kind: hold for hold in session.scalars(rows)}


def is_blocked(session, parent, sequence, now):
    """Does a hold stand between this parent and a text of a sequence?"""
    probe = values.Enrollment(id="probe", sequence=LIBRARY.sequences[sequence], started_at=now)
    thread = replace(snapshots.thread_of(session, parent), enrollments=(probe,))
    proposal = Proposal(
        enrollment="probe",
        sequence=sequence,
        step="X-1",
        cycle=1,
        kind=Kind.IDEA,
        topic=Topic.RELATIONSHIP,
        expires_at=now + timedelta(days=1),
    )
    verdict = gate.may_go(proposal, thread, Policy(), now)
    return isinstance(verdict, NotYet) and verdict.reason.code.startswith("hold_")


# ---------------------------------------------------------------- abuse


def test_an_abuse_disclosure_holds_the_family_and_calls_the_safeguarding_lead(session, people, parent, text):
    text(parent, "he hits us", deps=ABUSE)
    placed = kinds(session, parent)
    assert {kind: hold.scope for kind, hold in placed.items()} == {"crisis": "family", "safeguarding": "family"}
    assert paged(session, alerts(session)[0], people) == ["dee"]


def test_abuse_behind_another_danger_has_its_own_hold_too(session, people, parent, text):
    text(parent, "both", deps=seen_as(Level.CRISIS, Tier.SUICIDE_SELFHARM, also=(Tier.ABUSE_DV,)))
    assert set(kinds(session, parent)) == {"crisis", "safeguarding"}


def test_firm_and_contact_content_stays_off_when_the_ordinary_hold_is_released(session, people, parent, text, now):
    other = a_parent(session, people.family, now=now, name="Leo Invented")
    text(parent, "he hits us", deps=ABUSE)
    assert is_blocked(session, parent, "CARE", now)
    holds.release_hold(
        session, kinds(session, parent)["crisis"], people.ana.id, "they are safe", holds.Release(path="resume"), now
    )
    for member in (parent, other):
        blocked = {key for key in LIBRARY.sequences if is_blocked(session, member, key, now)}
        may_go = {key for key, sequence in LIBRARY.sequences.items() if sequence.traits.under_safeguarding}
        assert may_go and blocked == set(LIBRARY.sequences) - may_go


@pytest.mark.parametrize("key", ["AFTERCRISIS", "RECONNECT", "BREAK", "TALK"])
def test_nothing_firm_begins_until_the_family_is_cleared(session, people, parent, text, now, key):
    text(parent, "he hits us", deps=ABUSE)
    holds.release_hold(
        session, kinds(session, parent)["crisis"], people.ana.id, "they are safe", holds.Release(path="resume"), now
    )
    with pytest.raises(enrolling.EnrollError):
        enrolling.start_sequence(session, parent, key, now=now, staff_id=people.ana.id)


@pytest.mark.parametrize(("who", "may"), [("ana", False), ("dee", True), ("cal", True)])
def test_only_a_lead_or_an_admin_clears_the_family(session, people, parent, text, now, who, may):
    people.cal.role = "admin"
    text(parent, "he hits us", deps=ABUSE)
    hold = kinds(session, parent)["safeguarding"]
    person = getattr(people, who)
    if may:
        assert holds.release_hold(session, hold, person.id, "looked into", holds.Release(path="resume"), now)
    else:
        with pytest.raises(holds.HoldError, match="safeguarding lead"):
            holds.release_hold(session, hold, person.id, "looked into", holds.Release(path="resume"), now)
        assert hold.released_at is None


@pytest.mark.parametrize("body", ["HELP", "PAUSE 2", "LESS", "we had a good talk", "1"])
def test_the_other_parents_replies_show_nothing_of_a_disclosure(session, people, parent, text, now, body):
    other = a_parent(session, people.family, now=now, name="Leo Invented")
    family = enrolling.create_family(session, program=people.program, staff_id=people.ana.id, now=now)
    alone = a_parent(session, family, now=now)
    text(parent, "he hits us", deps=ABUSE)
    assert (
        text(other, body, at=now + MINUTE, deps=ORDINARY).texts
        == text(alone, body, at=now + MINUTE, deps=ORDINARY).texts
    )


def test_the_family_is_as_quiet_after_abuse_as_after_any_other_danger(session, people, parent, text, now):
    other = a_parent(session, people.family, now=now, name="Leo Invented")
    text(parent, "he hits us", deps=ABUSE)
    assert {key for key in LIBRARY.sequences if not is_blocked(session, other, key, now)} == set()


# ---------------------------------------------------------------- STOP and START


def test_a_strangers_stop_is_remembered_and_no_reply_goes_there_again(session, people, text, now):
    assert text(STRANGER, "STOP", deps=ORDINARY).texts
    for body in ("hello?", "HELP", "JOIN", "STOP"):
        assert text(STRANGER, body, at=now + MINUTE, deps=ORDINARY).texts == ()
    raw = session.connection().exec_driver_sql("SELECT number_index FROM stopped_numbers").scalar()
    assert "0188" not in raw


def test_a_stopped_stranger_in_danger_gets_one_reply_and_the_alert_says_phone(session, people, text, now):
    text(STRANGER, "STOP", deps=ORDINARY)
    assert "988" in text(STRANGER, "danger", at=now + MINUTE, deps=DANGER).texts[0]
    assert text(STRANGER, "danger", at=now + 10 * MINUTE, deps=DANGER).texts == ()
    (alert,) = alerts(session)
    assert paging.OPTED_OUT_MARK in alert.title


def test_a_stranger_who_says_stop_beside_danger_is_marked(session, people, text):
    text(STRANGER, "I want to die. STOP", deps=DANGER)
    assert paging.OPTED_OUT_MARK in alerts(session)[0].title
    assert session.scalars(select(StoppedNumber)).one()


@pytest.mark.parametrize("who", ["parent", "stranger"])
def test_start_takes_the_warning_off_the_alert(session, people, parent, text, now, who):
    sender = parent if who == "parent" else STRANGER
    text(sender, "I want to die. STOP", deps=DANGER)
    (alert,) = alerts(session)
    assert paging.OPTED_OUT_MARK in alert.title
    text(sender, "START", at=now + MINUTE, deps=ORDINARY)
    assert paging.OPTED_OUT_MARK not in alert.title
    assert session.scalars(select(StoppedNumber)).all() == []


def test_an_opted_out_parent_in_danger_gets_one_reply(session, people, parent, text, now):
    text(parent, "STOP", deps=ORDINARY)
    assert text(parent, "danger", at=now + MINUTE, deps=DANGER).texts
    assert text(parent, "danger", at=now + 10 * MINUTE, deps=DANGER).texts == ()
    assert "phone" in alerts(session)[-1].title


def test_an_on_call_phone_that_stops_is_passed_by_until_it_starts(session, people, text, now):
    text(PHONES["ana"], "STOP", deps=ORDINARY)
    assert on_call.duty_of(session, people.ana.id).phone_stopped_at == now
    first = an_alert(session, people, now, number=STRANGER).alert
    assert "ana" not in paged(session, first, people)
    text(PHONES["ana"], "START", at=now + MINUTE, deps=ORDINARY)
    second = an_alert(session, people, now + MINUTE, number="+13125550189").alert
    assert paged(session, second, people) == ["ana"]


def test_somebody_on_call_in_danger_is_answered_and_others_are_paged(session, people, text):
    answer = text(PHONES["ana"], "danger", deps=DANGER)
    assert "988" in answer.texts[0]
    assert "ana" not in paged(session, alerts(session)[0], people)


# ---------------------------------------------------------------- a screen that fails


def test_a_failing_screen_asks_everybody_and_pages_in_one(session, people, text, now):
    def broken(text, *, recent, own_texts, open_episode):
        raise TimeoutError

    deps = Deps(library=LIBRARY, screen=broken)
    answers = [text(f"+1212555{100 + n:04d}", "good morning", deps=deps).texts for n in range(30)]
    assert all(len(texts) == 1 and "911" in texts[0] for texts in answers)
    assert [alert.level for alert in alerts(session)] == ["check"] * 30
    escalation.escalate_due(session, now + 31 * MINUTE)
    pages = session.scalars(select(Outbox).where(Outbox.category == "staff_page")).all()
    assert len(pages) == 1
    assert "30 alerts wait" in pages[0].body


# ---------------------------------------------------------------- after


@pytest.fixture
def ended(session, people, parent, text, now):
    text(parent, "danger", deps=DANGER)
    (alert,) = alerts(session)
    acknowledging.resolve(session, alert, people.ana.id, "in_care", "", now)
    return alert


def train(session, person, now):
    on_call.set_duties(session, person, is_safeguarding_lead=False, is_trained_in_aftercare=True, by="staff:4", now=now)


def test_aftercare_is_offered_only_to_somebody_trained_and_only_at_the_end(session, people, parent, ended, now):
    train(session, people.ben, now)
    assert [aftercare.offer(session, ended, person.id) for person in (people.ben, people.ana)] == [
        "offered",
        "untrained",
    ]
    with pytest.raises(acknowledging.AlertError, match="trained"):
        aftercare.start(session, ended, people.ana.id, now=now)


def test_ending_an_alert_starts_nothing_by_itself(session, ended):
    assert session.scalars(select(Enrollment).where(Enrollment.sequence_key == "AFTERCRISIS")).all() == []


def test_aftercare_waits_for_the_release_of_the_holds(session, people, parent, ended, now):
    train(session, people.ben, now)
    with pytest.raises(enrolling.EnrollError):
        aftercare.start(session, ended, people.ben.id, now=now)


@pytest.mark.parametrize("outcome", ["false_alarm", "fixed"])
def test_there_is_no_aftercare_where_nothing_happened(session, people, parent, text, now, outcome):
    train(session, people.ben, now)
    text(parent, "danger", deps=DANGER)
    (alert,) = alerts(session)
    assert aftercare.offer(session, alert, people.ben.id) is None
    acknowledging.resolve(session, alert, people.ana.id, outcome, "a note", now)
    assert aftercare.offer(session, session.get_one(Alert, alert.id), people.ben.id) is None
