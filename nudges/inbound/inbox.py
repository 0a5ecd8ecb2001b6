"""A person's inbox: what the automation cannot answer, with one honest holding reply and no loops with machines."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import bindparam, or_, select

from nudges import tasks
from nudges.alerts import holds
from nudges.inbound import intents, saying
from nudges.inbound.texts import Handled, Received
from nudges.library import naming, signing, texts
from nudges.models.messages import Inbound
from nudges.models.safety import Task
from schedules import faq, render

ONE_HOLDING_REPLY: Final = timedelta(hours=6)
SAME_TEXTS: Final = 4  # the same words this often in an hour: a machine answers our answers
MOST_REPLIES: Final = 10  # automatic replies to one number in an hour
MOST_TEXTS: Final = 60  # how far back a loop is looked for
LOOP_LASTS: Final = timedelta(hours=1)
MOST_QUESTIONS: Final = 3  # common questions answered in an hour; then a person
_EDITABLE: Final = ("answer", "word", "faq")
_HOLDING: Final = ("person", "picture", "unknown", "invited")

# Statements are built once: for each text anew, that costs more than the database does.
_OPEN_TASK: Final = (
    select(Task.id)
    .where(Task.kind == bindparam("kind"), Task.done_at.is_(None))
    .where(or_(Task.family_id.in_(bindparam("families", expanding=True)), Task.family_id.is_(None)))
    .where(Task.inbound_id.in_(select(Inbound.id).where(Inbound.from_index == bindparam("from_index"))))
    .limit(1)
)


def keep_for_conversation(received: Received) -> Handled | None:
    """While a person writes with this parent, the automation says nothing: the text is in their inbox."""
    parent = received.sender.parent
    if parent is None or not received.may_be_held:
        return None
    hold = holds.conversation_of(received.session, parent, now=received.now)
    if hold is None:
        return None
    hold.until = holds.end_of_conversation(received.sender.program, now=received.now)
    add_task(received, kind="reply", words="The parent answered in your conversation.")
    return Handled(how="conversation")


def picture(received: Received) -> Handled | None:
    """A picture or voice note without words: we say that we cannot see it, and a person is told."""
    if received.incoming.media_count < 1 or intents.fold(received.text):
        return None
    if _has_left(received):
        return None
    add_task(received, kind="reply", words="A picture or voice note came that nobody can see here. Ask what it was.")
    return Handled(how="picture", texts=_once(received, "picture"))


def common_question(received: Received) -> Handled | None:
    """A plain question has its answer at once, at most three an hour; a person still sees that it was asked."""
    parent = received.sender.parent
    if parent is None or parent.status not in ("active", "paused"):
        return None
    asked = faq.find(received.text, received.deps.library.faqs)
    if asked is None or _answered_lately(received) >= MOST_QUESTIONS or not _is_signed(received, asked):
        return None
    try:
        text = saying.rendered(received, asked.texts, {})
    except render.MissingValue:
        return None  # such as a local resource that nobody has entered
    add_task(
        received,
        kind="question",
        words=f"Asked a common question ({asked.id}), answered at once. Does it fit?",
        priority=tasks.THIS_WEEK,
    )
    return Handled(how="faq", texts=(text,))


def _is_signed(received: Received, asked: faq.Faq) -> bool:
    """What touches danger or the law is answered by a person until a clinician or a lawyer has signed it off."""
    text = texts.answer(asked.id, asked.texts, is_legal=asked.is_legal)
    return not signing.waiting(received.session, received.sender.program.id, [text])


def _answered_lately(received: Received) -> int:
    return sum(text.handled_as == "faq" for text in received.past.since(received.now - timedelta(hours=1)))


def hand_over(received: Received) -> Handled:
    """The last step: a person reads it, and the reply says so, at most once in six hours."""
    if received.sender.parent is None:
        return _from_stranger(received)
    add_task(received, kind="reply", words="A parent wrote in their own words. Read it and answer.")
    if _has_left(received):
        return Handled(how="person")  # no automatic text to somebody who asked for none
    if received.sender.parent.status == "invited":
        return Handled(how="invited", texts=_once(received, "consent_ask"))
    return Handled(how="person", texts=_once(received, "holding"))


def hold_in_episode(received: Received) -> Handled:
    """A text while an alert is open: its card has it already, so there is no task; the emergency line goes back."""
    has_words = bool(intents.fold(received.text))
    if _has_left(received):
        return Handled(how="person")
    wordless = received.incoming.media_count > 0 and not has_words
    return Handled(how="person", texts=_once(received, "picture" if wordless else "holding"))


def _from_stranger(received: Received) -> Handled:
    if not intents.fold(received.text) and not received.incoming.media_count:
        return Handled(how="unknown")
    add_task(received, kind="unknown_sender", words="A number that is not enrolled wrote. Read it.")
    return Handled(how="unknown", texts=_once(received, "unknown_sender"))


def _has_left(received: Received) -> bool:
    return received.sender.parent is not None and received.sender.parent.status in ("opted_out", "ended")


def _once(received: Received, text_id: str) -> tuple[str, ...]:
    lately = received.past.since(received.now - ONE_HOLDING_REPLY)
    if any(text.was_answered and text.handled_as in _HOLDING for text in lately):
        return ()
    return (saying.system(received, text_id),)


def add_task(
    received: Received, *, kind: str, words: str, priority: int = tasks.NEXT_DAY, is_own: bool = False
) -> None:
    """Something for a counselor to do about this text.

    One open task of a kind is enough for each parent or stranger, unless it is about something of its own.
    """
    if not is_own and _has_open_task(received, kind):
        return
    parent = received.sender.parent
    tasks.open_task(
        received.session,
        program_id=received.sender.program.id,
        family_id=parent.family_id if parent is not None else None,
        parent_id=parent.id if parent is not None else None,
        inbound_id=received.row.id,
        priority=priority,
        kind=kind,
        words=words,
        now=received.now,
    )


def _has_open_task(received: Received, kind: str) -> bool:
    """Of this number: as a parent of any of their families, or from before they were enrolled."""
    families = sorted({parent.family_id for parent in received.sender.enrolled})
    of = {"kind": kind, "from_index": received.row.from_index, "families": families}
    return received.session.connection().scalar(_OPEN_TASK, of) is not None


def without_loop(received: Received, handled: Handled) -> Handled:
    """Silence in place of a courtesy, when a machine seems to answer our answers. A person is told.

    What was done stays done: only the words are held back. Crisis replies never come here.
    """
    if not handled.texts or not handled.is_chatter or not is_looping(received):
        return handled
    add_task(received, kind="loop", words="This number and we answer each other too often. Replies rest for an hour.")
    return Handled(how=handled.how)


def without_names(received: Received, handled: Handled) -> Handled:
    """Silence in place of a text that holds a name of the family. What was done stays done.

    Only what a program may edit is looked at: answers to danger, to STOP and to HELP are never held back.
    """
    parent = received.sender.parent
    if handled.how not in _EDITABLE or not handled.texts or parent is None:
        return handled
    names = naming.names_by_family(received.session, {parent.family_id})[parent.family_id]
    if not any(
        naming.names_somebody(received.session, text, family_id=parent.family_id, names=names) for text in handled.texts
    ):
        return handled
    add_task(received, kind="step", words=f"A reply: {naming.NAMED} Answer in person, and mend the text.")
    return Handled(how=handled.how)


def is_looping(received: Received) -> bool:
    """Whether this number has sent the same words over and over, or has had too many automatic replies."""
    texts = received.past.since(received.now - LOOP_LASTS)[:MOST_TEXTS]
    if sum(text.was_answered for text in texts) >= MOST_REPLIES or received.sender.is_resting:
        return True
    now_says = intents.fold(received.incoming.body)
    last = texts[: SAME_TEXTS - 1]
    return len(last) == SAME_TEXTS - 1 and all(intents.fold(text.body) == now_says for text in last)
