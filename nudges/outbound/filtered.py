"""Steps whose words carriers filter: told at the first time, held back from the second until somebody has looked.

The open alert is the switch: resolving it lets the step go again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.alerts import paging
from nudges.db import as_given, pairs_given
from nudges.models.messages import Outbox
from nudges.models.safety import Alert
from nudges.outbound.outbox import Queued

_OPEN: Final = select(Alert.title).where(
    Alert.level == "system", Alert.status != "resolved", Alert.title.in_(select(pairs_given("titles").c.key))
)


def note(session: Session, row: Outbox, *, program_id: int, now: datetime) -> None:
    """A text of this step was filtered."""
    if row.step_id is None:
        return
    once, again = _once(row), _again(row)
    title = again if paging.open_system_alert(session, program_id, once) is not None else once
    why = "Carriers refuse its words. Mend the step, or resolve this to let it go again."
    paging.raise_system_alert(session, program_id, title=title, why=why, now=now)


def held_back(session: Session, rows: Sequence[Queued]) -> dict[int, str]:
    """Why a text must not go, by its id, for texts of steps that were filtered more than once."""
    titles = {_again(row) for row in rows if row.step_id is not None}
    if not titles:
        return {}
    held = set(session.connection().scalars(_OPEN, {"titles": as_given(titles)}))
    return {row.id: f"Not sent: carriers filter the words of {row.step_id}." for row in rows if _again(row) in held}


def _once(row: Outbox) -> str:
    return f"Carriers filtered a text of step {row.step_id} (version {row.version_id})"


def _again(row: Outbox | Queued) -> str:
    return f"Held back: carriers filter step {row.step_id} (version {row.version_id})"
