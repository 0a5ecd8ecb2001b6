"""How each member of staff can be reached: their on-call phone, and addresses of any messenger that Apprise speaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Roster:
    """The active staff of a program, read once for a page: those of the standing order first, then the rest.

    `ways` by staff id in that order, `leads` the safeguarding leads, `team` the addresses that belong to nobody.
    """

    ways: Mapping[int, Ways]
    leads: tuple[Staff, ...]
    team: tuple[StaffAddress, ...]

    @property
    def standing(self) -> list[Staff]:
        """The standing order, first first."""
        return [way.person for way in self.ways.values() if way.person.on_call_rank is not None]

    @property
    def reachable(self) -> list[Ways]:
        """All who can be reached at all."""
        return [way for way in self.ways.values() if way.is_open]

    def person(self, staff_id: int | None) -> Staff | None:
        """Somebody of the active staff."""
        ways = self.ways.get(staff_id) if staff_id is not None else None
        return ways.person if ways is not None else None


_ACTIVE: Final = (
    select(Staff, StaffDuty.phone_stopped_at, StaffDuty.is_safeguarding_lead)
    .outerjoin(StaffDuty, StaffDuty.staff_id == Staff.id)
    .where(Staff.program_id == bindparam("program_id"), Staff.is_active)
    .order_by(Staff.on_call_rank.is_(None), Staff.on_call_rank, Staff.id)
)
_ADDRESSES: Final = (
    select(StaffAddress)
    .where(StaffAddress.program_id == bindparam("program_id"), StaffAddress.removed_at.is_(None))
    .order_by(StaffAddress.id)
)


def roster(session: Session, program_id: int) -> Roster:
    """Everybody who may be paged, in two queries."""
    rows = session.execute(_ACTIVE, {"program_id": program_id}).all()
    addresses: defaultdict[int | None, list[StaffAddress]] = defaultdict(list)
    for address in session.scalars(_ADDRESSES, {"program_id": program_id}):
        addresses[address.staff_id].append(address)
    return Roster(
        ways={
            person.id: Ways(person=person, addresses=tuple(addresses[person.id]), phone_stopped_at=stopped_at)
            for person, stopped_at, _ in rows
        },
        leads=tuple(sorted((person for person, _, is_lead in rows if is_lead), key=lambda person: person.id)),
        team=tuple(addresses[None]),
    )
