"""Temperature scaling: one number per modality that calibrates its probabilities."""

from __future__ import annotations

import numpy as np

from mmemo.errors import require_extra


def fit_temperature(logits: np.ndarray, target: np.ndarray, log_prior: np.ndarray | None = None) -> float:
    """The temperature T > 0 that minimizes the log loss of ``softmax(logits / T)`` on validation data.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017.

    Args:
        logits: (N, K) float.
        target: (N,) int class indices, or (N, K) float target distributions.
        log_prior: (K,) float, added to the scaled logits: of the validation data, for logits that carry no prior.

    Raises:
        MissingExtraError: if SciPy is not installed.

    >>> logits = np.array([[4.0, 0.0]] * 4)  # a probability of 0.98, where 3 of 4 are right
    >>> round(fit_temperature(logits, np.array([0, 0, 0, 1])), 2)
    3.64
    """
    require_extra("Fitting a temperature", "train", "scipy")
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    offset = 0.0 if log_prior is None else log_prior
    soft = np.eye(logits.shape[1])[target] if target.ndim == 1 else target

    def loss(log_temperature: float) -> float:
        return float(-np.mean(np.sum(soft * log_softmax(logits / np.exp(log_temperature) + offset, axis=1), axis=1)))

    best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(best.x))
