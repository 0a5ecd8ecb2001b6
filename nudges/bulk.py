"""One statement for many rows, past the ORM: with little work for each row.

`insert_rows` takes rows as they come. What a batch of parents leads to has most columns in common with all parents who
stand alike: `ManyInserts` and `ManyUpdates` work those out once (`Shared`), and each row adds only what is its own, ids
and sealed texts.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, Final, TypeVar

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    update,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine, UserDefinedType

from nudges.db import Sealed, UTCDateTime, as_json

K = TypeVar("K")
V = TypeVar("V")


def once_each(most: int) -> Callable[[Callable[[K], V]], Callable[[K], V]]:
    """A function's answers, kept for `most` values: by identity, since to hash a sequence or a policy, field by field,
    costs more than to look at it."""

    def remembering(work: Callable[[K], V]) -> Callable[[K], V]:
        known: dict[int, tuple[K, V]] = {}

        @wraps(work)
        def remembered(value: K) -> V:
            found = known.get(id(value))
            if found is not None:
                return found[1]
            if len(known) >= most:
                known.clear()
            answer = work(value)
            known[id(value)] = value, answer  # holds the value, so that its id stays its own
            return answer

        return remembered

    return remembering


_ENCODED: Final = json.JSONEncoder()


@dataclass(frozen=True, slots=True)
class Shared:
    """The columns that many rows share, as they are stored: one after the other, and written for PostgreSQL."""

    values: tuple[Any, ...]
    written: str


Row = tuple[tuple[Any, ...], Shared]  # what is the row's own, as it is stored, and what it shares


class _Many(ABC):
    """One statement for many rows. PostgreSQL gets them as one text, since a message and a plan for each row cost more
    than the row; SQLite, which is in this process, takes one after the other.

    `own` and `shared` name columns. JSON is given as text, and so is what is sealed, which only a row's own may be (two
    rows must not show that they hold the same words); instants only among the shared ones.
    """

    def __init__(self, columns: Mapping[str, Column[Any]], own: Sequence[str], shared: Sequence[str]) -> None:
        if any(isinstance(columns[name].type, Sealed) for name in shared):
            raise ValueError("a sealed column is each row's own")
        self._columns, self._own, self._shared = dict(columns), tuple(own), tuple(shared)
        self._processes: dict[str, dict[str, Callable[[Any], Any]]] = {}  # of instants, by the database's name

    def share(self, dialect: Dialect, columns: Mapping[str, Any]) -> Shared:
        """What rows share, as the database stores it."""
        processes = self._processes.get(dialect.name)
        if processes is None:
            processes = self._processes[dialect.name] = {
                name: process for name in self._shared if (process := _stored(self._columns[name], dialect)) is not None
            }
        values = {name: columns[name] for name in self._shared}
        for name, process in processes.items():
            values[name] = process(values[name])
        return Shared(tuple(values.values()), self._written(values) if dialect.name == "postgresql" else "")

    def run(self, session: Session, rows: Sequence[Row]) -> int:
        """How many rows of the table were written."""
        if not rows:
            return 0
        connection = session.connection()
        if connection.dialect.name == "postgresql":
            return self._at_once(connection, rows)
        given = [(*own, *shared.values) for own, shared in rows]
        return connection.exec_driver_sql(self._one_by_one(connection.dialect), given).rowcount

    @abstractmethod
    def _written(self, shared: Mapping[str, Any]) -> str:
        """Shared columns as they stand in PostgreSQL's text."""

    @abstractmethod
    def _at_once(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Write all rows, on PostgreSQL."""

    @abstractmethod
    def _one_by_one(self, dialect: Dialect) -> str:
        """The statement for one row, for SQLite."""


class ManyInserts(_Many):
    """One COPY for many rows, or an INSERT. Columns that are not named get nothing, or what the database says."""

    def __init__(self, table: Table, *, own: Sequence[str], shared: Sequence[str]) -> None:
        super().__init__({name: table.c[name] for name in (*own, *shared)}, own, shared)
        self._table = table

    def _written(self, shared: Mapping[str, Any]) -> str:
        return "\t".join(_field(value) for value in shared.values())

    def _at_once(self, connection: Connection, rows: Sequence[Row]) -> int:
        return _copy(
            connection, self._table, self._columns, ((*map(_field, own), shared.written) for own, shared in rows)
        )

    def _one_by_one(self, dialect: Dialect) -> str:
        return _insert(self._table, self._columns, dialect)


class ManyUpdates(_Many):
    """One UPDATE for each row, of the row with that id whose other `where` columns stand as given under `if_…`.

    PostgreSQL gets the rows as one JSON document.
    """

    def __init__(self, table: Table, *, where: Sequence[str], own: Sequence[str], shared: Sequence[str]) -> None:
        named = {f"if_{name}": table.c[name] for name in where}
        names = (*own, *shared)
        super().__init__({name: named[name] if name in named else table.c[name] for name in names}, own, shared)
        self._table, self._where = table, tuple(where)
        self._set = [name for name in names if name not in named]
        shapes = [column(name, _in_a_document(of.type)) for name, of in self._columns.items()]
        rows = func.json_to_recordset(cast(bindparam("rows", type_=Text()), _JSON_TEXT))
        self._given = rows.table_valued(*shapes).render_derived(name="given", with_types=True)
        self._all = (
            update(table)
            .where(*(table.c[name] == self._given.c[f"if_{name}"] for name in where))
            .values({name: self._value(name) for name in self._set})
        )

    def _written(self, shared: Mapping[str, Any]) -> str:
        return _ENCODED.encode(shared).removeprefix("{")

    def _at_once(self, connection: Connection, rows: Sequence[Row]) -> int:
        encode, names = _ENCODED.encode, self._own
        joint = ", " if self._shared else ""
        members = (encode(dict(zip(names, own, strict=True)))[:-1] + joint + shared.written for own, shared in rows)
        return connection.execute(self._all, {"rows": f"[{','.join(members)}]"}).rowcount

    def _value(self, name: str) -> ColumnElement[Any]:
        """What a row of the document holds under a name."""
        found: ColumnElement[Any] = self._given.c[name]
        return cast(found, _JSON_TEXT) if isinstance(self._columns[name].type, JSON) else found

    def _one_by_one(self, dialect: Dialect) -> str:
        """Parameters by number: those of the conditions come where the row has them."""
        quote, places = dialect.identifier_preparer.quote, {n: i for i, n in enumerate(self._columns, start=1)}
        new = ", ".join(f"{quote(name)} = ?{places[name]}" for name in self._set)
        old = " AND ".join(f"{quote(name)} = ?{places[f'if_{name}']}" for name in self._where)
        return f"UPDATE {quote(self._table.name)} SET {new} WHERE {old}"


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows that all name the same columns, with the values that the columns take.

    What the model would give a column that is not named does not come here: ValueError for such a one.
    """
    if not rows:
        return
    names, dialect = list(rows[0]), connection.dialect
    left_out = [column.name for column in table.columns if column.default is not None and column.name not in names]
    if left_out:
        raise ValueError(f"{table.name}: name {', '.join(left_out)} in each row")
    writers = [_writer(table.c[name], dialect) for name in names]
    stored = ([write(row[name]) for write, name in zip(writers, names, strict=True)] for row in rows)
    if dialect.name == "postgresql":
        _copy(connection, table, names, (map(_field, row) for row in stored))
    else:
        connection.exec_driver_sql(_insert(table, names, dialect), [tuple(row) for row in stored])


def _writer(column: Column[Any], dialect: Dialect) -> Callable[[Any], Any]:
    """From a value to what is stored: JSON as its text, all else as the column's type says."""
    if isinstance(column.type, JSON):
        return as_json
    if (written := _stored(column, dialect)) is not None:
        return written
    process: Callable[[Any], Any] | None = column.type.dialect_impl(dialect).bind_processor(dialect)
    return process or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _insert(table: Table, names: Collection[str], dialect: Dialect) -> str:
    name, columns = _quoted(table, names, dialect)
    return f"INSERT INTO {name} ({columns}) VALUES ({', '.join('?' for _ in names)})"


def _copy(connection: Connection, table: Table, names: Collection[str], rows: Iterable[Iterable[str]]) -> int:
    """COPY is past SQLAlchemy: its errors are raised as those of every other statement are."""
    name, columns = _quoted(table, names, connection.dialect)
    statement = f"COPY {name} ({columns}) FROM STDIN"
    text = "\n".join("\t".join(row) for row in rows)
    cursor, errors = connection.connection.cursor(), connection.dialect.loaded_dbapi.Error
    try:
        with cursor.copy(statement) as copy:
            copy.write(text)
        return cursor.rowcount
    except errors as error:
        raise DBAPIError.instance(
            statement, None, error, errors, hide_parameters=True, dialect=connection.dialect
        ) from error
    finally:
        cursor.close()


def _quoted(table: Table, names: Collection[str], dialect: Dialect) -> tuple[str, str]:
    """The table and its columns as the database wants them written."""
    quote = dialect.identifier_preparer.quote
    return quote(table.name), ", ".join(quote(name) for name in names)


def _field(value: Any) -> str:
    """A value in the text of a COPY."""
    if value is None:
        return "\\N"
    if type(value) is not str:
        return str(value)
    text = value.replace("\\", "\\\\").replace("\t", "\\t")
    return text.replace("\n", "\\n").replace("\r", "\\r")


class _JSONText(UserDefinedType[str]):
    """PostgreSQL's JSON, whose text is written already."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        return "JSON"


_JSON_TEXT: Final = _JSONText()


def _stored(column: Column[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """From a value to what the driver is given: instants as each database writes them; none for all else."""
    if not isinstance(column.type, UTCDateTime):
        return None
    process: Callable[[Any], Any] | None = column.type.dialect_impl(dialect).bind_processor(dialect)

    @once_each(8)  # most are the one instant of the whole batch
    def written(value: Any) -> Any:
        at = value if process is None else process(value)
        return at.isoformat() if isinstance(at, datetime) else at

    return written


def _in_a_document(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    return Text() if isinstance(type_, JSON | Sealed) else type_
