"""The second layer: what rules cannot see. (Rules only until the model has been built.)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from nudges.crisis.decide import Scores
from nudges.crisis.normalise import Folded
from nudges.crisis.values import Hit


@dataclass(slots=True)
class Second:
    version: str = "none"
    vectors: str = "off"

    def score(self, text: str, folded: Folded, hits: Sequence[Hit]) -> Scores | None:
        return None


@cache
def load() -> Second:
    return Second()
