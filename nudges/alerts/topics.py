"""What an alert is about: every danger that a text of its episode touched, the most urgent first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.models.family import Family
from nudges.models.messages import Inbound
from nudges.models.safety import Alert, AlertEvent

# In the order in which a reply would lead with them.
SUBJECTS: Final = {
    "overdose_poison": "overdose or poison",
    "suicide_selfharm": "suicide or self-harm",
    "harm_others": "harm to others",
    "runaway_missing": "missing",
    "abuse_dv": "abuse",
    "unsafe_behaviour": "unsafe behavior",
    "parent_distress": "parent in distress",
}


def topics_of(session: Session, alert: Alert, *, but: Inbound | None = None) -> frozenset[str]:
    """Every tier that a text of this episode touched, as the screen saw it; `but` leaves one text out."""
    rows = session.execute(
        select(Inbound.id, Inbound.screening)
        .join(AlertEvent, AlertEvent.inbound_id == Inbound.id)
        .where(AlertEvent.alert_id == alert.id)
    )
    named = {tier for inbound_id, found in rows if but is None or inbound_id != but.id for tier in tiers_in(found)}
    return frozenset(tier for tier in (*named, alert.tier) if tier)


def tiers_in(screening: dict[str, object]) -> tuple[str, ...]:
    """The tiers that a stored screening names."""
    also = screening.get("also_tiers")
    named = (screening.get("tier"), *(also if isinstance(also, list) else ()))
    return tuple(str(tier) for tier in named if tier)


def title_of(session: Session, *, level: str, family_id: int | None, topics: Iterable[str]) -> str:
    """A line fit for a pager: level, family code, topics. No name, no number, no word of the text."""
    code = None
    if family_id is not None:
        code = session.scalar(select(Family.code).where(Family.id == family_id))
    about = [SUBJECTS[tier] for tier in SUBJECTS if tier in set(topics)]
    words = ", ".join(about) or ("emergency" if level == "crisis" else "please check")
    return f"{'Crisis' if level == 'crisis' else 'Check'}, {code or 'unknown number'}: {words}"
