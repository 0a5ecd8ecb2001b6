"""What follows when a text does not arrive: the step's outcome, the thread, the phone, the people who must know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges import tasks
from nudges.alerts import paging
from nudges.channels.base import Action
from nudges.families import care, snapshots
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.messages import Outbox
from nudges.models.program import Program
from nudges.outbox import queue, withdraw
from nudges.outbox.status import CANCELLED, EXPIRED, FAILED, UNDELIVERED
from schedules import localtime, plan, state
from schedules.values import Thread

_STOPS: Final = frozenset((Action.SUPPRESS, Action.BLOCKED))
_PASSING: Final = frozenset((Action.RETRY_LATER, Action.RETRY_ONCE))
_PHONE_PROBLEMS: Final = {Action.NUMBER_INVALID: "invalid", Action.NUMBER_LANDLINE: "landline"}
_TASKS: Final[Mapping[Action, tuple[str, str]]] = {
    Action.NUMBER_INVALID: (
        "phone_problem",
        "Texts cannot reach this parent: the number is invalid, or somebody else has it now. "
        "Ask for another one, and for consent again.",
    ),
    Action.NUMBER_LANDLINE: (
        "phone_problem",
        "Texts cannot reach this parent: the number is a landline. Ask for another one.",
    ),
    Action.BLOCKED: (
        "carrier_block",
        "The carrier blocks our texts to this parent. It may be a STOP that we did not see, so texts have ended. "
        "Ask the parent before anything else is sent.",
    ),
    Action.HOLD: (
        "step",
        "A text did not reach this parent, for a reason that nobody here knows. Look at it in Records, texts out, "
        "and decide whether to write in person.",
    ),
    Action.BREAK_LOOP: ("loop", "This number and we answered each other too often. Replies rest for an hour."),
}
_DAYS_IN_A_ROW: Final = 3
_LAST_TEXTS: Final = 20


def end(
    session: Session,
    row: Outbox,
    *,
    from_status: str,
    to_status: str,
    reason: str,
    now: datetime,
    action: Action | None = None,
    has_gone: bool = False,
    anew: bool = False,
    **values: Any,
) -> bool:
    """Move a text to an end at which the parent does not have it, and do what follows. False: it had moved on.

    1. the parent is locked before the row, as everywhere, so that a STOP at this moment cannot deadlock
    2. an opt-out or a dead number that the carrier tells us of stops everything for this phone
    3. a nudge's step gets its outcome, and the thread forgets it; `has_gone` (nobody knows) keeps it as sent,
       except the welcome: it goes again, because nothing may go before it; `anew` takes the step back as if it had
       never been planned, so that the planner decides again
    4. a crisis reply or page that was lost goes to a human
    """
    parent = snapshots.locked(session, row.parent_id) if row.parent_id is not None else None
    moved = queue.move(session, row.id, from_status=from_status, to_status=to_status, reason=reason, now=now, **values)
    if not moved:
        return False
    with record.gathered(session):  # alerts are locked before the ledger, as by a text that comes in
        if parent is not None:
            heed(session, parent, action, now=now)
            if row.gate:
                _forget(session, row, parent, to_status, reason, has_gone=has_gone, anew=anew, now=now)
        if row.category in queue.URGENT:
            paging.report_undelivered(session, row, now, has_opted_out=action is Action.SUPPRESS)
    return True


def heed(session: Session, parent: Parent, action: Action | None, *, now: datetime) -> None:
    """What a failure says about the phone, whatever becomes of this text: it counts even when it comes too late."""
    if action in _STOPS and parent.status != "opted_out":
        care.opt_out(session, parent, how="the carrier says so", now=now, by="system:carrier")
    problem = _PHONE_PROBLEMS.get(action) if action is not None else None
    if problem is not None and parent.phone_problem is None:
        care.mark_phone_problem(session, parent, problem, now=now)
        if action is Action.NUMBER_INVALID:
            care.void_consent(session, parent, how="the number may belong to somebody else now", now=now)
    kind, words = _TASKS.get(action, ("", "")) if action is not None else ("", "")
    if action in _PASSING and _came_back_for_days(session, parent):
        kind, words = "phone_unreachable", "Texts came back on three days in a row. Ask whether the number is right."
    if kind:
        _ask_staff(session, parent, kind, words, now=now)


def _came_back_for_days(session: Session, parent: Parent) -> bool:
    """Have the last texts all come back, on three different days or more?"""
    last = session.execute(
        select(Outbox.status, Outbox.attempted_at)
        .where(Outbox.parent_id == parent.id, Outbox.attempted_at.is_not(None))
        .order_by(Outbox.created_at.desc(), Outbox.id.desc())
        .limit(_LAST_TEXTS)
    )
    days: set[date] = set()
    for status, attempted_at in last:
        if attempted_at is None or status not in (FAILED, UNDELIVERED):
            break
        days.add(attempted_at.date())
    return len(days) >= _DAYS_IN_A_ROW


def _ask_staff(session: Session, parent: Parent, kind: str, words: str, *, now: datetime) -> None:
    """One open task of a kind is enough for each parent."""
    if tasks.waiting(session, kind, program_id=parent.program_id, parent_id=parent.id) is None:
        tasks.ask_about(session, parent, kind=kind, words=words, now=now)


def _forget(
    session: Session,
    row: Outbox,
    parent: Parent,
    to_status: str,
    reason: str,
    *,
    has_gone: bool,
    anew: bool,
    now: datetime,
) -> None:
    outcome = {EXPIRED: "expired", CANCELLED: "dropped"}.get(to_status, "failed")
    code = "planned_anew" if anew else f"not_{'delivered' if outcome == 'failed' and row.body else 'sent'}"
    withdraw.drop_steps(session, [row.id], code=code, reason=reason, outcome=outcome)
    if parent.status not in ("active", "paused"):
        return
    policy = snapshots.policy_of(session.get_one(Program, parent.program_id))
    proposal, at = state.proposal_from_json(row.gate), localtime.minute(now)
    thread = snapshots.thread_of(session, parent)
    if anew:
        after = plan.withdrawn(thread, proposal, policy, at)
    else:
        after = plan.unsent(thread, proposal, policy, at, expired=to_status == EXPIRED, reason=reason)
    if has_gone and not _was_welcome(thread, after):
        return
    snapshots.save_or_raise(session, parent, after, now=now)


def _was_welcome(before: Thread, after: Thread) -> bool:
    """Is a parent who counted as welcomed one who has to be welcomed again, once this text is taken back?"""
    return before.pace.welcomed_at is not None and after.pace.welcomed_at is None
