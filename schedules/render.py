"""From a step's texts to the words one family reads. A missing value is an error, never an empty word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from schedules import segments
from schedules.values import Profile, Step, Texts

PLACEHOLDERS = ("org", "day", "time", "resource", "staff", "idea", "w1", "w2", "w3", "w4")
MOST_PARTS = 2  # message segments; longer texts arrive in pieces and cost more
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")


class MissingValue(Exception):
    """A placeholder has no value: the text must not go."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """A text as it is sent, in `lang`, with its cost."""

    text: str
    lang: str
    segments: segments.Segments


@lru_cache(maxsize=4096)
def placeholders(text: str) -> frozenset[str]:
    """The names between braces."""
    return frozenset(_PLACEHOLDER.findall(text))


def choose(step: Step, profile: Profile, turn: int = 0, *, is_plain: bool = False) -> Texts:
    """The words of a step for this family, `turn` times after the first: later times have words of their own where
    the author wrote some. Else the first variant that fits, else the step's own. `is_plain`: the words that ask
    nothing. Raises ValueError for staff steps."""
    if is_plain and step.plain is not None:
        return step.plain
    wordings = 1 + len(step.repeats)
    if turn % wordings:
        return step.repeats[turn % wordings - 1]
    for variant in step.variants:
        if all(_fits(key, value, profile) for key, value in variant.applies_to.items()):
            return variant.texts
    if step.texts is None:
        raise ValueError(f"step {step.id} has no text: it is a task for staff")
    return step.texts


def _fits(key: str, wanted: str, profile: Profile) -> bool:
    if key == "reason":
        return wanted in profile.reasons
    have = {
        "age": profile.age_band,
        "role": profile.role,
        "profile": wording(profile),
        "contact": profile.contact_plan,
    }
    return have.get(key) == wanted


def wording(profile: Profile) -> str:
    """The wording profile. An order, or not knowing whether there is one, reads as `ordered` (PR-14)."""
    if profile.profile == "gentle" and profile.court_ordered != "no":
        return "ordered"
    return profile.profile


def asked_for(texts: Texts, *, lang: str, discreet: bool) -> frozenset[str]:
    """The placeholders of the text in `lang`."""
    return placeholders(_template(texts, lang, discreet))


def _template(texts: Texts, lang: str, discreet: bool) -> str:
    return str(getattr(texts, f"discreet_{lang}" if discreet else lang))


def fill(texts: Texts, *, lang: str, discreet: bool, values: Mapping[str, str]) -> Rendered:
    """The text in `lang` ("en" or "es"), with placeholders filled. Raises MissingValue."""
    template = _template(texts, lang, discreet)
    missing = sorted(name for name in placeholders(template) if not values.get(name))
    if missing:
        raise MissingValue(f"no value for {', '.join('{' + name + '}' for name in missing)}")
    return _filled(template, lang, tuple(values[name] for name in sorted(placeholders(template))))


@lru_cache(maxsize=1024)
def _filled(template: str, lang: str, given: tuple[str, ...]) -> Rendered:
    """The text with the values of its placeholders, in the order of their names."""
    values = dict(zip(sorted(placeholders(template)), given, strict=True))
    text = _PLACEHOLDER.sub(lambda match: values[match[1]], template)
    return Rendered(text=text, lang=lang, segments=segments.count(text))


def with_line(rendered: Rendered, line: Texts, *, discreet: bool) -> Rendered | None:
    """The text with one more line at its end; none when there is no room for it."""
    last = _template(line, rendered.lang, discreet)
    text = f"{rendered.text.rstrip()}\n{last.strip()}"
    cost = segments.count(text)
    return None if cost.parts > MOST_PARTS else Rendered(text=text, lang=rendered.lang, segments=cost)


def for_step(
    step: Step, profile: Profile, values: Mapping[str, str], turn: int = 0, *, is_plain: bool = False
) -> Rendered:
    """The words of `step` for this family (see `choose`). Raises MissingValue, also when no place of the step's kind
    fits them."""
    texts = choose(step, profile, turn, is_plain=is_plain)
    if step.place is not None and "{resource}" in texts.en:
        named = values.get(place_value(step.place))
        if not named:
            raise MissingValue(f"the directory has no {step.place.replace('_', ' ')} for this family, checked lately")
        values = {**values, "resource": named}
    return fill(texts, lang=profile.pref_lang, discreet=profile.discreet, values=values)


def place_value(kind: str) -> str:
    """The name under which `values` hold a place of this kind."""
    return f"resource {kind}"
