"""What the fake can be told to do with its next call. Each is used up once, oldest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

OFF_CONTRACT: Final = "X-Fake-Off-Contract"  # marks answers that no specification promises, such as a proxy's page


@dataclass(frozen=True, kw_only=True, slots=True)
class Behaviour:
    """One scripted answer. `stored` says whether the text exists afterwards, whatever the caller was told."""

    stored: bool = True
    status: int = 201
    code: int | None = None
    retry_after: str | None = None
    page: str | None = None  # answered as it is, instead of Twilio's JSON
    problem_json: bool = False  # the newer error form, RFC 9457
    ending: Literal["answer", "close", "hang"] = "answer"
    delay_seconds: float = 0.0
    callbacks_first: tuple[str, ...] = ()
    fails_with: int | None = None  # accepted now, given back later with this code


def accept() -> Behaviour:
    return Behaviour()


def refuse(code: int, *, status: int = 400, problem_json: bool = False) -> Behaviour:
    return Behaviour(stored=False, status=status, code=code, problem_json=problem_json)


def too_many(*, retry_after: str | None = None, code: int = 20429) -> Behaviour:
    return Behaviour(stored=False, status=429, code=code, retry_after=retry_after)


def server_error(*, stored: bool, status: int = 500, code: int = 20500) -> Behaviour:
    return Behaviour(stored=stored, status=status, code=code)


def page_of_a_proxy(*, stored: bool, status: int = 502, page: str = "<html>Bad gateway</html>") -> Behaviour:
    return Behaviour(stored=stored, status=status, page=page)


def close(*, stored: bool) -> Behaviour:
    """Drop the connection without an answer."""
    return Behaviour(stored=stored, ending="close")


def hang(*, stored: bool) -> Behaviour:
    """Say nothing until the fake stops; the caller must give up by itself."""
    return Behaviour(stored=stored, ending="hang")


def fail_later(code: int) -> Behaviour:
    """Take the text; the carrier gives it back with `code` when its turn comes."""
    return Behaviour(fails_with=code)


def slow(seconds: float) -> Behaviour:
    return Behaviour(delay_seconds=seconds)


def call_back_first(*statuses: str) -> Behaviour:
    """Call the app back before the create call is answered."""
    return Behaviour(callbacks_first=statuses)
