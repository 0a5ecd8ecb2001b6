"""A library file as a chapter of the book: each text as a family reads it, who reads which variant, what it costs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from nudges.library.texts import FORM_NAMES, Text
from schedules import render, segments
from schedules.lint import one_text
from schedules.lint.passages import FORMS, Passage, passages
from schedules.lint.schema import VARIANT_VALUES
from schedules.nodes import Node, compose
from schedules.values import Profile, Sequence, Step

_IDEA: Final = {"en": "Take a short walk together.", "es": "Den una vuelta corta juntos."}
_SAMPLE: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "org": "Riverbend Family Hub",
        "day": "Tuesday",
        "time": "4 pm",
        "staff": "Dana",
        "idea": _IDEA["en"],
        "resource": "Riverbend Health Center, 312-555-0142",
        "w1": "Tuesday 7:30 pm",
        "w2": "Thursday 7:30 pm",
        "w3": "Saturday 10:30 am",
        "w4": "Sunday 2:30 pm",
    },
    "es": {
        "org": "Riverbend Family Hub",
        "day": "martes",
        "time": "4 pm",
        "staff": "Dana",
        "idea": _IDEA["es"],
        "resource": "Riverbend Health Center, 312-555-0142",
        "w1": "martes 7:30 pm",
        "w2": "jueves 7:30 pm",
        "w3": "sabado 10:30 am",
        "w4": "domingo 2:30 pm",
    },
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bubble:
    """One form of a text on a phone. `cost` is what it takes with the longest values."""

    form: str
    lang: str
    text: str
    cost: str
    is_long: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One text in its four forms: a step's, a variant's, a reply's, or a row of another file."""

    name: str
    readers: str
    bubbles: tuple[Bubble, ...]
    digest: str  # the fingerprint that sign-offs are kept by


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A step with its texts, answers and sources. `facts` are label and words."""

    name: str
    title: str
    facts: tuple[tuple[str, str], ...]
    answers: tuple[tuple[str, str, str], ...]
    entries: tuple[Entry, ...]
    gravity: str = ""  # who has to sign before it may go out


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapter:
    """One page of the book."""

    slug: str
    title: str
    purpose: str
    facts: tuple[tuple[str, str], ...]
    review: str
    is_demo_review: bool
    sections: tuple[Section, ...]


def of_sequence(sequence: Sequence, source: str) -> Chapter:
    """The chapter of a sequence; `source` is its YAML, which holds the words that authors wrote."""
    root = _root(source)
    by_step: dict[str, list[Passage]] = {}
    for passage in passages(root):
        by_step.setdefault(re.split(r"[.\[]", passage.where)[0], []).append(passage)
    nodes = root.child("steps").elements()
    sections = [
        _step(step, node, by_step.get(step.id, []), sequence.key)
        for step, node in zip(sequence.steps, nodes, strict=True)
    ]
    return Chapter(
        slug=sequence.key.lower(),
        title=f"{sequence.key}: {sequence.title}",
        purpose=sequence.purpose,
        facts=(
            ("Begun by", ", ".join(sequence.enrolled_by)),
            ("Begins when", "; ".join(sequence.entry)),
            ("Ends when", "; ".join(sequence.exit)),
            ("Lasts", root.text("lasts")),
            ("At most", root.text("at_most")),
        ),
        review=", ".join(f"{what.replace('_', ' ')}: {who}" for what, who in sequence.reviewed.items()),
        is_demo_review="demo" in sequence.reviewed.values(),
        sections=tuple(sections),
    )


def of_rows(slug: str, title: str, purpose: str, source: str) -> Chapter:
    """The chapter of system texts, ideas or answers to questions."""
    root = _root(source)
    rows = {row.text("id"): row for key in ("faq", "ideas") for row in root.child(key).elements()}
    sections = [_row(passage, rows.get(passage.where)) for passage in passages(root)]
    return Chapter(
        slug=slug,
        title=title,
        purpose=purpose,
        facts=(),
        review="",
        is_demo_review=any(row.text("reviewed_by") == "demo" for row in rows.values()),
        sections=tuple(sections),
    )


def _root(source: str) -> Node:
    return compose(source) or Node(line=1, end=1)


def _step(step: Step, node: Node, texts: list[Passage], key: str) -> Section:
    readers = _readers(step)
    answers = [
        (digit, answer.means, "; ".join(effect.written for effect in answer.then))
        for digit, answer in step.answers.items()
    ]
    return Section(
        name=step.id,
        title=step.intent,
        facts=(
            ("When", "; ".join(node.words("when"))),
            ("Kind", f"{step.kind.value}, about {step.topic.value}"),
            ("Carries", ", ".join(step.seeds)),
        ),
        answers=tuple(answers),
        entries=tuple(_entry(text, readers.get(text.where, "sent back at once")) for text in texts),
        gravity="a clinician" if key == "AFTERCRISIS" or step.kind.value == "crisis" else "",
    )


def _row(passage: Passage, row: Node | None) -> Section:
    facts: tuple[tuple[str, str], ...] = ()
    if row is not None:
        shown = ("triggers", "family", "minutes", "remote", "supervised_ok", "ages", "roles", "rung", "reviewed_by")
        facts = tuple((key.replace("_", " "), _plain(row.child(key))) for key in shown if key in row.pairs)
    return Section(
        name=passage.where,
        title=row.text("question") if row else "",
        facts=facts,
        answers=(),
        entries=(_entry(passage, "every family"),),
        gravity="a family lawyer" if passage.is_legal else "",
    )


def _plain(node: Node) -> str:
    if node.pairs:
        return "; ".join(f"{key}: {_plain(value)}" for key, value in node.pairs.items())
    return ", ".join(element.value or "" for element in node.elements())


def _entry(passage: Passage, readers: str) -> Entry:
    forms = tuple((FORM_NAMES[form], passage.form(form)) for form in FORMS)
    digest = Text(place=passage.where, forms=forms, needs=()).digest
    bubbles = tuple(_bubble(passage, form) for form in FORMS)
    return Entry(name=passage.where, readers=readers, bubbles=bubbles, digest=digest)


def _bubble(passage: Passage, form: str) -> Bubble:
    lang, text = form.removeprefix("discreet_"), passage.form(form)
    cost = segments.count(one_text.filled(text, lang))
    unit, parts = "septets" if cost.encoding == "gsm7" else "units", "part" if cost.parts == 1 else "parts"
    return Bubble(
        form=FORM_NAMES[form],
        lang=lang,
        text=re.sub(r"\{([a-z0-9_]+)\}", lambda match: _SAMPLE[lang].get(match[1], match[0]), text),
        cost=f"at most {cost.parts} {parts}, {cost.units} {unit}",
        is_long=cost.parts > 1,
    )


def _readers(step: Step) -> dict[str, str]:
    """Who reads the step's own text and each variant: every kind of family is asked for, as when a text is sent."""
    used = [key for key in VARIANT_VALUES if any(key in variant.applies_to for variant in step.variants)]
    if not used or step.texts is None:
        return {step.id: "every family"}
    names = {id(step.texts): step.id} | {id(v.texts): _variant_name(step, v.applies_to) for v in step.variants}
    readers: dict[str, list[str]] = {name: [] for name in names.values()}
    for kind in _kinds(used):
        chosen = render.choose(step, _family(kind))
        readers[names[id(chosen)]].append(", ".join(f"{key} {value or 'not known'}" for key, value in kind.items()))
    return {name: "; ".join(kinds) or "no family" for name, kinds in readers.items()}


def _variant_name(step: Step, applies_to: Mapping[str, str]) -> str:
    return f"{step.id}[{','.join(f'{key}={value}' for key, value in applies_to.items())}]"


def _kinds(used: list[str]) -> Iterator[dict[str, str]]:
    """Every family that differs in the keys that a step's variants ask for; some may not be known yet."""
    choices = [(*VARIANT_VALUES[key], *([""] if key in ("age", "reason") else [])) for key in used]
    return (dict(zip(used, values, strict=True)) for values in product(*choices))


def _family(kind: Mapping[str, str]) -> Profile:
    fields: dict[str, Any] = {"timezone": "UTC", "court_ordered": "no"}
    fields |= {name: kind[key] for key, name in _FIELDS.items() if kind.get(key)}
    if kind.get("reason"):
        fields["reasons"] = (kind["reason"],)
    return Profile(**fields)


_FIELDS: Final = {"age": "age_band", "role": "role", "profile": "profile", "contact": "contact_plan"}
