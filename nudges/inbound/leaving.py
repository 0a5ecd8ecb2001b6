"""Leaving, coming back, joining, confirming, and the help that must always be there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from sqlalchemy import delete

from nudges.alerts import on_call, paging, raising, rota_watch
from nudges.families import care, consent, enrolling
from nudges.families.consent import WORDING_VERSION, ConsentGiven
from nudges.inbound import inbox, intents, saying
from nudges.inbound.intents import Help, Join, OptOut, Start
from nudges.inbound.texts import Handled, Received
from nudges.models.family import Parent
from nudges.models.on_call import StoppedNumber
from nudges.models.safety import Alert, AlertEvent

AFTER_CRISIS: Final = timedelta(hours=2)  # a STOP so soon may mean that somebody took the phone
AFTER_WELCOME: Final = "ON-2"  # ONBOARD's first step after the welcome, which the confirmed parent gets as a reply
CONFIRM: Final = "1"


def opt_out(received: Received) -> Handled | None:
    """Stop every text to this number now, and confirm once, unless the carrier has answered already."""
    by_carrier = received.incoming.opt_out_type == "STOP"
    intent = received.intent
    if not by_carrier and not isinstance(intent, OptOut):
        return None
    how = f"{intent.how}: {intent.matched}" if isinstance(intent, OptOut) else "the carrier's opt-out list"
    for parent in received.sender.enrolled:
        _stop(received, parent, how[:200])
    if received.sender.staff is not None:
        _page_lost(received)
    elif not received.sender.enrolled:
        _stop_stranger(received)
    return Handled(how="opt_out", texts=() if _carrier_said_it(received) else (saying.system(received, "stop_done"),))


def _stop(received: Received, parent: Parent, how: str) -> None:
    care.opt_out(
        received.session,
        parent,
        how=how,
        now=received.now,
        inbound_id=received.row.id,
        by=f"parent:{parent.id}",
    )
    _note_soon_after_crisis(received, parent)


def _note_soon_after_crisis(received: Received, parent: Parent) -> None:
    last = raising.last_crisis_at(received.session, parent_id=parent.id)
    alert = raising.open_alert_of(received.session, parent_id=parent.id)
    if alert is not None:
        paging.mark(alert, paging.OPTED_OUT_MARK)
        note = "The parent has opted out: phone them, texts cannot reach them."
        received.session.add(
            AlertEvent(alert_id=alert.id, event="opted_out", inbound_id=received.row.id, note=note, at=received.now)
        )
        received.session.flush()
    elif last is not None and received.now - last <= AFTER_CRISIS:
        concern = raising.Concern(
            program_id=parent.program_id,
            family_id=parent.family_id,
            parent_id=parent.id,
            level="check",
            severity=1,
            why="Opted out within two hours of a crisis text. Somebody may have taken the phone.",
            inbound=received.row,
        )
        raised = raising.raise_alert(received.session, concern, now=received.now)
        paging.mark(raised.alert, paging.OPTED_OUT_MARK)


def _page_lost(received: Received) -> None:
    """Their pages would be refused: the rota shows it, and the ladder passes this phone by."""
    staff = received.sender.staff
    assert staff is not None
    on_call.duty_of(received.session, staff.id).phone_stopped_at = received.now
    paging.raise_system_alert(
        received.session,
        received.sender.program.id,
        title=rota_watch.PHONE_SHUT,
        why="Somebody on call texted STOP. They text START from that phone to be paged again.",
        now=received.now,
    )


def _stop_stranger(received: Received) -> None:
    """Nobody is enrolled here, but a STOP is a STOP: it is remembered by the number's fingerprint."""
    session = received.session
    if session.get(StoppedNumber, received.row.from_index) is None:
        session.add(StoppedNumber(number_index=received.row.from_index, inbound_id=received.row.id, at=received.now))
    alert = _alert_of_sender(received)
    if alert is not None:
        paging.mark(alert, paging.OPTED_OUT_MARK)
    session.flush()


def _alert_of_sender(received: Received) -> Alert | None:
    parent = received.sender.parent
    if parent is not None:
        return raising.open_alert_of(received.session, parent_id=parent.id)
    return raising.open_alert_of_stranger(
        received.session, program_id=received.sender.program.id, number_index=received.row.from_index
    )


def quiet_for_stopped(received: Received, handled: Handled) -> Handled:
    """A stranger who said STOP gets no more automatic texts; what they write is still screened and read."""
    if not received.sender.has_stopped or received.sender.enrolled or handled.how == "start":
        return handled
    return replace(handled, texts=())


