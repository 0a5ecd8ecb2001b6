"""The arithmetic of training: kernels, ridge solution, the small weighing model, and leaving one author out."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve  # type: ignore[import-untyped]  # ships no types
from scipy.linalg.lapack import dpotrf, dpotri  # type: ignore[import-untyped]
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

from nudges.crisis import exact, rulebook, second, vectors
from nudges.crisis.decide import LEAD, facts
from nudges.crisis.features import grams
from nudges.crisis.values import Hit, Tier

Array = NDArray[np.float64]
HERE = Path(__file__).parent
LEAST_SEEN = {"words": 2, "pieces": 3}  # a word that one text uses teaches nothing about the next
RIDGE = 0.3
AXES = 256
# Authors who were asked for ordinary twins of their crisis texts: same words, same scene, no danger.
TWINNED = frozenset("ehijk")
_TWIN_PULL = 0.4
_CHECK_WEIGHT = 0.5  # authors disagree most on `check`; such texts pull half as hard
_TRUST_PRIOR, _TRUST_STRENGTH = 0.6, 3.0
_STACK_RIDGE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One labelled text of one author."""

    id: str
    text: str
    label: str
    tier: str
    lang: str
    style: str
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grams:
    """A document-term matrix with rows of length one, its vocabulary and the weight of each entry."""

    names: tuple[str, ...]
    idf: Array
    matrix: csr_matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Everything that is computed once from the texts. `vectors` are already rounded as they are stored."""

    rows: tuple[Row, ...]
    hits: tuple[tuple[Hit, ...], ...]
    words: Grams
    pieces: Grams
    axes: NDArray[np.float16]
    vectors: NDArray[np.int8]
    scale: float

    def where(self, authors: Iterable[str]) -> NDArray[np.int64]:
        wanted = set(authors)
        return np.array([i for i, row in enumerate(self.rows) if row.author in wanted], dtype=np.int64)

    @property
    def authors(self) -> tuple[str, ...]:
        return tuple(sorted({row.author for row in self.rows}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The weighing model: weights of (kernel score, rule facts, 1), and what each pattern's match is worth."""

    weights: Array
    trust: dict[str, float]


def read_rows() -> tuple[Row, ...]:
    """All texts, in order of file and line. An author is a file."""
    return tuple(row for path in sorted(HERE.glob("dev_*.csv")) for row in read_file(path))


def read_file(path: Path) -> tuple[Row, ...]:
    """The texts of one author. The file is named `dev_` for training, `exam_` when it must never train."""
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(Row(**line, author=path.stem.partition("_")[2]) for line in csv.DictReader(file))


def corpus(rows: Sequence[Row]) -> Corpus:
    book = rulebook.load()
    folded = [book.fold(row.text) for row in rows]
    counted = [grams(f.words[exact.skip_prefix(f.words) :]) for f in folded]
    encoded = np.stack([vectors.encode(second.readable(f)) for f in folded])
    axes = _main_axes(encoded.astype(np.float64))
    turned = encoded @ axes.T.astype(np.float32)
    scale = float(np.abs(turned).max()) / 127
    return Corpus(
        rows=tuple(rows),
        hits=tuple(tuple(book.read(row.text, f)) for row, f in zip(rows, folded, strict=True)),
        words=_matrix([w for w, _ in counted], LEAST_SEEN["words"]),
        pieces=_matrix([p for _, p in counted], LEAST_SEEN["pieces"]),
        axes=axes,
        vectors=np.round(turned / scale).astype(np.int8),
        scale=scale,
    )


def _main_axes(encoded: Array) -> NDArray[np.float16]:
    """The directions in which texts differ most; half of the encoder's 512 lose nothing and halve the work."""
    _, axes = np.linalg.eigh(encoded.T @ encoded)
    kept = axes[:, ::-1][:, :AXES].T
    heads = np.take_along_axis(kept, np.abs(kept).argmax(axis=1)[:, None], axis=1)
    found: NDArray[np.float16] = (kept * np.sign(heads)).astype(np.float16)
    return found


def _matrix(counted: Sequence[Counter[str]], least: int) -> Grams:
    seen = Counter(gram for counts in counted for gram in counts)
    names = tuple(sorted(gram for gram, n in seen.items() if n >= least))
    place = {gram: i for i, gram in enumerate(names)}
    idf = np.array([math.log((1 + len(counted)) / (1 + seen[gram])) + 1 for gram in names])
    values: list[float] = []
    columns: list[int] = []
    starts = [0]
    for counts in counted:
        entries = [(place[g], (1 + math.log(n)) * idf[place[g]]) for g, n in counts.items() if g in place]
        length = math.sqrt(sum(v * v for _, v in entries)) or 1.0
        columns += [c for c, _ in entries]
        values += [v / length for _, v in entries]
        starts.append(len(columns))
    return Grams(names=names, idf=idf, matrix=csr_matrix((values, columns, starts), shape=(len(counted), len(names))))


def kernel(data: Corpus, form: str) -> Array:
    """How alike every two texts are. Form `words` leaves the sentence vectors out."""
    shared = (data.words.matrix @ data.words.matrix.T) + (data.pieces.matrix @ data.pieces.matrix.T)
    alike: Array = second.CONSTANT + second.WORD_SHARE * np.asarray(shared.toarray(), dtype=np.float64)
    if form == "full":
        stored = data.vectors.astype(np.float64) * data.scale
        lengths = np.einsum("ij,ij->i", stored, stored)
        apart = lengths[:, None] + lengths[None, :] - 2 * stored @ stored.T
        alike = alike + np.exp(-second.GAMMA * np.maximum(apart, 0))
    return alike


