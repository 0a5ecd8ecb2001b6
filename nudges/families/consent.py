"""Consent: each time a parent agreed or withdrew, kept for good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.models.family import Consent, Parent

WORDING_VERSION = "2025-01"  # of the consent texts in schedules/library/system.yaml and on the enrolment form
STAFF_MEDIA = (  # how a parent agrees where staff enroll them
    ("paper", "On paper"),
    ("phone", "On the phone"),
    ("in_person", "In person"),
    ("web_form", "On our web form"),
)
MEDIA = (*dict(STAFF_MEDIA), "text")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsentGiven:
    """How a parent agreed: where, to which wording, in which language, and who wrote it down."""

    medium: str
    wording_version: str
    language: str
    staff_id: int | None = None
    inbound_id: int | None = None


def grant(session: Session, parent: Parent, given: ConsentGiven, *, now: datetime) -> Consent:
    """Record that the parent agreed. Raises ValueError for an unknown medium."""
    if given.medium not in MEDIA:
        raise ValueError(f"The consent's medium should be one of: {', '.join(MEDIA)}.")
    return _add(session, parent, "granted", given, how=None, now=now)


def confirm(session: Session, parent: Parent, given: ConsentGiven, *, now: datetime) -> Consent:
    """Record the parent's own confirming text: the second half of a double opt-in."""
    return _add(session, parent, "confirmed", given, how=None, now=now)


def revoke(session: Session, parent: Parent, given: ConsentGiven, *, how: str, now: datetime) -> Consent:
    """Record that the parent withdrew; `how` says by which words or by whom that was recognised."""
    return _add(session, parent, "revoked", given, how=how, now=now)


def history(session: Session, parent: Parent) -> list[Consent]:
    """Everything this parent agreed to and withdrew, oldest first."""
    rows = select(Consent).where(Consent.parent_id == parent.id).order_by(Consent.at, Consent.id)
    return list(session.scalars(rows))


def _add(
    session: Session, parent: Parent, event: str, given: ConsentGiven, *, how: str | None, now: datetime
) -> Consent:
    row = Consent(
        parent_id=parent.id,
        event=event,
        medium=given.medium,
        wording_version=given.wording_version,
        language=given.language,
        staff_id=given.staff_id,
        inbound_id=given.inbound_id,
        how_recognised=how,
        at=now,
    )
    session.add(row)
    session.flush()
    return row
