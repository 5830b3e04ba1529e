"""Metrics of each system: values with intervals over speakers, by class, by group, and of calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmemo.comparison.predictions import DERIVED, Predictions, has_prediction, predicted_classes
from mmemo.evaluation.bootstrap import Interval, Resamples, percentile_interval
from mmemo.evaluation.metrics import (
    ConfusionMatrix,
    brier_score,
    calibration_gaps,
    concordance,
    concordance_of_moments,
    confidence_bins,
    expected_calibration_error,
    negative_log_likelihood,
    sample_brier_scores,
    sample_confusions,
    sample_log_losses,
    sample_moments,
)

BINS = 15
"""Of equal width, of the highest score; as in `mmemo.evaluation.metrics.expected_calibration_error`."""
_MOST_GROUPS = 60
"""A column with more values, such as a thousand speakers, is left out."""


@dataclass(frozen=True)
class CalibrationBin:
    """One bin of a reliability diagram: number of clips, their mean highest score, and the share predicted right."""

    clips: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class GroupMetrics:
    """One system's metrics on the clips of one group.

    Attributes:
        column, value: such as "gender" and "female".
        clips: number of clips.
        accuracy, uar: their intervals resample speakers, or clips where the group is of one speaker.
    """

    column: str
    value: str
    clips: int
    accuracy: Interval
    uar: Interval


@dataclass(frozen=True, eq=False)
class SystemMetrics:
    """One system's metrics on N clips.

    Attributes:
        name: of the system.
        coverage: share of the clips with a prediction; the others count as wrong.
        accuracy, uar, weighted_f1, macro_f1: with 95% intervals.
        ece, nll, brier: calibration, with intervals: expected calibration error, negative log-likelihood, Brier score.
        recalls: by label, with intervals; NaN for a label that does not occur.
        confusion: (K, K + 1) int64: row = true class, column = predicted class, the last one without prediction.
        reliability: the bins of the reliability diagram that hold any clip.
        groups: metrics by gender, language, speaker …
        concordance: CCC by dimension, named as in `Predictions.values`, if the system predicts any.
    """

    name: str
    coverage: float
    accuracy: Interval
    uar: Interval
    weighted_f1: Interval
    macro_f1: Interval
    ece: Interval
    nll: Interval
    brier: Interval
    recalls: Mapping[str, Interval]
    confusion: np.ndarray
    reliability: tuple[CalibrationBin, ...]
    groups: tuple[GroupMetrics, ...]
    concordance: Mapping[str, Interval]


METRICS = ("accuracy", "uar", "weighted_f1", "macro_f1", "ece", "nll", "brier")
"""Attributes of `SystemMetrics` that are one value with an interval, in the order of tables."""


def compute_metrics(
    predictions: Predictions, name: str, resamples: Resamples, *, by: tuple[str, ...] = ()
) -> SystemMetrics:
    """The metrics of one system.

    Args:
        predictions: of all systems.
        name: of the system.
        resamples: of these clips, by their speakers.
        by: columns of ``predictions.groups`` to compute metrics of each value of.
    """
    scores, target, classes = predictions.scores[name], predictions.target, len(predictions.labels)
    single = sample_confusions(target, predicted_classes(scores), classes)
    matrix = ConfusionMatrix(single.sum(axis=0))
    resampled = ConfusionMatrix(resamples.sums(single))
    clips = resamples.sums(np.ones(len(predictions)))
    gaps = np.abs(resamples.sums(calibration_gaps(target, scores, BINS))).sum(axis=1)
    losses, squares = sample_log_losses(target, scores), sample_brier_scores(target, scores)
    return SystemMetrics(
        name,
        float(has_prediction(scores).mean()),
        percentile_interval(float(matrix.accuracy), resampled.accuracy),
        percentile_interval(float(matrix.uar), resampled.uar),
        percentile_interval(float(matrix.weighted_f1), resampled.weighted_f1),
        percentile_interval(float(matrix.macro_f1), resampled.macro_f1),
        percentile_interval(expected_calibration_error(target, scores, BINS), gaps / clips),
        percentile_interval(negative_log_likelihood(target, scores), resamples.sums(losses) / clips),
        percentile_interval(brier_score(target, scores), resamples.sums(squares) / clips),
        {
            label: percentile_interval(matrix.recalls[k], resampled.recalls[:, k])
            for k, label in enumerate(predictions.labels)
        },
        matrix.counts.astype(np.int64),
        reliability_bins(target, scores),
        tuple(group for column in by for group in _group_metrics(predictions, single, column)),
        _concordance(predictions, name, resamples),
    )


def reliability_bins(target: np.ndarray, scores: np.ndarray, bins: int = BINS) -> tuple[CalibrationBin, ...]:
    """Bins of the highest score that hold any clip, in rising order (DeGroot & Fienberg, 1983)."""
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == target
    bin_of = confidence_bins(scores, bins)
    return tuple(
        CalibrationBin(int(here.sum()), float(confidence[here].mean()), float(right[here].mean()))
        for here in (bin_of == number for number in range(bins))
        if here.any()
    )


def _group_metrics(predictions: Predictions, single: np.ndarray, column: str) -> list[GroupMetrics]:
    values = predictions.groups[column]
    names = sorted(set(values.tolist()) - {""})
    if not 1 < len(names) <= _MOST_GROUPS:
        return []
    groups = []
    for value in names:
        here = values == value
        speakers = None if predictions.speakers is None else predictions.speakers[here]
        several = speakers is not None and len(np.unique(speakers)) > 1
        matrix = ConfusionMatrix(single[here].sum(axis=0))
        resampled = ConfusionMatrix(Resamples(int(here.sum()), speakers if several else None).sums(single[here]))
        groups.append(
            GroupMetrics(
                column,
                value,
                int(here.sum()),
                percentile_interval(float(matrix.accuracy), resampled.accuracy),
                percentile_interval(float(matrix.uar), resampled.uar),
            )
        )
    return groups


def _concordance(predictions: Predictions, name: str, resamples: Resamples) -> dict[str, Interval]:
    """CCC of each dimension, on the clips in which it is annotated."""
    result = {}
    for dimension, values in predictions.values.get(name, {}).items():
        true = predictions.true_values.get(dimension.removesuffix(DERIVED), np.full(len(predictions), np.nan))
        known = np.isfinite(true) & np.isfinite(values)
        if known.sum() < 2:
            continue
        moments = np.where(known[:, None], sample_moments(true, values), 0)
        resampled = concordance_of_moments(resamples.sums(moments))
        result[dimension] = percentile_interval(concordance(true[known], values[known]), resampled)
    return result
