"""Paired significance tests of systems on the same clips, corrected for multiple comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from mmemo.comparison.predictions import Predictions, predicted_classes
from mmemo.evaluation.bootstrap import Interval, Resamples, percentile_interval
from mmemo.evaluation.metrics import ConfusionMatrix, sample_confusions


@dataclass(frozen=True)
class PairedTest:
    """Difference of two systems on the same clips: ``second`` minus ``first``.

    Attributes:
        gain: difference of the accuracies, with the 95% interval of the paired bootstrap over speakers.
        uar_gain: difference of the UAR, likewise.
        only_first, only_second: clips that one alone predicts right.
        mcnemar: two-sided p of the exact McNemar test (McNemar, Psychometrika 12(2), 1947), which assumes that clips
            are independent; those of one speaker are not, so trust ``bootstrap`` first.
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


def run_paired_tests(predictions: Predictions, resamples: Resamples) -> tuple[PairedTest, ...]:
    """Paired tests of every two systems, on the same resamples."""
    target, classes = predictions.target, len(predictions.labels)
    right, matrices, resampled = {}, {}, {}
    for name, scores in predictions.scores.items():
        predicted = predicted_classes(scores)
        single = sample_confusions(target, predicted, classes)
        right[name] = predicted == target
        matrices[name] = ConfusionMatrix(single.sum(axis=0))
        many = ConfusionMatrix(resamples.sums(single))
        resampled[name] = many.accuracy, many.uar
    tests = []
    for first, second in combinations(predictions.scores, 2):
        only_first = int((right[first] & ~right[second]).sum())
        only_second = int((right[second] & ~right[first]).sum())
        accuracy, uar = (after - before for before, after in zip(resampled[first], resampled[second], strict=True))
        tests.append(
            PairedTest(
                first,
                second,
                percentile_interval(float(right[second].mean() - right[first].mean()), accuracy),
                percentile_interval(float(matrices[second].uar - matrices[first].uar), uar),
                only_first,
                only_second,
                mcnemar(only_first, only_second),
                bootstrap_p_value(accuracy),
            )
        )
    exact = holm([test.mcnemar for test in tests])
    bootstrapped = holm([test.bootstrap for test in tests])
    return tuple(
        replace(test, mcnemar_corrected=a, bootstrap_corrected=b)
        for test, a, b in zip(tests, exact, bootstrapped, strict=True)
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p of the exact McNemar test: a binomial test of the clips that one system alone has right; 1 if none.

    >>> mcnemar(0, 5)
    0.0625
    """
    differing, fewer = only_first + only_second, min(only_first, only_second)
    step = np.arange(1, fewer + 1)
    log_ways = np.append(0.0, np.cumsum(np.log((differing - step + 1) / step)))  # of choosing 0, 1, … of them
    return float(min(1.0, 2 * np.exp(log_ways - differing * np.log(2)).sum()))


def bootstrap_p_value(differences: np.ndarray) -> float:
    """Two-sided p value of resampled differences (D,): twice the share beyond zero, at least 2 / (D + 1).

    >>> bootstrap_p_value(np.ones(999))
    0.002
    """
    beyond = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return float(min(1.0, 2 * (beyond + 1) / (len(differences) + 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p values: the smallest times n, the next times n - 1 …, never falling.

    >>> holm([0.01, 0.02])
    [0.02, 0.02]
    """
    corrected, highest = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[int(place)] = highest
    return corrected
