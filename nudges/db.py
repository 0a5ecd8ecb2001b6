"""The database: base class, column types, engine. SQLite and PostgreSQL behave alike from here on up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    DateTime,
    Engine,
    Executable,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    cast,
    column,
    create_engine,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

# How long PostgreSQL may be silent. A machine that was cut off would otherwise wait for an answer for a quarter of an
# hour, and a webhook for a connection: seconds and milliseconds, as libpq names them.
REACH: Final = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

Sessions = Callable[[], Session]

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UTCDateTime(TypeDecorator[datetime]):
    """An aware instant. Refuses naive values on the way in; restores UTC on the way out (SQLite drops it)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime reached the database; pass an aware UTC one")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Cipher:
    """AES-256-GCM with rotating keys, and a keyed blind index for exact look-ups.

    The first key encrypts, every key may decrypt. A stored text is `v1.<base64(nonce + box)>`.
    """

    def __init__(self, keys: tuple[bytes, ...], index_key: bytes) -> None:
        self._boxes = [AESGCM(key) for key in keys]
        self._index_key = index_key

    def seal(self, text: str) -> str:
        nonce = os.urandom(12)
        box = self._boxes[0].encrypt(nonce, text.encode(), b"v1")
        return "v1." + base64.b64encode(nonce + box).decode()

    def open(self, stored: str) -> str:
        raw = base64.b64decode(stored.removeprefix("v1."))
        for box in self._boxes:
            try:
                return box.decrypt(raw[:12], raw[12:], b"v1").decode()
            except InvalidTag:
                continue
        raise ValueError("a stored text was sealed with a key that NUDGES_ENCRYPTION_KEYS no longer holds")

    def index(self, text: str) -> str:
        """A keyed fingerprint: equal texts give equal values, and nothing else can be told from it."""
        return hmac.new(self._index_key, text.encode(), hashlib.sha256).hexdigest()


class _Keyring:
    """The cipher that `Sealed` columns use; set once by wiring, because column types cannot be passed values."""

    cipher: Cipher | None = None


def use_cipher(cipher: Cipher) -> None:
    """Let sealed columns encrypt and decrypt with `cipher` from now on, in this process."""
    _Keyring.cipher = cipher


def blind_index(text: str) -> str:
    """The look-up value of a phone number in E.164, under the installation's index key."""
    return _cipher().index(text)


def _cipher() -> Cipher:
    if _Keyring.cipher is None:
        raise RuntimeError("no encryption key in use: call db.use_cipher first")
    return _Keyring.cipher


class AsStored(str):
    """A sealed text as another row holds it, to be stored again as it is."""

    __slots__ = ()


class Encoded(str):
    """JSON that is written already, for a JSON column."""

    __slots__ = ()


def _as_json(value: Any) -> str:
    return value if isinstance(value, Encoded) else json.dumps(value)


class Sealed(TypeDecorator[str]):
    """Text that is encrypted at rest: names, phone numbers, message bodies."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None or isinstance(value, AsStored) else _cipher().seal(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else _cipher().open(value)


class Base(DeclarativeBase):
    """All tables. `Mapped[datetime]` is a UTC instant, `Mapped[dict]` is JSON."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {
        datetime: UTCDateTime(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
        str: String(200),
    }


