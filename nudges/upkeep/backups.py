"""Backups: one file, an SQLite database whatever the program runs on, and whether one could be restored.

A backup is fenced: its lanes are paused, because what was sent after it was made is not in it. A program that is
started on one sends nothing until `python -m nudges restored` has looked that up (upkeep.restoring).
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, func, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from nudges.db import Base, Sealed, blind_index, make_engine, make_sessions
from nudges.ledger import record
from nudges.models.family import Parent
from nudges.models.program import Heartbeat, Lane
from nudges.upkeep import beats, copying, versions
from nudges.upkeep.checks import Check, fail, ok, warn

DUTY: Final = "backup"  # the heartbeat that says when the last one was made
MARK: Final = "restored_from"  # the heartbeat inside a backup: from when it is, and that nobody has looked since
FENCED: Final = "restored from a backup: run python -m nudges restored"
FENCED_FOR: Final = timedelta(days=3650)
NAME: Final = "nudges-%Y%m%d-%H%M%S.sqlite3"
_SAMPLE: Final = 500  # rows opened in each sealed column, first and last


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """A backup that was made. The newest hash, written down elsewhere, proves that nothing was cut off later."""

    path: Path
    size: int
    ledger_head: str


def make(url: str, path: Path, *, now: datetime) -> Backup:
    """Write a backup of the database at `url`. The service may be at work meanwhile. Raises CopyError, OSError.

    The file appears under its name only when it is whole, and is readable by its owner alone.
    """
    if path.exists():
        raise copying.CopyError(f"{path} is there already. Give another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".backup-", suffix=".sqlite3", dir=path.parent)
    os.close(handle)
    draft = Path(name)
    try:
        _write(url, draft, now)
        head = _fence(draft, now)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        for left in path.parent.glob(f"{draft.name}*"):
            left.unlink()
    _note(url, path, now)
    return Backup(path=path, size=path.stat().st_size, ledger_head=head)


def _write(url: str, draft: Path, now: datetime) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        source = Path(parsed.database or "")
        if not source.is_file():
            raise copying.CopyError(f"There is no database at {source}. Check NUDGES_DATABASE_URL.")
        copying.snapshot(source, draft)
        return
    copying.copy(url, f"sqlite:///{draft}", now=now, force=True, say=lambda words: None)


def _fence(draft: Path, now: datetime) -> str:
    """Pause the backup's lanes and mark it; its newest hash."""
    engine = make_engine(f"sqlite:///{draft}")
    with make_sessions(engine).begin() as session:
        session.execute(update(Lane).values(paused_until=now + FENCED_FOR, paused_reason=FENCED))
        beats.note(session, MARK, now, {})
        head = record.head(session)
    engine.dispose()
    with closing(sqlite3.connect(draft)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
    return head


def _note(url: str, path: Path, now: datetime) -> None:
    engine = make_engine(url)
    with make_sessions(engine).begin() as session:
        beats.note(session, DUTY, now, {"file": path.name})
    engine.dispose()


def remove_old(folder: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` backups of a folder; only files that `backup` named itself."""
    ours = sorted(path for path in folder.glob("nudges-*.sqlite3") if _is_ours(path.name))
    old = ours[:-keep] if keep else []
    for path in old:
        path.unlink()
    return old


def _is_ours(name: str) -> bool:
    try:
        datetime.strptime(name, NAME).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------- could it be restored?


def check(path: Path) -> Iterator[Check]:
    """Restore a backup into a temporary database and look at it. The file itself is only read."""
    with tempfile.TemporaryDirectory(prefix="nudges-restore-") as folder:
        copy = Path(folder) / "restored.sqlite3"
        try:
            copying.snapshot(path, copy)
            broken = _integrity(copy)
        except sqlite3.DatabaseError as error:
            yield fail("file", f"is no database that can be read ({error}); use an older backup")
            return
        if broken:
            yield fail("file", f"is damaged: {broken[0]}; use an older backup")
            return
        yield ok("file", f"can be read, {path.stat().st_size:,} bytes")
        yield from _check_copy(f"sqlite:///{copy}")


def _integrity(copy: Path) -> list[str]:
    with closing(sqlite3.connect(copy)) as connection:
        words = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    return [*words, *(f"a row of {row[0]} belongs to nothing" for row in orphans)]


def _check_copy(url: str) -> Iterator[Check]:
    engine = make_engine(url)
    try:
        migrations = _migrations(engine)
        yield migrations
        if migrations.status == "fail":
            return
        versions.migrate(url)
        with make_sessions(engine)() as session:
            yield _ledger(session)
            yield _counts(session)
            yield from _keys(session)
            yield _age(session)
    finally:
        engine.dispose()


def _migrations(engine: Engine) -> Check:
    with engine.connect() as connection:
        current = versions.current(connection)
    if current == versions.head():
        return ok("migrations", f"at {current}, as this code")
    if current in versions.known():
        words = f"at {current}; brought to {versions.head()} in the copy, as `migrate` will"
        return ok("migrations", words)
    if current is None:
        return fail("migrations", "holds no tables of Nudges; choose another file")
    return fail("migrations", f"at {current}, which this code does not know: use a newer release")


def _ledger(session: Session) -> Check:
    faults = record.verify(session)
    if faults:
        return fail("ledger", f"{faults[0]}; use another backup")
    return ok("ledger", f"every entry is as it was written; newest hash {record.head(session)}")


def _counts(session: Session) -> Check:
    shown = ("families", "parents", "enrollments", "outbox", "inbound", "alerts", "ledger")
    tables = Base.metadata.tables
    counts = (f"{session.scalar(select(func.count()).select_from(tables[name])) or 0} {name}" for name in shown)
    return ok("rows", ", ".join(counts))


def _keys(session: Session) -> Iterator[Check]:
    """Whether the present keys open what is sealed, and find who has a number."""
    opened = 0
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, Sealed):
                try:
                    opened += _open(session, table.name, column.name)
                except ValueError:
                    words = (
                        f"{table.name}.{column.name} cannot be opened with NUDGES_ENCRYPTION_KEYS: add the key of then"
                    )
                    yield fail("keys", words)
                    return
    yield ok("keys", f"{opened} sealed values were opened with the present keys")
    parent = session.scalar(select(Parent).where(Parent.erased_at.is_(None)).limit(1))
    if parent is not None and blind_index(parent.phone) != parent.phone_index:
        words = "NUDGES_INDEX_KEY is another one than then: no text would find its parent. Put the old one back"
        yield fail("index key", words)
    else:
        yield ok("index key", "numbers are found" if parent is not None else "nobody to try it on")


def _open(session: Session, table: str, column: str) -> int:
    sealed = Base.metadata.tables[table].columns[column]
    order = list(sealed.table.primary_key.columns)
    opened = 0
    for ends in (order, [key.desc() for key in order]):
        values = session.scalars(select(sealed).where(sealed.is_not(None)).order_by(*ends).limit(_SAMPLE))
        opened += len(values.all())
    return opened


def _age(session: Session) -> Check:
    mark = session.get(Heartbeat, MARK)
    if mark is None:
        words = "was not made by `backup`: after restoring it run python -m nudges restored before anything is sent"
        return warn("fence", words)
    words = f"is of {mark.at:%Y-%m-%d %H:%M} UTC; sends nothing until python -m nudges restored has run"
    return ok("fence", words)
