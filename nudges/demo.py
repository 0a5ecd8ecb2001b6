"""Invented families for trying Nudges out. Nobody here exists; every number is set aside for fiction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nudges.channels.phone import PhoneAccount, PhoneChannel
from nudges.crisis.values import Screening
from nudges.families import care, enrolling, programs, staff
from nudges.families.consent import WORDING_VERSION, ConsentGiven
from nudges.inbound import danger, handle
from nudges.inbound.texts import Deps, IncomingText
from nudges.library import places, signing
from nudges.library.places import Details
from nudges.library.texts import ROLES
from nudges.models.family import Family, Parent
from nudges.models.messages import Outbox, SimulatedText
from nudges.models.program import Lane, Program, Staff
from nudges.outbound import planner, sender, simulated_carrier
from nudges.wiring import Wiring
from schedules import localtime

SENDER: Final = PhoneAccount.sender
NAME: Final = "Riverbend"
ZONE: Final = "America/Chicago"
PASTS: Final = timedelta(days=9)  # how long ago the family that is mid-way began
_BEAT: Final = timedelta(minutes=1)  # of the replayed past


class NotHere(RuntimeError):
    """Demo families do not belong beside real ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignIn:
    """An account of the demo, with its password: printed, because it protects nobody."""

    name: str
    email: str
    role: str
    password: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Invented:
    """One invented parent. `dates` are days from today at a local hour."""

    family: str
    name: str
    phone: str
    counselor: str
    language: str = "en"
    profile: Mapping[str, Any] = field(default_factory=dict)
    sequences: tuple[str, ...] = ()
    dates: tuple[tuple[str, int, int, int], ...] = ()  # kind, nth, days from today, hour
    began: timedelta = timedelta(0)
    answers: Mapping[str, str] = field(default_factory=dict)  # step → what the parent answers an hour later


SIGN_INS: Final = (
    SignIn(name="Ana Okafor", email="ana@riverbend.example", role="counselor", password="ana-tries-nudges"),
    SignIn(name="Ben Lindqvist", email="ben@riverbend.example", role="counselor", password="ben-tries-nudges"),
    SignIn(name="Dee Marsh", email="dee@riverbend.example", role="admin", password="dee-tries-nudges"),
)
ON_CALL: Final = (("ana@riverbend.example", "312 555 0190", 1), ("ben@riverbend.example", "312 555 0191", 2))

REVIEWER: Final = "dee@riverbend.example"  # may sign as everything, so that signing can be tried
PLACES: Final = (
    Details(name="Kite Street Teens", kind="peer_group", phone="312-555-0161", ages=("13-17",), area="North Side"),
    Details(name="Kite Street Circle", kind="peer_group", phone="312-555-0162", ages=("5-8", "9-12"), in_spanish=True),
    Details(name="Lantern Club", kind="peer_group", phone="312-555-0163", ages=("13-17",), in_spanish=True),
    Details(name="Riverbend Health Ctr", kind="health_center", phone="312-555-0164", in_spanish=True, area="Riverbend"),
    Details(name="Parents at the Table", kind="parent_group", phone="312-555-0165", in_spanish=True),
)
NOT_CHECKED: Final = Details(name="Old Mill Clinic", kind="health_center", phone="312-555-0166")
_SAFE: Final = {"protective_order": "false", "abuse_concern": "false", "child_fear": "false"}
_OSTROW: Final = {
    # Both parents of one child, in two homes.
    "timezone": "America/New_York",
    "age_band": "9-12",
    "stage": "break",
    "court_ordered": "no",
    "contact_plan": "unsupervised",
    "custody": {"pattern": "alternate_weekends", "anchor_date": "2025-01-03"},
    **_SAFE,
}

