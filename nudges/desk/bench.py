"""The test bench: what the screen makes of a text, step by step, without storing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy.orm import Session

from nudges.alerts import circles, holds, ladder
from nudges.crisis import replies, rulebook, second
from nudges.crisis.edition import Edition, Lang, in_force
from nudges.crisis.screen import screen
from nudges.crisis.values import Hit, Level, Screening
from nudges.ledger import record
from nudges.models.messages import Inbound
from nudges.models.safety import Alert
from schedules import segments

MOST_TEXTS: Final = 100  # at once: half a second
MOST_CHARACTERS: Final = 1600  # the longest text message there is
_SHOWN_RUNGS: Final = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the text: `hit`, `off` (matched, but did not count) or nothing."""

    text: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One text as the screen sees it. `crisis_at` and `check_at` are where the second layer's thresholds stand."""

    text: str
    words: tuple[str, ...]
    pieces: tuple[Piece, ...]
    screening: Screening
    crisis_at: float
    check_at: float
    reply: str
    lang: Lang
    country: str
    parts: int
    units: int


def try_text(
    text: str, *, lang: Lang | None, country: str, alerted: bool, by: Edition | None = None, today: date | None = None
) -> Trial:
    """Read one text. Without `lang` the reply is in the language that it seems to be written in.

    `alerted`: as if somebody on shift had been paged. `by`: a draft; none is what is in force. `today`: lines whose
    review is overdue on that day are left out, as they would be.
    """
    chosen, text = by or in_force(), text[:MOST_CHARACTERS]
    found = screen(text, by=chosen)
    answered: Lang = lang or replies.guess_lang(text)
    reply = replies.reply(found, lang=answered, country=country, alerted=alerted, by=chosen, today=today)
    cost = segments.count(reply)
    form = second.load().form
    return Trial(
        text=text,
        words=rulebook.load().fold(text).words,
        pieces=pieces(text, found),
        screening=found,
        crisis_at=form.crisis_at,
        check_at=form.check_at,
        reply=reply,
        lang=answered,
        country=country,
        parts=cost.parts if reply else 0,
        units=cost.units if reply else 0,
    )


def pieces(text: str, found: Screening) -> tuple[Piece, ...]:
    """The text cut where marks begin and end. What counted covers what did not."""
    marks = [""] * len(text)
    for hits, mark in ((found.suppressed, "off"), (found.hits, "hit")):
        for hit in hits:
            marks[hit.start : hit.end] = [mark] * (hit.end - hit.start)
    cut: list[Piece] = []
    for char, mark in zip(text, marks, strict=True):
        if cut and cut[-1].mark == mark:
            cut[-1] = Piece(cut[-1].text + char, mark)
        else:
            cut.append(Piece(char, mark))
    return tuple(cut)


def hits_of(found: Screening) -> Sequence[Hit]:
    """Each rule or phrase once, those that counted first."""
    return tuple({(hit.rule, hit.start): hit for hit in (*found.hits, *found.suppressed)}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One rung of the ladder: when, and who it would be at this moment."""

    after_minutes: int
    people: tuple[str, ...]
    is_on_duty: bool


def who_is_paged(session: Session, program_id: int, found: Screening, *, now: datetime) -> tuple[Call, ...]:
    """The first rungs for such a text from a family here, with the people of this moment. Nobody is paged by asking."""
    if found.level is Level.ORDINARY:
        return ()
    tier = found.tier.value if found.tier is not None else None
    rungs = ladder.ladder_of(found.severity, tier).rungs
    with session.no_autoflush:
        imagined = Alert(program_id=program_id, level=found.level.value, tier=tier, severity=found.severity)
        called = [(rung, circles.call(session, imagined, rung.calls, now=now)) for rung in rungs]
    calls = [
        Call(
            after_minutes=rung.after_minutes,
            people=tuple(way.person.name for way in call.ways),
            is_on_duty=call.is_on_duty,
        )
        for rung, call in called
    ]
    fresh = [call for i, call in enumerate(calls) if i == 0 or call.people != calls[i - 1].people]
    return tuple(fresh[:_SHOWN_RUNGS])


def what_is_held(found: Screening) -> str:
    """What such a text stops, in a sentence."""
    if found.level is Level.ORDINARY:
        return "Nothing is held."
    if found.tier is not None and found.tier.value == holds.ABUSE:
        return (
            "Every nudge to every parent of the family is held until a person releases it, with a reason; after that "
            "everything firm and everything about contact stays off until a safeguarding lead or an admin clears it."
        )
    return "Every nudge to every parent of the family is held until a person releases it, with a reason."


def note_real_use(session: Session, *, staff_id: int, inbound: Inbound | None, texts: int, now: datetime) -> None:
    """Looking at real messages here is on record; what they say is not."""
    record.append(
        session,
        at=now,
        actor=f"staff:{staff_id}",
        action="desk.bench_real",
        parent_id=inbound.parent_id if inbound is not None else None,
        subject=f"inbound:{inbound.id}" if inbound is not None else "",
        details={"texts": texts},
    )
