"""Enrolling: families, their parents, and the sequences that parents are in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Integer, cast, func, select, update
from sqlalchemy.orm import Session

from nudges import tasks
from nudges.db import blind_index
from nudges.families import consent, programs, snapshots
from nudges.families.consent import ConsentGiven
from nudges.families.phones import to_e164
from nudges.languages import LANGUAGES
from nudges.ledger import record
from nudges.library import signing, texts
from nudges.models.family import Family, FamilyStaff, Parent
from nudges.models.program import Program
from nudges.models.sequences import Enrollment, SequenceRow, SequenceVersion, StepOutcome
from nudges.outbox.withdraw import withdraw_queued
from schedules import entry, leaving, lifecycle, localtime, profile, values
from schedules.policy import Policy
from schedules.values import Drop

WELCOME = "ONBOARD"  # every parent whom staff enrolls starts here: its first text is the welcome that carriers require


class EnrollError(ValueError):
    """A family or parent cannot be enrolled so; the message says what to mend."""


_CODE: Final = re.compile(r"[A-Z]{1,4}-[0-9]{1,7}")


def actor(staff_id: int | None) -> str:
    """Who did it, as the ledger writes it."""
    return "system" if staff_id is None else f"staff:{staff_id}"


def code_fault(code: str) -> str | None:
    """What is wrong with a family's code. It stands in titles, addresses and pages: no name or number may be in it."""
    if _CODE.fullmatch(code):
        return None
    return "A family's code should look like F-1042: one to four capitals, a dash, one to seven digits."


def create_family(
    session: Session, *, program: Program, staff_id: int, code: str | None = None, now: datetime
) -> Family:
    """A family that `staff_id` looks after. Without `code` the next free F-number. Raises EnrollError."""
    code = (code or "").strip() or next_code(session, program.id)
    fault = code_fault(code)
    if fault is not None:
        raise EnrollError(fault)
    taken = select(Family.id).where(Family.program_id == program.id, Family.code == code)
    if session.scalar(taken) is not None:
        raise EnrollError(f"There is a family {code} already. Choose another code.")
    family = Family(program_id=program.id, code=code, created_at=now)
    session.add(family)
    session.flush()
    session.add(FamilyStaff(family_id=family.id, staff_id=staff_id))
    record.append(session, at=now, actor=actor(staff_id), action="family.created", family_id=family.id)
    return family


def add_parent(
    session: Session,
    *,
    family: Family,
    name: str,
    phone: str,
    language: str,
    profile: Mapping[str, Any],
    consent: ConsentGiven,
    now: datetime,
) -> Parent:
    """Enroll a parent who has agreed.

    1. checks everything: EnrollError, PhoneError, ProfileError name what is wrong
    2. stores the parent and the consent
    3. starts ONBOARD, whose first text is the welcome; a parent who joined by text is only `invited` until the
       confirming digit, and is welcomed by the answer to it
    """
    number, shown = _checked(session, family, name=name, phone=phone, language=language, profile=profile)
    by_text = consent.medium == "text"
    parent = Parent(
        program_id=family.program_id,
        family_id=family.id,
        name=shown,
        phone=number,
        phone_index=blind_index(number),
        language=language,
        profile=dict(profile),
        status="invited" if by_text else "active",
        next_at=now,
        created_at=now,
    )
    session.add(parent)
    session.flush()
    _record_consent(session, parent, consent, now=now)
    record.append(
        session,
        at=now,
        actor=actor(consent.staff_id),
        action="parent.enrolled",
        family_id=family.id,
        parent_id=parent.id,
        details={"medium": consent.medium, "wording": consent.wording_version, "language": language},
    )
    if not by_text and programs.live_version(session, parent.program_id, WELCOME) is not None:
        start_sequence(session, parent, WELCOME, now=now, staff_id=consent.staff_id)
    return parent


