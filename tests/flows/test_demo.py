"""The demo: invented families, one of them with a past that the real service made."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from nudges import demo
from nudges.channels.phone import PhoneChannel
from nudges.engine import ticks
from nudges.families import staff
from nudges.ledger import record
from nudges.models.family import Family, Parent
from nudges.models.messages import Inbound, Outbox, SimulatedText
from nudges.models.program import Program
from nudges.outbound import simulated_carrier


@pytest.fixture
def trial(wiring):
    """The wiring with simulated phones."""
    return replace(
        wiring,
        channel=PhoneChannel(
            deliver=simulated_carrier.deliver_into(wiring.sessions, wiring.clock),
            list_since=simulated_carrier.list_from(wiring.sessions),
        ),
    )


def test_the_demo_has_families_staff_and_a_past(trial, sessions):
    sign_ins = demo.seed(trial)
    assert sorted(sign_in.role for sign_in in sign_ins) == ["admin", "counselor", "counselor"]
    with sessions() as session:
        for sign_in in sign_ins:
            assert staff.verify_password(session, sign_in.email, sign_in.password).role == sign_in.role
        parents = session.scalars(select(Parent)).all()
        assert all(re.fullmatch(r"\+1[2-9]\d{2}55501\d{2}", parent.phone) for parent in parents)
        assert session.scalar(select(func.count()).select_from(Family)) == 6 < len(parents)
        assert {parent.language for parent in parents} == {"en", "es"}
        assert {"delivered"} == set(session.scalars(select(Outbox.status)))
        assert session.scalar(select(func.count()).select_from(Inbound)) >= 2
        assert record.verify(session) == []
    assert demo.seed(trial) == sign_ins
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Parent)) == len(parents)


def test_a_beat_later_the_new_families_have_their_welcome_on_the_phone(trial, sessions, clock):
    demo.seed(trial)
    clock.move(hours=3)  # 12:00 in Chicago, past nine everywhere
    for _ in range(12):
        ticks.run_all(trial)
        clock.move(seconds=40)
    with sessions() as session:
        texts = session.scalars(select(SimulatedText)).all()
        assert (
            len([text for text in texts if text.body.startswith("Riverbend")]) >= 5
        )  # one is at work until the evening
        assert {text.status for text in texts} == {"delivered"}


def test_the_demo_stays_away_from_real_families(trial, sessions, people):
    with pytest.raises(demo.NotHere, match="real program"):
        demo.seed(trial)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Program)) == 1
