"""Holds: nothing proactive while one stands; only a person ends it, with a reason and a way to start again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from nudges.families import enrolling, snapshots
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.on_call import StaffDuty
from nudges.models.program import Program, Staff
from nudges.models.safety import Alert, AlertEvent, Hold
from schedules import lifecycle, localtime
from schedules.lifecycle import Path

ABUSE: Final = "abuse_dv"
SAFEGUARDING: Final = "safeguarding"
AFTERCARE: Final = "AFTERCRISIS"  # the sequence for the time after a crisis
CONVERSATION: Final = "conversation"
_OF_ITS_OWN: Final = frozenset({SAFEGUARDING, CONVERSATION})  # neither stops everything, so neither moves the plan


# Asked for every text that comes in, so they are built once.
_OPEN: Final = (
    select(Hold)
    .where(Hold.family_id == bindparam("family_id"), Hold.kind == bindparam("kind"), Hold.released_at.is_(None))
    .order_by(Hold.id.desc())
    .limit(1)
)
_OF_FAMILY: Final = _OPEN.where(Hold.parent_id.is_(None))
_OF_PARENT: Final = _OPEN.where(Hold.parent_id == bindparam("parent_id"))
_PARENTS: Final = select(Parent).where(Parent.family_id == bindparam("family_id")).order_by(Parent.id)


class HoldError(ValueError):
    """A hold cannot be released like this; the message says what is missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """What a person chooses when a hold is released. Nothing resumes by itself.

    `path`: aftercare, resume (at `at_step`, or where it stopped), rest (until `until`) or finish. `talks_may_go_on`:
    somebody trained in aftercare says that talks need not rest for a month.
    """

    path: str
    at_step: str | None = None
    until: datetime | None = None
    talks_may_go_on: bool = False


def hold_family(
    session: Session, *, family_id: int, kind: str, tiers: Collection[str], alert: Alert, now: datetime
) -> list[Hold]:
    """The holds that a dangerous or doubtful text asks for. `kind` is crisis or check.

    The whole family rests, in every danger alike, so that no parent can tell from the quiet which danger it was and
    who wrote. After an abuse disclosure a second hold keeps off everything firm and everything about contact: it
    stays when the first one is released, and only a safeguarding lead or an admin ends it.
    """
    placed = [place_hold(session, family_id=family_id, kind=kind, alert_id=alert.id, now=now)]
    if ABUSE in tiers:
        placed.append(place_hold(session, family_id=family_id, kind=SAFEGUARDING, alert_id=alert.id, now=now))
    return placed


def place_hold(
    session: Session,
    *,
    family_id: int,
    kind: str,
    now: datetime,
    parent_id: int | None = None,
    alert_id: int | None = None,
    until: datetime | None = None,
    by: str = "system:screen",
) -> Hold:
    """Stop everything proactive: for one parent when `parent_id` is given, else for the family.

    An open hold of the same kind and scope is kept (a conversation's `until` moves). Queued texts are stopped by
    the gate, which the sender asks again right before each one leaves.
    """
    hold = _standing(session, family_id, kind, parent_id)
    if hold is not None:
        if until is not None:
            hold.until = until
        return hold
    hold = Hold(
        family_id=family_id,
        parent_id=parent_id,
        alert_id=alert_id,
        kind=kind,
        scope="family" if parent_id is None else "parent",
        placed_at=now,
        until=until,
    )
    session.add(hold)
    session.flush()
    for parent in _touched(session, hold):
        snapshots.look_again(parent, now=now)
    session.flush()
    _record(session, hold, by, "hold.placed", now=now)
    return hold


def open_conversation(session: Session, parent: Parent, *, staff_id: int, now: datetime) -> Hold:
    """A person writes with the parent: the automation rests, for some hours past the last text of either side."""
    program = session.get_one(Program, parent.program_id)
    return place_hold(
        session,
        family_id=parent.family_id,
        parent_id=parent.id,
        kind=CONVERSATION,
        until=end_of_conversation(program, now=now),
        now=now,
        by=f"staff:{staff_id}",
    )