def targets(data: Corpus) -> Array:
    """Column 0: crisis 1, check 0, ordinary -1. Columns 1 to 7: this tier 1, anything else -1, check -0.5."""
    out = np.full((len(data.rows), 1 + len(LEAD)), -1.0)
    for i, row in enumerate(data.rows):
        if row.label == "check":
            out[i] = (0.0, *(-0.5 for _ in LEAD))
        elif row.label == "crisis":
            out[i, 0] = 1.0
            out[i, 1 + LEAD.index(Tier(row.tier))] = 1.0
    return out


def pulls(data: Corpus) -> Array:
    """How hard each text pulls: half of an ordinary twin, whose words were chosen to stand beside a crisis."""
    gentle = [row.label == "ordinary" and row.author in TWINNED for row in data.rows]
    return np.where(gentle, _TWIN_PULL, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Kernel ridge regression solved for all texts at once; `without` answers what it would be like without some."""

    inverse: Array
    wanted: Array

    @property
    def alphas(self) -> Array:
        """The weights of the training texts, shape (texts, outputs)."""
        found: Array = self.inverse @ self.wanted
        return found

    def without(self, rows: NDArray[np.int64]) -> Array:
        """The scores of `rows` from a machine that never saw them: exact, by the block of the inverse."""
        block = self.inverse[np.ix_(rows, rows)]
        missed = self.inverse[rows] @ self.wanted
        found: Array = self.wanted[rows] - cho_solve(cho_factor(block, lower=True), missed)
        return found


def solve(alike: Array, wanted: Array, pull: Array) -> Machine:
    """One inversion: a text that pulls half as hard is held twice as loosely."""
    held = alike + np.diag(RIDGE / pull)
    factor, _ = dpotrf(held, lower=1, overwrite_a=1)
    lower, _ = dpotri(factor, lower=1, overwrite_c=1)
    below = np.tril(lower, -1)
    return Machine(inverse=below + below.T + np.diag(np.diag(lower)), wanted=wanted)


def held_out_scores(data: Corpus, machine: Machine, authors: Sequence[str]) -> Array:
    """Kernel scores of each author's texts from a machine that has seen only the other authors in `authors`."""
    unseen = [a for a in data.authors if a not in authors]
    out = np.zeros_like(machine.wanted)
    for author in authors:
        left_out = data.where([author, *unseen])
        out[left_out] = np.where(
            np.isin(left_out, data.where([author]))[:, None], machine.without(left_out), out[left_out]
        )
    return out


def trust(data: Corpus, rows: NDArray[np.int64]) -> dict[str, float]:
    """Log-odds that a live match of a pattern is a crisis, shrunk towards 60 % where it matched rarely."""
    crisis: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for i in rows:
        for pattern in {h.pattern for h in data.hits[i] if h.suppressed_by is None}:
            label = data.rows[i].label
            crisis[pattern] += label == "crisis"
            other[pattern] += {"crisis": 0.0, "check": 0.3, "ordinary": 1.0}[label]  # type: ignore[assignment]
    prior = (_TRUST_PRIOR * _TRUST_STRENGTH, (1 - _TRUST_PRIOR) * _TRUST_STRENGTH)
    every = rulebook.load().rule_matcher.sources
    return {p: round(math.log((crisis[p] + prior[0]) / (other[p] + prior[1])), 3) for p in sorted(set(every))}


def inputs(data: Corpus, scores: Array, rows: NDArray[np.int64], trusted: Mapping[str, float]) -> Array:
    return np.array([(*second.kernel_inputs(scores[i]), *facts(data.hits[i], trusted), 1.0) for i in rows])


def fit_stack(data: Corpus, scores: Array, authors: Sequence[str]) -> Stack:
    """Weighs scores and rule facts. Each author's facts use a trust learned from the others, as a new one's would."""
    seen: list[Array] = []
    order: list[int] = []
    for author in authors:
        rows = data.where([author])
        seen.append(inputs(data, scores, rows, trust(data, data.where(a for a in authors if a != author))))
        order += [int(i) for i in rows]
    labels = [data.rows[i].label for i in order]
    yes = np.array([label == "crisis" for label in labels], dtype=np.float64)
    pull = np.array([_CHECK_WEIGHT if label == "check" else 1.0 for label in labels])
    return Stack(weights=_logistic(np.vstack(seen), yes, pull), trust=trust(data, data.where(authors)))


def _logistic(seen: Array, yes: Array, pull: Array) -> Array:
    weights = np.zeros(seen.shape[1])
    ridge = _STACK_RIDGE * np.r_[np.ones(seen.shape[1] - 1), 0.0]
    for _ in range(40):
        chance = 1 / (1 + np.exp(-seen @ weights))
        slope = seen.T @ (pull * (chance - yes)) + ridge * weights
        bend = (seen * (pull * chance * (1 - chance))[:, None]).T @ seen + np.diag(ridge + 1e-9)
        weights = weights - np.linalg.solve(bend, slope)
    return weights


def chances(data: Corpus, scores: Array, rows: NDArray[np.int64], stack: Stack) -> Array:
    found: Array = 1 / (1 + np.exp(-inputs(data, scores, rows, stack.trust) @ stack.weights))
    return found


def threshold(data: Corpus, chance: Mapping[str, Array], share: float) -> float:
    """The score that `share` of the ordinary texts reach, each author counting alike."""
    weighed: list[tuple[float, float]] = []
    for author, values in chance.items():
        ordinary = [
            float(v) for v, i in zip(values, data.where([author]), strict=True) if data.rows[i].label == "ordinary"
        ]
        weighed += [(v, 1 / len(ordinary) / len(chance)) for v in ordinary]
    passed = 0.0
    for value, weight in sorted(weighed, reverse=True):
        passed += weight
        if passed > share:
            return value + 1e-6
    return 0.0
