"""The one cycle of what is published: draft, compare, publish, go back. The same for sequences and crisis phrases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.crisis import edition, phrases
from nudges.crisis.phrases import Phrase
from nudges.crisis.values import Tier
from nudges.desk import compare, drafting
from nudges.desk import versions as desk
from nudges.families import programs
from nudges.library import signing
from nudges.models.safety import LedgerEntry
from nudges.models.sequences import SequenceRow
from nudges.publishing import DRAFT_CHANGED, PUBLISHED_MEANWHILE, SAME, Looked, Refused, StaleDraft, digest_of
from nudges.studio import drafts
from nudges.studio import versions as studio
from tests.support import factories

REASON = "Because the test says so"
SCORES = compare.Scores(**dict.fromkeys(compare.Scores.__slots__, 0))


@pytest.fixture
def people(session, now):
    return factories.people(session, now=now)


@dataclass
class Sequences:
    """TALK: a word of it changes."""

    session: Session
    people: factories.People
    now: datetime

    @property
    def row(self) -> SequenceRow:
        return self.session.scalars(
            select(SequenceRow).where(SequenceRow.key == "TALK", SequenceRow.program_id == self.people.program.id)
        ).one()

    def text(self, word: str) -> str:
        return drafts.live_text(self.session, self.row) + f"\n# {word}\n"

    def open(self):
        return drafts.open_draft(self.session, self.row)

    def save(self, text: str, *, over: int, by: int):
        drafts.save_draft(self.session, self.row, text, expected_revision=over, staff_id=by, now=self.now)

    def discard(self, *, over: int, by: int) -> None:
        drafts.discard_draft(self.session, self.row, expected_revision=over, staff_id=by, now=self.now)

    def looked(self) -> Looked:
        return studio.looked_at(self.session, self.row)

    def publish(self, looked: Looked, *, by: int) -> Any:
        return studio.publish(
            self.session, self.row, note=REASON, move=studio.NEW_ONLY, looked=looked, staff_id=by, now=self.now
        )

    def go_back(self, number: int, *, by: int, reason: str = "") -> Any:
        return studio.go_back(
            self.session, self.row, number=number, note=reason, move=studio.NEW_ONLY, staff_id=by, now=self.now
        )

    def in_force(self) -> str:
        return drafts.live_text(self.session, self.row)

    def history(self):
        return studio.history(self.session, self.row)

    def told(self, version) -> tuple[str, str, int, datetime]:
        return version.sha256, version.note, version.published_by, version.published_at

    def content(self, version) -> str:
        return version.yaml


@dataclass
class Phrases:
    """The phrase p1: its words change. Its first version is published, as sequences have one that was shipped."""

    session: Session
    people: factories.People
    now: datetime
    key = "phrase:p1"

    def __post_init__(self) -> None:
        signing.set_roles(self.session, self.people.dee, ["clinician"], by="system:test", now=self.now)
        self.save(self.text("violin"), over=0, by=self.people.dee.id)
        self.publish(self.looked(), by=self.people.dee.id)

    def text(self, word: str) -> str:
        raw = phrases.to_json(
            Phrase(
                kind="crisis",
                words=f"{word} [any 3] porch",
                tier=Tier.SUICIDE_SELFHARM,
                must=(f"the {word} is on the porch", f"a {word} sat at our porch"),
                must_not=(f"the {word} is in tune", "rain came to the porch"),
            )
        )
        return json.dumps(raw, ensure_ascii=False)

    def open(self):
        return drafting.open_draft(self.session, self.key)

    def save(self, text: str, *, over: int, by: int) -> None:
        drafting.propose(self.session, self.key, json.loads(text), staff_id=by, now=self.now, over=over)

    def discard(self, *, over: int, by: int) -> None:
        if not drafting.withdraw(self.session, over, staff_id=by, now=self.now):
            raise StaleDraft(self.open())

    def _lot(self) -> drafting.Lot:
        second = drafting.lot(self.session, needs_second=True)
        return second if second.rows else drafting.lot(self.session, needs_second=False)

    def looked(self) -> Looked:
        live = desk.live_content(self.session)
        return Looked(before=edition.digest_of(live), after=edition.digest_of(self._lot().content))

    def publish(self, looked: Looked, *, by: int) -> Any:
        compared = compare.Comparison(
            before_digest=looked.before, after_digest=looked.after, before=SCORES, after=SCORES, moved=()
        )
        decision = desk.Decision(staff_id=by, reason=REASON)
        return desk.publish(self.session, self._lot().rows, compared, decision, now=self.now)

    def go_back(self, number: int, *, by: int, reason: str = "") -> Any:
        return desk.roll_back(self.session, number, staff_id=by, reason=reason, now=self.now)

    def in_force(self) -> str:
        return edition.canonical(desk.live_content(self.session))

    def history(self):
        return desk.history(self.session)

    def told(self, version) -> tuple[str, str, int, datetime]:
        return version.digest, version.reason, version.approver_id or version.author_id, version.at

    def content(self, version) -> str:
        return version.content


@pytest.fixture(params=[Sequences, Phrases], ids=["sequences", "phrases"])
def kind(request, session, people, now):
    return request.param(session, people, now)


@pytest.fixture
def ben(kind):
    """Ben wrote nothing of what is drafted here, and may approve it."""
    signing.set_roles(kind.session, kind.people.ben, ["clinician"], by="system:test", now=kind.now)
    return kind.people.ben.id


def draft(kind, word: str) -> str:
    text = kind.text(word)
    kind.save(text, over=kind.open().revision, by=kind.people.dee.id)
    return text


# ---------------------------------------------------------------- drafts


def test_a_draft_starts_from_what_is_in_force_and_says_who_saved_it(kind):
    begun = kind.open()
    assert (begun.by, begun.at) == (None, None)
    text = draft(kind, "kettle")
    saved = kind.open()
    assert (saved.text, saved.by, saved.at) == (text, kind.people.dee.id, kind.now)
    kind.discard(over=saved.revision, by=kind.people.dee.id)
    assert (kind.open().text, kind.open().by) == (begun.text, None)


def test_the_second_of_two_editors_is_told_what_stands_and_nothing_is_written(kind, ben):
    seen = kind.open().revision
    text = draft(kind, "kettle")
    with pytest.raises(StaleDraft) as told:
        kind.save(kind.text("pillow"), over=seen, by=ben)
    assert (told.value.theirs.text, told.value.theirs.by) == (text, kind.people.dee.id)
    assert kind.open() == told.value.theirs
    kind.save(kind.text("pillow"), over=told.value.theirs.revision, by=ben)
    assert kind.open().by == ben, "saving again, knowingly, goes through"


def test_a_draft_that_was_saved_since_is_not_discarded(kind, ben):
    draft(kind, "kettle")
    seen = kind.open().revision
    text = draft(kind, "pillow")
    with pytest.raises(StaleDraft):
        kind.discard(over=seen, by=ben)
    assert kind.open().text == text


# ---------------------------------------------------------------- publishing


def test_a_new_version_has_its_number_digest_author_and_reason_and_uses_the_draft_up(kind, ben):
    draft(kind, "kettle")
    looked = kind.looked()
    made = kind.publish(looked, by=ben)
    assert (made.number, kind.history()[0]) == (2, made)
    assert kind.told(made) == (looked.after, REASON, ben, kind.now)
    assert kind.content(made) == kind.in_force() and digest_of(kind.in_force()) == looked.after
    assert kind.open().at is None


def test_an_earlier_version_stays_as_it_was(kind, ben):
    (first,) = kind.history()
    before = (kind.content(first), *kind.told(first))
    draft(kind, "kettle")
    kind.publish(kind.looked(), by=ben)
    kind.session.refresh(first)
    assert (kind.content(first), *kind.told(first)) == before


def test_a_draft_that_changed_after_the_comparison_is_not_published(kind, ben):
    draft(kind, "kettle")
    looked = kind.looked()
    draft(kind, "pillow")
    with pytest.raises(Refused, match=DRAFT_CHANGED):
        kind.publish(looked, by=ben)
    assert len(kind.history()) == 1


def test_nothing_is_published_over_a_version_that_was_not_compared(kind, ben):
    draft(kind, "kettle")
    looked = kind.looked()
    kind.publish(looked, by=ben)
    draft(kind, "pillow")
    with pytest.raises(Refused, match=PUBLISHED_MEANWHILE):
        kind.publish(Looked(before=looked.before, after=kind.looked().after), by=ben)


def test_without_a_change_there_is_nothing_to_publish(kind, ben):
    with pytest.raises(Refused, match=SAME):
        kind.publish(kind.looked(), by=ben)


def test_of_two_who_publish_at_the_same_moment_one_is_refused(kind, ben, monkeypatch):
    """The second has not seen the first's version when it takes its number: the database decides."""
    draft(kind, "kettle")
    kind.publish(kind.looked(), by=ben)
    series = studio._Versions if isinstance(kind, Sequences) else desk._Versions
    monkeypatch.setattr(series, "newest", lambda self: kind.history()[-1])
    draft(kind, "pillow")
    looked = Looked(before=digest_of(kind.content(kind.history()[-1])), after=kind.looked().after)
    with pytest.raises(Refused, match=PUBLISHED_MEANWHILE):
        kind.publish(looked, by=ben)


