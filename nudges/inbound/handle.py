"""One inbound text from the door to the answer: stored, screened, acted on, answered, in one transaction.

The order is the promise: the same text twice is one text; every text is screened for danger, whoever sends it and
whatever else it says, and stored as it came, with what the screen said, before anything is done about it; only then do
the words count by which people leave, ask for help, join, answer or write to a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session, attributes, make_transient_to_detached

from nudges.alerts import raising
from nudges.channels.provider import Provider
from nudges.crisis import reactions
from nudges.crisis.screen import screen as shipped_screen
from nudges.crisis.values import Level, Screening
from nudges.db import blind_index
from nudges.inbound import answering, danger, inbox, intents, leaving, past, senders, staff_replies
from nudges.inbound.past import Past
from nudges.inbound.senders import Sender
from nudges.inbound.texts import BETWEEN_REPLIES, Answer, Deps, Handled, IncomingText, Received, Screen
from nudges.ledger import record
from nudges.models.messages import Inbound, Outbox
from schedules.catalog import Library

_STORED: Final = insert(Inbound.metadata.tables[Inbound.__tablename__]).returning(Inbound.id)
_SETTLED: Final = (
    update(Inbound)
    .where(Inbound.id == bindparam("row_id"))
    .values(handled_as=bindparam("handled_as"), reply=bindparam("reply"))
)
_KNOWN: Final = select(Inbound.id).where(Inbound.provider_id == bindparam("provider_id"))

# The first step that takes a text has it. Danger comes before all of them.
STEPS: Final[tuple[Callable[[Received], Handled | None], ...]] = (
    leaving.opt_out,
    leaving.give_help,
    leaving.start,
    staff_replies.take_alert,
    leaving.join,
    leaving.confirm,
    answering.pause_only,
    danger.during_episode,
    answering.service_word,
    inbox.keep_for_conversation,
    inbox.picture,
    answering.answer,
    inbox.common_question,
)
# What a text in danger may still do besides: leave, come back, rest. Nothing in it moves a sequence on.
STEPS_IN_DANGER: Final[tuple[Callable[[Received], Handled | None], ...]] = (
    leaving.opt_out,
    leaving.start,
    answering.pause_only,
)


def read_alone(incoming: IncomingText, *, deps: Deps) -> Screening:
    """What the screen says of the words alone: before the transaction, so that nobody waits for it there."""
    return danger.read_alone(deps.screen, incoming.body)


def receive(
    session: Session, incoming: IncomingText, *, now: datetime, deps: Deps, alone: Screening | None = None
) -> Answer:
    """Handle one text and say what to text back. The caller commits, and answers only after that.

    `alone` is what `read_alone` said of this text; without it the screen reads it here.

    1. texts of one number wait for each other; one that was handled already gets the same answer, with no effect
    2. the text is screened, and stored as it came
    3. danger: alert, hold and instructions, and still the opt-out that the same text may hold
    4. otherwise the first of STEPS that takes it, and last a person's inbox
    5. what was done, and what was answered, stands in the stored row
    """
    with record.gathered(session):
        return _receive(session, incoming, alone, now=now, deps=deps)


def _receive(session: Session, incoming: IncomingText, alone: Screening | None, *, now: datetime, deps: Deps) -> Answer:
    from_index = blind_index(incoming.from_number)
    senders.take_turn(session, from_index)
    earlier = session.connection().scalar(_KNOWN, {"provider_id": incoming.provider_id})
    if earlier is not None:
        return _same_again(session, session.get_one(Inbound, earlier))
    sender = senders.find(session, from_index, to_number=incoming.to_number, now=now)
    if sender is None:
        row = _store(session, incoming, None, from_index, None, now=now)
        row.handled_as = "no_program"
        return Answer(handled_as=row.handled_as)
    received, screening = _take_in(session, incoming, sender, from_index, alone, now=now, deps=deps)
    return _settle(received, _handle(received, screening))


def deps_for(library: Library, *, provider: Provider, screen: Screen = shipped_screen) -> Deps:
    """What `receive` needs. `provider` is the one of the settings."""
    return Deps(library=library, screen=screen, carrier_filters=provider.carriers_filter)


def _same_again(session: Session, earlier: Inbound) -> Answer:
    texts = tuple(earlier.reply.split(BETWEEN_REPLIES)) if earlier.reply else ()
    # The delivery of a crisis reply is followed whichever of the two responses the provider took.
    attempt = session.scalar(
        select(Outbox.attempt_id).where(Outbox.reply_to_id == earlier.id, Outbox.category == "crisis_reply")
    )
    first = (attempt,) if texts else ()
    return Answer(texts=texts, attempts=(*first, *(None for _ in texts[1:])), handled_as=earlier.handled_as)


def _take_in(
    session: Session,
    incoming: IncomingText,
    sender: Sender,
    from_index: str,
    alone: Screening | None,
    *,
    now: datetime,
    deps: Deps,
) -> tuple[Received, Screening]:
    """Read what the steps need, screen the text and store it as it came, with what the screen said."""
    body, at = incoming.body, incoming.received_at or now
    own: tuple[str, ...] = ()
    if reactions.may_be_one(body):
        own = past.own_texts(session, [parent.id for parent in sender.enrolled])
    reaction = reactions.read(body, own)
    before = Past(session, from_index=from_index, but=incoming.provider_id, now=now)
    parent = sender.parent
    episode = None
    if parent is not None and sender.has_alert:
        episode = raising.open_alert_of(session, parent_id=parent.id)
    screening = danger.look(
        deps.screen,
        body,
        recent=danger.window(before, at=at),
        own_texts=own,
        open_episode=episode is not None,
        alone=alone,
        is_reaction=reaction is not None,
    )
    text = body if reaction is None else reaction.rest
    received = Received(
        session=session,
        deps=deps,
        incoming=incoming,
        row=_store(session, incoming, sender, from_index, screening, now=now),
        sender=sender,
        past=before,
        episode=episode,
        may_be_held=sender.has_hold,
        text=text,
        intent=intents.read(text),
        now=now,
    )
    return received, screening


def _store(
    session: Session,
    incoming: IncomingText,
    sender: Sender | None,
    from_index: str,
    screening: Screening | None,
    *,
    now: datetime,
) -> Inbound:
    values: dict[str, Any] = {
        "provider_id": incoming.provider_id,
        "from_number": incoming.from_number,
        "from_index": from_index,
        "to_number": incoming.to_number,
        "body": incoming.body,
        "media_count": incoming.media_count,
        "opt_out_type": incoming.opt_out_type,
        "parent_id": sender.parent.id if sender is not None and sender.parent is not None else None,
        "screening": _as_stored(screening) if screening is not None else {},
        "handled_as": "received",
        "reply": None,
        "at": incoming.received_at or now,
    }
    row = Inbound(id=session.connection().execute(_STORED, values).scalar_one(), **values)
    make_transient_to_detached(row)  # the session knows it from here on, without a flush for one row
    session.add(row)
    return row


def _handle(received: Received, screening: Screening) -> Handled:
    answered = danger.with_safety_answer(received, screening)
    if answered is not screening:
        screening, received.row.screening = answered, _as_stored(answered)
    if screening.level is not Level.ORDINARY:
        return _handle_danger(received, screening)
    danger.note_in_episode(received)
    if received.incoming.body and not received.text:
        return Handled(how="reaction")
    handled = inbox.without_names(received, _first(received) or inbox.hand_over(received))
    return leaving.quiet_for_stopped(received, inbox.without_loop(received, handled))


def _first(received: Received) -> Handled | None:
    handled = (step(received) for step in STEPS)
    return next((h for h in handled if h is not None), None)


def _handle_danger(received: Received, screening: Screening) -> Handled:
    """Both, always: the instructions first, then what the same text asked for besides."""
    answered = danger.respond(received, screening)
    received = replace(received, may_be_held=True)
    if received.intent is None:
        received = replace(received, intent=intents.leaving_clause(received.text))
    asked = (step(received) for step in STEPS_IN_DANGER)
    besides = next((h for h in asked if h is not None), None)
    if besides is None:
        return answered
    return Handled(
        how=f"{answered.how}+{besides.how}",
        texts=(*answered.texts, *besides.texts),
        attempt=answered.attempt,
        is_chatter=False,
    )


def _as_stored(screening: Screening) -> dict[str, object]:
    """What is kept of a screening beside the text: no words of it, those are in the sealed alert."""
    return {
        "level": screening.level.value,
        "tier": screening.tier.value if screening.tier is not None else None,
        "also_tiers": [tier.value for tier in screening.also_tiers],
        "severity": screening.severity,
        "rules": [hit.rule for hit in screening.hits],
        "score": round(screening.score, 4),
        "version": screening.version,
        "shadow": list(screening.shadow),
    }


def _settle(received: Received, handled: Handled) -> Answer:
    session, row = received.session, received.row
    told = {"handled_as": handled.how, "reply": BETWEEN_REPLIES.join(handled.texts) or None}
    session.flush()
    session.connection().execute(_SETTLED, {"row_id": row.id, **told})
    for name, value in told.items():
        attributes.set_committed_value(row, name, value)
    first = (handled.attempt,) if handled.texts else ()
    attempts = (*first, *(None for _ in handled.texts[1:]))
    return Answer(texts=handled.texts, attempts=attempts, handled_as=handled.how)