def start_sequence(
    session: Session,
    parent: Parent,
    key: str,
    *,
    now: datetime,
    at_step: str | None = None,
    only: bool = False,
    spacing_days: int | None = None,
    in_line_since: datetime | None = None,
    staff_id: int | None = None,
) -> Enrollment:
    """Put a parent into the live version of a sequence: whole, from a step on, or for `only` that step.

    With `spacing_days` its steps come that far apart; `in_line_since` is the place of the one that led here.

    Being in it already changes nothing. Raises EnrollError, also when safety, an order or a missing sign-off stands
    against it.
    """
    parent = snapshots.locked(session, parent.id)
    running = _running(session, parent, key)
    if running is not None:
        return running
    version = _signed_version(session, parent.program_id, key)
    thread, policy = snapshots.thread_of(session, parent), _policy(session, parent)
    sequence, minute = snapshots.sequence_of(session, version.id), localtime.minute(now)
    why_not = None if only else entry.refusal(sequence, thread, policy, minute)
    if why_not is not None:
        raise EnrollError(why_not.words)
    row = _stored(session, Enrollment(parent_id=parent.id, sequence_key=key, version_id=version.id, started_at=now))
    thread = lifecycle.enroll(
        thread,
        sequence,
        enrollment_id=str(row.id),
        now=minute,
        policy=policy,
        at_step=at_step,
        only=only,
        spacing_days=spacing_days,
        in_line_since=in_line_since,
    )
    snapshots.save_or_raise(session, parent, thread, now=now)
    if not only:
        _ask_for_date(session, parent, entry.missing_date(sequence, thread), now=now)
    details = {"version": version.number, "at_step": at_step}
    _record(session, parent, "sequence.started", key, details, staff_id=staff_id, now=now)
    return row


def _record(
    session: Session,
    parent: Parent,
    action: str,
    key: str,
    details: Mapping[str, Any],
    *,
    staff_id: int | None,
    now: datetime,
) -> None:
    record.append(
        session,
        at=now,
        actor=actor(staff_id),
        action=action,
        family_id=parent.family_id,
        parent_id=parent.id,
        subject=f"sequence:{key}",
        details=details,
    )


def _signed_version(session: Session, program_id: int, key: str) -> SequenceVersion:
    """The live version of a sequence whose texts are signed off as far as they must be. Raises EnrollError."""
    version = programs.live_version(session, program_id, key)
    if version is None:
        raise EnrollError(f"This program has no published sequence {key}.")
    waiting = signing.waiting(session, program_id, texts.of_sequence(key, version.yaml))
    if waiting:
        raise EnrollError(f"{key} cannot begin before its texts are signed off: {signing.in_words(waiting)}.")
    return version


def refuse_unsigned_crisis(session: Session, program_id: int) -> None:
    """Replies to danger are never held back, so a clinician has to have read them before anybody can need one.

    Asked at every door of enrollment in production. A trial has no real family; its pages only say what is missing.
    Raises EnrollError.
    """
    program = session.get_one(Program, program_id)
    waiting = signing.waiting(session, program_id, texts.of_crisis(program.country))
    if waiting:
        raise EnrollError(
            f"Nobody can be enrolled before the replies to danger are signed off: {signing.in_words(waiting)}. "
            "An admin finds them under Sign-off."
        )


def _stored(session: Session, row: Enrollment) -> Enrollment:
    session.add(row)
    session.flush()
    return row


def _policy(session: Session, parent: Parent) -> Policy:
    return snapshots.policy_of(session.get_one(Program, parent.program_id))


def _ask_for_date(session: Session, parent: Parent, words: str | None, *, now: datetime) -> None:
    """One task for a date without which a sequence can text nothing; none when nothing is missing."""
    if words is None:
        return
    tasks.ask_about(session, parent, kind="date", words=words, now=now)


def stop_sequence(
    session: Session, parent: Parent, key: str, *, now: datetime, reason: str, staff_id: int | None = None
) -> bool:
    """Take a parent out of a sequence, and back what it had queued. False when they are not in it."""
    parent = snapshots.locked(session, parent.id)
    running = _running(session, parent, key)
    if running is None:
        return False
    thread = snapshots.thread_of(session, parent)
    enrollment = thread.in_sequence(key)
    left = leaving.left_over(thread, enrollment, _policy(session, parent), now, reason) if enrollment else ()
    thread = lifecycle.leave(thread, key)
    end_enrollment(session, running.id, status="stopped", reason=reason, now=now, left=left)
    withdraw_queued(session, parent.id, reason="the sequence was stopped", now=now, enrollment_id=running.id)
    snapshots.save_or_raise(session, parent, thread, now=now)
    _record(session, parent, "sequence.stopped", key, {"reason": reason}, staff_id=staff_id, now=now)
    return True


