"""Scores and probabilities: the softmax, in NumPy, because importing SciPy takes longer than scoring a clip."""

from __future__ import annotations

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log probabilities over the last axis: ``x - log(sum(exp(x)))``, without overflow."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, which sum to 1."""
    return np.asarray(np.exp(log_softmax(logits)))
