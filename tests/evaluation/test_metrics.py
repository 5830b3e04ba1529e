"""The metrics against scikit-learn's, and against numbers worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn import metrics as reference

from mmemo.evaluation.metrics import (
    ConfusionMatrix,
    accuracy,
    best_thresholds,
    brier_score,
    concordance,
    confusion,
    expected_calibration_error,
    f1_scores,
    macro_f1,
    multilabel_f1,
    negative_log_likelihood,
    recalls,
    sample_confusions,
    uar,
    weighted_f1,
)

pytestmark = pytest.mark.slow

CLASSES = 5


@pytest.fixture(params=range(4))
def sample(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Uneven classes, predictions that are right more often than not, and probabilities that agree with them."""
    rng = np.random.default_rng(request.param)
    target = rng.choice(CLASSES, 300, p=[0.5, 0.25, 0.15, 0.07, 0.03])
    probabilities = rng.dirichlet(np.ones(CLASSES), 300)
    probabilities[np.arange(300), target] += rng.random(300)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return target, probabilities.argmax(axis=1), probabilities


def test_class_metrics_agree_with_scikit_learn(sample: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    target, predicted, _ = sample
    labels = list(range(CLASSES))
    assert np.array_equal(
        confusion(target, predicted, CLASSES), reference.confusion_matrix(target, predicted, labels=labels)
    )
    assert accuracy(target, predicted) == pytest.approx(reference.accuracy_score(target, predicted))
    assert uar(target, predicted, CLASSES) == pytest.approx(reference.balanced_accuracy_score(target, predicted))
    for average, ours in (("macro", macro_f1), ("weighted", weighted_f1)):
        theirs = reference.f1_score(target, predicted, labels=labels, average=average)
        assert ours(target, predicted, CLASSES) == pytest.approx(theirs)
    assert f1_scores(target, predicted, CLASSES) == pytest.approx(
        reference.f1_score(target, predicted, labels=labels, average=None)
    )
    assert recalls(target, predicted, CLASSES) == pytest.approx(
        reference.recall_score(target, predicted, labels=labels, average=None)
    )


def test_log_likelihood_agrees_with_scikit_learn(sample: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    target, _, probabilities = sample
    expected = reference.log_loss(target, probabilities, labels=list(range(CLASSES)))
    assert negative_log_likelihood(target, probabilities) == pytest.approx(expected)


def test_log_likelihood_of_a_certain_mistake_is_finite() -> None:
    assert np.isfinite(negative_log_likelihood(np.array([1]), np.array([[1.0, 0.0]])))


def test_a_class_that_does_not_occur_is_left_out_of_the_mean() -> None:
    target, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert np.isnan(recalls(target, predicted, 3)[2])
    assert uar(target, predicted, 3) == pytest.approx(0.75)
    # F1 of class 0: 2 / (2 + 0 + 1); of class 1: 4 / (4 + 1 + 0); class 2 occurs nowhere.
    assert f1_scores(target, predicted, 3)[:2] == pytest.approx([2 / 3, 4 / 5])
    assert macro_f1(target, predicted, 3) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_a_class_predicted_but_never_true_counts_as_zero() -> None:
    target, predicted = np.array([0, 0]), np.array([0, 2])
    assert macro_f1(target, predicted, 3) == pytest.approx((2 / 3 + 0) / 2)


def test_rows_of_the_confusion_matrix_are_true_classes() -> None:
    assert confusion(np.array([0, 0, 1]), np.array([1, 1, 0]), 2).tolist() == [[0, 2], [1, 0]]


def test_calibration_error_by_its_definition(sample: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    target, predicted, probabilities = sample
    confidence, bins, expected = probabilities.max(axis=1), 15, 0.0
    edges = np.linspace(0, 1, bins + 1)
    for low, high in itertools.pairwise(edges):
        inside = (confidence >= low) & (confidence < high)
        if inside.any():
            right = (predicted == target)[inside].mean()
            expected += inside.mean() * abs(right - confidence[inside].mean())
    assert expected_calibration_error(target, probabilities, bins) == pytest.approx(expected)


def test_calibration_error_by_hand() -> None:
    # Three of four right at a confidence of 0.9, and full certainty that is right.
    probabilities = np.array([[0.9, 0.1]] * 4)
    assert expected_calibration_error(np.array([0, 0, 0, 1]), probabilities) == pytest.approx(0.15)
    assert expected_calibration_error(np.array([0]), np.array([[1.0, 0.0]])) == 0.0


def test_several_labels_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    target, predicted = rng.random((200, 4)) < 0.3, rng.random((200, 4)) < 0.4
    expected = reference.f1_score(target, predicted, average=None)
    assert multilabel_f1(target, predicted) == pytest.approx(expected)
    assert np.isnan(multilabel_f1(np.zeros((3, 1), bool), np.zeros((3, 1), bool))).all()


def test_thresholds_are_the_best_there_are() -> None:
    rng = np.random.default_rng(1)
    target = rng.random((60, 3)) < np.array([0.5, 0.2, 0.1])
    scores = np.round(rng.random((60, 3)) + 0.4 * target, 1)  # rounded, so that many are equal
    chosen = best_thresholds(target, scores)
    for label in range(3):
        tried = [multilabel_f1(target[:, [label]], scores[:, [label]] >= one)[0] for one in np.unique(scores[:, label])]
        found = multilabel_f1(target[:, [label]], scores[:, [label]] >= chosen[label])[0]
        assert found == pytest.approx(max(tried))


def test_concordance_by_hand() -> None:
    target = np.array([1.0, 2.0, 3.0, 4.0])
    assert concordance(target, target) == pytest.approx(1)
    assert concordance(target, 5 - target) == pytest.approx(-1)
    assert concordance(target, target + 1) == pytest.approx(2 * 1.25 / (1.25 + 1.25 + 1))  # a shift is punished
    assert concordance(target, 2 * target) == pytest.approx(2 * 2.5 / (1.25 + 5 + 2.5**2))  # and so is a scale


def test_confusion_matrices_agree_with_scikit_learn_also_without_predictions() -> None:
    """300 random cases; a sample without a prediction has the class K, which is no label."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        classes, samples = int(rng.integers(2, 7)), int(rng.integers(5, 60))
        target = rng.integers(0, classes, samples)
        predicted = rng.integers(0, classes + 1, samples)
        matrix = ConfusionMatrix(sample_confusions(target, predicted, classes).sum(axis=0))
        occurring, either = np.unique(target), np.union1d(target, predicted[predicted < classes])
        options = {"zero_division": 0.0}
        assert matrix.accuracy == pytest.approx(reference.accuracy_score(target, predicted))
        assert matrix.uar == pytest.approx(
            reference.recall_score(target, predicted, labels=occurring, average="macro", **options)
        )
        for average, labels, ours in (("macro", either, matrix.macro_f1), ("weighted", occurring, matrix.weighted_f1)):
            expected = reference.f1_score(target, predicted, labels=labels, average=average, **options)
            assert ours == pytest.approx(expected)
        assert matrix.f1_scores[either] == pytest.approx(
            reference.f1_score(target, predicted, labels=either, average=None, **options)
        )
        assert np.isnan(np.delete(matrix.recalls, occurring)).all()


def test_many_confusion_matrices_at_once_are_each_alone() -> None:
    counts = np.random.default_rng(1).integers(0, 9, (4, 5, 3, 4))
    many = ConfusionMatrix(counts)
    for name in ("accuracy", "uar", "macro_f1", "weighted_f1", "recalls", "f1_scores"):
        assert getattr(many, name).shape[:2] == (4, 5)
        np.testing.assert_allclose(getattr(many, name)[2, 3], getattr(ConfusionMatrix(counts[2, 3]), name))


def test_brier_score_agrees_with_scikit_learn(sample: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    target, _, probabilities = sample
    each = [reference.brier_score_loss(target == k, probabilities[:, k]) for k in range(CLASSES)]
    assert brier_score(target, probabilities) == pytest.approx(sum(each))


def test_concordance_is_the_same_far_from_zero() -> None:
    rng = np.random.default_rng(3)
    true = rng.normal(size=50)
    predicted = true + rng.normal(size=50)
    spread = true.var() + predicted.var() + (true.mean() - predicted.mean()) ** 2
    expected = 2 * np.cov(true, predicted, bias=True)[0, 1] / spread
    assert concordance(true, predicted) == pytest.approx(expected, abs=1e-12)
    assert concordance(true + 1e5, predicted + 1e5) == pytest.approx(expected, abs=1e-6)
    assert np.isnan(concordance(np.full(3, 0.1), np.full(3, 0.1)))
