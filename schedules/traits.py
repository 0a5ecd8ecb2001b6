"""The `traits` of a sequence's file into Traits: what sets it apart, in words that an author can write.

Each trait is a field of sequences.Traits; this module only says in which form it is written.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any, Protocol

from schedules.nodes import Node
from schedules.sequences import Budget, Traits

DATES = ("session", "break_start", "next_review", "crisis_report", "visit", "consult")
_LISTS = ("suppresses", "only_beside", "shares_limit", "begun_by")
_DATED = ("counts_from", "needs_date")
_YES = ("yes", "true")


class Faults(Protocol):
    """Where faults are noted, each with its line."""

    def error(self, line: int, message: str) -> None: ...


def read(node: Node, faults: Faults) -> Traits:
    """All traits of a file. Faults are noted, and the trait keeps its default."""
    known = {field.name for field in fields(Traits)}
    found: dict[str, Any] = {}
    for name, child in node.items():
        if name not in known:
            faults.error(child.line, f"traits has the unknown key {name!r}; known keys: {', '.join(sorted(known))}")
        else:
            found[name] = _value(name, node, child, faults)
    return Traits(**found)


def _value(name: str, node: Node, child: Node, faults: Faults) -> Any:
    if name == "budget":
        return budget(child, faults)
    if name == "priority":
        if not re.fullmatch(r"[1-9]\d?", child.value or ""):
            faults.error(child.line, "priority should be a number from 1 to 99; lower goes first")
            return None
        return int(child.value or 0)
    if name in _LISTS:
        return frozenset(node.words(name))
    if name in _DATED:
        if child.value not in DATES:
            faults.error(child.line, f"{name} {child.value!r} should be one of: {', '.join(DATES)}")
        return child.value
    if child.value not in (*_YES, "no", "false"):
        faults.error(child.line, f"{name} should be yes or no")
    return is_yes(child)


def is_yes(node: Node) -> bool:
    """Whether a trait that is on or off is on; one that is not written is off."""
    return node.value in _YES


def budget(node: Node, faults: Faults) -> Budget | None:
    """safety, event or comfort; none where nothing is written."""
    if not node.value:
        return None
    try:
        return Budget(node.value)
    except ValueError:
        faults.error(node.line, f"budget {node.value!r} should be one of: {', '.join(Budget)}")
        return None
