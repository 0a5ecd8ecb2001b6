"""What comes in, what goes back, and what every step of the handling may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from nudges.crisis import screen as screening
from nudges.crisis.values import Screening
from nudges.inbound.intents import Intent
from nudges.inbound.past import Past
from nudges.inbound.senders import Sender
from nudges.models.messages import Inbound
from nudges.models.safety import Alert
from schedules.catalog import Library

# Our texts never hold an empty line, so the stored answer to one text splits back into its parts.
BETWEEN_REPLIES = "\n\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingText:
    """One text as the provider handed it over: nothing trimmed, the number not normalised.

    `opt_out_type` is STOP, START or HELP when the carrier's filter has acted on it and answered already.
    `received_at` is set for a text that had to wait on disk.
    """

    provider_id: str
    from_number: str
    to_number: str
    body: str
    media_count: int = 0
    opt_out_type: str | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What to text back, in order. `attempts` has, for each text, the attempt whose receipts we follow, or None."""

    texts: tuple[str, ...] = ()
    attempts: tuple[str | None, ...] = ()
    handled_as: str = ""


class Screen(Protocol):
    """Reads a text for danger: nudges.crisis.screen.screen, or one that fails in a test."""

    def __call__(
        self, text: str, *, recent: Sequence[str], own_texts: Sequence[str], open_episode: bool
    ) -> Screening: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Deps:
    """What the handling needs beside the database.

    `carrier_filters` is true where the carrier blocks and answers the bare STOP words itself.
    """

    library: Library
    screen: Screen = screening.screen
    carrier_filters: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """One text being handled. `text` is what the person wrote, without reactions and quotes of our own texts.

    What several steps ask for is read once: `past` are the texts of this number before this one, `episode` the alert
    that was open for the parent when the text came. `may_be_held` is false when the family is known to have no hold.
    """

    session: Session
    deps: Deps
    incoming: IncomingText
    row: Inbound
    sender: Sender
    past: Past
    episode: Alert | None
    may_be_held: bool
    text: str
    intent: Intent | None
    now: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Handled:
    """How one step dealt with a text: the word for the record, and what to say back.

    `attempt` belongs to the first text when its delivery is followed.
    """

    how: str
    texts: tuple[str, ...] = ()
    attempt: str | None = None
    is_chatter: bool = True  # an automatic courtesy, which the loop breaker may silence
