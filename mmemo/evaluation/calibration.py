"""Temperature scaling: one number per modality that calibrates its probabilities."""

from __future__ import annotations

import numpy as np

from mmemo.errors import require_extra


def fit_temperature(logits: np.ndarray, target: np.ndarray) -> float:
    """The temperature T > 0 that minimizes the log loss of ``softmax(logits / T)`` on validation data.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017.

    Args:
        logits: (N, K) float.
        target: (N,) int class indices, or (N, K) float target distributions.

    Raises:
        MissingExtraError: if SciPy is not installed.

    >>> logits = np.array([[4.0, 0.0]] * 4)  # a probability of 0.98, where 3 of 4 are right
    >>> round(fit_temperature(logits, np.array([0, 0, 0, 1])), 2)
    3.64
    """
    require_extra("Fitting a temperature", "train", "scipy")
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    soft = np.eye(logits.shape[1])[target] if target.ndim == 1 else target

    def loss(log_temperature: float) -> float:
        return float(-np.mean(np.sum(soft * log_softmax(logits / np.exp(log_temperature), axis=1), axis=1)))

    best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(best.x))
