from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mmemo.encoders.linear_probe import LinearProbe, stratified_folds
from mmemo.errors import ArgumentError


def data(seed: int = 0, width: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 3, 150)
    return rng.normal(0, 1, (150, width)) + 0.8 * np.eye(3, width)[target], target, np.arange(150) % 10


def test_rotation_changes_nothing() -> None:
    features, target, _ = data(width=200)  # more features than samples
    probe = LinearProbe.fit(features, target, 3, strengths=[0.01])
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    plain = LogisticRegression(C=0.01, max_iter=300, tol=1e-6).fit(standard, target)
    np.testing.assert_allclose(probe.logits(features), plain.decision_function(standard), atol=0.02)


def test_held_out_scores_are_of_probes_that_did_not_see_the_group() -> None:
    features, target, groups = data()
    noise = np.random.default_rng(1).integers(0, 3, len(target))  # nothing to learn but by heart
    probe, held_out = LinearProbe.cross_fit(features, noise, 3, groups=groups, strengths=[10.0])
    assert np.mean(probe.logits(features).argmax(axis=1) == noise) > 0.6
    assert np.mean(held_out.argmax(axis=1) == noise) < 0.5
    assert all(set(groups[fitted]).isdisjoint(groups[held]) for fitted, held in stratified_folds(target, groups))


def test_a_class_nobody_has_gets_a_low_score_and_two_classes_do() -> None:
    features, target, groups = data()
    rows = target < 2
    probe = LinearProbe.fit(features[rows], target[rows], 3, groups=groups[rows])
    logits = probe.logits(features[rows])
    assert (logits[:, 2] < logits[:, :2].min(axis=1)).all()
    assert np.mean(logits.argmax(axis=1) == target[rows]) > 0.6


def test_saved_and_read_back_and_other_widths() -> None:
    features, target, _ = data()
    probe = LinearProbe.fit(features, target, 3, strengths=[0.1])
    np.testing.assert_allclose(
        LinearProbe.from_state(probe.state()).logits(features), probe.logits(features), atol=1e-4
    )
    with pytest.raises(ArgumentError, match="40 features"):
        probe.logits(features[:, :3])
