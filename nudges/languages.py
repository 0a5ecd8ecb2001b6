"""The languages and countries that there are: one row for each, and nothing else in the service lists them.

A parent may ask for any language of the table. Texts are written, signed off and screened in the `Written` ones; a
language without texts of its own names the one that its families are texted in until it has some.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Written = Literal["en", "es"]
WRITTEN: Final[tuple[Written, ...]] = get_args(Written)


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """`name` is for staff, `own_name` as its speakers write it, `texts` the language that they are texted in."""

    code: str
    name: str
    own_name: str
    texts: Written


LANGUAGES: Final[dict[str, Language]] = {
    language.code: language
    for language in (
        Language(code="en", name="English", own_name="English", texts="en"),
        Language(code="es", name="Spanish", own_name="Español", texts="es"),
    )
}
# Whose numbers can be texted. All of them begin with +1, which nudges.families.phones reads.
COUNTRIES: Final[dict[str, str]] = {"US": "the United States", "CA": "Canada"}


def texts_for(code: str) -> Written:
    """The language that a family which asked for `code` is texted in."""
    known = LANGUAGES.get(code)
    return known.texts if known is not None else WRITTEN[0]


def name_of(code: str) -> str:
    """For staff; the code itself when no row has it any more."""
    known = LANGUAGES.get(code)
    return known.name if known is not None else code


def as_written(code: str | None) -> Written | None:
    """The code itself when texts are written in it."""
    return next((written for written in WRITTEN if written == code), None)


def choices() -> list[tuple[str, str]]:
    """For a form: code, and the name in the language itself."""
    return [(language.code, language.own_name) for language in LANGUAGES.values()]


def named() -> str:
    """In a sentence: "English or Spanish"."""
    *most, last = (language.name for language in LANGUAGES.values())
    return f"{', '.join(most)} or {last}" if most else last