def make_engine(url: str) -> Engine:
    """An engine for SQLite (WAL, foreign keys, immediate transactions) or PostgreSQL (UTC sessions)."""
    if url.startswith("sqlite"):
        engine = create_engine(
            url,
            connect_args={"timeout": 15, "check_same_thread": False},
            hide_parameters=True,
            json_serializer=_as_json,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
        return engine
    # An error's text must not quote a name, a number or a body: parameters stay out of it.
    return create_engine(
        url,
        connect_args=dict(REACH),
        pool_size=10,
        max_overflow=10,
        pool_pre_ping=True,
        hide_parameters=True,
        json_serializer=_as_json,
    )


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    return sessionmaker(engine, expire_on_commit=False)


def _prepare_sqlite(connection: Any, record: Any) -> None:
    # The driver's own transaction handling starts late and breaks savepoints: we begin ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL", "busy_timeout=15000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    # A read that turns into a write would fail with "database is locked" at once; take the lock at the start.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class _Members(FunctionElement[str]):
    """The members of a JSON object as rows of `key` and `value`, both text."""

    inherit_cache = True
    name = "members"


@compiles(_Members, "sqlite")
def _members_on_sqlite(element: _Members, compiler: Any, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Members, "postgresql")
def _members_on_postgres(element: _Members, compiler: Any, **options: Any) -> str:
    return f"json_each_text(CAST({compiler.process(element.clauses, **options)} AS JSON))"


def pairs_given(name: str) -> TableValuedAlias:
    """Rows of `key` and `value` from one parameter that `as_given` wrote: the statement stays the same for any number
    of them, so it is built once and its plan is kept."""
    return _Members(bindparam(name, type_=Text())).table_valued("key", "value", name=name)


def ids_given(name: str) -> Select[tuple[int]]:
    """The keys of `pairs_given` as numbers, for `IN`."""
    return select(cast(pairs_given(name).c.key, Integer()))


def as_given(pairs: Mapping[Any, str] | Iterable[Any]) -> str:
    """Ids, or text by id, for a parameter of `pairs_given` or `ids_given`."""
    return json.dumps(dict(pairs) if isinstance(pairs, Mapping) else dict.fromkeys(pairs))


class _Many:
    """One statement for many rows, each a dict. PostgreSQL gets them as one JSON document, since a message and a plan
    for each row cost more than the row; SQLite, which is in this process, takes one after the other."""

    _one: Executable
    _all: Executable

    def __init__(self, columns: Mapping[str, Column[Any]]) -> None:
        self._columns = dict(columns)
        shapes = [column(name, _in_a_document(of.type)) for name, of in columns.items()]
        rows = func.json_to_recordset(cast(bindparam("rows", type_=Text()), _JSON_TEXT))
        self._given = rows.table_valued(*shapes).render_derived(name="given", with_types=True)

    def value(self, name: str) -> ColumnElement[Any]:
        """What a row of the document holds under a name."""
        type_ = self._columns[name].type
        found: ColumnElement[Any] = self._given.c[name]
        return cast(found, _JSON_TEXT) if isinstance(type_, JSON) else found

    def run(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
        """How many rows of the table were written."""
        if not rows:
            return 0
        connection = session.connection()
        if connection.dialect.name == "postgresql":
            return connection.execute(self._all, {"rows": self._document(connection.dialect, rows)}).rowcount
        return connection.execute(self._one, [self.parameters(row) for row in rows]).rowcount

    def parameters(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return dict(row)

    def _document(self, dialect: Dialect, rows: Sequence[Mapping[str, Any]]) -> str:
        to_stored = {
            name: process
            for name, of in self._columns.items()
            if (process := _to_document(of.type, dialect)) is not None
        }
        stored = [{**row, **{name: of(row[name]) for name, of in to_stored.items() if name in row}} for row in rows]
        return json.dumps(stored, default=datetime.isoformat)


class ManyInserts(_Many):
    """One INSERT for many rows that all have the columns `names`; others get their default."""

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        super().__init__({name: table.c[name] for name in names})
        self._one = insert(table)
        self._all = insert(table).from_select(list(names), select(*(self.value(name) for name in names)))


class ManyUpdates(_Many):
    """One UPDATE of the columns `set_` for each row, where those of `where` are as the row has them under `if_…`."""

    def __init__(self, table: Table, *, where: Sequence[str], set_: Sequence[str]) -> None:
        super().__init__({f"if_{name}": table.c[name] for name in where} | {name: table.c[name] for name in set_})
        self._one = (
            update(table)
            .where(*(table.c[name] == bindparam(f"if_{name}") for name in where))
            .values({name: bindparam(f"new_{name}", type_=table.c[name].type) for name in set_})
        )
        self._all = (
            update(table)
            .where(*(table.c[name] == self._given.c[f"if_{name}"] for name in where))
            .values({name: self.value(name) for name in set_})
        )

    def parameters(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name if name.startswith("if_") else f"new_{name}": row[name] for name in self._columns}


class _JSONText(UserDefinedType[str]):
    """PostgreSQL's JSON, whose text is written already."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        return "JSON"


_JSON_TEXT: Final = _JSONText()


def _to_document(type_: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """What makes of a value the text that is stored; none when it stays as it is."""
    return _as_json if isinstance(type_, JSON) else type_.dialect_impl(dialect).bind_processor(dialect)


def _in_a_document(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    return Text() if isinstance(type_, JSON | Sealed) else type_
