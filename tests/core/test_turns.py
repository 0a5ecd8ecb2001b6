"""SQLite's writers queue in this process: first come, first served, and nobody for ever."""

from __future__ import annotations

import threading
import time

from sqlalchemy import text

from nudges.db import make_engine
from nudges.turns import Turns


def wait_until(condition):
    until = time.monotonic() + 10
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    assert condition()


def test_writers_go_in_the_order_in_which_they_came():
    turns, order = Turns(seconds=10), []

    def write(n):
        assert turns.take()
        order.append(n)
        turns.give_back()

    assert turns.take()
    threads = []
    for n in range(6):
        threads.append(threading.Thread(target=write, args=(n,)))
        threads[-1].start()
        wait_until(lambda n=n: len(turns._queue) == n + 1)
    turns.give_back()
    for thread in threads:
        thread.join()
    assert order == list(range(6))
    assert turns.take()


def test_whoever_waits_too_long_goes_without_a_turn_and_the_queue_goes_on():
    turns, got = Turns(seconds=0.01), []
    assert turns.take()
    thread = threading.Thread(target=lambda: got.append(turns.take()))
    thread.start()
    thread.join()
    assert got == [False]
    turns.give_back()
    assert turns.take()


def test_a_thread_that_has_its_turn_does_not_wait_for_itself():
    turns = Turns(seconds=60)
    assert turns.take()
    assert not turns.take()


def test_no_increment_of_many_writers_is_lost_and_a_failed_one_gives_its_turn_back(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/turns.sqlite3")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE counted (n INTEGER)"))
        connection.execute(text("INSERT INTO counted VALUES (0)"))

    def count_up(n):
        for _ in range(10):
            try:
                with engine.begin() as connection:
                    (found,) = connection.execute(text("SELECT n FROM counted")).one()
                    connection.execute(text("UPDATE counted SET n = :n"), {"n": found + 1})
                    if n == 0:
                        raise LookupError("this one is rolled back")
            except LookupError:
                continue

    threads = [threading.Thread(target=count_up, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.begin() as connection:
        assert connection.execute(text("SELECT n FROM counted")).scalar_one() == 50
    engine.dispose()
