"""Temperature scaling: one number per modality that calibrates its probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mmemo.encoders.softmax import log_softmax

_GOLDEN = (math.sqrt(5) - 1) / 2


def fit_temperature(logits: np.ndarray, target: np.ndarray, log_prior: np.ndarray | None = None) -> float:
    """The temperature T > 0 that minimizes the log loss of ``softmax(logits / T)`` on validation data.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017.

    Args:
        logits: (N, K) float.
        target: (N,) int class indices, or (N, K) float target distributions.
        log_prior: (K,) float, added to the scaled logits: of the validation data, for logits that carry no prior.

    >>> logits = np.array([[4.0, 0.0]] * 4)  # a probability of 0.98, where 3 of 4 are right
    >>> round(fit_temperature(logits, np.array([0, 0, 0, 1])), 2)
    3.64
    """
    offset = 0.0 if log_prior is None else log_prior
    soft = np.eye(logits.shape[1])[target] if target.ndim == 1 else target

    def loss(log_temperature: float) -> float:
        return float(-np.mean(np.sum(soft * log_softmax(logits / np.exp(log_temperature) + offset), axis=1)))

    return math.exp(golden_section(loss, math.log(0.05), math.log(20.0)))


def golden_section(loss: Callable[[float], float], low: float, high: float, precision: float = 1e-6) -> float:
    """The place of the minimum of a function with one minimum between two places.

    Source: Kiefer, "Sequential minimax search for a maximum", Proceedings of the AMS 4(3), 1953.

    >>> round(golden_section(lambda x: (x - 0.25) ** 2, 0.0, 1.0), 4)
    0.25
    """
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > precision:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(right)
    return (low + high) / 2
