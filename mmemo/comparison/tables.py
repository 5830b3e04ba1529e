"""Figures of a classifier from its table of counts, for any number of tables at once.

A table has the shape (…, K, K + 1): row = true class, column = class answered, the last one for no answer at all. Sums
over resamplings are tables too, so one formula serves the figure and its interval.
"""

from __future__ import annotations

import numpy as np

from mmemo.comparison.predictions import answered


def said(scores: np.ndarray) -> np.ndarray:
    """(N,) int64: the class of the highest score; K where all are alike, which is no answer."""
    return np.asarray(np.where(answered(scores), scores.argmax(axis=1), scores.shape[1]))


def cells(target: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """(N, K, K + 1) float64: each clip's own table, a single one in it."""
    one = np.zeros((len(target), classes, classes + 1))
    one[np.arange(len(target)), target, found] = 1
    return one


def accuracies(tables: np.ndarray) -> np.ndarray:
    """Share of right answers (…); no answer is wrong."""
    return np.asarray(_hits(tables).sum(axis=-1) / tables.sum(axis=(-2, -1)))


def recalls(tables: np.ndarray) -> np.ndarray:
    """Recall of each class (…, K); NaN for a class that does not occur."""
    with np.errstate(invalid="ignore"):
        return np.asarray(_hits(tables) / tables.sum(axis=-1))


def uars(tables: np.ndarray) -> np.ndarray:
    """Unweighted average recall (…) over the classes that occur."""
    return _mean(recalls(tables))


def f1s(tables: np.ndarray) -> np.ndarray:
    """F1 of each class (…, K): 2 TP / (2 TP + FP + FN); NaN where a class is neither true nor answered."""
    total = tables.sum(axis=-1) + tables[..., :-1].sum(axis=-2)
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * _hits(tables) / total)


def macro_f1s(tables: np.ndarray) -> np.ndarray:
    """Mean F1 (…) of the classes that are true or answered."""
    return _mean(f1s(tables))


def weighted_f1s(tables: np.ndarray) -> np.ndarray:
    """F1 (…) averaged with the classes' shares of the clips as weights."""
    counts = tables.sum(axis=-1)
    return np.asarray(np.nansum(f1s(tables) * counts, axis=-1) / counts.sum(axis=-1))


def _hits(tables: np.ndarray) -> np.ndarray:
    return np.diagonal(tables[..., :-1], axis1=-2, axis2=-1)


def _mean(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return np.asarray(np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1))
