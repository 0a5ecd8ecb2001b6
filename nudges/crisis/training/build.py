"""Trains the second layer and writes it to `nudges/crisis/model`. The same texts and rules give the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from nudges.crisis import rulebook, second
from nudges.crisis.training import fit
from nudges.crisis.training.fit import Array, Corpus

FALSE_ALARMS = 0.02  # share of ordinary texts of an unread author that may be answered as a crisis
TOUCHED = 0.1  # ... or answered at all
# Texts built to deceive, and file m, which was written after reading misses, train and are reported; they must not set
# the thresholds for texts that are neither.
NOT_FOR_THRESHOLDS = fit.TWINNED | frozenset("m")


def thresholds(data: Corpus, scores: Array, stack: fit.Stack, authors: Sequence[str]) -> tuple[float, float]:
    """(crisis, check) from scores of texts whose author the kernel had not seen."""
    judged = [a for a in authors if a not in NOT_FOR_THRESHOLDS] or list(authors)
    chance = {a: fit.chances(data, scores, data.where([a]), stack) for a in judged}
    return fit.threshold(data, chance, FALSE_ALARMS), fit.threshold(data, chance, TOUCHED)


def train_form(data: Corpus, form: str) -> tuple[dict[str, Any], dict[str, Any], Mapping[str, float]]:
    """(arrays, what model.json says, trust) of one form."""
    machine = fit.solve(fit.kernel(data, form), fit.targets(data), fit.pulls(data))
    scores = fit.held_out_scores(data, machine, data.authors)
    stack = fit.fit_stack(data, scores, data.authors)
    crisis_at, check_at = thresholds(data, scores, stack, data.authors)
    alphas = machine.alphas.astype(np.float32)
    arrays = {
        f"{form}_words": _fold_words(data.words, alphas),
        f"{form}_pieces": _fold_words(data.pieces, alphas),
        f"{form}_axes": data.axes if form == "full" else data.axes[:0],
        f"{form}_support": data.vectors if form == "full" else np.zeros((0, data.vectors.shape[1]), dtype=np.int8),
        f"{form}_alphas": alphas.astype(np.float16)
        if form == "full"
        else np.zeros((0, alphas.shape[1]), dtype=np.float16),
    }
    about = {
        "constant": [round(float(v), 5) for v in second.CONSTANT * alphas.sum(axis=0)],
        "stack": [round(float(v), 4) for v in stack.weights],
        "crisis_at": round(crisis_at, 4),
        "check_at": round(check_at, 4),
        "support_scale": data.scale,
    }
    return arrays, about, stack.trust


def _fold_words(counted: fit.Grams, alphas: Any) -> Any:
    """A linear kernel needs no support texts: their weights add up to one weight per word."""
    return (second.WORD_SHARE * (counted.matrix.T @ alphas)).astype(np.float16)


@click.command()
def build() -> None:
    """Train both forms and write weights.npz, grams.json and model.json."""
    with threadpool_limits(1):  # sums in one order, so that the bytes come out the same
        data = fit.corpus(fit.read_rows())
        arrays: dict[str, Any] = {
            "idf_words": data.words.idf.astype(np.float16),
            "idf_pieces": data.pieces.idf.astype(np.float16),
        }
        about: dict[str, Any] = {}
        for form in ("words", "full"):
            more, about[form], about["trust"] = train_form(data, form)
            arrays |= more
    second.MODEL.mkdir(exist_ok=True)
    np.savez(second.MODEL / "weights.npz", **arrays)
    listed = json.dumps({"words": data.words.names, "pieces": data.pieces.names}, ensure_ascii=False, indent=0)
    (second.MODEL / "grams.json").write_text(listed + "\n", encoding="utf-8")
    about["rules"], about["texts"], about["authors"] = rulebook.load().digest, len(data.rows), list(data.authors)
    about["version"] = _version(about)
    (second.MODEL / "model.json").write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    click.echo(f"{len(data.rows)} texts of {len(data.authors)} authors, version {about['version']}")


def _version(about: Mapping[str, Any]) -> str:
    digest = hashlib.sha256((second.MODEL / "weights.npz").read_bytes())
    digest.update((second.MODEL / "grams.json").read_bytes())
    digest.update(json.dumps(about, sort_keys=True).encode())
    return digest.hexdigest()[:12]


if __name__ == "__main__":
    build()
