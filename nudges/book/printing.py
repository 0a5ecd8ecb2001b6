"""Chapters as HTML pages that print: one file each and an index, with nothing to load from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final, TypeAlias

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from nudges.book import chapters
from nudges.book.chapters import Chapter
from schedules import catalog

# Fingerprint of a text → its sign-offs in words, such as "a clinician: Ana Okafor, 2026-11-22".
Signed: TypeAlias = Mapping[str, tuple[str, ...]]

_TEMPLATES: Final = Path(__file__).parent / "templates"
_OTHERS: Final = (
    ("system", "The service's own texts", "Signing up, leaving, service words, honest holding replies."),
    ("ideas", "The idea bank", "Small things to do together, from side by side to a shared plan."),
    ("faq", "Answers to questions", "Sent back when a parent's question holds one of the trigger words."),
)


def print_book(
    folder: Path, *, library: Path = catalog.LIBRARY, printed_on: date, signed: Signed | None = None
) -> list[Path]:
    """Write the pages below `folder`, which is made; returns them, the index first. Raises catalog.CatalogError.

    `signed` has the sign-offs of one program; without it the pages have room for them and say nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    book = _chapters(library)
    pages = {"index": _render("index.html", book=book, printed_on=printed_on, signed=signed)}
    for each in book:
        pages[each.slug] = _render("chapter.html", chapter=each, printed_on=printed_on, signed=signed)
    written = []
    for slug, html in pages.items():
        path = folder / f"{slug}.html"
        path.write_text(html, encoding="utf-8")
        written.append(path)
    return written


def _chapters(library: Path) -> list[Chapter]:
    read = catalog.load_library(library)
    found = [chapters.of_sequence(read.sequences[key], read.sources[key]) for key in sorted(read.sequences)]
    for slug, title, purpose in _OTHERS:
        path = library / f"{slug}.yaml"
        if path.exists():
            found.append(chapters.of_rows(slug, title, purpose, path.read_text(encoding="utf-8")))
    return found


def _render(template: str, **values: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