def end_enrollment(
    session: Session, enrollment_id: int, *, status: str, reason: str, now: datetime, left: Iterable[Drop] = ()
) -> None:
    """Close an enrollment's row as `done` or `stopped`; the steps that were still to come get their outcome."""
    version_id = session.get_one(Enrollment, enrollment_id).version_id
    session.add_all(
        StepOutcome(
            enrollment_id=enrollment_id,
            version_id=version_id,
            step_id=drop.step,
            cycle=drop.cycle,
            outcome=drop.outcome,
            code=drop.reason.code,
            reason=drop.reason.words,
            inputs=dict(drop.reason.inputs),
            at=now,
        )
        for drop in left
    )
    session.execute(
        update(Enrollment)
        .where(Enrollment.id == enrollment_id, Enrollment.status == "active")
        .values(status=status, ended_at=now, end_reason=reason[:200])
        .execution_options(synchronize_session="fetch")
    )


def parent_by_phone(session: Session, program_id: int, phone: str) -> Parent | None:
    """Who has this number (E.164) in a program."""
    return session.scalar(
        select(Parent).where(Parent.program_id == program_id, Parent.phone_index == blind_index(phone))
    )


def _running(session: Session, parent: Parent, key: str) -> Enrollment | None:
    return session.scalar(
        select(Enrollment).where(
            Enrollment.parent_id == parent.id, Enrollment.sequence_key == key, Enrollment.status == "active"
        )
    )


def next_code(session: Session, program_id: int) -> str:
    """The first F-number after all that are taken."""
    number = cast(func.substr(Family.code, 3), Integer)
    taken = select(func.max(number)).where(Family.program_id == program_id, Family.code.like("F-%"))
    return f"F-{(session.scalar(taken) or 1000) + 1}"


def _checked(
    session: Session, family: Family, *, name: str, phone: str, language: str, profile: Mapping[str, Any]
) -> tuple[str, str]:
    """The number in E.164 and the tidied name, once all is well."""
    if not name.strip():
        raise EnrollError("The parent's name is missing.")
    if language not in LANGUAGES:
        raise EnrollError(f"The language should be one of: {', '.join(LANGUAGES)}.")
    program = session.get_one(Program, family.program_id)
    number = to_e164(phone, country=program.country)
    if parent_by_phone(session, family.program_id, number) is not None:
        raise EnrollError("This phone number is enrolled already. One phone can belong to one parent only.")
    check_profile(profile)
    return number, name.strip()


def check_profile(data: Mapping[str, Any]) -> None:
    """Raises ProfileError with every fault."""
    profile.parse(data, where="profile")


def _record_consent(session: Session, parent: Parent, given: ConsentGiven, *, now: datetime) -> None:
    consent.grant(session, parent, given, now=now)


class Offered(Mapping[str, values.Sequence]):
    """The sequences that a program's parents may be put into now: published, and signed off as far as they must be.

    A sequence is read when somebody asks for it.
    """

    def __init__(self, session: Session, program_id: int) -> None:
        self._session, self._program_id = session, program_id
        self._versions: dict[str, SequenceVersion | None] = {}

    def version(self, key: str) -> SequenceVersion:
        """The version that a new enrollment gets. Raises KeyError."""
        if key not in self._versions:
            try:
                self._versions[key] = _signed_version(self._session, self._program_id, key)
            except EnrollError:
                self._versions[key] = None
        version = self._versions[key]
        if version is None:
            raise KeyError(key)
        return version

    def __getitem__(self, key: str) -> values.Sequence:
        return snapshots.sequence_of(self._session, self.version(key).id)

    def __iter__(self) -> Iterator[str]:
        keys = select(SequenceRow.key).where(SequenceRow.program_id == self._program_id).order_by(SequenceRow.key)
        return (key for key in self._session.scalars(keys).all() if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
