"""What a view needs of its surroundings: the wiring, a transaction, the clock, who is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import current_app
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.models.program import Program, Staff
from nudges.wiring import Wiring

WIRING = "nudges"


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn:
    """The person behind a session, as Flask-Login and the templates see them.

    The session's id holds `epoch`: raising staff.session_epoch ends every session of that person.
    """

    id: int
    program_id: int
    name: str
    role: str
    epoch: int
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    def get_id(self) -> str:
        return f"{self.id}.{self.epoch}"


def signed_in_as(row: Staff) -> SignedIn:
    return SignedIn(id=row.id, program_id=row.program_id, name=row.name, role=row.role, epoch=row.session_epoch)


def wiring() -> Wiring:
    return cast(Wiring, current_app.extensions[WIRING])


@contextmanager
def transaction() -> Iterator[Session]:
    """One transaction of the view: committed at the end, rolled back by any error (an abort too)."""
    with wiring().sessions() as session, session.begin():
        yield session


def now() -> datetime:
    """The present instant. Views read it once and pass it down."""
    return wiring().clock.now()


def staff() -> SignedIn:
    """Who is signed in. Only for views behind a guard."""
    return cast(SignedIn, current_user)


def program_of_staff(session: Session) -> Program:
    return session.get_one(Program, staff().program_id)


def only_program(session: Session) -> Program:
    """The installation's program, for pages without a sign-in. Raises NoResultFound before set-up."""
    return session.scalars(select(Program).order_by(Program.id).limit(1)).one()
