"""The library: YAML text into sequences, ideas, questions and the service's own texts, all faults of a file at once.

`load_library` is the core's only disk read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from schedules import nodes
from schedules.faq import Faq
from schedules.nodes import Node, Unreadable
from schedules.reader import CatalogError, Finding, Reader
from schedules.values import Sequence, Texts

__all__ = ["CatalogError", "Finding", "Idea", "Library", "check", "load_library", "parse"]

LIBRARY = Path(__file__).parent / "library"


@dataclass(frozen=True, kw_only=True, slots=True)
class Idea:
    """One idea of the bank (content.md §2.12)."""

    id: str
    family: int
    minutes: int
    remote: bool
    supervised_ok: bool
    ages: tuple[str, ...]
    roles: tuple[str, ...]
    rung: int
    texts: Texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """What is shipped: sequences by key with their YAML, the service's own texts, the idea bank."""

    sequences: Mapping[str, Sequence]
    sources: Mapping[str, str]
    system: Mapping[str, Texts]
    ideas: tuple[Idea, ...]
    faqs: tuple[Faq, ...] = ()

    @property
    def step_ids(self) -> frozenset[str]:
        """Every step that may be sent: those of the sequences, and the service's own question SL-1."""
        return frozenset(step.id for sequence in self.sequences.values() for step in sequence.steps) | {"SL-1"}


def parse(text: str, *, name: str) -> Sequence:
    """Read one sequence. Raises CatalogError with every error; warnings alone do not stop it."""
    sequence, findings = check(text, name=name)
    if sequence is None:
        raise CatalogError(name, [f for f in findings if f.severity == "error"])
    return sequence


def check(text: str, *, name: str) -> tuple[Sequence | None, list[Finding]]:
    """Read one sequence and list all findings, in line order. No sequence when there is an error."""
    reader = Reader()
    sequence: Sequence | None = None
    try:
        root = nodes.compose(text)
    except Unreadable as error:
        reader.error(error.line, str(error))
    else:
        if root is None:
            reader.error(1, f"{name} is empty")
        else:
            sequence = reader.sequence(root)
    findings = sorted(reader.findings, key=lambda f: f.line)
    return (None if any(f.severity == "error" for f in findings) else sequence), findings


def load_library(root: Path | None = None) -> Library:
    """Read every sequence below `root` (the shipped library without one). Raises CatalogError."""
    folder = root or LIBRARY
    sequences: dict[str, Sequence] = {}
    sources: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.stem in ("system", "ideas", "faq"):
            continue
        text = path.read_text(encoding="utf-8")
        sequence = parse(text, name=path.name)
        sequences[sequence.key], sources[sequence.key] = sequence, text
    faqs = _faqs(folder)
    # An answer's effect may name a question ("faq FAQ-26"): its text is said like the service's own.
    system = {**_system_texts(folder), **{faq.id: faq.texts for faq in faqs}}
    return Library(sequences=sequences, sources=sources, system=system, ideas=_ideas(folder), faqs=faqs)


def _system_texts(folder: Path) -> dict[str, Texts]:
    path = folder / "system.yaml"
    reader, root = Reader(), _compose(path if path.exists() else LIBRARY / "system.yaml")
    texts = {key: reader.texts(node, where=key) for key, node in root.child("texts").items()}
    reader.stop_on_errors(path.name)
    return {key: value for key, value in texts.items() if value}


def _ideas(folder: Path) -> tuple[Idea, ...]:
    path = folder / "ideas.yaml"
    path = path if path.exists() else LIBRARY / "ideas.yaml"
    if not path.exists():
        return ()
    reader = Reader()
    ideas = [_idea(reader, node) for node in _compose(path).child("ideas").elements()]
    reader.stop_on_errors(path.name)
    return tuple(idea for idea in ideas if idea)


def _idea(reader: Reader, node: Node) -> Idea | None:
    texts = reader.texts(node.child("text"), where=node.text("id"))
    if texts is None:
        return None
    return Idea(
        id=node.text("id"),
        family=int(node.text("family") or 1),
        minutes=int(node.text("minutes") or 15),
        remote=node.text("remote") in ("yes", "true"),
        supervised_ok=node.text("supervised_ok") in ("yes", "true"),
        ages=node.words("ages"),
        roles=node.words("roles"),
        rung=int(node.text("rung") or 1),
        texts=texts,
    )


def _faqs(folder: Path) -> tuple[Faq, ...]:
    path = folder / "faq.yaml"
    path = path if path.exists() else LIBRARY / "faq.yaml"
    reader, found = Reader(), []
    for node in _compose(path).child("faq").elements():
        texts = reader.texts(node.child("text"), where=node.text("id"))
        if texts is not None:
            triggers = {language: node.child("triggers").words(language) for language in ("en", "es")}
            is_legal = node.text("legal") in ("yes", "true")
            found.append(Faq(id=node.text("id"), triggers=triggers, texts=texts, is_legal=is_legal))
    reader.stop_on_errors(path.name)
    return tuple(found)


def _compose(path: Path) -> Node:
    try:
        return nodes.compose(path.read_text(encoding="utf-8")) or Node(line=1, end=1)
    except Unreadable as error:
        raise CatalogError(path.name, [Finding(line=error.line, message=str(error))]) from None
