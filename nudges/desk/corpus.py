"""The texts that every change is tried on: those the model was trained with, and those that people here have judged.

What the shipped screen says about each is kept by fingerprint, because reading them all takes half a minute. A page
reads a part at a time (`read_some`) and never within a transaction: on SQLite that would hold up a crisis text.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from nudges import crisis
from nudges.crisis import edition, rulebook
from nudges.crisis.edition import Edition
from nudges.crisis.normalise import Folded
from nudges.crisis.screen import FAILED, core_version, screen
from nudges.crisis.values import Level, Screening
from nudges.db import blind_index
from nudges.models.on_call import CorpusText
from nudges.models.phrases import CorpusReading

_SHIPPED: Final = Path(crisis.__file__).parent / "training"
_ROWS_AT_ONCE: Final = 200  # parameters of one statement


_TRIES: Final = 3
# No version may answer these less: plain words, alone or beside a keyword, misspelled or with emoji; and judged texts.
_PLAIN_SPOKEN: Final = frozenset({"explicit", "mixed", "typo", "emoji", "incident", "import"})


class ScreenFailsError(RuntimeError):
    """The screen answered with its own failure, again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One judged text. `style` is explicit, oblique, idiom, …; `program_id` is None for shipped ones."""

    name: str
    text: str
    label: Level
    style: str
    program_id: int | None = None

    @property
    def must_not_be_lost(self) -> bool:
        """Plain statements of danger in any disguise, and every text that people here called a crisis."""
        return self.label is Level.CRISIS and self.style in _PLAIN_SPOKEN


@dataclass(frozen=True, slots=True)
class Reading:
    """What the screen as shipped says of a text, and the rules that counted."""

    level: Level
    tier: str | None
    rules: frozenset[str]


@cache
def shipped() -> tuple[Row, ...]:
    """Every text of the training files."""
    found: list[Row] = []
    for path in sorted(_SHIPPED.glob("dev_*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += [
                Row(name=raw["id"], text=raw["text"], label=Level(raw["label"]), style=raw["style"])
                for raw in csv.DictReader(file)
            ]
    return tuple(found)


def folded(text: str) -> Folded:
    """A text as rules see it. Shipped ones are kept, because every trial looks at all of them; no other text is."""
    return _folded_once(text) if text in _shipped_texts() else rulebook.load().fold(text)


@cache
def _shipped_texts() -> frozenset[str]:
    return frozenset(row.text for row in shipped())


@cache
def _folded_once(text: str) -> Folded:
    return rulebook.load().fold(text)


def rows(session: Session) -> tuple[Row, ...]:
    """Shipped texts and judged ones of every program: the screen is one for the installation."""
    kept = session.scalars(select(CorpusText).where(CorpusText.origin != "drill").order_by(CorpusText.id))
    return (*shipped(), *(_row(text) for text in kept))


def _row(text: CorpusText) -> Row:
    label = Level(text.label)
    return Row(name=f"kept-{text.id}", text=text.text, label=label, style=text.origin, program_id=text.program_id)


def readings(session: Session, texts: Iterable[Row]) -> dict[str, Reading]:
    """What is known already, by text. Of another version of rules or model nothing is."""
    wanted = {blind_index(row.text): row.text for row in texts}
    known = session.execute(
        select(CorpusReading.text_index, CorpusReading.level, CorpusReading.tier, CorpusReading.rules).where(
            CorpusReading.core == core_version()
        )
    )
    return {
        wanted[index]: Reading(Level(level), tier, frozenset(rules.split()))
        for index, level, tier, rules in known
        if index in wanted
    }


def unread(texts: Sequence[Row], known: Mapping[str, Reading]) -> list[str]:
    """Texts that the shipped screen has not read yet, each once."""
    return [text for text in dict.fromkeys(row.text for row in texts) if text not in known]


def read(texts: Iterable[str]) -> dict[str, Reading]:
    """Read with the screen as shipped: some milliseconds each. Call it outside a transaction."""
    return {text: _read(text) for text in texts}


def steady(text: str, by: Edition) -> Screening:
    """The screening by an edition. One that failed or ran out of time is no reading. Raises ScreenFailsError."""
    for _ in range(_TRIES):
        found = screen(text, by=by)
        if found.version != FAILED:
            return found
    raise ScreenFailsError("The screen fails on this machine: nothing can be compared. Ask your operator.")


def _read(text: str) -> Reading:
    found = steady(text, edition.shipped())
    tier = found.tier.value if found.tier is not None else None
    return Reading(found.level, tier, frozenset(hit.rule for hit in found.hits))


def keep(session: Session, found: Mapping[str, Reading]) -> None:
    """Store readings; two pages may do so at once. Those of earlier rules and models are dropped on the way."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    core = core_version()
    session.execute(delete(CorpusReading).where(CorpusReading.core != core))
    values = [
        {
            "core": core,
            "text_index": blind_index(text),
            "level": reading.level.value,
            "tier": reading.tier,
            "rules": " ".join(sorted(reading.rules)),
        }
        for text, reading in found.items()
    ]
    for start in range(0, len(values), _ROWS_AT_ONCE):
        session.execute(insert(CorpusReading).values(values[start : start + _ROWS_AT_ONCE]).on_conflict_do_nothing())
