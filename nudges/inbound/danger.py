"""Danger in a text: instructions back at once, a person alerted, the family's texts at rest; in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from nudges.alerts import holds, paging, raising
from nudges.crisis import replies, safety_answer
from nudges.crisis.values import Level, Screening, Tier
from nudges.families import care
from nudges.inbound import inbox, saying
from nudges.inbound.past import Past
from nudges.inbound.texts import Handled, Received, Screen
from nudges.models.messages import Outbox
from nudges.models.safety import Alert, AlertEvent
from nudges.outbox import queue
from schedules import localtime

logger = logging.getLogger(__name__)

WINDOW_TEXTS: Final = 5  # a sentence that a phone cut in pieces is read as one
WINDOW_LASTS: Final = timedelta(minutes=3)
SHORT_REPLY_EVERY: Final = timedelta(minutes=5)
SAFETY_QUESTION_LASTS: Final = timedelta(hours=24)
REPLY_LASTS: Final = timedelta(hours=1)


def read_alone(screen: Screen, text: str) -> Screening:
    """What the screen says about the words alone, before the database is asked for anything."""
    return _screened(screen, text)


def look(
    screen: Screen,
    text: str,
    *,
    recent: Sequence[str],
    own_texts: Sequence[str],
    open_episode: bool,
    alone: Screening | None = None,
    is_reaction: bool = False,
) -> Screening:
    """What the screen says about a text and the ones just before it.

    `alone` is what it said of the words alone. It stands, and the screen need not run while others wait for this
    transaction, unless an open episode, the texts before or a quote of our own words (`is_reaction`) could change it.
    """
    could_rise = recent and alone is not None and alone.level is not Level.CRISIS
    if alone is not None and not (open_episode or could_rise or is_reaction):
        return alone
    return _screened(screen, text, recent=recent, own_texts=own_texts, open_episode=open_episode)


def _screened(
    screen: Screen, text: str, *, recent: Sequence[str] = (), own_texts: Sequence[str] = (), open_episode: bool = False
) -> Screening:
    """The screen's answer. One that fails is a doubt, never silence."""
    try:
        return screen(text, recent=recent, own_texts=own_texts, open_episode=open_episode)
    except Exception as error:
        logger.error("the crisis screen failed: %s", type(error).__name__, extra={"action": "screen_failed"})
        why = "The automatic screen failed on this text: a person has to read it."
        return Screening(level=Level.CHECK, tier=None, severity=1, why=why, version="none")


def window(past: Past, *, at: datetime) -> tuple[str, ...]:
    """The last texts of this number before one that came in at `at`, oldest first."""
    newest = past.since(at - WINDOW_LASTS)[: WINDOW_TEXTS - 1]
    return tuple(text.body for text in reversed(newest))


def with_safety_answer(received: Received, screening: Screening) -> Screening:
    """The screening, raised when our safety question was answered with anything but a yes."""
    answer = safety_answer.read_safety_answer(received.text)
    if answer is None or not _safety_question_is_open(received):
        return screening
    if answer == "safe":
        # Even where the texts before it made the screen see danger: those have had their answer.
        why = "They answered that everyone is safe."
        return replace(screening, level=Level.ORDINARY, tier=None, severity=0, why=why)
    if screening.level is Level.CRISIS:
        return screening
    why = "They did not answer our safety question with a yes."
    return replace(screening, level=Level.CRISIS, tier=Tier.SUICIDE_SELFHARM, severity=3, why=why)


def _safety_question_is_open(received: Received) -> bool:
    alert = received.episode
    if alert is None or alert.level != "check":
        return False
    lately = received.past.since(received.now - SAFETY_QUESTION_LASTS)
    return any(text.handled_as.startswith("check") for text in lately)


def respond(received: Received, screening: Screening) -> Handled:
    """Answer a crisis or a doubtful text.

    1. the alert is raised or added to
    2. the family is held: nothing proactive until a person releases it
    3. people are paged; late, because texts that page the same people wait for each other from there on
    4. the instructions go back in the same response, and stand in the outbox as sent, so that a lost one shows
    """
    raised = raising.note(received.session, _concern(received, screening), now=received.now)
    parent = received.sender.parent
    if parent is not None:
        holds.hold_family(
            received.session,
            family_id=parent.family_id,
            kind=screening.level.value,
            tiers=_tiers(screening),
            alert=raised.alert,
            now=received.now,
        )
        if screening.level is Level.CRISIS:
            # For 30 days no first talk begins; aftercare, if a person starts it, counts from here.
            care.set_key_date(received.session, parent, "crisis_report", 1, received.now, now=received.now)
    raised = raising.page(received.session, raised, now=received.now)
    if received.sender.has_stopped:
        paging.mark(raised.alert, paging.OPTED_OUT_MARK)
    body = _reply(received, screening, raised)
    if body is None:
        return Handled(how=screening.level.value, is_chatter=False)
    attempt = _record_reply(received, body, raised.alert)
    return Handled(how=screening.level.value, texts=(body,), attempt=attempt, is_chatter=False)


