"""The lint of a library file: `check` gives every finding of one file, in the order of its lines.

Source: content.md §4. The catalog's own findings (the sequence language) come along as SCHEMA.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from schedules import catalog
from schedules.lint import allowing, copying, one_text, options, reading, whole_files, words
from schedules.lint.findings import Fault, Finding
from schedules.lint.passages import FORMS, Passage, passages
from schedules.lint.rulebook import rulebook
from schedules.nodes import Node, Unreadable, compose
from schedules.render import placeholders

# What the catalog finds too, and the lint says with a rule of its own.
_SAID_BY_A_RULE: Final = re.compile(
    r" takes \d+ segments| is sent as UCS-2|should use the same placeholders|the text of .* lacks |"
    r"should offer the digits|has no effect;|known placeholders:|is a talk: its|asks a question: give it"
)


def check(text: str, *, name: str, today: date) -> list[Finding]:
    """Every finding of the library file `text`, by line. `today` decides whether a review is still fresh."""
    try:
        root = compose(text) or Node(line=1, end=1)
    except Unreadable as error:
        broken = Node(line=error.line, end=error.line)
        return [_Page(name=name, lines=[]).finding(broken, "", Fault(rule="SCHEMA", words=str(error)))]
    page = _Page(name=name, lines=text.splitlines())
    found = [page.finding(node, where, fault) for node, where, fault in whole_files.faults(root, today=today)]
    for passage in passages(root):
        found += page.of(passage)
    if "steps" in root.pairs:
        found += _of_the_catalog(text, name, is_clean=all(each.severity != "error" for each in found))
    return sorted(dict.fromkeys(found), key=lambda finding: (finding.line, finding.rule))


def faults_of(text: str, lang: str, *, kind: str = "tip", discreet: bool = False) -> list[Fault]:
    """What is wrong with one text on its own, as `check` would say it: for editors that hold no file."""
    return list(_form(text, lang, Passage(where="", kind=kind, text=Node(line=1, end=1)), is_discreet=discreet))


def _of_the_catalog(text: str, name: str, *, is_clean: bool) -> list[Finding]:
    """What only the catalog says; of a file that is clean so far, all its errors: no lifted rule makes it readable."""
    _, found = catalog.check(text, name=name)
    return [
        Finding(
            file=name,
            line=each.line,
            rule="SCHEMA",
            severity=each.severity,
            where="",
            message=each.message,
            tripped="",
            suggestion=rulebook().advise("SCHEMA").mend,
        )
        for each in found
        if (is_clean and each.severity == "error") or not _SAID_BY_A_RULE.search(each.message)
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Page:
    """A file's name and lines: gives faults their place."""

    name: str
    lines: list[str]

    def finding(self, node: Node, where: str, fault: Fault) -> Finding:
        return Finding(
            file=self.name,
            line=self._line(node, fault.tripped),
            rule=fault.rule,
            severity=fault.severity,
            where=where,
            message=f"{where} {fault.words}".strip(),
            tripped=fault.tripped,
            suggestion=rulebook().advise(fault.rule).mend,
        )

    def _line(self, node: Node, tripped: str) -> int:
        """The line of the text on which `tripped` begins, or else its first line."""
        wanted = words.normalise(tripped).split()
        for length in (len(wanted), 2, 1):
            piece = " ".join(wanted[:length])
            for number in range(node.line, min(node.end, len(self.lines)) + 1):
                if piece and piece in words.normalise(self.lines[number - 1]):
                    return number
        return node.line

    def of(self, passage: Passage) -> list[Finding]:
        """All findings of a passage that no reviewer has lifted."""
        allowances, found = [], []
        for each in allowing.read(passage.allows):
            if isinstance(each, allowing.Allowance):
                allowances.append(each)
            else:
                found.append(self.finding(each[0], passage.where, each[1]))
        for form, fault in _faults(passage):
            if not any(allowance.lifts(fault.rule) for allowance in allowances):
                node = passage.text.child(form) if form else passage.text
                found.append(self.finding(node, f"{passage.where} {form}".strip(), fault))
        return found


def _faults(passage: Passage) -> Iterator[tuple[str, Fault]]:
    """Each fault with the form it is in; an empty form is the passage as a whole."""
    for fault in _parity(passage):
        yield "", fault
    yield from options.faults(passage)
    for form in FORMS:
        if text := passage.form(form):
            lang = form.removeprefix("discreet_")
            for fault in _form(text, lang, passage, is_discreet=form.startswith("discreet")):
                yield form, fault


def _parity(passage: Passage) -> Iterator[Fault]:
    missing = [form for form in FORMS if not passage.form(form)]
    if missing:
        yield Fault(rule="PARITY", words=f"lacks {', '.join(missing)}")
    there = [passage.form(form) for form in FORMS if passage.form(form)]
    if len({placeholders(text) for text in there}) > 1:
        yield Fault(rule="PARITY", words="has other placeholders in one of its texts than in the others")
    if len({tuple(options.options(text)) for text in there}) > 1:
        yield Fault(rule="PARITY", words="has other digits, or another order of them, in one of its texts")


def _form(text: str, lang: str, passage: Passage, *, is_discreet: bool) -> Iterator[Fault]:
    """Every check of one text."""
    is_lock_free = passage.kind == "crisis" or passage.where in rulebook().words["lock_free"]
    for fault in words.faults(
        one_text.filled(text, lang),
        lang,
        discreet=is_discreet,
        proactive=passage.is_proactive,
        firm=passage.is_firm,
        lock_free=is_lock_free,
    ):
        # LEGAL is what a reviewed legal answer is about; NDA holds it to its closing line and its review.
        if not (passage.is_legal and fault.rule.startswith("LEGAL")):
            yield fault
    yield from _of_the_words(text, lang)
    yield from one_text.one_thing(text, kind=passage.kind, is_firm=passage.is_firm)
    yield from _by_kind(text, lang, passage)


@lru_cache(maxsize=4096)
def _of_the_words(text: str, lang: str) -> tuple[Fault, ...]:
    """What depends on nothing but the words. Kept: an ordinary and a discreet text often agree."""
    return (
        *one_text.length(text, lang),
        *reading.faults(text, lang),
        *one_text.names(text),
        *one_text.private(text),
        *one_text.gate_silence(text, lang),
        *one_text.teen(text, lang),
        *copying.faults(text),
        *(one_text.spelling(text) if lang == "es" else ()),
    )


def _by_kind(text: str, lang: str, passage: Passage) -> Iterator[Fault]:
    if passage.kind in ("talk", "gate"):
        yield from one_text.skip_marker(text, lang)
    if passage.kind == "crisis" or passage.where in rulebook().words["crisis_texts"]:
        yield from one_text.crisis(text, lang)
    if passage.kind == "banked":
        yield from one_text.idea_room(text)
    if passage.is_legal:
        yield from one_text.legal_line(text, lang)
