"""Temperature scaling finds the temperature that was used, and never makes the log loss worse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from mmemo.evaluation.calibration import fit_temperature


def drawn(temperature: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and classes drawn from ``softmax(logits / temperature)``."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (count, 4))
    cumulative = softmax(logits / temperature, axis=1).cumsum(axis=1)
    return logits, (rng.random((count, 1)) > cumulative).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_finds_the_temperature_of_the_data(temperature: float) -> None:
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.05)


def test_is_the_minimum_of_the_log_loss() -> None:
    logits, target = drawn(1.7, 2000)
    best = fit_temperature(logits, target)
    losses = {factor: log_loss(target, softmax(logits / (best * factor), axis=1)) for factor in (0.9, 1.0, 1.1)}
    assert min(losses, key=losses.__getitem__) == 1.0


def test_classes_and_one_hot_distributions_give_the_same() -> None:
    logits, target = drawn(1.3, 2000)
    assert fit_temperature(logits, np.eye(4)[target]) == pytest.approx(fit_temperature(logits, target))


def test_finds_the_temperature_of_soft_targets() -> None:
    logits, _ = drawn(1.0, 500)
    assert fit_temperature(logits, softmax(logits / 3.0, axis=1)) == pytest.approx(3.0, rel=1e-3)


def test_scores_without_a_prior_are_fitted_under_that_of_the_data() -> None:
    generator = np.random.default_rng(5)
    log_prior = np.log([0.7, 0.2, 0.07, 0.03])
    logits = generator.normal(0, 2, (4000, 4))
    target = softmax(logits / 2.0 + log_prior, axis=1)
    assert fit_temperature(logits, target, log_prior) == pytest.approx(2.0, rel=1e-3)
    assert fit_temperature(logits, target) != pytest.approx(2.0, rel=0.05)
