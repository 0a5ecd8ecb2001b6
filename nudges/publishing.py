"""The one cycle by which something is written, compared, published and taken back: sequences and crisis phrases.

draft    Work that nobody is served by yet. It has a revision: whoever saves over one that they have not seen is told
         (StaleDraft), and nothing of either is lost.
compare  What is in force beside the draft. `Looked` keeps the digests of both, and only that may be published.
publish  A new version with its number, digest, author and reason. It is never changed; the newest is in force.
go back  The content of an earlier version is published again, as a new one.

`DraftPlace` says where the draft of one thing is kept, `Series` where its versions are and by which rules they come.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nudges.ledger import record
from nudges.models.phrases import PhraseVersion
from nudges.models.sequences import SequenceVersion

V = TypeVar("V", SequenceVersion, PhraseVersion)

SAME: Final = "There is nothing to publish: this is what is in force."
PUBLISHED_MEANWHILE: Final = "Somebody published meanwhile: look at the comparison again."
DRAFT_CHANGED: Final = "The draft changed meanwhile: look at the comparison again."


class Refused(ValueError):
    """Something cannot be drafted or published like this. `faults` are sentences that say what to mend."""

    def __init__(self, *faults: str) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults


class StaleDraft(Exception):
    """Somebody else saved this draft meanwhile. Nothing was written; `theirs` is what stands now."""

    def __init__(self, theirs: Draft) -> None:
        super().__init__("the draft was saved by somebody else meanwhile")
        self.theirs = theirs


def digest_of(content: str) -> str:
    """The SHA-256 of a content, in hexadecimal."""
    return hashlib.sha256(content.encode()).hexdigest()


# ---------------------------------------------------------------- drafts


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What an editor shows: the draft, or what is in force when there is none (`by` and `at` are then none)."""

    text: str
    revision: int
    by: int | None = None
    at: datetime | None = None


class DraftPlace(ABC):
    """Where the draft of one thing is kept."""

    session: Session

    @abstractmethod
    def open(self) -> Draft:
        """The draft, or what is in force to start from."""

    @abstractmethod
    def put(self, text: str | None, *, over: int, by: int, now: datetime) -> bool:
        """Keep `text` in place of revision `over`; none takes the draft away. False when another revision stands."""

    @abstractmethod
    def note(self, text: str | None) -> tuple[str, str]:
        """What the ledger calls it when `text` is put, and of what: an action and its subject."""

    def save(self, text: str, *, over: int, by: int, now: datetime) -> Draft:
        """Keep `text` as the draft if nobody saved since revision `over`. Raises StaleDraft."""
        self._put(text, over=over, by=by, now=now)
        return self.open()

    def discard(self, *, over: int, by: int, now: datetime) -> None:
        """Back to what is in force. Raises StaleDraft."""
        self._put(None, over=over, by=by, now=now)

    def _put(self, text: str | None, *, over: int, by: int, now: datetime) -> None:
        if not self.put(text, over=over, by=by, now=now):
            raise StaleDraft(self.open())
        action, subject = self.note(text)
        record.append(self.session, at=now, actor=f"staff:{by}", action=action, subject=subject)


# ---------------------------------------------------------------- versions


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """Digests of what somebody compared before they decided: what was in force, and the draft."""

    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """What is to come into force, by whom and why. `back_to` is the number of the version that it repeats."""

    content: str
    by: int
    reason: str
    now: datetime
    back_to: int | None = None


class Series(ABC, Generic[V]):
    """The versions of one thing: abstract is what each kind has of its own, the cycle is the same for all."""

    session: Session
    model: type[V]
    as_shipped: str = ""  # the content before any version
    has_version_0: bool = False  # whether one may go back to that

    @abstractmethod
    def which(self) -> ColumnElement[bool]:
        """Which rows are versions of this thing."""

    @abstractmethod
    def content_of(self, version: V) -> str: ...

    @abstractmethod
    def faults(self, given: Publication, before: str) -> Sequence[str]:
        """Why this may not come into force in place of `before`; empty when it may."""

    @abstractmethod
    def make(self, given: Publication, number: int, before: str) -> V:
        """The row of a new version, not yet added."""

    @abstractmethod
    def use_up_draft(self, version: V, given: Publication) -> bool:
        """The draft is published. False when it is no longer the one that was."""

    @abstractmethod
    def follow(self, version: V, given: Publication) -> None:
        """What happens once it is in force: whom it reaches, who is told, the line in the ledger."""

    # ------------------------------------------------------------

    def history(self, *, oldest_first: bool = False) -> Sequence[V]:
        """Every version, the newest first."""
        number = self.model.number
        order = number if oldest_first else number.desc()
        return self.session.scalars(select(self.model).where(self.which()).order_by(order)).all()

    def newest(self) -> V | None:
        """The version in force; none while nothing was published."""
        chosen = select(self.model).where(self.which()).order_by(self.model.number.desc()).limit(1)
        return self.session.scalars(chosen).one_or_none()

    def version(self, number: int) -> V | None:
        chosen = select(self.model).where(self.which(), self.model.number == number)
        return self.session.scalars(chosen).one_or_none()

    def in_force(self) -> str:
        """The content that counts now."""
        return self._content(self.newest())

    def publish(self, content: str, looked: Looked, *, by: int, reason: str, now: datetime) -> V:
        """Make the draft `content` the version in force, within the caller's transaction:

        1. it and what it replaces are what was looked at, it changes something, and its own rules allow it
        2. a new version is written; of two people at the same moment one is refused
        3. the draft is used up, and what follows from it is done

        Raises Refused with every reason why not.
        """
        if looked.before != digest_of(self.in_force()):
            raise Refused(PUBLISHED_MEANWHILE)
        if looked.after != digest_of(content):
            raise Refused(DRAFT_CHANGED)
        return self._publish(Publication(content=content, by=by, reason=reason.strip(), now=now))

    def go_back(self, number: int, *, by: int, reason: str, now: datetime) -> V:
        """Publish the content of an earlier version again, as a new one; 0 is everything as shipped. Raises Refused."""
        earlier = self.version(number)
        if earlier is None and (number != 0 or not self.has_version_0):
            raise Refused(f"There is no version {number}.")
        why = reason.strip() or f"Back to version {number}."
        return self._publish(Publication(content=self._content(earlier), by=by, reason=why, now=now, back_to=number))

    def _publish(self, given: Publication) -> V:
        newest = self.newest()
        before = self._content(newest)
        if given.content == before:
            raise Refused(SAME)
        if faults := self.faults(given, before):
            raise Refused(*faults)
        made = self.make(given, 1 if newest is None else newest.number + 1, before)
        try:
            with self.session.begin_nested():
                self.session.add(made)
        except IntegrityError:
            raise Refused(PUBLISHED_MEANWHILE) from None
        if given.back_to is None and not self.use_up_draft(made, given):
            raise Refused(DRAFT_CHANGED)
        self.follow(made, given)
        return made

    def _content(self, version: V | None) -> str:
        return self.as_shipped if version is None else self.content_of(version)
