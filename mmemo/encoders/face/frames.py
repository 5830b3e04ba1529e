"""Which frames of a window are looked at, and how what they say is put together: shared by all encoders of faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmemo.encoders.base import Encoding


@dataclass(frozen=True)
class Doubt:
    """How confidence falls with quality: log scores of a window are multiplied by ``confidence(quality)``.

    A temperature that rises as the quality falls: scores become flatter, and the label stays.

    Attributes:
        amount: by how much the temperature rises, down to quality zero; 0 for not at all.
        trusted: quality from which on scores are taken as they are.
    """

    amount: float = 0.0
    trusted: float = 1.0

    def confidence(self, quality: float) -> float:
        """1 from ``trusted`` on, down to ``1 / (1 + amount)`` at quality 0."""
        return 1 / (1 + self.amount * max(0.0, 1 - quality / self.trusted))


def choose_frames(times: np.ndarray, quality: np.ndarray, count: int, floor: float) -> np.ndarray:
    """Which crops of a window to look at: the best of each of ``count`` equal slots of its time.

    Spread over time, because neighbouring frames say the same; the best of a slot, because blinks and blurs
    pass.

    Args:
        times: (N,) seconds, rising.
        quality: (N,) in [0, 1].
        count: the most that are chosen.
        floor: crops of a lower quality are never chosen.

    Returns:
        (T,) indices, rising, T at most ``count``; empty if no crop is good enough.
    """
    usable = np.flatnonzero(quality >= floor)
    if len(usable) <= count:
        return usable
    start, span = times[usable[0]], max(float(times[usable[-1]] - times[usable[0]]), 1e-9)
    slots = np.minimum((times[usable] - start) / span * count, count - 1).astype(int)
    return np.array([max(usable[slots == slot], key=lambda i: quality[i]) for slot in np.unique(slots)])


def pool_frames(
    features: np.ndarray, scores: np.ndarray, quality: Sequence[np.ndarray], doubt: Doubt | None = None
) -> Encoding:
    """The encoding of B windows from that of their frames, M in all, one window after the other.

    Args:
        features: (M, D) float32, which become the tokens.
        scores: (M, K) float32 log scores. Those of a window are the mean over its frames, weighted by quality: a
            product of experts that a few blurred or turned-away frames can't outvote.
        quality: (T,) in [0, 1] for each window; the T sum to M.
        doubt: how far the log scores of a window of low quality are flattened; None for not at all.
    """
    lengths = [len(part) for part in quality]
    tokens = np.zeros((len(lengths), max(lengths), features.shape[1]), np.float32)
    mask = np.zeros(tokens.shape[:2], bool)
    logits = np.empty((len(lengths), scores.shape[1]), np.float32)
    first = 0
    for row, (length, part) in enumerate(zip(lengths, quality, strict=True)):
        frames = slice(first, first + length)
        tokens[row, :length], mask[row, :length] = features[frames], True
        weights = part + 1e-6
        logits[row] = np.average(scores[frames], axis=0, weights=weights)
        if doubt is not None:
            logits[row] *= doubt.confidence(float(np.average(part, weights=weights)))
        first += length
    return Encoding(tokens, mask, logits)
