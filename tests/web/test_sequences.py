"""Sequences: reading, writing, checking, publishing, going back; through the pages and the real core."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from nudges.engine import ticks
from nudges.families import enrolling
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.sequences import Enrollment, SequenceRow, SequenceVersion
from nudges.studio import drafts, impact
from nudges.wiring import Wiring
from tests.web.conftest import MONDAY, World

TALK = "/admin/sequences/TALK"


@pytest.fixture
def live(db: sessionmaker[Session]) -> str:
    """The YAML of the live TALK."""
    with db() as session:
        row = session.scalars(select(SequenceRow).where(SequenceRow.key == "TALK")).one()
        return drafts.live_text(session, row)


@pytest.fixture
def in_talk(db: sessionmaker[Session], world: World) -> int:
    """Maria is in TALK and in nothing else; the id of her enrollment."""
    with db.begin() as session:
        parent = session.get_one(Parent, world.maria)
        enrolling.stop_sequence(session, parent, "ONBOARD", reason="for the test", now=MONDAY)
        return enrolling.start_sequence(session, parent, "TALK", now=MONDAY).id


def save(client: FlaskClient, text: str, revision: int = 0):
    return client.post(f"{TALK}/draft", data={"text": text, "revision": revision})


def looked_at(client: FlaskClient) -> dict[str, str]:
    """What the page of the impact says was compared."""
    return dict(re.findall(r'name="(before|after)" value="(\w+)"', client.get(f"{TALK}/draft/publish").text))


def publish(client: FlaskClient, move: str = "new_only", note: str = "Softer.", looked: dict[str, str] | None = None):
    looked = looked_at(client) if looked is None else looked
    return client.post(f"{TALK}/draft/publish", data={"note": note, "move": move, **looked})


def versions(db: sessionmaker[Session]) -> list[tuple[int, str]]:
    with db() as session:
        row = session.scalars(select(SequenceRow).where(SequenceRow.key == "TALK")).one()
        rows = session.scalars(
            select(SequenceVersion).where(SequenceVersion.sequence_id == row.id).order_by(SequenceVersion.number)
        )
        return [(version.number, version.note) for version in rows]


def softer(text: str) -> str:
    assert "Calm beats clever." in text
    return text.replace("Calm beats clever.", "Calm is enough.")


def test_a_sequence_reads_as_a_timeline_in_both_languages(dee: FlaskClient) -> None:
    page = dee.get(TALK).text
    assert "9 days after enrollment, ahead of a calm window" in page
    assert "Calm beats clever." in page and "La calma gana" in page


def test_a_draft_with_faults_is_saved_and_each_fault_stands_beside_its_line(
    dee: FlaskClient, db: sessionmaker[Session], live: str
) -> None:
    broken = live.replace("kind: tip", "kind: shout", 1)
    line = broken.splitlines().index("    kind: shout") + 1
    page = dee.post(f"{TALK}/draft/check", data={"text": broken}).text
    assert f'data-line="{line}"' in page and "kind: shout" in page
    save(dee, broken)
    assert "kind: shout" in dee.get(f"{TALK}/draft").text
    assert "errors; mend" in publish(dee).text or publish(dee).status_code == 303
    assert versions(db) == [(1, "As shipped.")]


def test_checking_saves_nothing(dee: FlaskClient, db: sessionmaker[Session], live: str) -> None:
    assert "No faults" in dee.post(f"{TALK}/draft/check", data={"text": live}).text
    with db() as session:
        assert session.scalars(select(SequenceRow.draft_yaml).where(SequenceRow.key == "TALK")).one() is None


def test_a_draft_cannot_change_its_key(dee: FlaskClient, live: str) -> None:
    page = dee.post(f"{TALK}/draft/check", data={"text": live.replace("key: TALK", "key: DRIVE", 1)}).text
    assert 'data-line="1"' in page and "write key: TALK" in page


def test_the_second_of_two_editors_is_told_and_neither_loses_a_word(
    dee: FlaskClient, db: sessionmaker[Session], live: str
) -> None:
    save(dee, live.replace("Calm beats clever.", "The first editor was here."))
    page = save(dee, live.replace("Calm beats clever.", "The second editor was here.")).text
    assert "saved this draft while you were writing" in page
    assert "The first editor was here." in page and "The second editor was here." in page
    with db() as session:
        stands = session.scalars(select(SequenceRow.draft_yaml).where(SequenceRow.key == "TALK")).one()
    assert "The first editor was here." in stands
    assert 'name="revision" value="1"' in page, "saving again, knowingly, goes through"


def test_the_preview_shows_what_the_core_would_send_this_family(dee: FlaskClient, live: str, world: World) -> None:
    page = dee.post(f"{TALK}/draft/preview", data={"text": softer(live), "parent": world.maria}).text
    assert "Calm is enough." in page and "TK-1" in page
    assert "18 Mar" in page and "moved by 14 days" in page, "day 1, once her onboarding of Monday 3 March lets it begin"


def test_publishing_makes_a_version_for_new_families_and_leaves_running_ones(
    dee: FlaskClient, db: sessionmaker[Session], live: str, in_talk: int
) -> None:
    save(dee, softer(live))
    assert "What changes in the text" in dee.get(f"{TALK}/draft/publish").text
    publish(dee)
    assert versions(db) == [(1, "As shipped."), (2, "Softer.")]
    with db() as session:
        number = session.get_one(SequenceVersion, session.get_one(Enrollment, in_talk).version_id).number
        assert number == 1
        assert session.scalars(select(SequenceRow.live_number).where(SequenceRow.key == "TALK")).one() == 2


def test_running_families_move_by_step_and_get_nothing_twice(
    dee: FlaskClient, nobody: FlaskClient, db: sessionmaker[Session], live: str, in_talk: int, world: World
) -> None:
    def sent() -> list[str]:
        with db() as session:
            rows = session.scalars(select(Outbox).where(Outbox.enrollment_id == in_talk).order_by(Outbox.id))
            return [f"{row.step_id}: {row.body[:15]}" for row in rows]

    for _ in range(3):
        nobody.post("/phone/clock", data={"by": "day"})
    assert sent() == ["TK-1: Calm beats clev"]
    save(dee, softer(live).replace("Feelings come first.", "Feelings go first."))
    publish(dee, move="all")
    for _ in range(5):
        nobody.post("/phone/clock", data={"by": "day"})
    assert sent()[:2] == ["TK-1: Calm beats clev", "TK-2: Feelings go fir"]
    assert len({line.split(":")[0] for line in sent()}) == len(sent())


def test_the_impact_sheet_names_the_families_whose_texts_change(
    dee: FlaskClient, live: str, in_talk: int, wired: Wiring
) -> None:
    ticks.plan(wired)
    save(dee, live.replace("when: day 4", "when: day 6", 1))
    page = dee.get(f"{TALK}/draft/publish").text
    assert "F-1042" in page and "Changes" in page and "F-1043" not in page


@pytest.mark.parametrize(
    ("data", "field"), [({"note": ""}, "note"), ({"move": "everyone"}, "move")], ids=["no note", "no choice"]
)
def test_publishing_asks_for_a_note_and_a_choice(
    dee: FlaskClient, db: sessionmaker[Session], live: str, data: dict[str, str], field: str
) -> None:
    save(dee, softer(live))
    page = dee.post(f"{TALK}/draft/publish", data={"note": "Why", "move": "all", **looked_at(dee), **data}).text
    assert f'id="{field}-fault"' in page
    assert len(versions(db)) == 1


def test_what_was_looked_at_is_what_is_published(dee: FlaskClient, db: sessionmaker[Session], live: str) -> None:
    save(dee, softer(live))
    looked = looked_at(dee)
    save(dee, softer(live).replace("First talk", "Another talk"), revision=1)
    page = publish(dee, looked=looked).location
    assert page == f"{TALK}/draft/publish" and len(versions(db)) == 1
    assert "The draft changed meanwhile" in dee.get(page).text


def test_nothing_is_published_over_a_version_that_was_not_compared(
    dee: FlaskClient, db: sessionmaker[Session], live: str
) -> None:
    save(dee, softer(live))
    publish(dee)
    save(dee, softer(live).replace("First talk", "Another talk"), revision=2)
    looked = looked_at(dee)
    dee.post(f"{TALK}/versions/1/again", data={"move": "new_only", "note": "Too soft."})
    page = publish(dee, looked=looked).location
    assert "Somebody published meanwhile" in dee.get(page).text
    assert [number for number, _ in versions(db)] == [1, 2, 3]


def test_going_back_publishes_the_earlier_text_again(dee: FlaskClient, db: sessionmaker[Session], live: str) -> None:
    save(dee, softer(live))
    publish(dee)
    dee.post(f"{TALK}/versions/1/again", data={"move": "new_only", "note": ""})
    assert versions(db) == [(1, "As shipped."), (2, "Softer."), (3, "Back to version 1.")]
    page = dee.get(f"{TALK}/versions/3/changes").text
    assert 'class="minus"' in page and "Calm is enough." in page
    with db() as session:
        row = session.scalars(select(SequenceRow).where(SequenceRow.key == "TALK")).one()
        assert drafts.live_text(session, row) == live


def test_the_same_text_cannot_be_published_twice(dee: FlaskClient, db: sessionmaker[Session], live: str) -> None:
    save(dee, live)
    publish(dee)
    assert len(versions(db)) == 1


def test_a_discarded_draft_is_the_live_text_again(dee: FlaskClient, live: str) -> None:
    save(dee, softer(live))
    dee.post(f"{TALK}/draft/discard", data={"revision": 1})
    assert "Calm is enough." not in dee.get(f"{TALK}/draft").text


def test_a_sentence_that_forces_is_named_beside_its_line_and_cannot_be_published(
    dee: FlaskClient, db: sessionmaker[Session], live: str
) -> None:
    """The language lint reads a draft as the command line does."""
    forced = live.replace("Calm beats clever.", "They must go on Friday.", 1)
    page = dee.post(f"{TALK}/draft/check", data={"text": forced}).text
    line = next(n for n, words in enumerate(forced.splitlines(), start=1) if "They must go" in words)
    assert f'data-line="{line}" data-severity="error"' in page
    save(dee, forced)
    publish(dee)
    assert [number for number, _ in versions(db)] == [1]


def test_the_impact_sheet_shows_a_page_of_parents_and_says_so(
    dee: FlaskClient, db: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maria and Joy are both in ONBOARD."""
    monkeypatch.setattr(impact, "MOST", 1)
    with db() as session:
        row = session.scalars(select(SequenceRow).where(SequenceRow.key == "ONBOARD")).one()
        text = drafts.live_text(session, row)
    dee.post("/admin/sequences/ONBOARD/draft", data={"text": text + "\n# a remark\n", "revision": 0})
    page = dee.get("/admin/sequences/ONBOARD/draft/publish").text
    assert "Only the first 1 parents" in page and "F-1042" in page and "F-1043" not in page


def test_a_text_that_holds_a_parents_name_is_named_beside_its_line_and_not_published(
    dee: FlaskClient, db: sessionmaker[Session], live: str
) -> None:
    """Maria Lopez and Joy Adams are parents here; joy in small letters is a feeling."""
    named = live.replace("Calm beats clever.", "Calm beats clever, says Maria.", 1)
    page = dee.post(f"{TALK}/draft/check", data={"text": named}).text
    assert "TK-1 holds a name that a parent of this program has" in page
    save(dee, named)
    publish(dee)
    assert [number for number, _ in versions(db)] == [1]
    feeling = live.replace("Calm beats clever.", "A calm hour can hold some joy.", 1)
    assert "holds a name" not in dee.post(f"{TALK}/draft/check", data={"text": feeling}).text
