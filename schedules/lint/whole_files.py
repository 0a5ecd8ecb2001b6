"""The checks that look at more than one text: TOPIC, NDA's review, what each kind of file has to hold.

Source: content.md §4.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from schedules.lint.findings import Fault
from schedules.lint.schema import VARIANT_VALUES
from schedules.nodes import Node
from schedules.values import PLACES

_REVIEW_LASTS: Final = timedelta(days=365)
_STEP_SAYS: Final = ("id", "when", "kind", "topic", "intent", "seeds")
_ROW_KEYS: Final = {
    "faq": ("id", "question", "legal", "reviewed_by", "reviewed_on", "triggers", "seeds", "text", "lint_allow"),
    "ideas": ("id", "family", "minutes", "remote", "supervised_ok", "ages", "roles", "rung", "text", "lint_allow"),
}
_OPTIONAL: Final = ("reviewed_by", "reviewed_on", "lint_allow")


def faults(root: Node, *, today: date) -> Iterator[tuple[Node, str, Fault]]:
    """Each fault with its place in the file and the id of its row."""
    if not {"steps", "texts", "ideas", "faq"} & set(root.pairs):
        yield root, "", _schema("holds none of steps, texts, ideas or faq: it is no library file")
    for step in root.child("steps").elements():
        yield from _step(step)
    for kind, known in _ROW_KEYS.items():
        for row in root.child(kind).elements():
            yield from _row(row, known)
    for row in root.child("faq").elements():
        yield from _faq(row, today)


def _step(step: Node) -> Iterator[tuple[Node, str, Fault]]:
    name = step.text("id")
    missing = [key for key in _STEP_SAYS if not step.child(key).is_there]
    if missing:
        yield step, name, Fault(rule="TOPIC", words=f"lacks {', '.join(missing)}")
    moments = [moment.value or "" for moment in step.child("when").elements()]
    if step.text("kind") == "talk" and not all(", window" in moment for moment in moments):
        yield step.child("when"), name, Fault(rule="TOPIC", words="is a talk that waits for no calm window")
    if "{resource}" in step.child("text").text("en") and not step.child("place").is_there:
        words = f"names a {{resource}} and not what it is: write place: {' | '.join(PLACES)}"
        yield step.child("text"), name, Fault(rule="TOPIC", words=words, tripped="{resource}")
    for variant in step.child("variants").elements():
        yield from ((node, name, fault) for node, fault in _variant(variant))
    for digit, answer in step.child("answers").pairs.items():
        if not answer.child("then").is_there:
            yield answer, name, Fault(rule="ANSWERS", words=f"answer {digit} has no effect")


def _variant(variant: Node) -> Iterator[tuple[Node, Fault]]:
    """A variant for a family that cannot be is never sent."""
    for key, node in variant.child("for").pairs.items():
        values = VARIANT_VALUES.get(key)
        if values and node.value not in values:
            yield node, _schema(f"has a variant for {key} {node.value!r}; there are {', '.join(values)}")


def _row(row: Node, known: tuple[str, ...]) -> Iterator[tuple[Node, str, Fault]]:
    name = row.text("id")
    for key, node in row.pairs.items():
        if key not in known:
            yield node, name, _schema(f"has the unknown key {key!r}; known keys: {', '.join(known)}")
    missing = [key for key in known if key not in _OPTIONAL and key not in row.pairs]
    if missing:
        yield row, name, _schema(f"lacks {', '.join(missing)}")


def _faq(row: Node, today: date) -> Iterator[tuple[Node, str, Fault]]:
    name = row.text("id")
    for lang in ("en", "es"):
        if not row.child("triggers").words(lang):
            yield row.child("triggers"), name, _schema(f"has no {lang} trigger, so nothing leads to it")
    if row.text("legal") in ("yes", "true"):
        yield from ((row, name, fault) for fault in _reviewed(row, today))


def _reviewed(row: Node, today: date) -> Iterator[Fault]:
    if not row.text("reviewed_by"):
        yield Fault(rule="NDA", words="names no reviewer: add reviewed_by")
    try:
        reviewed_on = date.fromisoformat(row.text("reviewed_on"))
    except ValueError:
        yield Fault(rule="NDA", words=f"reviewed_on {row.text('reviewed_on')!r} is no date such as 2026-11-22")
        return
    if reviewed_on > today:
        words = f"was reviewed on {reviewed_on}, which is still to come"
        yield Fault(rule="NDA", words=words, tripped=str(reviewed_on), severity="warning")
    if today - reviewed_on > _REVIEW_LASTS:
        words = f"was reviewed on {reviewed_on}, more than twelve months ago"
        yield Fault(rule="NDA", words=words, tripped=str(reviewed_on))


def _schema(words: str) -> Fault:
    return Fault(rule="SCHEMA", words=words)
