"""From the fused scores of a clip's windows to those of the clip."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmemo.encoders.softmax import softmax

_LEAST = 1e-3
"""Evidence of a window that has next to none: such windows count equally if there are no others."""
_FLOOR = 1e-30
"""Scores below have no logarithm worth the name."""


def evidence_of(shares: Mapping[str, np.ndarray], coverage: Mapping[str, np.ndarray]) -> np.ndarray:
    """Evidence in each of W windows, (W,) float64 from 0 to 1: the coverage of the modalities by their shares.

    Args:
        shares: (W,) of each modality in the fused scores, as `mmemo.fusion.base.FusionHead.shares` gives them.
        coverage: (W,) of each modality, 0 where it is absent.

    >>> evidence_of({"face": np.array([0.6]), "voice": np.array([0.4])}, {"face": np.array([0.5]), "voice": np.ones(1)})
    array([0.7])
    """
    return np.asarray(sum(share * coverage[modality] for modality, share in shares.items()))


def average(scores: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Scores (K,) float64 of a clip from those (W, K) of its windows: their geometric mean, weighted by evidence (W,).

    >>> average(np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([1.0, 0.0])).round(2)
    array([0.8, 0.2])
    """
    log_scores = np.log(np.maximum(scores, _FLOOR))
    return np.asarray(softmax(np.average(log_scores, axis=0, weights=np.maximum(evidence, _LEAST))))


def weights_over_time(shares: Mapping[str, np.ndarray], evidence: np.ndarray) -> dict[str, float]:
    """Share of each modality in the scores of a clip, from its shares (W,) in the windows, 0 where it is absent.

    >>> weights_over_time({"face": np.array([0.5, 0.0]), "voice": np.array([0.5, 1.0])}, np.array([1.0, 1.0]))
    {'face': 0.25, 'voice': 0.75}
    """
    weights = np.maximum(evidence, _LEAST)
    return {modality: float(np.average(share, weights=weights)) for modality, share in shares.items()}
