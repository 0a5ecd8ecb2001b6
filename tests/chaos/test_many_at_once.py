"""A thousand families are due in the same second; the process goes away in the middle and comes back a minute late."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import func, select, update

from bench import town
from nudges.channels.base import Outgoing
from nudges.channels.fake import FakeChannel
from nudges.db import blind_index
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Lane
from nudges.models.sequences import StepOutcome
from nudges.outbound import planner, reconcile, sender
from tests.support.factories import LIBRARY, SetClock

PARENTS = 1_000
BEFORE_IT_GOES = 300  # texts that the first process hands over


@pytest.fixture
def due(engine):
    """A program in which so many parents, each with a phone of their own, are due at `now`."""
    made = town.build(engine, parents=PARENTS, due=PARENTS)
    with made.sessions.begin() as session:
        ids = session.scalars(select(Parent.id).where(Parent.next_at == made.now)).all()
        phones = [f"+1{200 + serial // 100}55501{serial % 100:02d}" for serial in range(len(ids))]
        rows = [
            {"id": id_, "phone": phone, "phone_index": blind_index(phone)}
            for id_, phone in zip(ids, phones, strict=True)
        ]
        session.execute(update(Parent), rows)
        session.execute(update(Lane).values(segments_per_second=225.0))
    assert len(ids) == PARENTS
    return made


class Leaving(FakeChannel):
    """A channel that knows when its process has to go, politely or in the middle of a call."""

    def __init__(self, clock, *, breaks: bool) -> None:
        super().__init__(clock)
        self._breaks = breaks

    @property
    def goes_on(self) -> bool:
        return len(self.sent) < BEFORE_IT_GOES

    def send(self, outgoing: Outgoing):
        accepted = super().send(outgoing)
        if self._breaks and len(self.sent) == BEFORE_IT_GOES:
            raise RuntimeError("the process is gone")
        return accepted


def drain(made, channel, clock, **options):
    return sender.drain(
        made.sessions,
        channel,
        made.lane_id,
        clock=clock,
        owner="a process",
        at_once=1,
        sleep=clock.sleep,
        library=LIBRARY,
        **options,
    )


def open_texts(made) -> int:
    with made.sessions() as session:
        return session.scalar(select(func.count()).where(Outbox.status.in_(("queued", "sending", "unknown"))))


@pytest.mark.parametrize("breaks", [False, True], ids=["told to leave", "gone in the middle of a call"])
def test_a_thousand_due_in_one_second_and_a_restart_a_minute_late_drop_none_and_double_none(due, breaks):
    clock = SetClock(due.now)
    channel = Leaving(clock, breaks=breaks)
    assert planner.plan_due(due.sessions, now=clock.now(), library=LIBRARY).parents == PARENTS
    try:
        while channel.goes_on:
            drain(due, channel, clock, goes_on=lambda: channel.goes_on)
            clock.move(seconds=1)
    except RuntimeError:
        assert breaks
    assert BEFORE_IT_GOES <= len(channel.sent) < PARENTS

    clock.move(minutes=1)
    for _ in range(60):
        if not open_texts(due):
            break
        drain(due, channel, clock)
        clock.move(seconds=20)
        reconcile.look(due.sessions, channel, clock=clock)
    with due.sessions() as session:
        rows = session.scalars(select(Outbox).where(Outbox.category == "nudge")).all()
        outcomes = session.scalar(select(func.count()).where(StepOutcome.outcome == "sent"))
    received = Counter(text.to for text in channel.sent)
    assert set(received.values()) == {1}, "a parent got it twice"
    assert len(received) == len(rows) == outcomes == PARENTS
    assert {row.status for row in rows} == {"accepted"}
