"""The bootstrap of whole clusters, for many figures at once: all systems are measured on the same draws."""

from __future__ import annotations

import numpy as np

from mmemo.evaluation.bootstrap import Interval

_BLOCK = 500
"""Draws that are summed up at a time."""


class Draws:
    """Resamplings of clusters such as speakers, the same as `mmemo.evaluation.bootstrap.bootstrap` makes.

    A figure that is a function of sums over clips needs each cluster's sum only, so ten thousand draws cost no more
    than one matrix product.

    Args:
        clips: N.
        clusters: (N,) who each clip is of; None takes each clip for itself.
        draws: how many resamplings.
        seed: of the draws.
    """

    def __init__(self, clips: int, clusters: np.ndarray | None, draws: int = 10_000, seed: int = 0) -> None:
        names = np.arange(clips) if clusters is None else clusters
        _, self.member = np.unique(names, return_inverse=True)
        self.clusters = int(self.member.max()) + 1
        rng = np.random.default_rng(seed)
        self._counts = np.stack(
            [
                np.bincount(rng.integers(0, self.clusters, self.clusters), minlength=self.clusters).astype(np.uint16)
                for _ in range(draws)
            ]
        )

    def totals(self, values: np.ndarray) -> np.ndarray:
        """Sums over the clips of each draw: (D, …) float64 of values (N, …)."""
        summed = np.zeros((self.clusters, *values.shape[1:]))
        np.add.at(summed, self.member, values)
        flat = summed.reshape(self.clusters, -1)
        blocks = [
            self._counts[start : start + _BLOCK].astype(np.float64) @ flat
            for start in range(0, len(self._counts), _BLOCK)
        ]
        return np.concatenate(blocks).reshape(len(self._counts), *values.shape[1:])


def interval(value: float, drawn: np.ndarray, confidence: float = 0.95) -> Interval:
    """A figure with its percentile interval; draws in which it does not exist (NaN) are passed over."""
    tail = (1 - confidence) / 2
    known = drawn[np.isfinite(drawn)]
    low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (np.nan, np.nan)
    return Interval(float(value), float(low), float(high))
