"""A draft beside what is in force, over the whole corpus: which texts are answered otherwise, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from nudges.crisis.edition import Edition
from nudges.crisis.values import Level
from nudges.desk import corpus
from nudges.desk.corpus import Reading, Row
from nudges.publishing import Looked

MOST_MORE_ALARMS: Final = 0.003  # of ordinary texts: 0.3 points
_RANK: Final = {Level.ORDINARY: 0, Level.CHECK: 1, Level.CRISIS: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One text that the draft answers otherwise. `is_worse` where the new level is further from its label."""

    row: Row
    before: Level
    after: Level
    why: str

    @property
    def is_worse(self) -> bool:
        wanted = _RANK[self.row.label]
        return abs(_RANK[self.after] - wanted) > abs(_RANK[self.before] - wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Shares from 0 to 1 over the corpus; the shipped model has seen most of it, so only differences say something."""

    texts: int
    crisis_as_crisis: float
    crisis_answered: float
    explicit_as_crisis: float
    oblique_as_crisis: float
    oblique_answered: float
    ordinary_as_crisis: float
    ordinary_answered: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Live and draft side by side. `lost` and `oblique` block always, `alarms` unless a clinician takes it on."""

    before_digest: str
    after_digest: str
    before: Scores
    after: Scores
    moved: tuple[Moved, ...]

    @property
    def looked(self) -> Looked:
        return Looked(before=self.before_digest, after=self.after_digest)

    @property
    def lost(self) -> tuple[Moved, ...]:
        """Plain statements of danger that would be answered less than now."""
        return tuple(m for m in self.moved if m.row.must_not_be_lost and _RANK[m.after] < _RANK[m.before])

    @property
    def is_oblique_lower(self) -> bool:
        return (
            self.after.oblique_as_crisis < self.before.oblique_as_crisis
            or self.after.oblique_answered < self.before.oblique_answered
        )

    @property
    def has_more_alarms(self) -> bool:
        rise = max(
            self.after.ordinary_as_crisis - self.before.ordinary_as_crisis,
            self.after.ordinary_answered - self.before.ordinary_answered,
        )
        return rise > MOST_MORE_ALARMS

    def as_stored(self) -> dict[str, Any]:
        """The figures that a version keeps."""
        return {"before": asdict(self.before), "after": asdict(self.after), "moved": len(self.moved)}


def compare(rows: Sequence[Row], known: Mapping[str, Reading], live: Edition, draft: Edition) -> Comparison:
    """Try both on every row. `known` must hold a reading of each text. Only texts that one of the two touches are
    screened again, so this takes about a second. Call it outside a transaction.
    """
    levels = {text: _levels(text, known[text], live, draft) for text in {row.text for row in rows}}
    moved = [
        Moved(row=row, before=before[0], after=after[0], why=after[1] or before[1])
        for row in rows
        for before, after in (levels[row.text],)
        if before[0] is not after[0]
    ]
    return Comparison(
        before_digest=live.digest,
        after_digest=draft.digest,
        before=_scores(rows, {text: pair[0][0] for text, pair in levels.items()}),
        after=_scores(rows, {text: pair[1][0] for text, pair in levels.items()}),
        moved=tuple(sorted(moved, key=lambda m: (not m.is_worse, m.row.label.value, m.row.name))),
    )


def _levels(text: str, reading: Reading, live: Edition, draft: Edition) -> tuple[tuple[Level, str], tuple[Level, str]]:
    before = _level(text, reading, live)
    return before, (before if live.digest == draft.digest else _level(text, reading, draft))


def _level(text: str, reading: Reading, chosen: Edition) -> tuple[Level, str]:
    """An edition that neither matches in the text nor lowers one of its rules leaves it as it is."""
    if not chosen.lowered & reading.rules and not chosen.find(corpus.folded(text)).is_anything:
        return reading.level, ""
    found = corpus.steady(text, chosen)
    return found.level, found.why


def _scores(rows: Sequence[Row], levels: Mapping[str, Level]) -> Scores:
    crisis = [row for row in rows if row.label is Level.CRISIS]
    ordinary = [row for row in rows if row.label is Level.ORDINARY]
    oblique = [row for row in crisis if row.style == "oblique"]
    explicit = [row for row in crisis if row.style == "explicit"]

    def share(of: Sequence[Row], least: Level) -> float:
        return sum(_RANK[levels[row.text]] >= _RANK[least] for row in of) / len(of) if of else 0.0

    return Scores(
        texts=len(rows),
        crisis_as_crisis=share(crisis, Level.CRISIS),
        crisis_answered=share(crisis, Level.CHECK),
        explicit_as_crisis=share(explicit, Level.CRISIS),
        oblique_as_crisis=share(oblique, Level.CRISIS),
        oblique_answered=share(oblique, Level.CHECK),
        ordinary_as_crisis=share(ordinary, Level.CRISIS),
        ordinary_answered=share(ordinary, Level.CHECK),
    )
