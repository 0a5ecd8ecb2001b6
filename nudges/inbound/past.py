"""What one number and we have texted each other lately: read once, for all the steps that ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Text, bindparam, select, type_coerce, union_all
from sqlalchemy.orm import Session

from nudges.db import unseal
from nudges.models.messages import Inbound, Outbox

REACH: Final = timedelta(hours=6)  # the longest that a step of the handling looks back
MOST: Final = 400  # texts that are read at once; who sends more in so short a time is a machine
OWN_TEXTS: Final = 20  # of each kind: what we sent by ourselves, what we answered


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """A text of this number before the present one, sealed as it is stored; `was_answered`: a reply went back."""

    sealed: str
    was_answered: bool
    handled_as: str
    at: datetime

    @property
    def body(self) -> str:
        return unseal(self.sealed)


# Statements are built once: for each text anew, that costs more than the database does.
_LATELY: Final = (
    select(type_coerce(Inbound.body, Text()), Inbound.reply.is_not(None), Inbound.handled_as, Inbound.at)
    .where(Inbound.from_index == bindparam("from_index"), Inbound.at > bindparam("since"))
    .where(Inbound.provider_id != bindparam("but"))
    .order_by(Inbound.id.desc())
    .limit(MOST)
)
_SENT: Final = (
    select(Outbox.body)
    .where(Outbox.parent_id.in_(bindparam("parents", expanding=True)))
    .order_by(Outbox.id.desc())
    .limit(OWN_TEXTS)
    .subquery()
)
_ANSWERED: Final = (
    select(Inbound.reply)
    .where(Inbound.parent_id.in_(bindparam("parents", expanding=True)), Inbound.reply.is_not(None))
    .order_by(Inbound.id.desc())
    .limit(OWN_TEXTS)
    .subquery()
)
_OWN: Final = union_all(select(_SENT.c.body), select(_ANSWERED.c.reply))


class Past:
    """The texts of a number before the present one, whose provider id is `but`. Nothing is read until it is asked."""

    def __init__(self, session: Session, *, from_index: str, but: str, now: datetime) -> None:
        self._session = session
        self._of = {"from_index": from_index, "but": but}
        self._reach = now - REACH
        self._read: Sequence[Earlier] | None = None

    def since(self, at: datetime) -> Sequence[Earlier]:
        """The newest MOST texts after `at`, newest first."""
        if at < self._reach:
            return self._texts(at)  # a text that waited on disk
        if self._read is None:
            self._read = self._texts(self._reach)
        return [text for text in self._read if text.at > at]

    def _texts(self, at: datetime) -> Sequence[Earlier]:
        rows = self._session.connection().execute(_LATELY, {**self._of, "since": at})
        return [
            Earlier(sealed=body, was_answered=bool(answered), handled_as=how, at=when)
            for body, answered, how, when in rows
        ]


def own_texts(session: Session, parent_ids: Sequence[int]) -> tuple[str, ...]:
    """What we last texted these parents, newest first: a quote of it is not a text of theirs."""
    if not parent_ids:
        return ()
    rows = session.connection().execute(_OWN, {"parents": list(parent_ids)})
    return tuple(text for (text,) in rows if text)
