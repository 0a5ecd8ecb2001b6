"""Which texts need whose yes, and the fingerprint by which a yes belongs to exactly these words.

Who must read what: a native reader everything; a clinician what touches danger, a break and the match; a family lawyer
what speaks of the law (content.md §6).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from nudges.crisis import replies
from schedules import catalog
from schedules.catalog import Library
from schedules.lint.passages import FORMS, passages
from schedules.nodes import compose
from schedules.values import Kind, Texts

CLINICIAN: Final = "clinician"
NATIVE_READER: Final = "native_reader"
LEGAL: Final = "legal"
ROLES: Final[Mapping[str, str]] = {
    CLINICIAN: "a clinician",
    NATIVE_READER: "a native reader of Spanish",
    LEGAL: "a family lawyer",
}
CRISIS: Final = "crisis"  # the chapter of the replies to danger
CLINICAL: Final = frozenset(("AFTERCRISIS", "REPAIR", "MATCH", "BREAK"))
GATED: Final = frozenset(("AFTERCRISIS",))  # sequences that cannot begin before every text is signed off
_CLINICAL_ANSWERS: Final = frozenset(("FAQ-17", "FAQ-18", "FAQ-26", "FAQ-28"))
_HELP_CARD: Final = "help_crisis_line"
FORM_NAMES: Final[Mapping[str, str]] = {
    "en": "English",
    "es": "Spanish",
    "discreet_en": "English, discreet",
    "discreet_es": "Spanish, discreet",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """One text as it is signed off.

    `place` is chapter/name, such as AFTERCRISIS/AC-1[age=13-17] or faq/FAQ-01; `forms` are label and words;
    `needs` are the roles whose yes it needs; a gated text is not used before it has them all.
    """

    place: str
    forms: tuple[tuple[str, str], ...]
    needs: tuple[str, ...]
    is_gated: bool = False

    @property
    def chapter(self) -> str:
        return self.place.partition("/")[0]

    @property
    def name(self) -> str:
        return self.place.partition("/")[2]

    @property
    def step(self) -> str:
        """The step that it belongs to: the name without its variant or answer."""
        return self.name.partition("[")[0].partition(".")[0]

    @property
    def digest(self) -> str:
        """The fingerprint of the forms. One changed letter gives another one."""
        return hashlib.sha256("\x1f".join(words for _, words in self.forms).encode()).hexdigest()


@lru_cache(maxsize=128)
def of_sequence(key: str, source: str) -> tuple[Text, ...]:
    """Every text of the sequence file `source`, in its order. Raises schedules.nodes.Unreadable."""
    root = compose(source)
    return tuple(
        Text(
            place=f"{key}/{passage.where}",
            forms=tuple((FORM_NAMES[form], passage.form(form)) for form in FORMS),
            needs=_needs(clinical=key in CLINICAL or passage.kind == Kind.CRISIS),
            is_gated=key in GATED or passage.kind == Kind.CRISIS,
        )
        for passage in (passages(root) if root is not None else ())
    )


def of_library(library: Library) -> tuple[Text, ...]:
    """The service's own texts, the answers to questions and the idea bank."""
    answers = {faq.id for faq in library.faqs}
    system = ((key, texts) for key, texts in library.system.items() if key not in answers)
    found = [_row(f"system/{key}", texts, clinical=key == _HELP_CARD) for key, texts in system]
    found += [answer(faq.id, faq.texts, is_legal=faq.is_legal) for faq in library.faqs]
    found += [_row(f"ideas/{idea.id}", idea.texts) for idea in library.ideas]
    return tuple(found)


def answer(faq_id: str, texts: Texts, *, is_legal: bool) -> Text:
    """The answer to a question. What a clinician or a lawyer must see is not sent before they have."""
    is_clinical = faq_id in _CLINICAL_ANSWERS
    return _row(f"faq/{faq_id}", texts, clinical=is_clinical, legal=is_legal, is_gated=is_clinical or is_legal)


def of_crisis(country: str) -> tuple[Text, ...]:
    """The replies to danger as a parent in `country` reads them, while somebody is on shift and while nobody is.

    They are never held back: silence would be worse. Nobody is enrolled before they are signed off.
    """
    return tuple(
        Text(place=f"{CRISIS}/{country} {kind}", forms=forms, needs=_needs(clinical=True), is_gated=True)
        for kind, forms in replies.for_sign_off(country).items()
    )


@cache
def shipped() -> tuple[Text, ...]:
    """Everything that is shipped, but for the replies to danger, which depend on the country."""
    library = catalog.load_library()
    sequences = (text for key, source in library.sources.items() for text in of_sequence(key, source))
    return (*sequences, *of_library(library))


def gated(texts: Iterable[Text]) -> tuple[Text, ...]:
    return tuple(text for text in texts if text.is_gated)


def _row(place: str, texts: Texts, *, clinical: bool = False, legal: bool = False, is_gated: bool = False) -> Text:
    return Text(
        place=place,
        forms=tuple((FORM_NAMES[form], str(getattr(texts, form))) for form in FORMS),
        needs=_needs(clinical=clinical, legal=legal),
        is_gated=is_gated,
    )


def _needs(*, clinical: bool = False, legal: bool = False) -> tuple[str, ...]:
    wanted = {CLINICIAN: clinical, NATIVE_READER: True, LEGAL: legal}
    return tuple(role for role in ROLES if wanted[role])
