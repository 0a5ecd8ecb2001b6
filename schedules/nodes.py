"""YAML text as nodes that know their lines, for readers that want to report every fault of a file at once.

Scalars stay text. Built from the parser's events, one by one, so that no depth of nesting and no alias in a text that
somebody pasted into the editor can exhaust the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where libyaml is there
_DEEPEST: Final = 20  # the sequence language needs eight


class Unreadable(ValueError):
    """The text is no YAML that we read; `line` counts from 1."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(words)
        self.line = line


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A scalar, a mapping or a list, with its first and last line (from 1). Forgives what is missing.

    `repeated` are keys that stand more than once, with the line of the later one, which counts.
    """

    line: int
    end: int
    value: str | None = None
    pairs: Mapping[str, Node] = field(default_factory=dict)
    listed: tuple[Node, ...] = ()
    repeated: tuple[tuple[str, int], ...] = ()

    @property
    def is_there(self) -> bool:
        return self.value is not None or bool(self.pairs or self.listed)

    def child(self, key: str) -> Node:
        return self.pairs.get(key) or Node(line=self.line, end=self.line)

    def text(self, key: str) -> str:
        return (self.child(key).value or "").strip()

    def items(self) -> list[tuple[str, Node]]:
        return list(self.pairs.items())

    def elements(self) -> tuple[Node, ...]:
        """The list's elements; anything else that is there counts as a list of one."""
        return self.listed or ((self,) if self.is_there else ())

    def words(self, key: str) -> tuple[str, ...]:
        return tuple(e.value for e in self.child(key).elements() if e.value is not None)


def compose(text: str) -> Node | None:
    """The root of YAML text; none when it is empty. Raises Unreadable."""
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(mark.line + 1 if mark else 1, f"this is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise Unreadable(1, f"this is not YAML: {error}") from None
    return builder.root


@dataclass(kw_only=True, slots=True)
class _Open:
    """A mapping or a list whose end has not come yet."""

    line: int
    is_mapping: bool
    key: str | None = None
    key_line: int = 0
    pairs: dict[str, Node] = field(default_factory=dict)
    listed: list[Node] = field(default_factory=list)
    repeated: list[tuple[str, int]] = field(default_factory=list)

    def take(self, node: Node) -> None:
        if not self.is_mapping:
            self.listed.append(node)
        elif self.key is None:
            if node.value is None:
                raise Unreadable(node.line, "a key should be a word, not a list or a mapping")
            self.key, self.key_line = node.value, node.line
        else:
            if self.key in self.pairs:
                self.repeated.append((self.key, self.key_line))
            self.pairs[self.key] = node
            self.key = None

    def closed(self, end: int) -> Node:
        end = max(self.line, end)
        return Node(line=self.line, end=end, pairs=self.pairs, listed=tuple(self.listed), repeated=tuple(self.repeated))


def _span(event: yaml.Event) -> tuple[int, int]:
    """First and last line of an event; one that ends at the start of a line ends on the line before."""
    first, last = event.start_mark, event.end_mark
    if first is None or last is None:  # events that are made, not parsed
        return 1, 1
    return first.line + 1, last.line + (1 if last.column else 0)


class _Builder:
    """Nodes from the parser's events."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: list[_Open] = []

    def take(self, event: yaml.Event) -> None:
        line, end = _span(event)
        if isinstance(event, yaml.AliasEvent):
            raise Unreadable(line, "write the text out: an alias (*) would change in two places at once")
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(self._open) == _DEEPEST:
                raise Unreadable(line, f"nested more than {_DEEPEST} deep")
            self._open.append(_Open(line=line, is_mapping=isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.ScalarEvent):
            self._attach(Node(line=line, end=max(line, end), value=str(event.value)))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._attach(self._open.pop().closed(end))

    def _attach(self, node: Node) -> None:
        if self._open:
            self._open[-1].take(node)
        elif self.root is None:
            self.root = node
        else:
            raise Unreadable(node.line, "a second document begins here (---); keep one to a file")
