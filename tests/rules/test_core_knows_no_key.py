"""Sequences are data: no rule of the core knows a shipped one by its key, or one of its steps by its id."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from schedules.catalog import load_library

CORE = Path(__file__).parents[2] / "schedules"
# The service's own texts are no sequence that an author writes.
OWN = {"SYSTEM", "SL-1"}
# BREAK is a service word too, whatever a sequence is called.
WORDS = {"words.py", "service_words.py"}
# What authors read: forms and examples in messages.
EXAMPLES = {"when.py", "catalog.py"}


def names() -> set[str]:
    """Keys, ids of steps, and what the ids of a sequence's steps begin with."""
    sequences = load_library().sequences
    ids = {step.id for one in sequences.values() for step in one.steps}
    return (set(sequences) | ids | {step_id.partition("-")[0] + "-" for step_id in ids}) - OWN


def docstrings(tree: ast.AST) -> set[int]:
    """The constants that are docstrings, by identity."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = (node.body[0] for node in ast.walk(tree) if isinstance(node, owners) and node.body)
    return {id(one.value) for one in first if isinstance(one, ast.Expr)}


def found(source: str, known: set[str], *, name: str = "x.py") -> Iterator[str]:
    tree = ast.parse(source)
    allowed = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in allowed:
            if node.value in known:
                yield f"{name}:{node.lineno}: {node.value!r}"


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_no_rule_names_a_sequence_or_a_step_of_the_library(path):
    """A trait in the sequence's file says what sets it apart, so that one that an admin writes can have it too."""
    if path.name in EXAMPLES:
        return
    known = names()
    if path.name in WORDS:
        known = {name for name in known if "-" in name}
    assert list(found(path.read_text(encoding="utf-8"), known, name=path.name)) == []


def test_the_lint_sees_a_key_in_code_and_none_in_a_docstring():
    source = '''"""TALK"""\ndef rule(key):\n    """TK-4"""\n    return key == "TALK" or key in ("ON-2", "SL-1")\n'''
    assert list(found(source, names())) == ["x.py:4: 'TALK'", "x.py:4: 'ON-2'"]
