"""The simulated phones: type as a parent, watch texts arrive, move the clock. Only where no real text can leave."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, cast

from flask import Blueprint, abort, current_app, make_response, request, url_for
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from nudges import languages
from nudges.channels.phone import phone_id
from nudges.crisis.values import Screening
from nudges.db import blind_index
from nudges.inbound import danger
from nudges.inbound.handle import deps_for, receive
from nudges.inbound.texts import Deps, IncomingText
from nudges.models.family import Family, Parent
from nudges.models.messages import Outbox, SimulatedText
from nudges.models.program import Lane, Program, Staff
from nudges.web.context import now, only_program, transaction, wiring
from nudges.web.forms import Form
from nudges.web.guards import is_fragment, to_sign_in
from nudges.web.pages import back_to, page

phone = Blueprint("phone", __name__)

BEAT: Final = "nudges.beat"  # where the factory puts "run every duty once, now"
UNKNOWN_NUMBER: Final = "+13125550199"  # set aside for invented people, like every number here
PHONES: Final = 12
TEXTS: Final = 60
LONGEST: Final = 1600  # what a carrier lets through
MOVES: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
NEXT_WITHIN: Final = timedelta(days=60)
MOST_STOPS: Final = 200
MOST_BEATS: Final = 12
LANE_WAITS: Final = timedelta(seconds=3)  # enough for the next text of a lane at one segment a second


@dataclass(frozen=True, kw_only=True, slots=True)
class Phone:
    """One phone on the page. `slot` is its place in URLs: no number, no name."""

    slot: str
    title: str
    subtitle: str
    number: str
    language: str
    zone: str
    texts: Sequence[SimulatedText] = ()


@phone.before_request
def only_simulated() -> Response | None:
    """404 with a real channel; a sign-in as admin unless the program is the demo, whose people are invented."""
    if not wiring().settings.provider.is_simulated:
        abort(404)
    with transaction() as db:
        is_demo = db.scalar(select(Program.is_demo).order_by(Program.id).limit(1))
    if is_demo:
        return None
    if not current_user.is_authenticated:
        return to_sign_in()
    if not current_user.is_admin:
        abort(403)
    return None


@phone.get("/phone")
def show() -> Response:
    return page("phone/show.html", **_live())


@phone.get("/phone/screens")
def screens() -> Response:
    """The screens and the clock; nothing at all when nothing changed since the digest that the page has."""
    live = _live()
    if request.args.get("seen") == live["digest"]:
        return make_response("", 204)
    return page("phone/_live.html", **live)


def _live() -> dict[str, Any]:
    at = now()
    family_id = request.args.get("family", type=int)
    with transaction() as db:
        program = only_program(db)
        phones = _phones(db, program, family_id)
    seen = "|".join(f"{text.id}{text.status}" for each in phones for text in each.texts)
    digest = sha256(f"{at:%Y%m%d%H%M}{seen}".encode()).hexdigest()[:16]
    return {
        "phones": phones,
        "at": at,
        "zone": program.timezone,
        "digest": digest,
        "family_id": family_id,
        "longest": LONGEST,
        "can_move": program.is_demo,
    }


def _phones(db: Session, program: Program, family_id: int | None) -> list[Phone]:
    """The newest parents, whoever is on call, and a stranger."""
    parents = select(Parent, Family.code).join(Family, Family.id == Parent.family_id)
    parents = parents.where(Parent.program_id == program.id)
    if family_id is not None:
        parents = parents.where(Parent.family_id == family_id)
    found = [
        _phone_of_parent(db, parent, code)
        for parent, code in db.execute(parents.order_by(Parent.id.desc()).limit(PHONES))
    ]
    on_call = db.scalars(
        select(Staff)
        .where(Staff.program_id == program.id, Staff.is_active, Staff.on_call_phone.is_not(None))
        .order_by(Staff.on_call_rank, Staff.id)
        .limit(2)
    )
    found += [
        _phone(
            db,
            slot=f"staff-{person.id}",
            title=person.name,
            subtitle="On call",
            number=str(person.on_call_phone),
            zone=program.timezone,
        )
        for person in on_call
    ]
    stranger = _phone(
        db,
        slot="unknown",
        title="Somebody new",
        subtitle="A number we do not know",
        number=UNKNOWN_NUMBER,
        zone=program.timezone,
    )
    return [*found, stranger]


def _phone_of_parent(db: Session, parent: Parent, code: str) -> Phone:
    return _phone(
        db,
        slot=f"parent-{parent.id}",
        title=parent.name,
        subtitle=f"{code}, {languages.name_of(parent.language)}",
        number=parent.phone,
        language=languages.texts_for(parent.language),
        zone=str(parent.profile["timezone"]),
    )


def _phone(db: Session, *, slot: str, title: str, subtitle: str, number: str, zone: str, language: str = "en") -> Phone:
    newest = db.scalars(
        select(SimulatedText)
        .where(SimulatedText.phone_index == blind_index(number))
        .order_by(SimulatedText.id.desc())
        .limit(TEXTS)
    ).all()
    return Phone(
        slot=slot,
        title=title,
        subtitle=subtitle,
        number=number,
        language=language,
        zone=zone,
        texts=tuple(reversed(newest)),
    )


@phone.post("/phone/<slot>/texts")
def type_text(slot: str) -> Response:
    """A text from this phone, through the same door as a real one; the answer comes back in the same breath."""
    body = Form(values=request.form).values.get("body", "")[:LONGEST]
    at = now()
    if body.strip():
        deps = deps_for(wiring().library, provider=wiring().settings.provider, screen=wiring().screen)
        alone = danger.read_alone(deps.screen, body)  # nobody waits for it in the transaction
        with transaction() as db:
            _receive(db, slot, body, at, deps=deps, alone=alone)
        beat()
    return screens() if is_fragment() else back_to(url_for("phone.show"))


def _receive(db: Session, slot: str, body: str, at: datetime, *, deps: Deps, alone: Screening) -> None:
    program = only_program(db)
    number = _number_of(db, program, slot)
    our_number = db.scalars(select(Lane.sender).where(Lane.program_id == program.id).order_by(Lane.id).limit(1))
    provider_id = f"PI{uuid.uuid4().hex}"
    incoming = IncomingText(provider_id=provider_id, from_number=number, to_number=our_number.one(), body=body)
    db.add(_simulated(number, body, provider_id, is_from_phone=True, status="delivered", at=at))
    answer = receive(db, incoming, now=at, deps=deps, alone=alone)
    for text, attempt in zip(answer.texts, answer.attempts, strict=True):
        sent = _simulated(
            number,
            text,
            phone_id(attempt) if attempt else f"PR{uuid.uuid4().hex}",
            is_from_phone=False,
            status="accepted" if attempt else "delivered",
            at=at,
        )
        sent.attempt_id = attempt
        db.add(sent)


def _simulated(
    number: str, body: str, provider_id: str, *, is_from_phone: bool, status: str, at: datetime
) -> SimulatedText:
    return SimulatedText(
        provider_id=provider_id,
        phone_index=blind_index(number),
        body=body,
        is_from_phone=is_from_phone,
        status=status,
        at=at,
    )


def _number_of(db: Session, program: Program, slot: str) -> str:
    """The number behind a slot of this program, or 404."""
    if slot == "unknown":
        return UNKNOWN_NUMBER
    kind, _, row_id = slot.partition("-")
    if kind not in ("parent", "staff") or not row_id.isdigit():
        abort(404)
    row = db.get(Parent, int(row_id)) if kind == "parent" else db.get(Staff, int(row_id))
    number = row.phone if isinstance(row, Parent) else row.on_call_phone if row is not None else None
    if row is None or row.program_id != program.id or number is None:
        abort(404)
    return number


@phone.post("/phone/clock")
def move_clock() -> Response:
    """Ahead by an hour, a day, or to the next text. Every moment in between is lived through, none is skipped."""
    with transaction() as db:
        if not only_program(db).is_demo:
            abort(403)
    by = request.form.get("by", "")
    if by == "next":
        _to_next_text(request.args.get("family", type=int))
    elif by in MOVES:
        _live_until(now() + MOVES[by])
    else:
        abort(400)
    return screens() if is_fragment() else back_to(url_for("phone.show"))


def _to_next_text(family_id: int | None) -> None:
    """Until a text arrives on a phone that the page shows."""
    before, until = _texts_shown(family_id), now() + NEXT_WITHIN
    beat()
    if _texts_shown(family_id) > before:
        return
    for _ in range(MOST_STOPS):
        stop = _next_stop(until)
        if stop is None:
            return
        _set_clock(stop)
        beat()
        if _texts_shown(family_id) > before:
            return


def _live_until(target: datetime) -> None:
    """Stop at every moment that somebody waits for, as the scheduler would have, then at the target."""
    beat()
    for _ in range(MOST_STOPS):
        stop = _next_stop(target)
        if stop is None:
            break
        _set_clock(stop)
        beat()
    _set_clock(target)
    beat()


def _next_stop(until: datetime) -> datetime | None:
    """The next instant up to `until` at which a parent is looked at or a queued text may go."""
    at = now()
    with transaction() as db:
        looks = select(func.min(Parent.next_at)).where(
            Parent.next_at > at, Parent.next_at <= until, Parent.status.in_(("active", "paused"))
        )
        sends = select(func.min(Outbox.not_before)).where(
            Outbox.not_before > at, Outbox.not_before <= until, Outbox.status == "queued"
        )
        found = [moment for moment in (db.scalar(looks), db.scalar(sends)) if moment is not None]
    return min(found, default=None)


def _set_clock(to: datetime) -> None:
    """Only ever forward: time that was lived is not lived again."""
    ahead = (to - now()).total_seconds()
    if ahead <= 0:
        return
    with transaction() as db:
        only_program(db).clock_offset_seconds += ahead


def _texts_shown(family_id: int | None) -> int:
    with transaction() as db:
        shown = select(func.count()).select_from(SimulatedText).where(SimulatedText.is_from_phone.is_(False))
        if family_id is not None:
            theirs = select(Parent.phone_index).where(Parent.family_id == family_id)
            shown = shown.where(SimulatedText.phone_index.in_(theirs))
        return db.scalar(shown) or 0


def beat() -> None:
    """Run every duty now, as the scheduler would within seconds, until what is due has left.

    A lane hands over so many texts a second. Real seconds would pass meanwhile, so the demo's clock passes them.
    """
    run_duties = cast(Callable[[], None], current_app.extensions[BEAT])
    run_duties()
    for _ in range(MOST_BEATS):
        if not _is_text_waiting():
            return
        _set_clock(now() + LANE_WAITS)
        run_duties()


def _is_text_waiting() -> bool:
    at = now()
    with transaction() as db:
        if not only_program(db).is_demo:
            return False
        due = select(Outbox.id).where(Outbox.status == "queued", Outbox.not_before <= at, Outbox.expires_at > at)
        return db.scalar(due.limit(1)) is not None
