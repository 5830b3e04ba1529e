"""Metrics of classifiers and regressors: pure functions of arrays, each with its formula.

Shapes throughout: ``target`` (N,) int, ``predicted`` (N,) int, ``probabilities`` (N, K) float with rows
summing to 1. `ConfusionMatrix` has the same metrics of many matrices at once, such as those of bootstrap resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Confusion matrices, one or many, and the metrics of each.

    Attributes:
        counts: (…, K, K) or (…, K, K + 1): row = true class, column = predicted class; the last of K + 1 columns counts
            samples without a prediction, which are wrong.

    >>> ConfusionMatrix(np.array([[3, 1], [1, 1]])).accuracy
    array(0.66666667)
    """

    counts: np.ndarray

    @property
    def accuracy(self) -> np.ndarray:
        """Share of right predictions, (…)."""
        return np.asarray(self._hits.sum(axis=-1) / self.counts.sum(axis=(-2, -1)))

    @property
    def recalls(self) -> np.ndarray:
        """Recall of each class, (…, K); NaN for a class without samples."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self._hits / self.counts.sum(axis=-1))

    @property
    def uar(self) -> np.ndarray:
        """Unweighted average recall, (…), of the classes that have samples."""
        return _mean(self.recalls)

    @property
    def f1_scores(self) -> np.ndarray:
        """F1 of each class, (…, K): 2 TP / (2 TP + FP + FN); NaN where a class is neither true nor predicted."""
        predicted = self.counts[..., : self.counts.shape[-2]].sum(axis=-2)
        with np.errstate(invalid="ignore"):
            return np.asarray(2 * self._hits / (self.counts.sum(axis=-1) + predicted))

    @property
    def macro_f1(self) -> np.ndarray:
        """Mean F1, (…), of the classes that are true or predicted."""
        return _mean(self.f1_scores)

    @property
    def weighted_f1(self) -> np.ndarray:
        """F1 averaged with the classes' shares of the samples as weights, (…)."""
        true = self.counts.sum(axis=-1)
        return np.asarray(np.nansum(self.f1_scores * true, axis=-1) / true.sum(axis=-1))

    @property
    def _hits(self) -> np.ndarray:
        return np.diagonal(self.counts, axis1=-2, axis2=-1)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where there is nothing else."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1))


def confusion(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Confusion matrix, counts of shape (K, K): row = true class, column = predicted class.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (target, predicted), 1)
    return table


def sample_confusions(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(N, K, K + 1) float64: the confusion matrix of each sample alone; sums of them are matrices of many samples.

    A ``predicted`` of K is no prediction.

    >>> sample_confusions(np.array([0, 1]), np.array([0, 2]), 2).sum(axis=0)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    single = np.zeros((len(target), classes, classes + 1))
    single[np.arange(len(target)), target, predicted] = 1
    return single


def accuracy(target: np.ndarray, predicted: np.ndarray) -> float:
    """Share of samples predicted right.

    >>> accuracy(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    0.75
    """
    return float(np.mean(target == predicted))


def recalls(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Recall of each class, (K,) float64; NaN for a class that does not occur in ``target``.

    >>> recalls(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 3)
    array([0.5, 1. , nan])
    """
    return ConfusionMatrix(confusion(target, predicted, classes)).recalls


def uar(target: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """Unweighted average recall: the mean recall of the classes that occur in ``target``.

    >>> uar(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 3)
    0.75
    """
    return float(ConfusionMatrix(confusion(target, predicted, classes)).uar)


def f1_scores(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """F1 of each class, (K,): 2 TP / (2 TP + FP + FN); NaN where a class is neither true nor predicted.

    >>> f1_scores(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 2).round(3)
    array([0.667, 0.8  ])
    """
    return ConfusionMatrix(confusion(target, predicted, classes)).f1_scores


def macro_f1(target: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """Mean F1 of the classes that occur in ``target`` or ``predicted``.

    >>> round(macro_f1(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 2), 3)
    0.733
    """
    return float(ConfusionMatrix(confusion(target, predicted, classes)).macro_f1)


def weighted_f1(target: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """F1 averaged with the classes' shares of ``target`` as weights.

    >>> round(weighted_f1(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), 2), 3)
    0.767
    """
    return float(ConfusionMatrix(confusion(target, predicted, classes)).weighted_f1)


def sample_log_losses(target: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(N,): -log p(true class) of each sample, natural logarithm.

    >>> sample_log_losses(np.array([0, 1]), np.array([[1.0, 0.0], [0.5, 0.5]])).round(3) + 0.0
    array([0.   , 0.693])
    """
    return np.asarray(-np.log(np.clip(probabilities[np.arange(len(target)), target], 1e-12, None)))


def negative_log_likelihood(target: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of -log p(true class), natural logarithm.

    >>> round(negative_log_likelihood(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])), 3)
    0.693
    """
    return float(np.mean(sample_log_losses(target, probabilities)))


def confidence_bins(probabilities: np.ndarray, bins: int = 15) -> np.ndarray:
    """(N,) int: the bin of equal width that each sample's highest probability lies in.

    >>> confidence_bins(np.array([[0.5, 0.5], [0.0, 1.0]]), bins=10)
    array([5, 9])
    """
    return np.asarray(np.minimum((probabilities.max(axis=1) * bins).astype(int), bins - 1))


def calibration_gaps(target: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> np.ndarray:
    """(N, bins): confidence minus correctness (0 or 1) of each sample, in the column of its bin of confidence.

    The expected calibration error of a set of samples is the sum over the bins of the absolute sum of their gaps, over
    the number of samples.

    >>> calibration_gaps(np.array([0, 1]), np.array([[0.75, 0.25], [0.75, 0.25]]), bins=2)
    array([[ 0.  , -0.25],
           [ 0.  ,  0.75]])
    """
    gaps = np.zeros((len(target), bins))
    correct = probabilities.argmax(axis=1) == target
    gaps[np.arange(len(target)), confidence_bins(probabilities, bins)] = probabilities.max(axis=1) - correct
    return gaps


def expected_calibration_error(target: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """ECE over equal-width bins of the highest probability (Guo et al., ICML 2017).

    >>> round(expected_calibration_error(np.array([0, 0, 0, 1]), np.array([[0.9, 0.1]] * 4)), 3)
    0.15
    """
    return float(np.abs(calibration_gaps(target, probabilities, bins).sum(axis=0)).sum() / len(target))


def sample_brier_scores(target: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(N,): ``sum_k (p_k - [k = true])^2`` of each sample.

    >>> sample_brier_scores(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    array([0., 2.])
    """
    return np.asarray(np.sum((probabilities - np.eye(probabilities.shape[1])[target]) ** 2, axis=1))


