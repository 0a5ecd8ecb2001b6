"""The crisis desk's pages, as an admin and a clinician use them."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import func, select, text

from nudges.alerts import on_call
from nudges.crisis import edition
from nudges.crisis.values import Level
from nudges.desk import corpus, lint, versions
from nudges.library import signing
from nudges.models.messages import Inbound
from nudges.models.on_call import CorpusText
from nudges.models.program import Program, Staff
from nudges.models.safety import Alert, LedgerEntry
from tests.web.conftest import MONDAY

PHRASE = {
    "kind": "crisis",
    "words": "violin [any 3] porch",
    "tier": "suicide_selfharm",
    "severity": "3",
    "language": "both",
    "whole_words": "yes",
    "typos": "yes",
    "must": "the violin is on the porch\na violin sat at our porch",
    "must_not": "the violin is in tune\nrain came to the porch",
}
SMALL = tuple(
    corpus.Row(name=str(n), text=words, label=label, style=style)
    for n, (words, label, style) in enumerate(
        [
            ("she wants to kill herself", Level.CRISIS, "explicit"),
            ("see you on tuesday", Level.ORDINARY, "plain"),
            ("the bus was late", Level.ORDINARY, "plain"),
        ]
    )
)


@pytest.fixture(autouse=True)
def small_corpus(monkeypatch):
    """Three texts instead of five thousand: the whole corpus takes half a minute to read.

    What the linter keeps of it is forgotten before and after: other tests run in the same process.
    """
    monkeypatch.setattr(corpus, "shipped", lambda: SMALL)
    lint.corpus_texts.cache_clear(), lint._commonest.cache_clear()
    yield
    lint.corpus_texts.cache_clear(), lint._commonest.cache_clear()


def read_corpus(client) -> None:
    while 'id="reading"' in client.get("/admin/crisis/draft").text:
        client.post("/admin/crisis/draft/read")


def looked_at(client, lot: str) -> dict[str, str]:
    """What the page says was compared, of one lot."""
    form = client.get("/admin/crisis/draft").text.partition(f'name="lot" value="{lot}"')[2]
    return dict(re.findall(r'name="(before|after)" value="(\w+)"', form)[:2])


def publish(client, lot: str, reason: str, looked: dict[str, str] | None = None):
    looked = looked_at(client, lot) if looked is None else looked
    return client.post("/admin/crisis/draft/publish", data={"lot": lot, "reason": reason, **looked})


def make_clinician(db, staff_id) -> None:
    with db.begin() as session:
        person = session.get_one(Staff, staff_id)
        person.role = "admin"
        signing.set_roles(session, person, ["clinician"], by="system:test", now=person.created_at)


PAGES = (
    "/admin/crisis", "/admin/crisis/bench", "/admin/crisis/phrases", "/admin/crisis/phrases/new", "/admin/crisis/draft",
    "/admin/crisis/versions", "/admin/crisis/lines", "/admin/crisis/lines/US/suicide", "/admin/crisis/replies",
    "/admin/crisis/replies/es/check", "/admin/crisis/drill",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_the_desk_is_for_admins(nobody, ana, dee, path) -> None:
    assert [client.get(path).status_code for client in (nobody, ana, dee)] == [302, 403, 200]


@pytest.mark.parametrize("path", ["/admin/crisis", "/admin/crisis/bench"])
def test_the_honest_label_stands_where_people_decide(dee, path) -> None:
    assert "not monitoring" in dee.get(path).text


def test_the_bench_shows_decision_marks_reply_and_people_and_stores_nothing(dee, db) -> None:
    before = _rows(db)
    shown = dee.post("/admin/crisis/bench", data={"text": "she wants to kill herself", "country": "US"}).text
    for words in ("Crisis", '<mark class="hit">', "Call 988 now", "of 306 characters", "At once: Dee", "is held until"):
        assert words in shown, words
    assert _rows(db) == before


def _rows(db) -> list[int]:
    with db() as session:
        tables = (Inbound, CorpusText, LedgerEntry)
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


def test_many_texts_are_tried_line_by_line(dee) -> None:
    shown = dee.post(
        "/admin/crisis/bench", data={"text": "see you on tuesday\nshe took all her pills", "many": "yes"}
    ).text
    assert "1 crisis, 0 check, 1 ordinary" in shown


def test_looking_at_a_real_text_is_on_record_without_its_words(dee, db, world) -> None:
    with db.begin() as session:
        session.add(_inbound(world))
    assert "see you" in dee.get("/admin/crisis/bench?inbound=1").text
    with db() as session:
        entry = session.scalars(select(LedgerEntry).where(LedgerEntry.action == "desk.bench_real")).one()
        assert (entry.subject, entry.details) == ("inbound:1", {"texts": 1})


def _inbound(world) -> Inbound:
    return Inbound(
        provider_id="SM1", from_number="+13125550142", from_index="x", to_number="+13125550100",
        body="see you there", parent_id=world.maria, at=MONDAY,
    )  # fmt: skip


def test_a_text_of_nobody_here_is_not_found(dee) -> None:
    assert dee.get("/admin/crisis/bench?inbound=99").status_code == 404


def test_a_tried_text_can_join_the_corpus_with_a_reason(dee, db) -> None:
    form = {"text": "the violin is on the porch", "label": "crisis", "tier": "abuse_dv", "reason": ""}
    dee.post("/admin/crisis/bench/keep", data=form)
    dee.post("/admin/crisis/bench/keep", data=form | {"reason": "Missed on Monday"})
    with db() as session:
        assert session.scalars(select(CorpusText.text)).all() == ["the violin is on the porch"]


def test_a_phrase_is_previewed_and_nothing_is_saved(dee) -> None:
    shown = dee.post("/admin/crisis/phrases/new", data=PHRASE | {"do": "try"}).text
    assert "Will match" in shown and "Nothing wrong" in shown
    assert "Nothing is proposed" in dee.get("/admin/crisis/draft").text


def test_a_bad_phrase_names_every_fault_beside_its_field(dee) -> None:
    bad = PHRASE | {"words": "[chld] porch", "tier": "", "must": "one", "do": "save"}
    shown = dee.post("/admin/crisis/phrases/new", data=bad).text
    for words in ("There is no slot [chld]", "what the danger is about", "at least 2 different lines"):
        assert words in shown, words


def test_from_a_phrase_to_the_running_screen(dee, wired) -> None:
    dee.post("/admin/crisis/phrases/new", data=PHRASE | {"do": "save"})
    read_corpus(dee)
    assert "You may publish this at once" in dee.get("/admin/crisis/draft").text
    sent = publish(dee, "alone", "Said here for going away")
    assert sent.status_code == 303
    found = wired.screen("the violin is on the porch", recent=(), own_texts=(), open_episode=False)
    assert found.level is Level.CRISIS
    history = dee.get("/admin/crisis/versions").text
    assert "Version 1" in history and "In force" in history
    assert "SHA-256" in dee.get("/admin/crisis/versions/1").text
    assert "violin [any 3] porch" in dee.get("/admin/crisis/phrases").text
    assert "Change a phrase" in dee.get("/admin/crisis/phrases/p1").text


def test_a_removal_waits_for_somebody_else_with_the_clinical_role(dee, ben, db, world, wired) -> None:
    dee.post("/admin/crisis/phrases/new", data=PHRASE | {"do": "save"})
    read_corpus(dee)
    publish(dee, "alone", "Said here for going away")
    dee.post("/admin/crisis/phrases/p1/remove")
    read_corpus(dee)
    shown = publish(dee, "second", "It misfires a lot").text
    assert "Only somebody with the clinician role" in shown and "You proposed" in shown
    make_clinician(db, world.ben)
    assert publish(ben, "second", "It misfires a lot").status_code == 303
    with db() as session:
        assert versions.live_content(session) == {}


def test_what_was_looked_at_is_what_is_published(dee, db) -> None:
    dee.post("/admin/crisis/phrases/new", data=PHRASE | {"do": "save"})
    read_corpus(dee)
    looked = looked_at(dee, "alone")
    other = PHRASE | {"words": "kettle [any 3] porch", "must": "a kettle on the porch\nthe kettle is on our porch"}
    dee.post("/admin/crisis/phrases/new", data=other | {"do": "save"})
    read_corpus(dee)
    assert "The draft changed meanwhile" in publish(dee, "alone", "Said here for going away", looked).text
    with db() as session:
        assert versions.newest(session) is None


def test_the_second_of_two_who_change_a_line_is_told_and_neither_loses_a_word(dee, ben, db, world) -> None:
    make_clinician(db, world.ben)
    line = {"say": "1-800-555-0142", "dial": "18005550142", "source": "called", "verified_on": "2025-03-01"}
    url, opened = "/admin/crisis/lines/US/poison", {"revision": "0", "do": "save"}
    assert 'name="revision" value="0"' in ben.get(url).text
    dee.post(url, data=line | opened)
    page = ben.post(url, data=line | opened | {"source": "the second one called"}).text
    assert "Dee has changed the draft of this meanwhile" in page and "the second one called" in page
    assert 'value="called"' in dee.get(url).text, "the first one stands"
    revision = re.search(r'name="revision" value="(\d+)"', page)[1]
    assert ben.post(url, data=line | {"source": "the second one called", "do": "save", "revision": revision}).location
    assert 'value="the second one called"' in dee.get(url).text


def test_a_click_does_not_take_away_what_somebody_else_has_drafted(dee, ben, db, world) -> None:
    make_clinician(db, world.ben)
    line = {"say": "1-800-555-0142", "dial": "18005550142", "source": "called", "verified_on": "2025-03-01"}
    dee.post("/admin/crisis/lines/US/poison", data=line | {"do": "save"})
    assert "decide that first" in ben.post("/admin/crisis/lines/US/checked", follow_redirects=True).text
    assert 'value="called"' in dee.get("/admin/crisis/lines/US/poison").text


def test_one_click_goes_back(dee, ben, db, world) -> None:
    dee.post("/admin/crisis/phrases/new", data=PHRASE | {"do": "save"})
    read_corpus(dee)
    publish(dee, "alone", "Said here for going away")
    make_clinician(db, world.ben)
    assert ben.post("/admin/crisis/versions/0/roll-back").status_code == 303
    ben.get("/admin/crisis")
    assert edition.in_force().number == 2 and not edition.in_force().phrases


def test_the_corpus_is_read_in_parts_and_never_inside_a_transaction(dee, db, monkeypatch) -> None:
    read = corpus.read

    def while_others_write(texts):
        with db.begin() as session:
            session.execute(text("SELECT 1"))  # would wait for the write lock
        return read(texts)

    monkeypatch.setattr(corpus, "read", while_others_write)
    read_corpus(dee)
    assert 'id="reading"' not in dee.get("/admin/crisis/draft").text


def test_a_line_is_shown_in_its_replies_before_it_is_saved(dee) -> None:
    form = {"say": "1-800-555-0142", "dial": "18005550142", "source": "called", "verified_on": "2025-03-01"}
    shown = dee.post("/admin/crisis/lines/US/poison", data=form | {"do": "try"}).text
    assert "poison help: 1-800-555-0142" in shown and "of 306" in shown
    assert dee.post("/admin/crisis/lines/US/poison", data=form | {"do": "save"}).status_code == 303
    draft = dee.get("/admin/crisis/draft").text
    assert "This needs a second person" in draft and "US poison: 1-800-555-0142" in draft


def test_a_country_without_checked_lines_cannot_be_turned_on(dee) -> None:
    shown = dee.post("/admin/crisis/lines/GB/enabled", data={"enabled": "yes"}, follow_redirects=True).text
    assert "never verified" in shown


def test_every_line_answered_today_is_one_click_for_one_person(dee) -> None:
    dee.post("/admin/crisis/lines/CA/checked")
    assert "You may publish this at once" in dee.get("/admin/crisis/draft").text


def test_a_reply_with_an_unknown_name_is_refused(dee) -> None:
    shown = dee.post("/admin/crisis/replies/en/check", data={"sentences": "Call {nobody", "do": "save"}).text
    assert "whole brackets" in shown


def test_a_drill_is_one_button_and_shows_its_times(dee, wired) -> None:
    sent = dee.post("/admin/crisis/drill")
    assert sent.status_code == 303
    shown = dee.get(sent.headers["Location"]).text
    assert "crisis" in shown and "Acknowledged after" in shown
    assert "Drill" in dee.get("/admin/crisis/drill").text


def test_monitors_get_the_figures_without_personal_data(nobody) -> None:
    shown = nobody.get("/metrics").text
    for name in (
        'nudges_crisis_screened_texts{level="crisis",program="1"}', "nudges_crisis_replies_undelivered",
        "nudges_crisis_help_lines_due", "nudges_crisis_phrases_published 0.0", "nudges_crisis_phrases_in_force 0.0",
    ):  # fmt: skip
        assert name in shown, name
    assert "Maria" not in shown and "+1312" not in shown


@pytest.mark.parametrize(("alerts", "is_marked"), [(5, False), (6, True)])
def test_a_turn_with_more_alerts_than_one_person_can_look_at_is_marked(dee, db, world, alerts, is_marked) -> None:
    _raise_doubts(db, world, alerts, in_a_turn=True)
    shown = dee.get("/admin/crisis").text
    assert f"<td>{alerts}" in shown[shown.index("Busiest turns on call") :]
    assert ("Too many for one turn" in shown) is is_marked


def test_alerts_of_a_month_without_turns_are_nobodys_heavy_turn(dee, db, world) -> None:
    _raise_doubts(db, world, 6, in_a_turn=False)
    shown = dee.get("/admin/crisis").text
    assert "the standing order counts" in shown and "Too many for one turn" not in shown


def _raise_doubts(db, world, alerts: int, *, in_a_turn: bool) -> None:
    with db.begin() as session:
        program = session.scalars(select(Program)).one()
        for weekday in range(7) if in_a_turn else ():
            on_call.add_shift(
                session,
                program,
                role="first",
                weekday=weekday,
                staff_id=world.dee,
                by="staff:1",
                now=MONDAY,
                start_minute=0,
                end_minute=0,
            )
        for _ in range(alerts):
            session.add(
                Alert(program_id=program.id, level="check", severity=1, why="", title="Doubtful", raised_at=MONDAY)
            )
