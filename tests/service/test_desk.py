"""The desk: what may be proposed, who may publish it, what is blocked, and how the running screen follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from nudges.alerts import corpus as judged
from nudges.crisis import edition, phrases, replies
from nudges.crisis.phrases import Phrase
from nudges.crisis.screen import screen
from nudges.crisis.values import Level, Screening, Tier
from nudges.desk import bench, compare, content, corpus, drafting, lines, lint, versions
from nudges.desk.content import Change
from nudges.desk.corpus import Reading, Row
from nudges.desk.live import LiveScreen
from nudges.families.staff import set_on_call
from nudges.library import signing
from nudges.models.messages import Inbound
from nudges.models.on_call import CorpusText
from nudges.models.phrases import PhraseVersion
from nudges.models.safety import LedgerEntry, Task
from nudges.publishing import Refused

VIOLIN = Phrase(
    kind="crisis",
    words="violin [any 3] porch",
    tier=Tier.SUICIDE_SELFHARM,
    must=("the violin is on the porch", "a violin sat at our porch"),
    must_not=("the violin is in tune", "rain came to the porch"),
)
QUIET = Phrase(
    kind="never_alone",
    words="drowning in paperwork",
    must=("drowning in paperwork", "we are drowning in paperwork"),
    must_not=("drowning in paperwork and she took all her pills", "drowning in paperwork, she wants to kill herself"),
)
ROWS = (
    Row(name="1", text="she wants to kill herself", label=Level.CRISIS, style="explicit"),
    Row(name="2", text="she asked who would miss her", label=Level.CRISIS, style="oblique"),
    Row(name="3", text="the violin is on the porch", label=Level.ORDINARY, style="plain"),
    *(Row(name=f"o{i}", text=f"see you on the {i}th", label=Level.ORDINARY, style="plain") for i in range(4, 28)),
)


@pytest.fixture
def known() -> dict[str, Reading]:
    return corpus.read(row.text for row in ROWS)


@pytest.fixture
def now_live(engine) -> Iterator[LiveScreen]:
    yield LiveScreen(engine)
    edition.put_in_force(None)


def clinician(session, people):
    signing.set_roles(session, people.ben, ["clinician"], by="system:test", now=people.program.created_at)
    return people.ben


def compared(session, lot, rows=ROWS, known=None) -> compare.Comparison:
    known = known or corpus.read(row.text for row in rows)
    live = edition.build(0, versions.live_content(session))
    return compare.compare(rows, known, live, edition.build(0, lot.content))


def publish(session, staff, *, now, second=False, rows=ROWS[:2], reason="Because the test says so", alarms=False):
    lot = drafting.lot(session, needs_second=second)
    decision = versions.Decision(staff_id=staff.id, reason=reason, takes_on_alarms=alarms)
    return versions.publish(session, lot.rows, compared(session, lot, rows), decision, now=now)


# ---------------------------------------------------------------- what needs two people


def a_change(key: str, before: Any, after: Any) -> Change:
    return Change(key=key, before=before, after=after)


RAW = phrases.to_json(VIOLIN)
LINE = {"say": "988", "say_es": "988", "dial": "988", "text": "988", "source": "x", "verified_on": "2026-11-22"}


@pytest.mark.parametrize(
    ("change", "second"),
    [
        (a_change("phrase:p1", None, RAW), False),
        (a_change("phrase:p1", RAW, None), True),
        (a_change("phrase:p1", RAW, RAW | {"kind": "check"}), True),
        (a_change("phrase:p1", RAW | {"kind": "check"}, RAW), False),
        (a_change("phrase:p1", RAW, RAW | {"severity": 4}), False),
        (a_change("phrase:p1", RAW, RAW | {"severity": 2}), True),
        (a_change("phrase:p1", RAW, RAW | {"words": "violin"}), True),
        (a_change("phrase:p1", RAW, RAW | {"typos": False}), True),
        (a_change("phrase:p1", RAW, RAW | {"must": ["x", "y", "z"]}), False),
        (a_change("phrase:p1", None, RAW | {"kind": "never_alone"}), True),
        (a_change("phrase:p1", RAW | {"kind": "never_alone"}, None), False),
        (a_change("phrase:p1", RAW, RAW | {"kind": "never_alone"}), True),
        (a_change("rule:si.kill-self", None, "check"), True),
        (a_change("rule:si.kill-self", "check", None), False),
        (a_change("line:US.suicide", None, LINE | {"say": "989"}), True),
        (a_change("line:US.suicide", None, LINE), False),
        (a_change("line:US.suicide", LINE, LINE | {"verified_on": "2027-01-01"}), False),
        (a_change("line:ZZ.suicide", None, LINE), True),
        (a_change("country:GB", None, True), True),
        (a_change("country:US", None, False), True),
        (a_change("reply:en.check", None, ["x"]), True),
    ],
    ids=lambda value: f"{value.key} {str(value.before)[:12]}→{str(value.after)[:12]}" if isinstance(value, Change) else None,
)  # fmt: skip
def test_what_silences_lowers_or_redirects_needs_a_second_person(change: Change, second: bool) -> None:
    assert content.needs_second(change) is second


# ---------------------------------------------------------------- the linter


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"words": "school", "typos": False}, "words", "everyday word"),
        ({"words": "is the"}, "words", "Only words such as"),
        ({"words": "of the violin"}, "words", "One telling word"),
        ({"words": "school/practice/homework/dinner/teacher/class"}, "words", "Too wide"),
        ({"tier": None}, "tier", "what the danger is about"),
        ({"must": ("the violin is on the porch",)}, "must", "at least 2"),
        ({"must_not": ()}, "must_not", "at least 2"),
        ({"must": ("the violin is on the porch", "a kettle")}, "must", "“a kettle” does not match"),
        ({"must_not": ("violin porch", "nothing")}, "must_not", "“violin porch” matches"),
        ({"words": "x" * 201}, "words", "at most 200"),
        ({"kind": "never_alone", "words": "violin"}, "words", "would cover too much"),
    ],
)  # fmt: skip
def test_the_linter_refuses_and_says_what_to_mend(changes: dict[str, Any], field: str, said: str) -> None:
    raw = phrases.to_json(VIOLIN) | {k: list(v) if isinstance(v, tuple) else v for k, v in changes.items()}
    checked = lint.check(phrases.from_json(raw), name="trial", live={}, recent=())
    assert any(f == field and said in message for f, message in checked.faults), checked.faults


def test_a_good_phrase_has_no_fault_and_shows_what_matches() -> None:
    checked = lint.check(VIOLIN, name="trial", live={}, recent=())
    assert checked.is_good
    assert [(line.is_must, line.is_match) for line in checked.lines] == [(True, True)] * 2 + [(False, False)] * 2


def test_a_phrase_that_everyday_texts_here_use_is_refused_with_counts_only() -> None:
    recent = ["the violin is by the porch again"] * 3 + ["ok thanks"] * 400
    checked = lint.check(VIOLIN, name="trial", live={}, recent=recent)
    assert checked.in_recent == (3, 403)
    assert any("3 of the last 403" in message for _, message in checked.faults)
    assert not any("again" in message for _, message in checked.faults)


def test_the_same_phrase_twice_is_refused() -> None:
    live = {"phrase:p1": phrases.to_json(VIOLIN)}
    assert any("exactly this already" in m for _, m in lint.check(VIOLIN, name="trial", live=live, recent=()).faults)
    assert lint.check(VIOLIN, name="p1", live=live, recent=()).is_good


def test_a_suppression_must_leave_danger_beside_it_alone() -> None:
    bad = phrases.from_json(
        phrases.to_json(QUIET) | {"words": "kill herself", "must": ["kill herself now", "kill herself"]}
    )
    checked = lint.check(bad, name="trial", live={}, recent=())
    assert any("would still be answered as check" in message for _, message in checked.faults)


# ---------------------------------------------------------------- publishing


def test_an_added_phrase_takes_effect_with_one_person_and_everybody_is_told(session, people, now) -> None:
    drafting.propose_phrase(session, VIOLIN, name=None, staff_id=people.dee.id, now=now)
    made = publish(session, people.dee, now=now)
    assert (made.number, made.author_id, made.approver_id) == (1, people.dee.id, None)
    assert made.digest == edition.digest_of(json.loads(made.content))
    task = session.scalars(select(Task).where(Task.kind == "crisis_desk")).one()
    assert "violin" in task.words
    assert session.scalar(select(LedgerEntry.action).order_by(LedgerEntry.id.desc())) != "desk.proposed"
    kept = {(row.text, row.label) for row in session.scalars(select(CorpusText).where(CorpusText.origin == "phrase"))}
    assert kept == {(t, "crisis") for t in VIOLIN.must} | {(t, "ordinary") for t in VIOLIN.must_not}
    assert not drafting.open_changes(session)


def test_taking_it_away_needs_another_person_with_the_clinical_role(session, people, now) -> None:
    drafting.propose_phrase(session, VIOLIN, name=None, staff_id=people.dee.id, now=now)
    publish(session, people.dee, now=now)
    drafting.propose(session, "phrase:p1", None, staff_id=people.dee.id, now=now)
    assert not drafting.lot(session, needs_second=False).rows
    with pytest.raises(Refused, match="clinician role"):
        publish(session, people.ana, now=now, second=True)
    ben = clinician(session, people)
    signing.set_roles(session, people.dee, ["clinician"], by="system:test", now=now)
    with pytest.raises(Refused, match="You proposed"):
        publish(session, people.dee, now=now, second=True)
    made = publish(session, ben, now=now, second=True)
    assert (made.author_id, made.approver_id) == (people.dee.id, ben.id)
    assert versions.live_content(session) == {}


def test_nothing_is_published_that_loses_a_plain_statement_of_danger(session, people, now, known) -> None:
    cover = phrases.to_json(QUIET) | {"words": "kill herself"}
    drafting.propose(session, "phrase:p1", cover, staff_id=people.dee.id, now=now)
    ben = clinician(session, people)
    lot = drafting.lot(session, needs_second=True)
    seen = compared(session, lot, known=known)
    assert [moved.row.name for moved in seen.lost] == ["1"]
    with pytest.raises(Refused, match="plain statements of danger"):
        publish(session, ben, now=now, second=True, alarms=True)
    assert versions.newest(session) is None


def test_more_false_alarms_block_unless_a_clinician_takes_them_on_with_a_reason(session, people, now) -> None:
    drafting.propose_phrase(session, VIOLIN, name=None, staff_id=people.dee.id, now=now)
    with pytest.raises(Refused, match="0.3 points"):
        publish(session, people.dee, now=now, rows=ROWS, alarms=True)
    signing.set_roles(session, people.dee, ["clinician"], by="system:test", now=now)
    with pytest.raises(Refused, match="0.3 points"):
        publish(session, people.dee, now=now, rows=ROWS)
    with pytest.raises(Refused, match="reason"):
        publish(session, people.dee, now=now, rows=ROWS, alarms=True, reason="because")
    made = publish(session, people.dee, now=now, rows=ROWS, alarms=True)
    assert made.is_override and made.scores["after"]["ordinary_as_crisis"] > 0


def test_a_comparison_of_something_else_publishes_nothing(session, people, now) -> None:
    drafting.propose_phrase(session, VIOLIN, name=None, staff_id=people.dee.id, now=now)
    old = compared(session, drafting.lot(session, needs_second=False), ROWS[:2])
    other = phrases.from_json(phrases.to_json(VIOLIN) | {"words": "kettle [any 3] porch"})
    drafting.propose_phrase(session, other, name=None, staff_id=people.dee.id, now=now)
    lot = drafting.lot(session, needs_second=False)
    decision = versions.Decision(staff_id=people.dee.id, reason="Because the test says so")
    with pytest.raises(Refused, match="draft changed"):
        versions.publish(session, lot.rows, old, decision, now=now)
    assert sorted(change.name for change in lot.changes) == ["p1", "p2"]


def test_going_back_is_a_new_version_with_the_old_content(session, people, now) -> None:
    drafting.propose_phrase(session, VIOLIN, name=None, staff_id=people.dee.id, now=now)
    first = publish(session, people.dee, now=now)
    with pytest.raises(Refused, match="clinician role"):
        versions.roll_back(session, 0, staff_id=people.dee.id, reason="", now=now)
    ben = clinician(session, people)
    versions.roll_back(session, 0, staff_id=ben.id, reason="", now=now)
    assert versions.live_content(session) == {}
    third = versions.roll_back(session, 1, staff_id=people.dee.id, reason="", now=now)  # only adds: anybody may
    assert (third.number, third.kind, third.digest) == (3, "rollback", first.digest)
    with pytest.raises(Refused, match="what is in force"):
        versions.roll_back(session, 1, staff_id=ben.id, reason="", now=now)


def test_a_phrase_name_is_never_used_again(session, people, now) -> None:
    drafting.propose_phrase(session, VIOLIN, name=None, staff_id=people.dee.id, now=now)
    publish(session, people.dee, now=now)
    ben = clinician(session, people)
    versions.roll_back(session, 0, staff_id=ben.id, reason="", now=now)
    row = drafting.propose_phrase(session, VIOLIN, name=None, staff_id=people.dee.id, now=now)
    assert row is not None and row.key == "phrase:p2"


def test_a_suppression_is_on_trial_for_fourteen_days(session, people, now) -> None:
    ben = clinician(session, people)
    drafting.propose_phrase(session, QUIET, name=None, staff_id=people.dee.id, now=now)
    publish(session, ben, now=now, second=True)
    assert versions.live_content(session)["phrase:p1"]["shadow"] is True
    later = now + timedelta(days=13)
    with pytest.raises(Refused, match="14 days"):
        drafting.propose_end_of_trial(session, "p1", staff_id=people.dee.id, now=later)
    later = now + timedelta(days=14)
    drafting.propose_end_of_trial(session, "p1", staff_id=people.dee.id, now=later)
    publish(session, ben, now=later, second=True)
    assert versions.live_content(session)["phrase:p1"]["shadow"] is False


def test_a_version_that_was_tampered_with_is_not_put_in_force(sessions, people, now, now_live) -> None:
    with sessions.begin() as session:
        drafting.propose_phrase(session, VIOLIN, name=None, staff_id=people.dee.id, now=now)
        publish(session, people.dee, now=now)
    assert now_live("the violin is on the porch", recent=(), own_texts=(), open_episode=False).level is Level.CRISIS
    with sessions.begin() as session:
        row = session.scalars(select(PhraseVersion)).one()
        copy = {"number": 2, "content": edition.canonical({}), "digest": row.digest}
        fields = ("kind", "author_id", "reason", "changes", "scores", "is_override", "at")
        session.add(PhraseVersion(**copy, **{name: getattr(row, name) for name in fields}))
    assert now_live("the violin is on the porch", recent=(), own_texts=(), open_episode=False).level is Level.CRISIS
    assert now_live.fault == "StoredVersionError"
    assert edition.in_force().number == 1


def test_the_running_screen_follows_at_the_next_text_even_inside_a_transaction(sessions, people, now, now_live) -> None:
    def read() -> Screening:
        return now_live("the violin is on the porch", recent=(), own_texts=(), open_episode=False)

    assert read().level is Level.ORDINARY
    with sessions.begin() as session:
        drafting.propose_phrase(session, VIOLIN, name=None, staff_id=people.dee.id, now=now)
        publish(session, people.dee, now=now)
    with sessions.begin() as session:
        session.scalar(select(func.count()).select_from(Inbound))  # on SQLite this holds the write lock
        found = read()
    assert found.level is Level.CRISIS
    assert "+desk-1-" in found.version


def test_with_the_database_away_the_last_good_phrases_stay(sessions, people, now, now_live, engine) -> None:
    with sessions.begin() as session:
        drafting.propose_phrase(session, VIOLIN, name=None, staff_id=people.dee.id, now=now)
        publish(session, people.dee, now=now)
    now_live.refresh()
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE phrase_versions RENAME TO gone"))
    try:
        assert now_live("the violin is on the porch", recent=(), own_texts=(), open_episode=False).level is Level.CRISIS
        assert now_live.fault is not None
    finally:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE gone RENAME TO phrase_versions"))


# ---------------------------------------------------------------- help lines and replies


def test_every_shipped_reply_passes_its_own_checks() -> None:
    assert lines.faults(edition.shipped()) == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("line:US.suicide", LINE | {"say": "nine eight eight – the línea"}, "more than halve"),
        ("line:US.emergency", LINE | {"say": "your nearest emergency department, which you find in the yellow pages or online"}, "first 70"),
        ("country:GB", True, "never verified"),
        ("reply:en.check", ["We hope that all is well with your family and that you had a very calm and good week.", "Call {suicide}."], "first 70"),
        ("reply:en.check", ["Call {suicide}."] + ["Please take good care of everybody at home today."] * 8, "at most 306"),
    ],
)  # fmt: skip
def test_a_line_or_reply_that_would_not_fit_is_refused_before_it_is_saved(
    session, people, now, key, value, said
) -> None:
    with pytest.raises(Refused, match=said):
        drafting.propose(session, key, value, staff_id=people.dee.id, now=now)


def test_a_new_number_reaches_the_replies_once_two_people_agree(sessions, people, now, now_live) -> None:
    case = Screening(level=Level.CRISIS, tier=Tier.OVERDOSE_POISON, severity=3, why="")
    with sessions.begin() as session:
        ben = clinician(session, people)
        value = LINE | {"say": "1-800-555-0142", "say_es": "1-800-555-0142", "dial": "18005550142"}
        drafting.propose(session, "line:US.poison", value, staff_id=people.dee.id, now=now)
        assert "0142" not in replies.reply(case, lang="en", alerted=True)
        publish(session, ben, now=now, second=True)
    now_live.refresh()
    assert "1-800-555-0142" in replies.reply(case, lang="en", alerted=True)
    assert any("1-800-555-0142" in own for own in replies.every_text())


def test_a_line_called_again_is_published_by_one_person(session, people, now) -> None:
    value = LINE | {"source": "988lifeline.org", "verified_on": "2027-02-01", "next_review": "2027-05-01"}
    drafting.propose(session, "line:US.suicide", value, staff_id=people.dee.id, now=now)
    assert len(drafting.lot(session, needs_second=False).rows) == 1


# ---------------------------------------------------------------- the corpus and the bench


def test_readings_of_the_corpus_are_kept_and_hold_no_text(session, people, now, known) -> None:
    corpus.keep(session, known)
    corpus.keep(session, known)  # a second page at the same time
    assert corpus.readings(session, ROWS) == known
    assert corpus.unread(ROWS, corpus.readings(session, ROWS)) == []
    stored = session.execute(text("SELECT text_index, rules FROM corpus_readings")).all()
    assert not any("herself" in str(value) for row in stored for value in row)


def test_readings_of_another_model_do_not_count(session, known) -> None:
    corpus.keep(session, known)
    session.execute(update(corpus.CorpusReading).values(core="rules-old"))
    assert corpus.readings(session, ROWS) == {}


def test_a_judged_miss_may_not_be_lost_again(session, people, now) -> None:
    judged.add_text(
        session, program_id=people.program.id, text="the violin is here", label="crisis", tier="abuse_dv",
        origin="incident", reason="Missed on Monday", staff_id=people.dee.id, now=now,
    )  # fmt: skip
    row = corpus.rows(session)[-1]
    assert (row.text, row.must_not_be_lost) == ("the violin is here", True)


def test_every_shipped_text_is_in_the_corpus() -> None:
    assert len(corpus.shipped()) > 5000
    assert {row.label for row in corpus.shipped()} == set(Level)


def test_the_bench_shows_what_the_real_path_would_answer() -> None:
    trial = bench.try_text("STOP she wants to kill herself", lang=None, country="US", alerted=True)
    found = screen("STOP she wants to kill herself")
    assert trial.screening == found
    assert trial.reply == replies.reply(found, lang="en", country="US", alerted=True)
    assert (trial.parts, trial.units <= 306, "".join(piece.text for piece in trial.pieces)) == (2, True, trial.text)
    assert [piece.text for piece in trial.pieces if piece.mark == "hit"]


def test_the_bench_names_who_would_be_paged_and_pages_nobody(session, people, now) -> None:
    set_on_call(session, session.merge(people.ana), phone="+13125550161", rank=1, by="system:test", now=now)
    before = session.scalar(select(func.count()).select_from(LedgerEntry))
    calls = bench.who_is_paged(session, people.program.id, screen("she wants to kill herself"), now=now)
    assert (calls[0].after_minutes, calls[0].people, calls[0].is_on_duty) == (0, (people.ana.name,), True)
    assert bench.who_is_paged(session, people.program.id, screen("see you on tuesday"), now=now) == ()
    assert session.scalar(select(func.count()).select_from(LedgerEntry)) == before
    assert not session.new
