"""Texts that a person has judged: what the screen is trained with and checked against later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.messages import Inbound
from nudges.models.on_call import CorpusText
from nudges.models.phrases import Drill
from nudges.models.safety import Alert, AlertEvent

LABELS: Final = ("crisis", "check", "ordinary")
ORIGINS: Final = ("incident", "phrase", "drill", "import")


class CorpusError(ValueError):
    """A text cannot be kept like this; the message says what is missing."""


def record_false_alarm(
    session: Session, alert: Alert, *, staff_id: int, reason: str, now: datetime
) -> list[CorpusText]:
    """Keep the texts that raised this alert as ordinary ones, with the reason. Texts kept before stay as they are.

    A drill teaches the screen nothing: its text is danger in plain words. Raises CorpusError without a reason.
    """
    if session.scalar(select(Drill.id).where(Drill.alert_id == alert.id)) is not None:
        return []
    raised = select(AlertEvent.inbound_id).where(
        AlertEvent.alert_id == alert.id, AlertEvent.event.in_(("raised", "text"))
    )
    kept = select(CorpusText.inbound_id).where(CorpusText.origin == "incident", CorpusText.inbound_id.is_not(None))
    texts = session.scalars(
        select(Inbound).where(Inbound.id.in_(raised), Inbound.id.not_in(kept)).order_by(Inbound.id)
    ).all()
    alarming = [text for text in texts if text.screening.get("level") in ("crisis", "check")]
    return [
        add_text(
            session,
            program_id=alert.program_id,
            text=text.body,
            label="ordinary",
            origin="incident",
            reason=reason,
            staff_id=staff_id,
            inbound=text,
            now=now,
        )
        for text in alarming
    ]


def add_text(
    session: Session,
    *,
    program_id: int,
    text: str,
    label: str,
    origin: str,
    reason: str,
    staff_id: int | None,
    now: datetime,
    tier: str | None = None,
    language: str | None = None,
    inbound: Inbound | None = None,
) -> CorpusText:
    """Keep one judged text. Raises CorpusError for an empty text or reason, an unknown label or origin."""
    if not text.strip() or not reason.strip():
        raise CorpusError("A text for the corpus needs its words and the reason for its label.")
    if label not in LABELS or origin not in ORIGINS:
        raise CorpusError(f"The label should be one of {', '.join(LABELS)}; the origin one of {', '.join(ORIGINS)}.")
    if inbound is not None and inbound.parent_id is not None and language is None:
        language = session.get_one(Parent, inbound.parent_id).language
    row = CorpusText(
        program_id=program_id,
        inbound_id=inbound.id if inbound is not None else None,
        text=text,
        label=label,
        tier=tier,
        language=language,
        origin=origin,
        reason=reason.strip(),
        staff_id=staff_id,
        at=now,
    )
    session.add(row)
    session.flush()
    actor = f"staff:{staff_id}" if staff_id is not None else "system:desk"
    details = {"label": label, "origin": origin}
    record.append(session, at=now, actor=actor, action="corpus.added", subject=f"corpus:{row.id}", details=details)
    return row


def corpus_rows(
    session: Session, program_id: int, *, label: str | None = None, origin: str | None = None
) -> Sequence[CorpusText]:
    """The judged texts of a program, oldest first."""
    rows = select(CorpusText).where(CorpusText.program_id == program_id)
    if label is not None:
        rows = rows.where(CorpusText.label == label)
    if origin is not None:
        rows = rows.where(CorpusText.origin == origin)
    return session.scalars(rows.order_by(CorpusText.id)).all()