def end_of_conversation(program: Program, *, now: datetime) -> datetime:
    """Until when the automation rests after a text of either side: the program's `conversation_hours`."""
    return now + timedelta(hours=snapshots.policy_of(program).conversation_hours)


def conversation_of(session: Session, parent: Parent, *, now: datetime) -> Hold | None:
    """The conversation that is going on with this parent, if one is."""
    hold = _standing(session, parent.family_id, CONVERSATION, parent.id)
    return hold if hold is not None and (hold.until is None or hold.until > now) else None


def open_holds(session: Session, *, family_id: int, now: datetime) -> Sequence[Hold]:
    """What keeps this family quiet, oldest first. Conversations that are over do not count."""
    return session.scalars(
        select(Hold)
        .where(Hold.family_id == family_id, Hold.released_at.is_(None))
        .where(or_(Hold.until.is_(None), Hold.until > now))
        .order_by(Hold.id)
    ).all()


def release_hold(session: Session, hold: Hold, staff_id: int, reason: str, release: Release, now: datetime) -> bool:
    """End a hold because a person says why and how. False when somebody else had ended it already.

    1. what the hold did to threads is stored
    2. the release with its reason, by conditional UPDATE; the alert's thread and the ledger say who it was
    3. parents with no other hold go the chosen path; aftercare begins for the parent whom the alert is about

    Raises HoldError without a reason, with a path that cannot be gone (rest without a date, a step that nobody is in),
    for aftercare or talks without the training, and for a safeguarding hold when this person is neither a
    safeguarding lead nor an admin. Raises EnrollError when aftercare cannot begin.
    """
    if not reason.strip():
        raise HoldError("Say why the texts may start again; the reason stays on record.")
    _check(session, hold, staff_id, release, now)
    if hold.kind == SAFEGUARDING and not may_clear(session, staff_id):
        raise HoldError("Only a safeguarding lead or an admin can clear a family after an abuse disclosure.")
    _keep_what_it_did(session, hold, now=now)
    if not _release(session, hold, staff_id, reason.strip(), now=now):
        return False
    since = _quiet_since(session, hold)
    for parent in _touched(session, hold):
        _go_on(session, parent, hold, release, staff_id, since=since, now=now)
    if hold.alert_id is not None:
        note = f"{hold.kind} hold released: {reason.strip()}"
        session.add(AlertEvent(alert_id=hold.alert_id, event="hold_released", staff_id=staff_id, note=note, at=now))
        session.flush()
    _record(session, hold, f"staff:{staff_id}", "hold.released", now=now, path=release.path)
    return True


def _keep_what_it_did(session: Session, hold: Hold, *, now: datetime) -> None:
    """Store what the hold does to its parents' threads while it still stands: no talks for a month, shut gates.

    Nobody else may have stored it: a hold can be released before the planner has looked once.
    """
    if hold.kind in _OF_ITS_OWN:
        return
    for parent in _touched(session, hold):
        parent = snapshots.locked(session, parent.id)
        policy = snapshots.policy_of(session.get_one(Program, parent.program_id))
        thread = lifecycle.at(snapshots.thread_of(session, parent), policy, localtime.minute(now))
        snapshots.save_or_raise(session, parent, thread, now=now)


def may_clear(session: Session, staff_id: int) -> bool:
    """May this person end a safeguarding hold?"""
    person = session.get(Staff, staff_id)
    if person is None or not person.is_active:
        return False
    duty = session.get(StaffDuty, staff_id)
    return person.role == "admin" or (duty is not None and duty.is_safeguarding_lead)


