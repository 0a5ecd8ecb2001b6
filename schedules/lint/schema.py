"""The JSON Schema of a sequence file, for editors that complete and check while one types.

Built from the catalog's own tables, so that it cannot drift from what is read. What a schema cannot say (steps that
exist, digits that are offered, the language rules) the lint says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from schedules import effects, render, traits, when
from schedules.lint.passages import FORMS
from schedules.lint.rulebook import rulebook
from schedules.sequences import Traits
from schedules.values import PLACES, Budget, Kind, Topic

Schema = Mapping[str, Any]

VARIANT_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "age": ("5-8", "9-12", "13-17"),
    "role": ("resident", "other_parent", "shared", "foster_kin", "guardian"),
    "profile": ("gentle", "firm", "ordered"),
    "reason": ("1", "2", "3", "4", "5", "6"),
    "contact": ("unsupervised", "supervised", "remote", "none", "unknown"),
}
_TEXT: Final = {"type": "string", "minLength": 1}
_FLAG: Final = {"enum": ["yes", "no", "true", "false", True, False]}
_STEP_ID: Final = {"type": "string", "pattern": "^[A-Z]{2}-[A-Z0-9]+$"}


def as_json() -> str:
    """The schema as it stands in docs/sequence.schema.json."""
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"


def build() -> Schema:
    """The schema of one sequence file (JSON Schema 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A sequence of texts",
        "description": "One file per sequence; docs/authoring.md teaches the language.",
        **_object(_SEQUENCE, required=("key", "title", "purpose", "at_most", "steps")),
        "$defs": {
            "moment": _moment(),
            "effects": _effects(),
            "texts": _texts(),
            "allow": _allow(),
            "answer": _answer(),
            "variant": _variant(),
            "step": _object(_STEP, required=("id", "when", "kind", "topic", "intent", "seeds")),
        },
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _object(properties: Mapping[str, Any], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(properties),
        "required": list(required),
    }


def _words(description: str) -> Schema:
    one = {"type": "string"}
    return {"description": description, "anyOf": [one, {"type": "array", "items": one}]}


def _moment() -> Schema:
    described = f"When the step is due. Forms: {' · '.join(when.FORMS)}"
    return {"type": "string", "description": described, "examples": list(when.FORMS)}


def _effects() -> Schema:
    pattern = "|".join(verb.pattern.pattern for verb in effects.VERBS)
    one = {
        "type": "string",
        "pattern": f"^(?:{pattern})$",
        "description": f"Effects: {' · '.join(verb.written for verb in effects.VERBS)}",
    }
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _texts() -> Schema:
    known = ", ".join("{" + name + "}" for name in render.PLACEHOLDERS)
    described = f"The same text in four forms, each within two message parts. Placeholders: {known}"
    forms = dict.fromkeys(FORMS, _TEXT)
    return {"description": described, **_object(forms | {"lint_allow": _ref("allow")}, required=FORMS)}


def _allow() -> Schema:
    lifted = {rule.id for rule in rulebook().rules} | set(rulebook().advice)
    rules = sorted(lifted - rulebook().words["never_allowed"])
    fields = {"rule": {"enum": rules}, "reason": _TEXT, "reviewer": _TEXT}
    described = "Rules that a named reviewer lifts for this text, and why."
    return {"description": described, "type": "array", "items": _object(fields, required=tuple(fields))}


def _answer() -> Schema:
    fields = {
        "means": {"type": "string", "description": "What the parent says with this digit, for people."},
        "then": _ref("effects"),
        "twice": {"description": "Besides, when the last answer to this step was the same.", **_ref("effects")},
        "if_ordered": {
            "description": "In place of `then`, for families under an order or after a crisis.",
            **_ref("effects"),
        },
        "reply": {"description": "Sent back at once, in place of a general thank-you.", **_ref("texts")},
        "lint_allow": _ref("allow"),
    }
    return _object(fields, required=("means", "then"))


def _variant() -> Schema:
    fields = {key: {"enum": list(values)} for key, values in VARIANT_VALUES.items()}
    applies = {"description": "The family it is for; the first variant that fits is sent.", **_object(fields)}
    return _object({"for": applies, "text": _ref("texts"), "lint_allow": _ref("allow")}, required=("for", "text"))


def _traits() -> Schema:
    """Each trait in the form in which traits.py reads it."""
    forms: Mapping[str, Schema] = {
        "bool": _FLAG,
        "frozenset[str]": _words("Keys of sequences, or service words."),
        "str | None": {"enum": list(traits.DATES)},
        "int | None": {"description": "From 1 to 99; lower goes first.", "anyOf": [_NUMBER, {"type": "integer"}]},
        "Budget | None": {"enum": list(Budget)},
    }
    return {field.name: forms[str(field.type)] for field in fields(Traits)}


_NUMBER: Final = {"type": "string", "pattern": r"^[1-9]\d?$"}
_SEQUENCE: Final[Schema] = {
    "key": {"type": "string", "pattern": "^[A-Z]{3,12}$", "description": "Its short name, such as TALK."},
    "title": _TEXT,
    "purpose": {**_TEXT, "description": "What it is for, in a sentence that a parent could read."},
    "enrolled_by": _words("Who may begin it: self, staff."),
    "entry": _words("What has to be so before it begins, in words."),
    "exit": _words("What ends it, in words."),
    "lasts": {"type": "string", "pattern": r"^(?:open|\d+ (?:days?|weeks?))$"},
    "at_most": {"type": "string", "pattern": r"^\d (?:a week|per \d+ days)$"},
    "beside_limit": _words("Kinds that at_most does not count."),
    "thinning": {
        "description": "Stricter limits from later days on, such as `1 a week after day 10`.",
        "type": "array",
        "items": {"type": "string", "pattern": r"^\d (?:a week|per \d+ days) after day \d+$"},
    },
    "if_worse_twice": _ref("effects"),
    "traits": {
        "type": "object",
        "description": "What sets it apart from other sequences; docs/authoring.md says what each trait does.",
        "properties": _traits(),
        "additionalProperties": False,
    },
    "words": {
        "type": "object",
        "description": "What a service word means while it runs.",
        "additionalProperties": _ref("effects"),
    },
    "leads_to": _words("Sequences that begin when it was the last one and has run its course: the first that fits."),
    "at_end": {"description": "Whom it tells when it has run its course: staff effects only.", **_ref("effects")},
    "reviewed": {
        "type": "object",
        "description": "Who signed it off, and on which date.",
        "properties": {"clinician": _TEXT, "native_reader": _TEXT, "on": {"description": "Such as 2026-11-22."}},
    },
    "seeds": _words("Ids of the ideas that it carries."),
    "notes": {"description": "For people."},
    "steps": {"type": "array", "items": _ref("step"), "minItems": 1},
}
_STEP: Final[Schema] = {
    "id": {**_STEP_ID, "description": "Two letters, a dash, a number or letter. It stays with the step."},
    "when": {"anyOf": [_ref("moment"), {"type": "array", "items": _ref("moment"), "minItems": 1}]},
    "kind": {"enum": [kind.value for kind in Kind]},
    "topic": {"enum": [topic.value for topic in Topic]},
    "intent": {**_TEXT, "description": "What it should do, in a few words; never sent."},
    "seeds": _words("Ids of the ideas that it carries."),
    "text": _ref("texts"),
    "variants": {"type": "array", "items": _ref("variant")},
    "answers": {
        "type": "object",
        "description": "By digit, in quotes. The text itself offers the same digits.",
        "patternProperties": {"^[1-9]$": _ref("answer")},
        "additionalProperties": False,
    },
    "words": {
        "type": "object",
        "description": "Service words that mean something special after this step.",
        "additionalProperties": _ref("effects"),
    },
    "then": {"description": "What sending it does, answer or not.", **_ref("effects")},
    "refusals": {
        "type": "object",
        "description": "Effects by the number of refusals so far.",
        "additionalProperties": _ref("effects"),
    },
    "closes_talk": _FLAG,
    "combines": {**_FLAG, "description": "Several digits may be answered together."},
    "if_silent": {
        "description": "An unanswered question is asked once more after some hours; then people are told.",
        **_object(
            {"ask_again": {"type": "string", "pattern": r"^\d{1,3} hours?$"}, "then": _ref("effects")},
            required=("ask_again", "then"),
        ),
    },
    "school_hours": {**_FLAG, "description": "Sent in term only, on weekdays, in school office hours."},
    "on_wish": {
        "enum": ["second_reminder", "phone_unknown"],
        "description": "Sent only to families that asked for it, or of whom nobody knows who sees their phone.",
    },
    "place": {"enum": list(PLACES), "description": "What {resource} is in its texts, from the program's directory."},
    "budget": {"enum": list(Budget), "description": "Whose limits it obeys, in place of what its kind says."},
    "uncounted": {**_FLAG, "description": "Outside every cap, and starts no gap."},
    "until_settled": {**_FLAG, "description": "Its question stays open until it is answered or a person settles it."},
    "plain": {
        **_ref("texts"),
        "description": "Its words while another question must be settled first: they ask nothing.",
    },
    "repeats": {
        "description": "The words of the second, third ... sending to one parent.",
        "type": "array",
        "items": _ref("texts"),
        "minItems": 1,
    },
    "lint_allow": _ref("allow"),
}
