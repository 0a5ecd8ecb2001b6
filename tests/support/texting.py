"""Texting the service as a parent, a stranger or staff; and looking at what came of it."""

from __future__ import annotations

from itertools import count

from sqlalchemy import select

from nudges.db import blind_index
from nudges.inbound import handle
from nudges.inbound.texts import Deps, IncomingText
from nudges.models.family import Parent
from nudges.models.messages import Inbound
from nudges.models.safety import Alert, Task
from schedules import segments
from tests.support import factories
from tests.support.factories import LIBRARY, SENDER

ANA = "+13125550171"
_sids = count(1)


def people_with_ana_on_call(session, now):
    people = factories.people(session, now=now)
    people.ana.on_call_phone, people.ana.on_call_phone_index, people.ana.on_call_rank = ANA, blind_index(ANA), 1
    session.flush()
    return people


def texting(session, now):
    """A function that receives a text from somebody, a parent or a number, as a channel would.

    Every answer must be in the cheap alphabet and fit two segments.
    """

    def receive(sender, body, *, at=now, sid=None, deps=None, **values):
        incoming = IncomingText(
            provider_id=sid or f"SM{next(_sids):032d}",
            from_number=sender.phone if isinstance(sender, Parent) else sender,
            to_number=SENDER,
            body=body,
            **values,
        )
        answer = handle.receive(session, incoming, now=at, deps=deps or Deps(library=LIBRARY))
        if isinstance(sender, Parent):
            session.refresh(sender)
        for reply in answer.texts:
            counted = segments.count(reply)
            assert counted.encoding == "gsm7", reply
            assert counted.parts <= 2, reply
        return answer

    return receive


def last_inbound(session):
    return session.scalars(select(Inbound).order_by(Inbound.id.desc()).limit(1)).one()


def alerts(session, *levels):
    wanted = levels or ("crisis", "check")
    return session.scalars(select(Alert).where(Alert.level.in_(wanted)).order_by(Alert.id)).all()


def tasks(session, kind=None):
    rows = session.scalars(select(Task).order_by(Task.id)).all()
    return [task for task in rows if kind is None or task.kind == kind]


def queue_a_nudge(session, parent, now):
    return factories.a_text(session, parent, now=now)
