"""Bootstrap confidence intervals: resamples of samples, or of whole clusters such as speakers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

_BLOCK = 500
"""Resamples summed up by one matrix product."""


@dataclass(frozen=True)
class Interval:
    """A value with the limits of its confidence interval.

    >>> print(Interval(0.5, 0.25, 0.75))
    0.500 [0.250, 0.750]
    """

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
        metric: the value of the samples with these indices, which may repeat. Resamples for which it is NaN are
            left out of the interval.
        samples: N, the number of samples.
        groups: (N,) speaker, subject or dialogue of each sample. Whole groups are drawn then, because
            samples of one person are not independent and an interval over samples would be too narrow.
        draws: number of resamples.
        confidence: share of the resamples inside the interval.
        seed: of the resamples.

    >>> values = np.array([0.0, 1.0, 1.0, 1.0])
    >>> interval = bootstrap(lambda rows: float(values[rows].mean()), len(values), draws=200)
    >>> interval.value, interval.low < 0.75 < interval.high
    (0.75, True)
    """
    names = np.arange(samples) if groups is None else groups
    members = [np.flatnonzero(names == name) for name in np.unique(names)] if groups is not None else None
    values = []
    for chosen in _drawn(samples if members is None else len(members), draws, seed):
        rows = chosen if members is None else np.concatenate([members[i] for i in chosen])
        values.append(metric(rows))
    return percentile_interval(metric(np.arange(samples)), np.array(values), confidence)


class Resamples:
    """Bootstrap resamples of N samples, the same as those of `bootstrap`, for many metrics at once.

    A metric that is a function of sums over samples needs the sum of each cluster only, so ten thousand resamples cost
    one matrix product. Systems compared on the same resamples are compared pairwise.

    Args:
        samples: N.
        groups: (N,) the cluster of each sample, such as its speaker; None resamples single samples.
        draws: D, number of resamples.
        seed: of the resamples.

    >>> resamples = Resamples(4, groups=np.array(["a", "a", "b", "b"]), draws=100)
    >>> resamples.sums(np.ones(4))[:3]  # every resample has four samples
    array([4., 4., 4.])
    """

    def __init__(self, samples: int, groups: np.ndarray | None = None, draws: int = 1000, seed: int = 0) -> None:
        names = np.arange(samples) if groups is None else groups
        _, self._cluster = np.unique(names, return_inverse=True)
        self._clusters = int(self._cluster.max()) + 1
        self._counts = np.stack(
            [
                np.bincount(chosen, minlength=self._clusters).astype(np.uint16)
                for chosen in _drawn(self._clusters, draws, seed)
            ]
        )

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over the samples of each resample: (D, …) float64 of values (N, …)."""
        by_cluster = np.zeros((self._clusters, *values.shape[1:]))
        np.add.at(by_cluster, self._cluster, values)
        flat = by_cluster.reshape(self._clusters, -1)
        blocks = [
            self._counts[start : start + _BLOCK].astype(np.float64) @ flat
            for start in range(0, len(self._counts), _BLOCK)
        ]
        return np.concatenate(blocks).reshape(len(self._counts), *values.shape[1:])


def percentile_interval(value: float, resampled: np.ndarray, confidence: float = 0.95) -> Interval:
    """A value with the percentile interval of its resampled values (D,); those that are NaN are left out.

    >>> print(percentile_interval(0.5, np.linspace(0, 1, 101), confidence=0.9))
    0.500 [0.050, 0.950]
    """
    tail = (1 - confidence) / 2
    known = resampled[np.isfinite(resampled)]
    low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (np.nan, np.nan)
    return Interval(float(value), float(low), float(high))


def _drawn(clusters: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Indices (clusters,) of each resample, drawn with replacement."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield rng.integers(0, clusters, clusters)
