"""The database: base class, column types, engine. SQLite and PostgreSQL behave alike from here on up."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Mapping
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
    Integer,
    MetaData,
    Select,
    String,
    Text,
    bindparam,
    cast,
    create_engine,
    event,
    select,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Session, sessionmaker
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from nudges import turns

# How long PostgreSQL may be silent. A machine that was cut off would otherwise wait for an answer for a quarter of an
# hour, and a webhook for a connection: seconds and milliseconds, as libpq names them.
REACH: Final = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

# The same the other way round, as PostgreSQL names it for a session: what a machine held that was cut off, or lost its
# power, in the middle of a transaction would stay locked for hours, and its lane with it.
_REACH_BACK: Final = {
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}

BUSY: Final = 15.0  # seconds that a writer waits for the one before it


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
        return "v1." + binascii.b2a_base64(nonce + box, newline=False).decode()

    def open(self, stored: str) -> str:
        raw = binascii.a2b_base64(stored.removeprefix("v1."))
        nonce, sealed = raw[:12], raw[12:]
        for box in self._boxes:
            try:
                return box.decrypt(nonce, sealed, b"v1").decode()
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


def seal(text: str) -> str:
    """What a sealed column stores for a text, under the installation's first key."""
    return _cipher().seal(text)


def unseal(stored: str) -> str:
    """The text of a sealed value that was read as it is stored, by a caller that needs only some of them."""
    return _cipher().open(stored)


def _cipher() -> Cipher:
    if _Keyring.cipher is None:
        raise RuntimeError("no encryption key in use: call db.use_cipher first")
    return _Keyring.cipher


class Sealed(TypeDecorator[str]):
    """Text that is encrypted at rest: names, phone numbers, message bodies."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else seal(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else unseal(value)


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
            connect_args={"timeout": BUSY, "check_same_thread": False, "factory": turns.in_turn(BUSY)},
            hide_parameters=True,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
        return engine
    # An error's text must not quote a name, a number or a body: parameters stay out of it.
    engine = create_engine(
        url,
        connect_args=dict(REACH),
        pool_size=10,
        max_overflow=10,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    _set_in_each_session(engine, _REACH_BACK)
    return engine


def end_silent_transactions(engine: Engine, *, seconds: float) -> None:
    """Have PostgreSQL end a transaction in which this process says nothing for so long, from its next connection on.

    For processes that run for ever: one that is stopped, or whose machine is paused, in the middle of a transaction
    would keep everybody from its lane, and from the ledger, until it goes on.
    """
    if engine.dialect.name == "postgresql":
        _set_in_each_session(engine, {"idle_in_transaction_session_timeout": str(round(seconds * 1000))})
        engine.dispose()


def _set_in_each_session(engine: Engine, settings: Mapping[str, str]) -> None:
    def prepare(connection: Any, record: Any) -> None:
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.commit()

    event.listen(engine, "connect", prepare)


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
    driver = connection.connection.dbapi_connection
    driver.wait_for_turn()
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except BaseException:
        driver.give_turn_back()
        raise


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


class _Unindexed(FunctionElement[Any]):
    """See `unindexed`."""

    inherit_cache = True
    name = "unindexed"


@compiles(_Unindexed, "sqlite")
def _unindexed_on_sqlite(element: _Unindexed, compiler: Any, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


@compiles(_Unindexed, "postgresql")
def _unindexed_on_postgres(element: _Unindexed, compiler: Any, **options: Any) -> str:
    found = compiler.process(element.clauses, **options)
    return f"({found} || '')" if isinstance(element.type, String) else str(found)


def unindexed(column: Column[Any] | InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """A column by whose index rows must not be looked for, on SQLite; on PostgreSQL only text is meant.

    For conditions that only make sure of rows which are found otherwise: without statistics (after an import, or in a
    queue that fills within a minute) such an index looks best, and is read from end to end.
    """
    found: ColumnElement[Any] = _Unindexed(column)
    found.type = column.type
    return found


def ids_given(name: str) -> Select[tuple[int]]:
    """Any number of ids, for `IN`, from one parameter that `as_given` wrote: a list of a hundred thousand would be more
    parameters than SQLite takes."""
    members = _Members(bindparam(name, type_=Text())).table_valued("key", "value", name=name)
    return select(cast(members.c.key, Integer()))


def as_given(ids: Iterable[Any]) -> str:
    """Ids for a parameter of `ids_given`."""
    return json.dumps(dict.fromkeys(ids))
