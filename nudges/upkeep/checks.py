"""What a check of the installation says: of readiness, of the doctor, of a backup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One line: how it stands, what it is about, and the words with the mend. No secret and no personal data."""

    status: Literal["ok", "warn", "fail"]
    name: str
    words: str

    @property
    def is_ok(self) -> bool:
        return self.status != "fail"


def ok(name: str, words: str) -> Check:
    return Check(status="ok", name=name, words=words)


def warn(name: str, words: str) -> Check:
    return Check(status="warn", name=name, words=words)


def fail(name: str, words: str) -> Check:
    return Check(status="fail", name=name, words=words)


def must(is_ok: bool, name: str, words: str) -> Check:
    """Well, or a failure."""
    return ok(name, words) if is_ok else fail(name, words)
