"""The raw limit: the two stages of sending as bare SQL in batches, on the same database and in the same run.

planner: claim due rows by an index, advance them, insert outbox rows, one transaction a batch of 500.
lane: claim 50, commit, a sender that does nothing, mark and record, commit.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

import psycopg
from sqlalchemy import make_url

LATER = 30 * 86400
BODY = "Tonight at dinner ask: what was the best part of your day? Reply STOP to opt out. " + "x" * 30
TABLES = """
CREATE TABLE msg (id {key}, lane text NOT NULL, next_due_at {real} NOT NULL, status int NOT NULL DEFAULT 0,
  step int NOT NULL DEFAULT 0, body text);
CREATE INDEX msg_due ON msg (next_due_at) WHERE status = 0;
CREATE TABLE out (id {key}, msg_id {big} NOT NULL, lane text NOT NULL, status int NOT NULL DEFAULT 0, body text,
  leased_at {real}, sent_at {real});
CREATE INDEX out_lane ON out (lane, id) WHERE status = 0;
CREATE TABLE sent (id {key}, msg_id {big} NOT NULL, sent_at {real} NOT NULL)
"""


def rates(kind: str, url: str, *, held: int, due: int) -> tuple[float, float]:
    """Messages a second through the planner, and through the lane."""
    return _sqlite(url, held, due) if kind == "sqlite" else _postgres(url, held, due)


def _per_second(step: Callable[[], int], due: int) -> float:
    began, done = time.perf_counter(), 0
    while moved := step():
        done += moved
    if done != due:
        raise RuntimeError(f"{done} of {due} went through")
    return due / (time.perf_counter() - began)


def _rows(held: int, due: int) -> list[tuple[int, str, float, str]]:
    now = time.time()
    every = max(1, held // due)
    return [(i, "A", now - 60 if i % every == 0 and i // every < due else now + LATER, BODY) for i in range(held)]


def _sqlite(url: str, held: int, due: int) -> tuple[float, float]:
    db = sqlite3.connect(str(make_url(url).database), isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.executescript(TABLES.format(key="integer PRIMARY KEY", real="real", big="integer"))
    db.execute("BEGIN")
    db.executemany("INSERT INTO msg (id, lane, next_due_at, body) VALUES (?, ?, ?, ?)", _rows(held, due))
    db.execute("COMMIT")

    def plan() -> int:
        db.execute("BEGIN IMMEDIATE")
        rows = db.execute(
            "UPDATE msg SET next_due_at = next_due_at + ?, step = step + 1 WHERE id IN (SELECT id FROM msg"
            " WHERE status = 0 AND next_due_at <= ? ORDER BY next_due_at LIMIT 500) RETURNING id, lane, body",
            (LATER, time.time()),
        ).fetchall()
        db.executemany("INSERT INTO out (msg_id, lane, body) VALUES (?, ?, ?)", rows)
        db.execute("COMMIT")
        return len(rows)

    def drain() -> int:
        db.execute("BEGIN IMMEDIATE")
        rows = db.execute(
            "UPDATE out SET status = 1, leased_at = ? WHERE id IN (SELECT id FROM out WHERE status = 0 AND lane = 'A'"
            " ORDER BY id LIMIT 50) RETURNING id, msg_id",
            (time.time(),),
        ).fetchall()
        db.execute("COMMIT")
        at = time.time()
        db.execute("BEGIN IMMEDIATE")
        db.executemany("UPDATE out SET status = 2, sent_at = ? WHERE id = ?", [(at, row[0]) for row in rows])
        db.executemany("INSERT INTO sent (msg_id, sent_at) VALUES (?, ?)", [(row[1], at) for row in rows])
        db.execute("COMMIT")
        return len(rows)

    found = _per_second(plan, due), _per_second(drain, due)
    db.close()
    return found


def _postgres(url: str, held: int, due: int) -> tuple[float, float]:
    where = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(where, autocommit=True) as db:
        db.execute(TABLES.format(key="bigserial PRIMARY KEY", real="double precision", big="bigint").encode())
        with db.cursor().copy("COPY msg (id, lane, next_due_at, body) FROM STDIN") as copy:
            for row in _rows(held, due):
                copy.write_row(row)
        db.execute("ANALYZE msg")

        def plan() -> int:
            with db.transaction():
                rows = db.execute(
                    "UPDATE msg SET next_due_at = next_due_at + %s, step = step + 1 WHERE id IN (SELECT id FROM msg"
                    " WHERE status = 0 AND next_due_at <= %s ORDER BY next_due_at LIMIT 500 FOR UPDATE SKIP LOCKED)"
                    " RETURNING id, lane, body",
                    (LATER, time.time()),
                ).fetchall()
                if rows:
                    db.execute(
                        "INSERT INTO out (msg_id, lane, body)"
                        " SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[])",
                        tuple(list(column) for column in zip(*rows, strict=True)),
                    )
            return len(rows)

        def drain() -> int:
            with db.transaction():
                rows = db.execute(
                    "UPDATE out SET status = 1, leased_at = %s WHERE id IN (SELECT id FROM out WHERE status = 0 AND"
                    " lane = 'A' ORDER BY id LIMIT 50 FOR UPDATE SKIP LOCKED) RETURNING id, msg_id",
                    (time.time(),),
                ).fetchall()
            at = time.time()
            with db.transaction():
                ids = [row[0] for row in rows], [row[1] for row in rows]
                db.execute("UPDATE out SET status = 2, sent_at = %s WHERE id = ANY(%s)", (at, ids[0]))
                db.execute("INSERT INTO sent (msg_id, sent_at) SELECT x, %s FROM unnest(%s::bigint[]) x", (at, ids[1]))
            return len(rows)

        return _per_second(plan, due), _per_second(drain, due)
