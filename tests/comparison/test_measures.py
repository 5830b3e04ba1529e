"""Every metric against scikit-learn, and every interval against the plain bootstrap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from mmemo.comparison.measures import compute_metrics, reliability_bins
from mmemo.comparison.predictions import Predictions
from mmemo.evaluation.bootstrap import Resamples, bootstrap
from mmemo.evaluation.metrics import brier_score, concordance, expected_calibration_error, uar


def test_calibration_agrees_with_scikit_learn(predictions: Predictions) -> None:
    metrics = compute_metrics(predictions, "late", Resamples(len(predictions), predictions.speakers, 200))
    scores = predictions.scores["late"]
    assert metrics.nll.value == pytest.approx(log_loss(predictions.target, scores))
    one_hot = np.eye(3)[predictions.target]
    each = sum(brier_score_loss(one_hot[:, k], scores[:, k]) for k in range(3))
    assert metrics.brier.value == pytest.approx(each)
    assert brier_score(predictions.target, one_hot) == 0
    assert metrics.ece.value == pytest.approx(expected_calibration_error(predictions.target, scores))
    bins = reliability_bins(predictions.target, scores)
    assert sum(one.clips for one in bins) == len(predictions)
    gaps = sum(one.clips * abs(one.accuracy - one.confidence) for one in bins) / len(predictions)
    assert gaps == pytest.approx(metrics.ece.value)


@pytest.mark.parametrize("clustered", [True, False])
def test_intervals_are_those_of_the_plain_bootstrap(predictions: Predictions, clustered: bool) -> None:
    groups = predictions.speakers if clustered else None
    resamples = Resamples(len(predictions), groups, 300, seed=4)
    metrics = compute_metrics(predictions, "voice", resamples)
    predicted = predictions.scores["voice"].argmax(axis=1)
    target, scores = predictions.target, predictions.scores["voice"]
    functions = {
        "accuracy": lambda rows: float((predicted[rows] == target[rows]).mean()),
        "uar": lambda rows: uar(target[rows], predicted[rows], 3),
        "ece": lambda rows: expected_calibration_error(target[rows], scores[rows]),
        "brier": lambda rows: brier_score(target[rows], scores[rows]),
    }
    for name, metric in functions.items():
        expected = bootstrap(metric, len(predictions), groups=groups, draws=300, seed=4)
        interval = getattr(metrics, name)
        assert (interval.value, interval.low, interval.high) == pytest.approx(
            (expected.value, expected.low, expected.high)
        )


def test_no_prediction_counts_as_wrong_and_lowers_the_coverage(predictions: Predictions) -> None:
    scores = predictions.scores["face"].copy()
    right = scores.argmax(axis=1) == predictions.target
    scores[:60] = 1 / 3
    partial = replace(predictions, scores={"face": scores}, ablations={})
    metrics = compute_metrics(partial, "face", Resamples(len(partial), None, 50))
    assert metrics.coverage == pytest.approx(0.75)
    assert metrics.accuracy.value == pytest.approx(right[60:].sum() / 240)
    assert metrics.confusion[:, 3].sum() == 60


def test_groups_are_measured_on_their_own_clips(predictions: Predictions) -> None:
    metrics = compute_metrics(
        predictions, "late", Resamples(len(predictions), predictions.speakers, 50), by=("gender", "speaker")
    )
    groups = {(group.column, group.value): group for group in metrics.groups}
    female = predictions.groups["gender"] == "female"
    right = predictions.scores["late"].argmax(axis=1) == predictions.target
    assert groups["gender", "female"].accuracy.value == pytest.approx(right[female].mean())
    assert groups["gender", "female"].clips == female.sum()
    assert len([column for column, _ in groups if column == "speaker"]) == 8


def test_a_class_that_does_not_occur_has_no_recall(predictions: Predictions) -> None:
    two = predictions.rows(predictions.target < 2)
    metrics = compute_metrics(two, "late", Resamples(len(two), two.speakers, 50))
    assert np.isnan(metrics.recalls["c"].value)
    assert metrics.uar.value == pytest.approx((metrics.recalls["a"].value + metrics.recalls["b"].value) / 2)


def test_concordance_and_its_interval_leave_clips_without_annotation_out() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=100)
    predicted = true + rng.normal(0, 0.5, 100)
    true[:5] = np.nan
    predictions = Predictions(
        ("a", "b"),
        np.arange(100).astype(str),
        np.zeros(100, np.int64),
        {"face": np.tile([0.6, 0.4], (100, 1))},
        true_values={"valence": true},
        values={"face": {"valence": predicted}},
    )
    interval = compute_metrics(predictions, "face", Resamples(100, None, 300, seed=1)).concordance["valence"]
    assert interval.value == pytest.approx(concordance(true[5:], predicted[5:]))
    assert interval.low < interval.value < interval.high

    def metric(rows: np.ndarray) -> float:
        kept = rows[rows >= 5]
        return concordance(true[kept], predicted[kept])

    plain = bootstrap(metric, 100, draws=300, seed=1)
    assert (interval.low, interval.high) == pytest.approx((plain.low, plain.high))
