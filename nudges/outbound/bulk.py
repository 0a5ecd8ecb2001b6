"""One statement for many rows, past the ORM: what a batch of parents comes to is written with little work for each row.

Most columns of such rows are the same for all parents who stand alike. What is stored for those is worked out once
(`Shared`); each row adds only what is its own: ids and sealed texts.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Executable,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine, UserDefinedType

from nudges.db import Sealed, UTCDateTime

_ENCODED: Final = json.JSONEncoder()


@dataclass(frozen=True, slots=True)
class Shared:
    """The columns that many rows share, as they are stored: one after the other, and (for PostgreSQL) as members of a
    JSON object."""

    values: tuple[Any, ...]
    members: str


Row = tuple[tuple[Any, ...], Shared]  # what is the row's own, as it is stored, and what it shares


class _Many(ABC):
    """One statement for many rows. PostgreSQL gets them as one JSON document, since a message and a plan for each row
    cost more than the row; SQLite, which is in this process, takes one after the other.

    `own` and `shared` name columns. JSON is given as text, and so is what is sealed, which only a row's own may be (two
    rows must not show that they hold the same words); instants only among the shared ones.
    """

    _all: Executable

    def __init__(self, columns: Mapping[str, Column[Any]], own: Sequence[str], shared: Sequence[str]) -> None:
        if any(isinstance(columns[name].type, Sealed) for name in shared):
            raise ValueError("a sealed column is each row's own")
        self._columns, self._own, self._shared = dict(columns), tuple(own), tuple(shared)
        self._processes: dict[str, dict[str, Callable[[Any], Any]]] = {}  # of instants, by the database's name
        shapes = [column(name, _in_a_document(of.type)) for name, of in columns.items()]
        rows = func.json_to_recordset(cast(bindparam("rows", type_=Text()), _JSON_TEXT))
        self._given = rows.table_valued(*shapes).render_derived(name="given", with_types=True)

    def share(self, dialect: Dialect, columns: Mapping[str, Any]) -> Shared:
        """What rows share, as the database stores it."""
        processes = self._processes.get(dialect.name)
        if processes is None:
            processes = self._processes[dialect.name] = {
                name: process for name in self._shared if (process := _stored(self._columns[name], dialect)) is not None
            }
        values = {name: columns[name] for name in self._shared}
        values |= {name: process(values[name]) for name, process in processes.items()}
        is_document = dialect.name == "postgresql"
        return Shared(tuple(values.values()), _ENCODED.encode(values).removeprefix("{") if is_document else "")

    def run(self, session: Session, rows: Sequence[Row]) -> int:
        """How many rows of the table were written."""
        if not rows:
            return 0
        connection = session.connection()
        if connection.dialect.name == "postgresql":
            return connection.execute(self._all, {"rows": self._document(rows)}).rowcount
        given = [(*own, *shared.values) for own, shared in rows]
        return connection.exec_driver_sql(self._one_by_one(connection.dialect), given).rowcount

    def _value(self, name: str) -> ColumnElement[Any]:
        """What a row of the document holds under a name."""
        found: ColumnElement[Any] = self._given.c[name]
        return cast(found, _JSON_TEXT) if isinstance(self._columns[name].type, JSON) else found

    def _document(self, rows: Sequence[Row]) -> str:
        encode, names = _ENCODED.encode, self._own
        joint = ", " if self._shared else ""
        members = (encode(dict(zip(names, own, strict=True)))[:-1] + joint + shared.members for own, shared in rows)
        return f"[{','.join(members)}]"

    @abstractmethod
    def _one_by_one(self, dialect: Dialect) -> str:
        """The statement for one row, for SQLite."""


class ManyInserts(_Many):
    """One INSERT for many rows. Columns that are not named get nothing, or what the database says."""

    def __init__(self, table: Table, *, own: Sequence[str], shared: Sequence[str]) -> None:
        super().__init__({name: table.c[name] for name in (*own, *shared)}, own, shared)
        self._table = table
        names = [*own, *shared]
        self._all = insert(table).from_select(names, select(*(self._value(name) for name in names)))

    def _one_by_one(self, dialect: Dialect) -> str:
        quote = dialect.identifier_preparer.quote
        names = [quote(name) for name in self._columns]
        return f"INSERT INTO {quote(self._table.name)} ({', '.join(names)}) VALUES ({', '.join('?' for _ in names)})"


class ManyUpdates(_Many):
    """One UPDATE for each row, of the row with that id whose other `where` columns stand as given under `if_…`."""

    def __init__(self, table: Table, *, where: Sequence[str], own: Sequence[str], shared: Sequence[str]) -> None:
        named = {f"if_{name}": table.c[name] for name in where}
        names = (*own, *shared)
        super().__init__({name: named[name] if name in named else table.c[name] for name in names}, own, shared)
        self._table, self._where = table, tuple(where)
        self._set = [name for name in names if name not in named]
        self._all = (
            update(table)
            .where(*(table.c[name] == self._given.c[f"if_{name}"] for name in where))
            .values({name: self._value(name) for name in self._set})
        )

    def _one_by_one(self, dialect: Dialect) -> str:
        """Parameters by number: those of the conditions come where the row has them."""
        quote, places = dialect.identifier_preparer.quote, {n: i for i, n in enumerate(self._columns, start=1)}
        new = ", ".join(f"{quote(name)} = ?{places[name]}" for name in self._set)
        old = " AND ".join(f"{quote(name)} = ?{places[f'if_{name}']}" for name in self._where)
        return f"UPDATE {quote(self._table.name)} SET {new} WHERE {old}"


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

    def written(value: Any) -> Any:
        at = value if process is None else process(value)
        return at.isoformat() if isinstance(at, datetime) else at

    return written


def _in_a_document(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    return Text() if isinstance(type_, JSON | Sealed) else type_
