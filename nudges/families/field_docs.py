"""docs/family-fields.md, made from the table of fields."""

from __future__ import annotations

from collections.abc import Iterator

from nudges.families import fields
from nudges.families.fields import ENROLLMENT, Field

_INTRO = """# What we know of a family

Every field that staff can fill in: on the enrollment form, on a parent's profile page (Family, Profile and consent) and
in a file of families (`python -m nudges import-families --template` prints one to fill in). Made from the table in
`nudges/families/fields.py` by `python -m nudges import-families --fields > docs/family-fields.md`; a test holds the two
together. Never the child's name, birth date or diagnosis: there is no field for them.

A field that is left empty, and a column that is left out, take the default. Hours are in the family's own time. Days
are written `mon`, `mon-fri` or `sat,sun` (`Monday to Friday` and `weekends` are read too), times `18:30` or `6:30 pm`,
dates `2025-03-17`; in a program of the United States also `3/17/2025`.
"""


def document() -> str:
    """The page as Markdown."""
    lines = [_INTRO, "## The parent (columns of a file)", ""]
    lines += ["| column | needed | what | example |", "|---|---|---|---|"]
    lines += [
        f"| `{column.name}` | {'yes' if column.is_needed else ''} | {column.words} | `{column.example}` |"
        for column in fields.COLUMNS
    ]
    for section in fields.SECTIONS:
        lines += ["", f"## {section.title}", "", section.words, ""]
        lines += ["| field and column | label | written as | what | default | example |", "|---|---|---|---|---|---|"]
        lines += [_row(field) for field in fields.FIELDS if field.section == section.key]
    lines += ["", "## Dates that steps hang on (enrollment form and columns)", ""]
    lines += ["| field and column | label | example |", "|---|---|---|"]
    lines += [
        f"| `{date.name}` | {date.label} | `{'2025-03-13 16:00' if date.has_time else '2025-03-13'}` |"
        for date in fields.DATES
    ]
    return "\n".join(lines) + "\n"


def _row(field: Field) -> str:
    default = f"`{field.shown}`" if field.shown else ""
    cells = (f"`{field.name}`", field.label, field.notation.words, " ".join(_help(field)), default)
    return f"| {' | '.join(cells)} | `{field.example}` |"


def _help(field: Field) -> Iterator[str]:
    if field.help:
        yield field.help
    if ENROLLMENT not in field.doors:
        yield "Not on the enrollment form."
