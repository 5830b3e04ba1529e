"""Scores of a classifier: pure functions of arrays, each with the formula it stands for.

Shapes throughout: ``target`` (N,) int, ``predicted`` (N,) int, ``probabilities`` (N, K) float with rows
summing to 1.
"""

from __future__ import annotations

import numpy as np


def confusion(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts of shape (K, K): row = true class, column = predicted class."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (target, predicted), 1)
    return table


def accuracy(target: np.ndarray, predicted: np.ndarray) -> float:
    """Share of samples predicted right."""
    return float(np.mean(target == predicted))


def recalls(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Recall of each class, (K,) float64; NaN for a class that does not occur in ``target``."""
    table = confusion(target, predicted, classes)
    with np.errstate(invalid="ignore"):
        shares: np.ndarray = table.diagonal() / table.sum(axis=1)
    return shares


def uar(target: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """Unweighted average recall: the mean recall of the classes that occur in ``target``."""
    return float(np.nanmean(recalls(target, predicted, classes)))


def f1_scores(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """F1 of each class, (K,): 2 TP / (2 TP + FP + FN); NaN where a class is neither true nor predicted."""
    table = confusion(target, predicted, classes)
    hits = table.diagonal()
    total = table.sum(axis=0) + table.sum(axis=1)
    with np.errstate(invalid="ignore"):
        scores: np.ndarray = 2 * hits / total
    return scores


def macro_f1(target: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """Mean F1 of the classes that occur in ``target`` or ``predicted``."""
    return float(np.nanmean(f1_scores(target, predicted, classes)))


def weighted_f1(target: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """F1 averaged with the classes' shares of ``target`` as weights."""
    shares = np.bincount(target, minlength=classes) / len(target)
    return float(np.nansum(f1_scores(target, predicted, classes) * shares))


def negative_log_likelihood(target: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of -log p(true class), natural logarithm."""
    rows = probabilities[np.arange(len(target)), target]
    return float(-np.mean(np.log(np.clip(rows, 1e-12, None))))


def expected_calibration_error(target: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """ECE over equal-width bins of the highest probability (Guo et al., ICML 2017)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == target
    slot = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(slot, minlength=bins)
    gap = np.bincount(slot, confidence - right, minlength=bins)
    return float(np.abs(gap[count > 0]).sum() / len(target))


def brier_score(target: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of ``sum_k (p_k - [k = true])^2``: 0 at best, 2 at worst (Brier, Monthly Weather Review 78(1), 1950)."""
    return float(np.mean(np.sum((probabilities - np.eye(probabilities.shape[1])[target]) ** 2, axis=1)))


def concordance(true: np.ndarray, said: np.ndarray) -> float:
    """Concordance correlation coefficient (CCC) of values (N,): ``2 cov / (var + var + (mean - mean)^2)``, -1 to 1.

    Source: Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45(1), 1989. NaN where
    nothing varies.
    """
    spread = true.var() + said.var() + (true.mean() - said.mean()) ** 2
    return float(2 * np.mean((true - true.mean()) * (said - said.mean())) / spread) if spread > 0 else float("nan")


def multilabel_f1(target: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """F1 (K,) where several labels may hold, (N, K) bool each: 2 TP / (2 TP + FP + FN); NaN if never there."""
    hits = (target & predicted).sum(axis=0)
    with np.errstate(invalid="ignore"):
        scores: np.ndarray = 2 * hits / (target.sum(axis=0) + predicted.sum(axis=0))
    return scores


def best_thresholds(target: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The threshold (K,) of each label that gives the highest F1 on (N, K) bool targets and (N, K) scores.

    A label is said where its score is at least the threshold. To be chosen on validation data.
    """
    chosen = np.empty(target.shape[1])
    for label in range(target.shape[1]):
        order = np.argsort(-scores[:, label])
        hits = np.cumsum(target[order, label])
        f1 = 2 * hits / (np.arange(1, len(order) + 1) + target[:, label].sum())
        # a threshold can't part equal scores: only the last of them counts
        falls = np.append(np.diff(scores[order, label]) < 0, True)
        chosen[label] = scores[order[int(np.argmax(np.where(falls, f1, -1)))], label]
    return chosen
