"""Boosted trees as plain arrays: fitted by scikit-learn, kept and asked without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from mmemo.errors import ArgumentError
from mmemo.fusion.base import hold_out
from mmemo.softmax import log_softmax

_NEVER = -30.0
"""Log score of a class that no training sample had."""
_HELD = 0.25
_STAGES, _ALONE = 120, 40
"""Most stages that are tried, and how many there are where nobody can be held out to choose."""
_ARRAYS = ("feature", "threshold", "left", "right", "value", "prior", "classes")


class BoostedTrees:
    """Gradient boosting (Friedman, Annals of Statistics 29(5), 2001): ``logit_k = prior_k + sum over trees of leaf``.

    Args:
        features: D.
        feature: (S, K', M) int, the feature that each node of each tree asks for, -1 in a leaf; S stages, a tree a
            class, K' classes that occurred in training (one tree if there were two).
        threshold: (S, K', M) float64; left if the feature is at most that.
        left: (S, K', M) int, node to go on with; ``right`` likewise.
        right: see ``left``.
        value: (S, K', M) float64, of a leaf, the rate of learning included.
        prior: (K',) float64.
        classes: (C,) int, which of the K classes occurred in training.
        count: K.
    """

    def __init__(
        self,
        features: int,
        count: int,
        *,
        feature: np.ndarray,
        threshold: np.ndarray,
        left: np.ndarray,
        right: np.ndarray,
        value: np.ndarray,
        prior: np.ndarray,
        classes: np.ndarray,
    ) -> None:
        self.features, self.count = features, count
        self.feature, self.threshold, self.left, self.right = feature, threshold, left, right
        self.value, self.prior, self.classes = value, prior, classes

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(N, K) float64 of features (N, D).

        Raises:
            ArgumentError: if D is another than in training.
        """
        if features.ndim != 2 or features.shape[1] != self.features:
            raise ArgumentError(
                f"These trees were fitted on {self.features} features, got an array of shape {features.shape}."
            )
        trees = self.feature.reshape(-1, self.feature.shape[-1])
        rows, places = np.arange(len(features))[:, None], np.arange(len(trees))
        given = features.astype(np.float32)  # as scikit-learn compares them
        node = np.zeros((len(features), len(trees)), np.intp)
        while True:
            asked = trees[places, node]
            inner = asked >= 0
            if not inner.any():
                break
            low = given[rows, np.maximum(asked, 0)] <= self.threshold.reshape(trees.shape)[places, node]
            below = np.where(
                low, self.left.reshape(trees.shape)[places, node], self.right.reshape(trees.shape)[places, node]
            )
            node = np.where(inner, below, node)
        leaves = self.value.reshape(trees.shape)[places, node].reshape(len(features), *self.feature.shape[:2])
        raw = self.prior + leaves.sum(axis=1)
        found = np.full((len(features), self.count), _NEVER)
        found[:, self.classes] = np.concatenate([-raw, raw], axis=1) / 2 if raw.shape[1] == 1 else raw
        return found

    def state(self) -> dict[str, np.ndarray]:
        """The arrays."""
        return {"size": np.array([self.features, self.count]), **{name: getattr(self, name) for name in _ARRAYS}}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from what `state` gave."""
        features, count = (int(size) for size in arrays["size"])
        return cls(features, count, **{name: arrays[name] for name in _ARRAYS})

    @classmethod
    def fit(cls, features: np.ndarray, target: np.ndarray, count: int, *, groups: np.ndarray, seed: int = 0) -> Self:
        """Fit, with as many stages as are best by the log loss on groups held out.

        Args:
            features: (N, D) float.
            target: (N,) int, of two classes or more.
            count: K.
            groups: (N,) who each sample is of; nobody is fitted and held out at once.
            seed: of the draws of samples and features, and of the groups held out.
        """
        held = hold_out(groups, target, _HELD, seed)
        stages = _ALONE
        if held.any() and len(np.unique(target[~held])) > 1:
            tried = _boosting(_STAGES, seed).fit(features[~held], target[~held])
            right = np.searchsorted(tried.classes_, target[held])
            losses = [_loss(raw, right) for raw in tried.staged_decision_function(features[held])]
            stages = 1 + int(np.argmin(losses))
        return cls._of(_boosting(stages, seed).fit(features, target), features.shape[1], count)

    @classmethod
    def _of(cls, model: Any, features: int, count: int) -> Self:
        trees = [[one.tree_ for one in stage] for stage in model.estimators_]
        most = max(tree.node_count for stage in trees for tree in stage)

        def table(values: list[list[np.ndarray]], kind: type, empty: float) -> np.ndarray:
            filled = np.full((len(trees), len(trees[0]), most), empty, kind)
            for number, stage in enumerate(values):
                for place, one in enumerate(stage):
                    filled[number, place, : len(one)] = one
            return filled

        shares = np.clip(model.init_.class_prior_, 1e-12, 1 - 1e-12)
        two = len(model.classes_) == 2
        return cls(
            features,
            count,
            feature=table([[np.maximum(t.feature, -1) for t in stage] for stage in trees], np.int64, -1),
            threshold=table([[t.threshold for t in stage] for stage in trees], np.float64, 0),
            left=table([[np.maximum(t.children_left, 0) for t in stage] for stage in trees], np.int64, 0),
            right=table([[np.maximum(t.children_right, 0) for t in stage] for stage in trees], np.int64, 0),
            value=table([[model.learning_rate * t.value[:, 0, 0] for t in stage] for stage in trees], np.float64, 0),
            prior=np.log(shares[1:] / shares[:1]) if two else np.log(shares),
            classes=np.asarray(model.classes_, np.int64),
        )


def _boosting(stages: int, seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier  # fitting only: analyzing must not need scikit-learn

    return GradientBoostingClassifier(
        n_estimators=stages, learning_rate=0.1, max_depth=3, subsample=0.7, max_features="sqrt", random_state=seed
    )


def _loss(raw: np.ndarray, right: np.ndarray) -> float:
    raw = raw.reshape(len(right), -1)
    logits = np.concatenate([-raw, raw], axis=1) / 2 if raw.shape[1] == 1 else raw
    return float(-log_softmax(logits)[np.arange(len(right)), right].mean())