# ---------------------------------------------------------------- going back


def test_going_back_is_a_new_version_with_the_old_content(kind, ben):
    first = kind.in_force()
    draft(kind, "kettle")
    kind.publish(kind.looked(), by=ben)
    again = kind.go_back(1, by=ben)
    assert (again.number, kind.in_force()) == (3, first)
    assert kind.told(again)[:3] == (digest_of(first), "Back to version 1.", ben)
    assert [version.number for version in kind.history()] == [3, 2, 1]
    assert kind.told(kind.go_back(2, by=ben, reason=" It was right after all. "))[1] == "It was right after all."


@pytest.mark.parametrize(("number", "why"), [(1, SAME), (7, "There is no version 7")])
def test_one_cannot_go_back_to_what_is_in_force_or_never_was(kind, ben, number, why):
    with pytest.raises(Refused, match=why):
        kind.go_back(number, by=ben)


def test_a_draft_outlives_going_back_but_has_to_be_compared_again(kind, ben):
    draft(kind, "kettle")
    kind.publish(kind.looked(), by=ben)
    text = draft(kind, "pillow")
    looked = kind.looked()
    kind.go_back(1, by=ben)
    assert kind.open().text == text
    with pytest.raises(Refused, match=PUBLISHED_MEANWHILE):
        kind.publish(looked, by=ben)


def test_every_act_is_in_the_ledger_with_who_did_it(kind, ben):
    last = kind.session.scalar(select(LedgerEntry.id).order_by(LedgerEntry.id.desc())) or 0
    draft(kind, "kettle")
    kind.publish(kind.looked(), by=ben)
    kind.go_back(1, by=ben)
    rows = kind.session.execute(
        select(LedgerEntry.actor, LedgerEntry.action).where(LedgerEntry.id > last).order_by(LedgerEntry.id)
    )
    expected = {
        Sequences: ("draft.saved", "sequence.published", "sequence.published"),
        Phrases: ("desk.proposed", "desk.published", "desk.rolled_back"),
    }[type(kind)]
    actors = (f"staff:{kind.people.dee.id}", f"staff:{ben}", f"staff:{ben}")
    assert [tuple(row) for row in rows if row.action in expected] == list(zip(actors, expected, strict=True))


def test_the_shipped_sequences_have_the_digest_that_the_cycle_compares(session, people, now):
    version = programs.live_version(session, people.program.id, "TALK")
    assert version.sha256 == digest_of(version.yaml)
