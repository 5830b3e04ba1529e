"""Is one system better than another? Paired tests on the same clips, corrected for how many are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.stats import binomtest

from mmemo.comparison import tables
from mmemo.comparison.predictions import Answers
from mmemo.comparison.resampling import Draws, interval
from mmemo.evaluation.bootstrap import Interval


@dataclass(frozen=True)
class Pair:
    """How much better ``second`` is than ``first``.

    Attributes:
        gain: difference of the accuracies, with the 95% interval of the paired bootstrap over speakers.
        uar_gain: the same of the mean recall.
        only_first, only_second: clips that one alone has right.
        mcnemar: two-sided p of the exact McNemar test (McNemar, Psychometrika 12(2), 1947), which takes clips for
            independent; of one speaker they are not, so trust ``bootstrap`` first.
        bootstrap: two-sided p of the paired bootstrap over speakers that the accuracies are equal.
        mcnemar_corrected, bootstrap_corrected: after Holm (Scandinavian Journal of Statistics 6(2), 1979), over all
            pairs compared.
    """

    first: str
    second: str
    gain: Interval
    uar_gain: Interval
    only_first: int
    only_second: int
    mcnemar: float
    bootstrap: float
    mcnemar_corrected: float = 1.0
    bootstrap_corrected: float = 1.0


def compare_pairs(answers: Answers, draws: Draws) -> tuple[Pair, ...]:
    """Every two systems, on the same draws of speakers."""
    target, classes = answers.target, len(answers.labels)
    found = {name: tables.said(scores) for name, scores in answers.scores.items()}
    own = {name: tables.cells(target, said, classes) for name, said in found.items()}
    drawn = {}
    for name, one in own.items():
        table = draws.totals(one)
        drawn[name] = tables.accuracies(table), tables.uars(table)
    pairs = []
    for first, second in combinations(answers.scores, 2):
        right, better = found[first] == target, found[second] == target
        accuracy = drawn[second][0] - drawn[first][0]
        uar = drawn[second][1] - drawn[first][1]
        tables_of = own[first].sum(axis=0), own[second].sum(axis=0)
        uar_gain = float(tables.uars(tables_of[1]) - tables.uars(tables_of[0]))
        pairs.append(
            Pair(
                first,
                second,
                interval(float(better.mean() - right.mean()), accuracy),
                interval(uar_gain, uar),
                int((right & ~better).sum()),
                int((better & ~right).sum()),
                mcnemar(int((right & ~better).sum()), int((better & ~right).sum())),
                two_sided(accuracy),
            )
        )
    exact = holm([pair.mcnemar for pair in pairs])
    resampled = holm([pair.bootstrap for pair in pairs])
    return tuple(
        replace(pair, mcnemar_corrected=a, bootstrap_corrected=b)
        for pair, a, b in zip(pairs, exact, resampled, strict=True)
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p: a fair coin over the clips that one system alone has right; 1 where there is none."""
    differing = only_first + only_second
    return float(binomtest(only_first, differing).pvalue) if differing else 1.0


def two_sided(differences: np.ndarray) -> float:
    """The p value of a bootstrap: twice the share of draws beyond zero, never below what the draws can tell."""
    far = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return float(min(1.0, 2 * (far + 1) / (len(differences) + 1)))


def holm(chances: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p values: the smallest times n, the next times n - 1 …, never falling."""
    corrected, highest = [1.0] * len(chances), 0.0
    for rank, place in enumerate(np.argsort(chances, kind="stable")):
        highest = max(highest, min(1.0, (len(chances) - rank) * chances[place]))
        corrected[int(place)] = highest
    return corrected
