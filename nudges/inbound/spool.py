"""Texts that came while the database was away: kept on disk, sealed, and handled exactly once when it is back."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import DataError, ProgrammingError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from nudges.alerts import paging
from nudges.config import Settings
from nudges.crisis.values import Screening
from nudges.db import Cipher
from nudges.families.snapshots import StaleParent
from nudges.inbound import handle
from nudges.inbound.texts import Deps, IncomingText
from nudges.models.family import Parent
from nudges.models.messages import Inbound, Outbox
from nudges.models.program import Program
from nudges.outbox import queue
from nudges.outbox.status import ACCEPTED, QUEUED

logger = logging.getLogger(__name__)

SUFFIX: Final = ".text"
BROKEN: Final = ".broken"  # kept for a person to look at
LATE_REPLY_LASTS: Final = timedelta(hours=1)
DRAFT_LASTS: Final = timedelta(minutes=10)  # no write takes so long: whoever began it is gone


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A text on disk. `was_answered`: crisis instructions went back at once, so the replay must not repeat them."""

    path: Path
    incoming: IncomingText
    was_answered: bool


class Spool:
    """A folder of sealed texts. File names are random: a directory listing tells nobody who wrote."""

    def __init__(self, folder: Path, cipher: Cipher) -> None:
        self._folder = folder
        self._cipher = cipher

    def keep(self, incoming: IncomingText, *, at: datetime, was_answered: bool) -> Path:
        """Write one text so that it survives a power cut: whole or not at all. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = {"at": at.isoformat(), "was_answered": was_answered, "text": _fields(incoming)}
        name = f"{at:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex}"
        draft, kept = self._folder / f"{name}.part", self._folder / f"{name}{SUFFIX}"
        with open(draft, "x", encoding="ascii", opener=_private) as file:
            file.write(self._cipher.seal(json.dumps(content)))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(kept)
        _sync(self._folder)
        return kept

    def waiting(self) -> list[Path]:
        """Kept texts, oldest first."""
        return sorted(self._folder.glob(f"*{SUFFIX}")) if self._folder.is_dir() else []

    def rescue_drafts(self, *, now: datetime) -> int:
        """Put right what a crash left half-way: a draft that is whole is kept, one that is not goes. How many."""
        rescued = 0
        for draft in sorted(self._folder.glob("*.part")) if self._folder.is_dir() else []:
            if f"{now - DRAFT_LASTS:%Y%m%dT%H%M%S}" < draft.name:
                continue  # it may be being written
            with suppress(FileNotFoundError):
                rescued += 1
                try:
                    self.read(draft)
                except (ValueError, KeyError, TypeError):
                    draft.unlink()  # the provider had no answer, and has tried again
                else:
                    draft.rename(draft.with_suffix(SUFFIX))
        return rescued

    def read(self, path: Path) -> Kept:
        """Raises ValueError for a file that no key opens or that holds something else, OSError when it is gone."""
        content = json.loads(self._cipher.open(path.read_text(encoding="ascii")))
        incoming = IncomingText(**content["text"], received_at=datetime.fromisoformat(content["at"]))
        return Kept(path=path, incoming=incoming, was_answered=bool(content["was_answered"]))


def of(settings: Settings) -> Spool:
    """The spool of this installation."""
    return Spool(settings.spool_dir, Cipher(settings.encryption_keys, settings.index_key))


def replay(sessions: sessionmaker[Session], spool: Spool, *, deps: Deps, now: datetime) -> int:
    """Handle every kept text, oldest first, each in its own transaction. Returns how many were handled.

    Exactly once: the provider's id is unique in the database, so a text that was handled before (by a retry of the
    provider, by another process, or before a crash between commit and removal) changes nothing and only its file
    goes. What would have been texted back is queued instead: the response that could have carried it is long gone.
    """
    handled = 0
    for kept in _readable(spool):
        alone = handle.read_alone(kept.incoming, deps=deps)
        try:
            with sessions.begin() as session:
                _handle(session, kept, alone, deps=deps, now=now)
        except (DataError, ProgrammingError) as error:
            _set_aside(kept.path, type(error).__name__)
            _tell_staff(sessions, now=now)
            continue
        except (SQLAlchemyError, StaleParent) as error:
            logger.warning("the spool waits: %s", type(error).__name__, extra={"action": "spool"})
            break  # still away: the order of a parent's texts matters, so nothing is skipped
        except Exception as error:
            _set_aside(kept.path, type(error).__name__)
            _tell_staff(sessions, now=now)
            continue
        kept.path.unlink(missing_ok=True)
        handled += 1
    return handled


def _handle(session: Session, kept: Kept, alone: Screening, *, deps: Deps, now: datetime) -> None:
    if session.scalar(select(Inbound.id).where(Inbound.provider_id == kept.incoming.provider_id)) is not None:
        return
    answer = handle.receive(session, kept.incoming, now=now, deps=deps, alone=alone)
    row = session.scalars(select(Inbound).where(Inbound.provider_id == kept.incoming.provider_id)).one()
    for text, attempt in zip(answer.texts, answer.attempts, strict=True):
        if attempt is None:
            _queue(session, row, text, now=now)
        elif not kept.was_answered:
            _queue_crisis_reply(session, attempt, now=now)


def _queue(session: Session, row: Inbound, text: str, *, now: datetime) -> None:
    """An ordinary answer, late. To a known parent only: a stranger who waited an hour gets no robot."""
    parent = session.get(Parent, row.parent_id) if row.parent_id is not None else None
    if parent is None:
        return
    late = queue.NewText(
        category="reply",
        to=parent.phone,
        body=text,
        language=parent.language,
        parent_id=parent.id,
        reply_to_id=row.id,
        expires_at=now + LATE_REPLY_LASTS,
    )
    queue.enqueue(session, late, program_id=parent.program_id, now=now)


def _queue_crisis_reply(session: Session, attempt: str, *, now: datetime) -> None:
    """Nothing went back when it came in: the row that would have said so becomes one to send."""
    outbox_id = session.scalar(select(Outbox.id).where(Outbox.attempt_id == attempt))
    if outbox_id is not None:
        reason = "late: the database was away"
        queue.move(session, outbox_id, from_status=ACCEPTED, to_status=QUEUED, reason=reason, now=now, attempts=0)


def _tell_staff(sessions: sessionmaker[Session], *, now: datetime) -> None:
    """A text that nobody could handle may be a cry for help: a person has to open it."""
    with sessions.begin() as session:
        for program_id in session.scalars(select(Program.id)):
            paging.raise_system_alert(
                session,
                program_id,
                title="A text that came in while the database was away could not be handled",
                why="It is kept in the spool folder, ending in .broken. Ask your operator at once.",
                now=now,
            )


def _set_aside(path: Path, fault: str) -> None:
    logger.error("a spooled text could not be handled: %s", fault, extra={"action": "spool"})
    with suppress(FileNotFoundError):
        path.rename(path.with_suffix(BROKEN))


def _readable(spool: Spool) -> Iterator[Kept]:
    for path in spool.waiting():
        try:
            kept = spool.read(path)
        except FileNotFoundError:
            continue  # another process was faster
        except (ValueError, KeyError, TypeError) as error:
            _set_aside(path, type(error).__name__)
            continue
        yield kept


def _fields(incoming: IncomingText) -> dict[str, Any]:
    fields = asdict(incoming)
    del fields["received_at"]  # kept beside it, as text
    return fields


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(folder: Path) -> None:
    """Make the rename itself durable, where the system can."""
    with suppress(OSError):
        handle_of_folder = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle_of_folder)
        finally:
            os.close(handle_of_folder)