def _carrier_said_it(received: Received) -> bool:
    if received.incoming.opt_out_type is not None:
        return True
    return received.deps.carrier_filters and intents.is_answered_by_carrier(received.incoming.body)


def give_help(received: Received) -> Handled | None:
    """Who we are, how to leave, how to reach a person; and the crisis line, because a plea reads the same."""
    if received.incoming.opt_out_type == "HELP":
        return Handled(how="help")
    if not isinstance(received.intent, Help):
        return None
    return Handled(how="help", texts=(saying.system(received, "help"),))


def start(received: Received) -> Handled | None:
    """START and UNSTOP bring texts back after an opt-out, and nothing else does."""
    by_carrier = received.incoming.opt_out_type == "START"
    if not by_carrier and not isinstance(received.intent, Start):
        return None
    revived = [parent for parent in received.sender.enrolled if parent.status == "opted_out"]
    for parent in revived:
        care.revive(received.session, parent, given=_given(received, parent), now=received.now, by=_by(parent))
    _texts_reach_again(received)
    if by_carrier:
        return Handled(how="start")
    if revived:
        return Handled(how="start", texts=(saying.system(received, "start_done"),))
    if received.sender.parent is None and received.sender.staff is not None:
        return Handled(how="start")  # the carrier lets pages through again; there is nothing to enroll
    return _welcome_to_join(received)


def _texts_reach_again(received: Received) -> None:
    """The carrier lets our texts through: what was shut for this number is open, and its alert no longer warns."""
    session, staff = received.session, received.sender.staff
    session.execute(delete(StoppedNumber).where(StoppedNumber.number_index == received.row.from_index))
    if staff is not None and received.sender.has_stopped:
        on_call.duty_of(session, staff.id).phone_stopped_at = None
    alert = _alert_of_sender(received)
    if alert is not None and paging.OPTED_OUT_MARK in alert.title:
        paging.unmark(alert, paging.OPTED_OUT_MARK)
        session.add(AlertEvent(alert_id=alert.id, event="opted_in", inbound_id=received.row.id, at=received.now))
    session.flush()


def join(received: Received) -> Handled | None:
    """JOIN asks for the confirming digit. An unknown number goes to staff: nobody is enrolled here."""
    if not isinstance(received.intent, Join):
        return None
    return _welcome_to_join(received)


def _welcome_to_join(received: Received) -> Handled:
    parent = received.sender.parent
    if parent is None:
        inbox.add_task(received, kind="join", words="An unknown number asked to join. Call to enroll them, or close.")
        return Handled(how="join", texts=(saying.system(received, "person_soon"),))
    if parent.status == "invited":
        given = _given(received, parent)
        consent.grant(received.session, parent, given, now=received.now)
        return Handled(how="join", texts=(saying.system(received, "consent_ask"),))
    if parent.status == "opted_out":
        # JOIN does not lift the carrier's block, so it must not lift ours: the text names the word that does.
        return Handled(how="join", texts=(saying.system(received, "stop_done"),))
    if parent.status == "ended":
        inbox.add_task(received, kind="join", words="A parent whose texts have ended asked to join again.")
        return Handled(how="join", texts=(saying.system(received, "person_soon"),))
    return Handled(how="join", texts=(saying.system(received, "already_joined"),))


def confirm(received: Received) -> Handled | None:
    """The confirming digit of an invited parent: consent is on record twice, the welcome goes back, texts begin."""
    parent = received.sender.parent
    if parent is None or parent.status != "invited":
        return None
    if " ".join(intents.fold(received.text)) != CONFIRM:
        return None
    care.revive(received.session, parent, given=_given(received, parent), now=received.now, by=_by(parent))
    care.note_welcome(received.session, parent, now=received.now)
    try:
        enrolling.start_sequence(received.session, parent, enrolling.WELCOME, now=received.now, at_step=AFTER_WELCOME)
    except enrolling.EnrollError as error:
        # The consent counts all the same; during a hold a person starts the sequence, and the reply shows nothing.
        inbox.add_task(received, kind="join", words=f"A parent has confirmed, but did not start: {error}")
    return Handled(how="confirm", texts=(saying.system(received, "welcome"),))


def _given(received: Received, parent: Parent) -> ConsentGiven:
    return ConsentGiven(
        medium="text",
        wording_version=WORDING_VERSION,
        language=parent.language,
        inbound_id=received.row.id,
    )


def _by(parent: Parent) -> str:
    return f"parent:{parent.id}"
