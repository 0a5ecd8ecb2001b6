"""What the lint says: one finding per fault, with its place, its rule, what tripped and how to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One fault of a library file.

    `line` counts from 1; `where` names the text, such as "TK-4[age=13-17] discreet_es"; `tripped` is the piece that
    tripped the rule, or empty; `severity` is "error" or "warning". It has the fields of catalog.Finding, so that
    both show alike.
    """

    file: str
    line: int
    rule: str
    severity: str
    where: str
    message: str
    tripped: str
    suggestion: str

    def as_dict(self) -> Mapping[str, Any]:
        """The finding as JSON takes it."""
        return {name: getattr(self, name) for name in self.__slots__}

    def in_words(self) -> str:
        """One line for a terminal, with the place first, as editors read it."""
        mend = f" ({self.suggestion})" if self.suggestion else ""
        return f"{self.file}:{self.line}: {self.severity} {self.rule}: {self.message}{mend}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What a check found in one text, before it has a place. `rule` may be an id or a family of rules."""

    rule: str
    words: str
    tripped: str = ""
    severity: str = "error"