def _release(session: Session, hold: Hold, staff_id: int, reason: str, *, now: datetime) -> bool:
    released = session.execute(
        update(Hold)
        .where(Hold.id == hold.id, Hold.released_at.is_(None))
        .values(released_at=now, released_by=staff_id, release_reason=reason)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(released, CursorResult)
    session.refresh(hold)
    return released.rowcount == 1


def _check(session: Session, hold: Hold, staff_id: int, release: Release, now: datetime) -> None:
    """Raises HoldError with what is missing for this path."""
    if release.path not in tuple(Path):
        raise HoldError(f"Choose how to go on: {', '.join(Path)}.")
    if release.path == Path.REST and (release.until is None or release.until <= now):
        raise HoldError("Say until when the texts rest: a date in the future.")
    if (release.path == Path.AFTERCARE or release.talks_may_go_on) and not is_trained(session, staff_id):
        raise HoldError("Only somebody trained in aftercare can start it, or let talks go on within a month.")
    if release.at_step is not None and not _is_in_step(session, hold, release.at_step):
        raise HoldError(f"Nobody of this family is in a sequence with the step {release.at_step}.")


def _is_in_step(session: Session, hold: Hold, step: str) -> bool:
    threads = snapshots.threads_of(session, _touched(session, hold)).values()
    return any(e.sequence.step(step) is not None for thread in threads for e in thread.enrollments)


def is_trained(session: Session, staff_id: int) -> bool:
    """Has an admin marked this person as trained in aftercare?"""
    duty = session.get(StaffDuty, staff_id)
    return duty is not None and duty.is_trained_in_aftercare


def _go_on(
    session: Session, parent: Parent, hold: Hold, release: Release, staff_id: int, *, since: datetime, now: datetime
) -> None:
    parent = snapshots.locked(session, parent.id)
    thread = snapshots.thread_of(session, parent)
    if any(hold.kind not in _OF_ITS_OWN and (hold.until is None or hold.until > now) for hold in thread.holds):
        return  # another hold still stands: its release decides
    if hold.kind in _OF_ITS_OWN:
        return
    policy = snapshots.policy_of(session.get_one(Program, parent.program_id))
    running = {e.id for e in thread.enrollments}
    thread = lifecycle.released(
        thread,
        Path(release.path),
        localtime.minute(now),
        policy,
        since=since,
        at_step=release.at_step,
        until=release.until,
        talks_may_go_on=release.talks_may_go_on,
    )
    for gone in running - {e.id for e in thread.enrollments}:
        reason = "the family finished after the hold"
        enrolling.end_enrollment(session, int(gone), status="stopped", reason=reason, now=now)
    snapshots.save_or_raise(session, parent, thread, now=now)
    if release.path == Path.AFTERCARE and _is_whose_alert(session, hold, parent):
        enrolling.start_sequence(session, parent, AFTERCARE, now=now, staff_id=staff_id)


def _is_whose_alert(session: Session, hold: Hold, parent: Parent) -> bool:
    """Aftercare is for the parent whom the alert is about; a hold without one is of its own parent."""
    alert = session.get(Alert, hold.alert_id) if hold.alert_id is not None else None
    return parent.id == (alert.parent_id if alert is not None else hold.parent_id)


def _quiet_since(session: Session, hold: Hold) -> datetime:
    """When the rest began that ends with this hold: holds that overlapped are one rest."""
    since = hold.placed_at
    earlier = session.scalars(
        select(Hold)
        .where(Hold.family_id == hold.family_id, Hold.kind.not_in(_OF_ITS_OWN), Hold.placed_at < since)
        .order_by(Hold.placed_at.desc())
    )
    for other in earlier:
        if other.parent_id in (None, hold.parent_id) and (other.released_at is None or other.released_at >= since):
            since = other.placed_at
    return since


def _standing(session: Session, family_id: int, kind: str, parent_id: int | None) -> Hold | None:
    of = {"family_id": family_id, "kind": kind, "parent_id": parent_id}
    return session.scalars(_OF_FAMILY if parent_id is None else _OF_PARENT, of).one_or_none()


def _touched(session: Session, hold: Hold) -> Sequence[Parent]:
    parents = session.scalars(_PARENTS, {"family_id": hold.family_id}).all()
    return [parent for parent in parents if hold.scope != "parent" or parent.id == hold.parent_id]


def _record(session: Session, hold: Hold, actor: str, action: str, *, now: datetime, path: str | None = None) -> None:
    details = {"kind": hold.kind, "scope": hold.scope} | ({"path": path} if path else {})
    record.append(
        session,
        at=now,
        actor=actor,
        action=action,
        family_id=hold.family_id,
        parent_id=hold.parent_id,
        subject=f"hold:{hold.id}",
        details=details,
    )