def respond_to_answer(received: Received, tier: str) -> Handled:
    """A check-in's digit that means danger, such as "not safe at home": the same answer as to words."""
    topic = Tier(tier)
    severity = 2 if topic in (Tier.UNSAFE_BEHAVIOUR, Tier.PARENT_DISTRESS) else 3
    why = "A check-in was answered with the digit that means danger."
    return respond(received, Screening(level=Level.CRISIS, tier=topic, severity=severity, why=why))


def _tiers(screening: Screening) -> tuple[str, ...]:
    """Every danger of the text: one that stands behind another has its own consequences."""
    return tuple(tier.value for tier in (screening.tier, *screening.also_tiers) if tier is not None)


def _concern(received: Received, screening: Screening) -> raising.Concern:
    parent = received.sender.parent
    return raising.Concern(
        program_id=received.sender.program.id,
        family_id=parent.family_id if parent is not None else None,
        parent_id=parent.id if parent is not None else None,
        level=screening.level.value,
        tier=screening.tier.value if screening.tier is not None else None,
        severity=screening.severity,
        why=screening.why,
        inbound=received.row,
    )


def _reply(received: Received, screening: Screening, raised: raising.Raised) -> str | None:
    """The full instructions to a first text and to every worse one; after that a short one every five minutes.

    Instructions that would repeat the last ones word for word are said shortly: a second copy reads like a fault.
    """
    lately = None if raised.is_new else _said_lately(received, raised.alert)
    is_short = not (raised.is_new or raised.is_worse)
    if is_short and lately is not None:
        return None
    if is_short and received.sender.has_stopped:
        return None  # one answer to the text of somebody who opted out; the rest is a phone call
    lang, country = saying.language(received), received.sender.program.country
    alerted = bool(raised.paged) or _somebody_was_paged(received.session, raised.alert)
    profile = received.sender.profile
    discreet = profile is not None and profile.discreet
    today = localtime.local_date(received.now, received.sender.program.timezone)
    full = replies.reply(screening, lang=lang, country=country, alerted=alerted, discreet=discreet, today=today)
    if is_short or full == lately:
        return replies.here_still(lang=lang, country=country, alerted=alerted, today=today)
    return full


def _said_lately(received: Received, alert: Alert) -> str | None:
    """The last crisis reply of this episode, if it went back within five minutes."""
    return received.session.scalar(
        select(Outbox.body)
        .where(Outbox.alert_id == alert.id, Outbox.category == "crisis_reply")
        .where(Outbox.created_at > received.now - SHORT_REPLY_EVERY)
        .order_by(Outbox.id.desc())
        .limit(1)
    )


def _somebody_was_paged(session: Session, alert: Alert) -> bool:
    """Only then may a reply say that a counselor has been alerted: somebody on duty, not anybody else."""
    paged = select(AlertEvent.id).where(AlertEvent.alert_id == alert.id, AlertEvent.event == "paged")
    return session.scalar(paged.limit(1)) is not None


def _record_reply(received: Received, body: str, alert: Alert) -> str | None:
    """The reply as an outbox row that is already on its way; its receipts find it by the attempt."""
    parent = received.sender.parent
    reply = queue.NewText(
        category="crisis_reply",
        to=received.incoming.from_number,
        body=body,
        language=saying.language(received),
        parent_id=parent.id if parent is not None else None,
        reply_to_id=received.row.id,
        alert_id=alert.id,
        expires_at=received.now + REPLY_LASTS,
    )
    return queue.enter_answered(received.session, reply, program_id=received.sender.program.id, now=received.now)


def note_in_episode(received: Received) -> None:
    """Every text of a parent with an open alert is on that alert's card, dangerous or not."""
    alert = received.episode
    if alert is not None:
        received.session.add(AlertEvent(alert_id=alert.id, event="text", inbound_id=received.row.id, at=received.now))
        received.session.flush()


def during_episode(received: Received) -> Handled | None:
    """While an alert is open, a person reads what this parent writes; the check-ins and their courtesies rest."""
    if received.episode is None:
        return None
    if safety_answer.read_safety_answer(received.text) == "safe":
        return Handled(how="safe_answer", texts=(saying.system(received, "safety_noted"),))
    return inbox.hold_in_episode(received)
