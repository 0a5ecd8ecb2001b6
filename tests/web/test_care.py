"""What a counselor does for a parent, through the page."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from nudges.models.family import KeyDate, Parent
from nudges.models.messages import Outbox
from nudges.models.safety import Hold, LedgerEntry, Task
from nudges.models.sequences import Enrollment
from tests.web.conftest import MONDAY, World


@pytest.fixture
def base(world: World) -> str:
    return f"/families/{world.lopez}/parents/{world.maria}"


def parent_of(db: sessionmaker[Session], world: World) -> Parent:
    with db() as session:
        return session.get_one(Parent, world.maria)


def test_a_pause_lasts_until_the_morning_that_was_chosen(
    ana: FlaskClient, db: sessionmaker[Session], world: World, base: str
) -> None:
    ana.post(f"{base}/pause", data={"until": "2025-03-17"})
    parent = parent_of(db, world)
    assert parent.status == "paused"
    assert parent.paused_until.isoformat() == "2025-03-17T05:00:00+00:00", "midnight in Chicago"
    assert "Paused until" in ana.get(f"/families/{world.lopez}").text
    ana.post(f"{base}/resume")
    assert parent_of(db, world).status == "active"


def test_a_pause_into_the_past_is_refused_in_words(ana: FlaskClient, db, world: World, base: str) -> None:
    page = ana.post(f"{base}/pause", data={"until": "2025-03-01"}, follow_redirects=True).text
    assert "should end in the future" in page
    assert parent_of(db, world).status == "active"


def test_a_stop_by_phone_takes_effect_at_once_and_takes_back_what_is_queued(
    ana: FlaskClient, db: sessionmaker[Session], world: World, base: str
) -> None:
    ana.post(f"{base}/texts", data={"words": "I will call you at six."})
    ana.post(f"{base}/opt-out", data={"how": "phone"})
    assert parent_of(db, world).status == "opted_out"
    with db() as session:
        assert set(session.scalars(select(Outbox.status))) == {"cancelled"}
    page = ana.post(f"{base}/texts", data={"words": "One more thing"}).text
    assert "asked us to stop" in page and "One more thing" in page
    with db() as session:
        assert session.query(Outbox).count() == 1, "no text to somebody who stopped"


def test_a_session_is_recorded_moved_and_marked(
    ana: FlaskClient, db: sessionmaker[Session], world: World, base: str
) -> None:
    ana.post(f"{base}/dates", data={"kind": "session", "nth": "2", "at": "2025-03-20T16:00"})
    with db() as session:
        date_id = session.scalars(select(KeyDate.id).where(KeyDate.nth == 2)).one()
    ana.post(f"{base}/dates/{date_id}/move", data={"at": "2025-03-27T17:30"})
    with db() as session:
        row = session.get_one(KeyDate, date_id)
        assert (row.at.isoformat(), row.first_at.isoformat()) == (
            "2025-03-27T22:30:00+00:00",
            "2025-03-20T21:00:00+00:00",
        )
    ana.post(f"{base}/dates/{date_id}/mark", data={"status": "cancelled"})
    with db() as session:
        assert session.get_one(KeyDate, date_id).status == "cancelled"


def test_a_date_of_another_parent_cannot_be_moved(
    ana: FlaskClient, db: sessionmaker[Session], world: World, base: str
) -> None:
    with db() as session:
        foreign = session.scalars(select(KeyDate.id).where(KeyDate.parent_id == world.joy)).one()
    assert ana.post(f"{base}/dates/{foreign}/move", data={"at": "2025-03-27T17:30"}).status_code == 404


def test_a_sequence_is_started_once_and_stopped(
    ana: FlaskClient, db: sessionmaker[Session], world: World, base: str
) -> None:
    ana.post(f"{base}/sequences", data={"key": "TALK"})
    ana.post(f"{base}/sequences", data={"key": "TALK"})
    ana.post(f"{base}/sequences/stop", data={"key": "TALK"})
    with db() as session:
        rows = session.scalars(select(Enrollment).where(Enrollment.sequence_key == "TALK")).all()
        assert [row.status for row in rows] == ["stopped"]


def test_a_counselor_writes_as_a_person_and_the_automation_rests(
    ana: FlaskClient, db: sessionmaker[Session], world: World, base: str
) -> None:
    ana.post(f"{base}/texts", data={"words": "I will call you at six."})
    with db() as session:
        text = session.scalars(select(Outbox)).one()
        assert (text.category, text.body, text.staff_id) == ("person", "I will call you at six.", world.ana)
        assert session.scalars(select(Hold.kind)).one() == "conversation"
        entry = session.scalars(select(LedgerEntry).where(LedgerEntry.action == "person.wrote")).one()
        assert "six" not in str(entry.details), "the ledger holds no words"


@pytest.mark.parametrize(
    ("words", "says"), [("", "Write something"), ("a" * 1200, "Too long")], ids=["empty", "eight parts"]
)
def test_a_text_that_cannot_go_stays_in_its_field(
    ana: FlaskClient, db: sessionmaker[Session], base: str, words: str, says: str
) -> None:
    page = ana.post(f"{base}/texts", data={"words": words}).text
    assert says in page and words in page
    with db() as session:
        assert session.query(Outbox).count() == 0


def test_a_hold_is_released_only_with_a_reason(ana: FlaskClient, db: sessionmaker[Session], world: World) -> None:
    with db.begin() as session:
        hold = Hold(family_id=world.lopez, kind="crisis", scope="family", placed_at=MONDAY)
        session.add(hold)
        session.flush()
        hold_id = hold.id
    url = f"/families/{world.lopez}/holds/{hold_id}/release"
    page = ana.post(url, data={"path": "resume"}, follow_redirects=True).text
    assert "Say why" in page
    ana.post(url, data={"reason": "Safe with the clinic.", "path": "rest", "until": "2026-12-31"})
    with db() as session:
        assert session.get_one(Hold, hold_id).release_reason == "Safe with the clinic."
    assert parent_of(db, world).status == "paused"


def test_a_task_is_ticked_off_with_what_came_of_it(ana: FlaskClient, db: sessionmaker[Session], world: World) -> None:
    with db.begin() as session:
        task = Task(
            program_id=1,
            family_id=world.lopez,
            parent_id=world.maria,
            priority=2,
            kind="reply",
            words="Wants a call",
            due_at=MONDAY,
            created_at=MONDAY,
        )
        session.add(task)
        session.flush()
        task_id = task.id
    assert "Wants a call" in ana.get("/inbox").text
    ana.post(f"/inbox/{task_id}/done", data={"outcome": "Called, all well"})
    assert "Wants a call" not in ana.get("/inbox").text
    with db() as session:
        done = session.get_one(Task, task_id)
        assert (done.done_by, done.outcome) == (world.ana, "Called, all well")


def test_not_this_week_is_one_button_with_an_undo(
    ana: FlaskClient, db: sessionmaker[Session], world: World, base: str
) -> None:
    family = f"/families/{world.lopez}"
    assert "Not this week" in ana.get(family).text and "Not this week" in ana.get(f"{base}/profile").text
    page = ana.post(f"{base}/not-this-week", follow_redirects=True).text
    assert "Quiet until Sunday" in page and 'value="2025-03-03..2025-03-09"' in page
    assert parent_of(db, world).profile["quiet_days"] == ["2025-03-03..2025-03-09"]
    page = ana.post(f"{base}/not-this-week/undo", data={"days": "2025-03-03..2025-03-09"}, follow_redirects=True).text
    assert "Not this week" in page and "Taken back" in page
    assert "quiet_days" not in parent_of(db, world).profile


def test_not_this_week_taken_back_twice_says_so(ana: FlaskClient, world: World, base: str) -> None:
    page = ana.post(f"{base}/not-this-week/undo", data={"days": "sun"}, follow_redirects=True).text
    assert "not marked as quiet" in page


def test_a_stranger_cannot_quieten_a_family(
    cal: FlaskClient, db: sessionmaker[Session], world: World, base: str
) -> None:
    assert cal.post(f"{base}/not-this-week").status_code == 404
    assert "quiet_days" not in parent_of(db, world).profile
