"""Rows for tests: a program with its people, families and parents. All invented; numbers are 555-01xx."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy.orm import Session

from nudges.db import blind_index
from nudges.families import enrolling, programs, staff
from nudges.families.consent import ConsentGiven
from nudges.library import signing
from nudges.library import texts as library_texts
from nudges.models.family import Family, FamilyStaff, Parent
from nudges.models.messages import Outbox
from nudges.models.program import Program, Staff
from nudges.outbox import queue
from schedules.catalog import load_library

SENDER = "+13125550100"
PASSWORD = "calm windows at home"
LIBRARY = load_library()
_numbers = count(101)


class SetClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, **parts: float) -> datetime:
        self.at += timedelta(**parts)
        return self.at

    def sleep(self, seconds: float) -> None:
        self.move(seconds=seconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """Ana looks after the family, Ben does too, Cal works here but not with them, Dee is the admin."""

    program: Program
    family: Family
    ana: Staff
    ben: Staff
    cal: Staff
    dee: Staff


def fresh_phone() -> str:
    """A number of nobody; a hundred in each area code."""
    serial = next(_numbers)
    return f"+1{312 + serial // 100}55501{serial % 100:02d}"


def a_program(session: Session, *, now: datetime, **overrides: object) -> Program:
    values = {"name": "Riverbend", "sender": SENDER, "shipped": LIBRARY.sources, **overrides}
    return programs.create_program(session, now=now, **values)


def a_staff(session: Session, program: Program, email: str, *, now: datetime, role: str = "counselor") -> Staff:
    """An account; made without argon2, which only sign-in tests need."""
    row = Staff(
        program_id=program.id,
        email=email,
        name=f"{email.split('@')[0].title()} Example",
        role=role,
        password_hash="not a hash",
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def people(session: Session, *, now: datetime, with_passwords: bool = False) -> People:
    program = a_program(session, now=now)

    def account(name: str, role: str = "counselor") -> Staff:
        email = f"{name}@clinic.example"
        if with_passwords:
            return staff.create_staff(
                session,
                program=program,
                email=email,
                name=f"{name.title()} Example",
                role=role,
                password=PASSWORD,
                now=now,
            )
        return a_staff(session, program, email, now=now, role=role)

    ana, ben, cal, dee = account("ana"), account("ben"), account("cal"), account("dee", "admin")
    sign_what_must_be(session, program, dee, now=now)
    family = enrolling.create_family(session, program=program, staff_id=ana.id, now=now)
    session.add(FamilyStaff(family_id=family.id, staff_id=ben.id))
    session.flush()
    return People(program=program, family=family, ana=ana, ben=ben, cal=cal, dee=dee)


def sign_what_must_be(session: Session, program: Program, person: Staff, *, now: datetime) -> None:
    """Sign off, as `person`, every text that is not used before it is signed."""
    texts = (*library_texts.gated(library_texts.shipped()), *library_texts.of_crisis(program.country))
    wanted = [(text, role) for text in texts for role in text.needs]
    signing.keep(session, program.id, wanted, staff_id=person.id, note="", now=now)


def a_parent(
    session: Session,
    family: Family,
    *,
    now: datetime,
    phone: str | None = None,
    name: str = "Rosa Invented",
    language: str = "en",
    profile: dict | None = None,
    medium: str = "paper",
    sequences: tuple[str, ...] = (),
) -> Parent:
    """An enrolled parent, as the enrolment form makes one."""
    parent = enrolling.add_parent(
        session,
        family=family,
        name=name,
        phone=phone or fresh_phone(),
        language=language,
        profile={"timezone": "America/Chicago", "age_band": "9-12", **(profile or {})},
        consent=ConsentGiven(medium=medium, wording_version="2025-01", language=language),
        now=now,
    )
    for key in sequences:
        enrolling.start_sequence(session, parent, key, now=now)
    return parent


def a_text(session: Session, parent: Parent, *, now: datetime, category: str = "person", **values: object) -> Outbox:
    """A queued text that no gate may stop."""
    return queue.enqueue(
        session,
        queue.NewText(
            category=category,
            to=parent.phone,
            body=str(values.pop("body", "A quiet evening may be a good moment.")),
            expires_at=values.pop("expires_at", now + timedelta(hours=4)),
            parent_id=parent.id,
            **values,
        ),
        program_id=parent.program_id,
        now=now,
    )


def index_of(phone: str) -> str:
    return blind_index(phone)


def a_claim(session: Session, row: Outbox, *, claimed_by: str, now: datetime) -> str:
    """Take a queued text for one attempt, as a sender does. The attempt's id."""
    claim = queue.Claim(row=row, to=row.to)
    queue.claim(session, [claim], claimed_by=claimed_by, now=now)
    return claim.attempt_id
