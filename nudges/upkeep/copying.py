"""Copying a whole program from one database to another: `move` and the backups of PostgreSQL.

Rows go over as they are stored: what is sealed stays sealed under the same keys. The source is opened so that it
cannot be written. The target keeps a note of how far it got, in the transaction of each batch, so a copy that was
killed goes on where it stopped; the note disappears once counts and hashes agree.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
    text,
    tuple_,
)
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from nudges.db import Base, Sealed, make_engine
from nudges.ledger import record
from nudges.models import family, library, messages, on_call, phrases, program, safety, sequences
from nudges.models.program import Heartbeat
from nudges.upkeep import versions

BATCH: Final = 500
PROGRESS: Final = "move_progress"
AT_WORK: Final = timedelta(seconds=60)  # a heartbeat so young says that a service runs on the source
_MODULUS: Final = 2**256

# Importing these registers every table.
TABLES: Final = (family, library, messages, on_call, phrases, program, safety, sequences)

Say = Callable[[str], None]


class CopyError(Exception):
    """The copy cannot be made, or does not agree with its source; the message says what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """What stands in the target now: rows by table, the newest hash of the ledger."""

    rows: Mapping[str, int]
    ledger_head: str

    @property
    def total(self) -> int:
        return sum(self.rows.values())


def tables() -> tuple[Table, ...]:
    """Every table, parents before children, with sealed columns as the text that is stored."""
    plain = MetaData()
    for table in Base.metadata.sorted_tables:
        columns = [_plain(column) for column in table.columns]
        Table(table.name, plain, *columns)
    return tuple(plain.tables[table.name] for table in Base.metadata.sorted_tables)


def _plain(column: Column[Any]) -> Column[Any]:
    kind = Text() if isinstance(column.type, Sealed) else column.type
    return Column(column.name, kind, primary_key=column.primary_key)


