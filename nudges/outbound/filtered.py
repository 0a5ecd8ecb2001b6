"""Steps whose words carriers filter: told at the first time, held back from the second until somebody has looked.

The open alert is the switch: resolving it lets the step go again.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime
from typing import Final

from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from nudges.alerts import paging
from nudges.models.messages import Outbox
from nudges.models.safety import Alert
from nudges.outbound.outbox import Queued

_HELD_BACK: Final = "Held back: carriers filter step"
# The word is spelled out, or the partial index of what is open is not seen.
_HELD: Final = select(Alert.title).where(
    Alert.status != literal("resolved", literal_execute=True),
    Alert.level == "system",
    Alert.title.startswith(_HELD_BACK),
)


def note(session: Session, row: Outbox, *, program_id: int, now: datetime) -> None:
    """A text of this step was filtered."""
    if row.step_id is None:
        return
    once, again = _once(row), _again(row)
    title = again if paging.open_system_alert(session, program_id, once) is not None else once
    why = "Carriers refuse its words. Mend the step, or resolve this to let it go again."
    paging.raise_system_alert(session, program_id, title=title, why=why, now=now)


def held_back(session: Session) -> frozenset[str]:
    """Which steps were filtered more than once, and nobody has looked since: for `objections`."""
    return frozenset(session.connection().scalars(_HELD))


def objections(rows: Sequence[Queued], held: Set[str]) -> dict[int, str]:
    """Why a text must not go, by its id, for texts of the steps that `held_back` has found."""
    if not held:
        return {}
    return {row.id: f"Not sent: carriers filter the words of {row.step_id}." for row in rows if _again(row) in held}


def _once(row: Outbox) -> str:
    return f"Carriers filtered a text of step {row.step_id} (version {row.version_id})"


def _again(row: Outbox | Queued) -> str:
    return f"{_HELD_BACK} {row.step_id} (version {row.version_id})"
