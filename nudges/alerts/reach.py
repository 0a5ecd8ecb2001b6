"""How each member of staff can be reached: their on-call phone, and addresses of any messenger that Apprise speaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.models.on_call import StaffAddress, StaffDuty
from nudges.models.program import Staff


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """The ways to one person. A phone that texted STOP is none: the carrier would refuse every page to it."""

    person: Staff
    addresses: tuple[StaffAddress, ...]
    phone_stopped_at: datetime | None

    @property
    def phone(self) -> str | None:
        return self.person.on_call_phone if self.phone_stopped_at is None else None

    @property
    def is_open(self) -> bool:
        return self.person.is_active and (self.phone is not None or bool(self.addresses))


def ways_of(session: Session, persons: Iterable[Staff]) -> Mapping[int, Ways]:
    """Ways by staff id."""
    by_id = {person.id: person for person in persons}
    addresses: defaultdict[int, list[StaffAddress]] = defaultdict(list)
    for address in session.scalars(
        select(StaffAddress)
        .where(StaffAddress.staff_id.in_(by_id), StaffAddress.removed_at.is_(None))
        .order_by(StaffAddress.id)
    ):
        addresses[address.staff_id or 0].append(address)
    stopped = dict(
        session.execute(
            select(StaffDuty.staff_id, StaffDuty.phone_stopped_at).where(StaffDuty.staff_id.in_(by_id))
        ).all()
    )
    return {
        staff_id: Ways(person=person, addresses=tuple(addresses[staff_id]), phone_stopped_at=stopped.get(staff_id))
        for staff_id, person in by_id.items()
    }


def everybody(session: Session, program_id: int) -> Sequence[Staff]:
    """All who can be reached at all: the standing order first, then the rest."""
    staff = session.scalars(
        select(Staff)
        .where(Staff.program_id == program_id, Staff.is_active)
        .order_by(Staff.on_call_rank.is_(None), Staff.on_call_rank, Staff.id)
    ).all()
    ways = ways_of(session, staff)
    return [person for person in staff if ways[person.id].is_open]


def addresses_of_program(session: Session, program_id: int) -> Sequence[StaffAddress]:
    """The team's own channels: addresses that belong to nobody in particular."""
    return session.scalars(
        select(StaffAddress)
        .where(
            StaffAddress.program_id == program_id,
            StaffAddress.staff_id.is_(None),
            StaffAddress.removed_at.is_(None),
        )
        .order_by(StaffAddress.id)
    ).all()