def open_source(url: str) -> Engine:
    """An engine that cannot write. Raises CopyError when there is nothing to open."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return make_engine(url).execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    path = Path(parsed.database or "")
    if not path.is_file():
        raise CopyError(f"There is no database at {path}. Check NUDGES_DATABASE_URL.")
    engine = create_engine("sqlite://", creator=partial(_read_only, path), poolclass=NullPool)
    event.listen(engine, "begin", _begin_reading)
    return engine


def at_work(source: Connection, now: datetime) -> list[str]:
    """Duties that ran a moment ago: a service is using this database."""
    rows = source.execute(
        select(Heartbeat.duty).where(Heartbeat.at > now - AT_WORK, Heartbeat.duty.in_(versions.DUTIES))
    )
    return sorted(duty for (duty,) in rows)


def copy(source_url: str, target_url: str, *, now: datetime, force: bool = False, say: Say = print) -> Copied:
    """Copy everything, or go on with a copy that stopped; then compare. Raises CopyError.

    1. the source must be at this code's tables, and (without `force`) nobody may be at work on it
    2. the target is migrated; it must be empty, or hold the beginning of a copy of the same source
    3. table by table, a batch in each transaction, in the order of their keys
    4. ids that PostgreSQL gives out next are set behind the last one
    5. counts and hashes of every table, and the ledger's chain
    """
    _refuse_same(source_url, target_url)
    _make_folder(target_url)
    source_engine = open_source(source_url)
    target = make_engine(target_url)
    try:
        with source_engine.connect() as source:  # one snapshot, from the first row to the last comparison
            _check_source(source, now, force=force)
            versions.migrate(target_url)
            _begin(source, target)
            for table in tables():
                _copy_table(source, target, table, say)
            _set_sequences(target)
            copied = _compare(source, target)
            with target.begin() as connection:
                connection.execute(text(f"DROP TABLE {PROGRESS}"))
        return copied
    finally:
        source_engine.dispose()
        target.dispose()


def _refuse_same(source_url: str, target_url: str) -> None:
    if make_url(source_url) == make_url(target_url):
        raise CopyError("Source and target are the same database.")


def _make_folder(url: str) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)


def _check_source(source: Connection, now: datetime, *, force: bool) -> None:
    current = versions.current(source)
    if current != versions.head():
        raise CopyError(
            f"The source's tables are at {current or 'no version'}, this code needs {versions.head()}. "
            "Run python -m nudges migrate on the source first."
        )
    duties = at_work(source, now)
    if duties and not force:
        raise CopyError(
            f"A service is at work on the source ({', '.join(duties)} ran within the last minute). Stop serve and "
            "every worker, wait a minute, then move. With --force the copy is of this moment: what the service "
            "still stores there stays there, and what it still sends is not known to the new one."
        )


# ---------------------------------------------------------------- where it stopped


def _begin(source: Connection, target: Engine) -> None:
    """Make the note of progress, or find that of an earlier run on the same source."""
    identity = identity_of(source)
    with target.begin() as connection:
        if inspect(connection).has_table(PROGRESS):
            started = connection.scalar(text(f"SELECT source FROM {PROGRESS} WHERE name = ''"))
            if started != identity:
                raise CopyError("The target holds the beginning of a copy of another program. Give an empty database.")
            return
        full = [table.name for table in tables() if connection.scalar(select(func.count()).select_from(table))]
        if full:
            raise CopyError(f"The target is not empty ({', '.join(full[:4])} have rows). Give an empty database.")
        connection.execute(
            text(
                f"CREATE TABLE {PROGRESS} (name TEXT PRIMARY KEY, source TEXT, last_key TEXT, is_done BOOLEAN NOT NULL)"
            )
        )
        note = text(f"INSERT INTO {PROGRESS} (name, source, is_done) VALUES ('', :source, FALSE)")
        connection.execute(note, {"source": identity})


def identity_of(source: Connection) -> str:
    """A fingerprint that another program's database does not have: the ledger's first entry and the program."""
    first = source.scalar(text("SELECT hash FROM ledger ORDER BY id LIMIT 1")) or ""
    programs = source.execute(text("SELECT id, name FROM programs ORDER BY id")).all()
    return hashlib.sha256(json.dumps([first, [list(row) for row in programs]]).encode()).hexdigest()


def _copy_table(source: Connection, target: Engine, table: Table, say: Say) -> None:
    with target.begin() as connection:
        note = connection.execute(
            text(f"SELECT last_key, is_done FROM {PROGRESS} WHERE name = :name"), {"name": table.name}
        )
        row = note.one_or_none()
    if row is not None and row.is_done:
        return
    last = json.loads(row.last_key) if row is not None and row.last_key else None
    wanted = source.scalar(select(func.count()).select_from(table)) or 0
    say(f"{table.name}: {wanted} rows" + (", going on" if last else ""))
    for rows in _after(source, table, last):
        with target.begin() as connection:
            connection.execute(insert(table), rows)
            _note(connection, table, rows[-1], is_done=False)
    with target.begin() as connection:
        _note(connection, table, None, is_done=True)


def _note(connection: Connection, table: Table, row: Mapping[str, Any] | None, *, is_done: bool) -> None:
    last = None if row is None else json.dumps([row[column.name] for column in table.primary_key])
    connection.execute(
        text(
            f"INSERT INTO {PROGRESS} (name, last_key, is_done) VALUES (:name, :last, :is_done) "
            "ON CONFLICT (name) DO UPDATE SET last_key = excluded.last_key, is_done = excluded.is_done"
        ),
        {"name": table.name, "last": last, "is_done": is_done},
    )


def _after(source: Connection, table: Table, last: Sequence[Any] | None) -> Iterator[list[dict[str, Any]]]:
    """Rows in the order of their key, from behind `last` on, a batch at a time."""
    keys = list(table.primary_key.columns)
    while True:
        rows = select(table).order_by(*keys).limit(BATCH)
        if last is not None:
            rows = rows.where(tuple_(*keys) > tuple_(*last) if len(keys) > 1 else keys[0] > last[0])
        found = [dict(row) for row in source.execute(rows).mappings()]
        if not found:
            return
        yield found
        last = [found[-1][key.name] for key in keys]


def _set_sequences(target: Engine) -> None:
    """The next id that PostgreSQL gives out comes after the last one. SQLite does so by itself."""
    if target.dialect.name != "postgresql":
        return
    with target.begin() as connection:
        for table in tables():
            if "id" in table.columns:
                connection.execute(
                    text(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), GREATEST(max(id), 1), "
                        f"max(id) IS NOT NULL) FROM {table.name}"
                    )
                )
        connection.execute(text("ANALYZE"))


# ---------------------------------------------------------------- comparing


def _compare(source: Connection, target: Engine) -> Copied:
    rows: dict[str, int] = {}
    with target.connect() as connection:
        for table in tables():
            mine, theirs = fingerprint(source, table), fingerprint(connection, table)
            if mine != theirs:
                raise CopyError(
                    f"{table.name} differs: {mine[0]} rows in the source, {theirs[0]} in the target, or other content. "
                    "The source was changed since the copy began: empty the target and begin again."
                )
            rows[table.name] = mine[0]
        with Session(connection) as session:
            faults = record.verify(session)
            head = record.head(session)
    if faults:
        raise CopyError(f"The ledger does not agree with itself, here as in the source: {faults[0]}.")
    return Copied(rows=rows, ledger_head=head)


def fingerprint(connection: Connection, table: Table) -> tuple[int, str]:
    """How many rows, and a hash of their content that does not depend on their order."""
    total, count = 0, 0
    rows = connection.execution_options(yield_per=1000).execute(select(table))
    for row in rows:
        digest = hashlib.sha256(json.dumps(list(row), sort_keys=True, default=_plain_value).encode()).digest()
        total = (total + int.from_bytes(digest)) % _MODULUS
        count += 1
    return count, f"{total:064x}"


def _plain_value(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(type(value).__name__)


# ---------------------------------------------------------------- SQLite files


def snapshot(source: Path, target: Path) -> None:
    """A consistent copy of an SQLite file that others may be writing: the database's own online backup."""
    with closing(_read_only(source)) as reading, closing(sqlite3.connect(target)) as writing:
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30, isolation_level=None)


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
