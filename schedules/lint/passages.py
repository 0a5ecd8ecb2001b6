"""A library file as the lint sees it: every text in its four forms, with its lines and what surrounds it.

Reads sequences (`steps`), the service's texts (`texts`), the idea bank (`ideas`) and the answers to questions (`faq`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schedules import traits
from schedules.nodes import Node

FORMS: Final = ("en", "es", "discreet_en", "discreet_es")


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """One text in its four forms, with all that a check needs to know about it.

    `kind` is a step's kind, or reply, system, banked (an idea of the bank) or faq. `answers` are the digits that
    have an effect, in order.
    """

    where: str
    kind: str
    text: Node
    answers: tuple[str, ...] = ()
    is_proactive: bool = True
    is_firm: bool = False
    is_legal: bool = False
    allows: tuple[Node, ...] = ()

    def form(self, name: str) -> str:
        return self.text.text(name)


def passages(root: Node) -> Iterator[Passage]:
    """Every text of a file, in its order."""
    is_firm = traits.is_yes(root.child("traits").child("firm"))
    for step in root.child("steps").elements():
        yield from _of_step(step, is_firm=is_firm)
    for name, text in root.child("texts").pairs.items():
        yield Passage(where=name, kind="system", text=text, is_proactive=False, allows=_allows(text))
    for row in root.child("ideas").elements():
        yield _of_row(row, "banked")
    for row in root.child("faq").elements():
        yield _of_row(row, "faq")


def _of_step(step: Node, *, is_firm: bool) -> Iterator[Passage]:
    name, kind = step.text("id") or "?", step.text("kind")
    answers = tuple(step.child("answers").pairs)
    is_proactive = kind not in ("reply", "faq", "crisis")
    if "text" in step.pairs:
        yield Passage(
            where=name,
            kind=kind,
            text=step.child("text"),
            answers=answers,
            is_proactive=is_proactive,
            is_firm=is_firm,
            allows=_allows(step, step.child("text")),
        )
    for variant in step.child("variants").elements():
        applies = {key: value.value or "" for key, value in variant.child("for").pairs.items()}
        yield Passage(
            where=f"{name}[{','.join(f'{key}={value}' for key, value in applies.items())}]",
            kind=kind,
            text=variant.child("text"),
            answers=answers,
            is_proactive=is_proactive,
            is_firm=is_firm or applies.get("profile") == "firm",
            allows=_allows(step, variant, variant.child("text")),
        )
    others = [(f"{name}#{n}", text, answers) for n, text in enumerate(step.child("repeats").elements(), start=2)]
    if "plain" in step.pairs:
        others.append((f"{name} plain", step.child("plain"), ()))
    for where, text, digits in others:
        yield Passage(
            where=where,
            kind=kind,
            text=text,
            answers=digits,
            is_proactive=is_proactive,
            is_firm=is_firm,
            allows=_allows(step, text),
        )
    for digit, answer in step.child("answers").pairs.items():
        if "reply" in answer.pairs:
            reply = answer.child("reply")
            yield Passage(
                where=f"{name}.{digit}",
                kind="reply",
                text=reply,
                is_proactive=False,
                is_firm=is_firm,
                allows=_allows(step, answer, reply),
            )


def _of_row(row: Node, kind: str) -> Passage:
    return Passage(
        where=row.text("id") or "?",
        kind=kind,
        text=row.child("text"),
        is_proactive=kind == "banked",
        is_legal=row.text("legal") in ("yes", "true"),
        allows=_allows(row, row.child("text")),
    )


def _allows(*nodes: Node) -> tuple[Node, ...]:
    return tuple(each for node in nodes for each in node.child("lint_allow").elements())
