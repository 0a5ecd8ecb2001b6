"""Staff: accounts, passwords, the on-call order, and who looks after which family."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nudges.db import blind_index
from nudges.families.phones import to_e164
from nudges.ledger import record
from nudges.models.family import Family, FamilyStaff
from nudges.models.on_call import StaffDuty
from nudges.models.program import Program, Staff

ROLES: Final = ("counselor", "admin")
LEAST_PASSWORD: Final = 12  # characters; length protects better than required signs (NIST SP 800-63B)
MOST_PASSWORD: Final = 200  # argon2 reads it all: a cap keeps a sign-in cheap

_hasher = PasswordHasher()
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class StaffError(ValueError):
    """An account cannot be made or changed so; the message says what to mend."""


def create_staff(
    session: Session,
    *,
    program: Program,
    email: str,
    name: str,
    role: str,
    password: str,
    now: datetime,
    by: str = "system:cli",
) -> Staff:
    """Make an account. Raises StaffError for a bad or taken e-mail, an unknown role or a short password."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise StaffError("The e-mail should look like ana@clinic.example.")
    if role not in ROLES:
        raise StaffError(f"The role should be one of: {', '.join(ROLES)}.")
    if not name.strip():
        raise StaffError("The name is missing.")
    if session.scalar(select(Staff.id).where(Staff.email == email)) is not None:
        raise StaffError("There is an account with this e-mail already.")
    staff = Staff(
        program_id=program.id,
        email=email,
        name=name.strip(),
        role=role,
        password_hash=_hash_of(password),
        created_at=now,
    )
    session.add(staff)
    session.flush()
    record.append(
        session, at=now, actor=by, action="staff.created", subject=f"staff:{staff.id}", details={"role": role}
    )
    return staff


def verify_password(session: Session, email: str, password: str) -> Staff | None:
    """The active account that this e-mail and password open, else none. Takes as long for an unknown e-mail."""
    staff = session.scalar(select(Staff).where(Staff.email == email.strip().lower()))
    matches = _matches(staff.password_hash if staff is not None else _hash_of_nobody(), password[:MOST_PASSWORD])
    if staff is None or not matches or not staff.is_active:
        return None
    if _hasher.check_needs_rehash(staff.password_hash):
        staff.password_hash = _hasher.hash(password)
    return staff


def change_password(session: Session, staff: Staff, new: str, *, by: str, now: datetime) -> None:
    """Set a new password and end every session of this person. Raises StaffError."""
    staff.password_hash = _hash_of(new)
    staff.session_epoch += 1
    record.append(session, at=now, actor=by, action="staff.password_changed", subject=f"staff:{staff.id}")


def set_on_call(session: Session, staff: Staff, *, phone: str | None, rank: int | None, by: str, now: datetime) -> None:
    """Who is paged, and in which order (1 first). Without phone nobody is paged. Raises PhoneError, StaffError."""
    if rank is not None and (rank < 1 or not phone):
        raise StaffError("The on-call order counts from 1 and needs a phone number.")
    before = staff.on_call_phone
    staff.on_call_phone = to_e164(phone) if phone else None
    if staff.on_call_phone != before and (duty := session.get(StaffDuty, staff.id)) is not None:
        duty.phone_stopped_at = None  # the new phone has not texted STOP
    staff.on_call_phone_index = blind_index(staff.on_call_phone) if staff.on_call_phone else None
    staff.on_call_rank = rank
    details = {"rank": rank}
    record.append(session, at=now, actor=by, action="staff.on_call", subject=f"staff:{staff.id}", details=details)


def on_call(session: Session, program_id: int) -> list[Staff]:
    """Whom to page, first first."""
    return list(
        session.scalars(
            select(Staff)
            .where(Staff.program_id == program_id, Staff.is_active, Staff.on_call_rank.is_not(None))
            .order_by(Staff.on_call_rank, Staff.id)
        )
    )


def set_active(session: Session, staff: Staff, is_active: bool, *, by: str, now: datetime) -> None:
    """Close an account, or open it again. Closing ends every session and takes the person off call."""
    staff.is_active = is_active
    if not is_active:
        staff.session_epoch += 1
        staff.on_call_rank = None
    action = "staff.opened" if is_active else "staff.closed"
    record.append(session, at=now, actor=by, action=action, subject=f"staff:{staff.id}")


def assign(session: Session, family: Family, staff: Staff, *, by: str, now: datetime) -> None:
    """Let a counselor look after a family. Again changes nothing. Raises StaffError across programs."""
    if family.program_id != staff.program_id:
        raise StaffError("This person works in another program.")
    if session.get(FamilyStaff, (family.id, staff.id)) is not None:
        return
    session.add(FamilyStaff(family_id=family.id, staff_id=staff.id))
    session.flush()
    _record_assignment(session, family, staff, "family.assigned", by=by, now=now)


def unassign(session: Session, family: Family, staff: Staff, *, by: str, now: datetime) -> None:
    """End a counselor's access to a family."""
    link = (FamilyStaff.family_id == family.id, FamilyStaff.staff_id == staff.id)
    if session.execute(delete(FamilyStaff).where(*link)).rowcount:  # type: ignore[attr-defined]  # a CursorResult
        _record_assignment(session, family, staff, "family.unassigned", by=by, now=now)


def counselors_of(session: Session, family_id: int) -> list[Staff]:
    """Who looks after a family, longest account first."""
    return list(
        session.scalars(
            select(Staff)
            .join(FamilyStaff, FamilyStaff.staff_id == Staff.id)
            .where(FamilyStaff.family_id == family_id, Staff.is_active)
            .order_by(Staff.id)
        )
    )


def first_names(session: Session, family_ids: Collection[int]) -> dict[int, str]:
    """How texts call the counselor of each family who has the longest account."""
    rows = session.execute(
        select(FamilyStaff.family_id, Staff.name)
        .join(Staff, Staff.id == FamilyStaff.staff_id)
        .where(FamilyStaff.family_id.in_(family_ids), Staff.is_active)
        .order_by(Staff.id.desc())
    )
    return {family_id: name.split()[0] for family_id, name in rows}


def _record_assignment(session: Session, family: Family, staff: Staff, action: str, *, by: str, now: datetime) -> None:
    record.append(session, at=now, actor=by, action=action, family_id=family.id, subject=f"staff:{staff.id}")


def _hash_of(password: str) -> str:
    if len(password) < LEAST_PASSWORD:
        raise StaffError(f"The password should have {LEAST_PASSWORD} characters or more.")
    if len(password) > MOST_PASSWORD:
        raise StaffError(f"The password should have {MOST_PASSWORD} characters or fewer.")
    return _hasher.hash(password)


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


@cache
def _hash_of_nobody() -> str:
    """Something to compare with when the e-mail is unknown, so that the time taken tells nothing."""
    return _hasher.hash("nobody has this account")