def brier_score(target: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of ``sum_k (p_k - [k = true])^2``: 0 at best, 2 at worst (Brier, Monthly Weather Review 78(1), 1950).

    >>> brier_score(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]]))
    0.5
    """
    return float(np.mean(sample_brier_scores(target, probabilities)))


def sample_moments(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(N, 6): one, x, y, x², y² and xy of each sample, whose sums `concordance_of_moments` takes.

    >>> sample_moments(np.array([2.0]), np.array([3.0]))
    array([[1., 2., 3., 4., 9., 6.]])
    """
    return np.stack([np.ones(len(true)), true, predicted, true**2, predicted**2, true * predicted], axis=1)


def concordance_of_moments(sums: np.ndarray) -> np.ndarray:
    """CCC, (…), of sums (…, 6) of `sample_moments`; NaN where nothing varies.

    >>> values = np.array([0.0, 1.0, 2.0])
    >>> concordance_of_moments(sample_moments(values, values).sum(axis=0))
    array(1.)
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y, xx, yy, xy = np.moveaxis(sums[..., 1:] / sums[..., :1], -1, 0)
        spread = xx - x**2 + yy - y**2 + (x - y) ** 2
        return np.asarray(np.where(spread > 0, 2 * (xy - x * y) / spread, np.nan))


def concordance(true: np.ndarray, predicted: np.ndarray) -> float:
    """Concordance correlation coefficient (CCC) of values (N,): ``2 cov / (var + var + (mean - mean)^2)``, -1 to 1.

    Source: Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45(1), 1989. NaN where
    nothing varies.

    >>> concordance(np.array([-1.0, 0.0, 1.0]), np.array([1.0, 0.0, -1.0]))
    -1.0
    """
    origin = np.median(true)  # near the values, squares of them lose no digits; exact where they are all the same
    return float(concordance_of_moments(sample_moments(true - origin, predicted - origin).sum(axis=0)))


def multilabel_f1(target: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """F1 (K,) where several labels may hold, (N, K) bool each: 2 TP / (2 TP + FP + FN); NaN for a label never there.

    >>> multilabel_f1(np.array([[True, False], [True, True]]), np.array([[True, False], [True, False]]))
    array([1., 0.])
    """
    hits = (target & predicted).sum(axis=0)
    with np.errstate(invalid="ignore"):
        scores: np.ndarray = 2 * hits / (target.sum(axis=0) + predicted.sum(axis=0))
    return scores


def best_thresholds(target: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The threshold (K,) of each label that gives the highest F1 on (N, K) bool targets and (N, K) scores.

    A label is predicted where its score is at least the threshold. To be chosen on validation data.

    >>> best_thresholds(np.array([[False], [True], [True]]), np.array([[0.1], [0.4], [0.8]]))
    array([0.4])
    """
    chosen = np.empty(target.shape[1])
    for label in range(target.shape[1]):
        order = np.argsort(-scores[:, label])
        hits = np.cumsum(target[order, label])
        f1 = 2 * hits / (np.arange(1, len(order) + 1) + target[:, label].sum())
        # a threshold can't separate equal scores: only the last of them counts
        falls = np.append(np.diff(scores[order, label]) < 0, True)
        chosen[label] = scores[order[int(np.argmax(np.where(falls, f1, -1)))], label]
    return chosen