PARENTS: Final = (
    Invented(
        family="F-1001",
        name="Dana Whitfield",
        phone="312 555 0141",
        counselor="ana@riverbend.example",
        profile={
            "timezone": ZONE,
            "age_band": "9-12",
            "role": "resident",
            "stage": "not_raised",
            "phone_seen_by": "private",
        },
        sequences=("TALK",),
    ),
    Invented(
        family="F-1002",
        name="Marisol Vega",
        phone="303 555 0142",
        counselor="ana@riverbend.example",
        language="es",
        profile={
            "timezone": "America/Denver",
            "age_band": "13-17",
            "role": "resident",
            "stage": "trial",
            "phone_seen_by": "private",
        },
        sequences=("DRIVE",),
        dates=(("session", 1, 3, 16), ("session", 2, 10, 16)),
    ),
    Invented(
        family="F-1003",
        name="Karen Ostrow",
        phone="212 555 0143",
        counselor="ben@riverbend.example",
        profile={**_OSTROW, "role": "resident", "phone_seen_by": "private"},
        sequences=("BREAK",),
        dates=(("break_start", 1, -1, 9),),
    ),
    Invented(
        family="F-1003",
        name="Daniel Ostrow",
        phone="646 555 0144",
        counselor="ben@riverbend.example",
        profile={**_OSTROW, "role": "other_parent", "phone_seen_by": "private"},
        sequences=("BREAK",),
        dates=(("break_start", 1, -1, 9),),
    ),
    Invented(
        family="F-1004",
        name="Tomas Ibarra",
        phone="213 555 0145",
        counselor="ana@riverbend.example",
        profile={
            "timezone": "America/Los_Angeles",
            "age_band": "13-17",
            "role": "resident",
            "stage": "raised_no",
            "discreet": "true",
        },
        sequences=("TALK",),
        began=PASTS,
        answers={"ON-2": "2", "ON-3": "1"},
    ),
    Invented(
        family="F-1005",
        name="Joan Abernathy",
        phone="312 555 0146",
        counselor="ana@riverbend.example",
        profile={
            "timezone": ZONE,
            "age_band": "5-8",
            "role": "foster_kin",
            "stage": "trial",
            "phone_seen_by": "private",
        },
        sequences=("DRIVE",),
        dates=(("session", 1, 1, 15), ("session", 2, 8, 15)),
    ),
    Invented(
        family="F-1006",
        name="Priya Raman",
        phone="480 555 0147",
        counselor="ben@riverbend.example",
        profile={
            "timezone": "America/Phoenix",
            "age_band": "9-12",
            "role": "shared",
            "stage": "not_raised",
            "custody": {"pattern": "alternate_weeks", "anchor_date": "2025-01-06"},
            "busy_hours": {"mon-fri": ["09:00-17:30"]},
        },
        sequences=("TALK",),
    ),
)


def seed(wiring: Wiring) -> tuple[SignIn, ...]:
    """Make the demo program unless there is one; returns the sign-ins. Raises NotHere beside real families.

    1. the program, its staff and an on-call order
    2. the family that is mid-way: nine days of the real planner and sender on a clock of their own
    3. the other families, enrolled now; the running service texts them from here on
    """
    now = wiring.clock.now()
    with wiring.sessions.begin() as session:
        if _exists(session, wiring):
            return SIGN_INS
        program = programs.create_program(
            session,
            name=NAME,
            sender=SENDER,
            shipped=wiring.library.sources,
            now=now - PASTS,
            timezone=ZONE,
            is_demo=True,
        )
        _accounts(session, program, now=now - PASTS)
        for details in PLACES:
            places.add(session, program, details, staff_id=None, now=now - PASTS, by="system:demo")
        expired = now - places.GOOD_FOR - PASTS
        places.add(session, program, NOT_CHECKED, staff_id=None, now=expired, by="system:demo")
    for parent in sorted(PARENTS, key=lambda invented: -invented.began):
        if parent.began:
            _live(wiring, parent, since=now - parent.began, until=now)
        else:
            with wiring.sessions.begin() as session:
                _enroll(session, parent, now=now)
    return SIGN_INS


def _exists(session: Session, wiring: Wiring) -> bool:
    if wiring.settings.production or not wiring.settings.provider.is_simulated:
        raise NotHere("The demo needs NUDGES_CHANNEL=phone and no NUDGES_PRODUCTION: its families are invented.")
    known = session.scalars(select(Program)).all()
    if any(not program.is_demo for program in known):
        raise NotHere("This database holds a real program. Point NUDGES_DATABASE_URL at an empty one.")
    return bool(known)


def _accounts(session: Session, program: Program, *, now: datetime) -> None:
    for sign_in in SIGN_INS:
        staff.create_staff(
            session,
            program=program,
            email=sign_in.email,
            name=sign_in.name,
            role=sign_in.role,
            password=sign_in.password,
            now=now,
            by="system:demo",
        )
    for email, phone, rank in ON_CALL:
        staff.set_on_call(session, _account(session, email), phone=phone, rank=rank, by="system:demo", now=now)
    signing.set_roles(session, _account(session, REVIEWER), ROLES, by="system:demo", now=now)


def _account(session: Session, email: str) -> Staff:
    return session.scalars(select(Staff).where(Staff.email == email)).one()


