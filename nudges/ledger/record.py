"""The ledger: who did what, when. Each entry carries the hash of the one before, so a change shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from nudges.models.safety import LedgerEntry

GENESIS: Final = "genesis"  # what the first entry follows
_LOCK: Final = 5_184_003  # any constant: one advisory lock per database, held until the transaction ends
_BATCH: Final = 1000
_COLUMNS: Final = ("at", "actor", "action", "family_id", "parent_id", "subject", "details")  # in the order of the hash
_GATHERED: Final = "ledger entries of this block"  # where a session keeps them
_TURN: Final = select(func.pg_advisory_xact_lock(_LOCK))
_NEWEST: Final = select(LedgerEntry.hash).order_by(LedgerEntry.id.desc()).limit(1)
# As a table: the ORM would send entries with and without a parent one by one.
_LEDGER: Final = LedgerEntry.metadata.tables[LedgerEntry.__tablename__]
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What `append_all` is given; the same as the arguments of `append`."""

    at: datetime
    actor: str
    action: str
    family_id: int | None = None
    parent_id: int | None = None
    subject: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def append_all(session: Session, entries: Sequence[Entry]) -> None:
    """Add many entries at once, in their order: the end of the chain is looked up once."""
    if not entries:
        return
    session.flush()  # what can fail or wait comes before the turn is taken
    take_turn(session)
    previous = head(session)
    rows: list[dict[str, Any]] = []
    for entry in entries:
        columns = {name: getattr(entry, name) for name in _COLUMNS}
        newest = _fingerprint(previous, columns)
        rows.append({**columns, "previous_hash": previous, "hash": newest})
        previous = newest
    session.connection().execute(insert(_LEDGER), rows)


@contextmanager
def gathered(session: Session) -> Iterator[None]:
    """Every `append` of this block is written at its end, together: other transactions wait only from there on.

    Nothing is written when the block raises. Inside another such block this one changes nothing.
    """
    if _GATHERED in session.info:
        yield
        return
    waiting: list[Entry] = []
    session.info[_GATHERED] = waiting
    try:
        yield
    finally:
        del session.info[_GATHERED]
    append_all(session, waiting)


def append(
    session: Session,
    *,
    at: datetime,
    actor: str,
    action: str,
    family_id: int | None = None,
    parent_id: int | None = None,
    subject: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry at the end of the chain.

    `actor` is `staff:7`, `parent:12` or `system:planner`; `details` is plain JSON and never holds a name, number
    or message body. Appends wait for each other until their transactions end, so append last, or `gathered`.
    """
    entry = Entry(
        at=at,
        actor=actor,
        action=action,
        family_id=family_id,
        parent_id=parent_id,
        subject=subject,
        details=dict(details or {}),
    )
    waiting: list[Entry] | None = session.info.get(_GATHERED)
    if waiting is None:
        append_all(session, [entry])
    else:
        waiting.append(entry)


def verify(session: Session) -> list[str]:
    """What is wrong with the chain, in words; empty when every entry is as it was written.

    Entries cut off at the end leave no trace in the chain itself: compare `head` with a copy kept elsewhere.
    """
    faults: list[str] = []
    expected = GENESIS
    entries = select(LedgerEntry).order_by(LedgerEntry.id).execution_options(yield_per=_BATCH, populate_existing=True)
    for entry in session.scalars(entries):
        if entry.previous_hash != expected:
            faults.append(f"entry {entry.id}: an entry before it was removed or added")
        if entry.hash != _hash_of(entry):
            faults.append(f"entry {entry.id}: its content was changed after it was written")
        expected = entry.hash
    return faults


def head(session: Session) -> str:
    """The newest hash: written down elsewhere, it proves that nothing was cut off later."""
    return session.connection().scalar(_NEWEST) or GENESIS


def take_turn(session: Session) -> None:
    """Wait until nobody else appends, and keep others waiting until this transaction ends. Twice is once."""
    # SQLite has one writer at a time anyway. On PostgreSQL two transactions would read the same newest hash,
    # and the second would be refused by UNIQUE(previous_hash) only after all its other work.
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(_TURN)


def _hash_of(entry: LedgerEntry) -> str:
    return _fingerprint(entry.previous_hash, {name: getattr(entry, name) for name in _COLUMNS})


def _fingerprint(previous: str, columns: Mapping[str, Any]) -> str:
    at, *others = (columns[name] for name in _COLUMNS)
    content = (previous, at.astimezone(UTC).isoformat(timespec="microseconds"), *others)
    return hashlib.sha256(_CANONICAL.encode(content).encode()).hexdigest()
