"""Caring for enrolled parents: pause, resume, stop, revive, dates that move, profile. Each act is in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.families import consent, snapshots
from nudges.families.consent import ConsentGiven
from nudges.families.enrolling import EnrollError, actor, check_profile
from nudges.languages import LANGUAGES
from nudges.ledger import record
from nudges.models.family import Family, KeyDate, Parent
from nudges.models.program import Program
from nudges.outbox.withdraw import withdraw_queued
from schedules import lifecycle, localtime, profile

KINDS = ("session", "break_start", "crisis_report", "court", "next_review", "consult", "visit")


def pause(
    session: Session,
    parent: Parent,
    *,
    until: datetime | None,
    now: datetime,
    staff_id: int | None = None,
    by: str | None = None,
) -> None:
    """No nudges until an instant, or until somebody resumes. Queued nudges rest too. Raises EnrollError.

    `by` names another actor than staff, such as `parent:12` for a PAUSE text.
    """
    parent = snapshots.locked(session, parent.id)
    if parent.status not in ("active", "paused"):
        raise EnrollError("Only a parent who gets texts can be paused.")
    if until is not None and until <= now:
        raise EnrollError("The pause should end in the future.")
    thread = lifecycle.pause(snapshots.thread_of(session, parent), until, localtime.minute(now))
    snapshots.save_or_raise(session, parent, thread, now=now)
    details = {"until": None if until is None else until.isoformat()}
    _record(session, parent, "parent.paused", now=now, staff_id=staff_id, by=by, details=details)


def resume(
    session: Session, parent: Parent, *, now: datetime, staff_id: int | None = None, by: str | None = None
) -> None:
    """End a pause. What was missed is not caught up on: the rest moves. A parent who is not paused stays as is."""
    parent = snapshots.locked(session, parent.id)
    if parent.status != "paused":
        return
    program = session.get_one(Program, parent.program_id)
    thread = lifecycle.resume(snapshots.thread_of(session, parent), now, snapshots.policy_of(program))
    snapshots.save_or_raise(session, parent, thread, now=now)
    _record(session, parent, "parent.resumed", now=now, staff_id=staff_id, by=by)


def opt_out(
    session: Session,
    parent: Parent,
    *,
    how: str,
    now: datetime,
    staff_id: int | None = None,
    inbound_id: int | None = None,
    by: str | None = None,
) -> int:
    """Stop everything for this phone at once, in the caller's transaction; returns how many queued texts went.

    `how` says how it was recognised: keyword STOP, the parent's words, a carrier's answer, staff on the phone.
    Again changes nothing but is recorded, because each withdrawal counts.
    """
    parent = snapshots.locked(session, parent.id)
    parent.status, parent.paused_until = "opted_out", None
    parent.next_at, parent.next_reason = None, "opted out; only START brings texts back"
    parent.revision += 1
    session.flush()
    medium = "phone" if inbound_id is None and staff_id is not None else "text"
    given = ConsentGiven(
        medium=medium,
        wording_version=consent.WORDING_VERSION,
        language=parent.language,
        staff_id=staff_id,
        inbound_id=inbound_id,
    )
    consent.revoke(session, parent, given, how=how, now=now)
    withdrawn = withdraw_queued(session, parent.id, reason="the parent opted out", now=now)
    details = {"how": how, "withdrawn": withdrawn}
    _record(session, parent, "parent.opted_out", now=now, staff_id=staff_id, by=by, details=details)
    return withdrawn


def revive(
    session: Session,
    parent: Parent,
    *,
    given: ConsentGiven,
    now: datetime,
    by: str | None = None,
) -> bool:
    """Bring texts back after START, or after a confirming digit. Only these two may call. False: nothing to revive.

    What was missed is not caught up on.
    """
    parent = snapshots.locked(session, parent.id)
    if parent.status not in ("opted_out", "invited"):
        return False
    since = _silent_since(session, parent)
    consent.confirm(session, parent, given, now=now)
    program = session.get_one(Program, parent.program_id)
    thread = replace(snapshots.thread_of(session, parent), status="active")
    thread = lifecycle.resume(thread, now, snapshots.policy_of(program), since=since)
    snapshots.save_or_raise(session, parent, thread, now=now)
    _record(session, parent, "parent.revived", now=now, staff_id=given.staff_id, by=by)
    return True


def mark_phone_problem(session: Session, parent: Parent, problem: str | None, *, now: datetime) -> None:
    """Note why this number cannot be texted (invalid, landline, reassigned), or that it can again."""
    parent = snapshots.locked(session, parent.id)
    parent.phone_problem = problem
    snapshots.look_again(parent, now=now)
    if problem is not None:
        withdraw_queued(session, parent.id, reason=f"the number cannot be texted: {problem}", now=now)
    _record(session, parent, "parent.phone_problem", now=now, by="system:receipts", details={"problem": problem})


def void_consent(session: Session, parent: Parent, *, how: str, now: datetime) -> None:
    """Consent is a person's at a number: when the number may be somebody else's, it has to be given anew."""
    given = ConsentGiven(medium="text", wording_version=consent.WORDING_VERSION, language=parent.language)
    consent.revoke(session, parent, given, how=how, now=now)
    _record(session, parent, "parent.consent_void", now=now, by="system:receipts", details={"how": how})


def note_welcome(session: Session, parent: Parent, *, now: datetime) -> None:
    """The parent has just been told, in a reply, who writes and how to stop."""
    parent = snapshots.locked(session, parent.id)
    thread = snapshots.thread_of(session, parent)
    pace = replace(thread.pace, welcomed_at=localtime.minute(now), notice_at=localtime.minute(now))
    snapshots.save_or_raise(session, parent, replace(thread, pace=pace), now=now)


def open_gate(session: Session, parent: Parent, *, staff_id: int, now: datetime) -> None:
    """A person opens what only a person may open again: the gate of a break after a crisis, or after two askings that
    nobody answered. Its conditions still have to hold."""
    parent = snapshots.locked(session, parent.id)
    thread = lifecycle.gate_opened(snapshots.thread_of(session, parent))
    snapshots.save_or_raise(session, parent, thread, now=now)
    _record(session, parent, "gate.opened", now=now, staff_id=staff_id)


def set_emergency_plan(
    session: Session, parent: Parent, *, plan: str, notes: str, staff_id: int, now: datetime
) -> None:
    """Keep what whoever answers an alert needs. Both are sealed; the ledger says only that they were written.

    `plan`: the parent's address and what was agreed for an emergency. `notes`: custody and safety, for the family.
    """
    parent.emergency_plan = plan.strip() or None
    session.get_one(Family, parent.family_id).notes = notes.strip() or None
    session.flush()
    _record(session, parent, "parent.emergency_plan", now=now, staff_id=staff_id)


def set_key_date(
    session: Session,
    parent: Parent,
    kind: str,
    nth: int,
    at: datetime,
    *,
    now: datetime,
    staff_id: int | None = None,
    on_date: date | None = None,
) -> KeyDate:
    """Enter a date that steps hang on, such as the second session; `on_date` when it has no time of day.

    One that exists is moved: its steps are counted anew from the new moment. Raises EnrollError.
    """
    if kind not in KINDS:
        raise EnrollError(f"The date's kind should be one of: {', '.join(KINDS)}.")
    parent = snapshots.locked(session, parent.id)
    row = _key_date(session, parent, kind, nth)
    if row is None:
        row = KeyDate(parent_id=parent.id, kind=kind, nth=nth, at=at, first_at=at, on_date=on_date)
        session.add(row)
    row.at, row.on_date, row.status = at, on_date, "set"
    session.flush()
    _date_changed(session, parent, row, "date.set", now=now, staff_id=staff_id)
    return row


def move_key_date(
    session: Session,
    parent: Parent,
    kind: str,
    nth: int,
    at: datetime,
    *,
    now: datetime,
    staff_id: int | None = None,
) -> KeyDate:
    """Move a date; the first one stays on record. Raises EnrollError when there is none."""
    parent = snapshots.locked(session, parent.id)
    row = _known_key_date(session, parent, kind, nth)
    row.at, row.on_date, row.status = at, None, "set"
    session.flush()
    _date_changed(session, parent, row, "date.moved", now=now, staff_id=staff_id)
    return row


def mark_key_date(
    session: Session,
    parent: Parent,
    kind: str,
    nth: int,
    status: str,
    *,
    now: datetime,
    staff_id: int | None = None,
) -> KeyDate:
    """Say how a date went: done, missed or cancelled. Raises EnrollError."""
    if status not in ("done", "missed", "cancelled"):
        raise EnrollError("A date can be marked as done, missed or cancelled.")
    parent = snapshots.locked(session, parent.id)
    row = _known_key_date(session, parent, kind, nth)
    row.status = status
    session.flush()
    _date_changed(session, parent, row, f"date.{status}", now=now, staff_id=staff_id)
    return row


def change_profile(
    session: Session, parent: Parent, changes: Mapping[str, Any], *, now: datetime, staff_id: int | None = None
) -> None:
    """Set keys of the profile (None removes one). Raises ProfileError and changes nothing then."""
    parent = snapshots.locked(session, parent.id)
    merged = {key: value for key, value in {**parent.profile, **changes}.items() if value is not None}
    check_profile(merged)
    parent.profile = merged
    snapshots.look_again(parent, now=now)
    details = {"keys": sorted(changes)}  # not the values: a profile says much about a family
    _record(session, parent, "profile.changed", now=now, staff_id=staff_id, details=details)


def not_this_week(session: Session, parent: Parent, *, now: datetime, staff_id: int | None = None) -> str:
    """No text that we start from today to Sunday, in the parent's own week. Returns the days, for undo_not_this_week.

    A week that is quiet already stays as it is.
    """
    parent = snapshots.locked(session, parent.id)
    days = quiet_this_week(parent, now=now)
    if days is None:
        today, sunday = _rest_of_week(parent, now)
        days = f"{today}..{sunday}"
        _set_quiet(session, parent, [*profile.items(parent.profile.get("quiet_days")), days], now=now)
        _record(session, parent, "week.quiet", now=now, staff_id=staff_id, details={"days": days})
    return days


def undo_not_this_week(
    session: Session, parent: Parent, days: str, *, now: datetime, staff_id: int | None = None
) -> None:
    """Take back what `not_this_week` returned. Raises EnrollError when it does not stand any more."""
    parent = snapshots.locked(session, parent.id)
    if not days or days != quiet_this_week(parent, now=now):
        raise EnrollError("This week is not marked as quiet any more.")
    kept = [item for item in profile.items(parent.profile.get("quiet_days")) if item != days]
    _set_quiet(session, parent, kept, now=now)
    _record(session, parent, "week.open_again", now=now, staff_id=staff_id, details={"days": days})


def quiet_this_week(parent: Parent, *, now: datetime) -> str | None:
    """The stored days from some day of this week, today at the latest, to its Sunday; none when there are no such."""
    today, sunday = _rest_of_week(parent, now)
    for item in profile.items(parent.profile.get("quiet_days")):
        if str(item)[:1].isdigit():
            first, last = profile.day_range(item)
            if sunday - timedelta(days=6) <= first <= today and last == sunday:
                return str(item)
    return None


def _rest_of_week(parent: Parent, now: datetime) -> tuple[date, date]:
    today = localtime.local_date(now, str(parent.profile["timezone"]))
    return today, today + timedelta(days=6 - today.weekday())


def _set_quiet(session: Session, parent: Parent, days: list[Any], *, now: datetime) -> None:
    others = {key: value for key, value in parent.profile.items() if key != "quiet_days"}
    parent.profile = {**others, "quiet_days": days} if days else others
    snapshots.look_again(parent, now=now)


def set_language(
    session: Session, parent: Parent, language: str, *, now: datetime, staff_id: int | None = None
) -> None:
    """Text in another language from now on. Raises EnrollError."""
    if language not in LANGUAGES:
        raise EnrollError(f"The language should be one of: {', '.join(LANGUAGES)}.")
    parent = snapshots.locked(session, parent.id)
    parent.language = language
    snapshots.look_again(parent, now=now)
    details = {"language": language}
    _record(session, parent, "language.changed", now=now, staff_id=staff_id, details=details)


def _silent_since(session: Session, parent: Parent) -> datetime:
    """Since when this parent has had no texts: their last withdrawal, or the day they were invited."""
    revoked = [row.at for row in consent.history(session, parent) if row.event == "revoked"]
    return max(revoked, default=parent.created_at)


def _key_date(session: Session, parent: Parent, kind: str, nth: int) -> KeyDate | None:
    return session.scalar(
        select(KeyDate).where(KeyDate.parent_id == parent.id, KeyDate.kind == kind, KeyDate.nth == nth)
    )


def _known_key_date(session: Session, parent: Parent, kind: str, nth: int) -> KeyDate:
    row = _key_date(session, parent, kind, nth)
    if row is None:
        raise EnrollError(f"There is no {kind} {nth} to change. Enter it first.")
    return row


def _date_changed(
    session: Session, parent: Parent, row: KeyDate, action: str, *, now: datetime, staff_id: int | None
) -> None:
    snapshots.look_again(parent, now=now)
    details = {"kind": row.kind, "nth": row.nth, "at": row.at.isoformat()}
    _record(session, parent, action, now=now, staff_id=staff_id, details=details)


def _record(
    session: Session,
    parent: Parent,
    action: str,
    *,
    now: datetime,
    staff_id: int | None = None,
    by: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    record.append(
        session,
        at=now,
        actor=by or actor(staff_id),
        action=action,
        family_id=parent.family_id,
        parent_id=parent.id,
        details=details,
    )
