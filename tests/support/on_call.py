"""Alerts and rotas for tests: who is called, which text it was, what was paged."""

from __future__ import annotations

from itertools import count

from sqlalchemy import select

from nudges.alerts import on_call, raising
from nudges.db import blind_index
from nudges.models.messages import Inbound, Outbox
from nudges.models.safety import AlertEvent

PHONES = {"ana": "+13125550171", "ben": "+13125550172", "cal": "+13125550173", "dee": "+13125550174"}
WHOLE_DAY = {"start_minute": 0, "end_minute": 0}
_serial = count(1)


def give_phone(session, people, *names):
    """These people have an on-call phone, and no place in the standing order."""
    for name in names:
        person = getattr(people, name)
        person.on_call_phone, person.on_call_phone_index = PHONES[name], blind_index(PHONES[name])
    session.flush()


def on_the_rota(session, people, now, **roles):
    """Each role is one person's, day and night: `first="ana"`."""
    for role, name in roles.items():
        give_phone(session, people, name)
        if role == "safeguarding":
            on_call.set_duties(
                session,
                getattr(people, name),
                is_safeguarding_lead=True,
                is_trained_in_aftercare=False,
                by="staff:4",
                now=now,
            )
        for weekday in range(7):
            on_call.add_shift(
                session,
                people.program,
                role=role,
                weekday=weekday,
                staff_id=getattr(people, name).id,
                by="staff:4",
                now=now,
                **WHOLE_DAY,
            )


def a_text_in(
    session, now, *, parent=None, number="+13125550199", tier=None, also=(), body="she wants to die", rules=()
):
    phone = parent.phone if parent is not None else number
    row = Inbound(
        provider_id=f"SM-on-call-{next(_serial)}",
        from_number=phone,
        from_index=blind_index(phone),
        to_number="+13125550100",
        body=body,
        parent_id=parent.id if parent is not None else None,
        screening={"level": "crisis", "tier": tier, "also_tiers": list(also), "rules": list(rules)},
        at=now,
    )
    session.add(row)
    session.flush()
    return row


def an_alert(session, people, now, *, parent=None, severity=3, tier="suicide_selfharm", level="crisis", **text):
    concern = raising.Concern(
        program_id=people.program.id,
        family_id=parent.family_id if parent is not None else None,
        parent_id=parent.id if parent is not None else None,
        level=level,
        tier=tier,
        severity=severity,
        why="the words",
        inbound=a_text_in(session, now, parent=parent, tier=tier, **text),
    )
    return raising.raise_alert(session, concern, now=now)


def texts_to_staff(session):
    return session.scalars(select(Outbox).where(Outbox.category == "staff_page").order_by(Outbox.id)).all()


def events(session, alert, name=None):
    rows = select(AlertEvent).where(AlertEvent.alert_id == alert.id).order_by(AlertEvent.id)
    return session.scalars(rows if name is None else rows.where(AlertEvent.event == name)).all()


def paged(session, alert, people):
    """The names of whoever was paged about an alert, in order, on duty or not."""
    names = {getattr(people, name).id: name for name in PHONES}
    rows = [event for event in events(session, alert) if event.event in ("paged", "paged_off_duty")]
    return [names[row.staff_id] for row in rows]


def all_sent(session, status="delivered", at=None):
    """Every page whose turn has come (by `at`) has left and arrived."""
    for row in texts_to_staff(session):
        if row.status == "queued" and (at is None or row.not_before <= at):
            row.status, row.attempted_at = status, row.created_at
    session.flush()
