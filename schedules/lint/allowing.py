"""`lint_allow`: a named reviewer lifts a rule for one text, and says why.

An allowance without a reason or a reviewer is an error, and so is one for a rule that nobody may lift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schedules.lint.findings import Fault
from schedules.lint.rulebook import rulebook
from schedules.nodes import Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """One honoured entry: `rule` is an id such as LOCK-1, or a family such as LOCK."""

    rule: str
    node: Node

    def lifts(self, rule: str) -> bool:
        return rule == self.rule or rule.rsplit("-", 1)[0] == self.rule


def read(nodes: tuple[Node, ...]) -> Iterator[Allowance | tuple[Node, Fault]]:
    """The allowances that count, and the faults of those that do not."""
    for node in nodes:
        wrong = _wrong(node)
        if wrong:
            yield node, Fault(rule="ALLOW", words=f"lint_allow {wrong}", tripped=node.text("rule"))
        else:
            yield Allowance(rule=node.text("rule"), node=node)


def _wrong(node: Node) -> str:
    rule = node.text("rule")
    missing = [key for key in ("rule", "reason", "reviewer") if not node.text(key)]
    if missing:
        return f"lacks {', '.join(missing)}"
    if not rulebook().knows(rule):
        return f"names no rule: {rule!r}"
    if rule in rulebook().words["never_allowed"]:
        return f"cannot lift {rule}"
    return ""
