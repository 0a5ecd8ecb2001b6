"""Raising alerts: one for each parent and open episode; every later text is added to it, never dropped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, bindparam, or_, select
from sqlalchemy.orm import Session

from nudges.alerts import ladder, on_call, paging, topics
from nudges.alerts.topics import topics_of
from nudges.ledger import record
from nudges.models.family import FamilyStaff, Parent
from nudges.models.messages import Inbound
from nudges.models.on_call import AlertPage
from nudges.models.program import Staff
from nudges.models.safety import Alert, AlertEvent

_LEVELS: Final = {"check": 1, "crisis": 2}

# Asked for every text that comes in, so it is built once; by the family, because that is what the index knows.
_EPISODE: Final = (
    select(Alert)
    .where(Alert.family_id == select(Parent.family_id).where(Parent.id == bindparam("parent_id")).scalar_subquery())
    .where(Alert.parent_id == bindparam("parent_id"), Alert.status != "resolved", Alert.level.in_(("crisis", "check")))
    .order_by(Alert.id.desc())
    .limit(1)
)

_OPEN: Final = (
    select(Alert)
    .where(Alert.program_id == bindparam("program_id"), Alert.status != "resolved")
    .order_by(Alert.id.desc())
    .limit(1)
    .with_for_update()
    .execution_options(populate_existing=True)
)
_OF_FAMILY: Final = _OPEN.where(Alert.family_id == bindparam("family_id"), Alert.parent_id.is_(None))
_OF_PARENT: Final = _OPEN.where(Alert.family_id == bindparam("family_id"), Alert.parent_id == bindparam("parent_id"))
_OF_STRANGER: Final = _OPEN.where(
    Alert.family_id.is_(None),
    Alert.level != "system",
    Alert.inbound_id.in_(select(Inbound.id).where(Inbound.from_index == bindparam("number"))),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Concern:
    """What a text shows. `level` is crisis or check, `severity` 0 to 4, `tier` one of the crisis screen's.

    A doubt has no tier. `why` may quote the text: it is kept sealed. Faults of the service itself go to
    `paging.raise_system_alert`.
    """

    program_id: int
    level: str
    severity: int
    why: str
    tier: str | None = None
    family_id: int | None = None
    parent_id: int | None = None
    inbound: Inbound | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Raised:
    """The alert, whether it is a new episode, and whether this text made an open one worse or added a topic."""

    alert: Alert
    is_new: bool
    is_worse: bool
    about: frozenset[str] = frozenset()  # the topics of the episode
    paged: tuple[int, ...] = ()  # staff who have a page on its way


def raise_alert(session: Session, concern: Concern, *, now: datetime) -> Raised:
    """Open an alert, or add to the open one, and page whoever the ladder says; in the transaction of the text.

    1. The open alert of the same parent (of the same number, for strangers) takes the text as an event.
    2. A higher severity or another topic starts the ladder again, even if somebody had acknowledged.
    3. Otherwise a new alert climbs its first rung at once.
    """
    return page(session, note(session, concern, now=now), now=now)


def note(session: Session, concern: Concern, *, now: datetime) -> Raised:
    """`raise_alert` without the pages: for a caller who has more to store first, and then calls `page`.

    While pages are written, whoever else pages the same people waits until that transaction ends.
    """
    alert = _open_alert(session, concern)
    if alert is None:
        return _open(session, concern, now=now)
    _note(session, alert, "text", concern, now=now)
    known = topics_of(session, alert, but=concern.inbound)
    if not _is_worse(alert, concern, known):
        return Raised(alert=alert, is_new=False, is_worse=False)
    return _worsen(session, alert, concern, known, now=now)


def page(session: Session, raised: Raised, *, now: datetime) -> Raised:
    """Page whoever the ladder says, when the alert is new or worse than it was."""
    if not (raised.is_new or raised.is_worse):
        return raised
    return replace(raised, paged=paging.page_due(session, raised.alert, now=now, about=raised.about))


def _open_alert(session: Session, concern: Concern) -> Alert | None:
    of = {"program_id": concern.program_id, "family_id": concern.family_id, "parent_id": concern.parent_id}
    if concern.family_id is not None:
        rows = _OF_PARENT if concern.parent_id is not None else _OF_FAMILY
        return session.scalars(rows, of).one_or_none()
    number = concern.inbound.from_index if concern.inbound is not None else ""
    return session.scalars(_OF_STRANGER, {**of, "number": number}).one_or_none()


def _open(session: Session, concern: Concern, *, now: datetime) -> Raised:
    alert = Alert(
        program_id=concern.program_id,
        family_id=concern.family_id,
        parent_id=concern.parent_id,
        inbound_id=concern.inbound.id if concern.inbound is not None else None,
        level=concern.level,
        tier=concern.tier,
        severity=concern.severity,
        why=concern.why,
        title=topics.title_of(session, level=concern.level, family_id=concern.family_id, topics=_topics_in(concern)),
        raised_at=now,
        escalate_at=ladder.due_at(ladder.ladder_of(concern.severity, concern.tier), 0, now),
    )
    session.add(alert)
    session.flush()
    _note(session, alert, "raised", concern, now=now)
    record.append(
        session,
        at=now,
        actor="system:screen",
        action="alert.raised",
        family_id=alert.family_id,
        parent_id=alert.parent_id,
        subject=f"alert:{alert.id}",
        details={"level": alert.level, "tier": alert.tier, "severity": alert.severity},
    )
    return Raised(alert=alert, is_new=True, is_worse=False, about=frozenset(_topics_in(concern)))


def _is_worse(alert: Alert, concern: Concern, known: Collection[str]) -> bool:
    if concern.severity > alert.severity or _LEVELS[concern.level] > _LEVELS[alert.level]:
        return True
    return not set(_topics_in(concern)) <= set(known)


def _worsen(session: Session, alert: Alert, concern: Concern, known: Collection[str], *, now: datetime) -> Raised:
    """The ladder starts again from this text: whoever acknowledged had read something milder."""
    if _LEVELS[concern.level] >= _LEVELS[alert.level] and concern.severity >= alert.severity:
        alert.level, alert.tier, alert.severity = concern.level, concern.tier or alert.tier, concern.severity
        alert.why = concern.why
    warnings = [words for words in paging.LASTING_MARKS if words in alert.title]
    about = {*known, *_topics_in(concern)}
    alert.title = topics.title_of(session, level=alert.level, family_id=alert.family_id, topics=about)
    for words in warnings:
        paging.mark(alert, words)
    alert.status, alert.rung = "open", 0
    alert.escalate_at = ladder.due_at(paging.ladder_of(alert), 0, now)
    session.add(AlertEvent(alert_id=alert.id, event="worse", at=now))
    return Raised(alert=alert, is_new=False, is_worse=True, about=frozenset(about))


def _note(session: Session, alert: Alert, event: str, concern: Concern, *, now: datetime) -> None:
    inbound_id = concern.inbound.id if concern.inbound is not None else None
    session.add(AlertEvent(alert_id=alert.id, event=event, inbound_id=inbound_id, note=concern.why, at=now))


def _topics_in(concern: Concern) -> tuple[str, ...]:
    seen = topics.tiers_in(concern.inbound.screening) if concern.inbound is not None else ()
    return (*seen, *((concern.tier,) if concern.tier is not None else ()))


def open_alerts(session: Session, staff: Staff, *, now: datetime) -> Sequence[Alert]:
    """The alerts that this person answers for, most severe first."""
    rows = select(Alert).where(
        Alert.program_id == staff.program_id, Alert.status != "resolved", *answers_for(session, staff, now=now)
    )
    return session.scalars(rows.order_by(Alert.severity.desc(), Alert.raised_at, Alert.id)).all()


def answers_for(session: Session, staff: Staff, *, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Conditions for a SELECT on alerts.

    Admins and whoever is on call see all of the program; a counselor sees those of the families assigned to them
    and those that they were paged about, because the ladder calls everyone in the end.
    """
    is_on_call = staff.on_call_rank is not None or staff.id in on_call.on_duty(session, staff.program_id, at=now).ids
    if staff.role == "admin" or is_on_call:
        return ()
    mine = select(FamilyStaff.family_id).where(FamilyStaff.staff_id == staff.id)
    paged = select(AlertPage.alert_id).where(AlertPage.staff_id == staff.id)
    return (or_(Alert.family_id.in_(mine), Alert.id.in_(paged)),)


def open_alert_of(session: Session, *, parent_id: int) -> Alert | None:
    """The episode that is open for this parent, if one is."""
    return session.scalars(_EPISODE, {"parent_id": parent_id}).one_or_none()


def open_alert_of_stranger(session: Session, *, program_id: int, number_index: str) -> Alert | None:
    """The episode that is open for a number that nobody is enrolled with."""
    return session.scalar(_OF_STRANGER, {"program_id": program_id, "number": number_index})


def last_crisis_at(session: Session, *, parent_id: int) -> datetime | None:
    """When this parent's latest alert was raised or added to."""
    return session.scalar(
        select(AlertEvent.at)
        .join(Alert, Alert.id == AlertEvent.alert_id)
        .where(Alert.parent_id == parent_id, or_(AlertEvent.event == "raised", AlertEvent.event == "text"))
        .order_by(AlertEvent.at.desc())
        .limit(1)
    )
