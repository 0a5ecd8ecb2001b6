"""The list of families and its search in a program of any size: a page's worth, whoever asks."""

from __future__ import annotations

import pytest

from nudges.families import enrolling
from nudges.models.family import FamilyStaff
from nudges.models.safety import Hold
from nudges.web.context import SignedIn
from nudges.web.counselor import family_list
from tests.support import factories


def member(person):
    return SignedIn(id=person.id, program_id=person.program_id, role=person.role, name="x", epoch=0)


@pytest.fixture
def town(sessions, people, now):
    """Ten families of Ana's after F-1042, one parent each; the last of them is held."""
    made = []
    with sessions.begin() as session:
        for n in range(10):
            family = enrolling.create_family(
                session, program=people.program, staff_id=people.ana.id, code=f"T-{n}", now=now
            )
            phone = f"+1312555010{n}"
            made.append(factories.a_parent(session, family, now=now, name=f"Rosa{n} Invented", phone=phone))
        held = made[-1]
        session.add(Hold(family_id=held.family_id, kind="safety", scope="family", placed_at=now, parent_id=held.id))
    return made


@pytest.fixture(params=["few", "many"])
def read(request, monkeypatch):
    """How many families a search may open: more than there are, or fewer."""
    count = {"few": 500, "many": 4}[request.param]
    monkeypatch.setattr(family_list, "READ", count)
    monkeypatch.setattr(family_list, "SHOWN", 5)
    return count


def codes(found):
    return [row.family.code for row in found.rows]


@pytest.mark.parametrize("who", ["ana", "dee"])
def test_a_page_shows_so_many_and_says_that_there_are_more(sessions, people, town, read, who):
    with sessions() as session:
        found = family_list.listing(session, member(getattr(people, who)), "")
    assert codes(found) == ["T-9", people.family.code, "T-0", "T-1", "T-2"], "who is held stands first"
    assert found.is_cut and found.rows[0].is_held and found.rows[0].parents[0].name == "Rosa9 Invented"


@pytest.mark.parametrize("who", ["ana", "dee"])
@pytest.mark.parametrize("query", ["t-0", "(312) 555-0100", "+13125550100"])
def test_a_whole_code_or_number_finds_a_family_of_any_age(sessions, people, town, read, query, who):
    with sessions() as session:
        found = family_list.listing(session, member(getattr(people, who)), query)
    assert codes(found) == ["T-0"] and not found.is_cut


def test_names_are_looked_for_in_the_newest_and_the_answer_says_so(sessions, people, town, read):
    with sessions() as session:
        found = family_list.listing(session, member(people.ana), "rosa")
    assert codes(found) == (["T-9", "T-6", "T-7", "T-8"] if read == 4 else ["T-9", "T-0", "T-1", "T-2", "T-3"])
    assert found.read == (4 if read == 4 else None) and found.is_cut is (read > 4)


def test_nobody_finds_a_family_of_somebody_else(sessions, people, town, read):
    with sessions() as session:
        for query in ("", "T-0", "(312) 555-0100", "rosa0"):
            assert codes(family_list.listing(session, member(people.cal), query)) == []


def test_a_family_given_to_a_counselor_is_found_at_once(sessions, people, town, read):
    with sessions.begin() as session:
        session.add(FamilyStaff(family_id=town[0].family_id, staff_id=people.cal.id))
    with sessions() as session:
        assert codes(family_list.listing(session, member(people.cal), "rosa0")) == ["T-0"]
