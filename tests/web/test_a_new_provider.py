"""A provider that nobody has heard of is added by one entry of the registry, and by nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from nudges import factory, wiring
from nudges.channels import registry
from nudges.channels.base import Accepted, Receipt
from nudges.channels.provider import Incoming, Provider, Remark
from nudges.cli.main import main
from nudges.config import ConfigError, load
from nudges.engine import ticks
from nudges.models.messages import Inbound, Outbox
from nudges.models.program import Lane
from nudges.outbox.status import DELIVERED
from tests.support import factories
from tests.support.factories import PASSWORD, a_parent

LOFT = "pigeon-loft-7"


@dataclass
class Pigeons:
    """Carries texts on foot: settings, client, webhooks with a ring instead of a signature, and a doctor's remark."""

    ring: str
    sender: str = LOFT
    name: str = "pigeon"
    flown: list = field(default_factory=list)
    around: object = None

    def connect(self, around):
        self.around = around
        return self

    def send(self, outgoing):
        self.flown.append(outgoing)
        return Accepted(provider_id=f"PG{len(self.flown)}", status="accepted")

    def find_sent(self, to, *, since):
        return []

    def is_genuine(self, call):
        return call.header("x-ring") == self.ring and call.url.startswith(self.around.public_url)

    def incoming(self, form):
        return Incoming(
            provider_id=form["id"],
            from_=form["from"],
            to=LOFT,
            body=form["words"],
            num_media=0,
            opt_out_type=None,
        )

    def receipt(self, form, attempt_id):
        return Receipt(
            attempt_id=attempt_id, provider_id=form["id"], status=form["state"], error_code=None, action=None
        )

    def answer(self, texts, callbacks):
        return json.dumps({"carry": list(texts)})

    def examine(self, public_url, stage):
        yield Remark(status="warn", name="pigeon loft", words="a hawk was seen")


def settings_of(variables, stage):
    ring = variables.get("PIGEON_RING")
    if not ring:
        variables.fault("PIGEON_RING is missing; it is on the bird's left leg.")
    return Pigeons(ring=ring or "")


PIGEON = Provider(
    name="pigeon",
    variables=(("PIGEON_RING", True),),
    is_simulated=False,
    carriers_filter=False,
    account=settings_of,
    media_type="application/json",
)


@pytest.fixture
def env(monkeypatch, engine, tmp_path):
    monkeypatch.setitem(registry.PROVIDERS, "pigeon", PIGEON)
    environ = {
        "NUDGES_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "NUDGES_SPOOL_DIR": str(tmp_path / "spool"),
        "NUDGES_CHANNEL": "pigeon",
        "PIGEON_RING": "ring-42-secret",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def served(env):
    built = wiring.build(load())
    yield built
    built.engine.dispose()


@pytest.fixture
def client(served):
    return factory.create_app(served).test_client()


def test_its_settings_are_read_and_its_faults_are_told(env):
    assert load().account.ring == "ring-42-secret"
    env.delenv("PIGEON_RING")
    with pytest.raises(ConfigError, match="left leg"):
        load()


def test_a_program_texts_from_its_sender_through_its_client(served, client):
    words = ["--program", "Riverbend", "--name", "Dee", "--email", "dee@clinic.example", "--password", PASSWORD]
    assert CliRunner().invoke(main, ["create-admin", *words]).exit_code == 0
    with served.sessions() as session:
        assert session.scalars(select(Lane.sender)).one() == LOFT
    assert client.get("/phone").status_code == 404, "the simulated phones are for the simulated provider"


def test_its_texts_come_in_by_its_own_door_and_are_answered_in_its_own_form(served, client, people):
    form = {"id": "P1", "from": "+13125550188", "words": "he says he wants to kill himself"}
    assert client.post("/pigeon/inbound", data=form, headers={"X-Ring": "false"}).status_code == 403
    assert client.post("/twilio/inbound", data=form).status_code == 404
    with served.sessions.begin() as session:
        session.get_one(Lane, session.scalars(select(Lane.id)).one()).sender = LOFT
    answer = client.post("/pigeon/inbound", data=form, headers={"X-Ring": "ring-42-secret"})
    assert answer.content_type == "application/json"
    (reply,) = answer.get_json()["carry"]
    assert "988" in reply
    with served.sessions() as session:
        assert session.scalars(select(Inbound.provider_id)).all() == ["P1"]


def test_its_reports_move_the_texts_that_its_client_took(served, client, people, now):
    with served.sessions.begin() as session:
        parent = a_parent(session, people.family, now=served.clock.now())
        row = factories.a_text(session, parent, now=served.clock.now())
    ticks.send(served)
    assert [text.to for text in served.channel.flown] == [parent.phone]
    report = {"id": "PG1", "state": "delivered"}
    url = f"/pigeon/status?attempt={served.channel.flown[0].attempt_id}"
    assert client.post(url, data=report, headers={"X-Ring": "ring-42-secret"}).status_code == 204
    with served.sessions() as session:
        assert session.get_one(Outbox, row.id).status == DELIVERED


def test_the_doctor_asks_it_and_shows_none_of_its_secrets(served, people):
    printed = CliRunner().invoke(main, ["doctor"]).output
    assert "a hawk was seen" in printed
    assert "PIGEON_RING" in printed and "ring-42-secret" not in printed


def test_the_demo_never_leaves_through_it(served):
    assert "invented" in CliRunner().invoke(main, ["demo"]).output
