"""Confidence intervals by resampling: of samples, or of whole groups such as speakers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A figure with the limits of its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(
    metric: Callable[[np.ndarray], float],
    samples: int,
    *,
    groups: np.ndarray | None = None,
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap (Efron 1979) of ``metric``, which is called with an array of sample indices.

    Args:
        metric: the figure of the samples with these indices, which may repeat.
        samples: N, the number of samples.
        groups: (N,) speaker, subject or dialogue of each sample. Whole groups are drawn then, because
            samples of one person are not independent and an interval over samples would be too narrow.
        draws: how many resamplings.
        confidence: share of the draws that lie within the interval.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    everything = np.arange(samples)
    members = [everything[groups == group] for group in np.unique(groups)] if groups is not None else None
    figures = []
    for _ in range(draws):
        if members is None:
            chosen = rng.integers(0, samples, samples)
        else:
            chosen = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        figures.append(metric(chosen))
    tail = (1 - confidence) / 2
    low, high = np.quantile(figures, [tail, 1 - tail])
    return Interval(metric(everything), float(low), float(high))
