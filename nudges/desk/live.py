"""The screen as it runs: before each text it looks whether a newer version was published.

The look is one indexed row on a bare connection: our sessions on SQLite take the write lock as they begin, and this
runs while the text's own transaction is open. Whatever fails, the edition in memory stays and the text is screened.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg
from sqlalchemy import Engine, PoolProxiedConnection

from nudges.crisis import edition
from nudges.crisis.edition import Edition
from nudges.crisis.screen import screen
from nudges.crisis.values import Screening
from nudges.db import Sealed

logger = logging.getLogger(__name__)

_NEWEST: Final = "SELECT number FROM phrase_versions ORDER BY number DESC LIMIT 1"
_CONTENT: Final = "SELECT number, content, digest FROM phrase_versions ORDER BY number DESC LIMIT 1"


class StoredVersionError(ValueError):
    """A stored version is not what was published: its content does not have its hash."""


class LiveScreen:
    """`nudges.crisis.screen.screen` that follows what is published. One for each process; threads may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.fault: str | None = None

    def __call__(
        self, text: str, *, recent: Sequence[str] = (), own_texts: Sequence[str] = (), open_episode: bool = False
    ) -> Screening:
        self.refresh()
        return screen(text, recent=recent, own_texts=own_texts, open_episode=open_episode)

    def refresh(self) -> None:
        """Put the newest version in force if it is not yet. Never raises: the last good one stays."""
        try:
            with closing(self._engine.raw_connection()) as connection, _without_transaction(connection):
                cursor = connection.cursor()
                cursor.execute(_NEWEST)
                row = cursor.fetchone()
                number = int(row[0]) if row is not None else 0
                if number != edition.in_force().number:
                    edition.put_in_force(_load(cursor) if number else None)
                cursor.close()
            self.fault = None
        except Exception as error:  # a text has to be screened whatever is wrong with the desk
            self._note(type(error).__name__)

    def _note(self, fault: str) -> None:
        if fault != self.fault:  # once, not for each text
            logger.error("the newest crisis phrases are not in force: %s", fault, extra={"action": "phrases"})
        self.fault = fault


@contextmanager
def _without_transaction(connection: PoolProxiedConnection) -> Iterator[None]:
    """The look is one message and one answer, and leaves nothing behind; on SQLite a SELECT begins nothing anyway."""
    driver: Any = connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        yield
        return
    driver.autocommit = True
    try:
        yield
    finally:
        if not driver.closed:
            driver.autocommit = False


def follow(read: object) -> None:
    """Bring this process up to date where no text has come in lately; for pages and monitors."""
    if isinstance(read, LiveScreen):
        read.refresh()


def _load(cursor: Any) -> Edition:
    cursor.execute(_CONTENT)
    number, sealed, digest = cursor.fetchone()
    return opened(int(number), Sealed().process_result_value(sealed, None) or "", digest)  # type: ignore[arg-type]  # the dialect is not used


def opened(number: int, content: str, digest: str) -> Edition:
    """The edition of a stored version. Raises StoredVersionError for one that was changed."""
    loaded = json.loads(content)
    if edition.digest_of(loaded) != digest:
        raise StoredVersionError(f"version {number} does not have the hash that it was published with")
    built, skipped = edition.build_what_can(number, loaded)
    for key in skipped:
        logger.error("this release cannot read %s of the published phrases", key, extra={"action": "phrases"})
    return built
