"""YAML with its lines, and the texts that must not exhaust a process."""

from __future__ import annotations

import pytest

from schedules.nodes import Unreadable, compose

TEXT = """# a comment
key: TALK
on: no
steps:
  - id: TK-1
    text:
      en: >-
        One line
        and another.
      es: Hola
  - id: TK-2
"""


def test_a_node_knows_its_lines_and_keeps_words_as_they_are_written() -> None:
    root = compose(TEXT)
    assert root is not None
    first, second = root.child("steps").elements()
    block = first.child("text").child("en")
    assert root.text("on") == "no"
    assert (block.value, block.line, block.end) == ("One line and another.", 7, 9)
    assert (second.line, second.text("id")) == (11, "TK-2")


def test_what_is_missing_is_empty_and_has_the_line_of_its_parent() -> None:
    root = compose(TEXT)
    assert root is not None
    missing = root.child("steps").child("text").child("fr")
    assert (missing.is_there, missing.line, missing.elements()) == (False, 5, ())


def test_a_repeated_key_is_remembered_with_its_line() -> None:
    root = compose("a: 1\nb: 2\na: 3\n")
    assert root is not None
    assert (root.text("a"), root.repeated) == ("3", (("a", 3),))


def test_an_empty_text_has_no_root() -> None:
    assert compose("# nothing\n") is None


UNREADABLE = [
    ("unclosed", "a: [1\nb: 2\n", 2, "not YAML"),
    ("deep lists", "[" * 150_000, 1, "deep"),
    ("deep dashes", "- " * 50_000, 1, "deep"),
    ("alias to itself", "a: &x [*x]", 1, "alias"),
    ("aliases that multiply", "a: &x [1]\nb: &y [*x, *x]\n", 2, "alias"),
    ("two documents", "a: 1\n---\nb: 2\n", 3, "second document"),
    ("a list as a key", "? [a, b]\n: 1\n", 1, "key"),
    ("a control character", "a: \x07\n", 1, "not YAML"),
]


@pytest.mark.parametrize(("text", "line", "words"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
def test_what_cannot_be_read_says_where_and_why(text: str, line: int, words: str) -> None:
    with pytest.raises(Unreadable, match=words) as caught:
        compose(text)
    assert caught.value.line == line