def _enroll(session: Session, invented: Invented, *, now: datetime) -> Parent:
    counselor = _account(session, invented.counselor)
    parent = enrolling.add_parent(
        session,
        family=_family(session, invented.family, counselor, now=now),
        name=invented.name,
        phone=invented.phone,
        language=invented.language,
        profile=invented.profile,
        consent=ConsentGiven(
            medium="in_person",
            wording_version=WORDING_VERSION,
            language=invented.language,
            staff_id=counselor.id,
        ),
        now=now,
    )
    for kind, nth, days, hour in invented.dates:
        at = _local(now, days, hour, str(invented.profile["timezone"]))
        care.set_key_date(session, parent, kind, nth, at, now=now, staff_id=counselor.id)
    for key in invented.sequences:
        enrolling.start_sequence(session, parent, key, now=now, staff_id=counselor.id)
    return parent


def _family(session: Session, code: str, counselor: Staff, *, now: datetime) -> Family:
    known = session.scalar(select(Family).where(Family.program_id == counselor.program_id, Family.code == code))
    if known is not None:
        return known
    return enrolling.create_family(
        session,
        program=session.get_one(Program, counselor.program_id),
        staff_id=counselor.id,
        code=code,
        now=now,
    )


def _local(now: datetime, days: int, hour: int, zone: str) -> datetime:
    day = localtime.local_date(now, zone) + timedelta(days=days)
    return localtime.at_minute(day, hour * 60, zone)


# ---------------------------------------------------------------- a past that really happened


class _PastClock:
    """A clock that the replay moves."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def _live(wiring: Wiring, invented: Invented, *, since: datetime, until: datetime) -> None:
    """Let the real service text one family from `since` to `until`, and the parent answer as scripted."""
    clock = _PastClock(since)
    then = replace(wiring, clock=clock, channel=_phones(wiring, clock))
    with then.sessions.begin() as session:
        parent_id = _enroll(session, invented, now=since).id
        lane_id = session.scalars(select(Lane.id)).one()
    answered: set[str] = set()
    deps = Deps(library=wiring.library, screen=wiring.screen)
    # Before any transaction, as every text is screened.
    alone = {step: danger.read_alone(deps.screen, body) for step, body in invented.answers.items()}
    while clock.at < until:
        planner.plan_due(then.sessions, now=clock.at, library=then.library)
        sender.drain(then.sessions, then.channel, lane_id, clock=clock, library=then.library, owner="demo")
        with then.sessions.begin() as session:
            simulated_carrier.report(session, now=clock.at)
            _answer(session, deps, alone, parent_id, invented, answered, now=clock.at)
            clock.at = min(_next_beat(session, parent_id, clock.at), until)
    with then.sessions.begin() as session:
        while simulated_carrier.report(session, now=until):
            pass  # the last text is on its way until nothing moves any more


def _next_beat(session: Session, parent_id: int, at: datetime) -> datetime:
    """The next instant at which something may happen, at least a beat from now."""
    planned = session.scalar(select(Parent.next_at).where(Parent.id == parent_id))
    queued = session.scalar(
        select(func.min(Outbox.not_before)).where(Outbox.parent_id == parent_id, Outbox.status == "queued")
    )
    stops = [stop for stop in (planned, queued) if stop is not None]
    return max(min(stops, default=at + PASTS), at + _BEAT)


def _phones(wiring: Wiring, clock: _PastClock) -> PhoneChannel:
    return PhoneChannel(
        deliver=simulated_carrier.deliver_into(wiring.sessions, clock),
        list_since=simulated_carrier.list_from(wiring.sessions),
    )


def _answer(
    session: Session,
    deps: Deps,
    alone: Mapping[str, Screening],
    parent_id: int,
    invented: Invented,
    answered: set[str],
    *,
    now: datetime,
) -> None:
    """Text back what the script says for the question that is open, once each."""
    parent = session.get_one(Parent, parent_id, populate_existing=True)
    question = parent.state.get("question") or {}
    step = str(question.get("step"))
    if step not in invented.answers or step in answered:
        return
    answered.add(step)
    incoming = IncomingText(
        provider_id=f"demo-{parent_id}-{step}",
        from_number=parent.phone,
        to_number=SENDER,
        body=invented.answers[step],
    )
    reply = handle.receive(session, incoming, now=now, deps=deps, alone=alone[step])
    _show(session, parent, incoming, reply.texts, now=now)


def _show(session: Session, parent: Parent, incoming: IncomingText, replies: tuple[str, ...], *, now: datetime) -> None:
    """What the simulated phone keeps of an exchange that happened in one response."""
    lines = [(incoming.provider_id, incoming.body, True)]
    lines += [(f"{incoming.provider_id}-{n}", text, False) for n, text in enumerate(replies, start=1)]
    for provider_id, body, is_from_phone in lines:
        session.add(
            SimulatedText(
                provider_id=provider_id,
                phone_index=parent.phone_index,
                body=body,
                is_from_phone=is_from_phone,
                status="delivered",
                at=now,
            )
        )
