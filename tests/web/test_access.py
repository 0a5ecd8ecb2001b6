"""Every route, for the family's counselor, a stranger, an admin and nobody. A new route is tested by existing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.routing import Rule

from nudges import factory
from nudges.crisis import edition
from nudges.models.family import KeyDate
from nudges.models.library import LocalResource
from nudges.models.messages import Inbound
from nudges.models.on_call import RotaOverride, RotaShift, RotaSwap, StaffAddress
from nudges.models.phrases import Drill, PhraseChange, PhraseVersion
from nudges.models.safety import Alert, Hold, Task
from tests.web.conftest import MONDAY, World

ADMIN = {"sequences", "sequence_drafts", "staff_accounts", "programs", "records", "places"}
ADMIN |= {"sending", "personal_data", "rota", "desk", "desk_bench", "desk_phrases", "desk_drafts", "desk_lines"}
OPEN = {"auth", "health", "hooks", "phone"}  # each guards itself otherwise: a password, a signature, the demo


def _rules() -> list[Rule]:
    bare = Flask("bare", static_folder=None)
    factory.register_areas(bare)
    return [rule for rule in bare.url_map.iter_rules() if rule.endpoint.split(".")[0] not in OPEN]


RULES = _rules()
ABOUT_A_FAMILY = [
    rule
    for rule in RULES
    if {"family_id", "alert_id", "task_id"} & rule.arguments and rule.endpoint.split(".")[0] not in ADMIN
]
OF_ADMINS = [rule for rule in RULES if rule.endpoint.split(".")[0] in ADMIN]


def _id(rule: Rule) -> str:
    return rule.endpoint


@pytest.fixture
def places(db: sessionmaker[Session], world: World) -> dict[str, object]:
    """A value for each argument of a URL, all of the Lopez family."""
    with db.begin() as session:
        inbound = Inbound(
            provider_id="SM1",
            from_number="+13125550142",
            from_index="x",
            to_number="+13125550100",
            body="hello",
            parent_id=world.maria,
            at=MONDAY,
        )
        alert = Alert(
            program_id=1,
            family_id=world.lopez,
            parent_id=world.maria,
            level="check",
            severity=1,
            why="a doubt",
            title="Check, F-1042: please check",
            raised_at=MONDAY,
        )
        session.add_all([inbound, alert])
        session.flush()
        hold = Hold(family_id=world.lopez, alert_id=alert.id, kind="check", scope="family", placed_at=MONDAY)
        task = Task(
            program_id=1,
            family_id=world.lopez,
            priority=2,
            kind="reply",
            words="Answer them",
            due_at=MONDAY,
            created_at=MONDAY,
        )
        session.add_all([hold, task])
        session.flush()
        place = LocalResource(
            program_id=1,
            name="Lantern Club",
            kind="peer_group",
            phone="312-555-0163",
            checked_on=MONDAY.date(),
            next_review=MONDAY.date() + timedelta(days=90),
            created_at=MONDAY,
        )
        session.add(place)
        session.flush()
        desk = _of_the_desk(session, world)
        date_id = session.scalars(select(KeyDate.id).where(KeyDate.parent_id == world.maria)).first()
        return {
            "family_id": world.lopez,
            "parent_id": world.maria,
            "alert_id": alert.id,
            "hold_id": hold.id,
            "task_id": task.id,
            "date_id": date_id,
            "staff_id": world.ben,
            "place_id": place.id,
            "lane_id": 1,
            "kind": "json",
            "key": "TALK",
            "number": 1,
            **desk,
            **_of_the_rota(session, world),
        }


def _of_the_rota(session: Session, world: World) -> dict[str, object]:
    """A turn, an exception, an offer and an address."""
    common = {"program_id": 1, "role": "first"}
    dates = {"starts_at": MONDAY, "ends_at": MONDAY + timedelta(days=1)}
    shift = RotaShift(**common, weekday=0, start_minute=0, end_minute=0, staff_id=world.ana)
    override = RotaOverride(**common, **dates, staff_id=world.ana, made_at=MONDAY)
    swap = RotaSwap(**common, **dates, offered_by=world.cal, offered_at=MONDAY, status="offered")
    address = StaffAddress(program_id=1, url="json://pager.example", service="JSON", created_at=MONDAY)
    session.add_all([shift, override, swap, address])
    session.flush()
    return {"shift_id": shift.id, "override_id": override.id, "swap_id": swap.id, "address_id": address.id}


def _of_the_desk(session: Session, world: World) -> dict[str, object]:
    """A published phrase, a proposed change and a drill."""
    content = {"phrase:p1": {"kind": "check", "words": "violin porch", "must": [], "must_not": []}}
    version = PhraseVersion(
        number=1,
        content=edition.canonical(content),
        digest=edition.digest_of(content),
        author_id=world.dee,
        reason="a test",
        changes="[]",
        scores={},
        at=MONDAY,
    )
    change = PhraseChange(key="country:CA", value="false", author_id=world.dee, created_at=MONDAY)
    drill = Drill(program_id=1, started_at=MONDAY, answered_ms=1)
    session.add_all([version, change, drill])
    session.flush()
    words = {"name": "p1", "country": "US", "line": "suicide", "lang": "en", "text": "check"}
    return {**words, "change_id": change.id, "drill_id": drill.id}


def _ask(client: FlaskClient, rule: Rule, places: dict[str, object]) -> int:
    """The status of each method of the route; all of them agree."""
    url = "".join(str(places[part]) if is_dynamic else part for is_dynamic, part in rule._trace if part != "|")
    methods = sorted((rule.methods or set()) & {"GET", "POST"})
    statuses = {client.open(url, method=method).status_code for method in methods}
    assert len(statuses) == 1
    return statuses.pop()


@pytest.mark.parametrize("rule", RULES, ids=_id)
def test_nobody_is_sent_to_the_sign_in(nobody: FlaskClient, rule: Rule, places: dict[str, object]) -> None:
    assert _ask(nobody, rule, places) == 302


@pytest.mark.parametrize("rule", ABOUT_A_FAMILY, ids=_id)
def test_a_stranger_cannot_tell_a_family_from_none(cal: FlaskClient, rule: Rule, places: dict[str, object]) -> None:
    assert _ask(cal, rule, places) == 404


@pytest.mark.parametrize("rule", ABOUT_A_FAMILY, ids=_id)
def test_each_counselor_of_a_family_may_look_after_it(ben: FlaskClient, rule: Rule, places: dict[str, object]) -> None:
    assert _ask(ben, rule, places) in (200, 303)


@pytest.mark.parametrize("rule", OF_ADMINS, ids=_id)
def test_a_counselor_may_not_run_the_program(ana: FlaskClient, rule: Rule, places: dict[str, object]) -> None:
    assert _ask(ana, rule, places) == 403


@pytest.mark.parametrize("rule", RULES, ids=_id)
def test_an_admin_may_do_everything(dee: FlaskClient, rule: Rule, places: dict[str, object]) -> None:
    # 400: a change without its fields is refused, but not for who asks.
    assert _ask(dee, rule, places) in (200, 302, 303, 400)


def test_a_parent_of_another_family_is_not_reachable_through_ones_own(ana: FlaskClient, world: World) -> None:
    response = ana.post(f"/families/{world.lopez}/parents/{world.joy}/pause", data={"until": ""})
    assert response.status_code == 404


def test_a_closed_account_is_signed_out_at_once(ana: FlaskClient, dee: FlaskClient, world: World) -> None:
    assert ana.get("/families").status_code == 200
    dee.post(f"/admin/staff/{world.ana}/active", data={"active": "no"})
    assert ana.get("/families").status_code == 302
