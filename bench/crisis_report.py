"""How well the crisis screen reads texts whose author it has never seen, and how fast.

    python bench/crisis_report.py

Each author in turn is kept out of everything: kernel, rule trust, weighing and thresholds. Rules were written by
hand with some of these texts in view, so figures that rest on rules flatter a little; a new author is the judge.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file: the packages are one folder up

from nudges.crisis import decide, second
from nudges.crisis.screen import screen
from nudges.crisis.training import build, fit
from nudges.crisis.values import Level

WORST = 12
_CRISIS, _ANY = {Level.CRISIS}, {Level.CRISIS, Level.CHECK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One text with the chance that the held-out model gave it, and the thresholds of that model."""

    row: fit.Row
    chance: float
    crisis_at: float
    check_at: float

    @property
    def hit(self) -> bool:
        return self.chance >= self.crisis_at

    @property
    def touched(self) -> bool:
        return self.chance >= self.check_at


def wilson(hits: int, total: int) -> str:
    """A share with its 95 % interval, in per cent."""
    if not total:
        return "-"
    z, share = 1.96, hits / total
    middle = (share + z * z / 2 / total) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / 4 / total**2) / (1 + z * z / total)
    return f"{100 * share:5.1f} ({100 * max(0.0, middle - half):.0f}-{100 * min(1.0, middle + half):.0f})"


def held_out(data: fit.Corpus, machine: fit.Machine) -> list[Judged]:
    """Every text judged by a model that never saw its author."""
    out: list[Judged] = []
    for author in data.authors:
        others = [a for a in data.authors if a != author]
        inner = fit.held_out_scores(data, machine, others)
        stack = fit.fit_stack(data, inner, others)
        crisis_at, check_at = build.thresholds(data, inner, stack, others)
        test = data.where([author])
        scores = np.zeros_like(inner)
        scores[test] = machine.without(test)
        for i, chance in zip(test, fit.chances(data, scores, test, stack), strict=True):
            out.append(Judged(row=data.rows[i], chance=float(chance), crisis_at=crisis_at, check_at=check_at))
    return out


def cross_validated(data: fit.Corpus, machine: fit.Machine) -> list[Judged]:
    """Every tenth text held out, its author's others seen: what new texts of known authors would get."""
    order = np.arange(len(data.rows))
    scores = np.zeros_like(machine.wanted)
    for fold in range(10):
        test = order[order % 10 == fold]
        scores[test] = machine.without(test)
    stack = fit.fit_stack(data, scores, data.authors)
    form_now = second.load().form
    return [
        Judged(row=row, chance=float(c), crisis_at=form_now.crisis_at, check_at=form_now.check_at)
        for row, c in zip(data.rows, fit.chances(data, scores, order, stack), strict=True)
    ]


def plain_only(judged: Iterable[Judged]) -> list[Judged]:
    """Without the files that were written to deceive or after reading misses."""
    return [j for j in judged if j.row.author not in build.NOT_FOR_THRESHOLDS]


def line(name: str, judged: Sequence[Judged]) -> str:
    crisis = [j for j in judged if j.row.label == "crisis"]
    ordinary = [j for j in judged if j.row.label == "ordinary"]
    cells = (
        wilson(sum(j.hit for j in crisis), len(crisis)),
        wilson(sum(j.touched for j in crisis), len(crisis)),
        wilson(sum(j.hit for j in ordinary), len(ordinary)),
        wilson(sum(j.touched for j in ordinary), len(ordinary)),
    )
    return f"{name:28}" + "".join(f"{cell:>18}" for cell in cells) + f"{len(crisis):7}{len(ordinary):7}"


def table(title: str, judged: Sequence[Judged], key: Callable[[Judged], str]) -> None:
    print(f"\n{title:28}{'hit':>18}{'caught':>18}{'false alarm':>18}{'touched':>18}{'crisis':>7}{'ord.':>7}")
    for name in sorted({key(j) for j in judged}):
        print(line(name or "(none)", [j for j in judged if key(j) == name]))


def examination() -> None:
    """The whole screen, fixed answers included, on the file that nothing was trained or tuned on."""
    rows = fit.read_file(fit.HERE / "exam_p.csv")
    levels = [(row, screen(row.text).level) for row in rows]
    print("\nexamination (writer p, the screen as shipped):")
    for name, keep in (
        ("all", lambda row: True),
        ("explicit", lambda row: row.style == "explicit"),
        ("en", lambda row: row.lang == "en"),
        ("es", lambda row: row.lang == "es"),
    ):
        crisis = [level for row, level in levels if row.label == "crisis" and keep(row)]
        ordinary = [level for row, level in levels if row.label == "ordinary" and keep(row)]
        cells = [wilson(sum(v in kinds for v in of), len(of)) for of in (crisis, ordinary) for kinds in (_CRISIS, _ANY)]
        print(f"{name:28}" + "".join(f"{cell:>18}" for cell in cells) + f"{len(crisis):7}{len(ordinary):7}")


def latency(texts: Iterable[str]) -> None:
    short: list[float] = []
    for text in texts:
        began = time.perf_counter()
        screen(text)
        short.append(1000 * (time.perf_counter() - began))
    p50, p95, p99 = np.percentile(short, [50, 95, 99])
    print(f"\nlatency of {len(short)} texts, ms: p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f}")


def main() -> None:
    began = time.perf_counter()
    screen("warm up the screen")
    print(f"first answer after {time.perf_counter() - began:.2f} s")
    data = fit.corpus(fit.read_rows())
    texts = [row.text for row in data.rows]
    latency(texts[::5])
    long = [" ".join(texts[i : i + 60])[:1600] for i in range(0, 1800, 9)]
    print("1,600 characters:", end="")
    latency(long)
    print(
        f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB (with the training corpus)"
    )
    examination()
    full, words = (fit.solve(fit.kernel(data, form), fit.targets(data), fit.pulls(data)) for form in ("full", "words"))
    judged = held_out(data, full)
    table("author held out: all", judged, lambda j: "all authors")
    table("by author", judged, lambda j: j.row.author)
    kind = plain_only(judged)
    table("without the twins", kind, lambda j: "all others")
    table("by tier, no twins", kind, lambda j: j.row.tier)
    table("by style, no twins", kind, lambda j: j.row.style)
    table("by language, no twins", kind, lambda j: j.row.lang)
    table(
        "without vectors, no twins",
        [j for j in held_out(data, words) if j.row.author not in build.NOT_FOR_THRESHOLDS],
        lambda j: j.row.author,
    )
    table("cross-validated, no twins", plain_only(cross_validated(data, full)), lambda j: j.row.author)
    missed = sorted((j for j in kind if j.row.label == "crisis" and not j.touched), key=lambda j: j.chance)
    print("\nworst misses (crisis answered as ordinary):")
    for j in missed[:WORST]:
        print(f"  {j.chance:.3f} {j.row.id} [{j.row.tier}, {j.row.style}] {j.row.text[:110]}")
    alarms = sorted((j for j in kind if j.row.label == "ordinary" and j.hit), key=lambda j: -j.chance)
    print("\nworst false alarms:")
    for j in alarms[:WORST]:
        print(f"  {j.chance:.3f} {j.row.id} [{j.row.style}] {j.row.text[:110]}")
    print(f"\nrule facts used: {len(decide.facts((), {}))}; model {second.load().version}")


if __name__ == "__main__":
    main()
