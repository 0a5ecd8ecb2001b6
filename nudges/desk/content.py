"""What a version of the desk says, key by key; what differs between two, and which differences need two people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nudges.crisis import edition, phrases, resources
from nudges.crisis.phrases import KINDS

Content = Mapping[str, Any]
# A new day on which somebody called a line changes no reply.
_CHECKED_ONLY: Final = ("source", "verified_on", "next_review")
_STRENGTH: Final = {"never_alone": 0, "check": 1, "crisis": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One key before and after; None stands for "nothing of ours": as shipped, or no such phrase."""

    key: str
    before: Any
    after: Any

    @property
    def kind(self) -> str:
        return self.key.partition(":")[0]

    @property
    def name(self) -> str:
        return self.key.partition(":")[2]


def diff(before: Content, after: Content) -> tuple[Change, ...]:
    """Every key that is not the same in both, in order of keys."""
    keys = sorted(before.keys() | after.keys())
    pairs = ((key, before.get(key), after.get(key)) for key in keys)
    return tuple(Change(key=key, before=old, after=new) for key, old, new in pairs if old != new)


def applied(content: Content, changes: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The content with these keys set, or taken out where the value is None."""
    new = dict(content)
    for key, value in changes:
        if value is None:
            new.pop(key, None)
        else:
            new[key] = value
    return new


def needs_second(change: Change) -> bool:
    """True for everything that can silence, lower or misdirect: a second person with the clinical role decides.

    Alone a person may add a phrase that answers more texts, raise one, take a suppression away, put a lowered rule
    back, and note that a line was called and still answers.
    """
    if change.kind == edition.PHRASE:
        return _phrase_needs_second(change.before, change.after)
    if change.kind == edition.RULE:
        return change.after is not None
    if change.kind == edition.LINE:
        return not _only_checked(change)
    return True


def _phrase_needs_second(before: Any, after: Any) -> bool:
    if after is None:
        return bool(before["kind"] != "never_alone")
    if after["kind"] == "never_alone":
        return True
    if before is None:
        return False
    return (
        _weaker(before, after)
        or any(before.get(name) != after.get(name) for name in ("words", "tier"))
        or (_narrower(before, after))
    )


def _weaker(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    is_lower = _STRENGTH[after["kind"]] < _STRENGTH[before["kind"]]
    return is_lower or after.get("severity", 3) < before.get("severity", 3)


def _narrower(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    fewer_typos = bool(before.get("typos", True)) and not after.get("typos", True)
    return fewer_typos or (not before.get("whole_words", True) and bool(after.get("whole_words", True)))


def _only_checked(change: Change) -> bool:
    """A line of which nothing that a reply prints has changed."""
    code, _, name = change.name.partition(".")
    shipped = resources.shipped().get(code)
    old = change.before or (resources.line_to_json(shipped.lines[name]) if shipped and name in shipped.lines else None)
    if old is None or change.after is None:
        return False
    return _printed(old) == _printed(change.after)


def _printed(line: Mapping[str, Any]) -> dict[str, Any]:
    whole = resources.line_to_json(resources.line_from(line))
    return {key: value for key, value in whole.items() if key not in _CHECKED_ONLY}


def words_of(change: Change) -> str:
    """The change in a sentence for a list or a notice. Quotes phrases, never their example lines."""
    if change.kind == edition.PHRASE:
        return _phrase_words(change)
    if change.kind == edition.RULE:
        lowered = f"Lower the built-in rule {change.name} to a safety check"
        return lowered if change.after else f"Put the built-in rule {change.name} back"
    if change.kind == edition.COUNTRY:
        return f"Turn {change.name} {'on' if change.after else 'off'}"
    if change.kind == edition.LINE:
        return _line_words(change)
    return f"Change the words of the reply {change.name}" if change.after else f"Reply {change.name} as shipped"


def _phrase_words(change: Change) -> str:
    told = change.after or change.before
    name = f"“{told['words']}” ({KINDS[told['kind']].lower()})"
    if change.after is None:
        return f"Remove {name}"
    if change.before is None:
        return f"Add {name}{', on trial' if told.get('shadow') else ''}"
    if change.before.get("shadow") and not change.after.get("shadow"):
        return f"End the trial of {name}: it counts from now on"
    return f"Change “{change.before['words']}” to {name}"


def _line_words(change: Change) -> str:
    code, _, name = change.name.partition(".")
    if change.after is None:
        return f"{code} {name}: as shipped"
    return f"{code} {name}: {change.after['say']}{' (checked again)' if _only_checked(change) else ''}"


def next_phrase_id(contents: Iterable[Iterable[str]]) -> str:
    """A phrase name that no key in `contents` has had: names are never used again."""
    prefix = f"{edition.PHRASE}:p"
    used = [int(key.removeprefix(prefix)) for keys in contents for key in keys if key.startswith(prefix)]
    return f"p{max(used, default=0) + 1}"


def phrase_key(name: str) -> str:
    return f"{edition.PHRASE}:{name}"


def phrases_in(content: Content) -> dict[str, phrases.Phrase]:
    """The phrases of a content by name."""
    prefix = f"{edition.PHRASE}:"
    return {key.removeprefix(prefix): phrases.from_json(raw) for key, raw in content.items() if key.startswith(prefix)}
