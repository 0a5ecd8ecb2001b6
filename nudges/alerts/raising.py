"""Raising alerts: one for each parent and open episode; every later text is added to it, never dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from nudges.alerts import ladder, paging
from nudges.ledger import record
from nudges.models.family import Family, FamilyStaff
from nudges.models.messages import Inbound
from nudges.models.program import Staff
from nudges.models.safety import Alert, AlertEvent

SUBJECTS: Final = {
    "suicide_selfharm": "suicide or self-harm",
    "harm_others": "harm to others",
    "abuse_dv": "abuse",
    "overdose_poison": "overdose or poison",
    "runaway_missing": "missing",
    "unsafe_behaviour": "unsafe behavior",
    "parent_distress": "parent in distress",
}
_LEVELS: Final = {"check": 1, "crisis": 2}


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
    paged: tuple[int, ...] = ()  # staff who have a page on its way


def raise_alert(session: Session, concern: Concern, *, now: datetime) -> Raised:
    """Open an alert, or add to the open one, and page whoever the ladder says; in the transaction of the text.

    1. The open alert of the same parent (of the same number, for strangers) takes the text as an event.
    2. A higher severity or another topic starts the ladder again, even if somebody had acknowledged.
    3. Otherwise a new alert climbs its first rung at once.
    """
    alert = _open_alert(session, concern)
    if alert is None:
        return _open(session, concern, now=now)
    _note(session, alert, "text", concern, now=now)
    if not _is_worse(session, alert, concern):
        return Raised(alert=alert, is_new=False, is_worse=False)
    return _worsen(session, alert, concern, now=now)


def _open_alert(session: Session, concern: Concern) -> Alert | None:
    rows = select(Alert).where(Alert.program_id == concern.program_id, Alert.status != "resolved")
    if concern.family_id is not None:
        rows = rows.where(Alert.family_id == concern.family_id, Alert.parent_id == concern.parent_id)
    else:
        number = concern.inbound.from_index if concern.inbound is not None else ""
        first = select(Inbound.id).where(Inbound.from_index == number)
        rows = rows.where(Alert.family_id.is_(None), Alert.level != "system", Alert.inbound_id.in_(first))
    newest = rows.order_by(Alert.id.desc()).limit(1).with_for_update()
    return session.scalar(newest.execution_options(populate_existing=True))


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
        title=title_of(session, concern),
        raised_at=now,
        escalate_at=ladder.due_at(concern.severity, 0, now),
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
    return Raised(alert=alert, is_new=True, is_worse=False, paged=paging.page_due(session, alert, now=now))


def _is_worse(session: Session, alert: Alert, concern: Concern) -> bool:
    if concern.severity > alert.severity or _LEVELS[concern.level] > _LEVELS[alert.level]:
        return True
    return concern.tier is not None and concern.tier not in topics_of(session, alert, but=concern.inbound)


def _worsen(session: Session, alert: Alert, concern: Concern, *, now: datetime) -> Raised:
    """The ladder starts again from this text: whoever acknowledged had read something milder."""
    if _LEVELS[concern.level] >= _LEVELS[alert.level] and concern.severity >= alert.severity:
        alert.level, alert.tier, alert.severity = concern.level, concern.tier or alert.tier, concern.severity
        alert.why = concern.why
    warnings = [words for words in paging.LASTING_MARKS if words in alert.title]
    alert.title = title_of(session, concern, alert=alert)
    for words in warnings:
        paging.mark(alert, words)
    alert.status, alert.rung = "open", 0
    alert.escalate_at = ladder.due_at(alert.severity, 0, now)
    session.add(AlertEvent(alert_id=alert.id, event="worse", at=now))
    session.flush()
    return Raised(alert=alert, is_new=False, is_worse=True, paged=paging.page_due(session, alert, now=now))


def _note(session: Session, alert: Alert, event: str, concern: Concern, *, now: datetime) -> None:
    inbound_id = concern.inbound.id if concern.inbound is not None else None
    session.add(AlertEvent(alert_id=alert.id, event=event, inbound_id=inbound_id, note=concern.why, at=now))
    session.flush()


def topics_of(session: Session, alert: Alert, *, but: Inbound | None = None) -> frozenset[str]:
    """Every tier that a text of this episode touched, as the screen saw it; `but` leaves one text out."""
    rows = session.execute(
        select(Inbound.id, Inbound.screening)
        .join(AlertEvent, AlertEvent.inbound_id == Inbound.id)
        .where(AlertEvent.alert_id == alert.id)
    )
    seen = [screening for inbound_id, screening in rows if but is None or inbound_id != but.id]
    named = {tier for screening in seen for tier in (screening.get("tier"), *screening.get("also_tiers", ()))}
    return frozenset(tier for tier in (*named, alert.tier) if tier)


def title_of(session: Session, concern: Concern, *, alert: Alert | None = None) -> str:
    """A line fit for a pager: level, family code, topic. No name, no number, no word of the text."""
    level, tier = (alert.level, alert.tier) if alert is not None else (concern.level, concern.tier)
    code = None
    if concern.family_id is not None:
        code = session.scalar(select(Family.code).where(Family.id == concern.family_id))
    subject = SUBJECTS.get(tier or "", "emergency" if level == "crisis" else "please check")
    return f"{'Crisis' if level == 'crisis' else 'Check'}, {code or 'unknown number'}: {subject}"


def open_alerts(session: Session, staff: Staff) -> Sequence[Alert]:
    """The alerts that this person answers for, most severe first.

    Admins and whoever is on call see all of the program; a counselor sees those of the families assigned to them.
    """
    rows = select(Alert).where(Alert.program_id == staff.program_id, Alert.status != "resolved")
    if staff.role != "admin" and staff.on_call_rank is None:
        mine = select(FamilyStaff.family_id).where(FamilyStaff.staff_id == staff.id)
        rows = rows.where(Alert.family_id.in_(mine))
    return session.scalars(rows.order_by(Alert.severity.desc(), Alert.raised_at, Alert.id)).all()


def open_alert_of(session: Session, *, parent_id: int) -> Alert | None:
    """The episode that is open for this parent, if one is."""
    return session.scalar(
        select(Alert)
        .where(Alert.parent_id == parent_id, Alert.status != "resolved", Alert.level.in_(("crisis", "check")))
        .order_by(Alert.id.desc())
        .limit(1)
    )


def events_of(session: Session, alert: Alert) -> Sequence[AlertEvent]:
    """What happened to an alert, in order."""
    return session.scalars(select(AlertEvent).where(AlertEvent.alert_id == alert.id).order_by(AlertEvent.id)).all()


def last_crisis_at(session: Session, *, parent_id: int) -> datetime | None:
    """When this parent's latest alert was raised or added to."""
    return session.scalar(
        select(AlertEvent.at)
        .join(Alert, Alert.id == AlertEvent.alert_id)
        .where(Alert.parent_id == parent_id, or_(AlertEvent.event == "raised", AlertEvent.event == "text"))
        .order_by(AlertEvent.at.desc())
        .limit(1)
    )
