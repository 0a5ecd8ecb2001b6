"""Frozen values: copies with a change, and what was worked out about one of them, kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache, wraps
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["changed", "once_each"]

K = TypeVar("K")
V = TypeVar("V")

if TYPE_CHECKING:
    from dataclasses import replace as changed  # so that names and types are checked as they are there
else:

    def changed(value, **changes):
        """As dataclasses.replace, at a third of its price, for classes with slots and nothing to do after __init__."""
        cls = type(value)
        read, writers, by_name = _slots(cls)
        copy = object.__new__(cls)
        for write, item in zip(writers, read(value), strict=True):
            write(copy, item)
        for name, item in changes.items():
            by_name[name](copy, item)
        return copy


@lru_cache(maxsize=64)
def _slots(cls: type[Any]) -> tuple[Callable[[Any], Any], tuple[Any, ...], dict[str, Any]]:
    """How to read all fields at once, and how to write each, past the class's refusal to be written."""
    names = [field.name for field in fields(cls)]
    writers = {name: getattr(cls, name).__set__ for name in names}
    return attrgetter(*names), tuple(writers.values()), writers


def once_each(most: int) -> Callable[[Callable[[K], V]], Callable[[K], V]]:
    """A function's answers, kept for `most` values: by identity, since to hash a sequence or a policy, field by field,
    costs more than to look at it."""

    def remembering(work: Callable[[K], V]) -> Callable[[K], V]:
        known: dict[int, tuple[K, V]] = {}

        @wraps(work)
        def remembered(value: K) -> V:
            found = known.get(id(value))
            if found is not None:
                return found[1]
            if len(known) >= most:
                known.clear()
            answer = work(value)
            known[id(value)] = value, answer  # holds the value, so that its id stays its own
            return answer

        return remembered

    return remembering
